"""Autoscalers under their two versions: ``autoscaling/v2`` is stored, ``autoscaling/v1`` is a view of it.

After ``pkg/apis/autoscaling/v1/conversion.go``: what the old version has no field for (other metrics, behaviour,
conditions, current metrics) travels in annotations. It refuses (400) annotations that do not hold what they should.
"""

from __future__ import annotations

import json
from typing import Any

from simkube.apimachinery.errors import bad_request
from simkube.apiserver.schema import strict
from simkube.apiserver.schema.canonical import canonical
from simkube.client.client import Obj

_V1 = {"kind": "HorizontalPodAutoscaler", "apiVersion": "autoscaling/v1"}
_V2 = {"kind": "HorizontalPodAutoscaler", "apiVersion": "autoscaling/v2"}
_GVK = ("autoscaling", "v2", "HorizontalPodAutoscaler")
_PREFIX = "autoscaling.alpha.kubernetes.io/"
_METRICS, _CURRENT = f"{_PREFIX}metrics", f"{_PREFIX}current-metrics"
_CONDITIONS, _BEHAVIOR = f"{_PREFIX}conditions", f"{_PREFIX}behavior"
_SHARED_STATUS = ("observedGeneration", "lastScaleTime", "currentReplicas", "desiredReplicas")
_SOURCES = {
    "Object": "object",
    "Pods": "pods",
    "Resource": "resource",
    "ContainerResource": "containerResource",
    "External": "external",
}
_TARGETS: dict[str, dict[str, str]] = {
    "object": {"value": "targetValue", "averageValue": "averageValue"},
    "pods": {"averageValue": "targetAverageValue"},
    "resource": {"averageUtilization": "targetAverageUtilization", "averageValue": "targetAverageValue"},
    "containerResource": {"averageUtilization": "targetAverageUtilization", "averageValue": "targetAverageValue"},
    "external": {"value": "targetValue", "averageValue": "targetAverageValue"},
}
"""By source: what the parts of a v2 target are called in v1; the order is that of preference for the target's type."""
_TARGET_TYPES = {"averageUtilization": "Utilization", "averageValue": "AverageValue", "value": "Value"}


def to_v1(obj: Obj) -> Obj:
    """A stored autoscaler as ``autoscaling/v1`` shows it."""
    spec, status = obj.get("spec", {}), obj.get("status", {})
    own, others = _split(spec.get("metrics") or ())
    kept = {key: value for key, value in spec.items() if key not in ("metrics", "behavior")}
    if own is not None:
        kept["targetCPUUtilizationPercentage"] = own
    old: Obj = {"currentReplicas": 0, "desiredReplicas": 0}
    old |= {key: status[key] for key in _SHARED_STATUS if key in status}
    used, _ = _split(status.get("currentMetrics") or (), "current")
    if used is not None:
        old["currentCPUUtilizationPercentage"] = used
    annotations = {
        _METRICS: [_metric_v1(each, "target") for each in others],
        _CURRENT: [_metric_v1(each, "current") for each in status.get("currentMetrics") or ()],
        _CONDITIONS: status.get("conditions"),
        _BEHAVIOR: spec.get("behavior"),
    }
    return {**obj, **_V1, "metadata": _annotated(obj["metadata"], annotations), "spec": kept, "status": old}


def _annotated(meta: Obj, annotations: dict[str, Any]) -> Obj:
    texts = {key: json.dumps(value, separators=(",", ":")) for key, value in annotations.items() if value}
    return {**meta, "annotations": {**meta.get("annotations", {}), **texts}} if texts else meta


def _split(metrics: Any, part: str = "target") -> tuple[int | None, list[Obj]]:
    """The utilization of CPU, which v1 has a field for, and the other metrics."""
    own, others = None, []
    for each in metrics:
        resource = each.get("resource", {}) if each.get("type") == "Resource" else {}
        found = resource.get(part, {}).get("averageUtilization") if resource.get("name") == "cpu" else None
        if found is None or own is not None:
            others.append(each)
        else:
            own = found
    return own, others


def _metric_v1(metric: Obj, part: str) -> Obj:
    """One metric of v2 (part ``target``) or its state (part ``current``) in the words of v1."""
    key = _SOURCES.get(metric.get("type", ""), "")
    source = metric.get(key, {})
    made: Obj = {}
    if "describedObject" in source:
        made["target"] = source["describedObject"]
    if "metric" in source:
        made["metricName"] = source["metric"].get("name", "")
        if "selector" in source["metric"]:
            made["metricSelector" if key == "external" else "selector"] = source["metric"]["selector"]
    made |= {name: source[name] for name in ("name", "container") if name in source}
    values = source.get(part, {})
    for name, old in _TARGETS.get(key, {}).items():
        if name in values:
            made[_current(old) if part == "current" else old] = values[name]
    return {"type": metric.get("type", ""), key: made}


def _current(name: str) -> str:
    return name.replace("target", "current", 1)


def to_v2(obj: Obj) -> Obj:
    """An autoscaler of ``autoscaling/v1`` as it is stored."""
    meta = dict(obj.get("metadata", {}))
    found = {key: value for key, value in meta.get("annotations", {}).items() if key in _ANNOTATED}
    if found:
        rest = {key: value for key, value in meta["annotations"].items() if key not in found}
        meta["annotations"] = rest
        if not rest:
            del meta["annotations"]
    spec = {key: value for key, value in obj.get("spec", {}).items() if key != "targetCPUUtilizationPercentage"}
    metrics = _own_metric(obj.get("spec", {}).get("targetCPUUtilizationPercentage"), "target")
    metrics += [_metric_v2(each, "target") for each in _parsed(found, _METRICS, list)]
    if metrics:
        spec["metrics"] = metrics
    if _BEHAVIOR in found:
        spec["behavior"] = _parsed(found, _BEHAVIOR, dict)
    made = {**obj, **_V2, "metadata": meta, "spec": spec}
    if "status" in obj:
        made["status"] = _status_v2(obj["status"], found)
    if not found:
        return made
    checked = strict.check(made, _GVK)
    if checked.error:
        raise bad_request(strict.refusal("HorizontalPodAutoscaler", "v1", checked.error))
    return canonical(checked.obj, _GVK)


_ANNOTATED = frozenset({_METRICS, _CURRENT, _CONDITIONS, _BEHAVIOR})


def _own_metric(value: int | None, part: str) -> list[Obj]:
    if value is None:
        return []
    shown: Obj = {"type": "Utilization"} if part == "target" else {}
    return [{"type": "Resource", "resource": {"name": "cpu", part: {**shown, "averageUtilization": value}}}]


def _status_v2(status: Obj, found: dict[str, str]) -> Obj:
    made = {key: status[key] for key in _SHARED_STATUS if key in status}
    metrics = [_metric_v2(each, "current") for each in _parsed(found, _CURRENT, list)]
    made["currentMetrics"] = metrics or _own_metric(status.get("currentCPUUtilizationPercentage"), "current") or None
    conditions = _parsed(found, _CONDITIONS, list)
    if conditions:
        made["conditions"] = conditions
    return made


def _parsed(found: dict[str, str], name: str, shape: type) -> Any:
    """What an annotation holds, a list of objects or an object; empty when it is not there."""
    if name not in found:
        return shape()
    try:
        value = json.loads(found[name])
    except (ValueError, RecursionError) as error:
        raise bad_request(strict.refusal("HorizontalPodAutoscaler", "v1", f"{name}: {error}")) from None
    if not isinstance(value, shape) or (isinstance(value, list) and not all(isinstance(one, dict) for one in value)):
        raise bad_request(strict.refusal("HorizontalPodAutoscaler", "v1", f"{name}: of another type"))
    return value


def _metric_v2(metric: Obj, part: str) -> Obj:
    kind = metric.get("type", "")
    key = _SOURCES.get(kind, "") if isinstance(kind, str) else ""
    source = metric.get(key)
    if not key or not isinstance(source, dict):
        return {"type": kind}
    made: Obj = {name: source[name] for name in ("name", "container") if name in source}
    if "metricName" in source:
        made["metric"] = {"name": source["metricName"]}
        selector = source.get("metricSelector" if key == "external" else "selector")
        if selector is not None:
            made["metric"]["selector"] = selector
    if "target" in source:
        made["describedObject"] = source["target"]
    names = {name: _current(old) if part == "current" else old for name, old in _TARGETS[key].items()}
    values = {name: source[old] for name, old in names.items() if source.get(old) is not None}
    if part == "target":
        values["type"] = next((_TARGET_TYPES[name] for name in names if name in values), "Value")
    made[part] = values
    return {"type": kind, key: made}
