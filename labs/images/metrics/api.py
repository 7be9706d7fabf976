"""``metrics.k8s.io/v1beta1`` as objects: what is asked for, which objects of the cluster that is, what they use.

Read only, JSON only. Whether somebody may ask has been decided by the API server that sends the request on. Sources:
``staging/src/k8s.io/metrics/pkg/apis/metrics``, ``kubernetes-sigs/metrics-server`` (``pkg/api``).
"""

from __future__ import annotations

import datetime
import json
import urllib.parse
from collections.abc import Mapping
from typing import Any, Protocol

from cluster import Refused, selection
from usage import NODE, History, Use

GROUP = "metrics.k8s.io"
VERSION = GROUP + "/v1beta1"
PREFIX = "/apis/" + VERSION
Obj = dict[str, Any]


class Reader(Protocol):
    """What is needed of :class:`cluster.Cluster`."""

    def get(self, path: str, query: str = "") -> Any:
        """One answer of the API server."""


class API:
    """``histories`` is by the node's name; whoever has them goes on adding to them."""

    def __init__(self, cluster: Reader, histories: Mapping[str, History]) -> None:
        self._cluster, self._histories = cluster, histories

    def answer(self, target: str) -> tuple[int, Obj]:
        """Status and object for a GET of a path with its query."""
        path, _, query = target.partition("?")
        parts = [urllib.parse.unquote(part) for part in path[len(PREFIX) :].split("/") if part]
        try:
            if path.rstrip("/") == "/apis/" + GROUP:
                return 200, _group()
            if not path.startswith(PREFIX):
                return _missing(path)
            return self._resource(parts, query)
        except Refused as refused:
            return refused.status, _status(refused)

    def _resource(self, parts: list[str], query: str) -> tuple[int, Obj]:
        if not parts:
            return 200, _resources()
        if parts == ["nodes"]:
            return 200, self._list("Node", "/api/v1/nodes", query)
        if parts == ["pods"] or (len(parts) == 3 and parts[0] == "namespaces" and parts[2] == "pods"):
            return 200, self._list("Pod", "/api/v1/" + "/".join(map(_quoted, parts)), query)
        if len(parts) == 2 and parts[0] == "nodes":
            return self._one("Node", "/api/v1/nodes/" + _quoted(parts[1]))
        if len(parts) == 4 and parts[0] == "namespaces" and parts[2] == "pods":
            return self._one("Pod", "/api/v1/" + "/".join(map(_quoted, parts)))
        return _missing("/".join(parts))

    def _list(self, kind: str, path: str, query: str) -> Obj:
        found = self._cluster.get(path, selection(query)).get("items") or []
        items = [made for made in (self._metrics(kind, one) for one in found) if made]
        return {"kind": kind + "MetricsList", "apiVersion": VERSION, "metadata": {}, "items": items}

    def _one(self, kind: str, path: str) -> tuple[int, Obj]:
        made = self._metrics(kind, self._cluster.get(path))
        return (200, made) if made else _missing(path.rpartition("/")[2], kind.lower() + "metrics." + GROUP)

    def _metrics(self, kind: str, obj: Obj) -> Obj:
        """Those of a node or pod; {} while they are not known."""
        meta = obj["metadata"]
        about = {key: meta[key] for key in ("name", "namespace", "labels", "creationTimestamp") if key in meta}
        made: Obj = {"kind": kind + "Metrics", "apiVersion": VERSION, "metadata": about}
        if kind == "Node":
            history = self._histories.get(meta["name"])
            use = history.use(NODE) if history is not None else None
            return {**made, **_when([use]), "usage": _usage(use)} if use is not None else {}
        history = self._histories.get(obj["spec"].get("nodeName") or "")
        uses = history.containers(meta["namespace"], meta["name"]) if history is not None else {}
        wanted = [one["name"] for one in obj["spec"]["containers"]]
        if (obj.get("status") or {}).get("phase") != "Running" or not all(name in uses for name in wanted):
            return {}
        containers = [{"name": name, "usage": _usage(uses[name])} for name in uses]
        return {**made, **_when(list(uses.values())), "containers": containers}


def _when(uses: list[Use]) -> Obj:
    first = datetime.datetime.fromtimestamp(min(use.at for use in uses), datetime.timezone.utc)  # noqa: UP017 - 3.9
    window = max(use.window for use in uses)
    return {"timestamp": first.strftime("%Y-%m-%dT%H:%M:%SZ"), "window": f"{window:.3f}s"}


def _usage(use: Use) -> dict[str, str]:
    return {"cpu": f"{round(use.cores * 1e9)}n", "memory": f"{use.memory // 1024}Ki"}


def _quoted(part: str) -> str:
    return urllib.parse.quote(part, safe="")


def _group() -> Obj:
    version = {"groupVersion": VERSION, "version": "v1beta1"}
    return {"kind": "APIGroup", "apiVersion": "v1", "name": GROUP, "versions": [version], "preferredVersion": version}


def _resources() -> Obj:
    verbs = ["get", "list"]
    nodes = {"name": "nodes", "singularName": "", "namespaced": False, "kind": "NodeMetrics", "verbs": verbs}
    pods = {"name": "pods", "singularName": "", "namespaced": True, "kind": "PodMetrics", "verbs": verbs}
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": VERSION, "resources": [nodes, pods]}


def _missing(name: str, resource: str = "") -> tuple[int, Obj]:
    text = f'{resource} "{name}" not found' if resource else "the server could not find the requested resource"
    status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "reason": "NotFound"}
    return 404, {**status, "message": text, "code": 404}


def _status(refused: Refused) -> Obj:
    try:
        found = json.loads(refused.body)
    except ValueError:
        found = None
    if isinstance(found, dict):
        return found
    status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
    return {**status, "message": str(refused), "code": refused.status}
