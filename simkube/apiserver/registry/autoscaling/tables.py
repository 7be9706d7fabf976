"""The rows of autoscalers, disruption budgets and priority classes."""

from __future__ import annotations

from typing import Any

from simkube.apiserver.registry.autoscaling.conversion import to_v2
from simkube.apiserver.tables.cells import NONE, age_of, name_of
from simkube.apiserver.tables.columns import AGE, NAME, Cells, Column, Layout

Obj = dict[str, Any]

_UNKNOWN = "<unknown>"
_MOST_METRICS = 2
_SOURCES = {
    "Resource": "resource",
    "ContainerResource": "containerResource",
    "Pods": "pods",
    "Object": "object",
    "External": "external",
}


def _autoscaler(obj: Obj, now: float) -> Cells:
    obj = obj if (obj.get("spec") or {}).get("metrics") else to_v2(obj)
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    target = spec.get("scaleTargetRef") or {}
    least = spec.get("minReplicas")
    return [
        name_of(obj),
        f"{target.get('kind', '')}/{target.get('name', '')}",
        _metrics(spec.get("metrics") or [], status.get("currentMetrics") or []),
        "<unset>" if least is None else str(least),
        spec.get("maxReplicas", 0),
        status.get("currentReplicas", 0),
        age_of(obj, now),
    ]


def _metrics(wanted: list[Obj], found: list[Obj]) -> str:
    """What is measured and what is aimed at, metric by metric: ``cpu: 12%/80%``; two at most."""
    if not wanted:
        return NONE
    shown = [_metric(one, found[index] if index < len(found) else {}) for index, one in enumerate(wanted)]
    text = ", ".join(shown[:_MOST_METRICS])
    return text if len(shown) <= _MOST_METRICS else f"{text} + {len(shown) - _MOST_METRICS} more..."


def _metric(wanted: Obj, found: Obj) -> str:
    kind = wanted.get("type", "")
    if kind not in _SOURCES:
        return "<unknown type>"
    source = wanted.get(_SOURCES[kind]) or {}
    current = (found.get(_SOURCES[kind]) or {}).get("current") or {}
    target = source.get("target") or {}
    if kind in ("Resource", "ContainerResource"):
        return f"{source.get('name', '')}: {_resource(target, current)}"
    if kind == "Pods":
        return f"{current.get('averageValue', _UNKNOWN)}/{target.get('averageValue', 0)}"
    if target.get("averageValue") is not None:
        return f"{current.get('averageValue', _UNKNOWN)}/{target['averageValue']} (avg)"
    return f"{current.get('value', _UNKNOWN)}/{target.get('value', 0)}"


def _resource(target: Obj, current: Obj) -> str:
    if target.get("averageValue") is not None:
        return f"{current.get('averageValue', _UNKNOWN)}/{target['averageValue']}"
    used, aim = current.get("averageUtilization"), target.get("averageUtilization")
    return f"{_UNKNOWN if used is None else f'{used}%'}/{'<auto>' if aim is None else f'{aim}%'}"


AUTOSCALERS = Layout(
    (
        NAME,
        Column("Reference", field="autoscaling.v2.HorizontalPodAutoscalerSpec.scaleTargetRef"),
        Column("Targets", field="autoscaling.v2.HorizontalPodAutoscalerSpec.metrics"),
        Column("MinPods", field="autoscaling.v2.HorizontalPodAutoscalerSpec.minReplicas"),
        Column("MaxPods", field="autoscaling.v2.HorizontalPodAutoscalerSpec.maxReplicas"),
        Column("Replicas", field="autoscaling.v2.HorizontalPodAutoscalerStatus.currentReplicas"),
        AGE,
    ),
    _autoscaler,
)
