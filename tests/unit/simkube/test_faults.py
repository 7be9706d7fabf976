"""Single controllers, nodes cut off and out of memory: what Kubernetes does about them; kill -9 changes nothing."""

from __future__ import annotations

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
