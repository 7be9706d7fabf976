"""The process that clients meet: one port on loopback, TLS, admission of connections, health, and who answers what.

No cluster is in it. It holds the zygote and the workers, knows which cluster is in which, and hands each request on.
What belongs to no cluster it answers itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import signal
import socket
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

from aiohttp import web

from simkube.apimachinery.errors import HostError, StatusError
from simkube.apiserver.http.responses import refuse, text
from simkube.eventloop.fairness import Shares
from simkube.host import certificates, logs, memory, placement
from simkube.host.admin import error, guarded
from simkube.host.connections import IDLE_SECONDS, MOST, RESERVED, Listener, Place, Places, raise_file_limit
from simkube.host.front import HOST, Backend, Front, Unavailable, segment
from simkube.host.home import SLOW_END, Home, fingerprint, write_private
from simkube.host.protocol import Server
from simkube.host.routing import CLUSTERS
from simkube.host.settings import Settings
from simkube.host.tenants import MOST_CLUSTERS
from simkube.host.wire import Answering, Wire
from simkube.host.worker import Order
from simkube.host.workers import Workers
from simkube.host.zygote import Zygote

log = logging.getLogger(__name__)

TIDY_SECONDS = 10.0
"""How often the log is looked at."""
STRANGERS = 0.5
"""The part of control's loop that handshakes of one address may have while clusters are asked for anything."""
FILES_EACH = 3
"""Files that one client's connection takes at most: its own, and one or two on the way to whoever answers."""
_OF_CLUSTERS = "/host/clusters/"


def _listen(home: Home, port: int | None) -> socket.socket:
    """A socket on the port this home had before, so that kubeconfigs stay true; on a free one when that is taken."""
    wanted = port
    if wanted is None:
        with contextlib.suppress(OSError, ValueError):
            wanted = int(home.port_file.read_text(encoding="ascii"))
    for candidate in dict.fromkeys((wanted or 0, 0)):
        made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            made.bind(("127.0.0.1", candidate))
        except OSError:
            made.close()
            if port is not None:
                raise HostError(f"port {port} on 127.0.0.1 is taken; choose another") from None
            continue
        made.listen(512)
        write_private(home.port_file, str(made.getsockname()[1]))
        return made
    raise HostError("no port on 127.0.0.1 is free")


class Own:
    """Control as one of those who answer, reached as the others are."""

    def __init__(self, server: Server) -> None:
        self._server = server

    async def connect(self, made: Callable[[], asyncio.Protocol]) -> asyncio.Transport:
        """See :class:`simkube.host.front.Backend`."""
        loop = asyncio.get_running_loop()
        try:
            ours, theirs = socket.socketpair()
        except OSError:
            raise Unavailable from None
        await loop.create_unix_connection(lambda: Answering(self._opened), sock=theirs)
        transport, _ = await loop.create_unix_connection(made, sock=ours)
        return transport

    def _opened(self, wire: Wire) -> asyncio.Protocol:
        return self._server.connection(None, wire)


class Control:
    """The running host. ``serving`` is set once every cluster is back; ``info`` is how it is reached."""

    def __init__(self, home: Home, zygote: Zygote, settings: Settings, port: int | None = None) -> None:
        self._home = home
        self._certificates = certificates.load(home.certificates)
        stores = placement.stores(home, settings.workers)
        self._placement = placement.Placement(settings.workers)
        for number, found in enumerate(placement.known(stores)):
            self._placement.replace(number, found)
        self._socket = _listen(home, port)
        address = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self._stopping = asyncio.Event()
        self._code = 0
        self._token = secrets.token_urlsafe(32)
        self._version = fingerprint()
        self.info: dict[str, Any] = {
            "pid": os.getpid(),
            "version": self._version,
            "url": f"https://{address}",
            "token": self._token,
            "ca": self._certificates.ca,
            "started": time.time(),
        }
        orders = [
            Order(
                number=number,
                stores=[str(path) for path in paths],
                log=str(home.log),
                address=address,
                ca=self._certificates.ca,
                signer=(str(home.certificates / "ca.crt"), str(home.certificates / "ca.key")),
                token=self._token,
                answer_bytes=min(settings.answer_bytes, settings.memory // 4) // settings.workers,
                memory=settings.memory // settings.workers,
            )
            for number, paths in enumerate(stores)
        ]
        self._zygote = zygote
        self._workers = Workers(zygote, orders, self._placement.replace, self._without_zygote)
        self.serving = self._workers.resumed
        self.own: Backend
        self._using, self._used = 0, 0.0  # never yet
        self._shares = Shares(allowed=STRANGERS, debtors=STRANGERS)
        self._clusters = self._shares.open()

    async def run(self) -> int:
        """Serve until a signal or the admin API says stop; the exit code."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        server = Server(self._answer, access_log=None, keepalive_timeout=IDLE_SECONDS)
        runner = web.ServerRunner(server)
        await runner.setup()
        self.own = Own(server)
        files = raise_file_limit()
        memory.keep_no_large_pieces()
        places = Places(min(MOST, (files - min(RESERVED, files // 4)) // FILES_EACH))
        listener = Listener(self._socket, self._certificates.context, self._opened, places)
        self._workers.start()
        listener.start()
        self._home.announce(self.info)
        log.info("serving at %s with %d workers", self.info["url"], len(self._workers.links))
        chore = asyncio.ensure_future(self._tidy())
        await self._stopping.wait()
        log.info("stopping")
        chore.cancel()
        listener.stop()
        slow = await self._workers.stop()
        await runner.cleanup()
        return self._code or (SLOW_END if slow else 0)

    async def _tidy(self) -> None:
        while True:
            await asyncio.sleep(TIDY_SECONDS)
            logs.tidy()

    def _without_zygote(self) -> None:
        if not self._stopping.is_set():
            log.error("the process that starts workers is gone, so this host ends")
            self._code = 1
            self._stopping.set()

    # who answers what

    def _opened(self, place: Place) -> asyncio.Protocol:
        return Front(self, place)

    def backend(self, path: str, token: str) -> Backend:
        """See :class:`simkube.host.front.Routes`."""
        number = self._number(path, token)
        return self.own if number is None else self._workers.links[number]

    def _number(self, path: str, token: str) -> int | None:
        if cluster := segment(path, CLUSTERS):
            return self._placement.of(cluster)
        if cluster := segment(path, _OF_CLUSTERS):
            number = self._placement.of(cluster)
            if number is not None or len(self._placement) >= MOST_CLUSTERS:
                return number
            owner = parse_qs(path.partition("?")[2], max_num_fields=20).get("owner", [""])[0]
            return self._placement.chosen(owner or cluster)
        return None if path.startswith(HOST) else self._placement.of_token(token)

    def began(self) -> None:
        """See :class:`simkube.host.front.Routes`."""
        self._using += 1
        self._clusters.asked()

    def ended(self) -> None:
        """See :class:`simkube.host.front.Routes`."""
        self._using -= 1
        self._used = time.monotonic()

    def noted(self, note: dict[str, Any]) -> None:
        """See :class:`simkube.host.front.Routes`."""
        if "made" in note:
            self._placement.put(note["made"], note["worker"], note["tokens"])
        elif "removed" in note:
            self._placement.drop(note["removed"])

    # what belongs to no cluster

    async def _answer(self, http: Any) -> web.StreamResponse:
        account = self._shares.stranger(http.remote or "")
        response = await account.metered(self._answered(http))
        if response.status in (401, 404):
            await account.turn()
        return response

    async def _answered(self, http: Any) -> web.StreamResponse:
        if http.path.startswith(HOST):
            return await guarded(http, self._token, self._admin)
        head = http.raw_path, http.headers.get("Authorization", "").removeprefix("Bearer ")
        if self.backend(*head) is not self.own:
            message = "the part of the host that serves this cluster is being started again; try again"
            return refuse(StatusError(503, "ServiceUnavailable", message, {"retryAfterSeconds": 1}))
        if cluster := segment(http.raw_path, CLUSTERS):
            return refuse(StatusError(404, "NotFound", f"there is no cluster {cluster!r} here"))
        return text("404 page not found\n", 404)

    async def _admin(self, http: web.Request, parts: list[str], _: dict[str, Any]) -> web.Response:
        match (http.method, parts):
            case ("GET", ["healthz"]):
                return web.json_response(self._health())
            case ("POST", ["stop"]):
                self._stopping.set()
                return web.json_response({})
            case ("GET", ["clusters"]):
                return web.json_response({"clusters": self._placement.ids()})
            case (method, ["clusters", cluster, *_]):
                if self.backend(http.raw_path, "") is not self.own:
                    return error(503, "the worker of this cluster is being started again; try again in a moment")
                if method == "PUT":
                    raise HostError(f"this host holds {MOST_CLUSTERS} clusters, which is all it may; delete some first")
                return error(404, f"there is no cluster {cluster!r} here")
        raise HostError(f"there is no {http.method} /host/{'/'.join(parts)}")

    def _health(self) -> dict[str, Any]:
        about = {key: self.info[key] for key in ("pid", "version", "url")}
        workers = [
            {
                "number": link.number,
                "pid": link.pid,
                "state": link.state(),
                "clusters": self._placement.count(link.number),
                "memory": link.memory,
                "may_have": link.order.memory,
                "restarts": link.restarts,
            }
            for link in self._workers.links
        ]
        idle = 0.0 if self._using else time.monotonic() - self._used
        return {**about, "idle": idle, "zygote": self._zygote.pid, "workers": workers}


__all__ = ["Control"]
