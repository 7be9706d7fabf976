"""etcd's part: the objects of one cluster in memory, revisions, compare-and-swap, a window of history, all journalled.

Only ``apiserver`` touches it. One writer, one thread: a write is stored in the journal first, then becomes visible,
then the subscribers hear of it, in order of revision. When the journal takes no write (disk full), a
:class:`~simkube.apimachinery.errors.StoreError` is raised and nothing has changed.

It refuses to know what objects mean; names, namespaces and ``metadata.resourceVersion`` are all it reads.
"""

from __future__ import annotations

import json
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from simkube.apimachinery.errors import StoreError
from simkube.client.client import Event, Handler, Obj
from simkube.etcd.journal import Journal, dumps

Key = tuple[str, str]

WINDOW = 1000
"""How many changes the history keeps; a watch from before them is answered with 410."""

_BACKUPS = "etcd-backup/"

GRAVES = 2000
"""After how many deletions the journal is tidied."""


class Compacted(Exception):
    """The history no longer reaches back to the revision that was asked for."""


@dataclass(frozen=True, slots=True)
class Change:
    """One committed change: what happened to which resource at which revision."""

    revision: int
    resource: str
    event: Event


@dataclass(frozen=True, slots=True)
class Limits:
    """What one cluster may hold. Beyond it writes that add are refused; nothing else is affected."""

    objects: int = 5000
    bytes: int = 64 * 1024 * 1024


class Full(Exception):
    """The cluster holds as much as it may; the message says how much that is."""


class Side:
    """A small key space beside the objects: what kubelets must not lose at ``kill -9`` (volumes, logs, states).

    Values are JSON. It is not revisioned, not watched, and not seen by users.
    """

    def __init__(self, journal: Journal, cluster: str) -> None:
        self._journal = journal
        self._cluster = cluster

    def carry_on(self, journal: Journal) -> None:
        """Write to an empty journal from now on."""
        self._journal = journal

    def put(self, key: str, value: Any) -> None:
        """Store ``value`` under ``key``; stored when this returns."""
        self._journal.put_side(self._cluster, key, dumps(value))

    def get(self, key: str) -> Any:
        """The value, or None."""
        for found, value in self._journal.side(self._cluster, key):
            if found == key:
                return json.loads(value)
        return None

    def items(self, prefix: str = "") -> Iterator[tuple[str, Any]]:
        """``(key, value)`` of every key that begins with ``prefix``, by key."""
        for key, value in list(self._journal.side(self._cluster, prefix)):
            yield key, json.loads(value)

    def delete(self, key: str) -> None:
        """Remove a key; a no-op when there is none."""
        self._journal.put_side(self._cluster, key, None)


@dataclass(frozen=True, slots=True)
class Beside:
    """What a journal keeps of a cluster beside its objects: the side space, and the snapshot if there is one."""

    side: Mapping[str, Any]
    snapshot: str | None


class Store:
    """The objects of one cluster, by the qualified plural of the resource that stores them (``deployments.apps``)."""

    def __init__(self, journal: Journal, cluster_id: str, limits: Limits | None = None) -> None:
        self.cluster_id = cluster_id
        self.limits = limits or Limits()
        self.side = Side(journal, cluster_id)
        self._journal = journal
        self._objects: dict[str, dict[Key, Obj]] = {}
        self._sizes: dict[tuple[str, Key], int] = {}
        self._size = 0
        self.operations: Counter[tuple[str, str]] = Counter()
        """How often something was written since this process has it: ``create``, ``update``, ``delete`` by resource."""
        self._history: deque[Change] = deque(maxlen=WINDOW)
        self._subscribers: dict[str, list[Handler]] = {}
        self._seeds: Mapping[str, Mapping[Key, Obj]] = {}
        self._graves = 0
        self._load()

    def _load(self) -> None:
        self.revision = self._journal.revision(self.cluster_id)
        for resource, _, body in self._journal.objects(self.cluster_id):
            self._remember(resource, json.loads(body), len(body))
        self._compacted = self.revision

    def seed(self, seeds: Mapping[str, Mapping[Key, Obj]]) -> list[tuple[str, Obj]]:
        """Put shared objects below what is stored: visible, never journalled, costing nothing, until one is changed.

        What is stored under the same key hides the shared object; returns those that hide one, by resource. To be
        called at each start: a shared object that was deleted is back then. Nobody is told of them.
        """
        self._seeds = seeds
        hiding = []
        for resource, objects in seeds.items():
            stored = self._objects.setdefault(resource, {})
            for key, obj in objects.items():
                found = stored.setdefault(key, obj)
                if found is not obj:
                    hiding.append((resource, found))
        self.revision = max(self.revision, 1)
        return hiding

    def _is_seed(self, resource: str, key: Key) -> bool:
        found = self._seeds.get(resource, {}).get(key)
        return found is not None and self._objects.get(resource, {}).get(key) is found

    # reading

    def get(self, resource: str, namespace: str, name: str) -> Obj | None:
        """The object now, or None."""
        return self._objects.get(resource, {}).get((namespace, name))

    def objects(self, resource: str, namespace: str = "") -> list[Obj]:
        """Every object of the resource, or those of one namespace, in order of namespace and name."""
        objects = self._objects.get(resource, {})
        if namespace:
            return [objects[key] for key in sorted(objects) if key[0] == namespace]
        return [objects[key] for key in sorted(objects)]

    @property
    def size(self) -> int:
        """Bytes of everything that is stored."""
        return self._size

    def count(self, resource: str) -> int:
        """How many objects of the resource there are."""
        return len(self._objects.get(resource, {}))

    def resources(self) -> list[str]:
        """Every resource that has had objects."""
        return list(self._objects)

    # writing

    def put(self, resource: str, obj: Obj, *, expect: str | None) -> Obj:
        """Store ``obj`` (taken over, not copied) under the next revision and return it with that ``resourceVersion``.

        ``expect`` is the resourceVersion that must be the current one, None when the object must not exist yet.
        Raises :class:`StoreError` when that does not hold (the API server checks first) or nothing was stored, and
        :class:`Full`.
        """
        meta = obj["metadata"]
        key = (meta.get("namespace", ""), meta["name"])
        old = self._objects.get(resource, {}).get(key)
        if (old["metadata"]["resourceVersion"] if old else None) != expect:
            raise StoreError(f"{resource} {key}: expected version {expect}")
        revision = self.revision + 1
        meta["resourceVersion"] = str(revision)
        body = dumps(obj)
        self._admit(resource, key, len(body), new=old is None)
        self._journal.put(self.cluster_id, resource, *key, revision, body)
        self.operations["update" if old else "create", resource] += 1
        self.revision = revision
        self._remember(resource, obj, len(body))
        self._tell(resource, Event("MODIFIED" if old else "ADDED", obj, old))
        return obj

    def delete(self, resource: str, namespace: str, name: str) -> Obj | None:
        """Remove an object; return its last state with the revision of its deletion, None when there was none."""
        key = (namespace, name)
        old = self._objects.get(resource, {}).get(key)
        if old is None:
            return None
        revision = self.revision + 1
        self._journal.put(self.cluster_id, resource, *key, revision, None)
        self.operations["delete", resource] += 1
        self.revision = revision
        del self._objects[resource][key]
        self._size -= self._sizes.pop((resource, key), 0)
        last = {**old, "metadata": {**old["metadata"], "resourceVersion": str(revision)}}
        self._tell(resource, Event("DELETED", last, old))
        self._graves += 1
        if self._graves >= GRAVES:
            self._journal.bury(self.cluster_id)
            self._graves = 0
        return last

    def _admit(self, resource: str, key: Key, size: int, *, new: bool) -> None:
        grown = size - self._sizes.get((resource, key), 0)
        if new and len(self._sizes) >= self.limits.objects:
            raise Full(f"this cluster holds {self.limits.objects} objects, which is all it may; delete some first")
        if grown > 0 and self._size + grown > self.limits.bytes:
            most = self.limits.bytes // (1024 * 1024)
            raise Full(f"the objects of this cluster fill {most} MiB, which is all it may; delete some first")

    def _remember(self, resource: str, obj: Obj, size: int) -> None:
        meta = obj["metadata"]
        key = (meta.get("namespace", ""), meta["name"])
        self._objects.setdefault(resource, {})[key] = obj
        self._size += size - self._sizes.get((resource, key), 0)
        self._sizes[(resource, key)] = size

    # watching

    def _tell(self, resource: str, event: Event) -> None:
        if len(self._history) == WINDOW:
            self._compacted = self._history[0].revision
        self._history.append(Change(self.revision, resource, event))
        for handler in tuple(self._subscribers.get(resource, ())):
            handler(event)

    def unsubscribe_all(self) -> None:
        """Forget every subscriber: the cluster around this store has stopped, and another may be made on it."""
        self._subscribers.clear()

    def subscribe(self, resource: str, handler: Handler) -> Callable[[], None]:
        """Call ``handler`` after each change of the resource from now on; returns a call that ends it."""
        handlers = self._subscribers.setdefault(resource, [])
        handlers.append(handler)

        def end() -> None:
            if handler in handlers:
                handlers.remove(handler)

        return end

    def since(self, resource: str, revision: int) -> list[Change]:
        """Every change of the resource after ``revision``, oldest first; :class:`Compacted` when not all are kept."""
        if revision < self._compacted:
            raise Compacted
        return [change for change in self._history if change.revision > revision and change.resource == resource]

    def compact(self) -> None:
        """Forget the history: watches that begin before now are answered with 410."""
        self._history.clear()
        self._compacted = self.revision

    # copies

    def beside(self) -> Beside:
        """What :meth:`carry_on` needs in a copy of this process, where the journal must not be touched."""
        return Beside(dict(self.side.items()), self._journal.snapshot(self.cluster_id))

    def carry_on(self, journal: Journal, beside: Beside) -> None:
        """Write to an empty journal from now on. It cannot be loaded from: it has not what is in memory already."""
        self._journal = journal
        self.side.carry_on(journal)
        for key, value in beside.side.items():
            self.side.put(key, value)
        if beside.snapshot is not None:
            journal.put_snapshot(self.cluster_id, beside.snapshot)

    # snapshots

    def _kept(self) -> dict[str, Any]:
        """All objects, and which of the shared ones were deleted."""
        objects = [
            [resource, obj]
            for resource, found in self._objects.items()
            for key, obj in found.items()
            if not self._is_seed(resource, key)
        ]
        gone = [
            [resource, *key]
            for resource, found in self._seeds.items()
            for key in found
            if key not in self._objects.get(resource, {})
        ]
        return {"objects": objects, "gone": gone}

    def snapshot(self) -> None:
        """Keep the present state of all objects and of the side space; :meth:`restore` goes back to it."""
        kept = {**self._kept(), "side": dict(self.side.items())}
        self._journal.put_snapshot(self.cluster_id, dumps(kept))

    def backup(self, name: str) -> None:
        """Keep the objects alone under a name, as a snapshot of etcd does: not what is on nodes."""
        self.side.put(_BACKUPS + name, self._kept())

    def backups(self) -> list[str]:
        """The names of those that are kept."""
        return [key.removeprefix(_BACKUPS) for key, _ in self.side.items(_BACKUPS)]

    def restore_backup(self, name: str) -> bool:
        """The objects as they were then, all or nothing; False when there is no such backup.

        Subscribers see changes and deletions, with new revisions; components may go on: what they know follows.
        """
        kept = self.side.get(_BACKUPS + name)
        if kept is not None:
            self._go_back(kept)
        return kept is not None

    def restore(self) -> bool:
        """Back to the snapshot, all or nothing; False when none was kept. Subscribers see changes and deletions.

        Every restored object gets a new revision, so that watches and caches notice. Components must be stopped.
        """
        body = self._journal.snapshot(self.cluster_id)
        if body is None:
            return False
        self._go_back(json.loads(body))
        return True

    def _go_back(self, kept: dict[str, Any]) -> None:
        before = (self.revision, self._objects, self._sizes, self._size)
        self._objects, self._sizes, self._size = {}, {}, 0
        try:
            with self._journal.transaction():
                self._rewrite(before[1], kept)
        except StoreError:
            self.revision, self._objects, self._sizes, self._size = before
            raise
        self.compact()
        for resource, found in before[1].items():
            for key, old in found.items():
                if key not in self._objects.get(resource, {}):
                    self._tell(resource, Event("DELETED", old, old))
        for resource, found in self._objects.items():
            for key, obj in found.items():
                previous = before[1].get(resource, {}).get(key)
                self._tell(resource, Event("MODIFIED" if previous else "ADDED", obj, previous))

    def _rewrite(self, before: dict[str, dict[Key, Obj]], kept: dict[str, Any]) -> None:
        for resource, found in before.items():
            for key in [key for key in found if found[key] is not self._seeds.get(resource, {}).get(key)]:
                self._journal.put(self.cluster_id, resource, *key, self.revision + 1, None)
        for resource, obj in kept["objects"]:
            self.revision += 1
            obj["metadata"]["resourceVersion"] = str(self.revision)
            text = dumps(obj)
            meta = obj["metadata"]
            key = (meta.get("namespace", ""), meta["name"])
            self._journal.put(self.cluster_id, resource, *key, self.revision, text)
            self._remember(resource, obj, len(text))
        gone = {(resource, namespace, name) for resource, namespace, name in kept.get("gone", ())}
        for resource, shared in self._seeds.items():
            for key, obj in shared.items():
                if (resource, *key) not in gone:
                    self._objects.setdefault(resource, {}).setdefault(key, obj)
        self.revision += 1
        if "side" not in kept:
            return
        for name in [name for name, _ in self.side.items()]:
            self.side.delete(name)
        for name, value in kept["side"].items():
            self.side.put(name, value)


__all__ = ["Beside", "Change", "Compacted", "Full", "Journal", "Limits", "Side", "Store"]
