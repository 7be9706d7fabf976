"""What every controller here has: a place in ``kube-controller-manager``, informers shared with others, a recorder.

The indexes that several controllers read are defined here, once.
"""

from __future__ import annotations

from collections.abc import Iterable

from simkube.client.client import Informer, Informers, Obj, Server
from simkube.client.events import Recorder
from simkube.client.workqueue import Component, WorkLoop
from simkube.component_helpers.owners import controller_of

MANAGER = "kube-controller-manager"


class Controller(Component):
    """A reconcile loop of ``kube-controller-manager``; ``reporter`` is the component its events name ("" for none)."""

    agent = MANAGER
    reporter = ""

    def __init__(self, server: Server, loop: WorkLoop, informers: Informers | None = None) -> None:
        super().__init__(server, loop, informers)
        self.recorder = Recorder(self.client, self.reporter or self.name)

    def start(self) -> None:
        """As :meth:`Component.start`, with a recorder on the new connection."""
        if not self.running:
            super().start()
            self.recorder = Recorder(self.client, self.reporter or self.name)


def by_controller(informer: Informer) -> None:
    """Index an informer as ``controller``: by the uid of the controlling owner, or by ``("orphan", namespace)``."""

    def values(obj: Obj) -> Iterable[object]:
        ref = controller_of(obj)
        return (ref["uid"] if ref else ("orphan", obj["metadata"].get("namespace", "")),)

    informer.add_index("controller", values)


def by_node(informer: Informer) -> None:
    """Index pods as ``node``: by the node they are bound to; not at all when they are not."""

    def values(obj: Obj) -> Iterable[object]:
        node = obj["spec"].get("nodeName")
        return (node,) if node else ()

    informer.add_index("node", values)
