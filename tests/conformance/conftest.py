"""What the suites that hold simulated and real clusters to the same behaviour share."""

from __future__ import annotations

import itertools
import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from labs.clusters.provider import Provider
from tests.conftest import SharedClusters, shared_spec

_numbers = itertools.count(1)


def kubectls() -> list[str]:
    """The kubectl that pip installed beside this Python, and the system's when it is another."""
    found = [str(Path(sys.executable).parent / "kubectl"), shutil.which("kubectl", path=os.defpath) or ""]
    return list(dict.fromkeys(path for path in found if path and Path(path).is_file()))


@dataclass(frozen=True)
class Kubectl:
    """One kubectl, one cluster, one namespace. Called with a command line; returns what it printed."""

    program: str
    kubeconfig: Path
    namespace: str
    server: tuple[int, int]

    def run(self, line: str, stdin: str = "", seconds: float = 90) -> subprocess.CompletedProcess[str]:
        """Run it, whatever comes of it."""
        environment = {**os.environ, "KUBECONFIG": str(self.kubeconfig)}
        command = [self.program, "--namespace", self.namespace, *shlex.split(line)]
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


@pytest.fixture(
    scope="module", params=kubectls(), ids=lambda path: "wheel" if path.startswith(sys.prefix) else "system"
)
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
