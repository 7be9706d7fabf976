"""From a result to an HTTP answer: the form and text a client accepts, warnings, compression.

It refuses to decide anything; :mod:`simkube.apiserver.http.handler` does.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import yaml
from aiohttp import web

from simkube.apimachinery.errors import StatusError
from simkube.apiserver.handlers.paging import Page
from simkube.apiserver.http.encoding import Encoder, dump
from simkube.apiserver.http.negotiation import Accepted
from simkube.apiserver.http.tables import table
from simkube.apiserver.registry.resources import Resource
from simkube.apiserver.streams.limits import Budget
from simkube.client.client import Obj

Pause = Callable[[], Awaitable[None]]
COMPRESS_FROM = 128 * 1024
LARGE = 64 * 1024
"""Bytes from which on a body is parsed, and an answer sent, in pieces or aside."""
HOST_BYTES = 1 << 30
"""Bytes that the large answers of all clusters of a host may keep, together, where nothing else is set."""
_PIECE = 50
_PEOPLE = ("curl", "Wget", "Mozilla/5.0")
"""How the agents begin by which people read what the API server answers."""
_TRUE = ("1", "t", "T", "true", "True", "TRUE")
_Dumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


def metadata_of(obj: Obj) -> Obj:
    """The ``PartialObjectMetadata`` of an object."""
    return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": obj["metadata"]}


def page_meta(page: Page) -> Obj:
    """The ``ListMeta`` of a page."""
    meta: Obj = {"resourceVersion": page.version} if page.version else {}
    if page.next:
        meta["continue"] = page.next
    if page.remaining is not None:
        meta["remainingItemCount"] = page.remaining
    return meta


class Responses:
    """Makes the responses of one cluster."""

    def __init__(self, encoder: Encoder, kept: Budget) -> None:
        self.encoder = encoder
        self.kept = kept
        """What the large answers of all clusters may keep."""

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
        return table(resource, items, now, include or "Metadata")

    def page(self, resource: Resource, page: Page, accepted: Accepted, include: str, now: float) -> Iterator[bytes]:
        """A list in the accepted form, as JSON, in pieces between which others may have their turn."""
        head = self._head(resource, page, accepted, now)
        if not page.items and accepted.form == "metadata":
            yield head + b"null}"
            return
        waiting, size, after = [head + b"["], 0, b""
        for number, piece in enumerate(pieces(page.items)):
            if number:
                yield b"".join(waiting)
                waiting, size = [], 0
            for made in self._items(resource, piece, accepted, include, now):
                waiting += (after, made)
                after, size = b",", size + len(made)
                if size >= LARGE:
                    yield b"".join(waiting)
                    waiting, size = [], 0
        yield b"".join((*waiting, b"]}"))

    def _head(self, resource: Resource, page: Page, accepted: Accepted, now: float) -> bytes:
        """A list up to its items."""
        meta = page_meta(page)
        last = "items"
        if accepted.form == "object":
            made: Obj = {
                "kind": f"{resource.kind}List" if resource.custom is None else resource.custom.list_kind,
                "apiVersion": resource.api_version,
                "metadata": meta,
            }
        elif accepted.form == "table":
            made = {**self.table(resource, [], "", now), "metadata": meta}
            last = "rows"
            del made[last]
        else:
            made = {"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": meta}
        return dump(made)[:-1] + f',"{last}":'.encode()

    def _items(
        self, resource: Resource, items: Sequence[Obj], accepted: Accepted, include: str, now: float
    ) -> Iterable[bytes]:
        if accepted.form == "object":
            one = self.encoder.item if resource.custom is None else self.encoder.object  # these repeat their kind
            return (one(item) for item in items)
        if accepted.form == "table":
            return (dump(row) for row in self.table(resource, items, include, now)["rows"])
        return (dump(metadata_of(item)) for item in items)


def pieces(items: Sequence[Obj]) -> Iterator[Sequence[Obj]]:
    """Long work in pieces of a few milliseconds, so that others have their turn between them."""
    for start in range(0, len(items), _PIECE):
        yield items[start : start + _PIECE]


@dataclass(frozen=True, slots=True)
class Shape:
    """How a client wants the text of an answer."""

    yaml: bool = False
    pretty: bool = False
    gzip: bool = False

    def apply(self, body: bytes) -> bytes:
        """The text of ``body`` (JSON) in this shape."""
        if self.yaml:
            loaded = json.loads(body)
            body = yaml.dump(loaded, Dumper=_Dumper, default_flow_style=False, allow_unicode=True).encode()
        elif self.pretty:
            body = json.dumps(json.loads(body), indent=2, ensure_ascii=False).encode()
        return gzip.compress(body, compresslevel=1) if self.gzip else body


def pretty(request: web.Request) -> bool:
    """Whether an answer is to be indented: by the parameter, else for whom people read with (``isPrettyPrint``)."""
    asked = request.query.get("pretty")
    return asked in _TRUE if asked else request.headers.get("User-Agent", "").startswith(_PEOPLE)


def shape_of(size: int, accepted: Accepted, request: web.Request) -> Shape:
    """The shape wanted of an answer of ``size`` bytes; small ones are not compressed."""
    compressed = size >= COMPRESS_FROM and "gzip" in request.headers.get("Accept-Encoding", "")
    return Shape(accepted.text == "yaml", pretty(request), compressed)


PLAIN, INDENTED = Shape(), Shape(pretty=True)


def respond(body: bytes, shape: Shape = PLAIN, *, status: int = 200, warnings: Sequence[str] = ()) -> web.Response:
    """The response that carries ``body``, which is in that shape already."""
    response = web.Response(status=status, body=body)
    response.headers["Content-Type"] = "application/yaml" if shape.yaml else "application/json"
    response.headers["Cache-Control"] = "no-cache, private"
    for warning in warnings:
        response.headers.add("Warning", f'299 - "{_quoted(warning)}"')
    if shape.gzip:
        response.headers["Content-Encoding"] = "gzip"
    return response


def _quoted(text: str) -> str:
    printable = "".join(character if character.isprintable() else " " for character in text)
    return printable.replace("\\", "\\\\").replace('"', '\\"')


def refuse(error: StatusError, warnings: Sequence[str] = (), *, indented: bool = False) -> web.Response:
    """The response to a request that failed."""
    body = (INDENTED if indented else PLAIN).apply(dump(error.body()))
    response = respond(body, status=error.code, warnings=warnings)
    seconds = (error.details or {}).get("retryAfterSeconds")
    if seconds is not None:
        response.headers["Retry-After"] = str(seconds)
    return response


def text(body: str, status: int = 200) -> web.Response:
    """Plain text: health checks, paths that are none of the API."""
    return web.Response(status=status, text=body, content_type="text/plain", charset="utf-8")


def document(body: Any, content_type: str = "application/json", *, indented: bool = False) -> web.Response:
    """A document about the API itself."""
    made = body if isinstance(body, bytes) else dump(body)
    made = INDENTED.apply(made) if indented else made
    return web.Response(body=made, headers={"Content-Type": content_type})
