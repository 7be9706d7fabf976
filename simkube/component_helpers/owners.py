"""Owner references: who controls an object, and how a controller takes and gives up what its selector says is its.

Source: ``pkg/controller/controller_ref_manager.go``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from simkube.apimachinery.errors import StatusError
from simkube.apimachinery.labels import matches
from simkube.client.client import Client, Informer, Obj


def controller_of(obj: Obj) -> Obj | None:
    """The owner reference with ``controller: true``, or None."""
    for ref in obj["metadata"].get("ownerReferences") or ():
        if ref.get("controller"):
            found: Obj = ref
            return found
    return None


def controller_reference(owner: Obj, api_version: str, kind: str) -> Obj:
    """The owner reference of an object that ``owner`` controls."""
    meta = owner["metadata"]
    return {
        "apiVersion": api_version,
        "kind": kind,
        "name": meta["name"],
        "uid": meta["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def _always(_: Obj) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Claim:
    """What a controller claims: objects of ``informer`` in ``owner``'s namespace that the ``selector`` selects.

    The informer is indexed :func:`~simkube.controllers.controller.by_controller`. Of those selected, only what ``fits``
    is claimed, and of orphans only what it ``adopts``.
    """

    client: Client
    informer: Informer
    owner: Obj
    reference: Obj
    selector: Obj | None
    fits: Callable[[Obj], bool] = _always
    adopts: Callable[[Obj], bool] = _always

    def objects(self) -> list[Obj]:
        """Adopt orphans that match, release own objects that no longer do, and return what is the owner's now."""
        mine: list[Obj] = []
        meta = self.owner["metadata"]
        dying = "deletionTimestamp" in meta
        orphans = filter(self.adopts, self.informer.indexed("controller", ("orphan", meta["namespace"])))
        for obj in [*self.informer.indexed("controller", meta["uid"]), *orphans]:
            ref = controller_of(obj)
            if ref is not None:
                if ref["uid"] != self.reference["uid"]:
                    continue
                if self._matches(obj):
                    mine.append(obj)
                elif not dying:
                    self._release(obj)
            elif not dying and "deletionTimestamp" not in obj["metadata"] and self._matches(obj):
                adopted = self._patch(obj, {"ownerReferences": [self.reference], "uid": obj["metadata"]["uid"]})
                if adopted is not None:
                    mine.append(adopted)
        return mine

    def _matches(self, obj: Obj) -> bool:
        return self.fits(obj) and matches(self.selector, obj["metadata"].get("labels"))

    def _release(self, obj: Obj) -> None:
        gone = {"$patch": "delete", "uid": self.reference["uid"]}
        self._patch(obj, {"ownerReferences": [gone], "uid": obj["metadata"]["uid"]})

    def _patch(self, obj: Obj, metadata: Obj) -> Obj | None:
        meta = obj["metadata"]
        try:
            return self.client.patch(
                self.informer.resource, meta["name"], {"metadata": metadata}, meta["namespace"], type="strategic"
            )
        except StatusError as error:
            if error.reason in ("NotFound", "Invalid", "Conflict"):  # gone, or no longer the object that was seen
                return None
            raise
