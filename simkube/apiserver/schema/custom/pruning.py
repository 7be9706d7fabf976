"""What a schema does to an object before it is validated: unknown fields go, defaults come.

After ``apiextensions-apiserver/pkg/apiserver/schema/{pruning,defaulting}``. Objects are never changed; results share
what did not change. It refuses to judge values, and (501) to fill in more than an object may cost.
"""

from __future__ import annotations

from typing import Any

from simkube.apiserver.schema.custom.effort import Effort
from simkube.client.client import Obj, copy_of

ROOT = frozenset({"apiVersion", "kind", "metadata"})
PRESERVE = "x-kubernetes-preserve-unknown-fields"
EMBEDDED = "x-kubernetes-embedded-resource"

_NOTHING: Obj = {}
"""Below ``additionalProperties: true``: whatever is there stays, and objects are empty, as on a real server."""


def prune(obj: Obj, schema: Obj, unknown: list[str]) -> Obj:
    """The object without what its schema does not know; the paths of that are added to ``unknown``."""
    pruned: Obj = _prune(obj, schema, "", unknown, resource=True)
    return pruned


def _prune(value: Any, schema: Obj, path: str, unknown: list[str], *, resource: bool = False) -> Any:
    if isinstance(value, dict):
        return _prune_map(value, schema, path, unknown, resource or bool(schema.get(EMBEDDED)))
    if isinstance(value, list):
        items = schema.get("items")
        if not isinstance(items, dict):
            if schema is not _NOTHING:
                return value
            items = _NOTHING
        made = [_prune(item, items, f"{path}[{index}]", unknown) for index, item in enumerate(value)]
        return value if all(one is other for one, other in zip(made, value, strict=True)) else made
    return value


def _prune_map(value: Obj, schema: Obj, path: str, unknown: list[str], resource: bool) -> Obj:
    properties, additional = schema.get("properties") or {}, schema.get("additionalProperties")
    changed: Obj | None = None
    for key, item in value.items():
        if resource and key in ROOT:
            continue
        where = f"{path}.{key}" if path else key
        below = properties.get(key, additional)
        if isinstance(below, bool):
            below = _NOTHING
        if isinstance(below, dict):
            kept = _prune(item, below, where, unknown)
        elif schema.get(PRESERVE):
            continue
        else:
            unknown.append(where)
            changed = dict(value) if changed is None else changed
            del changed[key]
            continue
        if kept is not item:
            changed = dict(value) if changed is None else changed
            changed[key] = kept
    return value if changed is None else changed


def default(value: Any, schema: Obj) -> Any:
    """The value with its defaults filled in, and without nulls where its schema allows none."""
    return _Defaults().of(value, schema)


class _Defaults:
    def __init__(self) -> None:
        self._effort = Effort()

    def of(self, value: Any, schema: Obj) -> Any:
        if isinstance(value, dict):
            return self._map(value, schema)
        items = schema.get("items")
        if isinstance(value, list) and isinstance(items, dict):
            made = [self.of(self._instead_of_null(item, items), items) for item in value]
            return value if all(one is other for one, other in zip(made, value, strict=True)) else made
        return value

    def _map(self, value: Obj, schema: Obj) -> Obj:
        properties, additional = schema.get("properties") or {}, schema.get("additionalProperties")
        self._effort.spend(1 + len(properties) // 16)
        changed: Obj | None = None
        for key, item in value.items():
            below = properties.get(key, additional)
            if not isinstance(below, dict):
                continue
            made = self._instead_of_null(item, below)
            if made is None and not below.get("nullable") and not below.get(PRESERVE):
                changed = dict(value) if changed is None else changed
                del changed[key]
                continue
            made = self.of(made, below)
            if made is not item:
                changed = dict(value) if changed is None else changed
                changed[key] = made
        for key, below in properties.items():
            if key not in value and below.get("default") is not None:
                changed = dict(value) if changed is None else changed
                changed[key] = self.of(self._copied(below["default"]), below)
        return value if changed is None else changed

    def _instead_of_null(self, item: Any, schema: Obj) -> Any:
        if item is None and not schema.get("nullable") and schema.get("default") is not None:
            return self._copied(schema["default"])
        return item

    def _copied(self, value: Any) -> Any:
        self._effort.spend(_values(value))
        return copy(value)


def _values(value: Any) -> int:
    """How many there are in it, itself included."""
    if isinstance(value, dict):
        return 1 + sum(map(_values, value.values()))
    return 1 + sum(map(_values, value)) if isinstance(value, list) else 1


def copy(value: Any) -> Any:
    """A copy that shares nothing."""
    return copy_of({"": value})[""]
