"""The Node object a kubelet keeps: what the node has, where it is, and that it is ready.

Written when the kubelet starts and when something differs; heartbeats are no writes (see ``Kubelet.last_heartbeat``).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from simkube.apimachinery.errors import StatusError
from simkube.client.client import Client, Obj

VERSION = "v1.36.2"
CAPACITY: Mapping[str, str] = {
    "cpu": "4",
    "ephemeral-storage": "61255492Ki",
    "hugepages-1Gi": "0",
    "hugepages-2Mi": "0",
    "memory": "8Gi",
    "pods": "110",
}
_HEALTHY = (
    ("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
    ("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
)
_PRESSED = {
    "MemoryPressure": ("True", "KubeletHasInsufficientMemory", "kubelet has insufficient memory available"),
}
_INFO = {
    "architecture": "amd64",
    "containerRuntimeVersion": "containerd://2.2.0",
    "kernelVersion": "6.12.0-simkube",
    "kubeProxyVersion": "",
    "kubeletVersion": VERSION,
    "operatingSystem": "linux",
    "osImage": "Debian GNU/Linux 13 (trixie)",
    "swap": {"capacity": 0},
}


@dataclass(frozen=True)
class NodeSettings:
    """What a node is given from outside; address and pod range are the network's choice when empty."""

    ip: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[Mapping[str, str], ...] = ()
    pod_cidr: str = ""
    capacity: Mapping[str, str] = field(default_factory=lambda: dict(CAPACITY))


def _identifier(uid: str, salt: str) -> str:
    return (uid.replace("-", "") or salt * 4)[:32]


def node_object(name: str, settings: NodeSettings) -> Obj:
    """The Node as a kubelet registers it."""
    labels = {
        "beta.kubernetes.io/arch": "amd64",
        "beta.kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        **settings.labels,
    }
    annotations = {"volumes.kubernetes.io/controller-managed-attach-detach": "true"}
    spec: dict[str, Any] = {"providerID": f"kind://docker/simulated/{name}"}
    if settings.pod_cidr:
        spec.update(podCIDR=settings.pod_cidr, podCIDRs=[settings.pod_cidr])
    if settings.taints:
        spec["taints"] = [dict(taint) for taint in settings.taints]
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels, "annotations": annotations},
        "spec": spec,
    }


def node_status(
    node: Obj, settings: NodeSettings, images: list[Obj], now: str, pressed: Collection[str] = ()
) -> dict[str, Any]:
    """The node's status as its running kubelet reports it; conditions that did not change keep their times."""
    name, uid = node["metadata"]["name"], str(node["metadata"].get("uid", ""))
    before = {one["type"]: one for one in (node.get("status") or {}).get("conditions") or []}
    conditions = []
    for kind, status, reason, message in _HEALTHY:
        if kind in pressed:
            status, reason, message = _PRESSED[kind]
        was = before.pop(kind, None)
        same = was is not None and (was["status"], was.get("reason")) == (status, reason)
        conditions.append(
            {
                "type": kind,
                "status": status,
                "lastHeartbeatTime": was["lastHeartbeatTime"] if was and same else now,
                "lastTransitionTime": was["lastTransitionTime"] if was and was["status"] == status else now,
                "reason": reason,
                "message": message,
            }
        )
    return {
        "addresses": [{"type": "InternalIP", "address": settings.ip}, {"type": "Hostname", "address": name}],
        "capacity": dict(settings.capacity),
        "allocatable": dict(settings.capacity),
        "conditions": [*conditions, *before.values()],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
        "images": images,
        "nodeInfo": {**_INFO, "machineID": _identifier(uid, name), "systemUUID": uid, "bootID": uid},
    }


def keep_drivers(client: Client, node: Obj) -> None:
    """The node's CSINode, made when missing: it has no CSI driver."""
    meta = node["metadata"]
    try:
        client.get("csinodes.storage.k8s.io", meta["name"])
    except StatusError as error:
        if error.reason != "NotFound":
            raise
        owner = {"apiVersion": "v1", "kind": "Node", "name": meta["name"], "uid": meta["uid"]}
        about = {"name": meta["name"], "ownerReferences": [owner]}
        made = {"apiVersion": "storage.k8s.io/v1", "kind": "CSINode", "metadata": about, "spec": {"drivers": []}}
        client.create("csinodes.storage.k8s.io", made)


def register(
    client: Client, name: str, settings: NodeSettings, images: list[Obj], now: str, pressed: Collection[str] = ()
) -> tuple[Obj, bool]:
    """Create the node's object if it is missing and bring its status in line; safe to call at any time.

    ``pressed`` names the pressure conditions that are met.

    Answers the node, and whether it was not ready before.
    """
    try:
        node = client.get("nodes", name)
    except StatusError as error:
        if error.reason != "NotFound":
            raise
        node = client.create("nodes", node_object(name, settings))
    status = node_status(node, settings, images, now, pressed)
    if status == node.get("status"):
        return node, False
    before = {one["type"]: one["status"] for one in (node.get("status") or {}).get("conditions") or []}
    updated = client.update("nodes", {**node, "status": status}, subresource="status")
    return updated, before.get("Ready") != "True"
