"""What somebody has made in a cluster, as manifests that make it again: without what the cluster itself has added.

It refuses to carry over what others own (a Deployment's pods) or make (a Service's endpoints): they come by themselves.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from labs.clusters.dynamic_client import APIError, DynamicClient, Key, Resource, key_of

Obj = dict[str, Any]

DERIVED = {
    "Event",
    "EndpointSlice",
    "Lease",
    "ControllerRevision",
    "IPAddress",
    "ServiceCIDR",
    "PodMetrics",
    "NodeMetrics",
}
"""Kinds that are made for others, or tell of them."""
OF_NODES = {"Node", "CSINode", "CSIStorageCapacity", "ComponentStatus", "APIService"}
ORDER = ("Namespace", "ServiceAccount", "ConfigMap", "Secret", "PersistentVolume", "PersistentVolumeClaim")
"""What others mount or run as comes first."""
_ADDED = {
    "metadata": ("uid", "resourceVersion", "generation", "creationTimestamp", "managedFields", "selfLink"),
    "annotations": ("kubectl.kubernetes.io/last-applied-configuration", "deployment.kubernetes.io/revision"),
}
_DEFAULTS: dict[str, Any] = {
    "terminationMessagePath": "/dev/termination-log",
    "terminationMessagePolicy": "File",
    "dnsPolicy": "ClusterFirst",
    "schedulerName": "default-scheduler",
    "securityContext": {},
    "enableServiceLinks": True,
    "preemptionPolicy": "PreemptLowerPriority",
    "priority": 0,
    "serviceAccount": "default",
    "serviceAccountName": "default",
    "resources": {},
    "internalTrafficPolicy": "Cluster",
    "externalTrafficPolicy": "Cluster",
    "ipFamilyPolicy": "SingleStack",
}
"""What the API server fills in and nobody asks for: changing it teaches nothing."""
_GIVEN = ("clusterIP", "clusterIPs", "ipFamilies", "healthCheckNodePort", "nodeName", "volumeName")
_TOKEN = "kube-api-access-"  # noqa: S105 -- the name of a volume
_NOT_READY = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")


def everything(client: DynamicClient, resources: Iterable[Resource], namespace: str) -> list[Obj]:
    """Every object of the namespace, and those of no namespace, each with its apiVersion and kind."""
    found: list[Obj] = []
    for resource in resources:
        if resource.kind == "Event":
            continue
        try:
            answer = client.request("GET", resource.path(namespace))
        except APIError as error:
            if error.status in (404, 405):
                continue
            raise
        kind = {"apiVersion": resource.api_version, "kind": resource.kind}
        found += [{**kind, **item} for item in answer.get("items") or []]
    return found


def made(objects: Iterable[Obj], before: Iterable[Key]) -> list[Obj]:
    """Of all objects those that somebody made after ``before``, as manifests, in an order in which they can be made."""
    known, listed = set(before), list(objects)
    selecting = {one["metadata"]["name"] for one in listed if one["kind"] == "Service" and one["spec"].get("selector")}
    kept = [one for one in listed if key_of(one) not in known and _is_own(one, selecting)]
    return sorted((manifest(one) for one in kept), key=_place)


def _is_own(one: Obj, selecting: set[str]) -> bool:
    meta = one["metadata"]
    if one["kind"] in DERIVED | OF_NODES or meta.get("ownerReferences") or meta.get("deletionTimestamp"):
        return False
    if "pv.kubernetes.io/provisioned-by" in (meta.get("annotations") or {}):
        return False
    return not (one["kind"] == "Endpoints" and meta["name"] in selecting)


def _place(one: Obj) -> tuple[int, str, str]:
    kind = one["kind"]
    return (ORDER.index(kind) if kind in ORDER else len(ORDER), kind, one["metadata"]["name"])


def manifest(one: Mapping[str, Any]) -> Obj:
    """An object as somebody would write it."""
    clean: Obj = copy.deepcopy({key: value for key, value in one.items() if key != "status"})
    meta = clean["metadata"]
    for name in _ADDED["metadata"]:
        meta.pop(name, None)
    for name in _ADDED["annotations"]:
        (meta.get("annotations") or {}).pop(name, None)
    if not meta.get("annotations"):
        meta.pop("annotations", None)
    spec = clean.get("spec")
    if isinstance(spec, dict):
        _strip(spec)
        for name in _GIVEN:
            spec.pop(name, None)
        for port in spec.get("ports") or []:
            if clean["kind"] == "Service" and isinstance(port, dict):
                port.pop("nodePort", None)
        template = spec.get("template")
        if isinstance(template, dict):
            template.get("metadata", {}).pop("creationTimestamp", None)
    return clean


def _strip(value: Any) -> None:
    """Take out, at every depth, what the API server has filled in."""
    if isinstance(value, list):
        for item in value:
            _strip(item)
        return
    if not isinstance(value, dict):
        return
    for name, default in _DEFAULTS.items():
        if value.get(name, ...) == default:
            del value[name]
    for name, drop in (("volumes", _is_token), ("volumeMounts", _is_token), ("tolerations", _is_usual)):
        if isinstance(value.get(name), list):
            value[name] = [item for item in value[name] if not drop(item)]
            if not value[name]:
                del value[name]
    for item in value.values():
        _strip(item)


def _is_token(item: Any) -> bool:
    return isinstance(item, dict) and str(item.get("name", "")).startswith(_TOKEN)


def _is_usual(item: Any) -> bool:
    """The tolerations that every pod is given."""
    return isinstance(item, dict) and item.get("key") in _NOT_READY and "tolerationSeconds" in item


def named(objects: Sequence[Obj]) -> dict[str, Obj]:
    """The objects by ``Kind/name``."""
    return {f"{one['kind']}/{one['metadata']['name']}": one for one in objects}
