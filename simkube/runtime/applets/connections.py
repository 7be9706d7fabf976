"""``nc`` and ``telnet``: bytes over TCP, both ways, as busybox has them. UDP is refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from simkube.clock.clock import Future, TimedOut, within
from simkube.runtime.applets.fetching import address_of
from simkube.runtime.applets.options import Options, integer, parse, seconds_of
from simkube.runtime.cri import NetworkError
from simkube.runtime.executables import which
from simkube.runtime.network.network import Connection
from simkube.runtime.network.sockets import Socket, SocketStream
from simkube.runtime.nodes import FileError
from simkube.runtime.process import Process

USAGE = "nc: usage: nc [-zvn] [-w SECS] [-p PORT] HOST PORT, or nc -l [-k] -p PORT [-e PROG ARGS]\n"
TIMEOUT = 200.0


async def nc(process: Process) -> int:
    """``nc [-zvn] [-w S] HOST PORT [-e PROG...]``; ``nc -l [-k] -p PORT [-e PROG...]``: one connection, or many."""
    words, command = _split(process.argv[1:])
    process.argv[1:] = words
    options = await parse(process, "zvlnkuN", "wpiq")
    if "u" in options:
        await process.err("nc: UDP is not simulated\n")
        return 1
    if "l" in options:
        return await _listen(process, options, command)
    port = integer(options.operands[1]) if len(options.operands) == 2 else None
    if port is None or not 0 < port < 65536:
        await process.err(USAGE)
        return 1
    timeout = seconds_of(options.values.get("w", ""))
    connection = await _connect(process, options.operands[0], port, timeout or TIMEOUT, "nc")
    if connection is None:
        return 1
    try:
        if "v" in options:
            where = await address_of(process, options.operands[0])
            await process.err(f"{options.operands[0]} ({where}:{port}) open\n")
        if "z" in options:
            return 0
        socket = await connection.stream()
        if command:
            return await _program(process, socket, command)
        return await _talk(process, socket, timeout)
    finally:
        connection.close()


def _split(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """What comes before ``-e`` (or ``-c``), and the command behind it."""
    for at, word in enumerate(words):
        if word.startswith("-") and not word.startswith("--") and word.endswith("e") and len(word) > 1:
            return [*words[:at], *([word[:-1]] if len(word) > 2 else [])], list(words[at + 1 :])
    return list(words), []


async def _connect(process: Process, host: str, port: int, timeout: float, name: str) -> Connection | None:
    """None after saying why there is no connection."""
    sandbox = process.container.sandbox
    try:
        connecting = sandbox.network.connect(sandbox.ip, host, port, sandbox.config)
        return await within(process.container.clock, timeout, connecting)
    except TimedOut:
        where = f"{await address_of(process, host)}:{port}"
        await process.err(f"{name}: {host} ({where}): Connection timed out\n")
    except NetworkError as error:
        if error.kind == "name":
            await process.err(f"{name}: bad address '{host}'\n")
        else:
            where = f"{await address_of(process, host)}:{port}"
            await process.err(f"{name}: {host} ({where}): {error}\n")
    return None


async def _talk(process: Process, socket: Socket, idle: float | None = None) -> int:
    """Standard input to the socket, the socket to standard output, until the other end is done (or idle so long)."""
    sending = process.spawn(_send(process, socket))
    try:
        while True:
            reading = socket.read()
            data = await (reading if idle is None else within(process.container.clock, idle, reading))
            if not data:
                return 0
            await process.out(data)
    except TimedOut:
        return 1
    except NetworkError as error:
        await process.err(f"nc: {error}\n")
        return 1
    finally:
        sending.cancel()


async def _send(process: Process, socket: Socket) -> None:
    try:
        while data := await process.read():
            await socket.write(data)
    except NetworkError:
        return
    socket.shut()


async def _program(process: Process, socket: Socket, command: list[str]) -> int:
    """Run a program whose input and outputs are the connection."""
    try:
        path = which(process.container.files, command[0], process.env, process.cwd)
        program, arguments = process.container.load(path, command, process.env)
        child = process.child(arguments)
    except FileError as error:
        await process.err(f"nc: can't execute '{command[0]}': {error.strerror}\n")
        return 127
    stream = SocketStream(socket)
    for number in (0, 1, 2):
        child.set_fd(number, stream if number == 0 else stream.hold())
    child.run(program)
    return await child.exited


async def _listen(process: Process, options: Options, command: list[str]) -> int:
    port = integer(options.values.get("p") or (options.operands[-1] if options.operands else ""))
    if port is None or not 0 < port < 65536:
        await process.err(USAGE)
        return 1
    server = _Server(process, command, once="k" not in options)
    try:
        server.listener = process.container.sandbox.ports.listen(process, port, accept=server.accept)
    except FileError as error:
        await process.err(f"nc: bind: {error.strerror}\n")
        return 1
    return await server.ended


class _Server:
    """``once``: the first connection is the last. Without a program one connection is talked to at a time."""

    def __init__(self, process: Process, command: list[str], *, once: bool) -> None:
        self._process = process
        self._command = command
        self._once = once
        self._busy: Future[None] | None = None
        self.listener: Any = None
        self.ended: Future[int] = Future()

    async def accept(self, socket: Socket) -> None:
        """One connection."""
        if self._once:
            self.listener.close()
        if self._command:
            code = await _program(self._process, socket, self._command)
        else:
            while self._busy is not None and not self._busy.done:
                await self._busy
            self._busy = Future()
            code = await _talk(self._process, socket)
            self._busy.set(None)
        socket.close()
        if self._once:
            self.ended.set(code)


async def telnet(process: Process) -> int:
    """``telnet HOST [PORT]``"""
    words = process.argv[1:]
    port = integer(words[1]) if len(words) > 1 else 23
    if not words or len(words) > 2 or port is None or not 0 < port < 65536:
        await process.err("telnet: usage: telnet HOST [PORT]\n")
        return 1
    connection = await _connect(process, words[0], port, TIMEOUT, "telnet")
    if connection is None:
        return 1
    await process.out(f"Connected to {words[0]}\n")
    try:
        code = await _talk(process, await connection.stream())
        await process.err("Connection closed by foreign host\n")
        return code
    finally:
        connection.close()
