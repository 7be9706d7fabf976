"""Cluster IPs and node ports: who has which, given out and taken back.

What is taken is read from the services that are stored, so that there is nothing to repair after a restart. It refuses
(as field errors) what lies outside its range or belongs to another service.
"""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Iterable, Sequence, Set

from simkube.apiserver.settings import Settings
from simkube.apiserver.validation.field import Errors
from simkube.client.client import Obj

_FAMILY = 4
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def _inside(address: str, ranges: Sequence[Network]) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(parsed in network for network in ranges)


class Allocators:
    """The address and port allocators of one cluster; ``services`` gives all stored services."""

    def __init__(self, settings: Settings) -> None:
        self._network = ipaddress.ip_network(settings.service_cidr)
        self._first, self._last = settings.node_ports
        self._random = random.Random()  # noqa: S311  addresses are no secrets

    def complete(
        self,
        new: Obj,
        old: Obj | None,
        services: Iterable[Obj],
        errors: Errors,
        *,
        ranges: Sequence[Network] = (),
        held: Set[str] = frozenset(),
    ) -> None:
        """Give ``new`` (changed in place) the addresses and ports it needs and has not; ``old`` is it before.

        ``ranges`` are where addresses may come from, when not only from the range of the settings; ``held`` addresses
        are taken by others than services.
        """
        others = [each for each in services if each["metadata"].get("uid") != new["metadata"].get("uid")]
        spec = new["spec"]
        if spec.get("type") == "ExternalName":
            return
        before = (old or {}).get("spec", {})
        if before.get("type") != "ExternalName":
            for name in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"):
                if name in before:
                    spec.setdefault(name, before[name])
        taken = held | {each["spec"].get("clusterIP") for each in others}
        self._address(spec, taken, ranges or [self._network], errors, had=before.get("clusterIP", ""))
        spec.setdefault("ipFamilyPolicy", "SingleStack")
        if not (spec.get("clusterIP") == "None" and not spec.get("selector")):
            spec.setdefault("ipFamilies", ["IPv4"])
        spec.setdefault("ipFamilies", ["IPv4"])
        self._ports(spec, before, others, errors)

    def _address(
        self, spec: Obj, taken: Set[str | None], ranges: Sequence[Network], errors: Errors, *, had: str
    ) -> None:
        wanted = spec.get("clusterIP") or next(iter(spec.get("clusterIPs", ())), "")
        if wanted == "None" or (wanted and wanted == had):
            spec["clusterIP"], spec["clusterIPs"] = wanted, [wanted]
            return
        if not wanted:
            wanted = self._free_address(taken, ranges)
            if not wanted:
                shown = ", ".join(map(str, ranges))
                errors.invalid("spec.clusterIPs", [], f"failed to allocate IP from range {shown}: range is full")
                return
        elif not _inside(wanted, ranges):
            detail = f"failed to allocate IP {wanted}: the provided network does not match the current range"
            errors.invalid("spec.clusterIPs", [wanted], detail)
        elif wanted in taken:
            errors.invalid(
                "spec.clusterIPs", [wanted], f"failed to allocate IP {wanted}: provided IP is already allocated"
            )
        spec["clusterIP"], spec["clusterIPs"] = wanted, [wanted]

    def _free_address(self, taken: Set[str | None], ranges: Sequence[Network]) -> str:
        """An address of the first range that has one; "" when all are full. The first ones are for who asks."""
        for network in ranges:
            size = network.num_addresses
            if network.version != _FAMILY or size < 4:
                continue
            kept = min(max(16, size // 16), 256) if size > 16 else 0
            for _ in range(64):
                address = str(network[self._random.randrange(max(1, kept), size - 1)])
                if address not in taken:
                    return address
            for offset in range(1, min(size - 1, 1 << 16)):
                address = str(network[offset])
                if address not in taken:
                    return address
        return ""

    def _ports(self, spec: Obj, before: Obj, others: list[Obj], errors: Errors) -> None:
        wants = spec["type"] == "NodePort" or (
            spec["type"] == "LoadBalancer" and spec.get("allocateLoadBalancerNodePorts", True)
        )
        taken = {
            (port["nodePort"], port.get("protocol", "TCP"))
            for each in others
            for port in each["spec"].get("ports", ())
            if port.get("nodePort")
        }
        had = {
            (port.get("name", ""), port.get("port"), port.get("protocol")): port.get("nodePort")
            for port in before.get("ports", ())
        }
        for index, port in enumerate(spec.get("ports", ())):
            if not wants:
                if (
                    spec["type"] == "ClusterIP"
                    and port.get("nodePort")
                    and before.get("type") not in (None, "ClusterIP")
                ):
                    port.pop("nodePort")
                continue
            key = (port.get("name", ""), port.get("port"), port.get("protocol"))
            if not port.get("nodePort") and had.get(key):
                port["nodePort"] = had[key]
            self._port(port, index, taken, errors)
        self._health(spec, before, taken)

    def _health(self, spec: Obj, before: Obj, taken: set[tuple[int, str]]) -> None:
        """A balancer that only asks nodes with endpoints is told which they are at a port of its own."""
        if spec["type"] != "LoadBalancer" or spec.get("externalTrafficPolicy") != "Local":
            return
        port = spec.get("healthCheckNodePort") or before.get("healthCheckNodePort")
        while not port or ((port, "TCP") in taken and port != before.get("healthCheckNodePort")):
            port = self._random.randint(self._first, self._last)
        spec["healthCheckNodePort"] = port

    def _port(self, port: Obj, index: int, taken: set[tuple[int, str]], errors: Errors) -> None:
        protocol = port.get("protocol", "TCP")
        wanted = port.get("nodePort")
        path = f"spec.ports[{index}].nodePort"
        if not wanted:
            while not wanted or (wanted, protocol) in taken:
                wanted = self._random.randint(self._first, self._last)
            port["nodePort"] = wanted
        elif not self._first <= wanted <= self._last:
            detail = "provided port is not in the valid range. The range of valid ports is "
            errors.invalid(path, wanted, f"{detail}{self._first}-{self._last}")
        elif (wanted, protocol) in taken:
            errors.invalid(path, wanted, "provided port is already allocated")
        taken.add((wanted, protocol))
