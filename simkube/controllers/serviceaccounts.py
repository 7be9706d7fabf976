"""Every namespace has a service account ``default``, and gets it back when someone deletes it.

Source: ``pkg/controller/serviceaccount/serviceaccounts_controller.go``.
"""

from __future__ import annotations

from collections.abc import Hashable

from simkube.client.client import Event
from simkube.controllers.controller import Controller


class ServiceAccountsController(Controller):
    """Keys are names of namespaces."""

    name = "serviceaccount-controller"
    resource = "namespaces"

    def watch(self) -> None:
        """Namespaces, and the end of service accounts."""
        self.namespaces = self.client.observe("namespaces", lambda event: self.enqueue(event.obj["metadata"]["name"]))
        self.accounts = self.client.observe("serviceaccounts", self._account_changed)

    def _account_changed(self, event: Event) -> None:
        if event.type == "DELETED":
            self.enqueue(event.obj["metadata"]["namespace"])

    def reconcile(self, key: Hashable) -> None:
        """Create what is missing, unless the namespace is on its way out."""
        name = str(key)
        namespace = self.namespaces.get("", name)
        if namespace is None or "deletionTimestamp" in namespace["metadata"]:
            return
        if self.accounts.get(name, "default") is None:
            account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": name}}
            self.client.create("serviceaccounts", account, name)
