"""What there is in a cluster and how each thing stands, small enough to be kept and compared with a later look.

Of each object: its UID, a digest of each part that somebody has asked for (not of what the cluster adds by itself), and
whether it is healthy. Values are not kept, Secrets' least of all. What controllers make from other things is left out:
whoever touches it has it made again, and what it is for has its own health.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from grader import limits
from grader.cluster import node_ready
from grader.connection import Connection
from grader.errors import CheckFailedForGood, Refused
from grader.objects import Pod
from grader.shapes import fields, objects, rows, whole

CORE, APPS = "/api/v1", "/apis/apps/v1"
KINDS = {
    "Namespace": f"{CORE}/namespaces",
    "Node": f"{CORE}/nodes",
    "Pod": f"{CORE}/pods",
    "Service": f"{CORE}/services",
    "ConfigMap": f"{CORE}/configmaps",
    "Secret": f"{CORE}/secrets",
    "ServiceAccount": f"{CORE}/serviceaccounts",
    "PersistentVolumeClaim": f"{CORE}/persistentvolumeclaims",
    "ResourceQuota": f"{CORE}/resourcequotas",
    "LimitRange": f"{CORE}/limitranges",
    "Deployment": f"{APPS}/deployments",
    "StatefulSet": f"{APPS}/statefulsets",
    "DaemonSet": f"{APPS}/daemonsets",
    "ReplicaSet": f"{APPS}/replicasets",
    "Job": "/apis/batch/v1/jobs",
    "CronJob": "/apis/batch/v1/cronjobs",
    "HorizontalPodAutoscaler": "/apis/autoscaling/v1/horizontalpodautoscalers",
    "PodDisruptionBudget": "/apis/policy/v1/poddisruptionbudgets",
    "Ingress": "/apis/networking.k8s.io/v1/ingresses",
    "NetworkPolicy": "/apis/networking.k8s.io/v1/networkpolicies",
    "Role": "/apis/rbac.authorization.k8s.io/v1/roles",
    "RoleBinding": "/apis/rbac.authorization.k8s.io/v1/rolebindings",
    "ClusterRole": "/apis/rbac.authorization.k8s.io/v1/clusterroles",
    "ClusterRoleBinding": "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
}
"""Those whose API a cluster does not have are none."""
PROBES = "kindling-probe-"
WORKLOADS = {"Deployment": "replicas", "StatefulSet": "replicas", "ReplicaSet": "replicas"}
OWN_ANNOTATIONS = ("deployment.kubernetes.io/", "kubectl.kubernetes.io/", "deprecated.daemonset.template.generation")
BY_CLUSTER = {
    "Node": ("podCIDR", "podCIDRs", "providerID"),
    "Pod": ("nodeName", "priority", "preemptionPolicy"),
    "ServiceAccount": ("secrets",),
}
UID, HEALTHY, PARTS = "uid", "healthy", "parts"
Inventory = dict[str, dict[str, Any]]
"""By ``Kind namespace/name`` (``Kind name`` without a namespace): ``{"uid", "healthy", "parts": {"spec": digest}}``."""


def take(connection: Connection) -> Inventory:
    """The inventory of a cluster; ``Ungradable`` while it does not answer."""
    found: dict[str, list[dict[str, Any]]] = {}
    for kind, path in KINDS.items():
        try:
            found[kind] = _all(connection, kind, path)
        except Refused as error:
            if error.status != 404:
                raise
            found[kind] = []
    served = {_where(one) for one in _all(connection, "Endpoints", f"{CORE}/endpoints") if _leads(one)}
    made: Inventory = {}
    for kind, each in ((kind, one) for kind, some in found.items() for one in some):
        if not _left_out(kind, each):
            healthy = _healthy(kind, each, served)
            made[f"{kind} {_where(each)}"] = {
                UID: str(each["metadata"].get("uid")),
                HEALTHY: healthy,
                PARTS: {name: _digest(part) for name, part in _parts(kind, each)},
            }
    return made


def _all(connection: Connection, kind: str, path: str) -> list[dict[str, Any]]:
    """All objects of a kind: of only some, those beyond would pass for deleted."""
    answer = connection.get(path, limit=limits.LISTED)
    if fields(answer.get("metadata")).get("continue"):
        raise CheckFailedForGood(
            f"Expected: at most {limits.LISTED} objects of the kind {kind} in the cluster\nObserved: there are more\n"
            f"Look: kubectl get {kind.lower()} --all-namespaces"
        )
    return objects(answer)


def _left_out(kind: str, raw: Mapping[str, Any]) -> bool:
    meta = fields(raw.get("metadata"))
    owned = any(one.get("controller") or one.get("kind") == "Node" for one in rows(meta.get("ownerReferences")))
    derived = kind == "ConfigMap" and meta.get("name") == "kube-root-ca.crt"
    token = kind == "Secret" and raw.get("type") == "kubernetes.io/service-account-token"
    where = str(meta.get("name") if kind == "Namespace" else meta.get("namespace", ""))
    return owned or derived or token or where.startswith(PROBES)


def _healthy(kind: str, raw: dict[str, Any], served: set[str]) -> bool:
    spec, status = fields(raw.get("spec")), fields(raw.get("status"))
    if kind == "Node":
        return node_ready(raw) and not spec.get("unschedulable")
    if kind == "Pod":
        pod = Pod(raw)
        return not pod.terminating and (pod.ready or pod.phase == "Succeeded")
    if kind == "Service":
        return not spec.get("selector") or _where(raw) in served
    if kind in WORKLOADS:
        return whole(status.get("readyReplicas")) >= whole(spec.get("replicas", 1))
    if kind == "DaemonSet":
        return whole(status.get("numberReady")) >= whole(status.get("desiredNumberScheduled"))
    if kind == "PersistentVolumeClaim":
        return bool(status.get("phase") == "Bound")
    return not fields(raw.get("metadata")).get("deletionTimestamp")


def _leads(endpoints: Mapping[str, Any]) -> bool:
    return any(one.get("addresses") for one in rows(endpoints.get("subsets")))


def _parts(kind: str, raw: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """What somebody has asked for, part by part: so that a change can be named without its value."""
    meta = fields(raw.get("metadata"))
    annotations = fields(meta.get("annotations"))
    yield "labels", fields(meta.get("labels"))
    yield "annotations", {key: value for key, value in annotations.items() if not key.startswith(OWN_ANNOTATIONS)}
    ours = BY_CLUSTER.get(kind, ())
    for name, part in raw.items():
        if name in ("apiVersion", "kind", "metadata", "status") or name in ours:
            continue
        if name != "spec":
            yield name, part
            continue
        for field, value in fields(part).items():
            if field == "taints":
                value = [one for one in rows(value) if not str(one.get("key")).startswith("node.kubernetes.io/")]
            if field not in ours and value not in (None, [], {}):
                yield f"spec.{field}", value


def _digest(part: Any) -> str:
    return hashlib.sha256(json.dumps(part, sort_keys=True, default=str).encode()).hexdigest()[:12]


def _where(raw: Mapping[str, Any]) -> str:
    meta = fields(raw.get("metadata"))
    return "/".join(str(meta[key]) for key in ("namespace", "name") if meta.get(key))
