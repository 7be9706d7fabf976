"""Metrics that an autoscaler cannot have, in the words of a cluster without an adapter for them.

Custom metrics (of pods and other objects) and external ones come from servers that somebody must install; none of them
is simulated. Source: ``pkg/controller/podautoscaler`` (``horizontal.go``, ``replica_calculator.go``, ``metrics``).
"""

from __future__ import annotations

from simkube.client.client import Obj

_NO_CUSTOM = "unable to fetch metrics from custom metrics API: no custom metrics API (custom.metrics.k8s.io) registered"
_KIND = "LabelSelectorRequirement"


class Failed(Exception):
    """No proposal: ``reason`` and ``inner`` for the condition, the message for the event; what to show of metrics."""

    def __init__(self, reason: str, inner: str, message: str, shown: list[Obj] | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.inner = inner
        self.shown = shown


def of_pods(source: Obj) -> Failed:
    """A metric of type Pods."""
    inner = f"unable to get metric {source['metric']['name']}: {_NO_CUSTOM}"
    return Failed("FailedGetPodsMetric", inner, f"failed to get pods metric value: {inner}")


def of_object(source: Obj, namespace: str) -> Failed:
    """A metric of type Object."""
    name, described = source["metric"]["name"], source["describedObject"]
    inner = f"unable to get metric {name}: {_NO_CUSTOM} on {described['kind']} {namespace}/{described['name']}"
    if source["target"].get("type") == "AverageValue":
        text = f"failed to get object metric value: failed to get {name} object metric: {inner}"
    else:
        text = f"failed to get object metric value: {inner}"
    return Failed("FailedGetObjectMetric", inner, text)


def of_external(source: Obj, namespace: str) -> Failed:
    """A metric of type External."""
    name, selector = source["metric"]["name"], _printed(source["metric"].get("selector"))
    why = f"the server could not find the requested resource (get {name}.external.metrics.k8s.io)"
    api = f"unable to fetch metrics from external metrics API: {why}"
    inner = f"unable to get external metric {namespace}/{name}/{selector}: {api}"
    middle = (
        f"{name} external metric" if source["target"].get("averageValue") is not None else f"external metric {name}"
    )
    text = f"failed to get {name} external metric value: failed to get {middle}: {inner}"
    return Failed("FailedGetExternalMetric", inner, text)


def _printed(selector: Obj | None) -> str:
    """A label selector as Go prints it."""
    if selector is None:
        return "nil"
    labels = "".join(f"{key}: {value}," for key, value in sorted((selector.get("matchLabels") or {}).items()))
    wanted = "".join(
        f"LabelSelectorRequirement{{Key:{each['key']},Operator:{each['operator']},"
        f"Values:[{' '.join(each.get('values') or ())}],}},"
        for each in selector.get("matchExpressions") or ()
    )
    return f"&LabelSelector{{MatchLabels:map[string]string{{{labels}}},MatchExpressions:[]{_KIND}{{{wanted}}},}}"
