"""The APIServices of what the API server serves itself: local ones, registered at its start.

After ``pkg/controlplane/apiserver/aggregator.go`` (priorities) and ``kube-aggregator/pkg/controllers/autoregister``.
"""

from __future__ import annotations

from collections.abc import Iterator

from simkube.client.client import Obj

API = "apiregistration.k8s.io/v1"
RESOURCE = "apiservices.apiregistration.k8s.io"
MANAGED = "kube-aggregator.kubernetes.io/automanaged"
ON_START, ALWAYS = "onstart", "true"
LOCAL = {
    "type": "Available",
    "status": "True",
    "reason": "Local",
    "message": "Local APIServices are always available",
}
CUSTOM = (1000, 100)
"""Priorities of the group and the version of what users define."""
_PRIORITIES = {
    ("", "v1"): (18000, 1),
    ("apps", "v1"): (17800, 15),
    ("events.k8s.io", "v1"): (17750, 15),
    ("authentication.k8s.io", "v1"): (17700, 15),
    ("authorization.k8s.io", "v1"): (17600, 15),
    ("autoscaling", "v1"): (17500, 15),
    ("autoscaling", "v2"): (17500, 30),
    ("batch", "v1"): (17400, 15),
    ("certificates.k8s.io", "v1"): (17300, 15),
    ("networking.k8s.io", "v1"): (17200, 15),
    ("policy", "v1"): (17100, 15),
    ("rbac.authorization.k8s.io", "v1"): (17000, 15),
    ("storage.k8s.io", "v1"): (16800, 15),
    ("admissionregistration.k8s.io", "v1"): (16700, 15),
    ("apiextensions.k8s.io", "v1"): (16700, 15),
    ("scheduling.k8s.io", "v1"): (16600, 15),
    ("coordination.k8s.io", "v1"): (16500, 15),
    ("node.k8s.io", "v1"): (16300, 15),
    ("discovery.k8s.io", "v1"): (16200, 15),
    ("resource.k8s.io", "v1"): (16200, 20),
    ("flowcontrol.apiserver.k8s.io", "v1"): (16100, 21),
}
METRICS = ("metrics.k8s.io", "v1beta1")


def named(group: str, version: str) -> str:
    """The name of an APIService."""
    return f"{version}.{group}"


def local(group: str, version: str, priorities: tuple[int, int], managed: str = "") -> Obj:
    """An APIService of the API server's own."""
    meta: Obj = {"name": named(group, version), **({"labels": {MANAGED: managed}} if managed else {})}
    spec: Obj = {**({"group": group} if group else {}), "version": version}
    spec |= {"groupPriorityMinimum": priorities[0], "versionPriority": priorities[1]}
    return {"kind": "APIService", "apiVersion": API, "metadata": meta, "spec": spec}


def metrics() -> Obj:
    """That of the metrics that are built in; whoever installs a metrics server makes it theirs."""
    return local(*METRICS, (100, 100))


def bootstrap() -> Iterator[Obj]:
    """Those that every cluster has, with their condition."""
    for (group, version), priorities in _PRIORITIES.items():
        yield {**local(group, version, priorities, ON_START), "status": {"conditions": [dict(LOCAL)]}}
