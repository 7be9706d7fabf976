"""IPAddress objects: one for each cluster IP that a service has, made and deleted with it.

After ``pkg/registry/core/service/ipallocator``. What is taken is still read from the services; these objects show it,
and one that somebody makes by hand keeps its address from being given out.
"""

from __future__ import annotations

import ipaddress

from simkube.apiserver.fields import managed_fields
from simkube.apiserver.registry import naming
from simkube.client.client import Obj
from simkube.clock.clock import Clock
from simkube.etcd.store import Store

ADDRESSES = "ipaddresses.networking.k8s.io"
RANGES = "servicecidrs.networking.k8s.io"
DEFAULT_RANGE = "kubernetes"
_GVK = ("networking.k8s.io", "v1", "IPAddress")
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def addresses_of(service: Obj | None) -> set[str]:
    """The cluster IPs of a service; empty for None, a headless one and one without."""
    spec = (service or {}).get("spec", {})
    return {each for each in spec.get("clusterIPs", ()) if each and each != "None"}


class Addresses:
    """Keeps the objects of one cluster."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def taken(self) -> set[str]:
        """Every address that has an object."""
        return {each["metadata"]["name"] for each in self._store.objects(ADDRESSES)}

    def ranges(self, default: str) -> list[Network]:
        """What addresses may be given out of: the ranges that are ready; ``default`` until the cluster has its own."""
        found = self._store.objects(RANGES)
        ready = [cidr for each in found if _ready(each) for cidr in each["spec"].get("cidrs", ())]
        if self._store.get(RANGES, "", DEFAULT_RANGE) is None or _unjudged(found):
            ready.insert(0, default)
        return [ipaddress.ip_network(each) for each in dict.fromkeys(ready)]

    def claim(self, service: Obj, old: Obj | None) -> None:
        """Make the objects of addresses that the service has and had not."""
        for address in sorted(addresses_of(service) - addresses_of(old)):
            if self._store.get(ADDRESSES, "", address) is None:
                self._store.put(ADDRESSES, self._object(address, service), expect=None)

    def release(self, service: Obj | None, old: Obj) -> None:
        """Delete the objects of addresses that the service had and has not."""
        for address in addresses_of(old) - addresses_of(service):
            if self._store.get(ADDRESSES, "", address) is not None:
                self._store.delete(ADDRESSES, "", address)

    def _object(self, address: str, service: Obj) -> Obj:
        meta = service["metadata"]
        family = f"IPv{ipaddress.ip_address(address).version}"
        labels = {
            "ipaddress.kubernetes.io/ip-family": family,
            "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io",
        }
        parent = {"group": "", "resource": "services", "namespace": meta["namespace"], "name": meta["name"]}
        obj: Obj = {
            "kind": "IPAddress",
            "apiVersion": "networking.k8s.io/v1",
            "metadata": {"name": address, "labels": labels},
            "spec": {"parentRef": {key: value for key, value in parent.items() if value}},
        }
        now = self._clock.timestamp()
        obj = managed_fields.update(None, obj, _GVK, "kube-apiserver", "Update", "", now)
        naming.born(obj["metadata"], now)
        return obj


def _ready(range_: Obj) -> bool:
    conditions = range_.get("status", {}).get("conditions", ())
    ready = any(each.get("type") == "Ready" and each.get("status") == "True" for each in conditions)
    return ready and not range_["metadata"].get("deletionTimestamp")


def _unjudged(found: list[Obj]) -> bool:
    """The cluster's own range counts before a controller has looked at it: the API server made it."""
    own = next(each for each in found if each["metadata"]["name"] == DEFAULT_RANGE)
    return not own.get("status", {}).get("conditions")
