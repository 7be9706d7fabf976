"""Endpoints and endpoint slices: where the pods of a service are (``ValidateEndpoints``, ``ValidateEndpointSlice``)."""

from __future__ import annotations

import ipaddress

from simkube.apiserver.registry.services.validation import app_protocol, is_port
from simkube.apiserver.validation.addresses import not_special
from simkube.apiserver.validation.field import Errors
from simkube.apiserver.validation.metadata import dns_label, label_value, labels, subdomain
from simkube.client.client import Obj

_FAMILIES = ("FQDN", "IPv4", "IPv6")
_PROTOCOLS = ("SCTP", "TCP", "UDP")
_PORT = "must be between 1 and 65535, inclusive"
_BAD_IP = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
_MOST_ENDPOINTS, _MOST_ADDRESSES, _MOST_PORTS, _MOST_LABELS, _MOST_HINTS = 1000, 100, 20000, 16, 8


def endpoints(obj: Obj, errors: Errors) -> None:
    """Each subset has addresses and valid ports."""
    for index, subset in enumerate(obj.get("subsets", ())):
        path, ports = f"subsets[{index}]", subset.get("ports", ())
        if not subset.get("addresses") and not subset.get("notReadyAddresses"):
            errors.required(path, "must specify `addresses` or `notReadyAddresses`")
        for name in ("addresses", "notReadyAddresses"):
            for at, address in enumerate(subset.get(name, ())):
                _address(address, f"{path}.{name}[{at}]", errors)
        for at, port in enumerate(ports):
            where = f"{path}.ports[{at}]"
            if not port.get("name") and len(ports) > 1:
                errors.required(f"{where}.name")
            for problem in dns_label(port["name"]) if port.get("name") else ():
                errors.invalid(f"{where}.name", port["name"], problem)
            if not is_port(port.get("port", 0)):
                errors.invalid(f"{where}.port", port.get("port", 0), _PORT)
            _protocol(port, where, errors)
            app_protocol(port, where, errors)


def _address(given: Obj, path: str, errors: Errors) -> None:
    _ip(given.get("ip", ""), f"{path}.ip", errors, _BAD_IP, (4, 6))
    if given.get("hostname"):
        _label(given["hostname"], f"{path}.hostname", errors)
    node = given.get("nodeName")
    for problem in subdomain(node) if node is not None else ():
        errors.invalid(f"{path}.nodeName", node, problem)
    not_special(given.get("ip", ""), f"{path}.ip", errors)


def _ip(text: str, path: str, errors: Errors, detail: str, versions: tuple[int, ...]) -> None:
    try:
        if ipaddress.ip_address(text).version in versions:
            return
    except ValueError:
        pass
    errors.invalid(path, text, detail)


def _label(value: str, path: str, errors: Errors) -> None:
    for problem in dns_label(value):
        errors.invalid(path, value, problem)


def _protocol(port: Obj, path: str, errors: Errors) -> None:
    if port.get("protocol") not in _PROTOCOLS:
        errors.not_supported(f"{path}.protocol", port.get("protocol", ""), _PROTOCOLS)


def endpoint_slice(obj: Obj, errors: Errors) -> None:
    """Address type, endpoints with addresses, named ports."""
    family, given = obj.get("addressType", ""), obj.get("endpoints") or ()
    if not family:
        errors.required("addressType")
    elif family not in _FAMILIES:
        errors.not_supported("addressType", family, _FAMILIES)
    if len(given) > _MOST_ENDPOINTS:
        errors.too_many("endpoints", len(given), _MOST_ENDPOINTS)
    else:
        for index, endpoint in enumerate(given):
            _endpoint(endpoint, family, f"endpoints[{index}]", errors)
    _slice_ports(obj, errors)


def _endpoint(endpoint: Obj, family: str, path: str, errors: Errors) -> None:
    addresses, topology = endpoint.get("addresses", ()), endpoint.get("deprecatedTopology", {})
    if not addresses:
        errors.required(f"{path}.addresses", "must contain at least 1 address")
    elif len(addresses) > _MOST_ADDRESSES:
        errors.too_many(f"{path}.addresses", len(addresses), _MOST_ADDRESSES)
    for index, address in enumerate(addresses):
        where = f"{path}.addresses[{index}]"
        if family in ("IPv4", "IPv6"):
            _ip(address, where, errors, f"must be a valid {family} address", (4,) if family == "IPv4" else (6,))
            not_special(address, where, errors)
        elif family == "FQDN":
            _domain(address, where, errors)
    node = endpoint.get("nodeName")
    for problem in subdomain(node) if node is not None else ():
        errors.invalid(f"{path}.nodeName", node, problem)
    if len(topology) > _MOST_LABELS:
        errors.too_many(f"{path}.deprecatedTopology", len(topology), _MOST_LABELS)
    labels(topology, f"{path}.deprecatedTopology", errors)
    if endpoint.get("hostname") is not None:
        _label(endpoint["hostname"], f"{path}.hostname", errors)
    _hints(endpoint.get("hints") or {}, f"{path}.hints", errors)


def _domain(name: str, path: str, errors: Errors) -> None:
    if not name:
        errors.required(path)
        return
    for problem in subdomain(name.removesuffix(".")):
        errors.invalid(path, name, problem)
    if "." not in name.removesuffix("."):
        errors.invalid(path, name, "should be a domain with at least two segments separated by dots")


def _hints(hints: Obj, path: str, errors: Errors) -> None:
    for kind, wrong in (("forZones", label_value), ("forNodes", subdomain)):
        given, seen = hints.get(kind, ()), set()
        if len(given) > _MOST_HINTS:
            errors.too_many(f"{path}.{kind}", len(given), _MOST_HINTS)
            continue
        for index, each in enumerate(given):
            name, where = each.get("name", ""), f"{path}.{kind}[{index}].name"
            if name in seen:
                errors.duplicate(where, name)
            seen.add(name)
            for problem in wrong(name):
                errors.invalid(where, name, problem)


def _slice_ports(obj: Obj, errors: Errors) -> None:
    ports = obj.get("ports") or ()
    if len(ports) > _MOST_PORTS:
        errors.too_many("ports", len(ports), _MOST_PORTS)
        return
    names: set[str] = set()
    for index, port in enumerate(ports):
        name, path = port.get("name", ""), f"ports[{index}]"
        if name:
            _label(name, f"{path}.name", errors)
        if name in names:
            errors.duplicate(f"{path}.name", name)
        names.add(name)
        _protocol(port, path, errors)
        if port.get("port") is not None and not is_port(port["port"]):
            errors.invalid(f"{path}.port", port["port"], _PORT)
        app_protocol(port, path, errors)


def endpoint_slice_update(new: Obj, old: Obj, errors: Errors) -> None:
    """The address type never changes."""
    if new.get("addressType") != old.get("addressType"):
        errors.invalid("addressType", new.get("addressType", ""), "field is immutable")
