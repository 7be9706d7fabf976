"""What each fault does to whoever asks, on every provider that offers it, and that healing ends all of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from labs.clusters.dynamic_client import APIError, DynamicClient
from labs.clusters.provider import Fault, Faults, Handle, Provider
from tests.conftest import SharedClusters, shared_spec

NAMESPACE = "faults"
BASE = f"/api/v1/namespaces/{NAMESPACE}"
DEPLOYMENTS = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments"
SETTLE_SECONDS = 120.0


@dataclass
class World:
    """A cluster of three nodes with a client on the first worker, and a server on each worker behind a Service."""

    objects: DynamicClient
    faults: Faults
    workers: list[str]

    def address(self, pod: str) -> str:
        """Of a pod; "" while it has none."""
        return str(self.objects.request("GET", f"{BASE}/pods/{pod}")["status"].get("podIP", ""))

    def ask(self, host: str, port: int = 8080, count: int = 1, timeout: int = 1500) -> list[dict[str, Any]]:
        """What became of requests of the client's."""
        body = {"url": f"http://{host}:{port}/healthz", "count": count, "timeout_ms": timeout}
        return list(self.objects.proxied(f"{BASE}/pods/client:8080", "/request", body))

    def answers(self, host: str, port: int = 8080) -> bool:
        """Whether one is answered."""
        return bool(self.ask(host, port)[0]["status"] == 200)


def until(condition: Callable[[], object], what: str) -> None:
    """Wait for something; an API server that is away is waited for too."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while True:
        try:
            if condition():
                return
        except APIError:
            pass
        assert time.monotonic() < deadline, f"not within {SETTLE_SECONDS:g} s: {what}"
        time.sleep(0.2)  # between two looks at a cluster that other processes change


def pod(name: str, node: str, arguments: list[str]) -> dict[str, Any]:
    """A pod of the labs' image on a node."""
    container = {
        "name": "web",
        "image": "kindling/web:1.0",
        "args": arguments,
        "env": [{"name": "PORT", "value": "8080"}],
    }
    spec = {"nodeName": node, "terminationGracePeriodSeconds": 0, "containers": [container]}
    return {"metadata": {"name": name, "labels": {"app": name}}, "spec": spec}


def service(name: str, target: str) -> dict[str, Any]:
    """A Service in front of a pod."""
    spec = {"selector": {"app": target}, "ports": [{"port": 80, "targetPort": 8080}]}
    return {"metadata": {"name": name}, "spec": spec}


@pytest.fixture(scope="module")
def three_nodes(provider: Provider, clusters: SharedClusters) -> Handle:
    return clusters.at_start(provider, shared_spec("three-node"))[0]


@pytest.fixture(scope="module")
def made(provider: Provider, three_nodes: Handle) -> Iterator[World]:
    with DynamicClient(provider.credentials(three_nodes, "grader")) as objects:
        nodes = objects.request("GET", "/api/v1/nodes")["items"]
        workers = sorted(one["metadata"]["name"] for one in nodes if "worker" in one["metadata"]["name"])
        objects.request("POST", "/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
        until(lambda: objects.request("GET", f"{BASE}/serviceaccounts/default"), "a service account")
        for each in (
            pod("client", workers[0], ["probe"]),
            pod("near", workers[0], []),
            pod("far", workers[1], []),
        ):
            until(partial(objects.request, "POST", f"{BASE}/pods", each), "a token for the account of pods")
        objects.request("POST", f"{BASE}/services", service("far", "far"))
        world = World(objects, provider.faults(three_nodes), workers)
        until(lambda: world.answers(world.address("far")) and world.answers(f"far.{NAMESPACE}", 80), "an answer")
        yield world
        objects.request("DELETE", f"/api/v1/namespaces/{NAMESPACE}")


@pytest.fixture
def world(made: World) -> Iterator[World]:
    """It, healed afterwards and as it was before."""
    yield made
    made.faults.heal()
    until(lambda: made.answers(made.address("near")) and made.answers(made.address("far")), "answers after healing")
    until(lambda: made.answers(f"far.{NAMESPACE}", 80), "a name's answer after healing")


def test_a_provider_offers_each_fault_or_says_why_not(provider: Provider) -> None:
    has = provider.capabilities()
    lacking = frozenset(Fault) - has.faults
    assert all(has.why_not[fault] for fault in lacking)
    assert not has.faults & has.why_not.keys()


def test_a_fault_that_is_not_offered_is_refused(provider: Provider, world: World) -> None:
    for fault in frozenset(Fault) - provider.capabilities().faults:
        with pytest.raises(Exception, match=provider.capabilities().why_not[fault]):
            world.faults.inject(fault, world.workers[1])


def test_a_node_cut_off_is_not_reached_and_runs_on(world: World) -> None:
    far, near = world.address("far"), world.address("near")
    world.faults.inject(Fault.CUT_NODE, world.workers[1])
    world.faults.inject(Fault.CUT_NODE, world.workers[1])
    assert world.ask(far)[0]["error"] == "timeout"
    assert world.answers(near)
    world.faults.inject(Fault.START_NODE, world.workers[1])
    until(lambda: world.answers(far), "an answer of the node that is back")
    with pytest.raises(ValueError, match="cut off a worker"):
        world.faults.inject(Fault.CUT_NODE, world.workers[0].replace("worker", "control-plane"))


def test_what_is_on_a_slow_node_answers_late(world: World) -> None:
    far = world.address("far")
    world.faults.inject(Fault.SLOW_NODE, world.workers[1])
    until(lambda: max(one["ms"] for one in world.ask(far, count=4, timeout=5000)) >= 150, "a late answer")
    assert all(one["status"] == 200 for one in world.ask(far, count=4, timeout=5000))


def test_a_path_loses_what_it_is_told_to_and_no_other_does(world: World) -> None:
    far, near = world.address("far"), world.address("near")
    for target, host in (("far", far), ("near", near)):
        path = f"{NAMESPACE}/client {NAMESPACE}/{target}"
        world.faults.inject(Fault.LOSSY_PATH, f"{path} 100%")
        assert world.ask(host)[0]["error"] == "timeout"
        assert world.answers(far if target == "near" else near)
        world.faults.inject(Fault.MEND_PATH, path)
        assert world.answers(host)
    world.faults.inject(Fault.LOSSY_PATH, f"{NAMESPACE}/client {NAMESPACE}/far 100%")
    assert world.ask(f"far.{NAMESPACE}", 80)[0]["error"] == "timeout"  # through its Service too


def test_answers_on_a_slow_path_are_late(provider: Provider, world: World) -> None:
    if Fault.SLOW_PATH not in provider.capabilities().faults:
        pytest.skip(provider.capabilities().why_not[Fault.SLOW_PATH])
    world.faults.inject(Fault.SLOW_PATH, f"{NAMESPACE}/client {NAMESPACE}/far 300ms")
    assert world.ask(world.address("far"))[0]["ms"] >= 300
    assert world.ask(world.address("near"))[0]["ms"] < 300


def test_without_a_kubelet_pods_run_on_and_none_begins(world: World) -> None:
    world.faults.inject(Fault.STOP_COMPONENT, f"kubelet/{world.workers[1]}")
    assert world.answers(world.address("far"))
    world.objects.request("POST", f"{BASE}/pods", pod("late", world.workers[1], []))
    time.sleep(2.0)  # holding: nothing may begin
    assert world.objects.request("GET", f"{BASE}/pods/late")["status"]["phase"] == "Pending"
    world.faults.inject(Fault.START_COMPONENT, f"kubelet/{world.workers[1]}")
    until(lambda: world.objects.request("GET", f"{BASE}/pods/late")["status"]["phase"] == "Running", "the late pod")
    world.objects.request("DELETE", f"{BASE}/pods/late?gracePeriodSeconds=0")


def test_without_kube_proxy_a_node_learns_of_no_new_service(world: World) -> None:
    world.faults.inject(Fault.STOP_COMPONENT, f"kube-proxy/{world.workers[0]}")
    found = world.objects.request("POST", f"{BASE}/services", service("new", "far"))
    time.sleep(2.0)  # holding: as long as any other kube-proxy takes
    assert not world.answers(found["spec"]["clusterIP"], 80)
    assert world.answers(f"far.{NAMESPACE}", 80)
    world.faults.heal()
    until(lambda: world.answers(found["spec"]["clusterIP"], 80), "the new Service")
    world.objects.request("DELETE", f"{BASE}/services/new")


def test_without_coredns_no_name_is_known(world: World) -> None:
    assert world.answers(f"near.{NAMESPACE}", 80) is False  # no such Service
    world.faults.inject(Fault.STOP_COMPONENT, "coredns")
    assert world.answers(world.address("far"))
    until(lambda: not world.answers(f"far.{NAMESPACE}.svc.cluster.local", 80), "a name that is not known")
    world.faults.inject(Fault.START_COMPONENT, "coredns")
    until(lambda: world.answers(f"far.{NAMESPACE}", 80), "a name that is known again")


def test_without_its_controller_a_deployment_has_no_pods(world: World) -> None:
    world.faults.inject(Fault.STOP_CONTROLLER, "deployment-controller")
    template = {"metadata": {"labels": {"app": "made"}}, "spec": pod("made", "", [])["spec"]}
    del template["spec"]["nodeName"]
    spec = {"replicas": 1, "selector": {"matchLabels": {"app": "made"}}, "template": template}
    world.objects.request("POST", DEPLOYMENTS, {"metadata": {"name": "made"}, "spec": spec})
    time.sleep(2.0)  # holding: nothing may be made
    sets = DEPLOYMENTS.replace("deployments", "replicasets")
    assert world.objects.request("GET", sets)["items"] == []
    world.faults.inject(Fault.START_CONTROLLER, "deployment-controller")
    until(lambda: world.objects.request("GET", f"{DEPLOYMENTS}/made").get("status", {}).get("readyReplicas"), "a pod")
    world.objects.request("DELETE", f"{DEPLOYMENTS}/made")
    with pytest.raises(ValueError, match="there is no controller 'no-such-controller'; the nearest"):
        world.faults.inject(Fault.STOP_CONTROLLER, "no-such-controller")


@pytest.mark.parametrize("component", ["kube-apiserver", "etcd"])
def test_without_api_server_or_etcd_nothing_is_answered(world: World, component: str) -> None:
    world.faults.inject(Fault.STOP_COMPONENT, component)
    with pytest.raises(APIError):
        world.objects.request("GET", f"{BASE}/pods")
    world.faults.inject(Fault.START_COMPONENT, component)
    assert len(world.objects.request("GET", f"{BASE}/pods")["items"]) >= 3
