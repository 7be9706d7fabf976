"""Pods and pod templates (``ValidatePodCreate``, ``ValidatePodSpec``, ``ValidatePodUpdate``)."""

from __future__ import annotations

from collections.abc import Callable

from simkube.apiserver.registry.pods.validate_changes import pod_update, status_update
from simkube.apiserver.registry.pods.validate_containers import containers
from simkube.apiserver.registry.pods.validate_network import dns_config, host_aliases, host_network
from simkube.apiserver.registry.pods.validate_placement import gates, placement, spread, tolerations
from simkube.apiserver.registry.pods.validate_projections import tokens_without_account
from simkube.apiserver.registry.pods.validate_security_context import pod_security_context
from simkube.apiserver.registry.pods.validate_volumes import volumes
from simkube.apiserver.registry.pods.validate_windows import host_processes
from simkube.apiserver.validation import amounts
from simkube.apiserver.validation.field import Errors
from simkube.apiserver.validation.metadata import dns_label, labels, subdomain
from simkube.client.client import Obj

_RESTART = ("Always", "OnFailure", "Never")
_DNS = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
_PREEMPTION = ("PreemptLowerPriority", "Never")
_Names = tuple[tuple[str, Callable[[str], list[str]]], ...]
_FIRST_NAMES: _Names = (("serviceAccountName", subdomain), ("nodeName", subdomain))
_HOST_NAMES: _Names = (("hostname", dns_label), ("subdomain", dns_label))
_CLASS_NAMES: _Names = (("priorityClassName", subdomain), ("runtimeClassName", subdomain))


def pod(obj: Obj, errors: Errors) -> None:
    """A pod: its spec, at ``spec``."""
    pod_spec(obj["spec"], "spec", errors, pod=obj["metadata"].get("name", ""))
    tokens_without_account(obj["spec"], "spec", errors)
    for index, each in enumerate(obj["spec"].get("ephemeralContainers", ())):
        detail = "cannot be set on create"
        if index == 0 and not obj["metadata"].get("resourceVersion") and each:
            errors.forbidden("spec.ephemeralContainers", detail)


def pod_spec(spec: Obj, path: str, errors: Errors, *, pod: str = "") -> None:
    """The spec of a pod of that name, or of a template."""
    is_pod = bool(pod)
    found = volumes(spec.get("volumes", ()), f"{path}.volumes", errors, pod=pod)
    containers(spec, path, errors, found, is_pod=is_pod)
    amounts.of_pod(spec, f"{path}.resources", errors)
    host_network(spec, path, errors, is_pod=is_pod)
    _one_of(spec, "restartPolicy", _RESTART, path, errors)
    _one_of(spec, "dnsPolicy", _DNS, path, errors)
    labels(spec.get("nodeSelector", {}), f"{path}.nodeSelector", errors)
    pod_security_context(spec, path, errors)
    placement(spec, path, errors)
    dns_config(spec, f"{path}.dnsConfig", errors)
    gates(spec, path, errors)
    spread(spec.get("topologySpreadConstraints", ()), f"{path}.topologySpreadConstraints", errors)
    host_processes(spec, path, errors)
    _names(spec, path, errors, _FIRST_NAMES)
    deadline = spec.get("activeDeadlineSeconds")
    if deadline is not None and not 1 <= deadline < 2**31:
        errors.invalid(f"{path}.activeDeadlineSeconds", deadline, "must be between 1 and 2147483647, inclusive")
    _names(spec, path, errors, _HOST_NAMES)
    tolerations(spec.get("tolerations", ()), f"{path}.tolerations", errors)
    host_aliases(spec, f"{path}.hostAliases", errors)
    _names(spec, path, errors, _CLASS_NAMES)
    policy = spec.get("preemptionPolicy")
    if policy is not None and policy not in _PREEMPTION:
        errors.not_supported(f"{path}.preemptionPolicy", policy, _PREEMPTION)
    amounts.resources({"limits": spec.get("overhead", {})}, f"{path}.overhead", errors)
    system = spec.get("os")
    if system is not None and system.get("name") not in ("linux", "windows"):
        if not system.get("name"):
            errors.required(f"{path}.os.name", "cannot be empty")
        else:
            errors.not_supported(f"{path}.os", system["name"], ("linux", "windows"))


def _names(spec: Obj, path: str, errors: Errors, fields: _Names) -> None:
    for name, check in fields:
        value = spec.get(name)
        for problem in check(value) if value else ():
            errors.invalid(f"{path}.{name}", value, problem)


def _one_of(spec: Obj, name: str, values: tuple[str, ...], path: str, errors: Errors) -> None:
    value = spec.get(name, "")
    if not value:
        errors.required(f"{path}.{name}")
    elif value not in values:
        errors.not_supported(f"{path}.{name}", value, values)


__all__ = ["pod", "pod_spec", "pod_update", "status_update"]
