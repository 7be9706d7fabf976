"""Images as learners meet them, with the real kubectl: wrong tags, stand-ins, a database with its client."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import yaml

from labs.clusters.provider import ClusterSpec
from labs.clusters.simulated import SimulatedProvider
from simkube.apimachinery.errors import HostError
from simkube.host.launcher import HostClient
from tests.conformance.conftest import REPOSITORY, Runner, kubectls, learners, topology
from tests.conftest import Watched

POD = """
apiVersion: v1
kind: Pod
metadata: {name: thing}
spec:
  initContainers:
  - {name: first, image: "ghcr.io/somebody/setup:v1"}
  containers:
  - name: main
    image: quay.io/somebody/thing:v2
    command: [/thing, --serve]
    ports: [{containerPort: 8080}]
    readinessProbe: {httpGet: {path: /ready, port: 8080}, periodSeconds: 1}
    livenessProbe: {exec: {command: [thingctl, ping]}}
"""


@pytest.fixture(scope="module")
def strict(host: HostClient, tmp_path_factory: pytest.TempPathFactory) -> Runner:
    host.create("strict", topology("single"))
    return Runner(kubectls()[0], learners(host, "strict", tmp_path_factory.mktemp("strict")))


@pytest.fixture(scope="module")
def lenient(host: HostClient, tmp_path_factory: pytest.TempPathFactory) -> Runner:
    host.create("lenient", topology("single"), images="stand-ins")
    return Runner(kubectls()[0], learners(host, "lenient", tmp_path_factory.mktemp("lenient")))


def until(kubectl: Runner, words: str, *arguments: str) -> str:
    """What kubectl prints once ``words`` are in it."""
    deadline = time.monotonic() + 20
    text = ""
    while time.monotonic() < deadline:
        try:
            text = kubectl(*arguments)
        except AssertionError as error:  # there are no logs yet
            text = str(error)
        if words in text:
            return text
        time.sleep(0.1)  # between two looks at a cluster that other processes change
    raise AssertionError(f"kubectl {' '.join(arguments)} never printed {words!r}; last:\n{text}")


def test_a_wrong_tag_is_refused_and_the_nearest_named(strict: Runner) -> None:
    strict("run", "web", "--image=nginx:1.91")
    text = until(strict, "ImagePullBackOff", "describe", "pod", "web")
    assert "docker.io/library/nginx:1.91: not found (nearest: nginx:1.29, " in text
    strict("set", "image", "pod/web", "web=nginx:1.27")
    strict("wait", "--for=condition=Ready", "pod/web", "--timeout=20s")


def test_a_strict_cluster_refuses_what_a_lenient_one_stands_in_for(strict: Runner, lenient: Runner) -> None:
    strict("apply", "-f", "-", given=POD)
    until(strict, "the simulated registry does not have it", "describe", "pod", "thing")
    lenient("apply", "-f", "-", given=POD)
    lenient("wait", "--for=condition=Ready", "pod/thing", "--timeout=20s")
    text = lenient("describe", "pod", "thing")
    assert "StandIn    " in text
    assert 'Image "quay.io/somebody/thing:v2" is not simulated: a stand-in runs in its place' in text
    assert "Image ID:      stand-in://quay.io/somebody/thing@sha256:" in text
    assert "this is a stand-in" in lenient("logs", "thing")
    lenient("run", "typo", "--image=ngnix")
    until(lenient, "nearest: nginx", "describe", "pod", "typo")


def test_a_database_and_its_client(strict: Runner) -> None:
    strict("run", "mysql", "--image=mysql:8.0")
    until(strict, "You need to specify one of the following", "logs", "mysql")
    strict("run", "db", "--image=mysql:8.0", "--env=MYSQL_ROOT_PASSWORD=pw", "--port=3306", "--expose")
    strict("wait", "--for=condition=Ready", "pod/db", "--timeout=20s")
    ask = ["run", "client", "--image=mysql:8.0", "-i", "--rm", "--restart=Never", "--quiet", "--"]
    text = strict(*ask, "mysql", "-h", "db", "-ppw", "-e", "create database shop; show databases")
    assert "shop\n" in text
    assert "1\n1\n" in strict("exec", "db", "--", "mysql", "-ppw", "-e", "select 1")


def test_the_provider_makes_what_a_lab_asks_for(tmp_path: Path) -> None:
    provider = SimulatedProvider(tmp_path, REPOSITORY / "kind-configs")
    spec = ClusterSpec("lab", setup=(yaml.safe_load(POD),), unknown_images="stand-ins")
    try:
        handle = provider.create(spec, Watched())
        kubeconfig = tmp_path / "kubeconfig"
        kubeconfig.write_text(provider.credentials(handle, "learner"))
        kubectl = Runner(kubectls()[0], kubeconfig)
        kubectl("wait", "--for=condition=Ready", "pod/thing", "--timeout=20s")
    finally:
        provider.shutdown()


def test_a_setting_that_is_none_is_refused(host: HostClient) -> None:
    with pytest.raises(HostError, match="images is strict or stand-ins, not 'loose'"):
        host.create("loose", topology("single"), images="loose")
