"""Every namespace has the config map ``kube-root-ca.crt``, by which pods know the API server; changes are undone.

Source: ``pkg/controller/certificates/rootcacertpublisher/publisher.go``.
"""

from __future__ import annotations

from collections.abc import Hashable

from simkube.client.client import Event, Informers, Server, copy_of
from simkube.client.workqueue import WorkLoop
from simkube.controllers.controller import Controller

NAME = "kube-root-ca.crt"
ANNOTATIONS = {
    "kubernetes.io/description": (
        "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the "
        "internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of "
        "Kubernetes clusters."
    )
}


class RootCAPublisher(Controller):
    """Keys are names of namespaces. ``ca`` is a certificate in PEM."""

    name = "root-ca-certificate-publisher-controller"
    resource = "namespaces"

    def __init__(self, server: Server, loop: WorkLoop, informers: Informers | None = None, ca: str = "") -> None:
        super().__init__(server, loop, informers)
        self._data = {"ca.crt": ca}

    def watch(self) -> None:
        """Namespaces and the config maps of that name."""
        self.namespaces = self.client.observe("namespaces", lambda event: self.enqueue(event.obj["metadata"]["name"]))
        self.maps = self.client.observe("configmaps", self._map_changed)

    def _map_changed(self, event: Event) -> None:
        if event.obj["metadata"]["name"] == NAME:
            self.enqueue(event.obj["metadata"]["namespace"])

    def reconcile(self, key: Hashable) -> None:
        """Create or mend the config map, unless the namespace is on its way out."""
        namespace = self.namespaces.get("", str(key))
        if namespace is None or "deletionTimestamp" in namespace["metadata"]:
            return
        current = self.maps.get(str(key), NAME)
        if current is None:
            meta = {"name": NAME, "namespace": str(key), "annotations": ANNOTATIONS}
            made = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": self._data}
            self.client.create("configmaps", made, str(key))
            return
        annotations = current["metadata"].get("annotations") or {}
        if current.get("data") != self._data or not ANNOTATIONS.items() <= annotations.items():
            mended = copy_of(current)
            mended["data"] = dict(self._data)
            mended["metadata"]["annotations"] = {**annotations, **ANNOTATIONS}
            self.client.update("configmaps", mended)
