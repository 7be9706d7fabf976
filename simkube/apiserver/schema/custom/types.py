"""From a definition's schema to the :class:`~simkube.apiserver.schema.schema.Type` that patches, apply and ownership
read.

After ``apiextensions-apiserver/pkg/controller/openapi/builder`` and the deduced types of structured-merge-diff: what no
schema describes is a map field by field, and one thing as soon as it is none.
"""

from __future__ import annotations

from typing import Any

from simkube.apiserver.schema.custom.pruning import EMBEDDED, PRESERVE
from simkube.apiserver.schema.schema import ANY, DEDUCED, Field, Type, definitions
from simkube.client.client import Obj

OBJECT_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
_SCALARS = {"string": "string", "integer": "int64", "number": "float64", "boolean": "bool"}


def object_meta() -> Type:
    """The type of every object's metadata."""
    found = definitions().named(OBJECT_META)
    return ANY if found is None else found


def type_of(schema: Obj, name: str = "", *, resource: bool = False) -> Type:
    """The type of what a schema describes; ``resource`` when it is a whole object."""
    if schema.get("x-kubernetes-int-or-string"):
        return Type("int-or-string", "intstr.IntOrString")
    kind = schema.get("type")
    if kind == "object":
        return _object(schema, name, resource or bool(schema.get(EMBEDDED)))
    if kind == "array":
        return _list(schema)
    if kind in _SCALARS:
        return Type(kind, _SCALARS[kind])
    return DEDUCED


def _object(schema: Obj, name: str, resource: bool) -> Type:
    properties, additional = schema.get("properties") or {}, schema.get("additionalProperties")
    if not properties and not resource and additional is None and schema.get(PRESERVE):
        return _atomic(schema) or DEDUCED
    if not properties and not resource and additional is not None:
        made = Type("map", "map[string]interface {}")
        made.element = type_of(additional) if isinstance(additional, dict) else DEDUCED
    else:
        made = Type("struct", name or "object", name)
        made.fields = {key: Field(type_of(below)) for key, below in properties.items()}
        made.element = DEDUCED if schema.get(PRESERVE) or additional is True else None
        for key in schema.get("required") or ():
            if key in made.fields:
                made.fields[key].required = True
        if resource:
            made.fields |= {key: Field(Type("string", "string")) for key in ("apiVersion", "kind")}
            made.fields["metadata"] = Field(object_meta())
            made.fields["metadata"].present = "struct"
    made.atomic = schema.get("x-kubernetes-map-type") == "atomic"
    return made


def _atomic(schema: Obj) -> Type | None:
    if schema.get("x-kubernetes-map-type") != "atomic":
        return None
    made = Type("map", "map[string]interface {}")
    made.element, made.atomic = DEDUCED, True
    return made


def _list(schema: Obj) -> Type:
    items: Any = schema.get("items")
    made = Type("list", "[]interface {}")
    made.element = type_of(items) if isinstance(items, dict) else DEDUCED
    kind = schema.get("x-kubernetes-list-type")
    made.atomic = kind not in ("map", "set")
    if kind == "map" and isinstance(items, dict):
        made.keys = tuple(schema.get("x-kubernetes-list-map-keys") or ())
        known = items.get("properties") or {}
        made.key_defaults = {
            key: known[key]["default"] for key in made.keys if known.get(key, {}).get("default") is not None
        }
    return made
