"""Containers: names, images, ports, environment, mounts, probes, resources (``validateContainers``)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from simkube.apiserver.field import Errors
from simkube.apiserver.validation.metadata import config_key, dns_label, qualified_name, subdomain
from simkube.apiserver.validation.mounts import volume_devices, volume_mounts
from simkube.apiserver.validation.security_context import security_context
from simkube.apiserver.validation.services import is_port, port_name
from simkube.client import Obj
from simkube.quantity import parse

_PULL = ("Always", "IfNotPresent", "Never")
_PROTOCOLS = ("SCTP", "TCP", "UDP")
_PORT = "must be between 1 and 65535, inclusive"
_NOT_NEGATIVE = "must be greater than or equal to 0"
_STANDARD = frozenset({"cpu", "memory", "ephemeral-storage"})
_MESSAGES = ("File", "FallbackToLogsOnError")
_RESTART = ("Always", "Never", "OnFailure")
_KEPT = ("containers", "initContainers")
_NOT_EPHEMERAL = (
    "ports",
    "resources",
    "resizePolicy",
    "restartPolicy",
    "restartPolicyRules",
    "livenessProbe",
    "readinessProbe",
    "startupProbe",
    "lifecycle",
)
_BAD_HEADER = (
    "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used for "
    "validation is '[-A-Za-z0-9]+')"
)
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


def containers(spec: Obj, path: str, errors: Errors, *, is_pod: bool = False) -> None:
    """Every container of a pod spec at ``path``; images of pods (not of templates) have no space around them."""
    scope = _Scope(spec)
    given = spec.get("containers", ())
    if not given:
        errors.required(f"{path}.containers")
    for index, container in enumerate(given):
        where = f"{path}.containers[{index}]"
        _container(container, where, scope, errors)
        _unique(container, where, scope, errors)
        _lifecycle(container, where, scope, errors)
        policy = container.get("restartPolicy")
        if policy is not None and policy not in _RESTART:
            errors.not_supported(f"{where}.restartPolicy", policy, _RESTART)
    _host_ports(given, f"{path}.containers", errors)
    for index, container in enumerate(spec.get("initContainers", ())):
        _init(container, f"{path}.initContainers[{index}]", scope, errors)
    for index, container in enumerate(spec.get("ephemeralContainers", ())):
        _ephemeral(container, f"{path}.ephemeralContainers[{index}]", scope, errors)
    for name in ("containers", "initContainers") if is_pod else ():
        for index, container in enumerate(spec.get(name, ())):
            _trimmed(container, f"{path}.{name}[{index}]", errors)


class _Scope:
    """What the containers of one pod have in common: its volumes, its grace, the names that are taken."""

    def __init__(self, spec: Obj) -> None:
        self.volumes = {volume.get("name", ""): volume for volume in spec.get("volumes", ())}
        self.grace = spec.get("terminationGracePeriodSeconds", 0)
        self.restart = spec.get("restartPolicy", "")
        self.names: set[str] = set()
        self.targets = {each.get("name") for key in _KEPT for each in spec.get(key, ())}


def _trimmed(container: Obj, path: str, errors: Errors) -> None:
    image = container.get("image", "")
    if image != image.strip():
        errors.invalid(f"{path}.image", image, "must not have leading or trailing whitespace")


def _unique(container: Obj, path: str, scope: _Scope, errors: Errors) -> None:
    name = container.get("name", "")
    if name in scope.names:
        errors.duplicate(f"{path}.name", name)
    elif name:
        scope.names.add(name)


def _init(container: Obj, path: str, scope: _Scope, errors: Errors) -> None:
    _container(container, path, scope, errors)
    policy = container.get("restartPolicy")
    if policy is not None and policy not in _RESTART:
        errors.not_supported(f"{path}.restartPolicy", policy, _RESTART)
    _unique(container, path, scope, errors)
    _host_ports([container], path.rpartition("[")[0], errors)
    if policy == "Always":
        _lifecycle(container, path, scope, errors)
    else:
        _no_lifecycle(container, path, errors)


def _ephemeral(container: Obj, path: str, scope: _Scope, errors: Errors) -> None:
    """Nothing that a pod could rely on: no ports, probes, hooks, resources, parts of volumes."""
    _container(container, path, scope, errors)
    _trimmed(container, path, errors)
    _unique(container, path, scope, errors)
    target = container.get("targetContainerName")
    if target and target not in scope.targets:
        errors.not_found(f"{path}.targetContainerName", target)
    for name in _NOT_EPHEMERAL:
        if container.get(name):
            errors.forbidden(f"{path}.{name}", "cannot be set for an Ephemeral Container")
    for index, mount in enumerate(container.get("volumeMounts", ())):
        for name in ("subPath", "subPathExpr"):
            if mount.get(name):
                where = f"{path}.volumeMounts[{index}].{name}"
                errors.forbidden(where, "cannot be set for an Ephemeral Container")


def _container(container: Obj, path: str, scope: _Scope, errors: Errors) -> None:
    """What holds for containers of every kind."""
    name = container.get("name", "")
    if not name:
        errors.required(f"{path}.name")
    for problem in dns_label(name) if name else ():
        errors.invalid(f"{path}.name", name, problem)
    if not container.get("image"):
        errors.required(f"{path}.image")
    policy = container.get("terminationMessagePolicy", "")
    if policy not in _MESSAGES:
        errors.not_supported(f"{path}.terminationMessagePolicy", policy, _MESSAGES)
    _ports(container.get("ports", ()), f"{path}.ports", errors)
    _env(container.get("env", ()), f"{path}.env", errors)
    _env_from(container.get("envFrom", ()), f"{path}.envFrom", errors)
    volume_mounts(container, path, scope.volumes, errors)
    volume_devices(container, path, scope.volumes, errors)
    if container.get("imagePullPolicy", "Always") not in _PULL:
        errors.not_supported(f"{path}.imagePullPolicy", container["imagePullPolicy"], _PULL)
    resources(container.get("resources", {}), f"{path}.resources", errors)
    _resize(container.get("resizePolicy", ()), f"{path}.resizePolicy", scope, errors)
    security_context(container.get("securityContext", {}), f"{path}.securityContext", errors)


def _resize(policies: Sequence[Obj], path: str, scope: _Scope, errors: Errors) -> None:
    seen: set[str] = set()
    for index, each in enumerate(policies):
        name, policy = each.get("resourceName", ""), each.get("restartPolicy", "")
        if name in seen:
            errors.duplicate(f"{path}[{index}]", name)
        seen.add(name)
        for value, values in ((name, ("cpu", "memory")), (policy, ("NotRequired", "RestartContainer"))):
            if not value:
                errors.required(path)
            elif value not in values:
                errors.not_supported(path, value, values)
        if scope.restart == "Never" and policy != "NotRequired":
            errors.invalid(path, policy, "must be 'NotRequired' when `restartPolicy` is 'Never'")


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
            key = f"{port.get('protocol', '')}/{port.get('hostIP', '')}/{port['hostPort']}"
            if key in seen:
                errors.duplicate(f"{path}[{index}].ports[{at}].hostPort", key)
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
            name, key = reference.get("name", ""), reference.get("key", "")
            for problem in subdomain(name):
                errors.invalid(f"{path}.{kind}.name", name, problem)
            if not key:
                errors.required(f"{path}.{kind}.key")
            for problem in config_key(key) if key else ():
                errors.invalid(f"{path}.{kind}.key", key, problem)
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


def _lifecycle(container: Obj, path: str, scope: _Scope, errors: Errors) -> None:
    for hook in ("postStart", "preStop"):
        handler = (container.get("lifecycle") or {}).get(hook)
        if handler is not None:
            where = f"{path}.lifecycle.{hook}"
            _handler(handler, where, errors, ("exec", "httpGet", "tcpSocket", "sleep"))
            seconds = (handler.get("sleep") or {}).get("seconds", 0)
            if handler.get("sleep") is not None and not 0 <= seconds <= scope.grace:
                detail = f"must be non-negative and less than terminationGracePeriodSeconds ({scope.grace})"
                errors.invalid(f"{where}.sleep", seconds, detail)
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        if container.get(name) is not None:
            _probe(container[name], f"{path}.{name}", errors, readiness=name == "readinessProbe")


def _no_lifecycle(container: Obj, path: str, errors: Errors) -> None:
    for name in ("lifecycle", "livenessProbe", "readinessProbe", "startupProbe"):
        if container.get(name) is not None:
            errors.forbidden(f"{path}.{name}", "may not be set for init containers without restartPolicy=Always")


def _probe(probe: Obj, path: str, errors: Errors, *, readiness: bool) -> None:
    _handler(probe, path, errors, _HANDLERS)
    for name in ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"):
        if probe.get(name, 0) < 0:
            errors.invalid(f"{path}.{name}", probe[name], _NOT_NEGATIVE)
    grace = probe.get("terminationGracePeriodSeconds")
    if grace is not None and grace <= 0:
        errors.invalid(f"{path}.terminationGracePeriodSeconds", grace, "must be greater than 0")
    if readiness and grace is not None:
        errors.invalid(f"{path}.terminationGracePeriodSeconds", grace, "must not be set for readinessProbes")
    if not readiness and probe.get("successThreshold", 1) != 1:
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
        for header in action.get("httpHeaders", ()):
            if not re.fullmatch(r"[-A-Za-z0-9]+", header.get("name", "")):
                errors.invalid(f"{where}.httpHeaders", header.get("name", ""), _BAD_HEADER)


def _handler_port(port: Any, path: str, errors: Errors) -> None:
    if isinstance(port, str):
        for problem in port_name(port):
            errors.invalid(path, port, problem)
    elif not is_port(port):
        errors.invalid(path, port, _PORT)


def resources(given: Obj, path: str, errors: Errors) -> None:
    """Requests and limits: known names, amounts not below zero, requests within limits (or as they are)."""
    limits, requests = given.get("limits", {}), given.get("requests", {})
    for kind, amounts in (("limits", limits), ("requests", requests)):
        for name, amount in sorted(amounts.items()):
            where = f"{path}.{kind}[{name}]"
            _resource_name(name, where, errors)
            if parse(amount) < 0:
                errors.invalid(where, amount, _NOT_NEGATIVE)
            if name not in _STANDARD and parse(amount) % 1:
                errors.invalid(where, amount, "must be an integer")
    for name, amount in sorted(requests.items()):
        whole = name not in _STANDARD
        if name not in limits:
            if whole:
                errors.required(f"{path}.limits", "Limit must be set for non overcommitable resources")
        elif whole and parse(amount) != parse(limits[name]):
            errors.invalid(f"{path}.requests", amount, f"must be equal to {name} limit of {limits[name]}")
        elif parse(amount) > parse(limits[name]):
            detail = f"must be less than or equal to {name} limit of {limits[name]}"
            errors.invalid(f"{path}.requests", amount, detail)


def _resource_name(name: str, path: str, errors: Errors) -> None:
    for problem in qualified_name(name):
        errors.invalid(path, name, problem)
    if "/" not in name and name not in _STANDARD and not name.startswith("hugepages-"):
        errors.invalid(path, name, "must be a standard resource type or fully qualified")
        errors.invalid(path, name, "must be a standard resource for containers")
