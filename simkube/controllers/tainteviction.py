"""Taint eviction: a pod that does not tolerate a node's NoExecute taint, or only for so long, is deleted.

Source: ``pkg/controller/tainteviction/taint_eviction.go``.
"""

from __future__ import annotations

from collections.abc import Hashable

from simkube.client.client import Event, Key, Obj, key_of
from simkube.component_helpers import pods as podstate
from simkube.component_helpers.tolerations import tolerates
from simkube.controllers.controller import Controller, by_node


class TaintEvictionController(Controller):
    """Keys are ``(namespace, name)`` of pods."""

    name = "taint-eviction-controller"
    resource = "pods"

    def watch(self) -> None:
        """Taints of nodes, and pods that get to a node."""
        self._planned: dict[Key, float] = {}
        """Pods that are to go later, and since when."""
        self.pods = self.client.informer("pods")
        by_node(self.pods)
        self.nodes = self.client.observe("nodes", self._node_changed)
        self.client.observe("pods", self._pod_changed)

    def _node_changed(self, event: Event) -> None:
        before = _no_execute(event.old) if event.old is not None else []
        if event.type != "DELETED" and before != _no_execute(event.obj):
            for pod in self.pods.indexed("node", event.obj["metadata"]["name"]):
                self.enqueue(key_of(pod))

    def _pod_changed(self, event: Event) -> None:
        key = key_of(event.obj)
        if event.type == "DELETED" or "deletionTimestamp" in event.obj["metadata"]:
            self._planned.pop(key, None)
            self.dequeue(key)
            return
        node = self.nodes.get("", event.obj["spec"].get("nodeName", ""))
        placed = event.old is None or event.old["spec"] != event.obj["spec"]
        if placed and node is not None and _no_execute(node):
            self.enqueue(key)

    def reconcile(self, key: Hashable) -> None:
        """Delete the pod, plan to, or drop the plan."""
        assert isinstance(key, tuple)
        pod = self.pods.get(*key)
        if pod is None or "deletionTimestamp" in pod["metadata"]:
            return
        node = self.nodes.get("", pod["spec"].get("nodeName", ""))
        taints = _no_execute(node) if node is not None else []
        due = self._deadline(pod, taints, self._planned.get(key, self.clock.now()))
        if due is None:
            self.dequeue(key)
            if self._planned.pop(key, None) is not None:
                self._tell(key, f"Cancelling deletion of Pod {key[0]}/{key[1]}")
        elif due > self.clock.now():
            self._planned.setdefault(key, self.clock.now())
            self.enqueue_after(key, due - self.clock.now())
        else:
            self._evict(pod)

    def _deadline(self, pod: Obj, taints: list[Obj], seen: float) -> float | None:
        """When the pod has to go; None when it may stay. A taint that does not say since when counts from ``seen``."""
        due: list[float] = []
        for taint in taints:
            covering = [each for each in pod["spec"].get("tolerations") or () if tolerates(each, taint)]
            since = podstate.seconds_of(taint.get("timeAdded")) or seen
            limits = [each["tolerationSeconds"] for each in covering if each.get("tolerationSeconds") is not None]
            if not covering:
                due.append(0.0)
            elif limits:
                due.append(since + max(0, min(limits)))
        return min(due) if due else None

    def _evict(self, pod: Obj) -> None:
        namespace, name = key = key_of(pod)
        self._planned.pop(key, None)
        self._tell(key, f"Marking for deletion Pod {namespace}/{name}")
        condition = {
            "type": "DisruptionTarget",
            "status": "True",
            "observedGeneration": pod["metadata"].get("generation", 1),
            "lastProbeTime": None,
            "lastTransitionTime": self.clock.timestamp(),
            "reason": "DeletionByTaintManager",
            "message": "Taint manager: deleting due to NoExecute taint",
        }
        patch = {"metadata": {"uid": pod["metadata"]["uid"]}, "status": {"conditions": [condition]}}
        self.client.patch("pods", name, patch, namespace, type="strategic", subresource="status")
        self.client.delete("pods", name, namespace)

    def _tell(self, key: Key, message: str) -> None:
        ref = {"apiVersion": "v1", "kind": "Pod", "namespace": key[0], "name": key[1]}
        self.recorder.event(ref, "Normal", "TaintManagerEviction", message)


def _no_execute(node: Obj) -> list[Obj]:
    return [taint for taint in node["spec"].get("taints") or () if taint.get("effect") == "NoExecute"]
