"""How the traffic of a service is spread and let in (the rest of ``ValidateService``)."""

from __future__ import annotations

from typing import Any

from simkube.apiserver.validation.addresses import BAD_CIDR, network_of
from simkube.apiserver.validation.field import Errors
from simkube.client.client import Obj

_DAY = 86400
_BALANCER = "may only be used when `type` is 'LoadBalancer'"
_DISTRIBUTIONS = ("PreferClose", "PreferSameNode", "PreferSameZone")
_POLICIES = ("PreferDualStack", "RequireDualStack", "SingleStack")


def service(spec: Obj, errors: Errors) -> None:
    """Affinity, policies, balancers, families."""
    _affinity(spec, errors)
    _external(spec, errors)
    _balancer(spec, errors)
    _families(spec, errors)
    wanted = spec.get("trafficDistribution")
    if wanted is not None and wanted not in _DISTRIBUTIONS:
        errors.not_supported("spec.trafficDistribution", wanted, _DISTRIBUTIONS)


def _affinity(spec: Obj, errors: Errors) -> None:
    path, config = "spec.sessionAffinityConfig", spec.get("sessionAffinityConfig")
    if spec.get("sessionAffinity") == "None" and config is not None:
        errors.forbidden(path, "must not be set when session affinity is None")
    elif spec.get("sessionAffinity") == "ClientIP":
        seconds: Any = ((config or {}).get("clientIP") or {}).get("timeoutSeconds")
        if seconds is None:
            errors.required(f"{path}.clientIP.timeoutSeconds")
        elif not 0 < seconds <= _DAY:
            detail = f"must be greater than 0 and less than {_DAY}"
            errors.invalid(f"{path}.clientIP.timeoutSeconds", seconds, detail)


def _external(spec: Obj, errors: Errors) -> None:
    policy = spec.get("externalTrafficPolicy")
    if policy and policy not in ("Cluster", "Local"):
        errors.not_supported("spec.externalTrafficPolicy", policy, ("Cluster", "Local"))
    port = spec.get("healthCheckNodePort")
    if port and not (spec.get("type") == "LoadBalancer" and policy == "Local"):
        detail = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
        errors.invalid("spec.healthCheckNodePort", port, detail)


def _balancer(spec: Obj, errors: Errors) -> None:
    if spec.get("type") != "LoadBalancer":
        for name, path in (
            ("loadBalancerSourceRanges", "LoadBalancerSourceRanges"),
            ("allocateLoadBalancerNodePorts", "allocateLoadBalancerNodePorts"),
            ("loadBalancerClass", "loadBalancerClass"),
        ):
            if spec.get(name) is not None:
                errors.forbidden(f"spec.{path}", _BALANCER)
        return
    for index, each in enumerate(spec.get("loadBalancerSourceRanges", ())):
        if network_of(each.strip()) is None:
            errors.invalid(f"spec.LoadBalancerSourceRanges[{index}]", each, BAD_CIDR)


def _families(spec: Obj, errors: Errors) -> None:
    """This cluster has one address family, IPv4."""
    if spec.get("type") == "ExternalName":
        return
    policy = spec.get("ipFamilyPolicy")
    if policy is not None and policy not in _POLICIES:
        errors.not_supported("spec.ipFamilyPolicy", policy, _POLICIES)
    elif policy == "RequireDualStack":
        detail = "this cluster is not configured for dual-stack services"
        errors.invalid("spec.ipFamilyPolicy", policy, detail)
    for index, family in enumerate(spec.get("ipFamilies", ())):
        if family not in ("IPv4", "IPv6"):
            errors.not_supported(f"spec.ipFamilies[{index}]", family, ("IPv4", "IPv6"))
        elif family == "IPv6":
            errors.invalid(f"spec.ipFamilies[{index}]", family, "not configured on this cluster")
