"""Single controllers, nodes cut off and out of memory: what Kubernetes does about them; kill -9 changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from simkube.apimachinery.errors import HostError
from simkube.clock.clock import spawn
from simkube.component_helpers.pods import condition, is_ready
from simkube.runtime.cri import HTTPRequest
from tests.doubles.control_plane import Plane
from tests.unit.simkube.test_cluster import killed, ready, topology, web


@pytest.fixture
def plane() -> Plane:
    return Plane(topology("three-node"))


def test_one_controller_alone_is_stopped_and_started(plane: Plane) -> None:
    plane.cluster.stop_component("replicaset-controller")
    web(plane)
    assert len(plane.sets()) == 1
    assert plane.pods() == []
    after = killed(plane)
    after.settle(5)
    assert after.pods() == []
    assert after.cluster.components()["kube-controller-manager"]
    assert not after.cluster.components()["replicaset-controller"]
    after.cluster.stop_component("kube-controller-manager")
    after.cluster.start_component("replicaset-controller")  # its program does not run
    after.settle(5)
    assert after.pods() == []
    after.cluster.start_component("kube-controller-manager")
    after.settle(5)
    assert len(ready(after)) == 2


def test_an_admission_plugin_is_stopped_and_started(plane: Plane) -> None:
    plane.cluster.stop_component("DefaultTolerationSeconds")
    web(plane, replicas=1)
    plane.settle(5)
    assert ready(plane)[0]["spec"].get("tolerations", []) == []
    after = killed(plane)
    assert not after.cluster.components()["DefaultTolerationSeconds"]
    after.cluster.start_component("DefaultTolerationSeconds")
    (pod,) = after.pods()
    after.client.delete("pods", pod["metadata"]["name"], pod["metadata"]["namespace"])
    after.settle(40)
    assert len(ready(after)[0]["spec"]["tolerations"]) == 2


def test_what_protects_the_simulation_cannot_be_stopped(plane: Plane) -> None:
    with pytest.raises(HostError, match="there is no component 'Unsimulated'"):
        plane.cluster.stop_component("Unsimulated")


def test_controllers_have_their_official_names(plane: Plane) -> None:
    known = plane.cluster.components()
    for name in ("endpoints-controller", "endpointslice-controller", "replicationcontroller-controller"):
        assert known[name]
    assert "event-expiry" not in known


def test_a_node_cut_off_runs_on_unheard(plane: Plane) -> None:
    web(plane, replicas=2)
    (here,) = [pod for pod in ready(plane) if pod["spec"]["nodeName"] == "test-worker"]
    (there,) = [pod for pod in ready(plane) if pod["spec"]["nodeName"] == "test-worker2"]
    plane.cluster.faults.cut_node("test-worker")
    assert plane.cluster.faults.node_states()["test-worker"] == ["cut off"]
    assert ask(plane, here, here) == "answered"  # on the node everything goes on
    assert ask(plane, here, there) == "nothing"
    assert ask(plane, there, here) == "nothing"
    plane.settle(40)
    status = condition(plane.client.get("nodes", "test-worker"), "Ready")
    assert status is not None
    assert status["status"] == "Unknown"
    assert {pod["spec"]["nodeName"] for pod in ready(plane)} == {"test-worker2"}
    assert here["metadata"]["uid"] in {pod["metadata"]["uid"] for pod in plane.pods()}  # nobody can confirm its end
    container = plane.cluster.kubelets["test-worker"].container(here["metadata"]["uid"], "web")
    assert container is not None
    assert container.state == "running"


def test_a_node_comes_back_and_ends_what_was_evicted(plane: Plane) -> None:
    web(plane, replicas=2)
    plane.cluster.faults.cut_node("test-worker")
    plane.settle(40)
    after = killed(plane)
    assert after.cluster.faults.node_states()["test-worker"] == ["cut off"]
    after.settle(10)
    assert not is_ready(after.client.get("nodes", "test-worker"))
    assert len(after.pods()) == 3
    after.cluster.start_node("test-worker")
    after.settle(60)
    assert is_ready(after.client.get("nodes", "test-worker"))
    assert len(after.pods()) == len(ready(after)) == 2
    assert after.cluster.faults.node_states()["test-worker"] == []


def test_the_api_servers_node_is_not_cut_off(plane: Plane) -> None:
    with pytest.raises(HostError, match="the API server is on test-control-plane; cut off a worker"):
        plane.cluster.faults.cut_node("test-control-plane")


def test_memory_that_something_else_took_is_missing_and_comes_back(plane: Plane) -> None:
    memory = plane.cluster.kubelets["test-worker"].runtime.machine.memory  # type: ignore[attr-defined]  # an Engine
    before = memory.available
    plane.cluster.faults.fill_node("test-worker")
    plane.cluster.faults.fill_node("test-worker")
    assert 0 < memory.available < 100 * 2**20  # below what a kubelet wants to be free
    after = killed(plane)
    assert after.cluster.faults.node_states()["test-worker"] == ["out of memory"]
    taken = after.cluster.kubelets["test-worker"].runtime.machine.memory  # type: ignore[attr-defined]
    assert taken.available < 100 * 2**20
    after.cluster.heal()
    assert taken.available == before


def test_a_node_out_of_memory_evicts_and_takes_no_more_until_it_has_some(plane: Plane) -> None:
    web(plane, replicas=4)
    plane.cluster.faults.fill_node("test-worker")
    plane.settle(60)
    evicted = [pod for pod in plane.pods() if pod["status"].get("reason") == "Evicted"]
    assert {pod["spec"]["nodeName"] for pod in evicted} == {"test-worker"}
    assert {pod["spec"]["nodeName"] for pod in ready(plane)} == {"test-worker2"}
    assert len(ready(plane)) == 4
    taints = plane.client.get("nodes", "test-worker")["spec"]["taints"]
    assert [each["key"] for each in taints] == ["node.kubernetes.io/memory-pressure"]
    plane.cluster.start_node("test-worker")
    plane.settle(400)
    assert "taints" not in plane.client.get("nodes", "test-worker")["spec"]


def ask(plane: Plane, one: dict[str, object], other: dict[str, object]) -> str:
    """Whether a pod gets an answer from another within a few seconds."""
    addresses = [each["status"]["podIP"] for each in (one, other)]  # type: ignore[index]
    task = spawn(plane.cluster.network.request(addresses[0], addresses[1], 8080, HTTPRequest()))
    plane.settle(3)
    return "answered" if task.done and task.result().status == 200 else "nothing"


def mirrors(plane: Plane) -> dict[str, int]:
    """The static pods that are shown, and how often each was started again."""
    pods = plane.client.list("pods", "kube-system", labels="tier=control-plane")
    assert all(is_ready(pod) for pod in pods)
    found = {pod["metadata"]["name"]: pod["status"]["containerStatuses"][0]["restartCount"] for pod in pods}
    return {name.removesuffix("-test-control-plane"): restarts for name, restarts in found.items()}


def test_static_pods_are_the_components_themselves(plane: Plane) -> None:
    plane.settle(1)
    assert mirrors(plane) == {"etcd": 0, "kube-apiserver": 0, "kube-controller-manager": 0, "kube-scheduler": 0}
    plane.cluster.stop_component("kube-scheduler")
    plane.settle(1)
    assert "kube-scheduler" not in mirrors(plane)
    assert "kube-scheduler" not in mirrors(killed(plane))
    plane.cluster.start_component("kube-scheduler")
    plane.settle(1)
    assert mirrors(plane)["kube-scheduler"] == 0
    before = plane.client.get("pods", "etcd-test-control-plane", "kube-system")
    plane.client.delete("pods", "etcd-test-control-plane", "kube-system")
    plane.settle(1)
    assert (
        plane.client.get("pods", "etcd-test-control-plane", "kube-system")["metadata"]["uid"]
        != before["metadata"]["uid"]
    )
    plane.cluster.stop_component("etcd")
    plane.settle(10)
    plane.cluster.start_component("etcd")
    plane.settle(1)
    assert mirrors(plane)["etcd"] == 1
    plane.cluster.stop_node("test-control-plane")
    plane.settle(70)
    plane.cluster.start_node("test-control-plane")
    plane.settle(5)
    assert mirrors(plane) == {"etcd": 2, "kube-apiserver": 1, "kube-controller-manager": 1, "kube-scheduler": 1}


def test_a_cluster_without_nodes_has_no_static_pods() -> None:
    plane = Plane()
    plane.settle(5)
    assert plane.client.list("pods", "kube-system") == []


def took(plane: Plane, one: dict[str, object], other: dict[str, object]) -> float:
    """Seconds until a pod has an answer from another, in whole milliseconds."""
    began, ended = plane.clock.now(), []
    addresses = [each["status"]["podIP"] for each in (one, other)]  # type: ignore[index]
    task = spawn(plane.cluster.network.request(addresses[0], addresses[1], 8080, HTTPRequest()))
    task.when_done(lambda _: ended.append(plane.clock.now()))
    plane.settle(200)
    assert task.result().status == 200
    return round(ended[0] - began, 3)


def named(pod: dict[str, object]) -> str:
    return "{namespace}/{name}".format(**pod["metadata"])  # type: ignore[arg-type]


def test_answers_on_a_slow_path_are_late_there_and_nowhere_else(plane: Plane) -> None:
    web(plane, replicas=3)
    one, other, third = ready(plane)
    plane.cluster.faults.slow_path(named(one), named(other), 0.2)
    assert took(plane, one, other) == 0.4  # to the SYN, and to the request
    assert took(plane, other, one) == took(plane, one, third) == took(plane, third, other) == 0.0
    after = killed(plane)
    assert took(after, one, other) == 0.4
    after.cluster.faults.mend_path(named(one), named(other))
    assert took(after, one, other) == 0.0


def test_what_a_lossy_path_loses_is_sent_again_later(plane: Plane) -> None:
    web(plane, replicas=2)
    one, other = ready(plane)
    plane.cluster.faults.lossy_path(named(one), named(other), 0.5)
    seconds = [took(plane, one, other) for _ in range(40)]
    assert 0.0 in seconds
    assert {0.2, 1.0} <= set(seconds)  # an answer that was lost once, and a SYN's
    assert took(plane, other, one) == 0.0
    plane.cluster.faults.lossy_path(named(one), named(other), 1.0)
    assert ask(plane, one, other) == "nothing"
    plane.cluster.heal()
    assert [took(plane, one, other) for _ in range(10)] == [0.0] * 10


def test_what_is_on_a_slow_node_runs_for_a_tenth_of_the_time(plane: Plane) -> None:
    web(plane, replicas=2)
    (here,) = [pod for pod in ready(plane) if pod["spec"]["nodeName"] == "test-worker"]
    (there,) = [pod for pod in ready(plane) if pod["spec"]["nodeName"] == "test-worker2"]
    plane.settle(0.2 - plane.clock.now() % 0.5 + 0.5)
    plane.cluster.faults.slow_node("test-worker")
    assert plane.cluster.faults.node_states()["test-worker"] == ["slow"]
    assert took(plane, there, here) == 0.3
    assert took(plane, here, there) == 0.0
    after = killed(plane)
    assert after.cluster.faults.node_states()["test-worker"] == ["slow"]
    assert is_ready(after.client.get("nodes", "test-worker"))
    after.cluster.start_node("test-worker")
    assert took(after, there, here) == 0.0
    assert after.cluster.faults.node_states()["test-worker"] == []


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        (lambda faults: faults.slow_path("default/nobody", "default/nobody", 1), "there is no pod 'default/nobody'"),
        (lambda faults: faults.slow_path("a", "b", 100), "a delay is 0 to 60 seconds, not 100"),
        (lambda faults: faults.lossy_path("a", "b", 2), "a loss is 0 to 100 percent, not 200%"),
        (lambda faults: faults.slow_node("nowhere"), "there is no node 'nowhere'"),
        (lambda faults: faults.stop_controller("kube-scheduler"), "there is no controller 'kube-scheduler'"),
    ],
)
def test_what_cannot_be_impaired_is_refused(plane: Plane, broken: Callable[[Any], None], why: str) -> None:
    with pytest.raises(HostError, match=why):
        broken(plane.cluster.faults)


def test_without_kube_proxy_a_node_keeps_the_rules_it_has(plane: Plane) -> None:
    web(plane, replicas=1)
    nodes = {name: node.address for name, node in plane.cluster.network.nodes.items()}
    plane.cluster.stop_component("kube-proxy/test-worker")
    plane = killed(plane)
    assert not plane.cluster.components()["kube-proxy/test-worker"]
    assert plane.cluster.components()["kube-proxy/test-worker2"]
    old = plane.client.get("services", "web", "default")["spec"]["clusterIP"]
    new = plane.service("new", selector={"app": "web"})["spec"]["clusterIP"]
    plane.settle(5)
    assert {name: _asked(plane, address, old) for name, address in nodes.items()} == dict.fromkeys(nodes, "answered")
    answers = {name: _asked(plane, address, new) for name, address in nodes.items()}
    assert answers == {"test-control-plane": "answered", "test-worker": "nothing", "test-worker2": "answered"}
    plane.cluster.start_component("kube-proxy/test-worker")
    plane.settle(5)
    assert _asked(plane, nodes["test-worker"], new) == "answered"


def _asked(plane: Plane, source: str, address: str) -> str:
    task = spawn(plane.cluster.network.request(source, address, 80, HTTPRequest()))
    plane.settle(3)
    return "answered" if task.done and task.error is None else "nothing"
