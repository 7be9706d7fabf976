"""Endpoints and slices follow readiness."""

from __future__ import annotations

import pytest

from simkube.client.client import Obj
from tests.doubles.control_plane import Plane, SlowKubelet

SLICES = "endpointslices.discovery.k8s.io"


@pytest.fixture
def plane() -> Plane:
    plane = Plane()
    plane.node("one")
    return plane


def subsets(plane: Plane, name: str = "web") -> list[Obj]:
    found: list[Obj] = plane.client.get("endpoints", name, "default").get("subsets") or []
    return found


def addresses(plane: Plane, kind: str = "addresses") -> int:
    return sum(len(subset.get(kind, ())) for subset in subsets(plane))


def slices(plane: Plane, name: str = "web") -> list[Obj]:
    return plane.client.list(SLICES, "default", labels=f"kubernetes.io/service-name={name}")


def conditions(plane: Plane) -> list[tuple[bool, bool, bool]]:
    return sorted(
        (each["conditions"]["ready"], each["conditions"]["serving"], each["conditions"]["terminating"])
        for found in slices(plane)
        for each in found.get("endpoints") or ()
    )


def test_an_empty_service_has_an_empty_slice(plane: Plane) -> None:
    plane.service()
    plane.settle()
    assert subsets(plane) == []
    (only,) = slices(plane)
    assert (only["endpoints"], only["ports"]) == (None, None)


def test_follow_readiness() -> None:
    plane = Plane()
    plane.node("one", SlowKubelet)
    plane.service()
    plane.deploy(replicas=2)
    plane.settle(1)
    assert (addresses(plane), addresses(plane, "notReadyAddresses")) == (0, 2)
    assert conditions(plane) == [(False, False, False)] * 2
    plane.settle(15)
    assert (addresses(plane), addresses(plane, "notReadyAddresses")) == (2, 0)
    assert conditions(plane) == [(True, True, False)] * 2
    assert len(slices(plane)) == 1  # the empty one was used


def test_a_terminating_pod_serves_but_is_not_ready(plane: Plane) -> None:
    plane.service()
    plane.pod("a", labels={"app": "web"})
    plane.settle()
    plane.cluster.kubelets["one"].stop()
    plane.client.delete("pods", "a", "default")
    plane.settle()
    assert addresses(plane) == 0
    assert conditions(plane) == [(False, True, True)]


def test_publishes_pods_that_are_not_ready_when_told_to() -> None:
    plane = Plane()
    plane.node("one", SlowKubelet)
    plane.service(publishNotReadyAddresses=True, clusterIP="None")
    plane.pod("a", labels={"app": "web"})
    plane.settle(1)
    assert addresses(plane) == 1
    assert conditions(plane) == [(True, False, False)]
    assert "service.kubernetes.io/headless" in plane.client.get("endpoints", "web", "default")["metadata"]["labels"]


def test_named_ports_are_each_pods_own(plane: Plane) -> None:
    plane.service(ports=[{"name": "http", "port": 80, "targetPort": "http"}])
    for name, port in (("a", 8080), ("b", 8081)):
        container = {"name": "a", "image": "a:1", "ports": [{"name": "http", "containerPort": port}]}
        plane.pod(name, labels={"app": "web"}, containers=[container])
    plane.pod("portless", labels={"app": "web"})
    plane.settle()
    assert [subset["ports"][0]["port"] for subset in subsets(plane)] == [8080, 8081]
    assert sorted(found["ports"][0]["port"] for found in slices(plane)) == [8080, 8081]
    assert addresses(plane) == 2


def test_slices_hold_a_hundred_and_change_one_at_a_time(plane: Plane) -> None:
    plane.node("two", amounts={"cpu": "400", "memory": "800Gi", "pods": "500"})
    plane.service()
    plane.deploy(replicas=230)
    plane.settle(5)
    sizes = sorted(len(found["endpoints"]) for found in slices(plane))
    assert sizes == [30, 100, 100]
    before = {found["metadata"]["name"]: found["metadata"]["resourceVersion"] for found in slices(plane)}
    plane.client.patch("pods", plane.pods()[0]["metadata"]["name"], {"metadata": {"labels": {"app": "x"}}}, "default")
    plane.settle(5)
    assert sum(len(found["endpoints"] or ()) for found in slices(plane)) == 230
    after = {found["metadata"]["name"]: found["metadata"]["resourceVersion"] for found in slices(plane)}
    assert sum(before[name] != version for name, version in after.items()) <= 2


def test_come_back_when_deleted_and_go_with_their_service(plane: Plane) -> None:
    plane.service()
    plane.pod("a", labels={"app": "web"})
    plane.settle()
    plane.client.delete("endpoints", "web", "default")
    plane.client.delete(SLICES, slices(plane)[0]["metadata"]["name"], "default")
    plane.settle()
    assert addresses(plane) == 1
    assert conditions(plane) == [(True, True, False)]
    plane.client.delete("services", "web", "default")
    plane.settle()
    assert slices(plane) == []
    assert "web" not in [each["metadata"]["name"] for each in plane.client.list("endpoints", "default")]


def test_another_selector_finds_other_pods(plane: Plane) -> None:
    plane.service()
    plane.pod("b", labels={"app": "other"})
    plane.settle()
    assert addresses(plane) == 0
    plane.client.patch("services", "web", {"spec": {"selector": {"app": "other"}}}, "default")
    plane.settle()
    assert subsets(plane)[0]["addresses"][0]["targetRef"]["name"] == "b"


def test_endpoints_by_hand_are_mirrored(plane: Plane) -> None:
    plane.service("manual", selector=None)
    subset = {"addresses": [{"ip": "192.0.2.9"}], "ports": [{"port": 5432}]}
    endpoints = {"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "manual"}, "subsets": [subset]}
    plane.client.create("endpoints", endpoints, "default")
    plane.settle()
    (mirror,) = slices(plane, "manual")
    assert [each["addresses"] for each in mirror["endpoints"]] == [["192.0.2.9"]]
    assert mirror["ports"][0]["port"] == 5432
    patch = {"subsets": [{**subset, "addresses": [{"ip": "192.0.2.10"}]}]}
    plane.client.patch("endpoints", "manual", patch, "default")
    plane.settle()
    (mirror,) = slices(plane, "manual")
    assert [each["addresses"] for each in mirror["endpoints"]] == [["192.0.2.10"]]
    plane.client.delete("endpoints", "manual", "default")
    plane.settle()
    assert slices(plane, "manual") == []


def test_the_api_servers_own_endpoints_are_not_mirrored(plane: Plane) -> None:
    assert [each["metadata"]["name"] for each in slices(plane, "kubernetes")] == ["kubernetes"]
