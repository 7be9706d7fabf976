"""The OpenAPI documents: what ``kubectl explain`` and clients that validate or generate code read.

Version 3 is one document a group and version, version 2 is one of everything. Both describe the kinds that are served
and no others. They are the same for every cluster of a process, are made when first asked for, and kept as bytes; what
a cluster serves beside (``extra``) is added when that cluster is asked.

Schemas are those of ``kubernetes-validate``, which leaves out defaults and enumerations; the operations are made from
:mod:`simkube.apiserver.registry.kinds`. They name what clients look for (kind, action, parameters such as
``fieldValidation``).
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Iterable, Iterator
from typing import Any

from simkube.apiserver.discovery.discovery import VERSION, Extra
from simkube.apiserver.openapi import paths as openapi_paths
from simkube.apiserver.openapi import protobuf as openapi_protobuf
from simkube.apiserver.openapi.paths import META
from simkube.apiserver.registry.customresources import openapi as custom_openapi
from simkube.apiserver.registry.kinds import ALL, GROUPS
from simkube.apiserver.registry.resources import Resource
from simkube.apiserver.schema.schema import raw_definitions

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


def v3_index(extra: Extra = ()) -> bytes:
    """``/openapi/v3``: where the document of each group and version is; the address changes with its content."""
    if extra:
        return _encode({"paths": _index(extra)})
    return _built_in_index()


@functools.cache
def _built_in_index() -> bytes:
    return _encode({"paths": _index(())})


def _index(extra: Extra) -> Document:
    paths: Document = {}
    served = repr(sorted(ALL, key=repr))
    for path in _v3_paths(extra):
        beside = [_seed(one) for one in extra if path in _paths_of(one.group, one.version)]
        seed = f"{VERSION} {path} {served}{beside or ''}"
        name = hashlib.sha512(seed.encode()).hexdigest().upper()
        paths[path] = {"serverRelativeURL": f"/openapi/v3/{path}?hash={name}"}
    return paths


def _seed(resource: Resource) -> str:
    custom = resource.custom
    return repr(resource) + ("" if custom is None else json.dumps(custom.version, sort_keys=True))


def _paths_of(group: str, version: str) -> tuple[str, str]:
    return f"apis/{group}", f"apis/{group}/{version}"


def _v3_paths(extra: Extra = ()) -> list[str]:
    served = [*GROUPS, *((one.group, one.version) for one in extra)]
    return sorted({"api", "api/v1", "apis", *(path for one in served for path in _paths_of(*one))})


def v3(path: str, extra: Extra = ()) -> bytes | None:
    """``/openapi/v3/PATH`` for ``api/v1``, ``apis/apps/v1``...; None when there is no such document."""
    beside = [one for one in extra if path in _paths_of(one.group, one.version)]
    return _v3(path, beside) if beside else _built_in_v3(path)


@functools.cache
def _built_in_v3(path: str) -> bytes | None:
    return _v3(path, ())


def _v3(path: str, extra: Extra) -> bytes | None:
    if path not in _v3_paths(extra):
        return None
    parts = path.split("/")
    if len(parts) == 3 or parts == ["api", "v1"]:
        group, version = (parts[1], parts[2]) if len(parts) == 3 else ("", "v1")
        paths = openapi_paths.paths(group, version, 3, extra)
    else:
        paths = openapi_paths.group_path(parts[1] if len(parts) == 2 else "", parts[0], 3)
    schemas = _with_custom(paths, extra if len(parts) == 3 else (), 3)
    return _encode({"openapi": "3.0.0", "info": _INFO, "paths": paths, "components": {"schemas": schemas}})


def v2(extra: Extra = ()) -> bytes:
    """``/openapi/v2`` as JSON."""
    whole = _built_in_v2()
    if not extra:
        return whole
    beside = _v2_beside(extra)
    more = _encode(beside["paths"])[1:-1], _encode(beside["definitions"])[1:-1]
    head, _, rest = whole.partition(b'"paths":{')
    return head + b'"paths":{' + more[0] + b"," + rest[:-2] + b"," + more[1] + b"}}"


@functools.cache
def _built_in_v2() -> bytes:
    return _encode(_v2())


def v2_protobuf(extra: Extra = ()) -> bytes:
    """``/openapi/v2`` as kubectl reads it; what follows in the binary form is merged by whoever reads it."""
    whole = _built_in_v2_protobuf()
    return whole + openapi_protobuf.parts(_v2_beside(extra)) if extra else whole


@functools.cache
def _built_in_v2_protobuf() -> bytes:
    return openapi_protobuf.document(_v2())


def _v2_beside(extra: Extra) -> Document:
    """The paths and definitions of what one cluster serves beside what all do."""
    paths: Document = {}
    for group, version in dict.fromkeys((one.group, one.version) for one in extra):
        paths |= openapi_paths.group_path(group, "apis", 2)
        paths |= openapi_paths.paths(group, version, 2, extra)
    definitions = _with_custom(paths, extra, 2)
    known = _names_in_v2()
    return {"paths": paths, "definitions": {name: one for name, one in definitions.items() if name not in known}}


@functools.cache
def _names_in_v2() -> frozenset[str]:
    return frozenset(json.loads(_built_in_v2())["definitions"])


def _with_custom(paths: Document, extra: Extra, version: int) -> Document:
    """The definitions of these paths, those of custom kinds included."""
    own: Document = {}
    for resource in extra:
        if resource.custom is not None:
            own |= custom_openapi.schemas(resource.custom, V3_REFS if version == 3 else V2_REFS, version)
    wanted = {*_references(paths), *_references(own)} - own.keys()
    return dict(sorted({**_schemas(wanted, version), **own}.items()))


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
