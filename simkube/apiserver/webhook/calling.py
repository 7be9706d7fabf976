"""One call of a program in the cluster over HTTPS, on the cluster's own network and clock.

A request to the API server is one synchronous step, and most programs answer within the same moment of the cluster's
time. One that takes longer makes the request :class:`Waiting`: whoever serves it over HTTP waits for the answer and
begins it anew, with the answers that have come so far (:class:`Replies`), so that nothing half-done is ever visible.
A component's request cannot wait; to it such a call is one that took too long. The API server calls from its own
node's address, at the Service's address, as kube-apiserver without aggregator routing does. It refuses to call anybody
outside of the cluster: their names do not exist.

Sources: ``apiserver/pkg/util/webhook/client.go``, ``client-go/rest/request.go``, Go's ``net/http``.
"""

from __future__ import annotations

import base64
import binascii
import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from simkube.apimachinery.errors import StatusError
from simkube.client.client import Obj
from simkube.clock.clock import Clock, Task, TimedOut, spawn, within
from simkube.runtime.cri import HTTPRequest, HTTPResponse, NetworkError
from simkube.runtime.network import trust

if TYPE_CHECKING:
    from simkube.etcd.store import Store
    from simkube.runtime.network.network import Connection

MOST_BYTES = 3 << 20
"""The largest answer that is read, in bytes."""
MOST_DEPTH = 8
"""Calls within calls: a program that is asked may itself ask the API server."""


class ClusterNetwork(Protocol):
    """The cluster's network; ``control_plane`` is the API server's own address there."""

    control_plane: str

    async def connect(self, source: str, host: str, port: int) -> Connection: ...


class CallFailed(Exception):
    """Why there is no answer, as Go's client says it."""


class Waiting(Exception):
    """An answer that takes a while. ``key`` is what it answers, ``task`` what brings it."""

    def __init__(self, key: str, task: Task[HTTPResponse]) -> None:
        super().__init__(key)
        self.key = key
        self.task = task


class Replies(dict[str, "Task[HTTPResponse]"]):
    """What one request has been answered so far, by question."""

    def __init__(self) -> None:
        super().__init__()
        self.of = uuid.uuid4()


@dataclass(frozen=True, slots=True)
class Place:
    """Where a program is: ``address`` and ``port`` to connect to, ``host`` as its certificate names it, the ``url``."""

    address: str
    port: int
    host: str
    url: str


class Outgoing:
    """The calls of one cluster's API server. ``network`` is set by whoever wires the cluster."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self.network: ClusterNetwork | None = None
        self._store = store
        self._clock = clock
        self._answers: Replies | None = None
        self._depth = 0

    @contextmanager
    def patient(self, answers: Replies | None) -> Iterator[None]:
        """Within it, a call that takes a while raises :class:`Waiting`, and ``answers`` are known."""
        before, self._answers = self._answers, answers
        try:
            yield
        finally:
            self._answers = before

    def uid(self, key: str) -> str:
        """A fresh uid for a question; of the same one when its request is begun anew."""
        return str(uuid.uuid4() if self._answers is None else uuid.uuid5(self._answers.of, key))

    def post(self, config: Obj, body: Obj, key: str, seconds: float) -> Obj:
        """POST an object to whom a ``clientConfig`` names, and the object that comes back; :class:`CallFailed`.

        ``key`` tells questions apart when a request is begun anew.
        """
        place = self.place(config, seconds)
        headers = {"accept": "application/json, */*", "content-type": "application/json"}
        raw = json.dumps(body, separators=(",", ":")).encode()
        words = f'Post "{place.url}"'
        path = place.url.partition("://")[2].partition("/")[2]
        request = HTTPRequest("POST", f"/{path}", {"host": f"{place.host}:{place.port}", **headers}, raw)
        return _read(self.ask(place, request, _bundle(config), key, seconds, words))

    def ask(
        self, place: Place, request: HTTPRequest, bundle: str | None, key: str, seconds: float, words: str
    ) -> HTTPResponse:
        """Send a request; ``bundle`` None: any certificate is believed. :class:`CallFailed`, begun with ``words``."""
        known = None if self._answers is None else self._answers.get(key)
        if known is not None:
            return _outcome(known, place, words)
        if self._depth >= MOST_DEPTH:
            raise CallFailed(f"{words}: context deadline exceeded")
        self._depth += 1
        try:
            task = spawn(within(self._clock, seconds, self._exchange(place, request, bundle)))
        finally:
            self._depth -= 1
        if not task.done:
            if self._answers is not None:
                raise Waiting(key, task)
            task.cancel()
            raise CallFailed(f"{words}: context deadline exceeded")
        return _outcome(task, place, words)

    def place(self, config: Obj, seconds: float) -> Place:
        """Whom a ``clientConfig`` names; :class:`CallFailed` when that is nobody."""
        service, query = config.get("service"), f"?timeout={seconds:g}s"
        if service is None:
            parts = urlsplit(config.get("url", ""))
            raise CallFailed(f'Post "{config.get("url", "")}{query}": dial tcp: lookup {parts.hostname}: no such host')
        name, where, port = service.get("name", ""), service.get("namespace", ""), service.get("port", 443)
        host = f"{name}.{where}.svc"
        url = f"https://{host}:{port}/{(service.get('path') or '').lstrip('/')}{query}"
        return Place(self.address(name, where, port, f'Post "{url}"'), port, host, url)

    def address(self, name: str, namespace: str, port: int, words: str) -> str:
        """The cluster address of a Service that has such a port; :class:`CallFailed`."""
        service = self._store.get("services", namespace, name)
        if service is None:
            raise CallFailed(f'{words}: service "{name}" not found')
        spec = service["spec"]
        if spec.get("type") == "ExternalName":
            raise CallFailed(f"{words}: dial tcp: lookup {spec.get('externalName', '')}: no such host")
        if not any(each.get("port") == port for each in spec.get("ports", ())):
            raise CallFailed(f'{words}: no service port {port} found for service "{name}"')
        address: str = spec.get("clusterIP", "")
        if address in ("", "None"):
            raise CallFailed(f'{words}: service "{name}" has no cluster address')
        return address

    async def _exchange(self, place: Place, request: HTTPRequest, bundle: str | None) -> HTTPResponse:
        if self.network is None:
            raise NetworkError("refused", "Connection refused")
        connection = await self.network.connect(self.network.control_plane, place.address, place.port)
        try:
            identify = connection.listener.tls
            if identify is None:
                raise CallFailed("http: server gave HTTP response to HTTPS client")
            if bundle is not None:
                shown = identify(place.host)
                trust.check(shown.chain or shown.issuer, bundle, place.host, self._clock.now())
            return await connection.exchange(request, secure=True)
        finally:
            connection.close()


def _outcome(task: Task[HTTPResponse], place: Place, words: str) -> HTTPResponse:
    try:
        return task.result()
    except trust.NotTrusted as error:
        raise CallFailed(f"{words}: tls: failed to verify certificate: x509: {error}") from None
    except CallFailed as error:
        raise CallFailed(f"{words}: {error}") from None
    except TimedOut:
        raise CallFailed(f"{words}: context deadline exceeded") from None
    except NetworkError as error:
        raise CallFailed(f"{words}: {_dialled(error, place)}") from None


def _dialled(error: NetworkError, place: Place) -> str:
    if error.kind == "reset":
        return "EOF"
    words = {"refused": "connect: connection refused", "timeout": "connect: connection timed out"}
    return f"dial tcp {place.address}:{place.port}: {words.get(error.kind, str(error).lower())}"


def _bundle(config: Obj) -> str:
    try:
        return base64.b64decode(config.get("caBundle") or "", validate=True).decode("ascii")
    except (binascii.Error, UnicodeDecodeError):
        return ""


def _read(response: HTTPResponse) -> Obj:
    """The object of an answer, as client-go's ``Result.Into``."""
    if len(response.body) > MOST_BYTES:
        raise CallFailed("the answer is too large")
    if response.status == 404:
        raise CallFailed("the server could not find the requested resource")
    if response.status >= 500:
        text = response.body[:200].decode("utf-8", "replace").strip() or "unknown"
        raise CallFailed(f"an error on the server ({json.dumps(text)}) has prevented the request from succeeding")
    if not 200 <= response.status < 300:
        raise CallFailed("the server rejected our request for an unknown reason")
    if not response.body:
        kind = response.headers.get("content-type", "")
        raise CallFailed(f"0-length response with status code: {response.status} and content type: {kind}")
    try:
        found: Any = json.loads(response.body)
    except (ValueError, RecursionError):
        start = response.body[:1].decode("utf-8", "replace")
        reason = f"invalid character {start!r} looking for beginning of value"
        raise CallFailed(f"couldn't get version/kind; json parse error: {reason}") from None
    if not isinstance(found, dict):
        raise CallFailed("couldn't get version/kind; json parse error: an object is expected")
    return found


def too_long() -> StatusError:
    """504 of a request whose calls never end."""
    return StatusError(504, "Timeout", "Timeout: request did not complete within requested timeout")
