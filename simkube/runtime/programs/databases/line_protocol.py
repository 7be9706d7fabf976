"""How simulated clients and servers of databases talk: lines of JSON.

These are not the protocols of the real ones: only the simulated clients understand them, and a client outside the
cluster gets no answer through a forwarded port.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Protocol

from simkube.clock.clock import TimedOut, within
from simkube.runtime.cri import NetworkError
from simkube.runtime.network.sockets import Socket
from simkube.runtime.process import Process

_LONGEST = 256 * 1024
CONNECT_SECONDS = 30.0


class Dialect(Protocol):
    """How one kind of server answers."""

    def greet(self, asked: Mapping[str, Any], peer: str) -> dict[str, Any]:
        """The answer to a client that has just said who it is: ``{}``, or ``{"error": text}``."""

    def answer(self, statement: str, asked: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to one statement."""


async def converse(process: Process, socket: Socket, dialect: Dialect) -> None:
    """One client: first who it is, then its statements."""
    peer = socket.peer.rpartition(":")[0]
    asked = _read(await socket.read_until(b"\n", _LONGEST))
    if asked is None:
        return
    greeting = dialect.greet(asked, peer)
    await socket.write(_written(greeting))
    while not greeting.get("error"):
        request = _read(await socket.read_until(b"\n", _LONGEST))
        if request is None:
            return
        await process.work(3)
        asked.update({key: value for key, value in request.items() if key == "database"})
        answer = dialect.answer(str(request.get("sql", "")), asked)
        asked["database"] = answer.get("database", asked.get("database", ""))
        await socket.write(_written(answer))


class Client:
    """The client's end of a conversation."""

    def __init__(self, process: Process, host: str, port: int) -> None:
        self._process = process
        self._host, self._port = host, port
        self._connection: Any = None
        self._socket: Any = None

    async def greet(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Connect and say who one is; NetworkError, TimedOut."""
        sandbox = self._process.container.sandbox
        connecting = sandbox.network.connect(sandbox.ip, self._host, self._port, sandbox.config)
        self._connection = await within(self._process.container.clock, CONNECT_SECONDS, connecting)
        self._socket = await self._connection.stream()
        await self._socket.write(_written(asked))
        return await self._answer()

    async def ask(self, statement: str) -> dict[str, Any]:
        """One statement; NetworkError when the server is gone."""
        await self._socket.write(_written({"sql": statement}))
        return await self._answer()

    async def _answer(self) -> dict[str, Any]:
        answer = _read(await self._socket.read_until(b"\n", _LONGEST * 8))
        if answer is None:
            raise NetworkError("reset", "Connection reset by peer")
        return answer

    def close(self) -> None:
        """Hang up; a no-op without a connection."""
        if self._connection is not None:
            self._connection.close()


def _written(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, default=_text).encode() + b"\n"


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _read(line: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(line or b"null")
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def why_not_connected(error: Exception) -> str:
    """``refused``, ``timeout`` or ``name``."""
    if isinstance(error, TimedOut):
        return "timeout"
    return error.kind if isinstance(error, NetworkError) else "refused"
