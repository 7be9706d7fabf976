"""From a result to an HTTP answer: the form and text a client accepts, warnings, compression.

It refuses to decide anything; :mod:`simkube.apiserver.http` does.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from typing import Any

import yaml
from aiohttp import web

from simkube.apiserver import tables
from simkube.apiserver.encoding import Encoder, dump
from simkube.apiserver.negotiation import JSON, Accepted
from simkube.apiserver.paging import Page
from simkube.apiserver.resources import Resource
from simkube.client import Obj
from simkube.errors import StatusError

_COMPRESS_FROM = 128 * 1024


def metadata_of(obj: Obj) -> Obj:
    """The ``PartialObjectMetadata`` of an object."""
    return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": obj["metadata"]}


def page_meta(page: Page) -> Obj:
    """The ``ListMeta`` of a page."""
    meta: Obj = {"resourceVersion": page.version}
    if page.next:
        meta["continue"] = page.next
    if page.remaining is not None:
        meta["remainingItemCount"] = page.remaining
    return meta


class Answers:
    """Makes responses; one per process, because it remembers encodings."""

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder

    def object(self, resource: Resource, obj: Obj, accepted: Accepted, include: str, now: float) -> bytes:
        """One object in the accepted form, as JSON."""
        if obj.get("kind") == "Status" or accepted.form == "object":
            return self.encoder.object(obj)
        if accepted.form == "metadata":
            return dump(metadata_of(obj))
        meta = {"resourceVersion": obj["metadata"].get("resourceVersion", "")}
        return dump({**self.table(resource, [obj], include, now), "metadata": meta})

    def table(self, resource: Resource, items: Sequence[Obj], include: str, now: float) -> Obj:
        """A ``Table`` of objects; ``include`` is ``None``, ``Metadata`` or ``Object``."""
        return tables.table(resource, items, now, include or "Metadata")

    def page(self, resource: Resource, page: Page, accepted: Accepted, include: str, now: float) -> bytes:
        """A list in the accepted form, as JSON."""
        meta = page_meta(page)
        if accepted.form == "object":
            return self.encoder.list(resource.kind, resource.api_version, meta, page.items)
        if accepted.form == "table":
            made = self.table(resource, page.items, include, now)
            return dump({**made, "metadata": meta})
        items = [metadata_of(item) for item in page.items] or None
        kind = {"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1"}
        return dump({**kind, "metadata": meta, "items": items})


def respond(
    body: bytes,
    accepted: Accepted = JSON,
    *,
    status: int = 200,
    warnings: Sequence[str] = (),
    request: web.Request | None = None,
) -> web.Response:
    """The response that carries ``body`` (JSON), as YAML or compressed when the client wants that."""
    content_type = "application/json"
    if accepted.text == "yaml":
        content_type = "application/yaml"
        body = yaml.safe_dump(json.loads(body), default_flow_style=False, allow_unicode=True).encode()
    elif request is not None and request.query.get("pretty") in ("1", "true"):
        body = json.dumps(json.loads(body), indent=2, ensure_ascii=False).encode()
    response = web.Response(status=status, body=body, headers={"Content-Type": content_type})
    response.headers["Cache-Control"] = "no-cache, private"
    for warning in warnings:
        response.headers.add("Warning", f'299 - "{_quoted(warning)}"')
    if request is not None and len(body) >= _COMPRESS_FROM and "gzip" in request.headers.get("Accept-Encoding", ""):
        response.body = gzip.compress(body, compresslevel=1)
        response.headers["Content-Encoding"] = "gzip"
    return response


def _quoted(text: str) -> str:
    printable = "".join(character if character.isprintable() else " " for character in text)
    return printable.replace("\\", "\\\\").replace('"', '\\"')


def refuse(error: StatusError, warnings: Sequence[str] = ()) -> web.Response:
    """The response to a request that failed."""
    response = respond(dump(error.body()), status=error.code, warnings=warnings)
    seconds = (error.details or {}).get("retryAfterSeconds")
    if seconds is not None:
        response.headers["Retry-After"] = str(seconds)
    return response


def text(body: str, status: int = 200) -> web.Response:
    """Plain text: health checks, paths that are none of the API."""
    return web.Response(status=status, text=body, content_type="text/plain", charset="utf-8")


def document(body: Any, content_type: str = "application/json") -> web.Response:
    """A document about the API itself."""
    made = body if isinstance(body, bytes) else dump(body)
    return web.Response(body=made, headers={"Content-Type": content_type})
