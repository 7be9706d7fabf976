"""How the traffic of a service is spread and let in (the rest of ``ValidateService``)."""

from __future__ import annotations

from typing import Any

from simkube.apiserver.validation.addresses import BAD_CIDR, network_of
from simkube.apiserver.validation.field import Errors
from simkube.apiserver.validation.metadata import qualified_name
from simkube.client.client import Obj

_DAY = 86400
_BALANCER = "may only be used when `type` is 'LoadBalancer'"
_AFFINITIES = ("ClientIP", "None")
_POLICIES = ("Cluster", "Local")
_DISTRIBUTIONS = ("PreferClose", "PreferSameNode", "PreferSameZone")
_RANGES = "service.beta.kubernetes.io/load-balancer-source-ranges"


def affinity(spec: Obj, errors: Errors) -> None:
    """Whether a client stays with a pod, and for how long."""
    given, path, config = spec.get("sessionAffinity"), "spec.sessionAffinityConfig", spec.get("sessionAffinityConfig")
    if given not in _AFFINITIES:
        errors.not_supported("spec.sessionAffinity", given, _AFFINITIES)
    elif given == "None" and config is not None:
        errors.forbidden(path, "must not be set when session affinity is None")
    elif given == "ClientIP":
        seconds: Any = ((config or {}).get("clientIP") or {}).get("timeoutSeconds")
        if seconds is None:
            errors.required(f"{path}.clientIP.timeoutSeconds", "when session affinity type is ClientIP")
        elif not 0 < seconds <= _DAY:
            detail = f"must be greater than 0 and less than {_DAY}"
            errors.invalid(f"{path}.clientIP.timeoutSeconds", seconds, detail)


def balancer(spec: Obj, notes: Obj, errors: Errors) -> None:
    """What a load balancer is told: whom to let in, what class it is of. In notes, whom to let in as well."""
    balanced, ranges = spec.get("type") == "LoadBalancer", spec.get("loadBalancerSourceRanges", ())
    if ranges and not balanced:
        errors.forbidden("spec.LoadBalancerSourceRanges", _BALANCER)
    for index, each in enumerate(ranges):
        _range(each, f"spec.LoadBalancerSourceRanges[{index}]", errors)
    if not ranges and _RANGES in notes:
        path = f"metadata.annotations[{_RANGES}]"
        if not balanced:
            errors.forbidden(path, _BALANCER)
        for each in notes[_RANGES].split(",") if notes[_RANGES].strip() else ():
            _range(each, path, errors)
    for name in ("allocateLoadBalancerNodePorts", "loadBalancerClass"):
        if spec.get(name) is not None and not balanced:
            errors.forbidden(f"spec.{name}", _BALANCER)
    kind = spec.get("loadBalancerClass")
    for problem in qualified_name(kind) if kind is not None and balanced else ():
        errors.invalid("spec.loadBalancerClass", kind, problem)


def _range(text: str, path: str, errors: Errors) -> None:
    if network_of(text.strip()) is None:
        errors.invalid(path, text.strip(), BAD_CIDR)


def policies(spec: Obj, errors: Errors) -> None:
    """Which pods get the traffic: those of all nodes or of one, those near or any."""
    _external(spec, errors)
    policy, wanted = spec.get("internalTrafficPolicy"), spec.get("trafficDistribution")
    if policy is not None and policy not in _POLICIES:
        errors.not_supported("spec.internalTrafficPolicy", policy, _POLICIES)
    if wanted is not None and wanted not in _DISTRIBUTIONS:
        errors.not_supported("spec.trafficDistribution", wanted, _DISTRIBUTIONS)


def _external(spec: Obj, errors: Errors) -> None:
    kind, policy, port = spec.get("type"), spec.get("externalTrafficPolicy"), spec.get("healthCheckNodePort")
    if kind in ("NodePort", "LoadBalancer") or (kind == "ClusterIP" and spec.get("externalIPs")):
        if policy not in _POLICIES:
            errors.not_supported("spec.externalTrafficPolicy", policy, _POLICIES)
    elif policy:
        errors.invalid("spec.externalTrafficPolicy", policy, "may only be set for externally-accessible services")
    if port and not checks_health(spec):
        detail = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
        errors.invalid("spec.healthCheckNodePort", port, detail)
    elif port and not 1 <= port <= 65535:
        errors.invalid("spec.healthCheckNodePort", port, "must be between 1 and 65535, inclusive")


def checks_health(spec: Obj) -> bool:
    """Whether a balancer asks nodes if they have pods of the service."""
    return spec.get("type") == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local"


def changed(new: Obj, old: Obj, errors: Errors) -> None:
    """The class of a balancer and the port for health checks stay."""
    kind, port = new.get("loadBalancerClass"), new.get("healthCheckNodePort")
    if new.get("type") == old.get("type") == "LoadBalancer" and kind != old.get("loadBalancerClass"):
        errors.invalid("spec.loadBalancerClass", kind, "may not change once set")
    if checks_health(new) and checks_health(old) and port and port != old.get("healthCheckNodePort"):
        errors.forbidden("spec.healthCheckNodePort", "field is immutable")
