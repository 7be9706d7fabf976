"""Ingresses and their classes, addresses and ranges of services (``pkg/apis/networking/validation``)."""

from __future__ import annotations

import ipaddress
import re
from typing import Any

from simkube.apiserver.registry.services.validate_status import address, host_name
from simkube.apiserver.registry.services.validation import is_port, port_name
from simkube.apiserver.validation.addresses import BAD_CIDR, is_address, network_of
from simkube.apiserver.validation.field import Errors
from simkube.apiserver.validation.metadata import dns_label, subdomain
from simkube.client.client import Obj

CLASS_ANNOTATION = "kubernetes.io/ingress.class"
BAD_PORT = "must be between 1 and 65535, inclusive"
_IMMUTABLE = "field is immutable"
_PATH_TYPES = ("Exact", "ImplementationSpecific", "Prefix")
_SEQUENCES = ("//", "/./", "/../", "%2f", "%2F")
_SUFFIXES = ("/..", "/.")
_WILDCARD = r"\*(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)+"
_BAD_WILDCARD = (
    "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of "
    "lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character (e.g. '*.example.com', "
    r"regex used for validation is '\*\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
_CONTROLLER = 250


def path_segment(value: str) -> list[str]:
    """What is wrong with a name that becomes part of a URL (``IsPathSegmentName``)."""
    if value in (".", ".."):
        return [f"may not be '{value}'"]
    return [f"may not contain '{each}'" for each in ("/", "%") if each in value]


def _host(value: str, path: str, errors: Errors) -> None:
    if "*" in value:
        if len(value) > 253 or not re.fullmatch(_WILDCARD, value):
            errors.invalid(path, value, _BAD_WILDCARD)
        return
    for problem in subdomain(value):
        errors.invalid(path, value, problem)


# Ingresses.


def ingress(obj: Obj, errors: Errors) -> None:
    """Backends, hosts, paths, TLS, class."""
    spec = obj["spec"]
    rules = spec.get("rules", ())
    if not rules and "defaultBackend" not in spec:
        errors.invalid("spec", None, "either `defaultBackend` or `rules` must be specified")
    if "defaultBackend" in spec:
        _backend(spec["defaultBackend"], "spec.defaultBackend", errors)
    for index, rule in enumerate(rules):
        _rule(rule, f"spec.rules[{index}]", errors)
    for index, tls in enumerate(spec.get("tls", ())):
        for at, host in enumerate(tls.get("hosts", ())):
            _host(host, f"spec.tls[{index}].hosts[{at}]", errors)
        for problem in subdomain(tls["secretName"]) if tls.get("secretName") else ():
            errors.invalid(f"spec.tls[{index}].secretName", tls["secretName"], problem)
    if "ingressClassName" in spec:
        for problem in subdomain(spec["ingressClassName"]):
            errors.invalid("spec.ingressClassName", spec["ingressClassName"], problem)
    annotated = obj["metadata"].get("annotations", {}).get(CLASS_ANNOTATION)
    new = not obj["metadata"].get("resourceVersion")
    if new and annotated is not None and spec.get("ingressClassName", annotated) != annotated:
        detail = "must match `ingressClassName` when both are specified"
        errors.invalid(f"annotations.{CLASS_ANNOTATION}", annotated, detail)


def _rule(rule: Obj, path: str, errors: Errors) -> None:
    host = rule.get("host", "")
    if host:
        if is_address(host):
            errors.invalid(f"{path}.host", host, "must be a DNS name, not an IP address")
        _host(host, f"{path}.host", errors)
    if "http" not in rule:
        return
    paths = rule["http"].get("paths") or ()
    if not paths:
        errors.required(f"{path}.http.paths")
    for index, each in enumerate(paths):
        _path(each, f"{path}.http.paths[{index}]", errors)


def _path(given: Obj, path: str, errors: Errors) -> None:
    kind, value = given.get("pathType"), given.get("path", "")
    if kind is None:
        errors.required(f"{path}.pathType", "pathType must be specified")
        return
    if kind not in _PATH_TYPES:
        errors.not_supported(f"{path}.pathType", kind, _PATH_TYPES)
    elif not value.startswith("/") and (value or kind != "ImplementationSpecific"):
        errors.invalid(f"{path}.path", value, "must be an absolute path")
    if kind in ("Exact", "Prefix"):
        for each in _SEQUENCES:
            if each in value:
                errors.invalid(f"{path}.path", value, f"must not contain '{each}'")
        for each in _SUFFIXES:
            if value.endswith(each):
                errors.invalid(f"{path}.path", value, f"cannot end with '{each}'")
    _backend(given.get("backend") or {}, f"{path}.backend", errors)


def _backend(backend: Obj, path: str, errors: Errors) -> None:
    service, resource = backend.get("service"), backend.get("resource")
    if service is not None and resource is not None:
        errors.invalid(path, "", "cannot set both resource and service backends")
    elif resource is not None:
        _reference(resource, f"{path}.resource", errors)
    elif service is not None:
        _service(service, path, errors)
    else:
        errors.invalid(path, "", "resource or service backend is required")


def _service(service: Obj, path: str, errors: Errors) -> None:
    name, port = service.get("name", ""), service.get("port") or {}
    if not name:
        errors.required(f"{path}.service.name")
    else:
        for problem in dns_label(name):
            errors.invalid(f"{path}.service.name", name, problem)
    if port.get("name") and port.get("number"):
        errors.invalid(path, "", "cannot set both port name & port number")
    elif port.get("name"):
        for problem in port_name(port["name"]):
            errors.invalid(f"{path}.service.port.name", port["name"], problem)
    elif port.get("number"):
        if not is_port(port["number"]):
            errors.invalid(f"{path}.service.port.number", port["number"], BAD_PORT)
    else:
        errors.required(path, "port name or number is required")


def _reference(reference: Obj, path: str, errors: Errors) -> None:
    if reference.get("apiGroup") is not None:
        for problem in subdomain(reference["apiGroup"]):
            errors.invalid(f"{path}.apiGroup", reference["apiGroup"], problem)
    for name in ("kind", "name"):
        _segment(reference.get(name, ""), f"{path}.{name}", errors)


def _segment(value: str, path: str, errors: Errors) -> None:
    if not value:
        errors.required(path)
    for problem in path_segment(value):
        errors.invalid(path, value, problem)


def ingress_status(new: Obj, old: Obj, errors: Errors) -> None:  # noqa: ARG001 - the signature of all of them
    """Addresses are addresses, names are names."""
    for index, each in enumerate(new.get("status", {}).get("loadBalancer", {}).get("ingress", ())):
        address(each, f"status.loadBalancer.ingress[{index}]", errors)
        host_name(each, f"status.loadBalancer.ingress[{index}]", errors)


# Classes.


def ingress_class(obj: Obj, errors: Errors) -> None:
    """A controller's name, a reference to parameters."""
    controller = obj["spec"].get("controller", "")
    if not controller:
        errors.required("spec.controller")
    else:
        if len(controller) > _CONTROLLER:
            errors.too_long("spec.controller", f"may not be more than {_CONTROLLER} bytes")
        _prefixed_path(controller, "spec.controller", errors)
    if "parameters" in obj["spec"]:
        _parameters(obj["spec"]["parameters"], "spec.parameters", errors)


def _prefixed_path(value: str, path: str, errors: Errors) -> None:
    host, slash, rest = value.partition("/")
    if not slash or not host or not rest:
        errors.invalid(path, value, 'must be a domain-prefixed path (such as "acme.io/foo")')
        return
    for problem in subdomain(host):
        errors.invalid(path, host, problem)
    if not re.fullmatch(r"[A-Za-z0-9/\-._~%!$&'()*+,;=:]+", rest):
        errors.invalid(path, rest, "must be a valid path (e.g. 'foo/bar', regex used for validation is "
                       "'[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+')")  # fmt: skip


def _parameters(parameters: Obj, path: str, errors: Errors) -> None:
    _reference(parameters, path, errors)
    scope, namespace = parameters.get("scope"), parameters.get("namespace")
    if scope not in ("Cluster", "Namespace"):
        errors.not_supported(f"{path}.scope", scope, ("Cluster", "Namespace"))
    elif scope == "Namespace" and namespace is None:
        errors.required(f"{path}.namespace", "`parameters.scope` is set to 'Namespace'")
    elif scope == "Namespace":
        for problem in dns_label(str(namespace)):
            errors.invalid(f"{path}.namespace", namespace, problem)
    elif namespace is not None:
        errors.forbidden(f"{path}.namespace", "`parameters.scope` is set to 'Cluster'")


def ingress_class_update(new: Obj, old: Obj, errors: Errors) -> None:
    """The controller stays."""
    if new["spec"].get("controller") != old["spec"].get("controller"):
        errors.invalid("spec.controller", new["spec"].get("controller"), _IMMUTABLE)


# Addresses and ranges of services.


def address_name(value: str) -> list[str]:
    """What is wrong with the name of an IPAddress: it is an address in its shortest form."""
    try:
        parsed = ipaddress.ip_address(value)
    except ValueError:
        return ["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"]
    return [] if str(parsed) == value else [f'must be in canonical form ("{parsed}")']


def ip_address(obj: Obj, errors: Errors) -> None:
    """A reference to whoever has the address."""
    parent = obj["spec"].get("parentRef")
    if parent is None:
        errors.required("spec.parentRef")
        return
    path = "spec.parentRef"
    for problem in subdomain(parent["group"]) if parent.get("group") else ():
        errors.invalid(f"{path}.group", parent["group"], problem)
    for name in ("resource", "name"):
        _segment(parent.get(name, ""), f"{path}.{name}", errors)
    for problem in path_segment(parent.get("namespace", "")):
        errors.invalid(f"{path}.namespace", parent["namespace"], problem)


def ip_address_update(new: Obj, old: Obj, errors: Errors) -> None:
    """The reference stays."""
    if new["spec"].get("parentRef") != old["spec"].get("parentRef"):
        errors.invalid("spec.parentRef", new["spec"].get("parentRef"), _IMMUTABLE)


def service_cidr(obj: Obj, errors: Errors) -> None:
    """One range, or one of each family."""
    ranges: Any = obj["spec"].get("cidrs") or ()
    path = "spec.cidrs"
    if not ranges:
        errors.required(path, "at least one CIDR required")
    elif len(ranges) > 2:
        errors.invalid(path, obj["spec"], "may only hold up to 2 values")
    else:
        for index, each in enumerate(ranges):
            _range(each, f"{path}[{index}]", errors)
        versions = [known.version for known in map(network_of, ranges) if known is not None]
        if len(versions) == 2 and versions[0] == versions[1]:
            detail = "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64"
            errors.invalid(path, list(ranges), detail)


def _range(value: str, path: str, errors: Errors) -> None:
    known = network_of(value)
    if known is None:
        errors.invalid(path, value, BAD_CIDR)
    elif value.partition("/")[0] != str(known.network_address):
        detail = f'must not have bits set beyond the prefix length (use "{known}" instead)'
        errors.invalid(path, value, detail)


def service_cidr_update(new: Obj, old: Obj, errors: Errors) -> None:
    """Ranges stay; one of the other family may come."""
    now, before = new["spec"].get("cidrs") or [], old["spec"].get("cidrs") or []
    if len(now) != len(before) and not (len(before) == 1 and len(now) == 2):
        errors.invalid("spec.cidrs", now, _IMMUTABLE)
        return
    for index, each in enumerate(before):
        if now[index] != each:
            errors.invalid(f"spec.cidrs[{index}]", now[index], _IMMUTABLE)


__all__ = [
    "BAD_CIDR",
    "CLASS_ANNOTATION",
    "address_name",
    "ingress",
    "ingress_class",
    "ingress_class_update",
    "ingress_status",
    "ip_address",
    "ip_address_update",
    "network_of",
    "service_cidr",
    "service_cidr_update",
]
