"""Server-side apply: lay what a manager wants over an object, and keep account of who wants what.

A manager owns what it applies. What it applied before and leaves out now goes, unless somebody else owns it too. What
somebody else owns with another value is a conflict, unless it is forced. The rules are those of
``sigs.k8s.io/structured-merge-diff/merge`` and ``k8s.io/apimachinery/pkg/util/managedfields``.

The result still has to go through defaulting, admission and validation. It refuses what the schema does not know.
"""

from __future__ import annotations

import json
from typing import Any

from simkube.apimachinery.errors import StatusError, bad_request
from simkube.apiserver.fields.fieldset import FieldSet, difference, intersection, paths, union
from simkube.apiserver.fields.managed_fields import (
    UNTRACKED,
    Entry,
    Identity,
    Managers,
    cap,
    changed,
    decode,
    disown,
    encode,
    ignored,
    stripped,
    take,
    version_of,
)
from simkube.apiserver.fields.typed import field_set, merge, named_fields, remove
from simkube.apiserver.fields.typed_problems import TypedError, validate
from simkube.apiserver.registry.customresources.kind import CustomKind
from simkube.apiserver.schema import strict
from simkube.apiserver.schema.golang import quote
from simkube.apiserver.schema.schema import ANY, GVK, Type, definitions

Obj = dict[str, Any]
Conflicts = dict[Identity, FieldSet]

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
KUBECTL = "kubectl"
"""The manager that may take over what kubectl applied on the client's side, and keeps that annotation up to date."""


class _ConflictError(Exception):
    def __init__(self, conflicts: Conflicts) -> None:
        super().__init__("conflict")
        self.conflicts = conflicts


def server_side_apply(
    live: Obj | None,
    applied: Obj,
    gvk: GVK,
    manager: str,
    force: bool = False,
    subresource: str = "",
    time: str = "",
    custom: CustomKind | None = None,
) -> Obj:
    """The object after ``manager`` applied ``applied``, with its ``managedFields``; ``live`` None when there is none.

    Neither object is changed. ``time`` is now, as Kubernetes writes it. When nothing changes, the result equals
    ``live``. StatusError: 400 for a body that is not an object of the kind or has managedFields, 409 for conflicts
    with each as a cause, 422 without manager, 500 for what does not fit the schema (so does the real server).
    """
    _refuse_body(applied, gvk, manager)
    known = (definitions().of(gvk) or ANY) if custom is None else custom.type
    try:
        validate(applied, known)
    except TypedError as error:
        raise StatusError(500, "", f"failed to create typed patch object ({_named(applied, gvk)}): {error}") from None
    identity = Identity(manager, "Apply", "", subresource)
    step = _Apply(live or {}, applied, gvk, known, identity, time, ignored(gvk, subresource, custom))
    try:
        return step.run(force)
    except _ConflictError as error:
        return step.with_last_applied(error.conflicts)


def _refuse_body(applied: Obj, gvk: GVK, manager: str) -> None:
    if not manager:
        message = "Required value: is required for apply patch"
        cause = {"reason": "FieldValueRequired", "message": message, "field": "fieldManager"}
        details = {"group": "meta.k8s.io", "kind": "PatchOptions", "causes": [cause]}
        raise StatusError(422, "Invalid", f'PatchOptions.meta.k8s.io "" is invalid: fieldManager: {message}', details)
    version, kind = str(applied.get("apiVersion") or ""), str(applied.get("kind") or "")
    if (version, kind) != (version_of(gvk), gvk[2]):
        group, _, number = version.rpartition("/")
        raise bad_request(f"invalid object type: {group}/{number}, Kind={kind}")
    meta = applied.get("metadata")
    if isinstance(meta, dict) and meta.get("managedFields") is not None:
        raise bad_request("metadata.managedFields must be nil")


def _named(obj: Obj, gvk: GVK) -> str:
    meta = obj.get("metadata")
    meta = meta if isinstance(meta, dict) else {}
    group = f"{gvk[0]}/{gvk[1]}" if gvk[0] else f"/{gvk[1]}"
    return f"{meta.get('namespace', '')}/{meta.get('name', '')}; {group}, Kind={gvk[2]}"


class _Apply:
    """One apply, which may be run a second time with force."""

    def __init__(
        self, live: Obj, applied: Obj, gvk: GVK, type: Type, identity: Identity, time: str, ignore: FieldSet
    ) -> None:
        self._live = _without_managed_fields(live)
        self._entries = (live.get("metadata") or {}).get("managedFields") or []
        self._applied = applied
        self._gvk = gvk
        self._type = type
        self._identity = identity
        self._time = time
        self._ignored = ignore

    def run(self, force: bool) -> Obj:
        managers = self._managers()
        last = managers.pop(self._identity, None)
        asked = field_set(self._applied, self._type)
        wanted = stripped(asked, self._ignored)
        merged: Obj = merge(self._live, self._applied, self._type)
        merged = _dropped_nulls(self._prune(merged, managers, asked, last.fields if last else {}))
        changes = changed(self._live, merged, self._type, self._ignored)
        others = dict(managers)
        conflicts = _conflicts(others, union(changes.modified, changes.added))
        if conflicts and not force:
            raise _ConflictError(conflicts)
        disown(others, changes)
        if wanted:
            before = last.time if last else ""
            others[self._identity] = Entry(wanted, version_of(self._gvk), before if changes.same else self._time)
        return self._finished(self._live if changes.same else merged, others)

    def _managers(self) -> Managers:
        """Who manages the live object; what nobody was ever tracked for belongs to ``before-first-apply``."""
        managers = decode(self._entries, trusted=True) or {}
        if not managers and self._live:
            identity = Identity(UNTRACKED, "Update", version_of(self._gvk), "")
            take(managers, identity, changed({}, self._live, self._type, self._ignored), self._time)
        return managers

    def _prune(self, merged: Obj, managers: Managers, asked: FieldSet, last: FieldSet) -> Obj:
        """``merged`` without what the manager applied last time and nobody wants any longer."""
        if not last:
            return merged
        known = self._type
        owned = asked
        for entry in managers.values():
            owned = union(owned, entry.fields)
        last_named = named_fields(last, known)
        pruned = remove(merged, last_named, known) or {}
        present = named_fields(field_set(merged, known), known)
        kept = union(named_fields(field_set(pruned, known), known), named_fields(owned, known))
        pruned = remove(merged, difference(present, kept), known) or {}
        gone = difference(present, named_fields(field_set(pruned, known), known))
        result: Obj = remove(merged, intersection(gone, last_named), known) or {}
        return result

    def _finished(self, obj: Obj, managers: Managers) -> Obj:
        if self._identity.manager == KUBECTL and _last_applied(self._live):
            obj = _annotated(obj, self._applied)
        entries = encode(cap(managers))
        if entries == self._entries:
            entries = self._entries
        meta = {**(obj.get("metadata") or {})}
        if entries:
            meta["managedFields"] = entries
        return {**obj, "metadata": meta}

    def with_last_applied(self, conflicts: Conflicts) -> Obj:
        """Forced, when all that conflicts was applied by kubectl on the client's side before; else the refusal."""
        if self._identity.manager == KUBECTL:
            allowed = self._applied_before()
            conflicts = {one: left for one, fields in conflicts.items() if (left := difference(fields, allowed))}
            if not conflicts:
                return self.run(force=True)
        raise conflict_error(conflicts)

    def _applied_before(self) -> FieldSet:
        """Fields of the last client-side apply that nobody has changed since (``lastappliedmanager.go``)."""
        text = _last_applied(self._live)
        if not text:
            return {}
        try:
            before, _ = strict.parse_json(text)
            validate(before, self._type)
        except (ValueError, TypedError):
            return {}
        since = changed(before, self._live, self._type, self._ignored)
        return difference(field_set(before, self._type), union(union(since.modified, since.added), since.removed))


def _conflicts(managers: Managers, changes: FieldSet) -> Conflicts:
    if not changes:
        return {}
    found = {identity: intersection(entry.fields, changes) for identity, entry in managers.items()}
    return {identity: fields for identity, fields in found.items() if fields}


def _without_managed_fields(obj: Obj) -> Obj:
    meta = obj.get("metadata")
    if not isinstance(meta, dict) or "managedFields" not in meta:
        return obj
    return {**obj, "metadata": {key: value for key, value in meta.items() if key != "managedFields"}}


def _dropped_nulls(value: Any) -> Any:
    """The value without members that are null: what is left of a map when all its members went."""
    if isinstance(value, dict):
        kept = {key: _dropped_nulls(item) for key, item in value.items() if item is not None}
        same = len(kept) == len(value) and all(kept[key] is item for key, item in value.items())
        return value if same else kept
    if isinstance(value, list):
        items = [_dropped_nulls(item) for item in value]
        return value if all(one is other for one, other in zip(items, value, strict=True)) else items
    return value


def _last_applied(obj: Obj) -> str:
    annotations = (obj.get("metadata") or {}).get("annotations") or {}
    return str(annotations.get(LAST_APPLIED, ""))


def _annotated(obj: Obj, applied: Obj) -> Obj:
    """With the annotation that a later client-side apply compares with, as kubectl would have written it."""
    meta = obj.get("metadata") or {}
    annotations = {**(meta.get("annotations") or {}), LAST_APPLIED: json.dumps(applied, separators=(",", ":")) + "\n"}
    return {**obj, "metadata": {**meta, "annotations": annotations}}


def conflict_error(conflicts: Conflicts) -> StatusError:
    """409 with a cause for every field that somebody else owns."""
    found = [(identity, path) for identity, fields in conflicts.items() for path in paths(fields)]
    causes = [
        {"reason": "FieldManagerConflict", "message": f"conflict with {_manager(identity)}", "field": path}
        for identity, path in found
    ]
    if len(found) == 1:
        message = f"Apply failed with 1 conflict: conflict with {_manager(found[0][0])}: {found[0][1]}"
    else:
        lines = []
        for identity in sorted(conflicts):
            lines.append(f"conflicts with {_manager(identity)}:")
            lines.extend(f"- {path}" for path in paths(conflicts[identity]))
        message = f"Apply failed with {len(found)} conflicts: " + "\n".join(lines)
    return StatusError(409, "Conflict", message, {"causes": causes})


def _manager(identity: Identity) -> str:
    text = quote(identity.manager)
    if identity.subresource:
        text += f" with subresource {quote(identity.subresource)}"
    return f"{text} using {identity.version}" if identity.operation == "Update" else text
