"""Autoscalers: bounds, target, metrics, behaviour (``pkg/apis/autoscaling/validation``)."""

from __future__ import annotations

from typing import Any

from simkube.apimachinery.quantity import QuantityError, parse
from simkube.apiserver.validation.field import Errors
from simkube.apiserver.validation.metadata import dns_label
from simkube.apiserver.validation.numbers import not_negative
from simkube.client.client import Obj

_SOURCES = {
    "Object": "object",
    "External": "external",
    "Pods": "pods",
    "Resource": "resource",
    "ContainerResource": "containerResource",
}
_SELECT = ("Disabled", "Max", "Min")
_LONGEST_WINDOW = 3600
_LONGEST_PERIOD = 1800
_EITHER = "must set either a target raw value or a target utilization"


def autoscaler(obj: Obj, errors: Errors) -> None:
    """Between how many replicas of what, by which metrics, how fast."""
    spec = obj["spec"]
    least, most = spec.get("minReplicas", 1), spec.get("maxReplicas", 0)
    if least < 1:
        errors.invalid("spec.minReplicas", least, "must be greater than or equal to 1")
    if most < 1:
        errors.invalid("spec.maxReplicas", most, "must be greater than 0")
    if most < least:
        errors.invalid("spec.maxReplicas", most, "must be greater than or equal to `minReplicas`")
    target = spec.get("scaleTargetRef", {})
    _reference(target, "spec.scaleTargetRef", errors)
    core = target.get("kind") == "ReplicationController"
    _version(target.get("apiVersion", ""), "spec.scaleTargetRef.apiVersion", errors, core=core)
    for index, metric in enumerate(spec.get("metrics", ())):
        _metric(metric, f"spec.metrics[{index}]", errors)
    if least == 0 and not any(each.get("type") in ("Object", "External") for each in spec.get("metrics", ())):
        detail = "must specify at least one Object or External metric to support scaling to zero replicas"
        errors.forbidden("spec.metrics", detail)
    for name in ("scaleUp", "scaleDown"):
        rules = spec.get("behavior", {}).get(name)
        if rules is not None:
            _rules(rules, f"spec.behavior.{name}", errors)


def autoscaler_status(new: Obj, _: Obj, errors: Errors) -> None:
    """Counts are not negative."""
    for name in ("currentReplicas", "desiredReplicas"):
        not_negative(new.get("status", {}).get(name), f"status.{name}", errors)


def _segment(value: str, path: str, errors: Errors, detail: str = "") -> None:
    """A name that fits into a path."""
    if not value:
        errors.required(path, detail)
    elif value in (".", ".."):
        errors.invalid(path, value, f"may not be '{value}'")
    else:
        for part in ("/", "%"):
            if part in value:
                errors.invalid(path, value, f"may not contain '{part}'")


def _reference(reference: Obj, path: str, errors: Errors) -> None:
    _segment(reference.get("kind", ""), f"{path}.kind", errors)
    _segment(reference.get("name", ""), f"{path}.name", errors)


def _version(version: str, path: str, errors: Errors, *, core: bool) -> None:
    """An API version, of a group where it may not be of the ``core``."""
    if version.count("/") > 1:
        errors.invalid(path, version, f"unexpected GroupVersion string: {version}")
    elif not core and not version.rpartition("/")[0]:
        errors.invalid(path, version, "apiVersion must specify API group")


def _metric(metric: Obj, path: str, errors: Errors) -> None:
    kind = metric.get("type", "")
    if not kind:
        errors.required(f"{path}.type", "must specify a metric source type")
    if kind not in _SOURCES:
        for _ in range(2):  # the API server checks and says it twice
            errors.not_supported(f"{path}.type", kind, sorted(_SOURCES))
    given = [name for name in _SOURCES.values() if metric.get(name) is not None]
    if given:
        _source(given[0], metric[given[0]], f"{path}.{given[0]}", errors)
    wanted = _SOURCES.get(kind)
    if wanted is not None and wanted not in given:
        errors.required(f"{path}.{wanted}", "must populate information for the given metric source")
    if len(given) > 1:
        for name in given:
            if name != wanted:
                errors.forbidden(f"{path}.{name}", "must populate the given metric source only")


def _source(name: str, source: Obj, path: str, errors: Errors) -> None:
    if name == "object":
        described = source.get("describedObject", {})
        _reference(described, f"{path}.describedObject", errors)
        _version(described.get("apiVersion", ""), f"{path}.describedObject.apiVersion", errors, core=True)
    if name in ("object", "external", "pods"):
        _segment(source.get("metric", {}).get("name", ""), f"{path}.metric.name", errors, "must specify a metric name")
    elif not source.get("name"):
        errors.required(f"{path}.name", "must specify a resource name")
    if name == "containerResource":
        container = source.get("container", "")
        if not container:
            errors.required(f"{path}.container", "must specify a container")
        for problem in dns_label(container) if container else ():
            errors.invalid(f"{path}.container", container, problem)
    target = source.get("target", {})
    _target(target, f"{path}.target", errors)
    _chosen(name, target, f"{path}.target", errors)


def _chosen(name: str, target: Obj, path: str, errors: Errors) -> None:
    """Which of a target's values a source needs."""
    value, average, share = (target.get(key) for key in ("value", "averageValue", "averageUtilization"))
    if name == "object" and value is None and average is None:
        errors.required(f"{path}.averageValue", "must set either a target value or averageValue")
    elif name == "external" and value is None and average is None:
        detail = "must set either a target value for metric or a per-pod target"
        errors.required(f"{path}.averageValue", detail)
    elif name == "external" and value is not None and average is not None:
        errors.forbidden(f"{path}.value", "may not set both a target value for metric and a per-pod target")
    elif name == "pods" and average is None:
        errors.required(f"{path}.averageValue", "must specify a positive target averageValue")
    elif name in ("resource", "containerResource"):
        if share is None and average is None:
            errors.required(f"{path}.averageUtilization", _EITHER)
        elif share is not None and average is not None:
            errors.forbidden(f"{path}.averageValue", "may not set both a target raw value and a target utilization")


def _target(target: Obj, path: str, errors: Errors) -> None:
    kind = target.get("type", "")
    if not kind:
        errors.required(f"{path}.type", "must specify a metric target type")
    if kind not in ("Utilization", "Value", "AverageValue"):
        errors.invalid(f"{path}.type", kind, "must be either Utilization, Value, or AverageValue")
    for name in ("value", "averageValue"):
        if target.get(name) is not None and not _positive(target[name]):
            errors.invalid(f"{path}.{name}", target[name], "must be positive")
    share = target.get("averageUtilization")
    if share is not None and share < 1:
        errors.invalid(f"{path}.averageUtilization", share, "must be greater than 0")


def _positive(amount: Any) -> bool:
    try:
        return parse(amount) > 0
    except QuantityError:
        return False


def _rules(rules: Obj, path: str, errors: Errors) -> None:
    window = rules.get("stabilizationWindowSeconds")
    if window is not None and window < 0:
        errors.invalid(f"{path}.stabilizationWindowSeconds", window, "must be greater than or equal to zero")
    if window is not None and window > _LONGEST_WINDOW:
        detail = f"must be less than or equal to {_LONGEST_WINDOW}"
        errors.invalid(f"{path}.stabilizationWindowSeconds", window, detail)
    select = rules.get("selectPolicy")
    if select is not None and select not in _SELECT:
        errors.not_supported(f"{path}.selectPolicy", select, _SELECT)
    policies = rules.get("policies", ())
    if not policies:
        errors.required(f"{path}.policies", "must specify at least one Policy")
    for index, policy in enumerate(policies):
        _policy(policy, f"{path}.policies[{index}]", errors)
    tolerance = rules.get("tolerance")
    if tolerance is not None and parse(tolerance) < 0:
        errors.invalid(f"{path}.tolerance", tolerance, "must be greater or equal to zero")


def _policy(policy: Obj, path: str, errors: Errors) -> None:
    if policy.get("type") not in ("Pods", "Percent"):
        errors.not_supported(f"{path}.type", policy.get("type", ""), ("Percent", "Pods"))
    if policy.get("value", 0) <= 0:
        errors.invalid(f"{path}.value", policy.get("value", 0), "must be greater than zero")
    period = policy.get("periodSeconds", 0)
    if period <= 0:
        errors.invalid(f"{path}.periodSeconds", period, "must be greater than zero")
    if period > _LONGEST_PERIOD:
        errors.invalid(f"{path}.periodSeconds", period, f"must be less than or equal to {_LONGEST_PERIOD}")
