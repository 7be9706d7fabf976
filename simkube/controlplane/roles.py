"""The roles and bindings that an API server makes, and mends, when it starts: what was deleted is back after a restart.

Source: ``pkg/registry/rbac/rest/storage_rbac.go`` (the post-start hook ``rbac/bootstrap-roles``).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable

from simkube.client.client import Informers, Server
from simkube.client.workqueue import Component, WorkLoop


class BootstrapRoles(Component):
    """Calls ``mend`` each time it starts again; at the first start a cluster has them already."""

    name = "rbac/bootstrap-roles"
    agent = "kube-apiserver"

    def __init__(self, mend: Callable[[], None], server: Server, loop: WorkLoop, informers: Informers) -> None:
        super().__init__(server, loop, informers)
        self._mend = mend
        self._again = False

    def watch(self) -> None:
        """Nothing is watched: it works at a start only."""
        if self._again:
            self.enqueue("all")
        self._again = True

    def reconcile(self, key: Hashable) -> None:  # noqa: ARG002 - there is one key
        """Make what is missing, mend what lacks something."""
        self._mend()
