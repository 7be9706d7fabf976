"""Watches: from a list's version on, every change that matters to a selector, in order, none missing, none twice.

After ``apiserver/pkg/storage/cacher`` and ``endpoints/handlers/watch.go``. What a reader has not taken yet is kept up
to a bound; beyond it the watch is ended and the reader has to list again, as with a real API server. A watch from
before the history's window is told 410.

Nothing here knows sockets: :meth:`Watch.take` gives the events that wait, ``wakeup`` says that there are some.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from simkube.apimachinery.errors import StatusError, gone
from simkube.apiserver.registry import conversion, selectors
from simkube.apiserver.registry.request import list_option
from simkube.apiserver.registry.resources import Resource
from simkube.client.client import Event, Obj
from simkube.etcd.store import Compacted, Store

Kind = Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR"]
MOST_WAITING = 2000
"""How many changes a reader may be behind before its watch is ended."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a watch is asked for. ``version`` None means: what is there now, then every change."""

    resource: Resource
    namespace: str = ""
    labels: str = ""
    fields: str = ""
    version: int | None = None
    initial: bool = False
    bookmarks: bool = False


def wanted(resource: Resource, namespace: str, query: Mapping[str, str], name: str = "") -> Wanted:
    """The parameters of a watch, validated as the API server does."""
    match, initial = query.get("resourceVersionMatch", ""), query.get("sendInitialEvents", "")
    sends = initial in ("1", "t", "T", "true", "TRUE", "True")
    if initial and match != "NotOlderThan":
        message = "Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
        raise list_option("resourceVersionMatch", message)
    if match and not initial:
        message = "Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
        raise list_option("resourceVersionMatch", message)
    fields = query.get("fieldSelector", "")
    if name:
        fields = f"{fields},metadata.name={name}" if fields else f"metadata.name={name}"
    bookmarks = query.get("allowWatchBookmarks", "") in ("1", "t", "T", "true", "TRUE", "True")
    version = _version(query.get("resourceVersion", ""))
    return Wanted(resource, namespace, query.get("labelSelector", ""), fields, version, sends, bookmarks)


def _version(text: str) -> int | None:
    if text in ("", "0"):
        return None
    if not text.isdigit():
        why = f'resourceVersion: Invalid value: "{text}": strconv.ParseUint: parsing "{text}": invalid syntax'
        raise StatusError(500, "", why)
    return int(text)


class Watch:
    """One watch. ``wakeup`` is called when something waits to be taken; it must not write."""

    def __init__(self, store: Store, what: Wanted, wakeup: Callable[[], None]) -> None:
        self.what = what
        self.ended = False
        self._store = store
        self._wakeup = wakeup
        self._waiting: deque[tuple[Kind, Obj]] = deque()
        self._matches = selectors.matcher(what.resource, what.labels, what.fields)
        self._after = 0
        self._begun = False
        self._unsubscribe = store.subscribe(what.resource.storage, self._changed)
        self._begin()
        self._begun = True

    def _begin(self) -> None:
        what, store = self.what, self._store
        storage = what.resource.storage
        if what.version is not None and not what.initial:
            self._after = max(0, what.version)
            try:
                changes = store.since(storage, what.version)
            except Compacted:
                self._refuse(what.version)
                return
            for change in changes:
                self._add(change.event)
            return
        self._after = store.revision
        for obj in store.objects(storage, what.namespace):
            if self._relevant(obj):
                self._show("ADDED", obj)
        if what.initial and what.bookmarks:
            self._put("BOOKMARK", self._bookmark({"k8s.io/initial-events-end": "true"}))

    def _refuse(self, version: int) -> None:
        self.ended = True
        if self.what.resource.storage == "events":  # events are not cached: etcd itself answers
            error = gone("The resourceVersion for the provided watch is too old.")
        else:
            error = gone(f"too old resource version: {version} ({self._store.revision})")
        self._put("ERROR", error.body())

    def _put(self, kind: Kind, obj: Obj) -> None:
        if self._begun and len(self._waiting) >= MOST_WAITING:
            self.ended = True
            self._waiting.clear()
        else:
            self._waiting.append((kind, obj))
        self._wakeup()

    def _show(self, kind: Kind, obj: Obj) -> None:
        try:
            self._put(kind, conversion.shown(self.what.resource, obj))
        except StatusError as error:
            self._break(error)

    def _break(self, error: StatusError) -> None:
        """An object cannot be shown in the version that is watched: the watch ends with why."""
        if not self.ended:
            self.ended = True
            self._put("ERROR", error.body())

    def _relevant(self, obj: Obj) -> bool:
        if self.what.namespace and obj["metadata"].get("namespace") != self.what.namespace:
            return False
        if self._matches is None:
            return True
        try:
            return self._matches(conversion.shown(self.what.resource, obj))
        except StatusError as error:
            self._break(error)
            return False

    def _changed(self, event: Event) -> None:
        if not self.ended and int(event.obj["metadata"]["resourceVersion"]) > self._after:
            self._add(event)

    def _add(self, event: Event) -> None:
        """What an event means to someone who sees only what the selector matches."""
        before = event.old is not None and self._relevant(event.old)
        after = event.type != "DELETED" and self._relevant(event.obj)
        if before and after:
            self._show("MODIFIED", event.obj)
        elif after:
            self._show("ADDED", event.obj)
        elif before and event.old is not None:
            version = event.obj["metadata"]["resourceVersion"]
            last = {**event.old, "metadata": {**event.old["metadata"], "resourceVersion": version}}
            self._show("DELETED", last)

    def _bookmark(self, annotations: Mapping[str, str] | None = None) -> Obj:
        resource = self.what.resource
        meta: dict[str, Any] = {"resourceVersion": str(self._store.revision)}
        if annotations:
            meta["annotations"] = dict(annotations)
        return {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": meta}

    def bookmark(self) -> None:
        """Tell the reader how far it is, when it asked for that and nothing else waits."""
        if self.what.bookmarks and not self._waiting and not self.ended:
            self._put("BOOKMARK", self._bookmark())

    def take(self, most: int = MOST_WAITING) -> list[tuple[Kind, Obj]]:
        """What waits, at most so many; [] when nothing does."""
        return [self._waiting.popleft() for _ in range(min(most, len(self._waiting)))]

    def close(self) -> None:
        """End it."""
        self.ended = True
        self._unsubscribe()
