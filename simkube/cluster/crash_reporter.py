"""What users see of an unexpected exception: an event, and the condition ``SimulatorFault``, on what it was about.

What has no conditions, and what was about no object at all, is told of the control plane's node. The condition turns to
False when what failed has succeeded. Reports are written from a queue of their own, never where the exception happened;
one that cannot be written is in the log all the same.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Hashable
from typing import Any

from simkube.apimachinery.crashes import Crash
from simkube.apimachinery.errors import StatusError
from simkube.client.client import Informers, Obj, Server
from simkube.client.events import Recorder, reference
from simkube.client.workqueue import Component, WorkLoop

log = logging.getLogger(__name__)

CONDITION = "SimulatorFault"
REASON = "InternalError"
_RESOURCES = {
    "Pod": "pods",
    "Node": "nodes",
    "Service": "services",
    "Namespace": "namespaces",
    "PersistentVolumeClaim": "persistentvolumeclaims",
    "Deployment": "deployments.apps",
    "ReplicaSet": "replicasets.apps",
    "StatefulSet": "statefulsets.apps",
    "DaemonSet": "daemonsets.apps",
    "Job": "jobs.batch",
    "HorizontalPodAutoscaler": "horizontalpodautoscalers.autoscaling",
    "PodDisruptionBudget": "poddisruptionbudgets.policy",
}
"""Kinds whose status has a list of conditions by type."""


class CrashReporter(Component):
    """Keys are ``"reports"``. ``plane`` is the control plane's node, "" for none."""

    name = "crash-reporter"
    agent = "simkube"

    def __init__(self, server: Server, loop: WorkLoop, plane: str, informers: Informers | None = None) -> None:
        self._plane = plane
        self._waiting: deque[tuple[Obj | None, str, Crash | None]] = deque(maxlen=100)
        self._open: set[tuple[str, str, str, str]] = set()
        super().__init__(server, loop, informers)
        self.recorder = Recorder(self.client, self.name)
        self.clock.crashes.told = self._crashed
        self.clock.crashes.mended = self._mended

    def watch(self) -> None:
        """Nothing: it is told."""
        self.recorder = Recorder(self.client, self.name)
        self.enqueue("reports")

    def _crashed(self, crash: Crash) -> None:
        if crash.component != self.name:  # a fault in telling of faults ends here
            self._waiting.append((crash.about, crash.component, crash))
            self.enqueue("reports")

    def _mended(self, component: str, about: Obj | None) -> None:
        if component != self.name:
            self._waiting.append((about, component, None))
            self.enqueue("reports")

    def reconcile(self, key: Hashable) -> None:  # noqa: ARG002 - there is one key
        """Write what waits."""
        while self._waiting:
            about, component, crash = self._waiting.popleft()
            for target in self._targets(about):
                self._report(target, component, crash)

    def _targets(self, about: Obj | None) -> list[Obj]:
        """References to what is told: the object, and a node where the object has no conditions."""
        found = [] if about is None else [reference(about)]
        if (not found or found[0].get("kind") not in _RESOURCES) and self._plane:
            found.append({"apiVersion": "v1", "kind": "Node", "name": self._plane, "uid": self._plane})
        return found

    def _report(self, target: Obj, component: str, crash: Crash | None) -> None:
        """The event and the condition on one object."""
        known = (component, target.get("kind", ""), target.get("namespace", ""), target["name"])
        if crash is None:
            if known in self._open:
                self._open.discard(known)
                self._condition(target, "False", "Recovered", f"{component} has succeeded since")
            return
        message = f"{crash}. This is a fault of the simulated cluster, not of what you did."
        self.recorder.event(target, "Warning", REASON, message)
        self._open.add(known)
        self._condition(target, "True", crash.reason, message)

    def _condition(self, target: Obj, status: str, reason: str, message: str) -> None:
        resource = _RESOURCES.get(target.get("kind", ""))
        if resource is None:
            return
        namespace = target.get("namespace", "")
        try:
            now = self.client.get(resource, target["name"], namespace)
            condition: dict[str, Any] = {"type": CONDITION, "status": status, "reason": reason, "message": message}
            before = next((one for one in _conditions(now) if one["type"] == CONDITION), {})
            if all(before.get(field) == value for field, value in condition.items()):
                return
            same = before.get("status") == status
            condition["lastTransitionTime"] = before.get("lastTransitionTime") if same else self.clock.timestamp()
            others = [one for one in _conditions(now) if one["type"] != CONDITION]
            changed = {**now, "status": {**(now.get("status") or {}), "conditions": [*others, condition]}}
            self.client.update(resource, changed, subresource="status")
        except StatusError as error:  # it is gone, or the API server is away
            log.debug("no condition on %s: %s", target["name"], error)


def _conditions(obj: Obj) -> list[Obj]:
    return (obj.get("status") or {}).get("conditions") or []
