"""Pod garbage collection: pods of nodes that no longer exist are removed after a quarantine.

Source: ``pkg/controller/podgc/gc_controller.go``.
"""

from __future__ import annotations

from collections.abc import Hashable

from simkube.client.client import Event, key_of
from simkube.component_helpers import pods as podstate
from simkube.controllers.controller import Controller

QUARANTINE = 40.0
"""Seconds that a node must have been gone: one that is only registered anew keeps its pods."""


class PodGarbageCollector(Controller):
    """Keys are ``(namespace, name)`` of pods."""

    name = "pod-garbage-collector-controller"
    resource = "pods"

    def watch(self) -> None:
        """Pods on nodes that are not there."""
        self.pods = self.client.informer("pods")
        self.pods.add_index("node", lambda pod: (pod["spec"]["nodeName"],) if pod["spec"].get("nodeName") else ())
        self.nodes = self.client.observe("nodes", self._node_changed)
        self.client.observe("pods", self._pod_changed)

    def _node_changed(self, event: Event) -> None:
        if event.type == "DELETED":
            for pod in self.pods.indexed("node", event.obj["metadata"]["name"]):
                self.enqueue_after(key_of(pod), QUARANTINE)

    def _pod_changed(self, event: Event) -> None:
        node = event.obj["spec"].get("nodeName")
        if event.type == "DELETED":
            self.dequeue(key_of(event.obj))
        elif node and event.old is None and self.nodes.get("", node) is None:
            self.enqueue_after(key_of(event.obj), QUARANTINE)

    def reconcile(self, key: Hashable) -> None:
        """Mark the pod as failed and remove it at once, unless its node is back."""
        assert isinstance(key, tuple)
        pod = self.pods.get(*key)
        if pod is None or self.nodes.get("", pod["spec"].get("nodeName", "")) is not None:
            return
        meta = pod["metadata"]
        if podstate.phase(pod) not in podstate.FINISHED:
            condition = {
                "type": "DisruptionTarget",
                "status": "True",
                "observedGeneration": meta.get("generation", 1),
                "lastProbeTime": None,
                "lastTransitionTime": self.clock.timestamp(),
                "reason": "DeletionByPodGC",
                "message": "PodGC: node no longer exists",
            }
            patch = {"metadata": {"uid": meta["uid"]}, "status": {"phase": "Failed", "conditions": [condition]}}
            self.client.patch("pods", key[1], patch, key[0], type="strategic", subresource="status")
        self.client.delete("pods", key[1], key[0], gracePeriodSeconds=0, preconditions={"uid": meta["uid"]})
