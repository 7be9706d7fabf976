"""kube-proxy: makes service addresses lead to endpoints.

It watches Services and EndpointSlices and programs the network's rules, at most once a second after a burst of two,
as kube-proxy does in iptables mode (``--iptables-min-sync-period=1s``): for up to that long a new endpoint gets no
connections and a removed one still does. Rules stay when it is stopped. Source: ``pkg/proxy/iptables/proxier.go``,
``pkg/proxy/topology.go``.

One component programs the rules of all nodes on which kube-proxy's pod runs; the others keep those they have. Where it
is stopped when the cluster is brought back, those that there were are not known: the node begins with those of now.
Which endpoints are near (``trafficDistribution``) is told by their nodes, not by hints in slices. UDP is carried for
questions to name servers only; SCTP, IPv6 and load-balancer source ranges are not simulated.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass

from simkube.client.client import Event, Informers, Obj, Server
from simkube.client.workqueue import Component, WorkLoop
from simkube.runtime.network.network import Network, Rule, Target

SLICES = "endpointslices.discovery.k8s.io"
SERVICE_NAME = "kubernetes.io/service-name"
MIN_SYNC_SECONDS = 1.0
BURST = 2
AFFINITY_SECONDS = 10_800.0
SYNC = "sync"
ZONE = "topology.kubernetes.io/zone"


@dataclass(frozen=True, slots=True)
class _Endpoint:
    target: Target
    node: str
    ready: bool
    serving: bool
    terminating: bool


class KubeProxy(Component):
    """Its only key is :data:`SYNC`: every sync writes all rules."""

    name = "kube-proxy"

    def __init__(self, server: Server, loop: WorkLoop, network: Network, informers: Informers | None = None) -> None:
        super().__init__(server, loop, informers)
        self._network = network
        self._tokens = float(BURST)
        self._last = self.clock.now()

    def watch(self) -> None:
        """Services, their slices, and nodes for node ports."""
        self.services = self.client.observe("services", self._changed)
        self.slices = self.client.observe(SLICES, self._changed)
        self.slices.add_index("service", service_of)
        self.nodes = self.client.observe("nodes", self._node_changed)
        self._unhear = self._network.agents.on_change(self.name, lambda: self.enqueue(SYNC))
        self.enqueue(SYNC)

    def stop(self) -> None:
        """As :meth:`Component.stop`; the rules stay."""
        if self.running:
            self._unhear()
        super().stop()

    def _changed(self, event: Event) -> None:  # noqa: ARG002 - whatever it was, all rules are written anew
        self.enqueue(SYNC)

    def _node_changed(self, event: Event) -> None:
        if event.type != "MODIFIED" or (event.old or {}).get("status", {}).get("addresses") != event.obj.get(
            "status", {}
        ).get("addresses"):
            self.enqueue(SYNC)

    def reconcile(self, key: Hashable) -> None:  # noqa: ARG002 - there is one key
        """Write all rules, now or as soon as the minimum period allows."""
        now = self.clock.now()
        self._tokens = min(float(BURST), self._tokens + (now - self._last) / MIN_SYNC_SECONDS)
        self._last = now
        if self._tokens < 1.0 - 1e-9:
            self.enqueue_after(SYNC, (1.0 - self._tokens) * MIN_SYNC_SECONDS)
            return
        self._tokens -= 1.0
        self.sync()

    def sync(self) -> None:
        """Write all rules now."""
        rules: dict[Target, Rule] = {}
        udp: dict[Target, Rule] = {}
        self._zones = {
            each["metadata"]["name"]: (each["metadata"].get("labels") or {}).get(ZONE, "") for each in self.nodes.list()
        }
        nodes = {name: node.address for name, node in self._network.nodes.items()}
        for service in self.services.list():
            spec = service["spec"]
            if spec.get("clusterIP") in ("None", "", None) or spec.get("type") == "ExternalName":
                continue
            meta = service["metadata"]
            slices = self.slices.indexed("service", (meta["namespace"], meta["name"]))
            for port in spec.get("ports") or []:
                table = {"TCP": rules, "UDP": udp}.get(port.get("protocol", "TCP"))
                if table is not None:
                    self._rules_of(spec, port, list(_endpoints(slices, port.get("name") or "")), nodes, table)
        agents = self._network.agents
        kept = {name for name in nodes if agents.halted(self.name, name) and not self._network.programmed(name)}
        here = [name for name in nodes if agents.runs(self.name, name) or name in kept]
        everywhere = len(here) == len(nodes)
        self._network.program(rules, udp, None if everywhere else here)
        where = "every node" if everywhere else ", ".join(here) or "no node"
        self.loop.note(f"wrote {len(rules)} rules, from service addresses to endpoints, on {where}")

    def _near(
        self, spec: Obj, endpoints: list[_Endpoint], nodes: Iterable[str]
    ) -> dict[str, tuple[Target, ...]] | None:
        """The endpoints that each node prefers, where the service asks for near ones: all of them when none is."""
        wanted = spec.get("trafficDistribution")
        if not wanted:
            return None
        found = {}
        for node in nodes:
            zone = self._zones.get(node, "")
            same = [each for each in endpoints if each.node == node] if wanted == "PreferSameNode" else []
            close = [each for each in endpoints if zone and self._zones.get(each.node) == zone]
            found[node] = _usable(same) or _usable(close) or _usable(endpoints)
        return found

    def _rules_of(
        self, spec: Obj, port: Obj, endpoints: list[_Endpoint], nodes: dict[str, str], rules: dict[Target, Rule]
    ) -> None:
        affinity = 0.0
        if spec.get("sessionAffinity") == "ClientIP":
            config = (spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}
            affinity = float(config.get("timeoutSeconds") or AFFINITY_SECONDS)
        local = spec.get("internalTrafficPolicy") == "Local"
        by_node = (
            {node: _usable([e for e in endpoints if e.node == node]) for node in nodes}
            if local
            else self._near(spec, endpoints, nodes)
        )
        internal = Rule(_usable(endpoints), affinity, by_node)
        external = Rule(_usable(endpoints), affinity)
        rules[(spec["clusterIP"], port["port"])] = internal
        for address in spec.get("externalIPs") or []:
            rules[(address, port["port"])] = external
        if port.get("nodePort"):
            stays = spec.get("externalTrafficPolicy") == "Local"
            for node, address in nodes.items():
                here = (
                    Rule(_usable([e for e in endpoints if e.node == node]), affinity, drop=True) if stays else external
                )
                rules[(address, port["nodePort"])] = here


def service_of(slice_: Obj) -> Iterable[tuple[str, str]]:
    """Index of slices by the (namespace, name) of their service."""
    name = (slice_["metadata"].get("labels") or {}).get(SERVICE_NAME)
    return ((slice_["metadata"].get("namespace", ""), name),) if name else ()


def _endpoints(slices: Iterable[Obj], port_name: str) -> Iterable[_Endpoint]:
    for slice_ in slices:
        for port in slice_.get("ports") or []:
            if (port.get("name") or "") != port_name or port.get("port") is None:
                continue
            for endpoint in slice_.get("endpoints") or []:
                conditions = endpoint.get("conditions") or {}
                ready = conditions.get("ready", True) is not False
                yield _Endpoint(
                    (endpoint["addresses"][0], port["port"]),
                    endpoint.get("nodeName", ""),
                    ready,
                    conditions.get("serving", ready) is not False,
                    bool(conditions.get("terminating")),
                )


def _usable(endpoints: list[_Endpoint]) -> tuple[Target, ...]:
    """Ready endpoints; without any, those that are terminating but still serve (KEP-1669)."""
    ready = {endpoint.target: None for endpoint in endpoints if endpoint.ready}
    if not ready:
        ready = {endpoint.target: None for endpoint in endpoints if endpoint.serving and endpoint.terminating}
    return tuple(ready)
