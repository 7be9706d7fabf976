"""The OpenAPI schemas of custom kinds, as clients find them beside the built-in ones.

After ``apiextensions-apiserver/pkg/controller/openapi``: version 3 has the definition's schema as it is, version 2
only what it can say. They are made when somebody asks, of clusters that have such kinds.
"""

from __future__ import annotations

from typing import Any

from simkube.apiserver.registry.customresources.kind import CustomKind
from simkube.apiserver.schema.custom.pruning import EMBEDDED, PRESERVE
from simkube.client.client import Obj

META = "io.k8s.apimachinery.pkg.apis.meta.v1."
_TEXTS = {
    "apiVersion": (
        "APIVersion defines the versioned schema of this representation of an object. Servers should convert "
        "recognized schemas to the latest internal value, and may reject unrecognized values. More info: "
        "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#resources"
    ),
    "kind": (
        "Kind is a string value representing the REST resource this object represents. Servers may infer this from the "
        "endpoint the client submits requests to. Cannot be updated. In CamelCase. More info: "
        "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds"
    ),
    "metadata": (
        "Standard object's metadata. More info: "
        "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata"
    ),
}
_ONLY_V3 = frozenset({"oneOf", "anyOf", "allOf", "not", "nullable", "default", "x-kubernetes-validations"})


def name_of(custom: CustomKind) -> str:
    """The definition's name: ``org.example.rec.v1.Boat``."""
    group = ".".join(reversed(custom.group.split(".")))
    return f"{group}.{custom.version_name}.{custom.kind}"


def list_name_of(custom: CustomKind) -> str:
    """The name of the definition of its lists."""
    return name_of(custom).removesuffix(custom.kind) + custom.list_kind


def schemas(custom: CustomKind, references: str, version: int) -> Obj:
    """The kind and its list, by the names of their definitions; ``references`` is where other definitions are."""
    group, api_version, kind = custom.gvk
    gvk = {"group": group, "version": api_version, "kind": kind}
    made = {**_whole(custom.schema, references, version), "x-kubernetes-group-version-kind": [gvk]}
    items = {
        "description": f"List of {custom.plural}. More info: "
        "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md",
        "type": "array",
        "items": {"$ref": references + name_of(custom)},
    }
    whole = {
        "description": f"{custom.list_kind} is a list of {kind}",
        "type": "object",
        "required": ["items"],
        "properties": {**_head(f"{META}ListMeta", references, version), "items": items},
        "x-kubernetes-group-version-kind": [{**gvk, "kind": custom.list_kind}],
    }
    return {name_of(custom): made, list_name_of(custom): whole}


def _whole(schema: Obj, references: str, version: int) -> Obj:
    """The schema of whole objects. Of those that keep whatever they are given version 2 says nothing."""
    if version == 2 and schema.get(PRESERVE):
        return {"type": "object"}
    body: Obj = _schema(schema, references, version)
    head = _head(f"{META}ObjectMeta", references, version)
    named = body.get("properties", {}).get("metadata", {})
    if "description" in named:
        head["metadata"]["description"] = named["description"]
    return {**body, "properties": {**body.get("properties", {}), **head}}


def _head(metadata: str, references: str, version: int) -> Obj:
    reference: Obj = {"$ref": references + metadata}
    inner: Obj = {"allOf": [reference]} if version == 3 else reference
    return {
        "apiVersion": {"description": _TEXTS["apiVersion"], "type": "string"},
        "kind": {"description": _TEXTS["kind"], "type": "string"},
        "metadata": {"description": _TEXTS["metadata"], **inner},
    }


def _schema(schema: Any, references: str, version: int) -> Any:
    if not isinstance(schema, dict):
        return schema
    made: Obj = {}
    for key, value in schema.items():
        if version == 2 and key in _ONLY_V3:
            continue
        if key == "properties":
            made[key] = {name: _schema(below, references, version) for name, below in value.items()}
        elif key in ("items", "additionalProperties", "not"):
            made[key] = _schema(value, references, version)
        elif key in ("oneOf", "anyOf", "allOf"):
            made[key] = [_schema(below, references, version) for below in value]
        else:
            made[key] = value
    if version == 2 and (schema.get("nullable") or schema.get(PRESERVE)):
        for key in ("properties", "items"):  # version 2 cannot say: null too, or anything beside
            made.pop(key, None)
        if schema.get("nullable"):
            made.pop("type", None)
    if schema.get(EMBEDDED):
        head = _head(f"{META}ObjectMeta", references, version)
        made["properties"] = {**made.get("properties", {}), **head}
    return made
