"""A claim that is to grow: no plugin here can do it, so that an external resizer is waited for, as on kind.

Source: ``pkg/controller/volume/expand/expand_controller.go``.
"""

from __future__ import annotations

from collections.abc import Hashable

from simkube.client.client import Event, Obj, key_of
from simkube.component_helpers.volumebinding import CLAIMS, size, wanted
from simkube.controllers.controller import Controller

_WHY = "waiting for an external controller to expand this PVC"


class VolumeExpansionController(Controller):
    """Keys are ``(namespace, name)`` of bound claims that ask for more than they have."""

    name = "volume-expand-controller"
    resource = "persistentvolumeclaims"
    reporter = "volume_expand"

    def watch(self) -> None:
        """Claims."""
        self.claims = self.client.observe(CLAIMS, self._changed)

    def _changed(self, event: Event) -> None:
        grown = event.old is not None and wanted(event.obj) > wanted(event.old)
        if event.type == "MODIFIED" and grown and _wants_more(event.obj):
            self.enqueue(key_of(event.obj))

    def reconcile(self, key: Hashable) -> None:
        """Tell that somebody else has to do it."""
        assert isinstance(key, tuple)
        claim = self.claims.get(*key)
        if claim is not None and _wants_more(claim):
            self.recorder.event(claim, "Normal", "ExternalExpanding", _WHY)


def _wants_more(claim: Obj) -> bool:
    status = claim.get("status") or {}
    return status.get("phase") == "Bound" and wanted(claim) > size(status.get("capacity"))
