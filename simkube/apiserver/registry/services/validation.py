"""Services: type, ports, addresses (``ValidateService``)."""

from __future__ import annotations

import ipaddress
import re
from typing import Any

from simkube.apiserver.registry.services import validate_traffic
from simkube.apiserver.validation.addresses import not_special
from simkube.apiserver.validation.field import Errors
from simkube.apiserver.validation.metadata import dns_label, labels, qualified_name, subdomain
from simkube.client.client import Obj

_TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
_PROTOCOLS = ("SCTP", "TCP", "UDP")
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
    """Type, ports, addresses, selector, affinity."""
    spec = obj["spec"]
    kind = spec.get("type", "")
    ports = spec.get("ports", ())
    headless = spec.get("clusterIP") == "None"
    if not ports and not headless and kind != "ExternalName":
        errors.required("spec.ports")
    _ports(ports, errors)
    if spec.get("sessionAffinity") not in ("ClientIP", "None"):
        errors.not_supported("spec.sessionAffinity", spec.get("sessionAffinity"), ("ClientIP", "None"))
    labels(spec.get("selector", {}), "spec.selector", errors)
    _type(spec, kind, headless, errors)
    if kind == "ExternalName":
        _external_name(spec, errors)
    for index, address in enumerate(spec.get("externalIPs", ())):
        _address(address, f"spec.externalIPs[{index}]", errors)
        not_special(address, f"spec.externalIPs[{index}]", errors)
    validate_traffic.service(spec, errors)
    policy = spec.get("internalTrafficPolicy")
    if policy not in (None, "Cluster", "Local"):
        errors.not_supported("spec.internalTrafficPolicy", policy, ("Cluster", "Local"))


def _type(spec: Obj, kind: str, headless: bool, errors: Errors) -> None:
    if kind not in _TYPES:
        errors.not_supported("spec.type", kind, _TYPES)
    elif kind in ("NodePort", "LoadBalancer") and headless:
        detail = f"may not be set to 'None' for {kind} services"
        errors.invalid("spec.clusterIPs[0]", "None", detail)
    address = spec.get("clusterIP", "")
    if address and not headless and kind != "ExternalName":
        _address(address, "spec.clusterIPs[0]", errors)
    if kind == "ClusterIP":
        for index, port in enumerate(spec.get("ports", ())):
            if port.get("nodePort"):
                detail = "may not be used when `type` is 'ClusterIP'"
                errors.forbidden(f"spec.ports[{index}].nodePort", detail)
        if spec.get("externalTrafficPolicy") and not spec.get("externalIPs"):
            detail = "may only be set for externally-accessible services"
            errors.invalid("spec.externalTrafficPolicy", spec["externalTrafficPolicy"], detail)


def _external_name(spec: Obj, errors: Errors) -> None:
    name = spec.get("externalName", "").rstrip(".")
    if not name:
        errors.required("spec.externalName")
    else:
        for problem in subdomain(name):
            errors.invalid("spec.externalName", spec["externalName"], problem)
    if spec.get("clusterIP") == "None":
        errors.invalid("spec.clusterIPs[0]", "None", "may not be set to 'None' for ExternalName services")


def _ports(ports: Any, errors: Errors) -> None:
    names: set[str] = set()
    served: set[tuple[Any, Any]] = set()
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
        key = (port.get("port"), port.get("protocol"))
        if key in served:
            errors.duplicate(path, {"protocol": port.get("protocol"), "port": port.get("port")})
        served.add(key)


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


def _address(value: str, path: str, errors: Errors) -> None:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        errors.invalid(path, value, "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)")


def service_update(new: Obj, old: Obj, errors: Errors) -> None:
    """The cluster IP stays while the type has one."""
    now, before = new["spec"], old["spec"]
    if now.get("type") == "ExternalName" or before.get("type") == "ExternalName":
        return
    for name, index in (("clusterIP", ""), ("clusterIPs", "[0]")):
        had, has = before.get(name), now.get(name)
        if name == "clusterIP" and now.get("clusterIPs"):
            continue
        if had and has and had != has:
            value = has if isinstance(has, list) else [has]
            errors.invalid(f"spec.clusterIPs{index or '[0]'}", value, "may not change once set")
