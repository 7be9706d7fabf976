"""CoreDNS: names of services and pods, from what the API server says at the moment of asking.

Answers A, CNAME, SRV and PTR records of the cluster domain as the specification has them
(https://github.com/kubernetes/dns/blob/master/docs/specification.md): services, headless services and their named
endpoints, ExternalName services, pods by address. Names outside the cluster do not exist here, caches and their age
are not simulated.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass

from simkube.client.client import Informers, Obj, Server
from simkube.client.workqueue import Component, WorkLoop
from simkube.proxy.services import SLICES, service_of
from simkube.runtime.cri import NetworkError
from simkube.runtime.network.network import Network, Place

DOMAIN = "cluster.local"
NDOTS = 5
MAX_ALIASES = 8


POD = ("kube-system", "coredns")
ADDRESS = "10.244.0.254"
"""Of whoever answers: what network policies see behind the service address."""


@dataclass(frozen=True, slots=True)
class Record:
    """An answer: ``type`` is A, CNAME, SRV or PTR; ``port`` is of an SRV record."""

    name: str
    type: str
    data: str
    port: int = 0


class CoreDNS(Component):
    """Answers for the network while it runs; reconciles nothing."""

    name = "coredns"

    def __init__(self, server: Server, loop: WorkLoop, network: Network, informers: Informers | None = None) -> None:
        super().__init__(server, loop, informers)
        self._network = network

    def watch(self) -> None:
        """Services, slices and namespaces; from now on it answers."""
        self.services = self.client.informer("services")
        self.slices = self.client.informer(SLICES)
        self.slices.add_index("service", service_of)
        self.namespaces = self.client.informer("namespaces")
        self._network.resolver = self

    def stop(self) -> None:
        """Stop answering: who asks waits for nothing."""
        if self.running:
            self._network.resolver = None
        super().stop()

    def reconcile(self, key: Hashable) -> None:
        """Nothing to do: every answer is made when it is asked for."""

    # -- answers ---------------------------------------------------------------------------------------------------

    def place(self) -> Place:
        """Where it is on the network, for network policies: a pod of kube-system with the label k8s-app=kube-dns."""
        return Place(ADDRESS, POD)

    def resolve(self, name: str, searches: Sequence[str], ndots: int = NDOTS) -> list[str]:
        """The addresses of a name as a pod's resolver finds them; NetworkError ``name``."""
        for candidate in candidates(name, searches, ndots):
            addresses = self.lookup(candidate)
            if addresses:
                return addresses
        raise NetworkError("name", "Name or service not known")

    def candidates(self, name: str, searches: Sequence[str], ndots: int = NDOTS) -> list[str]:
        """The full names that are tried for a name, in order."""
        return candidates(name, searches, ndots)

    def canonical(self, name: str, searches: Sequence[str], ndots: int = NDOTS) -> str:
        """The full name that :meth:`resolve` finds an answer under, or the name itself."""
        return next((candidate for candidate in candidates(name, searches, ndots) if self.lookup(candidate)), name)

    def lookup(self, name: str) -> list[str]:
        """The addresses of a full name; empty when there are none."""
        return [record.data for record in self.records(name, "A") if record.type == "A"]

    def records(self, name: str, type: str) -> list[Record]:
        """The answer to one question: records of that type, and the aliases on the way to them."""
        full = name.lower().rstrip(".")
        if type == "PTR":
            return [Record(full, "PTR", each) for each in dict.fromkeys(self._names_of(_reversed(full)))]
        if type == "SRV":
            return list(self._ports(full))
        found: list[Record] = []
        for _ in range(MAX_ALIASES):
            alias, addresses = self._addresses(full)
            if alias:
                found.append(Record(full, "CNAME", alias))
                full = alias
                continue
            return [*found, *(Record(full, "A", each) for each in addresses)]
        return []

    def _addresses(self, full: str) -> tuple[str, list[str]]:
        """What a name is an alias of ("" for none), and the addresses it has."""
        labels = full.split(".")
        if labels[-2:] != DOMAIN.split(".") or len(labels) < 5:
            return "", []
        kind, namespace, rest = labels[-3], labels[-4], labels[:-4]
        if kind == "pod":
            return "", self._pod(namespace, rest)
        service = self.services.get(namespace, rest[-1]) if kind == "svc" else None
        if service is None:
            return "", []
        if service["spec"].get("type") == "ExternalName":
            return ("" if len(rest) > 1 else str(service["spec"].get("externalName", "")).lower().rstrip(".")), []
        return "", self._service(service, rest[:-1])

    def _ports(self, full: str) -> Iterator[Record]:
        """``_PORT._PROTOCOL.SERVICE.NAMESPACE.svc``: where the port is, one record an endpoint when headless."""
        port_name, _, rest = full.partition(".")
        protocol, _, base = rest.partition(".")
        labels = base.split(".")
        if not (port_name[:1] == protocol[:1] == "_") or len(labels) != 5 or labels[2:] != ["svc", *DOMAIN.split(".")]:
            return
        service = self.services.get(labels[1], labels[0])
        if service is None or service["spec"].get("type") == "ExternalName":
            return
        wanted = port_name[1:], protocol[1:].upper()
        if service["spec"].get("clusterIP") != "None":
            for port in service["spec"].get("ports") or []:
                if (port.get("name", ""), port.get("protocol", "TCP")) == wanted:
                    yield Record(full, "SRV", base, port["port"])
            return
        for slice_ in self.slices.indexed("service", (labels[1], labels[0])):
            for port in slice_.get("ports") or []:
                if (port.get("name", ""), port.get("protocol", "TCP")) == wanted and port.get("port"):
                    for named in {_host(one): None for one in _ready(slice_)}:
                        yield Record(full, "SRV", f"{named}.{base}", port["port"])

    def _names_of(self, address: str) -> Iterator[str]:
        """The names of the service that has an address, else of the endpoints that do."""
        for service in self.services.list():
            if address and address in (service["spec"].get("clusterIPs") or [service["spec"].get("clusterIP")]):
                yield f"{service['metadata']['name']}.{service['metadata']['namespace']}.svc.{DOMAIN}"
                return
        for slice_ in self.slices.list():
            for namespace, name in service_of(slice_):
                for endpoint in _ready(slice_):
                    if address in endpoint["addresses"]:
                        yield f"{_host(endpoint)}.{name}.{namespace}.svc.{DOMAIN}"

    def _pod(self, namespace: str, rest: list[str]) -> list[str]:
        parts = rest[0].split("-") if len(rest) == 1 else []
        if self.namespaces.get("", namespace) is None or len(parts) != 4:
            return []
        return (
            [".".join(parts)] if all(part.isdecimal() and len(part) < 4 and int(part) < 256 for part in parts) else []
        )

    def _service(self, service: Obj, rest: list[str]) -> list[str]:
        address = service["spec"].get("clusterIP")
        if address not in ("None", "", None):
            return [] if rest else [address]
        meta = service["metadata"]
        found: dict[str, None] = {}
        for slice_ in self.slices.indexed("service", (meta["namespace"], meta["name"])):
            for endpoint in _ready(slice_):
                if not rest or rest == [_host(endpoint)]:
                    found.update(dict.fromkeys(endpoint["addresses"]))
        return list(found)


def _ready(slice_: Obj) -> Iterator[Obj]:
    for endpoint in slice_.get("endpoints") or []:
        if (endpoint.get("conditions") or {}).get("ready", True) is not False:
            yield endpoint


def _host(endpoint: Obj) -> str:
    """The name of an endpoint below its service: its host name, or its address with dashes."""
    return str(endpoint.get("hostname") or endpoint["addresses"][0].replace(".", "-"))


def _reversed(name: str) -> str:
    """``4.3.2.1.in-addr.arpa`` as ``1.2.3.4``; "" for anything else."""
    labels = name.removesuffix(".in-addr.arpa").split(".")
    return ".".join(reversed(labels)) if name.endswith(".in-addr.arpa") and len(labels) == 4 else ""


def candidates(name: str, searches: Sequence[str], ndots: int = NDOTS) -> list[str]:
    """The full names a resolver tries, in order."""
    if len(name) > 253 or not all(0 < len(label) < 64 for label in name.rstrip(".").split(".")):
        return []
    if name.endswith("."):
        return [name]
    searched = [f"{name}.{search}" for search in searches[:32]]
    return [*searched, name] if name.count(".") < ndots else [name, *searched]
