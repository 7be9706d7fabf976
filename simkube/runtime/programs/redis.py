"""``redis-server`` and ``redis-cli``: the commands of a first lesson, over TCP, as redis words them.

Data lives in memory; with a directory ``/data`` it is written to ``dump.rdb`` at an orderly end and read at the start,
as with redis' own save points, in a form of this simulation. Replication, clusters, scripts, streams and transactions
are refused as unknown commands are.
"""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

from simkube.clock.clock import TimedOut, within
from simkube.runtime.cri import NetworkError
from simkube.runtime.network.sockets import Socket
from simkube.runtime.nodes import FileError
from simkube.runtime.process import Process
from simkube.runtime.programs.serving import stop_request

PORT = 6379
MOST_BYTES = 4 << 20
"""What all keys and values may take together."""
_MOST_WORDS, _LONGEST = 1024, 512 * 1024
_DUMP = "/data/dump.rdb"
_MAGIC = b"REDIS0011 simulated\n"

Reply = str | int | bytes | Sequence[bytes | None] | None | Exception


class Refused(Exception):
    """An error reply."""


class Database:
    """Keys to strings or lists, with the times at which they expire."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self.values: dict[bytes, bytes | list[bytes]] = {}
        self.expires: dict[bytes, float] = {}
        self.size = 0

    def run(self, words: list[bytes]) -> Reply:
        """The reply to one command; :class:`Refused`."""
        name = words[0].decode("utf-8", "replace").lower()
        least_most = _COMMANDS.get(name)
        if least_most is None:
            shown = " ".join(f"'{word.decode('utf-8', 'replace')[:128]}'" for word in words[1:4])
            raise Refused(f"ERR unknown command '{name[:128]}', with args beginning with: {shown} ")
        command, least, most = least_most
        if not least <= len(words) - 1 <= most:
            raise Refused(f"ERR wrong number of arguments for '{name}' command")
        for key in [key for key, when in self.expires.items() if when <= self._now()]:
            self._drop(key)
        return command(self, words[1:])

    def _drop(self, key: bytes) -> bool:
        value = self.values.pop(key, None)
        self.expires.pop(key, None)
        if value is None:
            return False
        self.size -= len(key) + _size(value)
        return True

    def put(self, key: bytes, value: bytes | list[bytes]) -> None:
        """Store a value; :class:`Refused` when there is no room."""
        old = self.values.get(key)
        grown = len(key) + _size(value) - (len(key) + _size(old) if old is not None else 0)
        if self.size + grown > MOST_BYTES:
            raise Refused("OOM command not allowed when used memory > 'maxmemory'.")
        self.size += grown
        self.values[key] = value

    def text(self, key: bytes) -> bytes | None:
        """A string; :class:`Refused` when it is a list."""
        value = self.values.get(key)
        if isinstance(value, list):
            raise Refused("WRONGTYPE Operation against a key holding the wrong kind of value")
        return value

    def items(self, key: bytes) -> list[bytes]:
        """A list, empty when there is none; :class:`Refused` when it is a string."""
        value = self.values.get(key, [])
        if not isinstance(value, list):
            raise Refused("WRONGTYPE Operation against a key holding the wrong kind of value")
        return value

    def set(self, words: list[bytes]) -> Reply:
        """``SET key value [EX s] [NX|XX]``"""
        key, value, options = words[0], words[1], [word.upper() for word in words[2:]]
        seconds = None
        while options:
            option = options.pop(0)
            if option == b"EX" and options:
                seconds = _number(options.pop(0))
            elif option in (b"NX", b"XX"):
                if (key in self.values) == (option == b"NX"):
                    return None
            else:
                raise Refused("ERR syntax error")
        self.put(key, value)
        self.expires.pop(key, None)
        if seconds is not None:
            self.expires[key] = self._now() + seconds
        return "OK"

    def add(self, key: bytes, amount: int) -> Reply:
        """``INCRBY``"""
        number = _number(self.text(key) or b"0") + amount
        self.put(key, str(number).encode())
        return number

    def append(self, words: list[bytes]) -> Reply:
        """``APPEND key value``"""
        value = (self.text(words[0]) or b"") + words[1]
        self.put(words[0], value)
        return len(value)

    def expire(self, words: list[bytes]) -> Reply:
        """``EXPIRE key seconds``"""
        if words[0] not in self.values:
            return 0
        self.expires[words[0]] = self._now() + _number(words[1])
        return 1

    def ttl(self, words: list[bytes]) -> Reply:
        """``TTL key``"""
        if words[0] not in self.values:
            return -2
        return round(self.expires[words[0]] - self._now()) if words[0] in self.expires else -1

    def delete(self, words: list[bytes]) -> Reply:
        """``DEL key...``"""
        return sum(self._drop(key) for key in words)

    def push(self, words: list[bytes], *, left: bool) -> Reply:
        """``LPUSH``, ``RPUSH``"""
        old = self.items(words[0])
        new = [*reversed(words[1:]), *old] if left else [*old, *words[1:]]
        self.put(words[0], new)
        return len(new)

    def range(self, words: list[bytes]) -> Reply:
        """``LRANGE key start stop``"""
        found, start, stop = self.items(words[0]), _number(words[1]), _number(words[2])
        stop = len(found) + stop if stop < 0 else stop
        return found[start if start >= 0 else max(0, len(found) + start) : stop + 1]

    def keys(self, words: list[bytes]) -> Reply:
        """``KEYS pattern``"""
        pattern = words[0].decode("utf-8", "replace")
        if len(pattern) > 128 or pattern.count("*") > 4:
            raise Refused("ERR a pattern with more than 4 stars is not simulated")
        return [key for key in self.values if fnmatch.fnmatchcase(key.decode("utf-8", "replace"), pattern)]

    def flush(self) -> Reply:
        """``FLUSHALL``"""
        self.values.clear()
        self.expires.clear()
        self.size = 0
        return "OK"

    def dump(self) -> bytes:
        """Everything, to be read by :meth:`load`."""
        rows = [
            [key.hex(), [one.hex() for one in value] if isinstance(value, list) else value.hex(), self.expires.get(key)]
            for key, value in self.values.items()
        ]
        return _MAGIC + json.dumps(rows).encode()

    def load(self, data: bytes) -> bool:
        """Take back what :meth:`dump` gave; False when it is something else."""
        if not data.startswith(_MAGIC):
            return False
        try:
            for key, value, when in json.loads(data[len(_MAGIC) :]):
                name = bytes.fromhex(key)
                self.put(
                    name, [bytes.fromhex(one) for one in value] if isinstance(value, list) else bytes.fromhex(value)
                )
                if when is not None:
                    self.expires[name] = float(when)
        except (ValueError, TypeError, RecursionError, Refused):
            return False
        return True


def _size(value: bytes | list[bytes]) -> int:
    return sum(map(len, value)) + 16 * len(value) if isinstance(value, list) else len(value)


def _number(word: bytes) -> int:
    try:
        if len(word) > 19:
            raise ValueError
        return int(word)
    except ValueError:
        raise Refused("ERR value is not an integer or out of range") from None


_INFO = "# Server\r\nredis_version:7.4.2\r\n# Keyspace\r\ndb0:keys={}\r\n"
_COMMANDS: dict[str, tuple[Callable[[Database, list[bytes]], Reply], int, int]] = {
    "ping": (lambda _, words: words[0] if words else "PONG", 0, 1),
    "echo": (lambda _, words: words[0], 1, 1),
    "set": (Database.set, 2, 6),
    "get": (lambda base, words: base.text(words[0]), 1, 1),
    "mget": (lambda base, words: [base.text(word) for word in words], 1, _MOST_WORDS),
    "del": (Database.delete, 1, _MOST_WORDS),
    "exists": (lambda base, words: sum(word in base.values for word in words), 1, _MOST_WORDS),
    "incr": (lambda base, words: base.add(words[0], 1), 1, 1),
    "decr": (lambda base, words: base.add(words[0], -1), 1, 1),
    "incrby": (lambda base, words: base.add(words[0], _number(words[1])), 2, 2),
    "decrby": (lambda base, words: base.add(words[0], -_number(words[1])), 2, 2),
    "append": (Database.append, 2, 2),
    "strlen": (lambda base, words: len(base.text(words[0]) or b""), 1, 1),
    "expire": (Database.expire, 2, 2),
    "ttl": (Database.ttl, 1, 1),
    "keys": (Database.keys, 1, 1),
    "dbsize": (lambda base, _: len(base.values), 0, 0),
    "flushall": (lambda base, _: base.flush(), 0, 1),
    "flushdb": (lambda base, _: base.flush(), 0, 1),
    "lpush": (lambda base, words: base.push(words, left=True), 2, _MOST_WORDS),
    "rpush": (lambda base, words: base.push(words, left=False), 2, _MOST_WORDS),
    "lrange": (Database.range, 3, 3),
    "llen": (lambda base, words: len(base.items(words[0])), 1, 1),
    "select": (lambda _, words: "OK" if words[0] == b"0" else Refused("ERR DB index is out of range"), 1, 1),
    "info": (lambda base, _: _INFO.format(len(base.values)).encode(), 0, 1),
}  # fmt: skip


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


async def read_command(socket: Socket) -> list[bytes]:
    """The next command, inline or as an array; [] at the end. :class:`Refused` for what is neither."""
    line = (await socket.read_until(b"\n", _LONGEST)).strip()
    if not line.startswith(b"*"):
        return line.split()
    if not line[1:].isdigit() or len(line) > 6 or int(line[1:]) > _MOST_WORDS:
        raise Refused("ERR Protocol error: invalid multibulk length")
    words = []
    for _ in range(int(line[1:])):
        head = (await socket.read_until(b"\n", 64)).strip()
        if head[:1] != b"$" or not head[1:].isdigit() or len(head) > 8 or int(head[1:]) > _LONGEST:
            raise Refused("ERR Protocol error: invalid bulk length")
        words.append((await socket.read_exactly(int(head[1:]) + 2))[:-2])
    return words


async def redis_server(process: Process) -> int:
    """``redis-server [FILE] [--port N] [--requirepass P]...``; other settings are let pass."""
    arguments = process.argv[1:]
    settings = dict(pairwise(arguments))
    port = settings.get("--port", str(PORT))
    number = int(port) if port.isdecimal() and len(port) < 6 else 0
    server = _Server(process, settings.get("--requirepass", ""))
    server.read()
    try:
        process.container.sandbox.ports.listen(process, number, accept=server.accept)
    except FileError as error:
        await process.out(f"# Could not create server TCP listening socket *:{number}: bind: {error.strerror}\n")
        return 1
    await process.out(f"1:M * Running mode=standalone, port={number}.\n1:M * Ready to accept connections tcp\n")
    await stop_request(process)
    await process.out("1:signal-handler Received SIGTERM scheduling shutdown...\n1:M * Saving the final RDB snapshot\n")
    server.write()
    await process.out("1:M # Redis is now ready to exit, bye bye...\n")
    return 0


class _Server:
    def __init__(self, process: Process, password: str) -> None:
        self._process = process
        self._password = password.encode()
        self._base = Database(process.container.clock.now)

    def read(self) -> None:
        """What was saved, when there is anything."""
        try:
            data = self._process.container.files.read(_DUMP)
        except FileError:
            return
        if not self._base.load(data):
            self._process.complain("1:M # Wrong signature trying to load DB from file")

    def write(self) -> None:
        """Save; a directory that is not there or full is complained about."""
        try:
            self._process.container.files.write(_DUMP, self._base.dump())
        except FileError as error:
            self._process.complain(f"1:M # Failed opening the temp RDB file: {error.strerror}")

    async def accept(self, socket: Socket) -> None:
        """One client."""
        known = not self._password
        while True:
            try:
                words = await read_command(socket)
            except Refused as error:
                await socket.write(encode(error))
                return
            if not words:
                return
            name = words[0].lower()
            await self._process.work(1)
            if name == b"quit":
                await socket.write(encode("OK"))
                return
            reply: Reply
            if name == b"auth":
                known = bool(self._password) and words[-1] == self._password
                reply = "OK" if known else Refused("WRONGPASS invalid username-password pair or user is disabled.")
            elif not known:
                reply = Refused("NOAUTH Authentication required.")
            else:
                reply = self._answer(words)
            await socket.write(encode(reply))

    def _answer(self, words: list[bytes]) -> Reply:
        try:
            return self._base.run(words)
        except Refused as error:
            return error


async def redis_cli(process: Process) -> int:
    """``redis-cli [-h HOST] [-p PORT] [-a PASSWORD] [COMMAND...]``; without a command those of standard input."""
    words = process.argv[1:]
    options = {"-h": "127.0.0.1", "-p": str(PORT), "-a": process.env.get("REDISCLI_AUTH", "")}
    while len(words) > 1 and words[0] in options:
        options[words[0]], words = words[1], words[2:]
    host, port = options["-h"], options["-p"]
    if not (port.isdecimal() and len(port) < 6 and 0 < int(port) < 65536):
        await process.err("Invalid server port.\n")
        return 1
    sandbox = process.container.sandbox
    try:
        connecting = sandbox.network.connect(sandbox.ip, host, int(port), sandbox.config)
        connection = await within(process.container.clock, 120.0, connecting)
        socket = await connection.stream()
    except (NetworkError, TimedOut) as error:
        why = "Name or service not known" if isinstance(error, NetworkError) and error.kind == "name" else error
        why = "Connection timed out" if isinstance(error, TimedOut) else why
        await process.err(f"Could not connect to Redis at {host}:{port}: {why}\n")
        return 1
    try:
        if options["-a"]:
            await _ask(process, socket, ["AUTH", options["-a"]])
        if words:
            await process.out(await _ask(process, socket, words))
            return 0
        data = bytearray()
        while part := await process.read():
            data += part
        for line in data.decode("utf-8", "replace").splitlines():
            if line.split():
                await process.out(await _ask(process, socket, line.split()))
        return 0
    except NetworkError:
        await process.err("Error: Server closed the connection\n")
        return 1
    finally:
        connection.close()


async def _ask(process: Process, socket: Socket, words: list[str]) -> str:
    await process.work(2)
    await socket.write(encode([word.encode("utf-8", "surrogateescape") for word in words]))
    return _shown(await _read_reply(socket))


async def _read_reply(socket: Socket) -> Any:
    line = (await socket.read_until(b"\n", _LONGEST)).rstrip(b"\r\n")
    if not line:
        raise NetworkError("reset", "Connection reset by peer")
    kind, rest = line[:1], line[1:]
    if kind in (b"+", b"-"):
        return rest
    size = int(rest) if rest.lstrip(b"-").isdigit() and len(rest) < 20 else 0
    if kind == b":":
        return size
    if kind == b"*":
        return [await _read_reply(socket) for _ in range(min(size, 100_000))]
    return None if size < 0 else (await socket.read_exactly(size + 2))[:-2]


def _shown(reply: Any) -> str:
    """As redis-cli prints when its output is no terminal: raw."""
    if isinstance(reply, list):
        return "".join(_shown(one) for one in reply) or "\n"
    text = "" if reply is None else str(reply) if isinstance(reply, int) else reply.decode("utf-8", "replace")
    return f"{text}\n"
