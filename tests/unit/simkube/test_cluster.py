"""A whole cluster: comes up, is broken and healed by name, comes back from its store, runs in real time, idles."""

from __future__ import annotations

import asyncio
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from simkube.apimachinery.errors import HostError, StatusError
from simkube.client.client import Client, Obj
from simkube.clock.clock import Clock, spawn
from simkube.clock.pace import PacedClock
from simkube.cluster.cluster import Cluster
from simkube.cluster.topology import read, seconds
from simkube.component_helpers.pods import is_ready
from simkube.etcd.journal import Journal
from simkube.etcd.store import Store
from simkube.eventloop.fairness import Shares
from simkube.runtime.cri import HTTPRequest, NetworkError
from tests.doubles.control_plane import START, Plane

ROOT = Path(__file__).parents[3]


def topology(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "kind-configs" / f"{name}.yaml").read_text())
    return found


@pytest.fixture
def plane() -> Plane:
    return Plane(topology("three-node"))


def web(plane: Plane, replicas: int = 2) -> None:
    plane.deploy(replicas=replicas, image="kindling/web:1.0")
    plane.service()
    plane.settle(5)


def ready(plane: Plane) -> list[Obj]:
    return [pod for pod in plane.pods() if is_ready(pod) and "deletionTimestamp" not in pod["metadata"]]


def test_comes_up_with_what_every_cluster_has(plane: Plane) -> None:
    names = [each["metadata"]["name"] for each in plane.client.list("namespaces")]
    assert sorted(names) == ["default", "kube-node-lease", "kube-public", "kube-system"]
    nodes = {each["metadata"]["name"]: each for each in plane.client.list("nodes")}
    assert sorted(nodes) == ["test-control-plane", "test-worker", "test-worker2"]
    assert all(is_ready(node) for node in nodes.values())
    (taint,) = nodes["test-control-plane"]["spec"]["taints"]
    assert taint["key"] == "node-role.kubernetes.io/control-plane"
    assert "taints" not in nodes["test-worker"]["spec"]
    assert plane.client.get("services", "kubernetes", "default")["spec"]["clusterIP"] == "10.96.0.1"
    for name in names:
        assert plane.client.get("serviceaccounts", "default", name)
        assert plane.client.get("configmaps", "kube-root-ca.crt", name)["data"] == {"ca.crt": "CA"}


def test_a_single_node_takes_pods() -> None:
    plane = Plane(topology("single"))
    web(plane)
    assert {pod["spec"]["nodeName"] for pod in ready(plane)} == {"test-control-plane"}


@pytest.mark.parametrize("fault", ["stop_node", "pause_node"])
def test_a_lost_node_is_replaced_and_comes_back(plane: Plane, fault: str) -> None:
    web(plane, replicas=4)
    getattr(plane.cluster, fault)("test-worker")
    plane.settle(60)
    assert {pod["spec"]["nodeName"] for pod in ready(plane)} == {"test-worker2"}
    assert len(ready(plane)) == 4
    addresses = plane.client.get("endpoints", "web", "default")["subsets"][0]["addresses"]
    assert {each["nodeName"] for each in addresses} == {"test-worker2"}
    plane.cluster.start_node("test-worker")
    plane.settle(60)
    assert is_ready(plane.client.get("nodes", "test-worker"))
    assert len(plane.pods()) == 4


def test_a_killed_container_is_started_again(plane: Plane) -> None:
    web(plane, replicas=1)
    (pod,) = ready(plane)
    plane.cluster.kill_container("default", pod["metadata"]["name"], "web")
    plane.settle(5)
    (after,) = ready(plane)
    assert after["metadata"]["uid"] == pod["metadata"]["uid"]
    assert after["status"]["containerStatuses"][0]["restartCount"] == 1


def test_faults_name_what_there_is(plane: Plane) -> None:
    with pytest.raises(HostError, match=r"no node 'mars'; there are: test-control-plane, test-worker, test-worker2"):
        plane.cluster.stop_node("mars")
    with pytest.raises(HostError, match=r"no component 'kube-mars'; the nearest of \d+: (\S+, )?kube-proxy\b"):
        plane.cluster.stop_component("kube-mars")
    with pytest.raises(HostError, match="default/a/b does not run"):
        plane.cluster.kill_container("default", "a", "b")


@pytest.mark.parametrize("component", ["kube-apiserver", "etcd"])
def test_an_outage_keeps_what_runs_and_heals(plane: Plane, component: str) -> None:
    web(plane)
    plane.cluster.stop_component(component)
    assert plane.cluster.trouble is not None
    with pytest.raises(StatusError):
        plane.cluster.gate.list(plane.client.caller, "pods")
    plane.scale(3)  # what got in just before is done afterwards
    plane.settle(120)
    assert len(ready(plane)) == 2
    plane.cluster.start_component(component)
    plane.settle(5)
    assert plane.cluster.trouble is None
    assert len(ready(plane)) == 3
    assert all(is_ready(node) for node in plane.client.list("nodes"))


def test_the_control_plane_goes_with_its_node(plane: Plane) -> None:
    plane.cluster.stop_component("kube-scheduler")
    plane.cluster.stop_node("test-control-plane")
    assert not plane.cluster.reachable
    plane.settle(5)
    plane.cluster.start_node("test-control-plane")
    plane.settle(5)
    assert plane.cluster.reachable
    assert not plane.cluster.components()["kube-scheduler"]  # was stopped for another reason
    plane.cluster.heal()
    assert all(plane.cluster.components().values())


def test_faults_may_be_injected_twice(plane: Plane) -> None:
    for _ in range(2):
        plane.cluster.stop_node("test-worker")
        plane.cluster.stop_component("kube-scheduler")
    plane.settle(1)
    for _ in range(2):
        plane.cluster.heal()
    plane.settle(60)
    web(plane)
    assert len(ready(plane)) == 2


def test_comes_back_from_its_store() -> None:
    journal, clock = Journal(), Clock(start=START)
    before = Cluster("c", Store(journal, "c"), clock, topology("three-node"))
    before.start()
    before.run_until_quiet()
    plane = Plane.__new__(Plane)
    plane.clock, plane.cluster, plane.client = clock, before, Client(before.apiserver, "kubectl", clock)
    web(plane)
    uids = {pod["metadata"]["uid"] for pod in plane.pods()}
    after = Cluster("c", Store(journal, "c"), clock, topology("three-node"))  # no orderly stop: kill -9
    after.start()
    after.run_until_quiet()
    client = Client(after.apiserver, "kubectl", clock)
    after.advance(5)
    assert {pod["metadata"]["uid"] for pod in client.list("pods", "default") if is_ready(pod)} == uids
    client.patch("deployments.apps", "web", {"spec": {"replicas": 3}}, "default")
    after.advance(5)
    assert len([pod for pod in client.list("pods", "default") if is_ready(pod)]) == 3


def killed(plane: Plane) -> Plane:
    """The cluster as the next host finds it after ``kill -9``."""
    after = Plane.__new__(Plane)
    after.clock, after.journal = Clock(start=plane.clock.now()), plane.journal
    after.store = Store(plane.journal, "test")
    after.cluster = Cluster("test", after.store, after.clock, topology("three-node"), ca="CA")
    after.client = Client(after.cluster.apiserver, "kubectl", after.clock)
    after.cluster.start()
    after.settle()
    return after


@pytest.mark.parametrize("fault", ["stop_node", "pause_node"])
def test_a_lost_node_is_still_lost_after_kill_9_and_can_be_healed(plane: Plane, fault: str) -> None:
    web(plane, replicas=4)
    getattr(plane.cluster, fault)("test-worker")
    plane.cluster.stop_component("coredns")
    after = killed(plane)
    assert not after.cluster.components()["kubelet/test-worker"]
    assert not after.cluster.components()["coredns"]
    after.settle(60)
    assert not is_ready(after.client.get("nodes", "test-worker"))
    assert {pod["spec"]["nodeName"] for pod in ready(after)} == {"test-worker2"}
    after.cluster.heal()
    after.settle(60)
    assert is_ready(after.client.get("nodes", "test-worker"))
    assert len(after.pods()) == 4
    assert all(killed(after).cluster.components().values())


@pytest.mark.parametrize(("fault", "restarts"), [("stop_node", 1), ("pause_node", 0)])
def test_what_ran_on_a_lost_node_goes_on_or_starts_again(fault: str, restarts: int) -> None:
    plane = Plane(topology("three-node"))
    plane.pod("a", nodeName="test-worker", containers=[{"name": "a", "image": "kindling/web:1.0"}])
    plane.settle(5)
    getattr(plane.cluster, fault)("test-worker")
    after = killed(plane)
    after.settle(2)
    after.cluster.start_node("test-worker")
    after.settle(5)
    (pod,) = after.pods()
    assert is_ready(pod)
    assert pod["status"]["containerStatuses"][0]["restartCount"] == restarts


def test_the_control_plane_stays_away_with_its_node_after_kill_9(plane: Plane) -> None:
    plane.cluster.stop_node("test-control-plane")
    after = killed(plane)
    assert not after.cluster.reachable
    assert not after.cluster.components()["kube-scheduler"]
    after.cluster.heal()
    after.settle(5)
    assert all(after.cluster.components().values())
    assert is_ready(after.client.get("nodes", "test-control-plane"))


def test_leases_are_true_when_read_and_cost_no_writes(plane: Plane) -> None:
    def renewed(name: str) -> float:
        spec = plane.client.get("leases.coordination.k8s.io", name, "kube-node-lease")["spec"]
        assert (spec["holderIdentity"], spec["leaseDurationSeconds"]) == (name, 40)
        return datetime.fromisoformat(spec["renewTime"]).timestamp()

    revision = plane.store.revision
    plane.settle(1000)
    assert plane.store.revision == revision
    assert plane.clock.now() - renewed("test-worker") < 10
    plane.cluster.stop_component("kubelet/test-worker")
    stopped = plane.clock.now()
    plane.settle(100)
    assert stopped - 10 < renewed("test-worker") <= stopped
    (*leases,) = plane.client.list("leases.coordination.k8s.io", "kube-node-lease")
    assert len({each["spec"]["renewTime"] for each in leases}) == 2
    plane.client.delete("nodes", "test-worker")
    plane.settle(5)
    assert len(plane.client.list("leases.coordination.k8s.io", "kube-node-lease")) == 2


def test_a_snapshot_holds_the_files_of_containers() -> None:
    plane = Plane(topology("single"))
    mounts = [{"name": "data", "mountPath": "/data"}]
    box = {"name": "a", "image": "busybox:1.36", "command": ["sh", "-c", "echo one >> /data/file; sleep 100000"]}
    plane.pod("a", volumes=[{"name": "data", "emptyDir": {}}], containers=[{**box, "volumeMounts": mounts}])
    plane.settle(5)
    uid = plane.pods()[0]["metadata"]["uid"]

    def sh(script: str) -> str:
        out: list[bytes] = []
        (kubelet,) = plane.cluster.kubelets.values()
        container = kubelet.container(uid, "a")
        assert container is not None
        session = container.exec(["sh", "-c", script], lambda _, data: out.append(data))
        plane.settle(1)
        assert session.exited.done
        return b"".join(out).decode()

    sh("echo setup > /data/setup; echo log > /proc/1/fd/1")
    plane.cluster.snapshot()
    sh("echo mine > /data/mine; echo changed > /data/setup; rm /data/file; echo mine > /tmp/mine")
    plane.cluster.stop()
    assert plane.store.restore()
    plane.cluster = Cluster("test", plane.store, plane.clock, topology("single"))
    plane.client = Client(plane.cluster.apiserver, "kubectl", plane.clock)
    plane.cluster.start()
    plane.settle(1)
    assert sh("ls /data /tmp; cat /data/setup") == "/data:\nfile\nsetup\n\n/tmp:\nsetup\n"


def test_the_same_happens_in_the_same_order() -> None:
    def run() -> list[tuple[str, str]]:
        plane = Plane(topology("three-node"))
        plane.deploy(image="kindling/web:1.0")
        steps: list[tuple[str, str]] = []
        while (step := plane.cluster.step()) is not None:
            steps.append((step[0], str(step[1]) if step[0] in ("deployment-controller", "kube-scheduler") else ""))
        return [(name, key.partition("-")[0]) for name, key in steps]

    assert run() == run()


def test_events_go_after_an_hour(plane: Plane) -> None:
    plane.settle(3500)
    assert plane.client.list("events") != []
    plane.settle(200)
    assert plane.client.list("events") == []


def test_an_idle_cluster_does_nothing(plane: Plane) -> None:
    web(plane)
    plane.settle(700)
    revision, before = plane.store.revision, plane.cluster.work.done
    plane.settle(1200)
    assert plane.store.revision == revision
    assert plane.cluster.work.done == before


def test_runs_live_and_shares_the_loop() -> None:
    """Three clusters become ready on one loop, which comes back to others many times meanwhile."""

    async def scenario() -> tuple[int, int]:
        aio = asyncio.get_running_loop()
        clusters = []
        for number in range(3):
            store = Store(Journal(), f"c{number}")
            cluster = Cluster(f"c{number}", store, PacedClock(store.side), topology("single"))
            cluster.start()
            cluster.run_live(aio, Shares().open())
            plane = Plane.__new__(Plane)
            plane.client = Client(cluster.apiserver, "kubectl", cluster.clock)
            plane.deploy(replicas=20, image="kindling/web:1.0")
            clusters.append((cluster, plane))
        turns, done, deadline = 0, 0, time.monotonic() + 60
        while done < 60 and time.monotonic() < deadline:
            await asyncio.sleep(0)
            turns += 1
            done = sum(len(ready(plane)) for _, plane in clusters)
        for cluster, _ in clusters:
            cluster.stop()
        return done, turns

    done, turns = asyncio.run(scenario())
    assert done == 60
    assert turns > 3  # as many as there are clusters: no one of them ran to its end in one go


def test_topologies_are_read_as_kind_reads_them() -> None:
    three = read(topology("three-node"), "c")
    assert (three.unreachable_toleration, three.node_monitor_grace_period) == (10.0, 16.0)
    assert [node.name for node in three.nodes] == ["c-control-plane", "c-worker", "c-worker2"]
    assert read({}, "c").nodes[0].taints == ()
    with pytest.raises(HostError, match="feature-gates of this topology is not simulated"):
        read({"kubeadmConfigPatches": ["apiServer: {extraArgs: {feature-gates: X=true}}"]}, "c")
    assert seconds("1m30s", "x") == 90.0
    with pytest.raises(HostError, match="x is a duration such as 16s, not 'soon'"):
        seconds("soon", "x")


def test_services_are_routed_by_name_from_inside(plane: Plane) -> None:
    web(plane)
    (pod, *_) = ready(plane)
    network = plane.cluster.network

    async def ask(host: str) -> str:
        return (await network.request(pod["status"]["podIP"], host, 80, HTTPRequest())).body.decode()

    def answer(host: str) -> str:
        task = spawn(ask(host))
        plane.settle(5)
        return task.result()

    assert {answer("web.default.svc.cluster.local").split()[2] for _ in range(12)} == {
        f"{each['metadata']['name']}," for each in ready(plane)
    }
    plane.cluster.stop_component("coredns")
    asked = spawn(ask("web.default.svc.cluster.local"))
    plane.settle(60)
    with pytest.raises(NetworkError):
        asked.result()
    address = plane.client.get("services", "web", "default")["spec"]["clusterIP"]
    plane.cluster.stop_component("kube-proxy")
    assert "version 1.0" in answer(address)  # rules stay
