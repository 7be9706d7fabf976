"""What the suites that hold simulated and real clusters to the same behaviour share.

``kubectl`` (a :class:`Kubectl`) is for all of them; ``test_simulated_*.py`` make clusters of their own on ``host``, for
what a real one does not offer or would take too long over, and mostly run kubectl through a :class:`Runner`.
"""

from __future__ import annotations

import itertools
import json
import os
import shlex
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from labs.clusters.provider import Provider
from simkube.host import launcher
from simkube.host.launcher import HostClient
from tests.conftest import SharedClusters, shared_spec

REPOSITORY = Path(__file__).resolve().parents[2]
_numbers = itertools.count(1)


def kubectls() -> list[str]:
    """The kubectl that pip installed beside this Python, and the system's when it is another."""
    found = [str(Path(sys.executable).parent / "kubectl"), shutil.which("kubectl", path=os.defpath) or ""]
    return list(dict.fromkeys(path for path in found if path and Path(path).is_file()))


def which(kubectl: str) -> str:
    """A short name for one of :func:`kubectls`, for the names of tests."""
    return "wheel" if kubectl.startswith(sys.prefix) else "system"


def with_home(kubeconfig: Path) -> dict[str, str]:
    """An environment in which kubectl uses this kubeconfig, and keeps its caches beside it."""
    return {**os.environ, "KUBECONFIG": str(kubeconfig), "HOME": str(kubeconfig.parent)}


@dataclass(frozen=True)
class Kubectl:
    """One kubectl, one cluster, one namespace. Called with a command line; returns what it printed."""

    program: str
    kubeconfig: Path
    namespace: str
    server: tuple[int, int]

    def run(self, line: str, stdin: str = "", seconds: float = 90) -> subprocess.CompletedProcess[str]:
        """Run it, whatever comes of it."""
        command = [self.program, "--namespace", self.namespace, *shlex.split(line)]
        environment = with_home(self.kubeconfig)
        return subprocess.run(
            command, env=environment, input=stdin, capture_output=True, text=True, timeout=seconds, check=False
        )

    def __call__(self, line: str, stdin: str = "", seconds: float = 90) -> str:
        """Its standard output; the test fails when it did not succeed."""
        done = self.run(line, stdin, seconds)
        assert done.returncode == 0, f"kubectl {line}: exit {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def refused(self, line: str, stdin: str = "") -> str:
        """Its standard error; the test fails when it succeeded."""
        done = self.run(line, stdin)
        assert done.returncode != 0, f"kubectl {line} succeeded: {done.stdout}"
        return done.stderr

    def json(self, line: str) -> Any:
        """What it printed as JSON."""
        return json.loads(self(line + " -o json"))

    def until(self, line: str, expected: Callable[[str], bool], seconds: float = 60) -> str:
        """Repeat a command until its output is as expected."""
        deadline = time.monotonic() + seconds
        while True:
            done = self.run(line)
            if done.returncode == 0 and expected(done.stdout):
                return done.stdout
            assert time.monotonic() < deadline, f"kubectl {line} after {seconds:g} s: {done.stdout}{done.stderr}"
            time.sleep(0.2)  # between two looks at a cluster that other processes change


@dataclass(frozen=True)
class Runner:
    """One kubectl, one kubeconfig (its folder is the working directory), one namespace or the kubeconfig's own ("").

    Called with words.
    """

    program: str
    kubeconfig: Path
    namespace: str = ""

    def __call__(
        self, *words: str, given: str = "", fails: bool = False, config: str = "", env: dict[str, str] | None = None
    ) -> str:
        """All that it printed, errors included; the test fails when it failed, or when ``fails`` and it did not.

        ``given`` is its standard input, ``config`` the name of another kubeconfig in the same folder, ``env`` what is
        added to its environment.
        """
        kubeconfig = self.kubeconfig.parent / (config or self.kubeconfig.name)
        where = ("--namespace", self.namespace) if self.namespace else ()
        done = subprocess.run(
            [self.program, *where, *words],
            env={**with_home(kubeconfig), **(env or {})},
            cwd=kubeconfig.parent,
            input=given,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
        text = done.stdout + done.stderr
        assert (done.returncode != 0) == fails, f"kubectl {' '.join(words)}: exit {done.returncode}\n{text}"
        return text

    def elsewhere(self) -> Runner:
        """The same in a new namespace of its own."""
        namespace = f"t{uuid.uuid4().hex[:12]}"
        self("create", "namespace", namespace)
        return replace(self, namespace=namespace)


def topology(name: str) -> dict[str, Any]:
    """One of the cluster configurations that real clusters are made from too."""
    found: dict[str, Any] = yaml.safe_load((REPOSITORY / "kind-configs" / f"{name}.yaml").read_text())
    return found


def learners(host: HostClient, cluster: str, folder: Path) -> Path:
    """The administrator's kubeconfig for a cluster of ``host``, as a file in ``folder``."""
    path = folder / "kubeconfig"
    path.write_text(host.kubeconfig(cluster) or "")
    return path


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a host process of the module's own, which ends with the module."""
    folder = tmp_path_factory.mktemp("host")
    yield folder
    launcher.shutdown(folder)


@pytest.fixture(scope="module")
def host(home: Path) -> HostClient:
    """That host process, started and still without clusters."""
    return launcher.connect(home)


@pytest.fixture(scope="module", params=kubectls(), ids=which)
def cluster(
    request: pytest.FixtureRequest,
    provider: Provider,
    clusters: SharedClusters,
    tmp_path_factory: pytest.TempPathFactory,
) -> Kubectl:
    """A kubectl with the learner's credentials for the shared single-node cluster."""
    if provider.name == "kind" and request.param != kubectls()[0]:
        pytest.skip("one kubectl is enough on a real cluster: it is the simulated one that must please them all")
    handle, _ = clusters.at_start(provider, shared_spec())
    kubeconfig = tmp_path_factory.mktemp("kubeconfig") / "config"
    kubeconfig.write_text(provider.credentials(handle, "learner"))
    kubectl = Kubectl(request.param, kubeconfig, "default", (0, 0))
    major, minor = kubectl.json("version")["serverVersion"]["gitVersion"].lstrip("v").split(".")[:2]
    return Kubectl(request.param, kubeconfig, "default", (int(major), int(minor)))


@pytest.fixture
def kubectl(cluster: Kubectl) -> Iterator[Kubectl]:
    """The same, in a namespace of the test's own."""
    namespace = f"test-{next(_numbers)}"
    cluster(f"create namespace {namespace}")
    yield Kubectl(cluster.program, cluster.kubeconfig, namespace, cluster.server)
    cluster(f"delete namespace {namespace} --wait=false")
