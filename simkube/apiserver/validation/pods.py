"""Pods and pod templates (``ValidatePodCreate``, ``ValidatePodSpec``, ``ValidatePodUpdate``)."""

from __future__ import annotations

from collections.abc import Callable

from simkube.apiserver.field import Errors
from simkube.apiserver.validation.containers import containers, field_reference, resources
from simkube.apiserver.validation.metadata import dns_label, labels, subdomain
from simkube.apiserver.validation.placement import gates, placement, spread, tolerations
from simkube.apiserver.validation.pod_changes import pod_update, status_update
from simkube.apiserver.validation.pod_network import dns_config, host_aliases, host_network
from simkube.apiserver.validation.security_context import pod_security_context
from simkube.client import Obj

_RESTART = ("Always", "OnFailure", "Never")
_DNS = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
_PREEMPTION = ("PreemptLowerPriority", "Never")
_Names = tuple[tuple[str, Callable[[str], list[str]]], ...]
_FIRST_NAMES: _Names = (("serviceAccountName", subdomain), ("nodeName", subdomain))
_HOST_NAMES: _Names = (("hostname", dns_label), ("subdomain", dns_label))
_CLASS_NAMES: _Names = (("priorityClassName", subdomain), ("runtimeClassName", subdomain))


def pod(obj: Obj, errors: Errors) -> None:
    """A pod: its spec, at ``spec``."""
    pod_spec(obj["spec"], "spec", errors, is_pod=True)
    for index, each in enumerate(obj["spec"].get("ephemeralContainers", ())):
        detail = "cannot be set on create"
        if index == 0 and not obj["metadata"].get("resourceVersion") and each:
            errors.forbidden("spec.ephemeralContainers", detail)


def pod_spec(spec: Obj, path: str, errors: Errors, *, is_pod: bool = False) -> None:
    """The spec of a pod or of a template."""
    _volumes(spec.get("volumes", ()), f"{path}.volumes", errors)
    containers(spec, path, errors, is_pod=is_pod)
    host_network(spec, path, errors, is_pod=is_pod)
    _one_of(spec, "restartPolicy", _RESTART, path, errors)
    _one_of(spec, "dnsPolicy", _DNS, path, errors)
    labels(spec.get("nodeSelector", {}), f"{path}.nodeSelector", errors)
    pod_security_context(spec, path, errors)
    placement(spec, path, errors)
    dns_config(spec, f"{path}.dnsConfig", errors)
    gates(spec, path, errors)
    spread(spec.get("topologySpreadConstraints", ()), f"{path}.topologySpreadConstraints", errors)
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
    resources({"limits": spec.get("overhead", {})}, f"{path}.overhead", errors)
    system = spec.get("os")
    if system is not None and system.get("name") not in ("linux", "windows"):
        if not system.get("name"):
            errors.required(f"{path}.os.name")
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


def _volumes(volumes: list[Obj], path: str, errors: Errors) -> None:
    names: set[str] = set()
    for index, volume in enumerate(volumes):
        where = f"{path}[{index}]"
        name = volume.get("name", "")
        if not name:
            errors.required(f"{where}.name")
        else:
            for problem in dns_label(name):
                errors.invalid(f"{where}.name", name, problem)
            if name in names:
                errors.duplicate(f"{where}.name", name)
        names.add(name)
        sources = [source for source in _order(volume) if source != "name"]
        if not sources:
            errors.required(where, "must specify a volume type")
        for source in sources[1:]:
            errors.forbidden(f"{where}.{source}", "may not specify more than 1 volume type")
        _source(volume, where, errors)


def _order(volume: Obj) -> list[str]:
    """Sources in the order in which the API server looks at them."""
    first = ("emptyDir", "hostPath", "gitRepo", "secret", "nfs", "iscsi", "persistentVolumeClaim", "downwardAPI")
    return [*(each for each in first if each in volume), *sorted(set(volume) - set(first))]


def _source(volume: Obj, path: str, errors: Errors) -> None:
    if "secret" in volume and not volume["secret"].get("secretName"):
        errors.required(f"{path}.secret.secretName")
    if "configMap" in volume and not volume["configMap"].get("name"):
        errors.required(f"{path}.configMap.name")
    if "hostPath" in volume and not volume["hostPath"].get("path"):
        errors.required(f"{path}.hostPath.path")
    if "persistentVolumeClaim" in volume and not volume["persistentVolumeClaim"].get("claimName"):
        errors.required(f"{path}.persistentVolumeClaim.claimName")
    for source in ("secret", "configMap", "downwardAPI", "projected"):
        found = volume.get(source)
        if found is None:
            continue
        _items(found, f"{path}.{source}", errors)
        mode = found.get("defaultMode", 0)
        if not 0 <= mode <= 0o777:
            detail = "must be a number between 0 and 0777 (octal), both inclusive"
            errors.invalid(f"{path}.{source}.defaultMode", mode, detail)


def _items(source: Obj, path: str, errors: Errors) -> None:
    for index, item in enumerate(source.get("items", ())):
        where = f"{path}.items[{index}]"
        if "fieldRef" in item:
            field_reference(item["fieldRef"], f"{where}.fieldRef", errors)
        elif "resourceFieldRef" not in item and not item.get("key"):
            errors.required(f"{where}.key")
        target = item.get("path", "")
        if not target:
            errors.required(f"{where}.path")
        elif target.startswith("/"):
            errors.invalid(f"{where}.path", target, "must be a relative path")
        elif ".." in target.split("/"):
            errors.invalid(f"{where}.path", target, "must not contain '..'")


__all__ = ["pod", "pod_spec", "pod_update", "status_update"]
