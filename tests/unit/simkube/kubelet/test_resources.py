"""What pods use, what they may use, and what becomes of them when it is too much; in whole clusters."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from simkube.apimachinery.errors import StatusError
from simkube.apimachinery.quantity import milli
from simkube.clock.clock import spawn
from simkube.kubelet.node import CAPACITY
from simkube.runtime.cri import HTTPRequest
from simkube.runtime.usage import NODE_BYTES, NODE_CORES
from tests.doubles.whole_cluster import ME, WholeCluster

PODS = "pods.metrics.k8s.io"


class Measured(WholeCluster):
    """With what its pods use."""

    def run(self, container: dict[str, Any], name: str = "web", seconds: float = 2, **spec: Any) -> None:
        super().run(container, name=name, seconds=seconds, **spec)

    def usage(self, name: str = "web") -> tuple[float, float]:
        """Cores and mebibytes of its first container."""
        found = self.cluster.apiserver.get(ME, PODS, name, "default")["containers"][0]["usage"]
        return milli(found["cpu"]) / 1000, milli(found["memory"]) / 1000 / (1 << 20)

    def ask(self, port: int, path: str = "/", name: str = "web") -> Any:
        address = self.status(name)["podIP"]
        return spawn(self.cluster.network.request("172.18.0.2", address, port, HTTPRequest("GET", path)))


@pytest.fixture
def lab() -> Iterator[Measured]:
    made = Measured()
    yield made
    made.cluster.stop()


def limits(**amounts: str) -> dict[str, Any]:
    return {"limits": amounts, "requests": amounts}


def stress(*words: str, **more: Any) -> dict[str, Any]:
    return {"image": "polinux/stress", "command": ["stress"], "args": list(words), **more}


def test_a_node_tells_the_scheduler_what_its_machine_has() -> None:
    assert (milli(CAPACITY["cpu"]) / 1000, milli(CAPACITY["memory"]) // 1000) == (NODE_CORES, NODE_BYTES)


def test_metrics_come_when_somebody_has_looked(lab: Measured) -> None:
    lab.run({"image": "nginx"})
    with pytest.raises(StatusError, match=r'podmetrics.metrics.k8s.io "default/web" not found'):
        lab.usage()
    lab.cluster.advance(25)
    cores, memory = lab.usage()
    assert (cores, round(memory)) == (pytest.approx(0, abs=0.01), 5)
    with pytest.raises(StatusError, match='pods "nope" not found'):
        lab.usage("nope")
    nodes = lab.cluster.apiserver.list(ME, "nodes.metrics.k8s.io")
    assert [node["metadata"]["name"] for node in nodes] == ["lab-control-plane"]
    assert 50 <= milli(nodes[0]["usage"]["cpu"]) <= 100


def test_busy_processes_use_processors_up_to_the_limit(lab: Measured) -> None:
    lab.run(stress("--cpu", "2"), "free")
    lab.run(stress("--cpu", "2", resources=limits(cpu="500m")), "bound")
    lab.run({"image": "busybox", "command": ["sh", "-c", "while true; do :; done"]}, "loop")
    lab.cluster.advance(40)
    assert [round(lab.usage(name)[0], 2) for name in ("free", "bound", "loop")] == [2.0, 0.5, 1.0]
    node = lab.cluster.apiserver.get(ME, "nodes.metrics.k8s.io", "lab-control-plane")
    assert milli(node["usage"]["cpu"]) == pytest.approx(3555, abs=30)


def test_a_stopped_metrics_server_is_unavailable(lab: Measured) -> None:
    lab.cluster.stop_component("metrics-server")
    with pytest.raises(StatusError, match="currently unable"):
        lab.cluster.apiserver.list(ME, PODS, "default")


def test_memory_within_the_limit_is_held(lab: Measured) -> None:
    lab.run(stress("--vm", "1", "--vm-bytes", "150M", "--vm-hang", "1", resources=limits(memory="200Mi")))
    lab.cluster.advance(30)
    assert lab.status()["phase"] == "Running"
    assert 150 < lab.usage()[1] < 155


def test_memory_beyond_the_limit_is_killed_again_and_again(lab: Measured) -> None:
    lab.run(stress("--vm", "1", "--vm-bytes", "250M", "--vm-hang", "1", resources=limits(memory="100Mi")))
    lab.cluster.advance(15)
    found = lab.status()["containerStatuses"][0]
    assert found["restartCount"] >= 1
    last = found["lastState"].get("terminated") or found["state"]["terminated"]
    assert (last["reason"], last["exitCode"]) == ("OOMKilled", 137)
    assert found["state"]["waiting"]["reason"] == "CrashLoopBackOff"


def test_a_server_that_leaks_is_killed_after_some_requests(lab: Measured) -> None:
    env = [{"name": "LEAK_PER_REQUEST", "value": "10Mi"}]
    lab.run({"image": "kindling/hungry:1.0", "env": env, "resources": limits(memory="40Mi")})
    for _ in range(3):
        assert lab.ask(8080).result().status == 200
    lab.cluster.advance(30)
    assert 34 <= lab.usage()[1] < 36
    assert lab.ask(8080).done
    lab.cluster.advance(0.5)
    assert lab.status()["containerStatuses"][0]["state"]["terminated"]["reason"] == "OOMKilled"


def test_each_request_of_php_apache_burns(lab: Measured) -> None:
    lab.run({"image": "registry.k8s.io/hpa-example", "resources": {"limits": {"cpu": "500m"}}})
    asked = lab.ask(80)
    assert not asked.done
    lab.cluster.advance(0.2)
    assert asked.result().body == b"OK!"


def test_reading_zeros_to_their_end_takes_all_there_is(lab: Measured) -> None:
    lab.run({"image": "busybox", "command": ["tail", "/dev/zero"], "resources": limits(memory="64Mi")})
    assert lab.status()["containerStatuses"][0]["lastState"]["terminated"]["reason"] == "OOMKilled"


def test_the_same_container_without_a_limit_makes_the_node_kill_it(lab: Measured) -> None:
    lab.run({"image": "nginx", "resources": limits(memory="64Mi", cpu="100m")}, "good")
    lab.run(stress("--vm", "1", "--vm-bytes", "16G", "--vm-hang", "0"), seconds=12, restartPolicy="Never")
    assert lab.status()["phase"] == "Failed"
    assert lab.status("good")["containerStatuses"][0]["restartCount"] == 0
    told = [one["message"] for one in lab.cluster.apiserver.list(ME, "events") if one["reason"] == "SystemOOM"]
    assert told == ["System OOM encountered, victim process: stress, pid: 1"]
