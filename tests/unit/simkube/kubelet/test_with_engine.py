"""The kubelet in a whole cluster on a manual clock: real API server, scheduler, runtime and store, nothing doubled."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from simkube.clock.clock import spawn
from simkube.runtime.cri import HTTPRequest
from tests.doubles.whole_cluster import ME, WholeCluster

WEB = {
    "name": "web",
    "image": "kindling/web:1.0",
    "readinessProbe": {"httpGet": {"path": "/readyz", "port": 8080}, "periodSeconds": 2},
    "livenessProbe": {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 5, "failureThreshold": 2},
}


class Lab(WholeCluster):
    """With a worker, and its web pod asked."""

    def __init__(self) -> None:
        super().__init__(nodes=2, settled=0)

    def ready(self, name: str = "web") -> str:
        return next(one["status"] for one in self.pod(name)["status"]["conditions"] if one["type"] == "Ready")

    def ask(self, method: str, path: str) -> int:
        """Ask the web pod from inside the cluster."""
        address = self.pod()["status"]["podIP"]
        network = self.cluster.network
        return spawn(network.request("172.18.0.2", address, 8080, HTTPRequest(method, path))).result().status


@pytest.fixture
def lab() -> Iterator[Lab]:
    made = Lab()
    yield made
    made.cluster.stop()


def test_a_pod_serves_once_it_is_ready(lab: Lab) -> None:
    lab.run(WEB)
    assert (lab.ready(), lab.ask("GET", "/")) == ("True", 200)


def test_a_replica_that_hangs_is_restarted(lab: Lab) -> None:
    lab.run(WEB)
    assert lab.ask("POST", "/hang") == 202
    lab.cluster.advance(8)
    assert lab.ready() == "False"
    lab.cluster.advance(10)
    status = lab.pod()["status"]["containerStatuses"][0]
    assert (status["restartCount"], lab.ready(), lab.ask("GET", "/")) == (1, "True", 200)
    assert lab.container(previous=True).log.lines()[-1].text.startswith(("GET", "POST"))


def test_a_killed_process_comes_back(lab: Lab) -> None:
    lab.run(WEB)
    lab.cluster.kill_container("default", "web", "web")
    lab.cluster.advance(0.5)
    assert lab.ready() == "False"
    lab.cluster.advance(3)
    status = lab.pod()["status"]["containerStatuses"][0]
    assert (status["restartCount"], status["lastState"]["terminated"]["exitCode"]) == (1, 137)
    assert lab.ready() == "True"


def test_containers_share_a_volume_and_keep_it_over_a_killed_host(lab: Lab) -> None:
    mount = [{"name": "data", "mountPath": "/data"}]
    writer = {"name": "writer", "image": "busybox:1.36", "volumeMounts": mount}
    writer["command"] = ["sh", "-c", "echo first > /data/page; sleep 100000"]
    server = {**WEB, "volumeMounts": mount, "env": [{"name": "WEB_ROOT", "value": "/data"}]}
    lab.run(writer, server, volumes=[{"name": "data", "emptyDir": {}}])
    lab.cluster.advance(3)
    assert lab.ask("GET", "/page") == 200
    before = lab.pod()
    lab.kill_host()
    assert lab.pod() == before, "nothing is written: the containers carry on"
    assert lab.ask("GET", "/page") == 200
    lab.cluster.advance(30)
    assert [one["restartCount"] for one in lab.pod()["status"]["containerStatuses"]] == [0, 0]


def test_a_config_map_in_a_volume_is_still_followed_after_a_killed_host(lab: Lab) -> None:
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "page"}, "data": {"index.html": "one"}}
    lab.cluster.apiserver.create(ME, "configmaps", config, "default")
    container = {**WEB, "env": [{"name": "WEB_ROOT", "value": "/site"}]}
    container["volumeMounts"] = [{"name": "site", "mountPath": "/site"}]
    lab.run(container, volumes=[{"name": "site", "configMap": {"name": "page"}}])
    lab.kill_host()
    lab.cluster.apiserver.patch(ME, "configmaps", "page", {"data": {"index.html": "two"}}, "default")
    lab.cluster.advance(70)
    mount = next(one for one in lab.container().config.mounts if one.path == "/site")
    assert mount.volume.read("index.html") == b"two"


def test_a_node_without_power_and_back(lab: Lab) -> None:
    lab.run(WEB)
    assert lab.pod()["spec"]["nodeName"] == "lab-worker"
    lab.cluster.stop_node("lab-worker")
    lab.cluster.advance(60)
    node = lab.cluster.apiserver.get(ME, "nodes", "lab-worker")
    assert {one["type"]: one["status"] for one in node["status"]["conditions"]}["Ready"] == "Unknown"
    assert lab.ready() == "False", "the node lifecycle controller said so"
    lab.cluster.start_node("lab-worker")
    lab.cluster.advance(5)
    assert lab.ready() == "True"
    assert lab.pod()["status"]["containerStatuses"][0]["restartCount"] == 1


def test_a_deleted_pod_is_gone_and_leaves_nothing_behind(lab: Lab) -> None:
    lab.run(WEB)
    lab.cluster.apiserver.delete(ME, "pods", "web", "default")
    lab.cluster.advance(2)
    assert lab.cluster.apiserver.list(ME, "pods", "default") == []
    assert list(lab.cluster.store.side.items("kubelet/")) == []


def test_resources_and_a_debugger_outlive_a_killed_host(lab: Lab) -> None:
    amounts = {"cpu": "100m", "memory": "64Mi"}
    lab.run({**WEB, "resources": {"requests": amounts, "limits": {**amounts, "cpu": "200m"}}})
    debugger = {"name": "look", "image": "busybox:1.36", "command": ["sleep", "1d"], "targetContainerName": "web"}
    change = {"spec": {"ephemeralContainers": [debugger]}}
    lab.cluster.apiserver.patch(
        ME, "pods", "web", change, "default", type="strategic", subresource="ephemeralcontainers"
    )
    lab.cluster.advance(3)
    wanted = {"spec": {"containers": [{"name": "web", "resources": {"requests": {"cpu": "150m"}}}]}}
    lab.cluster.apiserver.patch(ME, "pods", "web", wanted, "default", type="strategic", subresource="resize")
    lab.cluster.advance(3)
    before = lab.pod()
    assert before["status"]["containerStatuses"][0]["allocatedResources"]["cpu"] == "150m"
    lab.kill_host()
    lab.cluster.advance(3)
    assert lab.pod() == before
    assert lab.container().config.memory == 64 << 20
    assert len(lab.container().processes) == 2, "the debugger still sees the server, and is seen"
