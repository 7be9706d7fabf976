"""The OpenAPI documents: what ``kubectl explain`` and clients that validate or generate code read.

Version 3 is one document a group and version, version 2 is one of everything. Both describe the kinds that are served
and no others. They are the same for every cluster of a process, are made when first asked for, and kept as bytes.

Schemas are those of ``kubernetes-validate``, which leaves out defaults and enumerations; the operations are made from
:mod:`simkube.apiserver.resources`. They name what clients look for (kind, action, parameters such as
``fieldValidation``).
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Iterable, Iterator
from typing import Any

from simkube.apiserver import openapi_paths, openapi_protobuf
from simkube.apiserver.discovery import VERSION
from simkube.apiserver.openapi_paths import META
from simkube.apiserver.resources import ALL, GROUPS
from simkube.apiserver.schema import raw_definitions

Document = dict[str, Any]

V3_REFS = "#/components/schemas/"
V2_REFS = "#/definitions/"
V2_PROTOBUF = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
"""The content type in which kubectl reads version 2. It asks for it with an ``@``, which no media type may have."""

_INFO = {"title": "Kubernetes", "version": VERSION}
_INT_OR_STRING = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
_QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
_SCALARS: dict[tuple[str, int], Document] = {
    (_INT_OR_STRING, 2): {"type": "string", "format": "int-or-string"},
    (_INT_OR_STRING, 3): {"format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}]},
    (_QUANTITY, 2): {"type": "string"},
    (_QUANTITY, 3): {"oneOf": [{"type": "string"}, {"type": "number"}]},
}


@functools.cache
def v3_index() -> bytes:
    """``/openapi/v3``: where the document of each group and version is; the address changes with its content."""
    paths = {}
    for path in _v3_paths():
        seed = f"{VERSION} {path} {sorted(ALL, key=repr)!r}"
        name = hashlib.sha512(seed.encode()).hexdigest().upper()
        paths[path] = {"serverRelativeURL": f"/openapi/v3/{path}?hash={name}"}
    return _encode({"paths": paths})


def _v3_paths() -> list[str]:
    groups = dict.fromkeys(group for group, _ in GROUPS)
    versions = [f"apis/{group}/{version}" for group, version in GROUPS]
    return sorted(["api", "api/v1", "apis", *(f"apis/{group}" for group in groups), *versions])


@functools.cache
def v3(path: str) -> bytes | None:
    """``/openapi/v3/PATH`` for ``api/v1``, ``apis/apps/v1``...; None when there is no such document."""
    if path not in _v3_paths():
        return None
    parts = path.split("/")
    if len(parts) == 3 or parts == ["api", "v1"]:
        group, version = (parts[1], parts[2]) if len(parts) == 3 else ("", "v1")
        paths = openapi_paths.paths(group, version, 3)
    else:
        paths = openapi_paths.group_path(parts[1] if len(parts) == 2 else "", parts[0], 3)
    schemas = _schemas(_references(paths), 3)
    return _encode({"openapi": "3.0.0", "info": _INFO, "paths": paths, "components": {"schemas": schemas}})


@functools.cache
def v2() -> bytes:
    """``/openapi/v2`` as JSON."""
    return _encode(_v2())


@functools.cache
def v2_protobuf() -> bytes:
    """``/openapi/v2`` as kubectl reads it."""
    return openapi_protobuf.document(_v2())


def wants_protobuf(accept: str) -> bool:
    """Whether an ``Accept`` header asks for version 2 in its binary form."""
    return any(choice.partition(";")[0].strip().replace("@", ".") == V2_PROTOBUF for choice in accept.split(","))


def _v2() -> Document:
    paths: Document = {**openapi_paths.group_path("", "api", 2), **openapi_paths.group_path("", "apis", 2)}
    paths |= openapi_paths.paths("", "v1", 2)
    for group in dict.fromkeys(group for group, _ in GROUPS):
        paths |= openapi_paths.group_path(group, "apis", 2)
    for group, version in GROUPS:
        paths |= openapi_paths.paths(group, version, 2)
    definitions = _schemas(_references(paths), 2)
    return {"swagger": "2.0", "info": _INFO, "paths": dict(sorted(paths.items())), "definitions": definitions}


def _encode(document: Document) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


def _references(value: Any) -> Iterator[str]:
    """The names of all definitions that a piece of a document refers to."""
    if isinstance(value, dict):
        target = value.get("$ref")
        if isinstance(target, str):
            yield target.rpartition("/")[2]
        for item in value.values():
            yield from _references(item)
    elif isinstance(value, list):
        for item in value:
            yield from _references(item)


def _schemas(wanted: Iterable[str], version: int) -> Document:
    """The definitions that are wanted, and those they are made of."""
    raw = raw_definitions()
    found: Document = {}
    waiting = set(wanted)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = _definition(name, raw[name], version)
            waiting.update(_references(found[name]))
    return dict(sorted(found.items()))


def _definition(name: str, raw: Document, version: int) -> Document:
    made = {"description": raw["description"]} if "description" in raw else {}
    if (name, version) in _SCALARS:
        return {**made, **_SCALARS[(name, version)]}
    made = _schema(raw, version)
    served = {("", "v1"), *GROUPS}
    gvks = [
        one
        for one in raw.get("x-kubernetes-group-version-kind", [])
        if (one["group"], one["version"]) in served or one["group"] == META
    ]
    if gvks:
        made["x-kubernetes-group-version-kind"] = gvks
        for field in ("apiVersion", "kind"):  # the package narrows these two to one value, for its own use
            made.get("properties", {}).get(field, {}).pop("enum", None)
    return made


def _schema(raw: Document, version: int) -> Document:
    """A JSON schema as OpenAPI 2 or 3 writes it: one type, no null."""
    made: Document = {}
    for key, value in raw.items():
        if key == "$ref":
            reference = (V3_REFS if version == 3 else V2_REFS) + value.rpartition("/")[2]
            if version == 3 and len(raw) > 1:
                made["allOf"] = [{"$ref": reference}]
            else:
                made["$ref"] = reference
        elif key == "type":
            made["type"] = value if isinstance(value, str) else next(one for one in value if one != "null")
        elif key == "properties":
            made["properties"] = {name: _schema(one, version) for name, one in value.items()}
        elif key in ("items", "additionalProperties") and isinstance(value, dict):
            made[key] = _schema(value, version)
        elif key not in ("x-kubernetes-group-version-kind", "$schema"):
            made[key] = value
    return made
