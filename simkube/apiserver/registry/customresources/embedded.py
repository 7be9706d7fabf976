"""Whole objects inside custom objects (``x-kubernetes-embedded-resource``): their metadata, and what they must say.

After ``apiextensions-apiserver/pkg/apiserver/schema/objectmeta``.
"""

from __future__ import annotations

from typing import Any

from simkube.apiserver.schema import strict
from simkube.apiserver.schema.custom.pruning import EMBEDDED
from simkube.apiserver.schema.custom.types import object_meta
from simkube.apiserver.validation.field import Errors
from simkube.client.client import Obj


class BadMetadata(ValueError):
    """The metadata of an embedded object is none; the text says where and why."""


def decode_embedded(value: Any, schema: Obj, path: str, unknown: list[str]) -> Any:
    """The value with the metadata of each embedded object decoded as any object's: fields that it does not know go,
    and their paths into ``unknown``. What does not change is shared. BadMetadata.
    """
    if isinstance(value, list) and isinstance(schema.get("items"), dict):
        made = [decode_embedded(one, schema["items"], f"{path}[{at}]", unknown) for at, one in enumerate(value)]
        return value if all(one is other for one, other in zip(made, value, strict=True)) else made
    if not isinstance(value, dict):
        return value
    properties, additional = schema.get("properties") or {}, schema.get("additionalProperties")
    changes: Obj = {}
    for key, item in value.items():
        where, below = f"{path}.{key}" if path else key, properties.get(key, additional)
        if key == "metadata" and path and schema.get(EMBEDDED):
            kept = _metadata(item, where, unknown)
        else:
            kept = decode_embedded(item, below, where, unknown) if isinstance(below, dict) else item
        if kept is not item:
            changes[key] = kept
    return {**value, **changes} if changes else value


def _metadata(given: Any, path: str, unknown: list[str]) -> Any:
    if not isinstance(given, dict):
        raise BadMetadata(f"{path}: must be an object")
    checked = strict.check_type(given, object_meta())
    if checked.error:
        raise BadMetadata(f"{path}: {checked.error}")
    unknown += [f"{path}.{text.split(chr(34))[1]}" for text in checked.unknown]
    return checked.obj


def check_embedded(value: Any, schema: Obj, path: str, errors: Errors) -> None:
    """Note each embedded object without ``apiVersion`` or ``kind``."""
    if isinstance(value, dict):
        if schema.get(EMBEDDED):
            for name in ("apiVersion", "kind"):
                if not isinstance(value.get(name), str) or not value[name]:
                    errors.required(f"{path}.{name}", "must not be empty")
        properties, additional = schema.get("properties") or {}, schema.get("additionalProperties")
        for key, item in value.items():
            below = properties.get(key, additional)
            if isinstance(below, dict) and isinstance(item, (dict, list)):
                check_embedded(item, below, f"{path}.{key}" if path else key, errors)
    elif isinstance(value, list) and isinstance(schema.get("items"), dict):
        for index, item in enumerate(value):
            check_embedded(item, schema["items"], f"{path}[{index}]", errors)
