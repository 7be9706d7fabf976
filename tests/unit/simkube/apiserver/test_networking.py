"""The kinds of networking.k8s.io and the objects of service addresses, through the API server."""

from __future__ import annotations

from typing import Any

import pytest

from simkube.apimachinery.errors import StatusError
from simkube.apiserver.registry.services.warnings import of_service
from tests.doubles.control_plane import Plane

Obj = dict[str, Any]
API = "networking.k8s.io/v1"
INGRESSES, CLASSES = "ingresses.networking.k8s.io", "ingressclasses.networking.k8s.io"
POLICIES, RANGES, ADDRESSES = (
    "networkpolicies.networking.k8s.io",
    "servicecidrs.networking.k8s.io",
    "ipaddresses.networking.k8s.io",
)
BACKEND = {"service": {"name": "web", "port": {"number": 80}}}


@pytest.fixture
def plane() -> Plane:
    return Plane()


def ingress(spec: Obj, **meta: Any) -> Obj:
    return {"apiVersion": API, "kind": "Ingress", "metadata": {"name": "a", **meta}, "spec": spec}


def rule(path: Any, kind: Any = "Prefix", backend: Obj = BACKEND, host: str = "a.example.org") -> Obj:
    return {"rules": [{"host": host, "http": {"paths": [{"path": path, "pathType": kind, "backend": backend}]}}]}


def refused(plane: Plane, resource: str, obj: Obj, namespace: str = "default") -> str:
    with pytest.raises(StatusError) as caught:
        plane.client.create(resource, obj, namespace)
    assert caught.value.code == 422
    return caught.value.message.partition(" is invalid: ")[2]


@pytest.mark.parametrize("patch", [{"clusterIP": "10.96.0.103"}, {"clusterIPs": ["10.96.0.103"]}])
def test_the_address_of_a_service_does_not_change(plane: Plane, patch: Obj) -> None:
    plane.client.create("services", service("web", clusterIP="10.96.0.101"), "default")
    changed = r'clusterIPs\[0\]: Invalid value: \["10.96.0.103"\]: may not change once set'
    with pytest.raises(StatusError, match=changed):
        plane.client.patch("services", "web", {"spec": patch}, "default")


def test_who_empties_the_address_of_a_service_gets_the_same(plane: Plane) -> None:
    made = plane.client.create("services", service("web"), "default")
    emptied = {**made, "spec": {**made["spec"], "clusterIP": ""}}
    assert plane.client.update("services", emptied)["spec"]["clusterIPs"] == made["spec"]["clusterIPs"]


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({}, "spec: Invalid value: null: either `defaultBackend` or `rules` must be specified"),
        (rule("x"), 'path: Invalid value: "x": must be an absolute path'),
        (rule("/a//b"), "must not contain '//'"),
        (rule("/a/.."), "cannot end with '/..'"),
        (rule("/", "Near"), 'Unsupported value: "Near": supported values: "Exact", "ImplementationSpecific", "Prefix"'),
        (rule("/", backend={}), "resource or service backend is required"),
        (rule("/", backend={"service": {"name": "web"}}), "port name or number is required"),
        (rule("/", backend={"service": {"name": "web", "port": {"name": "a", "number": 1}}}), "cannot set both port"),
        (rule("/", backend={"service": {"name": "web", "port": {"number": 70000}}}), "between 1 and 65535"),
        (rule("/", host="10.0.0.1"), "must be a DNS name, not an IP address"),
        (rule("/", host="*.*.org"), "a wildcard DNS-1123 subdomain must start with '*.'"),
        ({**rule("/"), "tls": [{"hosts": ["A"]}]}, "spec.tls[0].hosts[0]"),
        ({**rule("/"), "ingressClassName": "A"}, "spec.ingressClassName"),
    ],
)
def test_ingresses_that_are_refused(plane: Plane, spec: Obj, words: str) -> None:
    assert words in refused(plane, INGRESSES, ingress(spec))


def test_an_ingress_gets_the_default_class_and_keeps_its_status(plane: Plane) -> None:
    for name, default in (("old", "true"), ("other", "false")):
        meta = {"name": name, "annotations": {"ingressclass.kubernetes.io/is-default-class": default}}
        spec = {"controller": "example.org/c", "parameters": {"kind": "K", "name": "n"}}
        made = plane.client.create(CLASSES, {"apiVersion": API, "kind": "IngressClass", "metadata": meta, "spec": spec})
        assert made["spec"]["parameters"]["scope"] == "Cluster"
    made = plane.client.create(INGRESSES, ingress(rule("/")), "default")
    assert made["spec"]["ingressClassName"] == "old"
    assert (made["status"], made["metadata"]["generation"]) == ({"loadBalancer": {}}, 1)
    annotated = ingress(rule("/"), name="b", annotations={"kubernetes.io/ingress.class": "nginx"})
    assert "ingressClassName" not in plane.client.create(INGRESSES, annotated, "default")["spec"]
    changed = plane.client.patch(
        INGRESSES, "a", {"status": {"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}]}}}, "default"
    )
    assert changed["status"] == {"loadBalancer": {}}
    status = {"status": {"loadBalancer": {"ingress": [{"ip": "x"}]}}}
    with pytest.raises(StatusError, match="must be a valid IP address"):
        plane.client.patch(INGRESSES, "a", status, "default", subresource="status")


def test_the_controller_of_a_class_stays(plane: Plane) -> None:
    obj = {"apiVersion": API, "kind": "IngressClass", "metadata": {"name": "c"}, "spec": {"controller": "a.org/b"}}
    plane.client.create(CLASSES, obj)
    with pytest.raises(StatusError, match="field is immutable"):
        plane.client.patch(CLASSES, "c", {"spec": {"controller": "a.org/c"}})
    bad = {**obj, "metadata": {"name": "d"}, "spec": {"controller": "nginx"}}
    assert "must be a domain-prefixed path" in refused(plane, CLASSES, bad, "")


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"ingress": [{"from": [{}]}]}, "spec.ingress[0].from[0]: Required value: must specify a peer"),
        (
            {"ingress": [{"from": [{"ipBlock": {"cidr": "10.0.0.0/8"}, "podSelector": {}}]}]},
            "Forbidden: may not specify both ipBlock and another peer",
        ),
        (
            {"egress": [{"to": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["11.0.0.0/9"]}}]}]},
            "must be a strict subset of `cidr`",
        ),
        ({"ingress": [{"ports": [{"port": 5, "endPort": 4}]}]}, "must be greater than or equal to `port`"),
        ({"ingress": [{"ports": [{"port": "web", "endPort": 4}]}]}, "may not be specified when `port` is non-numeric"),
        ({"ingress": [{"ports": [{"endPort": 4}]}]}, "may not be specified when `port` is not specified"),
        ({"ingress": [{"ports": [{"protocol": "ICMP"}]}]}, 'supported values: "SCTP", "TCP", "UDP"'),
        ({"policyTypes": ["In"]}, 'supported values: "Egress", "Ingress"'),
    ],
)
def test_policies_that_are_refused(plane: Plane, spec: Obj, words: str) -> None:
    obj = {"apiVersion": API, "kind": "NetworkPolicy", "metadata": {"name": "a"}, "spec": spec}
    assert words in refused(plane, POLICIES, obj)


def test_policy_types_follow_from_the_rules(plane: Plane) -> None:
    obj = {"apiVersion": API, "kind": "NetworkPolicy", "metadata": {"name": "a"}, "spec": {"egress": [{}]}}
    made = plane.client.create(POLICIES, obj, "default")
    assert made["spec"] == {"podSelector": {}, "egress": [{}], "policyTypes": ["Ingress", "Egress"]}


def service(name: str, **spec: Any) -> Obj:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"ports": [{"port": 80}], **spec},
    }


def test_every_cluster_ip_is_an_object_as_long_as_its_service_has_it(plane: Plane) -> None:
    made = plane.client.create("services", service("web"), "default")
    address = made["spec"]["clusterIP"]
    shown = plane.client.get(ADDRESSES, address)
    assert shown["spec"]["parentRef"] == {"resource": "services", "namespace": "default", "name": "web"}
    plane.client.create("services", service("headless", clusterIP="None"), "default")
    assert {one["metadata"]["name"] for one in plane.client.list(ADDRESSES)} == {"10.96.0.1", address}
    plane.client.patch(
        "services", "web", {"spec": {"type": "ExternalName", "externalName": "a.b", "clusterIP": None}}, "default"
    )
    assert {one["metadata"]["name"] for one in plane.client.list(ADDRESSES)} == {"10.96.0.1"}
    again = plane.client.create("services", service("again", clusterIP=address), "default")
    assert plane.client.get(ADDRESSES, address)["spec"]["parentRef"]["name"] == "again"
    assert again["spec"]["clusterIPs"] == [address]
    plane.client.delete("services", "again", "default")
    assert {one["metadata"]["name"] for one in plane.client.list(ADDRESSES)} == {"10.96.0.1"}


def test_an_address_made_by_hand_is_not_given_out(plane: Plane) -> None:
    obj = {
        "apiVersion": API,
        "kind": "IPAddress",
        "metadata": {"name": "10.96.9.9"},
        "spec": {"parentRef": {"resource": "gateways", "group": "example.org", "name": "door"}},
    }
    plane.client.create(ADDRESSES, obj)
    assert "provided IP is already allocated" in refused(plane, "services", service("web", clusterIP="10.96.9.9"))
    bad = {**obj, "metadata": {"name": "10.96.009.9"}}
    assert "must be a valid IP address" in refused(plane, ADDRESSES, bad, "")


def test_a_range_can_be_added_used_and_ended(plane: Plane) -> None:
    own = plane.client.get(RANGES, "kubernetes")
    assert own["spec"] == {"cidrs": ["10.96.0.0/16"]}
    obj = {"apiVersion": API, "kind": "ServiceCIDR", "metadata": {"name": "more"}, "spec": {"cidrs": ["10.200.0.0/28"]}}
    outside = service("web", clusterIP="10.200.0.5")
    assert "does not match the current range" in refused(plane, "services", outside)
    plane.client.create(RANGES, obj)
    plane.settle()
    ready = plane.client.get(RANGES, "more")["status"]["conditions"][0]
    assert (ready["status"], ready["message"]) == ("True", "Kubernetes Service CIDR is ready")
    plane.client.create("services", outside, "default")
    plane.client.delete(RANGES, "more")
    plane.settle()
    ending = plane.client.get(RANGES, "more")
    assert ending["status"]["conditions"][0]["reason"] == "Terminating"
    assert "does not match the current range" in refused(plane, "services", service("b", clusterIP="10.200.0.6"))
    plane.client.delete("services", "web", "default")
    plane.settle()
    with pytest.raises(StatusError, match="not found"):
        plane.client.get(RANGES, "more")


@pytest.mark.parametrize(
    ("ranges", "words"),
    [
        ([], "at least one CIDR required"),
        (["10.0.0.0"], "must be a valid CIDR value"),
        (["10.0.0.1/24"], "must not have bits set beyond the prefix length"),
        (["10.0.0.0/24", "10.1.0.0/24"], "may specify no more than one IP for each IP family"),
        (["10.0.0.0/24", "fd00::/112", "10.1.0.0/24"], "may only hold up to 2 values"),
    ],
)
def test_ranges_that_are_refused(plane: Plane, ranges: list[str], words: str) -> None:
    obj = {"apiVersion": API, "kind": "ServiceCIDR", "metadata": {"name": "a"}, "spec": {"cidrs": ranges}}
    assert words in refused(plane, RANGES, obj, "")


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (
            {"sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 5}}},
            "must not be set when session affinity is None",
        ),
        (
            {"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 90000}}},
            "must be greater than 0 and less than 86400",
        ),
        ({"type": "NodePort", "externalTrafficPolicy": "Near"}, 'supported values: "Cluster", "Local"'),
        ({"type": "NodePort", "healthCheckNodePort": 30000}, "`externalTrafficPolicy` is 'Local'"),
        ({"loadBalancerSourceRanges": ["10.0.0.0/8"]}, "may only be used when `type` is 'LoadBalancer'"),
        ({"type": "LoadBalancer", "loadBalancerSourceRanges": ["10"]}, "must be a valid CIDR value"),
        ({"loadBalancerClass": "a.org/b"}, "may only be used when `type` is 'LoadBalancer'"),
        ({"ipFamilies": ["IPv6"]}, "not configured on this cluster"),
        ({"ipFamilyPolicy": "RequireDualStack"}, "not configured for dual-stack services"),
        ({"trafficDistribution": "Far"}, '"PreferClose", "PreferSameNode", "PreferSameZone"'),
    ],
)
def test_services_that_are_refused(plane: Plane, spec: Obj, words: str) -> None:
    assert words in refused(plane, "services", service("web", **spec))


def test_a_local_balancer_has_a_port_for_health_checks(plane: Plane) -> None:
    spec = {"type": "LoadBalancer", "externalTrafficPolicy": "Local"}
    made = plane.client.create("services", service("web", **spec), "default")
    assert 30000 <= made["spec"]["healthCheckNodePort"] <= 32767
    again = plane.client.patch("services", "web", {"metadata": {"labels": {"a": "b"}}}, "default")
    assert again["spec"]["healthCheckNodePort"] == made["spec"]["healthCheckNodePort"]


@pytest.mark.parametrize(
    ("spec", "warnings"),
    [
        ({"type": "ClusterIP", "clusterIP": "10.96.0.9"}, []),
        ({"type": "ClusterIP", "externalIPs": ["1.2.3.4"]}, ["spec.externalIPs is deprecated and may no longer be"]),
        (
            {"type": "ClusterIP", "clusterIP": "None", "externalIPs": ["1.2.3.4"], "sessionAffinity": "ClientIP"},
            ["spec.externalIPs is ignored for headless", "spec.SessionAffinity is ignored for headless"],
        ),
        ({"type": "NodePort", "externalName": "a.b"}, ["spec.externalName is ignored when spec.type is not"]),
        ({"type": "NodePort", "trafficDistribution": "PreferClose"}, ['"PreferClose" is deprecated']),
    ],
)
def test_warnings_about_services(spec: Obj, warnings: list[str]) -> None:
    found = list(of_service({"metadata": {}, "spec": {"sessionAffinity": "None", **spec}}, None))
    assert len(found) == len(warnings)
    assert all(words in text for words, text in zip(warnings, found, strict=True))


def test_the_address_of_a_service_that_is_deleted_comes_back(plane: Plane) -> None:
    address = plane.client.create("services", service("web"), "default")["spec"]["clusterIP"]
    plane.settle()
    plane.client.delete(ADDRESSES, address)
    plane.settle()
    assert plane.client.get(ADDRESSES, address)["spec"]["parentRef"]["name"] == "web"
    events = [one["reason"] for one in plane.client.list("events", "default")]
    assert events == ["ClusterIPNotAllocated"]
    plane.client.delete("services", "web", "default")
    plane.settle()
    assert {one["metadata"]["name"] for one in plane.client.list(ADDRESSES)} == {"10.96.0.1"}
