"""The API server as pods reach it: requests on a cluster's own network, answered by this host like everybody else's.

They go over a connection to the host itself, so that who may do what is decided in the one place for it. Answers are
read whole; watching and streaming from within a pod are refused with 501; what pods may ask at once is bounded.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import aiohttp
from yarl import URL

from simkube.apimachinery.errors import StatusError, not_simulated
from simkube.apiserver.http.encoding import dump
from simkube.clock.clock import Future
from simkube.runtime.cri import HTTPRequest, HTTPResponse, NetworkError
from simkube.runtime.network.ports import Certificate, Daemon

if TYPE_CHECKING:
    from simkube.cluster.cluster import Cluster

PORT = 6443
MOST = 16
"""Requests of one cluster's pods that are under way at once."""
BODY = 3 << 20
SECONDS = 60.0
NAMES = ("kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local")
_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "upgrade", "host", "content-length", "expect", "te"})
_STREAMS = ("/exec", "/attach", "/portforward")


class InClusterAPI:
    """The door of one cluster; ``url`` is where this host serves it, ``ca`` (PEM) what issued its certificate."""

    def __init__(self, cluster: Cluster, url: str, ca: str) -> None:
        self._cluster = cluster
        self._url = url
        self._ca = ca
        self._session: aiohttp.ClientSession | None = None
        self._under_way: set[asyncio.Task[None]] = set()
        self._closing: asyncio.Task[None] | None = None
        self._left: list[object] = []

    @property
    def under_way(self) -> int:
        """How many requests are being answered."""
        return len(self._under_way)

    def move(self, url: str) -> None:
        """This process is a copy, and serves the cluster at another address: nothing of before is used any more.

        None may be under way.
        """
        self._left += [self._session, self._closing]  # whose ends would be the other process's matter
        self._url, self._session, self._closing = url, None, None

    def open(self) -> None:
        """Listen at the API server's address on the cluster's network; a no-op in a cluster without nodes."""
        network = self._cluster.network
        if not network.control_plane:
            return
        node = next(one for one in network.nodes.values() if one.address == network.control_plane)
        certificate = Certificate((*NAMES, "localhost", "10.96.0.1", node.address), self._ca)
        node.ports.listen(Daemon(), PORT, self._serve, tls=lambda _host: certificate)

    def close(self) -> None:
        """End what is under way, and the connections."""
        for task in list(self._under_way):
            task.cancel()
        if self._session is not None:
            self._closing = asyncio.ensure_future(self._session.close())

    async def _serve(self, request: HTTPRequest, peer: str) -> HTTPResponse:  # noqa: ARG002 - a token says who asks
        if not self._cluster.reachable:
            raise NetworkError("refused", "Connection refused")
        try:
            _check(request, len(self._under_way))
        except StatusError as error:
            return HTTPResponse(error.code, {"content-type": "application/json"}, dump(error.body()))
        answer: Future[HTTPResponse] = Future()
        with self._cluster.clock.occupied():
            task = asyncio.ensure_future(self._ask(request, answer))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
            return await answer

    async def _ask(self, request: HTTPRequest, answer: Future[HTTPResponse]) -> None:
        if self._session is None:
            context = ssl.create_default_context(cadata=self._ca)
            connector = aiohttp.TCPConnector(ssl=context, limit=MOST)
            jar = aiohttp.DummyCookieJar()
            self._session = aiohttp.ClientSession(connector=connector, auto_decompress=False, cookie_jar=jar)
        headers = {name: value for name, value in request.headers.items() if name not in _HOP}
        headers["Accept-Encoding"] = "identity"
        url = URL(self._url + request.path, encoded=True)
        timeout = aiohttp.ClientTimeout(total=SECONDS)
        try:
            asked = self._session.request(
                request.method, url, headers=headers, data=request.body or None, timeout=timeout, allow_redirects=False
            )
            async with asked as response:
                body = await response.content.read(BODY + 1)
                while len(body) <= BODY and not response.content.at_eof():
                    body += await response.content.read(BODY + 1 - len(body))
                kept = {key.lower(): value for key, value in response.headers.items() if key.lower() not in _HOP}
                answer.set(HTTPResponse(response.status, kept, body[:BODY]))
        except (aiohttp.ClientError, TimeoutError, ValueError):
            answer.fail(NetworkError("reset", "Connection reset by peer"))
        except asyncio.CancelledError:
            answer.fail(NetworkError("reset", "Connection reset by peer"))
            raise


def _check(request: HTTPRequest, under_way: int) -> None:
    """StatusError for what is refused from within a pod."""
    parts = urlsplit(request.path)
    query = parse_qs(parts.query, max_num_fields=100)
    if query.get("watch", ["0"])[-1] not in ("0", "false") or query.get("follow", ["0"])[-1] not in ("0", "false"):
        raise not_simulated("watching or following from within a pod")
    if parts.path.endswith(_STREAMS) or "/watch/" in parts.path or "upgrade" in request.headers:
        raise not_simulated("streaming from within a pod")
    if under_way >= MOST:
        raise StatusError(
            429, "TooManyRequests", f"pods of this cluster have {MOST} requests under way, the most they may"
        )
