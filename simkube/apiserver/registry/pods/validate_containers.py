"""Containers: names, images, ports, environment, mounts, probes, resources (``validateContainers``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from simkube.apiserver.registry.pods import validate_environment as environment
from simkube.apiserver.registry.pods.validate_handlers import lifecycle, no_lifecycle
from simkube.apiserver.registry.pods.validate_mounts import volume_devices, volume_mounts
from simkube.apiserver.registry.pods.validate_security_context import security_context
from simkube.apiserver.registry.services.validation import is_port, port_name
from simkube.apiserver.validation.amounts import claims, resources
from simkube.apiserver.validation.field import Errors
from simkube.apiserver.validation.metadata import dns_label
from simkube.client.client import Obj

_PULL = ("Always", "IfNotPresent", "Never")
_PROTOCOLS = ("SCTP", "TCP", "UDP")
_PORT = "must be between 1 and 65535, inclusive"
_MESSAGES = ("File", "FallbackToLogsOnError")
_RESTART = ("Always", "Never", "OnFailure")
_POINTERS = ("livenessProbe", "readinessProbe", "startupProbe", "lifecycle")
"""Those of them that count even when they say nothing."""
_ACTIONS = ("Restart", "RestartAllContainers")
_MOST_RULES, _MOST_CODES = 20, 255
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


def containers(spec: Obj, path: str, errors: Errors, volumes: Mapping[str, Obj], *, is_pod: bool = False) -> None:
    """Every container of a pod spec at ``path``, which has these ``volumes``.

    Images of pods (not of templates) have no space around them.
    """
    scope = _Scope(spec, volumes)
    given = spec.get("containers", ())
    if not given:
        errors.required(f"{path}.containers")
    for index, container in enumerate(given):
        where = f"{path}.containers[{index}]"
        _container(container, where, scope, errors)
        _unique(container, where, scope, errors)
        lifecycle(container, where, scope.grace, errors)
        _restart(container, where, errors)
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

    def __init__(self, spec: Obj, volumes: Mapping[str, Obj]) -> None:
        self.volumes = volumes
        self.claims = {each.get("name") for each in spec.get("resourceClaims", ()) if each.get("name")}
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
    _restart(container, path, errors)
    _unique(container, path, scope, errors)
    _host_ports([container], path.rpartition("[")[0], errors)
    if container.get("restartPolicy") == "Always":
        lifecycle(container, path, scope.grace, errors)
    else:
        no_lifecycle(container, path, errors)


def _restart(container: Obj, path: str, errors: Errors) -> None:
    """A policy of its own, and rules about it: by exit codes."""
    policy, rules = container.get("restartPolicy"), container.get("restartPolicyRules", ())
    if policy is None and rules:
        errors.required(f"{path}.restartPolicy", "must specify restartPolicy when restart rules are used")
    elif policy is not None and policy not in _RESTART:
        errors.not_supported(f"{path}.restartPolicy", policy, _RESTART)
    if len(rules) > _MOST_RULES:
        errors.too_long(f"{path}.restartPolicyRules", f"may not be more than {_MOST_RULES} bytes")
    for index, rule in enumerate(rules):
        where, codes = f"{path}.restartPolicyRules[{index}]", rule.get("exitCodes")
        if rule.get("action", "") not in _ACTIONS:
            errors.not_supported(f"{where}.action", rule.get("action", ""), _ACTIONS)
        if codes is None:
            errors.required(f"{where}.exitCodes", "must be specified")
            continue
        if codes.get("operator", "") not in ("In", "NotIn"):
            errors.not_supported(f"{where}.exitCodes.operator", codes.get("operator", ""), ("In", "NotIn"))
        if len(codes.get("values", ())) > _MOST_CODES:
            errors.too_long(f"{where}.exitCodes.values", f"may not be more than {_MOST_CODES} bytes")


def _ephemeral(container: Obj, path: str, scope: _Scope, errors: Errors) -> None:
    """Nothing that a pod could rely on: no ports, probes, hooks, resources, parts of volumes."""
    _container(container, path, scope, errors)
    _trimmed(container, path, errors)
    _unique(container, path, scope, errors)
    target = container.get("targetContainerName")
    if target and target not in scope.targets:
        errors.not_found(f"{path}.targetContainerName", target)
    for name in _NOT_EPHEMERAL:
        if container.get(name) or (name in _POINTERS and container.get(name) is not None):
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
    environment.variables(container.get("env", ()), f"{path}.env", errors)
    environment.sources(container.get("envFrom", ()), f"{path}.envFrom", errors)
    volume_mounts(container, path, scope.volumes, errors)
    volume_devices(container, path, scope.volumes, errors)
    if container.get("imagePullPolicy", "Always") not in _PULL:
        errors.not_supported(f"{path}.imagePullPolicy", container["imagePullPolicy"], _PULL)
    wanted = container.get("resources", {})
    claims(wanted.get("claims", ()), scope.claims, f"{path}.resources.claims", errors)
    resources(wanted, f"{path}.resources", errors)
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
