"""Lists that are sets or maps, and maps that are one thing (``x-kubernetes-list-type``, ``x-kubernetes-map-type``).

After ``ValidateCustomResourceDefinitionOpenAPISchema`` and ``validateMapListKeysMapSet``.
"""

from __future__ import annotations

from typing import Any

from simkube.apiserver.validation.field import Errors
from simkube.client.client import Obj

_LIST, _MAP, _KEYS = "x-kubernetes-list-type", "x-kubernetes-map-type", "x-kubernetes-list-map-keys"
_ATOMIC = "must be atomic as item of a list with x-kubernetes-list-type=set"


def must_be(kind: str, schema: Obj, path: str, extension: str, errors: Errors) -> None:
    """An extension is for one type."""
    given, detail = schema.get("type", ""), f"must be {kind} if {extension} is specified"
    if not given:
        errors.required(f"{path}.type", detail)
    elif given != kind:
        errors.invalid(f"{path}.type", given, detail)


def list_type(schema: Obj, path: str, errors: Errors) -> None:
    """Note what is wrong with how elements of a list are told apart."""
    kind, keys = schema.get(_LIST), schema.get(_KEYS) or []
    if kind is not None:
        must_be("array", schema, path, _LIST, errors)
    items = schema.get("items")
    if kind == "set" and schema.get("type") == "array" and isinstance(items, dict):
        if items.get("type") == "array" and items.get(_LIST) not in (None, "atomic"):
            errors.invalid(f"{path}.items.{_LIST}", items[_LIST], _ATOMIC)
        elif items.get("type") == "object" and items.get(_MAP) != "atomic":
            errors.invalid(f"{path}.items.{_MAP}", items.get(_LIST), _ATOMIC)  # the server shows the other one, too
    if kind not in (None, "atomic", "set", "map"):
        errors.not_supported(f"{path}.{_LIST}", kind, ("atomic", "set", "map"))
    if keys and kind is None:
        errors.required(f"{path}.{_LIST}", f"must be map if {_KEYS} is non-empty")
    elif keys and kind != "map":
        errors.invalid(f"{path}.{_LIST}", kind, f"must be map if {_KEYS} is non-empty")
    if kind == "map":
        _map(items, keys, path, errors)
    if kind in ("set", "map") and isinstance(items, dict) and items.get("nullable"):
        errors.forbidden(f"{path}.items.nullable", f"cannot be nullable when {_LIST} is {kind}")
    if kind == "map" and isinstance(items, dict):
        _keys_there(items, keys, path, errors)


def _map(items: Any, keys: list[str], path: str, errors: Errors) -> None:
    if not keys:
        errors.required(f"{path}.{_KEYS}", f"must not be empty if {_LIST} is map")
    if items is None:
        errors.required(f"{path}.items", f"must have a schema if {_LIST} is map")
    elif not isinstance(items, dict):
        errors.invalid(f"{path}.items", items, f"must only have a single schema if {_LIST} is map")
    elif items.get("type") != "object":
        detail = f"must be object if parent array's {_LIST} is map"
        errors.invalid(f"{path}.items.type", items.get("type", ""), detail)
    else:
        for at, key in enumerate(keys):
            known = (items.get("properties") or {}).get(key)
            if not isinstance(known, dict):
                errors.invalid(f"{path}.{_KEYS}", keys, "entries must all be names of item properties")
            elif known.get("type") in ("array", "object"):
                detail = f"must be a scalar type if parent array's {_LIST} is map"
                errors.invalid(f"{path}.items.properties[{key}].type", items["type"], detail)
            if key in keys[:at]:
                errors.invalid(f"{path}.{_KEYS}", keys, "must not contain duplicate entries")


def _keys_there(items: Obj, keys: list[str], path: str, errors: Errors) -> None:
    for key in keys:
        known = (items.get("properties") or {}).get(key)
        where, why = f"{path}.items.properties[{key}]", f"this property is in {_KEYS}, so it"
        if not isinstance(known, dict):
            continue
        if key not in (items.get("required") or ()) and known.get("default") is None:
            errors.required(f"{where}.default", f"{why} must have a default or be a required property")
        if known.get("nullable"):
            errors.forbidden(f"{where}.nullable", f"{why} cannot be nullable")
