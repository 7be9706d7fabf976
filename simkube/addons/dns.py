"""CoreDNS: names of services and pods, from what the API server says at the moment of asking.

Answers A records of the cluster domain as the specification has them
(https://github.com/kubernetes/dns/blob/master/docs/specification.md): services, headless services and their named
endpoints, ExternalName services that point into the cluster, pods by address. Names outside the cluster do not exist
here. SRV and PTR records, caches and their age are not simulated.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from simkube.client import Component, Informers, Obj, Server, WorkLoop
from simkube.proxy.network import Network
from simkube.proxy.services import SLICES, service_of
from simkube.runtime.cri import NetworkError

DOMAIN = "cluster.local"
NDOTS = 5
MAX_ALIASES = 8


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

    def resolve(self, name: str, searches: Sequence[str]) -> list[str]:
        """The addresses of a name as a pod's resolver finds them; NetworkError ``name``."""
        for candidate in candidates(name, searches):
            addresses = self.lookup(candidate)
            if addresses:
                return addresses
        raise NetworkError("name", "Name or service not known")

    def canonical(self, name: str, searches: Sequence[str]) -> str:
        """The full name that :meth:`resolve` finds an answer under, or the name itself."""
        return next((candidate for candidate in candidates(name, searches) if self.lookup(candidate)), name)

    def lookup(self, name: str) -> list[str]:
        """The addresses of a full name; empty when there are none."""
        for _ in range(MAX_ALIASES):
            labels = name.lower().rstrip(".").split(".")
            if labels[-2:] != DOMAIN.split(".") or len(labels) < 5:
                return []
            kind, namespace, rest = labels[-3], labels[-4], labels[:-4]
            if kind == "pod":
                return self._pod(namespace, rest)
            if kind != "svc":
                return []
            service = self.services.get(namespace, rest[-1])
            if service is None:
                return []
            if service["spec"].get("type") == "ExternalName":
                name = service["spec"].get("externalName", "")
                continue
            return self._service(service, rest[:-1])
        return []

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
            for endpoint in slice_.get("endpoints") or []:
                if (endpoint.get("conditions") or {}).get("ready", True) is False:
                    continue
                for each in endpoint["addresses"]:
                    named = endpoint.get("hostname") or each.replace(".", "-")
                    if not rest or (len(rest) == 1 and rest[0] == named):
                        found[each] = None
        return list(found)


def candidates(name: str, searches: Sequence[str]) -> list[str]:
    """The full names a resolver tries, in order, with ``options ndots:5``."""
    if len(name) > 253 or not all(0 < len(label) < 64 for label in name.rstrip(".").split(".")):
        return []
    if name.endswith("."):
        return [name]
    searched = [f"{name}.{search}" for search in searches[:32]]
    return [*searched, name] if name.count(".") < NDOTS else [name, *searched]
