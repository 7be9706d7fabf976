"""Cluster IPs and node ports: who has which, given out and taken back.

What is taken is read from the services that are stored, so that there is nothing to repair after a restart. It refuses
(as field errors) what lies outside its range or belongs to another service.
"""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Iterable

from simkube.apiserver.field import Errors
from simkube.apiserver.settings import Settings
from simkube.client import Obj


class Allocators:
    """The address and port allocators of one cluster; ``services`` gives all stored services."""

    def __init__(self, settings: Settings) -> None:
        self._network = ipaddress.ip_network(settings.service_cidr)
        self._first, self._last = settings.node_ports
        self._random = random.Random()  # noqa: S311  addresses are no secrets

    def complete(self, new: Obj, old: Obj | None, services: Iterable[Obj], errors: Errors) -> None:
        """Give ``new`` (changed in place) the addresses and ports it needs and has not; ``old`` is it before."""
        others = [each for each in services if each["metadata"].get("uid") != new["metadata"].get("uid")]
        spec = new["spec"]
        if spec.get("type") == "ExternalName":
            return
        before = (old or {}).get("spec", {})
        if before.get("type") != "ExternalName":
            for name in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"):
                if name in before:
                    spec.setdefault(name, before[name])
        self._address(spec, others, errors, had=before.get("clusterIP", ""))
        spec.setdefault("ipFamilyPolicy", "SingleStack")
        if not (spec.get("clusterIP") == "None" and not spec.get("selector")):
            spec.setdefault("ipFamilies", ["IPv4"])
        spec.setdefault("ipFamilies", ["IPv4"])
        self._ports(spec, before, others, errors)

    def _address(self, spec: Obj, others: list[Obj], errors: Errors, *, had: str) -> None:
        wanted = spec.get("clusterIP") or next(iter(spec.get("clusterIPs", ())), "")
        if wanted == "None" or (wanted and wanted == had):
            spec["clusterIP"], spec["clusterIPs"] = wanted, [wanted]
            return
        taken = {each["spec"].get("clusterIP") for each in others}
        if not wanted:
            wanted = self._free_address(taken)
        elif not self._inside(wanted):
            detail = f"failed to allocate IP {wanted}: the provided network does not match the current range"
            errors.invalid("spec.clusterIPs", [wanted], detail)
        elif wanted in taken:
            errors.invalid(
                "spec.clusterIPs", [wanted], f"failed to allocate IP {wanted}: provided IP is already allocated"
            )
        spec["clusterIP"], spec["clusterIPs"] = wanted, [wanted]

    def _inside(self, address: str) -> bool:
        try:
            return ipaddress.ip_address(address) in self._network
        except ValueError:
            return False

    def _free_address(self, taken: set[str | None]) -> str:
        size = self._network.num_addresses
        while True:  # a cluster holds far fewer services than addresses
            address = str(self._network[self._random.randrange(16, size - 1)])
            if address not in taken:
                return address

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
