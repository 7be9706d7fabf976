"""The garbage collector: what has no owner left goes; an owner deleted in the foreground waits for what blocks it.

Source: ``pkg/controller/garbagecollector/garbagecollector.go``. Every kind is watched and indexed by its owners' uids,
so that the end of an owner leads straight to its dependents.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass

from simkube.client.client import Event, Informers, Obj, Server
from simkube.client.workqueue import WorkLoop
from simkube.controllers.controller import Controller
from simkube.controllers.definitions import DEFINITIONS, defined

FOREGROUND = "foregroundDeletion"
ORPHAN = "orphan"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind that can own or be owned: its resource as a qualified plural, and whether it is namespaced."""

    resource: str
    namespaced: bool


Kinds = Mapping[tuple[str, str], Kind]
"""Every kind there is, by ``(apiVersion, kind)``."""


class GarbageCollector(Controller):
    """Keys are ``(resource, namespace, name)`` of objects to look at."""

    name = "garbage-collector-controller"

    def __init__(
        self, server: Server, loop: WorkLoop, informers: Informers | None = None, kinds: Kinds | None = None
    ) -> None:
        super().__init__(server, loop, informers)
        owned = {of: kind for of, kind in (kinds or {}).items() if kind.resource != "events"}  # nobody owns events
        self._built_in = owned

    def watch(self) -> None:
        """Every kind."""
        self._kinds: dict[tuple[str, str], Kind] = dict(self._built_in)
        self.objects = {
            kind.resource: self.client.informer(kind.resource) for kind in dict.fromkeys(self._kinds.values())
        }
        for informer in self.objects.values():
            informer.add_index("owners", _owner_uids)
        for resource in self.objects:
            self.client.observe(resource, self._handler(resource))
        self._defined: dict[str, list[tuple[str, str]]] = {}
        self.client.observe(DEFINITIONS, self._definition_changed)

    def _definition_changed(self, event: Event) -> None:
        """Kinds that a cluster's users define come and go."""
        name = event.obj["metadata"]["name"]
        for known in self._defined.pop(name, ()):
            self._kinds.pop(known, None)
        kinds = defined(event.obj) if event.type != "DELETED" else []
        if not kinds:
            if self.objects.pop(name, None) is not None:
                self.client.forget(name)
            return
        namespaced = event.obj["spec"]["scope"] == "Namespaced"
        self._kinds |= dict.fromkeys(kinds, Kind(name, namespaced))
        self._defined[name] = kinds
        if name not in self.objects:
            self.objects[name] = self.client.informer(name)
            self.objects[name].add_index("owners", _owner_uids)
            self.client.observe(name, self._handler(name))

    def _handler(self, resource: str) -> Callable[[Event], None]:
        def changed(event: Event) -> None:
            meta = event.obj["metadata"]
            if event.type == "DELETED":
                for each, dependent in self._dependents(meta["uid"]):
                    self._look_at(each, dependent)
                self._owners_wait(event.obj)
            elif "ownerReferences" in meta or "finalizers" in meta:
                self._look_at(resource, event.obj)
            if event.old is not None and event.old["metadata"].get("ownerReferences") != meta.get("ownerReferences"):
                self._owners_wait(event.old)

        return changed

    def _look_at(self, resource: str, obj: Obj) -> None:
        meta = obj["metadata"]
        self.enqueue((resource, meta.get("namespace", ""), meta["name"]))

    def _owners_wait(self, obj: Obj) -> None:
        """An owner in foreground deletion may have waited for this object."""
        for ref in obj["metadata"].get("ownerReferences") or ():
            kind = self._kinds.get((ref["apiVersion"], ref["kind"]))
            if kind is not None:
                where = obj["metadata"].get("namespace", "") if kind.namespaced else ""
                self.enqueue((kind.resource, where, ref["name"]))

    def _dependents(self, uid: str) -> Iterable[tuple[str, Obj]]:
        for resource, informer in list(self.objects.items()):
            for obj in informer.indexed("owners", uid):
                yield resource, obj

    def reconcile(self, key: Hashable) -> None:
        """Finish an owner's own deletion, or delete an object whose owners are gone."""
        assert isinstance(key, tuple)
        resource, namespace, name = key
        informer = self.objects.get(resource)
        obj = None if informer is None else informer.get(namespace, name)
        if obj is None:
            return
        if "deletionTimestamp" in obj["metadata"]:
            finalizers = obj["metadata"].get("finalizers") or ()
            if ORPHAN in finalizers:
                self._orphan_dependents(resource, obj)
            elif FOREGROUND in finalizers:
                self._wait_for_dependents(resource, obj)
            return
        self._judge(resource, obj)

    def _judge(self, resource: str, obj: Obj) -> None:
        """Delete an object without a living owner; forget owners that are gone while another lives."""
        refs = obj["metadata"].get("ownerReferences") or ()
        owners = [(ref, self._owner(obj, ref)) for ref in refs]
        solid = [ref for ref, state in owners if state in ("there", "unknown")]
        waiting = [ref for ref, state in owners if state == "waiting"]
        gone = [ref for ref, state in owners if state == "gone"]
        if solid:
            if gone or waiting:
                self._set_owners(resource, obj, solid)
            return
        if not waiting and not gone:
            return
        meta = obj["metadata"]
        has_dependents = next(iter(self._dependents(meta["uid"])), None) is not None
        finalizers = meta.get("finalizers") or ()
        policy = "Background"
        if waiting and has_dependents:
            policy = "Foreground"
        elif ORPHAN in finalizers:
            policy = "Orphan"
        elif FOREGROUND in finalizers:
            policy = "Foreground"
        self.client.delete(
            resource,
            meta["name"],
            meta.get("namespace", ""),
            propagationPolicy=policy,
            preconditions={"uid": meta["uid"]},
        )

    def _owner(self, obj: Obj, ref: Obj) -> str:
        """``there``, ``gone``, ``waiting`` (for its dependents to go), or ``unknown`` for a kind nobody knows."""
        kind = self._kinds.get((ref["apiVersion"], ref["kind"]))
        if kind is None:
            return "unknown"
        owner = self.objects[kind.resource].get(
            obj["metadata"].get("namespace", "") if kind.namespaced else "", ref["name"]
        )
        if owner is None or owner["metadata"]["uid"] != ref["uid"]:
            return "gone"
        meta = owner["metadata"]
        return "waiting" if "deletionTimestamp" in meta and FOREGROUND in (meta.get("finalizers") or ()) else "there"

    def _wait_for_dependents(self, resource: str, obj: Obj) -> None:
        uid = obj["metadata"]["uid"]
        blocking = [each for each in self._dependents(uid) if _blocks(each[1], uid)]
        for each, dependent in blocking:
            if "deletionTimestamp" not in dependent["metadata"]:
                self._look_at(each, dependent)
        if not blocking:
            self._drop_finalizer(resource, obj, FOREGROUND)

    def _orphan_dependents(self, resource: str, obj: Obj) -> None:
        uid = obj["metadata"]["uid"]
        for each, dependent in list(self._dependents(uid)):
            refs = [ref for ref in dependent["metadata"]["ownerReferences"] if ref["uid"] != uid]
            self._set_owners(each, dependent, refs)
        self._drop_finalizer(resource, obj, ORPHAN)

    def _set_owners(self, resource: str, obj: Obj, refs: list[Obj]) -> None:
        meta = obj["metadata"]
        patch = {"metadata": {"resourceVersion": meta["resourceVersion"], "ownerReferences": refs or None}}
        self.client.patch(resource, meta["name"], patch, meta.get("namespace", ""))

    def _drop_finalizer(self, resource: str, obj: Obj, finalizer: str) -> None:
        meta = obj["metadata"]
        left = [each for each in meta["finalizers"] if each != finalizer]
        patch = {"metadata": {"resourceVersion": meta["resourceVersion"], "finalizers": left or None}}
        self.client.patch(resource, meta["name"], patch, meta.get("namespace", ""))


def _owner_uids(obj: Obj) -> Iterable[Hashable]:
    return [ref["uid"] for ref in obj["metadata"].get("ownerReferences") or ()]


def _blocks(obj: Obj, uid: str) -> bool:
    refs = obj["metadata"].get("ownerReferences") or ()
    return any(ref["uid"] == uid and ref.get("blockOwnerDeletion") for ref in refs)
