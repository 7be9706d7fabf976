"""How long kubelets may keep secrets and config maps without asking: 0 seconds in a cluster of up to 100 nodes.

Source: ``pkg/controller/ttl/ttl_controller.go``. Larger clusters, where the value grows, do not exist here.
"""

from __future__ import annotations

from collections.abc import Hashable

from simkube.controllers.controller import Controller

ANNOTATION = "node.alpha.kubernetes.io/ttl"


class NodeTTLController(Controller):
    """Keys are names of nodes."""

    name = "ttl-controller"
    resource = "nodes"

    def watch(self) -> None:
        """Nodes."""
        self.nodes = self.client.observe("nodes", lambda event: self.enqueue(event.obj["metadata"]["name"]))

    def reconcile(self, key: Hashable) -> None:
        """Annotate the node."""
        node = self.nodes.get("", str(key))
        if node is not None and (node["metadata"].get("annotations") or {}).get(ANNOTATION) != "0":
            self.client.patch("nodes", str(key), {"metadata": {"annotations": {ANNOTATION: "0"}}})
