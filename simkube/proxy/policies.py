"""Network policies, enforced as a network plugin does: a connection that is not allowed finds no answer.

Decided for each new connection, between addresses of pods after the translation of service addresses, from the
policies, pods and namespaces of that moment; connections that are open stay. A pod that no policy selects for a
direction is open in it; else what any policy allows is allowed. Between a pod and its own node, and within a pod,
everything is allowed (so probes are).
Source: https://kubernetes.io/docs/concepts/services-networking/network-policies/.

Stopped, it lets everything through, as kindnet does when its agent does not run. Pods on the host network are nodes.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Hashable, Iterable, Mapping

from simkube.apimachinery.labels import matches
from simkube.client.client import Event, Informers, Obj, Server
from simkube.client.workqueue import Component, WorkLoop
from simkube.runtime.network.network import Network, Place

POLICIES = "networkpolicies.networking.k8s.io"
DNS_LABELS = {"k8s-app": "kube-dns"}
"""The labels of the pods behind the name server's service, which are not there as objects."""


class NetworkPolicies(Component):
    """Reconciles nothing: it is asked. Which policies select a pod is remembered until one of them changes."""

    name = "kindnet"

    def __init__(self, server: Server, loop: WorkLoop, network: Network, informers: Informers | None = None) -> None:
        super().__init__(server, loop, informers)
        self._network = network
        self._known: dict[tuple[str, str, str], list[Obj]] = {}

    def watch(self) -> None:
        """Policies and what they select by; from now on it decides."""
        self.policies = self.client.observe(POLICIES, self._changed)
        self.pods = self.client.observe("pods", self._pod_changed)
        self.namespaces = self.client.informer("namespaces")
        self._known.clear()
        self._network.policy = self

    def stop(self) -> None:
        """Decide nothing any more."""
        if self.running:
            self._network.policy = None
        super().stop()

    def reconcile(self, key: Hashable) -> None:
        """Nothing to do: every decision is made when it is asked for."""

    def _changed(self, event: Event) -> None:  # noqa: ARG002 - whatever it was, what is remembered may be wrong
        self._known.clear()

    def _pod_changed(self, event: Event) -> None:
        meta = event.obj["metadata"]
        if self._known and (event.old is None or event.old["metadata"].get("labels") != meta.get("labels")):
            for direction in ("Ingress", "Egress"):
                self._known.pop((meta["namespace"], meta["name"], direction), None)

    # -- decisions -------------------------------------------------------------------------------------------------

    def allows(self, source: Place, target: Place, port: int, protocol: str = "TCP") -> bool:
        """Keeps :class:`simkube.runtime.network.network.Policy`."""
        if not self.policies.list():
            return True
        if source.address == target.address:
            return True
        if source.node and source.node == target.node and None in (source.pod, target.pod):
            return True
        where = (target, port, protocol)
        return self._may(source, target, "Egress", where) and self._may(target, source, "Ingress", where)

    def _may(self, subject: Place, other: Place, direction: str, where: tuple[Place, int, str]) -> bool:
        """Whether the policies of one pod allow the other end in one direction."""
        if subject.pod is None or not self._network.agents.runs(self.name, subject.node):
            return True
        policies = self._of(subject.pod, direction)
        return not policies or any(self._rules(policy, direction, other, where) for policy in policies)

    def _of(self, pod: tuple[str, str], direction: str) -> list[Obj]:
        """The policies that isolate a pod in a direction."""
        key = (*pod, direction)
        if key not in self._known:
            labels = self._labels(pod)
            self._known[key] = [
                policy
                for policy in self.policies.list(pod[0])
                if direction in _types(policy["spec"]) and matches(policy["spec"].get("podSelector") or {}, labels)
            ]
        return self._known[key]

    def _labels(self, pod: tuple[str, str]) -> Mapping[str, str]:
        found = self.pods.get(*pod)
        if found is not None:
            return dict(found["metadata"].get("labels") or {})
        return DNS_LABELS if pod == ("kube-system", "coredns") else {}

    def _rules(self, policy: Obj, direction: str, other: Place, where: tuple[Place, int, str]) -> bool:
        field, peers = ("ingress", "from") if direction == "Ingress" else ("egress", "to")
        return any(
            self._ports(rule.get("ports"), where) and self._peers(rule.get(peers), policy, other)
            for rule in policy["spec"].get(field) or []
        )

    def _peers(self, peers: list[Obj] | None, policy: Obj, other: Place) -> bool:
        return not peers or any(self._peer(peer, policy["metadata"]["namespace"], other) for peer in peers)

    def _peer(self, peer: Obj, namespace: str, other: Place) -> bool:
        block = peer.get("ipBlock")
        if block is not None:
            return _in_block(block, other.address)
        if other.pod is None:
            return False
        selector = peer.get("namespaceSelector")
        if selector is None:
            if other.pod[0] != namespace:
                return False
        else:
            found = self.namespaces.get("", other.pod[0])
            if found is None or not matches(selector, found["metadata"].get("labels") or {}):
                return False
        pods = peer.get("podSelector")
        return pods is None or matches(pods, self._labels(other.pod))

    def _ports(self, ports: list[Obj] | None, where: tuple[Place, int, str]) -> bool:
        return not ports or any(self._is_port(one, where) for one in ports)

    def _is_port(self, given: Obj, where: tuple[Place, int, str]) -> bool:
        target, port, protocol = where
        if (given.get("protocol") or "TCP") != protocol:
            return False
        wanted = given.get("port")
        if wanted is None:
            return True
        if isinstance(wanted, str):
            return (port, protocol) in self._named(target, wanted)
        return bool(wanted <= port <= (given.get("endPort") or wanted))

    def _named(self, target: Place, name: str) -> Iterable[tuple[int, str]]:
        """The numbers that a port's name has in the pod that is connected to."""
        pod = self.pods.get(*target.pod) if target.pod is not None else None
        for container in (pod or {}).get("spec", {}).get("containers") or []:
            for port in container.get("ports") or []:
                if port.get("name") == name:
                    yield port["containerPort"], port.get("protocol") or "TCP"


def _types(spec: Obj) -> list[str]:
    return list(spec.get("policyTypes") or ["Ingress"])


def _in_block(block: Obj, address: str) -> bool:
    if not address:
        return False
    where = ipaddress.ip_address(address)
    inside = where in ipaddress.ip_network(block["cidr"], strict=False)
    return inside and not any(where in ipaddress.ip_network(one, strict=False) for one in block.get("except") or [])
