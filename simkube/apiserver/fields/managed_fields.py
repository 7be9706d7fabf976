"""Who set which field: ``metadata.managedFields`` of every object, kept on every write.

:func:`update` is for creates, updates and patches other than apply: who changes a field owns it from then on, and
nobody else does. Server-side apply (:mod:`simkube.apiserver.fields.apply`) uses the same parts. The rules are those of
``k8s.io/apimachinery/pkg/util/managedfields``.

It must be given what the writer wrote, after defaults and before anything that the server does on its own account
(admission, allocation, resetting status), or the server's doing is taken for the writer's.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from simkube.apiserver.fields.fieldset import FieldSet, difference, leaf, union, valid, without
from simkube.apiserver.fields.sharing import shared
from simkube.apiserver.fields.typed import Comparison, compare
from simkube.apiserver.registry.customresources.kind import CustomKind
from simkube.apiserver.registry.kinds import by_kind
from simkube.apiserver.schema.schema import ANY, GVK, Type, definitions

Obj = dict[str, Any]

UNTRACKED = "before-first-apply"
"""The manager of what an object held before anybody was tracked."""

MOST_UPDATERS = 10
"""More managers with operation Update than this share one entry, ``ancient-changes``."""

ANCIENT = "ancient-changes"

_LEAF = leaf()
_STRIPPED_META = (
    *("name", "namespace", "uid", "generation", "creationTimestamp", "resourceVersion"),
    *("managedFields", "selfLink", "clusterName"),
)
_STRIPPED: FieldSet = {
    "f:apiVersion": _LEAF,
    "f:kind": _LEAF,
    "f:metadata": {".": _LEAF, **{f"f:{name}": _LEAF for name in _STRIPPED_META}},
}

STATUS_RESETS: dict[tuple[str, str], FieldSet] = {
    ("apps", "Deployment"): {"f:metadata": {"f:labels": _LEAF}},
    ("", "Pod"): {"f:metadata": {"f:deletionTimestamp": _LEAF, "f:ownerReferences": _LEAF}},
}
"""What writing the status subresource does not change, beside ``spec``: nobody comes to own it there."""


class Identity(NamedTuple):
    """What tells managers apart. Of an applier the version does not count: "" here."""

    manager: str
    operation: str
    version: str
    subresource: str


class Entry(NamedTuple):
    """One manager's fields. ``time`` is "" when its fields never changed the object."""

    fields: FieldSet
    version: str
    time: str


Managers = dict[Identity, Entry]


def update(
    old: Obj | None,
    new: Obj,
    gvk: GVK,
    manager: str,
    operation: str = "Update",
    subresource: str = "",
    time: str = "",
    custom: CustomKind | None = None,
) -> Obj:
    """``new`` with its ``managedFields`` brought up to date for a write by ``manager``.

    ``old`` is the stored object, None for a create. ``new`` is not changed; what is returned shares everything but
    ``metadata`` with it, and its ``managedFields`` list is that of ``old`` when nobody's fields changed. Entries sent
    by the client count (unless for a subresource), as in the real server; ``[{}]`` makes it forget all of them.
    """
    managers, given = _starting_point(old, new, subresource)
    if not managers and old is not None and old.get("metadata", {}).get("uid"):
        return _with_entries(new, [])
    known = (definitions().of(gvk) or ANY) if custom is None else custom.type
    changes = changed(old or {}, new, known, ignored(gvk, subresource, custom))
    if not changes.same:
        before = dict(managers)
        disown(managers, changes)
        identity = Identity(manager, operation, version_of(gvk), subresource)
        take(managers, identity, changes, time)
        if managers != before:
            return _with_entries(new, encode(cap(managers)))
    return _with_entries(new, given)


def _starting_point(old: Obj | None, new: Obj, subresource: str) -> tuple[Managers, list[Obj]]:
    """The managers before the write, and the entries they were read from."""
    live = (old or {}).get("metadata", {}).get("managedFields") or []
    sent = (new.get("metadata") or {}).get("managedFields")
    if not subresource and sent is not None and sent != live:
        if sent in ([], [{}]):
            return {}, []
        managers = decode(sent)
        if managers:
            return managers, sent
    return decode(live, trusted=True) or {}, live


def _with_entries(obj: Obj, entries: list[Obj]) -> Obj:
    meta = obj.get("metadata") or {}
    if meta.get("managedFields", []) is entries:
        return obj
    kept = {key: value for key, value in meta.items() if key != "managedFields"}
    if entries:
        kept["managedFields"] = entries
    return {**obj, "metadata": kept}


def changed(old: Obj, new: Obj, type: Type, ignore: FieldSet) -> Comparison:
    """How the objects differ, leaving out what nobody owns: identity, versions, and what this endpoint does not
    write."""
    result = compare(_trimmed(old), _trimmed(new), type)
    for side in ("removed", "modified", "added"):
        found = getattr(result, side)
        if found:
            setattr(result, side, difference(without(found, ignore), _STRIPPED))
    return result


def _trimmed(obj: Obj) -> Obj:
    meta = obj.get("metadata")
    if not isinstance(meta, dict) or "managedFields" not in meta:
        return obj
    return {**obj, "metadata": {key: value for key, value in meta.items() if key != "managedFields"}}


def stripped(fields: FieldSet, ignore: FieldSet) -> FieldSet:
    """The fields without those that nobody owns."""
    return difference(without(fields, ignore), _STRIPPED)


def ignored(gvk: GVK, subresource: str, custom: CustomKind | None = None) -> FieldSet:
    """What a write to this endpoint cannot change: ``status`` for the object itself, ``spec`` for its status."""
    if custom is not None:
        return _ignored_of(custom, subresource)
    resource = by_kind(version_of(gvk), gvk[2])
    if resource is None or resource.subresource("status") is None:
        return {}
    if subresource == "status":
        return {"f:spec": _LEAF, **STATUS_RESETS.get((gvk[0], gvk[2]), {})}
    return {"f:status": _LEAF}


def _ignored_of(custom: CustomKind, subresource: str) -> FieldSet:
    if subresource == "status":
        return {**{f"f:{name}": _LEAF for name in custom.type.fields if name not in ("status", "apiVersion", "kind")}}
    return {"f:status": _LEAF} if custom.has_status else {}


def version_of(gvk: GVK) -> str:
    """``apps/v1``: the group and version as in ``apiVersion``."""
    return f"{gvk[0]}/{gvk[1]}" if gvk[0] else gvk[1]


def disown(managers: Managers, changes: Comparison) -> None:
    """Nobody owns any longer what changed, appeared or went."""
    touched = union(union(changes.modified, changes.added), changes.removed)
    for identity, entry in list(managers.items()):
        left = difference(entry.fields, touched)
        if not left:
            del managers[identity]
        elif left is not entry.fields:
            managers[identity] = entry._replace(fields=left)


def take(managers: Managers, identity: Identity, changes: Comparison, time: str) -> None:
    """The writer owns what changed or appeared; its time is that of the last such write."""
    gained = union(changes.modified, changes.added)
    if gained:
        before = managers.get(identity)
        fields = union(before.fields, gained) if before else gained
        managers[identity] = Entry(fields, identity.version, time)


def cap(managers: Managers) -> Managers:
    """At most :data:`MOST_UPDATERS` entries with operation Update: the oldest are folded into one per version."""
    updaters = [identity for identity in managers if identity.operation == "Update" and not identity.subresource]
    if len(updaters) <= MOST_UPDATERS:
        return managers
    updaters.sort(key=lambda one: (managers[one].time, one))
    result = dict(managers)
    while len(updaters) > MOST_UPDATERS:
        oldest = updaters.pop(0)
        bucket = Identity(ANCIENT, "Update", oldest.version, "")
        if oldest == bucket:
            updaters.append(bucket)
            oldest = updaters.pop(0)
        entry = result.pop(oldest)
        into = result.get(bucket)
        fields = union(into.fields, entry.fields) if into else entry.fields
        result[bucket] = Entry(fields, entry.version, max(entry.time, into.time if into else ""))
        if into is None:
            updaters.append(bucket)
    return result


def decode(entries: Any, trusted: bool = False) -> Managers | None:
    """Managers from ``managedFields``; None when the entries are not of the form that the server writes.

    ``trusted`` entries are stored ones: whatever was stored has been looked at before.
    """
    managers: Managers = {}
    if not isinstance(entries, list):
        return None
    for entry in entries:
        if not isinstance(entry, dict) or entry.get("operation") not in ("Apply", "Update"):
            return None
        fields = entry.get("fieldsV1", {})
        if not trusted and not valid(fields):
            return None
        version = str(entry.get("apiVersion", ""))
        applies = entry["operation"] == "Apply"
        identity = Identity(
            str(entry.get("manager", "")),
            entry["operation"],
            "" if applies else version,
            str(entry.get("subresource", "")),
        )
        managers[identity] = Entry(fields, version, str(entry.get("time") or ""))
    return managers


def encode(managers: Managers) -> list[Obj]:
    """``managedFields`` from managers: appliers first, then by time and name."""
    order = sorted(
        managers, key=lambda one: (one.operation, managers[one].time, one.manager, one.version, one.subresource)
    )
    return [_encode(identity, managers[identity]) for identity in order]


def _encode(identity: Identity, entry: Entry) -> Obj:
    encoded: Obj = {"manager": identity.manager, "operation": identity.operation, "apiVersion": entry.version}
    if entry.time:
        encoded["time"] = entry.time
    encoded |= {"fieldsType": "FieldsV1", "fieldsV1": shared(entry.fields)}
    if identity.subresource:
        encoded["subresource"] = identity.subresource
    return encoded


def only_times_differ(old: Obj, new: Obj) -> bool:
    """Whether a write would change nothing but times in ``managedFields``; the real server takes it for none."""
    before, after = old["metadata"], new["metadata"]
    entries, others = before.get("managedFields") or [], after.get("managedFields") or []
    if len(entries) != len(others) or before.keys() != after.keys() or old.keys() != new.keys():
        return False
    for one, other in zip(entries, others, strict=True):
        if {**one, "time": ""} != {**other, "time": ""}:
            return False
    if any(before[key] != after[key] for key in before if key != "managedFields"):
        return False
    return all(old[key] == new[key] for key in old if key != "metadata")
