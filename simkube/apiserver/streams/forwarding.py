"""``pods/NAME/portforward``: TCP connections from outside into a pod, many over one upgraded connection.

``SPDY/3.1+portforward.k8s.io`` is what kubectl speaks since 1.31 (SPDY frames inside WebSocket messages, two streams a
connection: bytes, and what went wrong), ``portforward.k8s.io`` the same over SPDY itself, before that;
``v4.channel.k8s.io`` is the Python client's (two channels a port, one connection each), as is a WebSocket without a
protocol. Connections come from inside the pod, as the runtime makes them: network policies do not count, and a server
on 127.0.0.1 is reached. Bounded per cluster. Sources:
``k8s.io/apimachinery/pkg/util/portforward``, ``pkg/kubelet/server/portforward``.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from simkube.apimachinery.errors import bad_request
from simkube.apiserver.streams import spdy
from simkube.apiserver.streams.bridge import wait
from simkube.apiserver.streams.channels import is_websocket, need_upgrade
from simkube.apiserver.streams.limits import slot
from simkube.apiserver.streams.target import StreamCluster, find_pod, kubelet_of
from simkube.apiserver.streams.upgrade import Messages, Raw, Text, Wire, chosen
from simkube.client.client import Obj
from simkube.clock.clock import Clock, spawn
from simkube.runtime.cri import NetworkError
from simkube.runtime.network.network import Connection
from simkube.runtime.network.sockets import Socket

log = logging.getLogger(__name__)

TUNNEL = "SPDY/3.1+portforward.k8s.io"
PLAIN = "portforward.k8s.io"
CHANNELS = ("v4.channel.k8s.io", "v4.base64.channel.k8s.io", "")
MOST_STREAMS = 256
"""Streams that one client may have open at once: two a connection."""
WAITING = 256 * 1024
"""Bytes of one connection that may wait for the pod before the client's WebSocket is read no further."""

Send = Callable[[bytes], Awaitable[None]]


class Forward:
    """One pod, as connections into it are made."""

    def __init__(self, cluster: StreamCluster, pod: Obj) -> None:
        self._cluster = cluster
        self.clock = cluster.clock
        self._pod = pod

    def failure(self, port: int, why: str) -> str:
        """The kubelet's words for a connection that could not be made."""
        uid = self._pod["metadata"]["uid"]
        return f"error forwarding port {port} to pod {uid.replace('-', '')}, uid : {why}"

    async def open(self, port: int) -> Connection:
        """A connection; ConnectionError with the kubelet's words."""
        meta = self._pod["metadata"]
        kubelet = self._cluster.kubelets.get(self._pod["spec"].get("nodeName", ""))
        sandbox = kubelet.sandbox(meta["uid"]) if kubelet is not None and kubelet.running else None
        where = meta["uid"].replace("-", "")
        if sandbox is None:
            raise ConnectionError(self.failure(port, f'network namespace for sandbox "{where}" is closed'))
        try:
            connection = await wait(spawn(self._cluster.network.local(sandbox.ip, port)), self.clock)
            await wait(spawn(connection.stream()), self.clock)
            return connection
        except NetworkError as error:
            why = (
                f'failed to execute portforward in network namespace "/var/run/netns/cni-{meta["uid"]}": failed to '
                f'connect to localhost:{port} inside namespace "{where}", IPv4: dial tcp4 127.0.0.1:{port}: connect: '
                f"{str(error).lower()} IPv6 dial tcp6: address localhost: no suitable address found "
            )
            raise ConnectionError(self.failure(port, why)) from error


async def forward(cluster: StreamCluster, request: web.Request, namespace: str, name: str) -> web.StreamResponse:
    """Answer one request; StatusError while nothing has been sent yet."""
    need_upgrade(request)
    pod = find_pod(cluster, namespace, name)
    kubelet_of(cluster, pod, f"/portForward/{namespace}/{name}")
    protocol = _protocol(request)
    ports = _ports(request) if protocol in CHANNELS else []
    with slot(cluster, "portforward"):
        if is_websocket(request):
            given = (protocol,) if protocol else ()
            kind = Text if "base64" in protocol else Messages
            wire: Wire = await kind.accept(request, given)
        else:
            wire = await Raw.accept(request, protocol)
        session = Session(wire, Forward(cluster, pod))
        try:
            await (session.channels(ports) if protocol in CHANNELS else session.tunnel())
        except (ConnectionError, TimeoutError, spdy.SPDYError) as error:
            log.info("port forwarding to %s/%s ended: %s", namespace, name, error)
        finally:
            await session.end()
        return wire.response


def _protocol(request: web.Request) -> str:
    """What the client speaks; a WebSocket that asks for no protocol gets channels."""
    if not is_websocket(request):
        return chosen(request, (PLAIN,))
    asked = [one.strip() for one in request.headers.get("Sec-WebSocket-Protocol", "").split(",") if one.strip()]
    known = (TUNNEL, *CHANNELS)
    protocol = next((one for one in asked if one in known), None if asked else "")
    if protocol is None:
        raise bad_request(f"unable to upgrade: none of {asked} is served here, only {[one for one in known if one]}")
    return protocol


def _ports(request: web.Request) -> list[int]:
    texts = [one for given in request.query.getall("ports", []) for one in given.split(",")]
    if not texts or len(texts) > MOST_STREAMS // 2:
        raise bad_request('query parameter "ports" is required')
    if not all(one.isdecimal() and len(one) < 6 and 0 < int(one) < 65536 for one in texts):
        raise bad_request(f"unable to parse {texts[:8]} as ports")
    return [int(one) for one in texts]


@dataclass(eq=False)
class Flow:
    """One connection of a client: what it sends waits here for the pod."""

    port: int
    room: asyncio.Event = field(default_factory=asyncio.Event)
    come: asyncio.Event = field(default_factory=asyncio.Event)
    pieces: list[bytes] = field(default_factory=list)
    size: int = 0
    ended: bool = False
    given_up: bool = False

    async def put(self, data: bytes, *, last: bool) -> None:
        """More from the client; waits while too much waits."""
        while self.size > WAITING and not self.given_up:
            self.room.clear()
            await self.room.wait()
        if not self.given_up and data:
            self.pieces.append(data)
            self.size += len(data)
        self.ended = self.ended or last
        self.come.set()

    async def take(self) -> bytes:
        """What has come; b"" when no more will."""
        while not self.pieces:
            if self.ended or self.given_up:
                return b""
            self.come.clear()
            await self.come.wait()
        data = b"".join(self.pieces)
        self.pieces.clear()
        self.size = 0
        self.room.set()
        return data

    def give_up(self) -> None:
        """Nobody takes any more."""
        self.given_up = True
        self.room.set()
        self.come.set()


@dataclass(eq=False)
class Pair:
    """The two streams of a SPDY connection; numbers of streams, 0 while not opened."""

    port: int
    data: int = 0
    error: int = 0


class Session:
    """One client."""

    def __init__(self, wire: Wire, target: Forward) -> None:
        self._wire = wire
        self._target = target
        self._writer = spdy.Writer()
        self._pairs: dict[str, Pair] = {}
        self._flows: dict[int, Flow] = {}
        self._tasks: dict[Flow, asyncio.Task[None]] = {}
        self._open = 0

    async def end(self) -> None:
        """End every connection, and the client's."""
        for task in list(self._tasks.values()):
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        await self._wire.close()

    async def _send(self, data: bytes) -> None:
        await self._wire.send(data)

    # SPDY

    async def tunnel(self) -> None:
        """Serve SPDY frames until the client goes away."""
        reader = spdy.Reader()
        while (message := await self._wire.receive()) is not None:
            for event in reader.feed(message):
                await self._handle(event)

    async def _handle(self, event: spdy.Event) -> None:
        if isinstance(event, spdy.Opened):
            await self._opened(event)
        elif isinstance(event, spdy.Data):
            flow = self._flows.get(event.stream)
            if flow is not None:
                await flow.put(event.data, last=event.last)
        elif isinstance(event, spdy.Reset):
            flow = self._flows.pop(event.stream, None)
            if flow is not None and flow in self._tasks:
                self._tasks[flow].cancel()
        elif isinstance(event, spdy.Reply):
            await self._send(event.frame)

    async def _opened(self, event: spdy.Opened) -> None:
        headers = {name.lower(): value for name, value in event.headers.items()}
        kind, text = headers.get("streamtype", ""), headers.get("port", "")
        good = kind in ("data", "error") and text.isdecimal() and len(text) < 6 and 0 < int(text) < 65536
        if not good or self._open >= MOST_STREAMS:
            await self._send(self._writer.refuse(event.stream))
            return
        self._open += 1
        await self._send(self._writer.reply(event.stream))
        key = headers.get("requestid", str(event.stream if kind == "error" else event.stream - 2))
        pair = self._pairs.setdefault(key, Pair(int(text)))
        setattr(pair, kind, event.stream)
        if not (pair.data and pair.error):
            return
        del self._pairs[key]
        flow = self._flows[pair.data] = Flow(pair.port)
        self._start(flow, self._spdy_connection(pair, flow))

    async def _spdy_connection(self, pair: Pair, flow: Flow) -> None:
        """One connection, both ways; its end is the end of both streams, which tells the client."""

        async def down(data: bytes) -> None:
            await self._send(self._writer.data(pair.data, data))

        try:
            await self._carry(flow, down)
        except ConnectionError as error:
            await self._send(self._writer.data(pair.error, str(error).encode()))
        finally:
            self._flows.pop(pair.data, None)
            self._open -= 2
            flow.give_up()
        await self._send(self._writer.data(pair.data, b"", last=True))
        await self._send(self._writer.data(pair.error, b"", last=True))

    # channels

    async def channels(self, ports: list[int]) -> None:
        """Serve two channels a port until the client goes away, or every connection has ended."""
        started: list[asyncio.Task[None]] = []
        for number, port in enumerate(ports):
            for channel in (2 * number, 2 * number + 1):
                await self._send(bytes([channel]) + port.to_bytes(2, "little"))
            flow = self._flows[2 * number] = Flow(port)
            started.append(self._start(flow, self._channel_connection(number, flow)))
        reading = asyncio.ensure_future(self._read_channels())
        carrying = asyncio.ensure_future(asyncio.wait(started))
        try:
            await asyncio.wait({reading, carrying}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            reading.cancel()
            carrying.cancel()

    async def _read_channels(self) -> None:
        while (message := await self._wire.receive()) is not None:
            known = self._flows.get(message[0]) if message else None
            if known is not None:
                await known.put(message[1:], last=False)

    async def _channel_connection(self, number: int, flow: Flow) -> None:
        async def down(data: bytes) -> None:
            await self._send(bytes([2 * number]) + data)

        try:
            await self._carry(flow, down)
        except ConnectionError as error:
            await self._send(bytes([2 * number + 1]) + str(error).encode())
        finally:
            flow.give_up()

    # connections

    def _start(self, flow: Flow, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks[flow] = task
        task.add_done_callback(lambda done: self._finished(flow, done))
        return task

    def _finished(self, flow: Flow, done: asyncio.Future[None]) -> None:
        self._tasks.pop(flow, None)
        if not done.cancelled() and done.exception() is not None:
            log.info("a forwarded connection ended: %s", done.exception())

    async def _carry(self, flow: Flow, down: Send) -> None:
        """Carry bytes until the pod is done; ConnectionError when there is no connection to be had."""
        connection = await self._target.open(flow.port)
        clock = self._target.clock
        socket = await wait(spawn(connection.stream()), clock)
        up = asyncio.ensure_future(_up(flow, socket, clock))
        reading = None
        try:
            while True:
                reading = spawn(socket.read())
                if not (data := await wait(reading, clock)):
                    return
                await down(data)
        except NetworkError:
            return
        finally:
            if reading is not None:
                reading.cancel()
            up.cancel()
            connection.close()


async def _up(flow: Flow, socket: Socket, clock: Clock) -> None:
    """From the client to the pod."""
    while data := await flow.take():
        writing = spawn(socket.write(data))
        try:
            await wait(writing, clock)
        except NetworkError:
            return
        finally:
            writing.cancel()
    socket.shut()
