"""Defaults of the smaller kinds (``pkg/apis/core/v1/defaults.go``, ``pkg/apis/discovery/v1/defaults.go``)."""

from __future__ import annotations

import base64

from simkube.client.client import Obj

_NODE_INFO = (
    "machineID",
    "systemUUID",
    "bootID",
    "kernelVersion",
    "osImage",
    "containerRuntimeVersion",
    "kubeletVersion",
    "kubeProxyVersion",
    "operatingSystem",
    "architecture",
)


def namespace(obj: Obj) -> None:
    """A namespace: the label that bears its name, the finalizer of the namespace controller, active."""
    meta = obj["metadata"]
    if meta.get("name"):
        meta.setdefault("labels", {})["kubernetes.io/metadata.name"] = meta["name"]
    obj.setdefault("spec", {})
    obj.setdefault("status", {}).setdefault("phase", "Active")


def node(obj: Obj) -> None:
    """A node: the fields that are always shown; one range of addresses agrees with the list of them."""
    spec = obj.setdefault("spec", {})
    if spec.get("podCIDR"):
        if spec.get("podCIDRs", [""])[0] != spec["podCIDR"]:
            spec["podCIDRs"] = [spec["podCIDR"]]
    elif spec.get("podCIDRs"):
        spec["podCIDR"] = spec["podCIDRs"][0]
    status = obj.setdefault("status", {})
    if "capacity" in status:
        status.setdefault("allocatable", dict(status["capacity"]))
    status.setdefault("daemonEndpoints", {}).setdefault("kubeletEndpoint", {"Port": 0})
    info = status.setdefault("nodeInfo", {})
    for name in _NODE_INFO:
        info.setdefault(name, "")


def secret(obj: Obj) -> None:
    """A secret: type Opaque; ``stringData`` is written to ``data`` and goes."""
    obj.setdefault("type", "Opaque")
    text = obj.pop("stringData", None)
    if text:
        data = obj.setdefault("data", {})
        for key, value in text.items():
            data[key] = base64.b64encode(value.encode()).decode()


def event(obj: Obj) -> None:
    """An event: the fields that are always there, null or not."""
    obj.setdefault("source", {})
    for name in ("firstTimestamp", "lastTimestamp", "eventTime"):
        obj.setdefault(name, None)
    obj.setdefault("reportingComponent", "")
    obj.setdefault("reportingInstance", "")
    obj.setdefault("metadata", {})


def limit_range(obj: Obj) -> None:
    """A container's default limit is the most it may have; its default request is that limit, else the least."""
    for item in obj.setdefault("spec", {}).get("limits") or ():
        if item.get("type") != "Container":
            continue
        for field, source in (("default", "max"), ("defaultRequest", "default"), ("defaultRequest", "min")):
            values = {**(item.get(source) or {}), **(item.get(field) or {})}
            if values:
                item[field] = values


def resource_quota(obj: Obj) -> None:
    """The fields that are always shown."""
    obj.setdefault("spec", {})
    obj.setdefault("status", {})
