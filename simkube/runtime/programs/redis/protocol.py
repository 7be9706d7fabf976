"""RESP 2, the protocol: replies as bytes, and commands and replies read off a socket. Everything is bounded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from simkube.runtime.cri import NetworkError
from simkube.runtime.network.sockets import Socket
from simkube.runtime.programs.redis.values import Refused, Reply

MOST_WORDS, LONGEST = 1024, 512 * 1024


def encode(reply: Reply) -> bytes:
    """A reply as RESP."""
    if reply is None:
        return b"$-1\r\n"
    if isinstance(reply, Exception):
        return f"-{reply}\r\n".encode()
    if isinstance(reply, int):
        return f":{reply}\r\n".encode()
    if isinstance(reply, str):
        return f"+{reply}\r\n".encode()
    if isinstance(reply, bytes):
        return f"${len(reply)}\r\n".encode() + reply + b"\r\n"
    return f"*{len(reply)}\r\n".encode() + b"".join(encode(one) for one in reply)


def request(words: Sequence[str]) -> bytes:
    """A command as RESP."""
    return encode([word.encode("utf-8", "surrogateescape") for word in words])


async def read_command(socket: Socket) -> list[bytes]:
    """The next command, inline or as an array; [] at the end. :class:`Refused` for what is neither."""
    line = (await socket.read_until(b"\n", LONGEST)).strip()
    if not line.startswith(b"*"):
        return line.split()
    if not line[1:].isdigit() or len(line) > 6 or int(line[1:]) > MOST_WORDS:
        raise Refused("ERR Protocol error: invalid multibulk length")
    words = []
    for _ in range(int(line[1:])):
        head = (await socket.read_until(b"\n", 64)).strip()
        if head[:1] != b"$" or not head[1:].isdigit() or len(head) > 8 or int(head[1:]) > LONGEST:
            raise Refused("ERR Protocol error: invalid bulk length")
        words.append((await socket.read_exactly(int(head[1:]) + 2))[:-2])
    return words


async def read_reply(socket: Socket, depth: int = 0) -> Any:
    """One reply: int, bytes, None, a list of these, ``str`` for a status, :class:`Refused` for an error."""
    line = (await socket.read_until(b"\n", LONGEST)).rstrip(b"\r\n")
    if not line or depth > 8:
        raise NetworkError("reset", "Connection reset by peer")
    kind, rest = line[:1], line[1:]
    if kind == b"+":
        return rest.decode("utf-8", "replace")
    if kind == b"-":
        return Refused(rest.decode("utf-8", "replace"))
    size = int(rest) if rest.lstrip(b"-").isdigit() and len(rest) < 20 else 0
    if kind == b":":
        return size
    if kind == b"*":
        return [await read_reply(socket, depth + 1) for _ in range(min(size, 100_000))]
    return None if size < 0 else (await socket.read_exactly(size + 2))[:-2]
