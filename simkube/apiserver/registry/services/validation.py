"""Services: type, ports, addresses (``ValidateService``)."""

from __future__ import annotations

import re
from typing import Any

from simkube.apiserver.registry.services import validate_traffic
from simkube.apiserver.registry.services.validate_addresses import (
    addresses,
    changed,
    cluster_ips,
    external_ips,
    is_headless,
)
from simkube.apiserver.validation.field import Errors
from simkube.apiserver.validation.metadata import dns_label, labels, qualified_name, subdomain
from simkube.client.client import Obj

_TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
_PROTOCOLS = ("SCTP", "TCP", "UDP")
_MODE = "service.kubernetes.io/topology-mode"
_HINTS = "service.kubernetes.io/topology-aware-hints"
_PORT = "must be between 1 and 65535, inclusive"


def is_port(value: Any) -> bool:
    """Whether a number can be a port."""
    return isinstance(value, int) and 1 <= value <= 65535


def port_name(value: str) -> list[str]:
    """What is wrong with the name of a port that pods and services refer to (``IsValidPortName``)."""
    problems = []
    if len(value) > 15:
        problems.append("must be no more than 15 characters")
    if not re.fullmatch(r"[-a-z0-9]+", value):
        problems.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not re.search("[a-z]", value):
        problems.append("must contain at least one letter (a-z)")
    if "--" in value:
        problems.append("must not contain consecutive hyphens")
    if value and (value[0] == "-" or value[-1] == "-"):
        problems.append("must not begin or end with a hyphen")
    return problems


def service(obj: Obj, errors: Errors) -> None:
    """Type, ports, selector, affinity, addresses, and how traffic is let in."""
    spec, notes = obj["spec"], obj["metadata"].get("annotations", {})
    kind, ports = spec.get("type", ""), spec.get("ports", ())
    if _MODE in notes and _HINTS in notes and notes[_MODE] != notes[_HINTS]:
        detail = f"must match annotations[{_HINTS}] when both are specified"
        errors.invalid(f"metadata.annotations[{_MODE}]", notes[_MODE], detail)
    if not ports and not is_headless(spec) and kind != "ExternalName":
        errors.required("spec.ports")
    if kind in ("NodePort", "LoadBalancer") and is_headless(spec):
        errors.invalid("spec.clusterIPs[0]", "None", f"may not be set to 'None' for {kind} services")
    elif kind == "ExternalName":
        _external_name(spec, errors)
    _ports(ports, errors)
    labels(spec.get("selector", {}), "spec.selector", errors)
    validate_traffic.affinity(spec, errors)
    if kind != "ExternalName":
        addresses(spec, errors)
    external_ips(spec, errors)
    if kind not in _TYPES:
        errors.not_supported("spec.type", kind, _TYPES)
    for index, port in enumerate(ports):
        if kind == "ClusterIP" and port.get("nodePort"):
            errors.forbidden(f"spec.ports[{index}].nodePort", "may not be used when `type` is 'ClusterIP'")
    _once(ports, errors)
    validate_traffic.balancer(spec, notes, errors)
    validate_traffic.policies(spec, errors)


def _external_name(spec: Obj, errors: Errors) -> None:
    """A name has no addresses."""
    for field, given in (
        ("clusterIPs", cluster_ips(spec)),
        ("ipFamilies", spec.get("ipFamilies")),
        ("ipFamilyPolicy", spec.get("ipFamilyPolicy")),
    ):
        if given:
            errors.forbidden(f"spec.{field}", "may not be set for ExternalName services")
    name = spec.get("externalName", "").removesuffix(".")
    if not name:
        errors.required("spec.externalName")
    for problem in subdomain(name) if name else ():
        errors.invalid("spec.externalName", name, problem)


def _ports(ports: Any, errors: Errors) -> None:
    names: set[str] = set()
    for index, port in enumerate(ports):
        path = f"spec.ports[{index}]"
        name = port.get("name", "")
        if not name and len(ports) > 1:
            errors.required(f"{path}.name")
        elif name:
            for problem in dns_label(name):
                errors.invalid(f"{path}.name", name, problem)
            if name in names:
                errors.duplicate(f"{path}.name", name)
            names.add(name)
        if not is_port(port.get("port", 0)):
            errors.invalid(f"{path}.port", port.get("port", 0), _PORT)
        if port.get("protocol") not in _PROTOCOLS:
            errors.not_supported(f"{path}.protocol", port.get("protocol", ""), _PROTOCOLS)
        _target(port.get("targetPort"), f"{path}.targetPort", errors)
        app_protocol(port, path, errors)


def _once(ports: Any, errors: Errors) -> None:
    """A port is served once by each protocol."""
    served: set[tuple[Any, Any]] = set()
    for index, port in enumerate(ports):
        number, protocol = port.get("port"), port.get("protocol")
        if (number, protocol) in served:
            key = {
                "Name": "",
                "Protocol": protocol,
                "AppProtocol": None,
                "Port": number,
                "TargetPort": 0,
                "NodePort": 0,
            }
            errors.duplicate(f"spec.ports[{index}]", key)
        served.add((number, protocol))


def app_protocol(port: Obj, path: str, errors: Errors) -> None:
    """What is spoken at a port, where that is said: a qualified name."""
    protocol = port.get("appProtocol")
    for problem in qualified_name(protocol) if protocol is not None else ():
        errors.invalid(f"{path}.appProtocol", protocol, problem)


def _target(target: Any, path: str, errors: Errors) -> None:
    if isinstance(target, str):
        for problem in port_name(target):
            errors.invalid(path, target, problem)
    elif target is not None and not is_port(target):
        errors.invalid(path, target, _PORT)


def service_update(new: Obj, old: Obj, errors: Errors) -> None:
    """Addresses stay while the type has some; so do the class of a balancer and the port for health checks."""
    changed(new["spec"], old["spec"], errors)
    validate_traffic.changed(new["spec"], old["spec"], errors)
    service(new, errors)
