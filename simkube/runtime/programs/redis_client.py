"""How simulated applications talk to a redis server."""

from __future__ import annotations

from simkube.clock.clock import TimedOut, within
from simkube.runtime.cri import NetworkError
from simkube.runtime.process import Process

PORT = 6379
SECONDS = 3.0
_LONGEST = 1 << 20


async def ask(process: Process, host: str, *words: str) -> list[str]:
    """The reply to one command as texts: one for a single value, none for nil. NetworkError, TimedOut; an error reply
    is a NetworkError of kind ``reply``."""
    sandbox, clock = process.container.sandbox, process.container.clock
    connection = await within(clock, SECONDS, sandbox.network.connect(sandbox.ip, host, PORT, sandbox.config))
    try:
        socket = await connection.stream()
        parts = [f"${len(word.encode())}\r\n{word}\r\n" for word in words]
        await socket.write(f"*{len(words)}\r\n{''.join(parts)}".encode())

        async def line() -> bytes:
            return (await socket.read_until(b"\n", _LONGEST)).rstrip(b"\r\n")

        async def one() -> list[str]:
            head = await line()
            kind, rest = head[:1], head[1:].decode("utf-8", "replace")
            if kind == b"-":
                raise NetworkError("reply", rest)
            if kind == b"*":
                return [value for _ in range(max(0, min(int(rest), 10_000))) for value in await one()]
            if kind == b"$":
                size = min(int(rest), _LONGEST)
                return [] if size < 0 else [(await socket.read_exactly(size + 2))[:-2].decode("utf-8", "replace")]
            return [rest] if head else []

        return await within(clock, SECONDS, one())
    except ValueError:
        raise NetworkError("reply", "not a redis server") from None
    finally:
        connection.close()


__all__ = ["NetworkError", "TimedOut", "ask"]
