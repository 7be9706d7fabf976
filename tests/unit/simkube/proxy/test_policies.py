"""Network policies: who is isolated, what is allowed, from objects alone."""

from __future__ import annotations

from typing import Any

import pytest

from simkube.client.workqueue import WorkLoop
from simkube.clock.clock import Clock
from simkube.proxy.policies import NetworkPolicies
from simkube.runtime.network.network import Network, Place
from tests.unit.simkube.proxy.test_services import Objects

PLACES = {
    "web": Place("10.244.0.5", ("shop", "web"), "one"),
    "db": Place("10.244.1.6", ("shop", "db"), "two"),
    "other": Place("10.244.1.7", ("else", "other"), "two"),
    "dns": Place("10.244.0.254", ("kube-system", "coredns")),
    "one": Place("172.18.0.2", None, "one"),
    "two": Place("172.18.0.3", None, "two"),
}
LABELS = {"web": {"app": "web"}, "db": {"app": "db"}, "other": {"app": "web", "role": "spy"}}


class World:
    """Three pods on two nodes, in two namespaces, and one policy in ``shop``."""

    def __init__(self, **spec: Any) -> None:
        self.objects = Objects()
        self.network = Network(Clock(1.0))
        work = WorkLoop(self.network.clock)
        self.policies = NetworkPolicies(self.objects, work, self.network)  # type: ignore[arg-type] # only subscribe is used
        self.policies.start()
        for name in ("shop", "else", "kube-system"):
            labels = {"kubernetes.io/metadata.name": name}
            self.objects.put("namespaces", {"metadata": {"name": name, "labels": labels}})
        for name, labels in LABELS.items():
            namespace = PLACES[name].pod[0]  # type: ignore[index] # all of these are pods
            ports = [{"name": "sql", "containerPort": 5432}, {"name": "dns", "containerPort": 53, "protocol": "UDP"}]
            self.objects.put(
                "pods",
                {
                    "metadata": {"name": name, "namespace": namespace, "labels": labels},
                    "spec": {"containers": [{"name": "a", "ports": ports}]},
                },
            )
        if spec:
            self.policy("p", **spec)

    def policy(self, name: str, **spec: Any) -> None:
        full = {"podSelector": {}, **spec}
        self.objects.put(
            "networkpolicies.networking.k8s.io", {"metadata": {"name": name, "namespace": "shop"}, "spec": full}
        )

    def allows(self, source: str, target: str, port: int = 5432, protocol: str = "TCP") -> bool:
        return self.policies.allows(PLACES[source], PLACES[target], port, protocol)


def test_without_policies_everything_is_allowed() -> None:
    world = World()
    assert all(world.allows(a, b) for a in PLACES for b in PLACES)


def test_isolation_is_of_the_selected_pods_and_direction() -> None:
    world = World(podSelector={"matchLabels": {"app": "db"}}, policyTypes=["Ingress"])
    assert not world.allows("web", "db")
    assert not world.allows("one", "db")  # another node
    assert world.allows("two", "db")  # its own node: probes
    assert world.allows("db", "web")
    assert world.allows("other", "web")


def test_egress_breaks_names_too() -> None:
    world = World(policyTypes=["Egress"])
    assert not world.allows("web", "dns", 53, "UDP")
    assert not world.allows("web", "other")
    assert world.allows("other", "web")
    world.policy(
        "dns",
        policyTypes=["Egress"],
        egress=[
            {
                "to": [
                    {
                        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
                        "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
                    }
                ],
                "ports": [{"protocol": "UDP", "port": 53}],
            }
        ],
    )
    assert world.allows("web", "dns", 53, "UDP")
    assert not world.allows("web", "dns", 53, "TCP")
    assert not world.allows("web", "db")


@pytest.mark.parametrize(
    ("peer", "allowed"),
    [
        ({"podSelector": {"matchLabels": {"app": "web"}}}, {"web"}),
        ({"namespaceSelector": {}}, {"web", "other", "dns"}),
        ({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "else"}}}, {"other"}),
        ({"namespaceSelector": {}, "podSelector": {"matchLabels": {"role": "spy"}}}, {"other"}),
        ({"ipBlock": {"cidr": "10.244.0.0/16", "except": ["10.244.1.0/24"]}}, {"web", "dns"}),
        ({"ipBlock": {"cidr": "172.18.0.0/16"}}, {"one"}),
    ],
)
def test_peers(peer: dict[str, Any], allowed: set[str]) -> None:
    world = World(podSelector={"matchLabels": {"app": "db"}}, policyTypes=["Ingress"], ingress=[{"from": [peer]}])
    assert {name for name in PLACES if world.allows(name, "db")} == {*allowed, "db", "two"}


@pytest.mark.parametrize(
    ("port", "allowed"),
    [
        ({"port": 5432}, {5432}),
        ({"port": 5000, "endPort": 5432}, {5000, 5432}),
        ({"port": "sql"}, {5432}),
        ({"port": "dns"}, set()),
        ({"port": "dns", "protocol": "UDP"}, set()),
        ({"port": "nope"}, set()),
        ({}, {53, 5000, 5432}),
    ],
)
def test_ports(port: dict[str, Any], allowed: set[int]) -> None:
    world = World(policyTypes=["Ingress"], ingress=[{"ports": [port]}])
    assert {number for number in (53, 5000, 5432) if world.allows("web", "db", number)} == allowed


def test_an_empty_rule_allows_all_and_none_allows_nothing() -> None:
    world = World(policyTypes=["Ingress"], ingress=[])
    assert not world.allows("web", "db")
    world.policy("open", policyTypes=["Ingress"], ingress=[{}])
    assert world.allows("web", "db")
    assert world.allows("one", "db")


def test_labels_that_change_are_seen() -> None:
    world = World(podSelector={"matchLabels": {"app": "db"}}, policyTypes=["Ingress"])
    assert not world.allows("web", "db")
    moved = {"metadata": {"name": "db", "namespace": "shop", "labels": {"app": "free"}}, "spec": {"containers": []}}
    world.objects.put("pods", moved)
    assert world.allows("web", "db")


def test_stopped_it_lets_everything_through() -> None:
    world = World(policyTypes=["Ingress"])
    assert world.network.policy is world.policies
    world.policies.stop()
    assert world.network.policy is None
