"""Pods and pod templates (``ValidatePodCreate``, ``ValidatePodSpec``, ``ValidatePodUpdate``)."""

from __future__ import annotations

from simkube.apiserver.field import Errors
from simkube.apiserver.validation.containers import containers, field_reference
from simkube.apiserver.validation.metadata import dns_label, label_value, labels, qualified_name, subdomain
from simkube.apiserver.validation.pod_changes import pod_update, status_update
from simkube.client import Obj

_RESTART = ("Always", "OnFailure", "Never")
_DNS = ("ClusterFirst", "ClusterFirstWithHostNet", "Default", "None")
_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_OPERATORS = ("Equal", "Exists")


def pod(obj: Obj, errors: Errors) -> None:
    """A pod: its spec, at ``spec``."""
    pod_spec(obj["spec"], "spec", errors)
    for index, each in enumerate(obj["spec"].get("ephemeralContainers", ())):
        detail = "cannot be set on create"
        if index == 0 and not obj["metadata"].get("resourceVersion") and each:
            errors.forbidden("spec.ephemeralContainers", detail)


def pod_spec(spec: Obj, path: str, errors: Errors) -> None:
    """The spec of a pod or of a template."""
    _volumes(spec.get("volumes", ()), f"{path}.volumes", errors)
    containers(spec, path, errors)
    _one_of(spec, "restartPolicy", _RESTART, path, errors)
    _one_of(spec, "dnsPolicy", _DNS, path, errors)
    labels(spec.get("nodeSelector", {}), f"{path}.nodeSelector", errors)
    for name, check in (
        ("serviceAccountName", subdomain),
        ("nodeName", subdomain),
        ("hostname", dns_label),
        ("subdomain", dns_label),
    ):
        value = spec.get(name)
        for problem in check(value) if value else ():
            errors.invalid(f"{path}.{name}", value, problem)
    deadline = spec.get("activeDeadlineSeconds")
    if deadline is not None and deadline < 1:
        errors.invalid(f"{path}.activeDeadlineSeconds", deadline, "must be between 1 and 2147483647, inclusive")
    _tolerations(spec.get("tolerations", ()), f"{path}.tolerations", errors)


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


def _tolerations(tolerations: list[Obj], path: str, errors: Errors) -> None:
    for index, each in enumerate(tolerations):
        where = f"{path}[{index}]"
        key, operator = each.get("key", ""), each.get("operator", "")
        for problem in qualified_name(key) if key else ():
            errors.invalid(f"{where}.key", key, problem)
        if not key and operator != "Exists":
            detail = 'operator must be Exists when `key` is empty, which means "match all values and all keys"'
            errors.invalid(f"{where}.operator", operator, detail)
        if each.get("tolerationSeconds") is not None and each.get("effect") != "NoExecute":
            detail = "effect must be 'NoExecute' when `tolerationSeconds` is set"
            errors.invalid(f"{where}.effect", each.get("effect", ""), detail)
        if operator in ("", "Equal"):
            for problem in label_value(each.get("value", "")):
                errors.invalid(f"{where}.operator", each.get("value", ""), problem)
        elif operator == "Exists":
            if each.get("value"):
                errors.invalid(f"{where}.operator", each["value"], "value must be empty when `operator` is 'Exists'")
        else:
            errors.not_supported(f"{where}.operator", operator, _OPERATORS)
        effect = each.get("effect", "")
        if effect and effect not in _EFFECTS:
            errors.not_supported(f"{where}.effect", effect, _EFFECTS)


__all__ = ["pod", "pod_spec", "pod_update", "status_update"]
