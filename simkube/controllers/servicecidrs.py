"""Ranges of service addresses: ready when they can be used, kept while addresses are taken out of them.

It also makes again the IPAddress of a service that somebody deleted, which in Kubernetes the API server's repair loop
does. Sources: ``pkg/controller/servicecidrs/servicecidrs_controller.go``,
``pkg/registry/core/service/ipallocator/controller/repairip.go``.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Hashable, Iterable

from simkube.client.client import Event, Obj
from simkube.controllers.controller import Controller

RANGES = "servicecidrs.networking.k8s.io"
ADDRESSES = "ipaddresses.networking.k8s.io"
FINALIZER = "networking.k8s.io/service-cidr-finalizer"
_READY = "Kubernetes Service CIDR is ready"
_IN_USE = "There are still IPAddresses referencing the ServiceCIDR, please remove them or create a new ServiceCIDR"
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class ServiceCIDRController(Controller):
    """Keys are names of ranges, and ``(namespace, name, address)`` of services whose address was deleted."""

    name = "service-cidr-controller"

    def watch(self) -> None:
        """Ranges, and addresses that go while a range ends."""
        self.ranges = self.client.observe(RANGES, self._range_changed)
        self.addresses = self.client.observe(ADDRESSES, self._address_changed)
        self.services = self.client.informer("services")

    def _range_changed(self, event: Event) -> None:
        self.enqueue(event.obj["metadata"]["name"])
        if event.type == "DELETED" or "deletionTimestamp" in event.obj["metadata"]:
            self._look_at_ending()

    def _address_changed(self, event: Event) -> None:
        if event.type == "DELETED":
            self._look_at_ending()
            parent = event.obj["spec"].get("parentRef") or {}
            if parent.get("resource") == "services":
                self.enqueue((parent.get("namespace", ""), parent.get("name", ""), event.obj["metadata"]["name"]))

    def _repair(self, namespace: str, name: str, address: str) -> None:
        service = self.services.get(namespace, name)
        if service is None or address not in (service["spec"].get("clusterIPs") or []):
            return
        if self.addresses.get("", address) is not None:
            return
        family = f"IPv{ipaddress.ip_address(address).version}"
        made = {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "IPAddress",
            "metadata": {
                "name": address,
                "labels": {
                    "ipaddress.kubernetes.io/ip-family": family,
                    "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io",
                },
            },
            "spec": {"parentRef": {"resource": "services", "namespace": namespace, "name": name}},
        }
        self.client.create(ADDRESSES, made)
        text = f"Cluster IP [{family}]: {address} is not allocated; repairing"
        self.recorder.event(service, "Warning", "ClusterIPNotAllocated", text)

    def _look_at_ending(self) -> None:
        for each in self.ranges.list():
            if "deletionTimestamp" in each["metadata"]:
                self.enqueue(each["metadata"]["name"])

    def reconcile(self, key: Hashable) -> None:
        """Ready with the finalizer, or ending until no address needs it."""
        if isinstance(key, tuple):
            self._repair(*key)
            return
        obj = self.ranges.get("", str(key))
        if obj is None:
            return
        held = FINALIZER in (obj["metadata"].get("finalizers") or [])
        if "deletionTimestamp" not in obj["metadata"]:
            if not held:
                self._set_finalizers(obj, [*(obj["metadata"].get("finalizers") or []), FINALIZER])
            self._say(obj, "True", "", _READY)
        elif held and self._needed(obj):
            self._say(obj, "False", "Terminating", _IN_USE)
        elif held:
            self._set_finalizers(obj, [one for one in obj["metadata"]["finalizers"] if one != FINALIZER])

    def _set_finalizers(self, obj: Obj, finalizers: list[str]) -> None:
        patch = {"metadata": {"finalizers": finalizers or None}}
        self.client.patch(RANGES, obj["metadata"]["name"], patch, type="merge")

    def _say(self, obj: Obj, status: str, reason: str, message: str) -> None:
        known = next((one for one in _conditions(obj) if one.get("type") == "Ready"), None)
        if known is not None and (known["status"], known.get("message")) == (status, message):
            return
        ready = {"type": "Ready", "status": status, "reason": reason, "message": message}
        applied = {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "ServiceCIDR",
            "metadata": {"name": obj["metadata"]["name"]},
            "status": {"conditions": [{**ready, "lastTransitionTime": self.clock.timestamp()}]},
        }
        self._server.patch(
            self.client.caller,
            RANGES,
            obj["metadata"]["name"],
            applied,
            type="apply",
            subresource="status",
            options={"fieldManager": self.name, "force": True},
        )

    def _needed(self, obj: Obj) -> bool:
        """Whether an address lies in this range and in no other that stays."""
        own = _networks([obj])
        others = _networks(
            each for each in self.ranges.list() if each is not obj and "deletionTimestamp" not in each["metadata"]
        )
        for each in self.addresses.list():
            address = ipaddress.ip_address(each["metadata"]["name"])
            if any(address in one for one in own) and not any(address in one for one in others):
                return True
        return False


def _networks(ranges: Iterable[Obj]) -> list[_Network]:
    return [ipaddress.ip_network(cidr) for each in ranges for cidr in each["spec"].get("cidrs") or []]


def _conditions(obj: Obj) -> list[Obj]:
    return list((obj.get("status") or {}).get("conditions") or [])
