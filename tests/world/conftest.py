"""What the suites that run other people's clients share: one simulated cluster, a namespace a test, their programs.

``scripts/world.py`` installs the clients; a test of one that is not there says so and skips.
"""

from __future__ import annotations

import importlib
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest

from simkube.host import launcher
from simkube.host.launcher import HostClient
from tests.conformance.conftest import Runner, kubectls, learners, topology, with_home

WORLD = Path(sys.prefix) / "world"
HERE = Path(__file__).resolve().parent


def program(name: str) -> Path:
    """Where ``scripts/world.py`` put it; the test is skipped when it did not."""
    found = WORLD / name
    if not found.exists():
        pytest.skip(f"{name} is not installed: {Path(sys.executable).name} scripts/world.py")
    return found


def client(module: str) -> ModuleType:
    """A Python client of the extra ``world``; the test is skipped where it is not installed."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        pytest.skip(f"{module} is not installed ({error}): pip install -e .[world]")
        raise


@dataclass(frozen=True)
class Place:
    """A namespace of one test on the shared cluster. Its ``kubeconfig`` names it as the default."""

    kubectl: Runner
    kubeconfig: Path
    namespace: str

    def run(
        self, *words: str | Path, given: str = "", env: dict[str, str] | None = None, seconds: float = 60
    ) -> subprocess.CompletedProcess[str]:
        """Run a program of the world's in a folder of the test's own, with the kubeconfig in its environment."""
        try:
            return subprocess.run(
                [str(word) for word in words],
                env={**with_home(self.kubeconfig), **(env or {})},
                cwd=self.kubeconfig.parent,
                input=given,
                capture_output=True,
                text=True,
                timeout=seconds,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            there = self.kubectl("get", "pods,events", "-o", "wide")
            pytest.fail(f"{' '.join(map(str, words))} took more than {seconds:g} s\n{error.stderr!r}\n{there}")

    def succeeds(self, *words: str | Path, **more: object) -> str:
        """As :meth:`run`; its standard output. The test fails when it did not succeed."""
        done = self.run(*words, **more)  # type: ignore[arg-type] # passed on as it came
        assert done.returncode == 0, f"{' '.join(map(str, words))}: exit {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout


@pytest.fixture(scope="session")
def world_host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostClient]:
    """One host process for all of these tests."""
    folder = tmp_path_factory.mktemp("world")
    yield launcher.connect(folder)
    launcher.shutdown(folder)


@pytest.fixture(scope="session")
def shared(world_host: HostClient, tmp_path_factory: pytest.TempPathFactory) -> Runner:
    """A kubectl for the cluster that the tests share."""
    world_host.create("world", topology("single"))
    return Runner(kubectls()[0], learners(world_host, "world", tmp_path_factory.mktemp("kubeconfig")))


@pytest.fixture
def place(shared: Runner, tmp_path: Path) -> Iterator[Place]:
    """A namespace of the test's own."""
    namespace = f"w{uuid.uuid4().hex[:10]}"
    shared("create", "namespace", namespace)
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(shared.kubeconfig.read_text())
    own = Runner(shared.program, kubeconfig)
    own("config", "set-context", "--current", "--namespace", namespace)
    yield Place(own, kubeconfig, namespace)
    shared("delete", "namespace", namespace, "--wait=false")
