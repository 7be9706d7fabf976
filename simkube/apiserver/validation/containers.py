"""Containers: names, images, ports, environment, mounts, probes, resources (``validateContainers``)."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Any

from simkube.apiserver.field import Errors
from simkube.apiserver.validation.metadata import dns_label, qualified_name
from simkube.apiserver.validation.services import is_port, port_name
from simkube.client import Obj
from simkube.quantity import QuantityError, parse

_PULL = ("Always", "IfNotPresent", "Never")
_PROTOCOLS = ("SCTP", "TCP", "UDP")
_PORT = "must be between 1 and 65535, inclusive"
_NOT_NEGATIVE = "must be greater than or equal to 0"
_STANDARD = frozenset({"cpu", "memory", "ephemeral-storage"})
_HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc")
_FIELD_PATHS = (
    "metadata.annotations",
    "metadata.labels",
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
)
_ENV_SOURCES = ("fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef")


def containers(spec: Obj, path: str, errors: Errors) -> None:
    """Every container and init container of a pod spec at ``path``."""
    volumes = {volume.get("name", "") for volume in spec.get("volumes", ())}
    names: set[str] = set()
    given = spec.get("containers", ())
    if not given:
        errors.required(f"{path}.containers")
    for index, container in enumerate(given):
        where = f"{path}.containers[{index}]"
        _container(container, where, volumes, names, errors)
        _lifecycle(container, where, errors)
    for index, container in enumerate(spec.get("initContainers", ())):
        where = f"{path}.initContainers[{index}]"
        _container(container, where, volumes, names, errors)
        if container.get("restartPolicy") == "Always":
            _lifecycle(container, where, errors)
        else:
            _no_lifecycle(container, where, errors)
    _host_ports(given, path, errors)


def _container(container: Obj, path: str, volumes: Collection[str], names: set[str], errors: Errors) -> None:
    name = container.get("name", "")
    if not name:
        errors.required(f"{path}.name")
    else:
        for problem in dns_label(name):
            errors.invalid(f"{path}.name", name, problem)
        if name in names:
            errors.duplicate(f"{path}.name", name)
        names.add(name)
    image = container.get("image", "")
    if not image:
        errors.required(f"{path}.image")
    elif image != image.strip():
        errors.invalid(f"{path}.image", image, "must not have leading or trailing whitespace")
    _ports(container.get("ports", ()), f"{path}.ports", errors)
    _env(container.get("env", ()), f"{path}.env", errors)
    _env_from(container.get("envFrom", ()), f"{path}.envFrom", errors)
    _mounts(container.get("volumeMounts", ()), f"{path}.volumeMounts", volumes, errors)
    if container.get("imagePullPolicy", "Always") not in _PULL:
        errors.not_supported(f"{path}.imagePullPolicy", container["imagePullPolicy"], _PULL)
    resources(container.get("resources", {}), f"{path}.resources", errors)


def _ports(ports: Sequence[Obj], path: str, errors: Errors) -> None:
    names: set[str] = set()
    for index, port in enumerate(ports):
        where = f"{path}[{index}]"
        name = port.get("name", "")
        if name:
            problems = port_name(name)
            for problem in problems:
                errors.invalid(f"{where}.name", name, problem)
            if name in names:
                errors.duplicate(f"{where}.name", name)
            names.add(name)
        number = port.get("containerPort", 0)
        if not number:
            errors.required(f"{where}.containerPort")
        elif not is_port(number):
            errors.invalid(f"{where}.containerPort", number, _PORT)
        if port.get("hostPort") and not is_port(port["hostPort"]):
            errors.invalid(f"{where}.hostPort", port["hostPort"], _PORT)
        protocol = port.get("protocol", "")
        if protocol not in _PROTOCOLS:
            errors.not_supported(f"{where}.protocol", protocol, _PROTOCOLS)


def _host_ports(given: Sequence[Obj], path: str, errors: Errors) -> None:
    seen = set()
    for index, container in enumerate(given):
        for at, port in enumerate(container.get("ports", ())):
            if not port.get("hostPort"):
                continue
            key = (port.get("protocol"), port.get("hostIP", ""), port["hostPort"])
            if key in seen:
                shown = f"{key[0]}/{key[1]}/{key[2]}"
                errors.duplicate(f"{path}.containers[{index}].ports[{at}].hostPort", shown)
            seen.add(key)


def _env(variables: Sequence[Obj], path: str, errors: Errors) -> None:
    for index, variable in enumerate(variables):
        where = f"{path}[{index}]"
        name = variable.get("name", "")
        if not name:
            errors.required(f"{where}.name")
        elif not re.fullmatch(r"[ -<>-~]+", name):
            detail = "a valid environment variable name must consist only of printable ASCII characters other than '='"
            errors.invalid(f"{where}.name", name, detail)
        source = variable.get("valueFrom")
        if source is None:
            continue
        found = [each for each in _ENV_SOURCES if each in source]
        if not found:
            errors.invalid(
                f"{where}.valueFrom",
                "",
                "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`",
            )
        elif variable.get("value"):
            errors.invalid(f"{where}.valueFrom", "", "may not be specified when `value` is not empty")
        elif len(found) > 1:
            errors.invalid(f"{where}.valueFrom", "", "may not have more than one field specified at a time")
        _env_source(source, f"{where}.valueFrom", errors)


def _env_source(source: Obj, path: str, errors: Errors) -> None:
    field = source.get("fieldRef")
    if field is not None:
        field_reference(field, f"{path}.fieldRef", errors)
    for kind in ("configMapKeyRef", "secretKeyRef"):
        reference = source.get(kind)
        if reference is not None:
            if not reference.get("name"):
                errors.required(f"{path}.{kind}.name")
            if not reference.get("key"):
                errors.required(f"{path}.{kind}.key")
    resource = source.get("resourceFieldRef")
    if resource is not None and not resource.get("resource"):
        errors.required(f"{path}.resourceFieldRef.resource")


def field_reference(field: Obj, path: str, errors: Errors) -> None:
    """A reference to a field of the pod, in variables and downward files."""
    where = field.get("fieldPath", "")
    if not where:
        errors.required(f"{path}.fieldPath")
        return
    base, bracket, _ = where.partition("[")
    subscript = bracket and where.endswith("]")
    if subscript and base not in ("metadata.annotations", "metadata.labels"):
        errors.invalid(f"{path}.fieldPath", where, "does not support subscript")
    elif base not in _FIELD_PATHS:
        errors.invalid(f"{path}.fieldPath", where, f"error converting fieldPath: field label not supported: {where}")


def _env_from(sources: Sequence[Obj], path: str, errors: Errors) -> None:
    for index, source in enumerate(sources):
        kinds = [kind for kind in ("configMapRef", "secretRef") if kind in source]
        if not kinds:
            errors.invalid(f"{path}[{index}]", "", "must specify one of: `configMapRef` or `secretRef`")
        elif len(kinds) > 1:
            errors.invalid(f"{path}[{index}]", "", "may not have more than one field specified at a time")
        for kind in kinds:
            if not source[kind].get("name"):
                errors.required(f"{path}[{index}].{kind}.name")


def _mounts(mounts: Sequence[Obj], path: str, volumes: Collection[str], errors: Errors) -> None:
    places: set[str] = set()
    for index, mount in enumerate(mounts):
        where = f"{path}[{index}]"
        name, place = mount.get("name", ""), mount.get("mountPath", "")
        if not name:
            errors.required(f"{where}.name")
        if name not in volumes:
            errors.not_found(f"{where}.name", name)
        if not place:
            errors.required(f"{where}.mountPath")
        elif place in places:
            errors.invalid(f"{where}.mountPath", place, "must be unique")
        places.add(place)
        below = mount.get("subPath", "")
        if below.startswith("/"):
            errors.invalid(f"{where}.subPath", below, "must be a relative path")
        elif ".." in below.split("/"):
            errors.invalid(f"{where}.subPath", below, "must not contain '..'")


def _lifecycle(container: Obj, path: str, errors: Errors) -> None:
    for hook in ("postStart", "preStop"):
        handler = (container.get("lifecycle") or {}).get(hook)
        if handler is not None:
            _handler(handler, f"{path}.lifecycle.{hook}", errors, ("exec", "httpGet", "tcpSocket", "sleep"))
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        if container.get(name) is not None:
            _probe(container[name], f"{path}.{name}", errors, only_once=name != "readinessProbe")


def _no_lifecycle(container: Obj, path: str, errors: Errors) -> None:
    for name in ("lifecycle", "livenessProbe", "readinessProbe", "startupProbe"):
        if container.get(name) is not None:
            errors.forbidden(f"{path}.{name}", "may not be set for init containers without restartPolicy=Always")


def _probe(probe: Obj, path: str, errors: Errors, *, only_once: bool) -> None:
    _handler(probe, path, errors, _HANDLERS)
    for name in ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"):
        if probe.get(name, 0) < 0:
            errors.invalid(f"{path}.{name}", probe[name], _NOT_NEGATIVE)
    if probe.get("terminationGracePeriodSeconds", 1) <= 0:
        value = probe["terminationGracePeriodSeconds"]
        errors.invalid(f"{path}.terminationGracePeriodSeconds", value, "must be greater than 0")
    if only_once and probe.get("successThreshold", 1) != 1:
        errors.invalid(f"{path}.successThreshold", probe["successThreshold"], "must be 1")


def _handler(handler: Obj, path: str, errors: Errors, kinds: Sequence[str]) -> None:
    found = [kind for kind in kinds if handler.get(kind) is not None]
    if not found:
        errors.required(path, "must specify a handler type")
        return
    for kind in found[1:]:
        errors.forbidden(f"{path}.{kind}", "may not specify more than 1 handler type")
    action, where = handler[found[0]], f"{path}.{found[0]}"
    if found[0] == "exec" and not action.get("command"):
        errors.required(f"{where}.command")
    elif found[0] in ("httpGet", "tcpSocket"):
        _handler_port(action.get("port", 0), f"{where}.port", errors)
    elif found[0] == "grpc" and not is_port(action.get("port", 0)):
        errors.invalid(f"{where}.port", action.get("port", 0), _PORT)
    if found[0] == "httpGet":
        if not action.get("path"):
            errors.required(f"{where}.path")
        if action.get("scheme", "HTTP") not in ("HTTP", "HTTPS"):
            errors.not_supported(f"{where}.scheme", action["scheme"], ("HTTP", "HTTPS"))


def _handler_port(port: Any, path: str, errors: Errors) -> None:
    if isinstance(port, str):
        for problem in port_name(port):
            errors.invalid(path, port, problem)
    elif not is_port(port):
        errors.invalid(path, port, _PORT)


def resources(given: Obj, path: str, errors: Errors) -> None:
    """Requests and limits: known names, amounts not below zero, requests within limits."""
    limits, requests = given.get("limits", {}), given.get("requests", {})
    for kind, amounts in (("limits", limits), ("requests", requests)):
        for name, amount in sorted(amounts.items()):
            where = f"{path}.{kind}[{name}]"
            _resource_name(name, where, errors)
            if parse(amount) < 0:
                errors.invalid(where, amount, _NOT_NEGATIVE)
    for name, amount in sorted(requests.items()):
        try:
            above = name in limits and parse(amount) > parse(limits[name])
        except QuantityError:
            continue
        if above:
            detail = f"must be less than or equal to {name} limit of {limits[name]}"
            errors.invalid(f"{path}.requests", amount, detail)


def _resource_name(name: str, path: str, errors: Errors) -> None:
    for problem in qualified_name(name):
        errors.invalid(path, name, problem)
    if "/" not in name and name not in _STANDARD and not name.startswith("hugepages-"):
        errors.invalid(path, name, "must be a standard resource type or fully qualified")
        errors.invalid(path, name, "must be a standard resource for containers")
