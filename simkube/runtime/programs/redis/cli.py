"""``redis-cli``: one command, those of standard input, or a conversation on a terminal."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

from simkube.clock.clock import TimedOut, within
from simkube.runtime.applets.options import integer, seconds_of
from simkube.runtime.cri import NetworkError
from simkube.runtime.network.network import Connection
from simkube.runtime.network.sockets import Socket
from simkube.runtime.process import Process
from simkube.runtime.programs.redis.protocol import read_reply, request
from simkube.runtime.programs.redis.values import Refused
from simkube.runtime.shell.line_input import read_line

_VALUED = {
    "-h": "host",
    "-p": "port",
    "-a": "password",
    "--pass": "password",
    "-n": "base",
    "--user": "user",
    "-u": "url",
    "-r": "repeat",
    "-i": "pause",
}
_FLAGS = ("--raw", "--no-raw", "--no-auth-warning", "-x", "-e", "-2", "-3", "--verbose", "--scan", "--version", "-v")


@dataclass(slots=True)
class _Options:
    host: str = "127.0.0.1"
    port: str = "6379"
    password: str = ""
    user: str = ""
    base: str = "0"
    url: str = ""
    repeat: str = "1"
    pause: str = "0"
    flags: set[str] = field(default_factory=set)
    command: list[str] = field(default_factory=list)


async def redis_cli(process: Process) -> int:
    """``redis-cli [-h HOST] [-p PORT] [-a PASSWORD] [-n DB] [-u URL] [--raw] [-r N] [-i S] [-x] [COMMAND...]``"""
    words, options = process.argv[1:], _Options(password=process.env.get("REDISCLI_AUTH", ""))
    given = False
    while words and words[0].startswith("-"):
        word = words.pop(0)
        if word in _VALUED and words:
            setattr(options, _VALUED[word], words.pop(0))
            given = given or word in ("-a", "--pass", "-u")
        elif word in _FLAGS:
            options.flags.add(word)
        else:
            await process.err(f"Unrecognized option or bad number of args for: '{word}' (or not simulated)\n")
            return 1
    options.command = words
    if options.flags & {"--version", "-v"}:
        await process.out(f"redis-cli {process.container.spec.version or process.env.get('REDIS_VERSION', '7.4.2')}\n")
        return 0
    if options.url:
        _take_url(options)
    if given and options.password and "--no-auth-warning" not in options.flags:
        warning = "Using a password with '-a' or '-u' option on the command line interface may not be safe."
        await process.err(f"Warning: {warning}\n")
    if not (options.port.isdecimal() and len(options.port) < 6 and 0 < int(options.port) < 65536):
        await process.err("Invalid server port.\n")
        return 1
    return await _Talk(process, options).run()


def _take_url(options: _Options) -> None:
    """``redis://user:password@host:port/db``"""
    try:
        parts = urlsplit(options.url)
        port = parts.port
    except ValueError:
        return
    options.host, options.port = parts.hostname or options.host, str(port or options.port)
    options.base = parts.path.strip("/") or options.base
    options.password = unquote(parts.password or options.password)
    options.user = unquote(parts.username or options.user)


class _Talk:
    """The conversation with one server."""

    def __init__(self, process: Process, options: _Options) -> None:
        self._process = process
        self._options = options
        output = process.fds.get(1)
        terminal = output is not None and output.terminal
        self._formatted = (terminal or "--no-raw" in options.flags) and "--raw" not in options.flags
        self._connection: Connection | None = None
        self._socket: Socket | None = None
        self._base = options.base

    async def run(self) -> int:
        """The exit code."""
        process, options = self._process, self._options
        stream = process.fds.get(0)
        talking = not options.command and stream is not None and stream.terminal
        try:
            connected = await self._connect()
            if not connected and not talking:
                return 1
            if "--scan" in options.flags:
                return await self._scan()
            if options.command:
                return await self._commands()
            while True:
                if talking:
                    await process.out(self._prompt())
                line = await read_line(process)
                if line is None:
                    return 0
                if not await self._line(line):
                    return 0
        except NetworkError:
            await process.err("Error: Server closed the connection\n")
            return 1
        finally:
            if self._connection is not None:
                self._connection.close()

    async def _connect(self) -> bool:
        process, options = self._process, self._options
        sandbox, port = process.container.sandbox, int(options.port)
        try:
            connecting = sandbox.network.connect(sandbox.ip, options.host, port, sandbox.config)
            self._connection = await within(process.container.clock, 120.0, connecting)
            self._socket = await self._connection.stream()
        except (NetworkError, TimedOut) as error:
            why = "Name or service not known" if isinstance(error, NetworkError) and error.kind == "name" else error
            why = "Connection timed out" if isinstance(error, TimedOut) else why
            await process.err(f"Could not connect to Redis at {options.host}:{port}: {why}\n")
            return False
        if options.password:
            reply = await self._ask(["AUTH", *([options.user] if options.user else []), options.password])
            if isinstance(reply, Refused):
                await process.err(f"AUTH failed: {reply}\n")
        if options.base not in ("", "0"):
            reply = await self._ask(["SELECT", options.base])
            if isinstance(reply, Refused):
                await process.err(f"SELECT {options.base} failed: {reply}\n")
        return True

    async def _ask(self, words: list[str]) -> Any:
        assert self._socket is not None
        await self._process.work(2)
        await self._socket.write(request(words))
        return await read_reply(self._socket)

    async def _commands(self) -> int:
        options, command = self._options, list(self._options.command)
        if "-x" in options.flags:
            data = bytearray()
            while part := await self._process.read():
                data += part
            command.append(data.decode("utf-8", "surrogateescape"))
        times = integer(options.repeat) or 1
        pause = seconds_of(options.pause) or 0.0
        status = 0
        for number in range(max(1, times)):
            if number and pause:
                await self._process.sleep(pause)
            status = await self._one(command)
        return status

    async def _one(self, words: list[str]) -> int:
        reply = await self._ask(words)
        await self._process.out(self._shown(reply))
        if words[0].lower() in ("subscribe", "psubscribe") and not isinstance(reply, Refused):
            while True:
                assert self._socket is not None
                await self._process.out(self._shown(await read_reply(self._socket)))
        return int(isinstance(reply, Refused) and ("-e" in self._options.flags or str(reply).startswith("ERR unknown")))

    async def _scan(self) -> int:
        reply = await self._ask(["SCAN", "0"])
        for key in reply[1] if isinstance(reply, list) else []:
            await self._process.out(key + b"\n")
        return 0

    def _prompt(self) -> str:
        if self._socket is None:
            return "not connected> "
        base = "" if self._base in ("", "0") else f"[{self._base}]"
        return f"{self._options.host}:{self._options.port}{base}> "

    async def _line(self, line: str) -> bool:
        """One line that was typed; False when it ends the conversation."""
        try:
            words = shlex.split(line)
        except ValueError:
            await self._process.out("Invalid argument(s)\n")
            return True
        if not words:
            return True
        name = words[0].lower()
        if name in ("exit", "quit"):
            return False
        if name == "clear":
            await self._process.out("\x1b[H\x1b[2J")
            return True
        if self._socket is None and not await self._connect():
            return True
        try:
            await self._one(words)
        except NetworkError:
            self._socket = None
            if name == "shutdown":
                return True
            await self._process.err("Error: Server closed the connection\n")
            return True
        if name == "select" and len(words) == 2 and words[1].isdecimal():
            self._base = words[1]
        return True

    def _shown(self, reply: Any) -> str:
        return f"{formatted(reply)}\n" if self._formatted else _raw(reply)


def _raw(reply: Any) -> str:
    """As redis-cli prints when its output is no terminal."""
    if isinstance(reply, list):
        return "".join(_raw(one) for one in reply) or "\n"
    text = "" if reply is None else reply.decode("utf-8", "replace") if isinstance(reply, bytes) else str(reply)
    return f"{text}\n"


def formatted(reply: Any, prefix: str = "") -> str:
    """As redis-cli prints on a terminal."""
    if isinstance(reply, Refused):
        return f"(error) {reply}"
    if reply is None:
        return "(nil)"
    if isinstance(reply, int):
        return f"(integer) {reply}"
    if isinstance(reply, str):
        return reply
    if isinstance(reply, bytes):
        return '"' + "".join(_visible(byte) for byte in reply) + '"'
    if not reply:
        return "(empty array)"
    width = len(str(len(reply)))
    rows = []
    for number, one in enumerate(reply, 1):
        head = f"{number:>{width}}) "
        rows.append((prefix if number > 1 else "") + head + formatted(one, prefix + " " * len(head)))
    return "\n".join(rows)


def _visible(byte: int) -> str:
    special = {10: "\\n", 13: "\\r", 9: "\\t", 7: "\\a", 8: "\\b", 34: '\\"', 92: "\\\\"}
    return special.get(byte, chr(byte) if 32 <= byte < 127 else f"\\x{byte:02x}")
