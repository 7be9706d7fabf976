"""``pods/NAME/exec`` and ``pods/NAME/attach``: a command in a container, or its first process, over a WebSocket.

The exit code comes as a Status on the error channel. When the client goes away its command gets SIGHUP, then SIGKILL,
so that nothing is left running for nobody; a container's own first process is never ended by a detaching client.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass

from aiohttp import web

from simkube.apimachinery.errors import bad_request
from simkube.apiserver.streams.bridge import Outbox, wait
from simkube.apiserver.streams.channels import (
    CLOSE,
    ERROR,
    RESIZE,
    STDERR,
    STDIN,
    STDOUT,
    Channels,
    exited,
    failed,
    is_websocket,
    need_upgrade,
    size_of,
    success,
)
from simkube.apiserver.streams.limits import BUFFER, Budget, buffers, slot
from simkube.apiserver.streams.spdy_channels import SPDYChannels
from simkube.apiserver.streams.target import StreamCluster, container_name, find_pod, running_container
from simkube.client.client import Caller, Obj
from simkube.clock.clock import Clock, Future
from simkube.runtime.cri import Container, StartError, Stdin

SIGHUP, SIGKILL = 1, 9
LINGER = 5.0
"""Cluster seconds between SIGHUP and SIGKILL of a command whose client went away."""
_TRUE = {"true", "1", "t", "True", "TRUE", "T"}
_NUMBER = {"stdout": STDOUT, "stderr": STDERR}


AnyChannels = Channels | SPDYChannels


@dataclass(frozen=True)
class Asked:
    """The streams and the command of a request."""

    stdin: bool
    stdout: bool
    stderr: bool
    tty: bool
    command: tuple[str, ...] = ()


def _asked(request: web.Request) -> Asked:
    query = request.query
    chosen = {name: query.get(name) in _TRUE for name in ("stdin", "stdout", "stderr", "tty")}
    if chosen["tty"] and chosen["stderr"]:
        chosen["stderr"] = False
    if not (chosen["stdin"] or chosen["stdout"] or chosen["stderr"]):
        raise bad_request("you must specify at least one of stdin, stdout, stderr")
    return Asked(**chosen, command=tuple(query.getall("command", [])))


def _container(cluster: StreamCluster, request: web.Request, pod: Obj, verb: str) -> Container | web.Response:
    name = container_name(pod, request.query.get("container", ""))
    container = running_container(cluster, pod, name, verb)
    if container is None:
        return web.Response(status=500, text=f'container not found ("{name}")')
    return container


def _output(outbox: Outbox, asked: Asked) -> Callable[[str, bytes], None]:
    wanted = {"stdout": asked.stdout, "stderr": asked.stderr}

    def put(stream: str, data: bytes) -> None:
        if data and wanted.get(stream):
            outbox.put(_NUMBER[stream], data)

    return put


async def _accept(request: web.Request, asked: Asked) -> AnyChannels:
    """Upgrade the connection to what the client speaks."""
    if is_websocket(request):
        return await Channels.accept(request)
    chosen = {STDIN: asked.stdin, STDOUT: asked.stdout, STDERR: asked.stderr, ERROR: True, RESIZE: asked.tty}
    return await SPDYChannels.accept(request, [channel for channel, wanted in chosen.items() if wanted])


async def _greet(channels: AnyChannels, asked: Asked) -> None:
    """Tell the client that the streams are there, on the first channel that can be written."""
    await channels.greet(STDOUT if asked.stdout else STDERR if asked.stderr else ERROR)


async def _read(channels: AnyChannels, stdin: Stdin | None, resize: Callable[[int, int], None], *, close: bool) -> None:
    """Pass on what the client sends until it goes away."""
    async for channel, data in channels.receive():
        if channel == STDIN and stdin is not None:
            stdin.write(data)
        elif channel == RESIZE and (size := size_of(data)) is not None:
            resize(*size)
        elif channel == CLOSE and data == bytes([STDIN]) and stdin is not None and close:
            stdin.close()


async def _write(channels: AnyChannels, outbox: Outbox) -> None:
    """Send what comes out until nothing more comes."""
    while (piece := await outbox.take()) is not None:
        await channels.send(*piece)


async def _stream(
    clock: Clock, channels: AnyChannels, outbox: Outbox, reading: asyncio.Task[None], ended: Future[int]
) -> int | None:
    """Carry both directions; the exit code, or None when the client went away or did not read."""
    writing = asyncio.ensure_future(_write(channels, outbox))
    ending = asyncio.ensure_future(wait(ended, clock))
    ending.add_done_callback(lambda _: outbox.close())
    try:
        await asyncio.wait({writing, reading}, return_when=asyncio.FIRST_COMPLETED)
        if not writing.done():
            return None
        writing.result()
        return None if outbox.overflowed or not ended.done else ended.result()
    except (ConnectionError, TimeoutError):
        return None
    finally:
        for task in (writing, reading, ending):
            task.cancel()
        await asyncio.gather(writing, reading, ending, return_exceptions=True)


async def _guarded(cluster: StreamCluster, channels: AnyChannels, work: Coroutine[None, None, None]) -> None:
    """Do the work of an accepted stream; from here on, an HTTP answer would only garble it."""
    with suppress(ConnectionError, TimeoutError):  # the client is gone: there is nobody to tell
        try:
            await work
        except (ConnectionError, TimeoutError):
            raise
        except Exception as error:  # noqa: BLE001 - a fault in a simulated program, say: told without its traceback
            cluster.clock.crashes.handle("kube-apiserver", "serving a stream", error)
            await channels.end(failed("the stream failed; the host's log has the cause"))


async def execute(
    cluster: StreamCluster, request: web.Request, caller: Caller, namespace: str, name: str
) -> web.StreamResponse:
    """Run a command in a container of the pod."""
    del caller  # who may do it was decided before; who did it is the audit's business
    pod = find_pod(cluster, namespace, name)
    asked = _asked(request)
    container = _container(cluster, request, pod, "exec")
    if isinstance(container, web.Response):
        return container
    if not asked.command:
        raise bad_request("you must specify a command")
    need_upgrade(request)
    with slot(cluster, "exec"):
        channels = await _accept(request, asked)
        try:
            await _guarded(cluster, channels, _run(cluster.clock, channels, container, asked, buffers(cluster)))
        finally:
            cluster.kubelets[pod["spec"]["nodeName"]].touched(pod["metadata"]["uid"])
        return channels.response


async def _run(clock: Clock, channels: AnyChannels, container: Container, asked: Asked, budget: Budget) -> None:
    outbox = Outbox(BUFFER, budget)
    await _greet(channels, asked)
    try:
        process = container.exec(asked.command, _output(outbox, asked), tty=asked.tty)
    except StartError as error:
        text = f'failed to exec in container: failed to start exec "{container.id}": {error}'
        await channels.end(failed(f"error executing command in container: {text}"))
        return
    if not asked.stdin and not asked.tty:
        process.stdin.close()
    reading = asyncio.ensure_future(_read(channels, process.stdin if asked.stdin else None, process.resize, close=True))
    code = None
    try:
        code = await _stream(clock, channels, outbox, reading, process.exited)
    finally:
        outbox.discard()
        if not process.exited.done:
            process.signal(SIGHUP)
            clock.call_later(LINGER, lambda: process.signal(SIGKILL))
    if code is not None:
        await channels.end(exited(code))
    elif outbox.overflowed:
        await channels.end(failed("the command's output was not read fast enough; write less, or into a file"))


async def attach(
    cluster: StreamCluster, request: web.Request, caller: Caller, namespace: str, name: str
) -> web.StreamResponse:
    """Connect to the first process of a container of the pod."""
    del caller  # as for execute
    pod = find_pod(cluster, namespace, name)
    asked = _asked(request)
    container = _container(cluster, request, pod, "attach")
    if isinstance(container, web.Response):
        return container
    need_upgrade(request)
    with slot(cluster, "exec"):
        channels = await _accept(request, asked)
        once = _stdin_once(pod, container)
        await _guarded(cluster, channels, _attached(cluster, channels, container, asked, once=once))
        return channels.response


def _stdin_once(pod: Obj, container: Container) -> bool:
    fields = ("containers", "initContainers", "ephemeralContainers")
    found = (one for field in fields for one in pod["spec"].get(field) or [])
    return any(one["name"] == container.config.name and one.get("stdinOnce") for one in found)


async def _attached(
    cluster: StreamCluster, channels: AnyChannels, container: Container, asked: Asked, *, once: bool
) -> None:
    outbox = Outbox(BUFFER, buffers(cluster))
    await _greet(channels, asked)
    attachment = container.attach(_output(outbox, asked))
    stdin = attachment.stdin if asked.stdin else None
    reading = asyncio.ensure_future(_read(channels, stdin, attachment.resize, close=once))
    try:
        ended = await _stream(cluster.clock, channels, outbox, reading, container.exited) is not None
    finally:
        outbox.discard()
        attachment.detach()
        if once and stdin is not None:
            stdin.close()
    if ended:
        await channels.end(success())
    elif outbox.overflowed:
        await channels.end(failed("the container's output was not read fast enough"))
