"""Resource quotas and limit ranges (``pkg/apis/core/validation``)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from simkube.apimachinery import quantity
from simkube.apiserver.validation.field import Errors
from simkube.apiserver.validation.metadata import qualified_name
from simkube.client.client import Obj

_COMPUTE = ("cpu", "memory", "ephemeral-storage")
_COUNTED = (
    "pods",
    "services",
    "replicationcontrollers",
    "resourcequotas",
    "secrets",
    "configmaps",
    "persistentvolumeclaims",
    "services.nodeports",
    "services.loadbalancers",
)
_OF_PODS = frozenset({"pods", *_COMPUTE, *(f"{kind}.{name}" for kind in ("requests", "limits") for name in _COMPUTE)})
_QUOTA = frozenset({*_OF_PODS, *_COUNTED, "requests.storage"})
_STANDARD = _QUOTA | {"storage"}
_SCOPES = (
    "Terminating",
    "NotTerminating",
    "BestEffort",
    "NotBestEffort",
    "PriorityClass",
    "CrossNamespacePodAffinity",
    "VolumeAttributesClass",
)
_OPPOSED = ({"Terminating", "NotTerminating"}, {"BestEffort", "NotBestEffort"})
_EXISTS_ONLY = frozenset(_SCOPES) - {"PriorityClass", "VolumeAttributesClass"}
_LIMIT_TYPES = ("Pod", "Container", "PersistentVolumeClaim")
_LEAST = "must be greater than or equal to 0"


def _huge(name: str) -> bool:
    return name.startswith(("hugepages-", "requests.hugepages-"))


def _resource_name(name: str, path: str, errors: Errors) -> None:
    for problem in qualified_name(name):
        errors.invalid(path, name, problem)
        return
    if "/" not in name and name not in _STANDARD and not _huge(name):
        errors.invalid(path, name, "must be a standard resource type or fully qualified")


def quota(obj: Obj, errors: Errors) -> None:
    """Names and amounts of what is limited, and scopes that fit them."""
    spec = obj.get("spec") or {}
    hard = spec.get("hard") or {}
    _amounts(hard, "spec.hard", errors)
    _scopes(spec, hard, errors)


def quota_status(new: Obj, _: Obj, errors: Errors) -> None:
    """Names and amounts of what is used."""
    if not new["metadata"].get("resourceVersion"):
        errors.required("resourceVersion")
    for name in ("hard", "used"):
        _amounts((new.get("status") or {}).get(name) or {}, f"status.{name}", errors)


def quota_update(new: Obj, old: Obj, errors: Errors) -> None:
    """Scopes never change."""
    before = (old.get("spec") or {}).get("scopes") or []
    given = (new.get("spec") or {}).get("scopes") or []
    if sorted(given) != sorted(before):
        errors.invalid("spec.scopes", given, "field is immutable")


def _amounts(values: Mapping[str, Any], path: str, errors: Errors) -> None:
    for name, amount in sorted(values.items()):
        where = f"{path}[{name}]"
        _resource_name(name, where, errors)
        if "/" not in name and name not in _QUOTA and not _huge(name):
            errors.invalid(where, name, "must be a standard resource for quota")
        _amount(amount, where, errors, whole=name in _COUNTED or ("/" in name and not _has_size(name)))


def _has_size(name: str) -> bool:
    return name.endswith("/requests.storage")


def _amount(amount: Any, path: str, errors: Errors, *, whole: bool = False) -> None:
    try:
        value = quantity.parse(str(amount))
    except quantity.QuantityError:
        return  # decoding has refused it
    shown = quantity.canonical(str(amount))
    if value < 0:
        errors.invalid(path, shown, _LEAST)
    if whole and value.denominator != 1:
        errors.invalid(path, shown, "must be an integer")


def _scopes(spec: Obj, hard: Mapping[str, Any], errors: Errors) -> None:
    given = list(spec.get("scopes") or ())
    _scope_set(given, given, hard, "spec.scopes", errors)
    selector = spec.get("scopeSelector")
    if selector is None:
        return
    terms = selector.get("matchExpressions") or ()
    path = "spec.scopeSelector.matchExpressions"
    names = [term.get("scopeName", "") for term in terms]
    for term in terms:
        _term(term, path, errors)
    _scope_set(names, terms, hard, path, errors)


def _scope_set(names: list[str], value: Any, hard: Mapping[str, Any], path: str, errors: Errors) -> None:
    for name in names:
        if name not in _SCOPES:
            errors.invalid(path, value, "unsupported scope")
            continue
        for resource in sorted(hard):
            if "/" not in resource and resource in _QUOTA and not _scope_fits(name, resource):
                errors.invalid(path, value, "unsupported scope applied to resource")
    for pair in _OPPOSED:
        if pair <= set(names):
            errors.invalid(path, value, "conflicting scopes")


def _scope_fits(scope: str, resource: str) -> bool:
    if scope == "BestEffort":
        return resource == "pods"
    if scope == "VolumeAttributesClass":
        return resource in ("persistentvolumeclaims", "requests.storage")
    return resource in _OF_PODS


def _term(term: Obj, path: str, errors: Errors) -> None:
    scope, operator, values = term.get("scopeName", ""), term.get("operator", ""), term.get("values") or []
    if scope in _EXISTS_ONLY and operator != "Exists":
        detail = (
            "must be 'Exist' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, "
            "ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or "
            "ResourceQuotaScopeCrossNamespacePodAffinity"
        )
        errors.invalid(f"{path}.operator", operator, detail)
    if operator in ("In", "NotIn"):
        if not values:
            detail = "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"
            errors.required(f"{path}.values", detail)
    elif operator in ("Exists", "DoesNotExist"):
        if values:
            detail = "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector"
            errors.invalid(f"{path}.values", values, detail)
    else:
        errors.invalid(f"{path}.operator", operator, "not a valid selector operator")


def limit_range(obj: Obj, errors: Errors) -> None:
    """Each kind of thing once, with bounds and defaults that do not contradict each other."""
    seen: set[str] = set()
    for index, item in enumerate((obj.get("spec") or {}).get("limits") or ()):
        path = f"spec.limits[{index}]"
        kind = item.get("type", "")
        _limit_type(kind, f"{path}.type", errors)
        if kind in seen:
            errors.duplicate(f"{path}.type", kind)
        seen.add(kind)
        _limit_item(item, kind, path, errors)


def _limit_type(kind: str, path: str, errors: Errors) -> None:
    for problem in qualified_name(kind):
        errors.invalid(path, kind, problem)
        return
    if "/" not in kind and kind not in _LIMIT_TYPES:
        errors.invalid(path, kind, "must be a standard limit type or fully qualified")


def _limit_item(item: Obj, kind: str, path: str, errors: Errors) -> None:
    names: dict[str, None] = {}
    for field in ("max", "min"):
        for name in sorted(item.get(field) or {}):
            _resource_name(name, f"{path}.{field}[{name}]", errors)
            names[name] = None
    for field in ("default", "defaultRequest"):
        given = item.get(field) or {}
        if kind == "Pod" and given:
            errors.forbidden(f"{path}.{field}", "may not be specified when `type` is 'Pod'")
        elif kind != "Pod":
            for name in sorted(given):
                _resource_name(name, f"{path}.{field}[{name}]", errors)
                names[name] = None
    if kind == "PersistentVolumeClaim" and "storage" not in {*(item.get("min") or {}), *(item.get("max") or {})}:
        detail = "either minimum or maximum storage value is required, but neither was provided"
        errors.required("spec.limits", detail)
    for name in sorted(item.get("maxLimitRequestRatio") or {}):
        _resource_name(name, f"{path}.maxLimitRequestRatio[{name}]", errors)
        names[name] = None
    for name in names:
        _bounds(item, name, path, errors)


def _bounds(item: Obj, name: str, path: str, errors: Errors) -> None:
    """The order of least <= default request <= default <= most, each pair once."""
    found = {field: (item.get(field) or {}).get(name) for field in ("min", "defaultRequest", "default", "max")}
    for low, high, field, shown, text in _ORDER:
        one, other = found[low], found[high]
        if one is not None and other is not None and quantity.parse(str(one)) > quantity.parse(str(other)):
            errors.invalid(f"{path}.{field}[{name}]", str(found[shown]), text.format(one, other))
    ratio = (item.get("maxLimitRequestRatio") or {}).get(name)
    if ratio is None:
        return
    where, value = f"{path}.maxLimitRequestRatio[{name}]", quantity.parse(str(ratio))
    if value < 1:
        errors.invalid(where, ratio, f"ratio {ratio} is less than 1")
    least, most = found["min"], found["max"]
    if least is not None and most is not None and quantity.parse(str(least)):
        bound = quantity.parse(str(most)) / quantity.parse(str(least))
        if value > bound:
            errors.invalid(where, ratio, f"ratio {ratio} is greater than max/min = {float(bound):.6f}")


_ORDER = (
    ("min", "max", "min", "min", "min value {} is greater than max value {}"),
    (
        "min",
        "defaultRequest",
        "defaultRequest",
        "defaultRequest",
        "min value {} is greater than default request value {}",
    ),
    (
        "defaultRequest",
        "max",
        "defaultRequest",
        "defaultRequest",
        "default request value {} is greater than max value {}",
    ),
    (
        "defaultRequest",
        "default",
        "defaultRequest",
        "defaultRequest",
        "default request value {} is greater than default limit value {}",
    ),
    ("min", "default", "default", "min", "min value {} is greater than default value {}"),
    ("default", "max", "default", "max", "default value {} is greater than max value {}"),
)
"""Which must not be above which; the field at fault, the value that is shown, the words."""
