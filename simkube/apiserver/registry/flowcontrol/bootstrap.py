"""The priority levels and flow schemas that every cluster has, and what an API server says of new schemas.

After ``pkg/apis/flowcontrol/bootstrap`` and ``apiserver/pkg/util/flowcontrol``. It refuses to queue anything: requests
of one cluster are answered one after the other anyway.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Any

from simkube.client.client import Event, Obj
from simkube.client.workqueue import Component

API = "flowcontrol.apiserver.k8s.io/v1"
SCHEMAS = "flowschemas.flowcontrol.apiserver.k8s.io"
LEVELS = "prioritylevelconfigurations.flowcontrol.apiserver.k8s.io"
MANAGER = "api-priority-and-fairness-config-producer-v1"
_STATUS_MANAGER = "api-priority-and-fairness-config-consumer-v1"
_ANYBODY = ("group:system:unauthenticated", "group:system:authenticated")
_EVERYTHING = ("* */* @*",)

_LEVELS: tuple[tuple[str, int, int, tuple[int, int, int] | None], ...] = (
    ("catch-all", 5, 0, None),
    ("global-default", 20, 50, (128, 6, 50)),
    ("leader-election", 10, 0, (16, 4, 50)),
    ("node-high", 40, 25, (64, 6, 50)),
    ("system", 30, 33, (64, 6, 50)),
    ("workload-high", 40, 50, (128, 6, 50)),
    ("workload-low", 100, 90, (128, 6, 50)),
)
"""Name, shares, how many percent of them may be lent, queues with hand size and length (None: what is too much is
refused)."""

_SCHEMAS: tuple[tuple[str, str, int, str, tuple[str, ...], tuple[str, ...]], ...] = (
    ("exempt", "exempt", 1, "", ("group:system:masters",), ("* */* @*", "* /*")),
    ("probes", "exempt", 2, "", _ANYBODY, ("get /healthz,/readyz,/livez",)),
    (
        "system-leader-election",
        "leader-election",
        100,
        "ByUser",
        ("user:system:kube-controller-manager", "user:system:kube-scheduler", "account:kube-system/*"),
        ("get,create,update coordination.k8s.io/leases kube-system",),
    ),
    (
        "endpoint-controller",
        "workload-high",
        150,
        "ByUser",
        (
            "user:system:kube-controller-manager",
            "account:kube-system/endpoint-controller",
            "account:kube-system/endpointslicemirroring-controller",
        ),
        ("get,create,update /endpoints *",),
    ),
    (
        "workload-leader-election",
        "leader-election",
        200,
        "ByUser",
        ("account:kube-system/*",),
        ("get,create,update coordination.k8s.io/leases *",),
    ),
    (
        "system-node-high",
        "node-high",
        400,
        "ByUser",
        ("group:system:nodes",),
        ("* /nodes,nodes/status @", "* coordination.k8s.io/leases *"),
    ),
    ("system-nodes", "system", 500, "ByUser", ("group:system:nodes",), ("* */* @*", "* /*")),
    (
        "kube-controller-manager",
        "workload-high",
        800,
        "ByNamespace",
        ("user:system:kube-controller-manager",),
        ("* */* @*", "* /*"),
    ),
    ("kube-scheduler", "workload-high", 800, "ByNamespace", ("user:system:kube-scheduler",), ("* */* @*", "* /*")),
    (
        "kube-system-service-accounts",
        "workload-high",
        900,
        "ByNamespace",
        ("account:kube-system/*",),
        ("* */* @*", "* /*"),
    ),
    ("service-accounts", "workload-low", 9000, "ByUser", ("group:system:serviceaccounts",), ("* */* @*", "* /*")),
    ("global-default", "global-default", 9900, "ByUser", _ANYBODY, ("* */* @*", "* /*")),
    ("catch-all", "catch-all", 10000, "ByUser", _ANYBODY, ("* */* @*", "* /*")),
)
"""Name, level, precedence, by what flows are told apart, whose requests, and which: ``verbs group/resources
namespaces`` (``@`` stands for the cluster as a whole) or ``verbs /paths``."""


def bootstrap() -> Iterator[tuple[str, Obj]]:
    """Levels and schemas as ``(resource, object without uid, version and managed fields)``."""
    exempt = {"type": "Exempt", "exempt": {"nominalConcurrencyShares": 0, "lendablePercent": 0}}
    yield LEVELS, _object("PriorityLevelConfiguration", "exempt", exempt, {})
    for name, shares, lent, queues in _LEVELS:
        response: Obj = {"type": "Reject"}
        if queues is not None:
            count, hand, length = queues
            response = {
                "type": "Queue",
                "queuing": {"queues": count, "handSize": hand, "queueLengthLimit": length},
            }
        limited = {"nominalConcurrencyShares": shares, "limitResponse": response, "lendablePercent": lent}
        yield LEVELS, _object("PriorityLevelConfiguration", name, {"type": "Limited", "limited": limited}, {})
    for name, level, precedence, by, subjects, rules in _SCHEMAS:
        rule: Obj = {"subjects": [_subject(each) for each in subjects]}
        for each in rules:
            key, made = _rule(each)
            rule.setdefault(key, []).append(made)
        spec: Obj = {"priorityLevelConfiguration": {"name": level}, "matchingPrecedence": precedence}
        if by:
            spec["distinguisherMethod"] = {"type": by}
        conditions = [_dangling(level, there=True, now="")]
        yield SCHEMAS, _object("FlowSchema", name, {**spec, "rules": [rule]}, {"conditions": conditions})


def _object(kind: str, name: str, spec: Obj, status: Obj) -> Obj:
    meta = {"name": name, "annotations": {"apf.kubernetes.io/autoupdate-spec": "true"}, "generation": 1}
    return {"kind": kind, "apiVersion": API, "metadata": meta, "spec": spec, "status": status}


def _subject(text: str) -> Obj:
    kind, _, name = text.partition(":")
    if kind == "account":
        where, _, account = name.partition("/")
        return {"kind": "ServiceAccount", "serviceAccount": {"namespace": where, "name": account}}
    return {"kind": kind.capitalize(), kind: {"name": name}}


def _rule(text: str) -> tuple[str, Obj]:
    verbs, what, *where = text.split(" ")
    made: dict[str, Any] = {"verbs": verbs.split(",")}
    if not where:
        paths = ["*"] if what == "/*" else what.split(",")
        return "nonResourceRules", {**made, "nonResourceURLs": paths}
    group, _, resources = what.partition("/")
    made |= {"apiGroups": [group], "resources": resources.split(",")}
    if where[0].startswith("@"):
        made["clusterScope"] = True
    namespaces = where[0].removeprefix("@")
    return "resourceRules", {**made, **({"namespaces": [namespaces]} if namespaces else {})}


def _dangling(level: str, *, there: bool, now: str) -> Obj:
    found = "it exists" if there else "there is no such object"
    end = f'references the PriorityLevelConfiguration object named "{level}" {"and" if there else "but"} {found}'
    return {
        "type": "Dangling",
        "status": "False" if there else "True",
        "lastTransitionTime": now,
        "reason": "Found" if there else "NotFound",
        "message": f"This FlowSchema {end}",
    }


class FlowSchemaStatus(Component):
    """Says of each flow schema whether its priority level is there. Keys are names of schemas."""

    name = "flow-schema-status"
    agent = "kube-apiserver"

    def watch(self) -> None:
        """Schemas, and the levels they name."""
        self.schemas = self.client.observe(SCHEMAS, lambda event: self.enqueue(event.obj["metadata"]["name"]))
        self.levels = self.client.observe(LEVELS, self._level)

    def _level(self, event: Event) -> None:
        if event.type == "MODIFIED":
            return
        name = event.obj["metadata"]["name"]
        for schema in self.schemas.list():
            if schema["spec"].get("priorityLevelConfiguration", {}).get("name") == name:
                self.enqueue(schema["metadata"]["name"])

    def reconcile(self, key: Hashable) -> None:
        """Write the condition where it is not what it should be."""
        schema = self.schemas.get("", str(key))
        if schema is None:
            return
        level = schema["spec"].get("priorityLevelConfiguration", {}).get("name", "")
        wanted = _dangling(level, there=self.levels.get("", level) is not None, now=self.clock.timestamp())
        for each in schema.get("status", {}).get("conditions", ()):
            if each["type"] == "Dangling" and (each["status"], each.get("message")) == (
                wanted["status"],
                wanted["message"],
            ):
                return
        applied = {"apiVersion": API, "kind": "FlowSchema", "metadata": {"name": str(key)}}
        applied["status"] = {"conditions": [wanted]}
        self.client.apply(SCHEMAS, str(key), applied, manager=_STATUS_MANAGER, subresource="status")
