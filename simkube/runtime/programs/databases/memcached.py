"""``memcached``: its text protocol, as one types it over ``nc``. The binary protocol and UDP are not simulated."""

from __future__ import annotations

from collections.abc import Callable

from simkube.runtime.network.sockets import Socket
from simkube.runtime.nodes import FileError
from simkube.runtime.process import Process
from simkube.runtime.programs.flags import flags
from simkube.runtime.programs.serving import stop_request

PORT = 11211
MOST_BYTES = 4 << 20
"""What all keys and values may take together."""
_LONGEST_KEY, _LONGEST = 250, 1 << 20
_STORES = ("set", "add", "replace", "append", "prepend")


class Cache:
    """Keys with flags, value and the time at which they expire (0: never)."""

    def __init__(self, now: Callable[[], float], version: str) -> None:
        self._now = now
        self._version = version
        self._started = now()
        self._items: dict[str, tuple[str, bytes, float]] = {}
        self._counts = {"cmd_get": 0, "cmd_set": 0, "get_hits": 0, "get_misses": 0}

    def get(self, key: str) -> tuple[str, bytes, float] | None:
        """An item that has not expired."""
        item = self._items.get(key)
        if item is not None and item[2] and item[2] <= self._now():
            del self._items[key]
            return None
        return item

    def store(self, how: str, words: list[str], data: bytes) -> str:
        """``set key flags exptime bytes`` and its siblings: the answer's line."""
        key, mark, seconds = words[0], words[1], int(words[2])
        old = self.get(key)
        self._counts["cmd_set"] += 1
        if (how == "add" and old is not None) or (how in ("replace", "append", "prepend") and old is None):
            return "NOT_STORED"
        if how == "append" and old is not None:
            data = old[1] + data
        if how == "prepend" and old is not None:
            data = data + old[1]
        if sum(len(name) + len(item[1]) for name, item in self._items.items()) + len(data) > MOST_BYTES:
            return "SERVER_ERROR out of memory storing object"
        self._items[key] = (mark, data, self._now() + seconds if seconds > 0 else 0.0)
        return "STORED"

    def fetch(self, keys: list[str], *, unique: bool) -> bytes:
        """``get key...``"""
        found = b""
        for key in keys[:100]:
            item = self.get(key)
            self._counts["cmd_get"] += 1
            self._counts["get_misses" if item is None else "get_hits"] += 1
            if item is not None:
                more = " 1" if unique else ""
                found += f"VALUE {key} {item[0]} {len(item[1])}{more}\r\n".encode() + item[1] + b"\r\n"
        return found + b"END\r\n"

    def count(self, key: str, amount: int) -> str:
        """``incr`` and ``decr``"""
        item = self.get(key)
        if item is None:
            return "NOT_FOUND"
        if not item[1].isdigit() or len(item[1]) > 19:
            return "CLIENT_ERROR cannot increment or decrement non-numeric value"
        value = str(max(0, int(item[1]) + amount))
        self._items[key] = (item[0], value.encode(), item[2])
        return value

    def other(self, name: str, words: list[str]) -> str:
        """Every command that is one line of answers."""
        if name == "delete" and words:
            return "NOT_FOUND" if self.get(words[0]) is None or not self._items.pop(words[0]) else "DELETED"
        if name in ("incr", "decr") and len(words) > 1 and words[1].isdecimal() and len(words[1]) < 19:
            return self.count(words[0], int(words[1]) if name == "incr" else -int(words[1]))
        if name == "flush_all":
            self._items.clear()
            return "OK"
        if name == "version":
            return f"VERSION {self._version}"
        if name == "stats":
            figures = {
                "pid": 1,
                "uptime": int(self._now() - self._started),
                "version": self._version,
                **self._counts,
                "curr_items": len(self._items),
            }
            return "".join(f"STAT {key} {value}\r\n" for key, value in figures.items()) + "END"
        return "ERROR"


async def memcached(process: Process) -> int:
    """``memcached [-p PORT]...``; other options are let pass."""
    given = flags(process.argv[1:])
    port = given.get("p", "") or given.get("port", "")
    number = int(port) if port.isdecimal() and len(port) < 6 else PORT
    cache = Cache(process.container.clock.now, process.container.spec.version)

    async def accept(socket: Socket) -> None:
        while await _command(process, socket, cache):
            pass

    try:
        process.container.sandbox.ports.listen(process, number, accept=accept)
    except FileError as error:
        await process.err(f"bind(): {error.strerror}\nfailed to listen on TCP port {number}: {error.strerror}\n")
        return 71
    await stop_request(process)
    return 0


async def _command(process: Process, socket: Socket, cache: Cache) -> bool:
    """One command; False at the end of the conversation."""
    line = await socket.read_until(b"\n", 2048)
    words = line.decode("utf-8", "replace").split()
    if not line or words[:1] == ["quit"]:
        return False
    await process.work(1)
    name, words = (words[0].lower(), words[1:]) if words else ("", [])
    if name in _STORES:
        quiet = words[4:] == ["noreply"]
        if len(words) < 4 or not words[3].isdecimal() or len(words[0]) > _LONGEST_KEY:
            await socket.write(b"ERROR\r\n")
            return True
        if not words[2].lstrip("-").isdecimal() or len(words[2]) > 10 or len(words[3]) > 7 or int(words[3]) > _LONGEST:
            await socket.write(b"CLIENT_ERROR bad data chunk\r\n")
            return True
        data = await socket.read_exactly(int(words[3]))
        end = await socket.read_until(b"\n", 16)
        said = cache.store(name, words, data) if not end.strip() else "CLIENT_ERROR bad data chunk"
        if not quiet:
            await socket.write(f"{said}\r\n".encode())
    elif name in ("get", "gets") and words:
        await socket.write(cache.fetch(words, unique=name == "gets"))
    else:
        await socket.write(f"{cache.other(name, words)}\r\n".encode())
    return True
