"""One client of a server: who it is, which database it has chosen, its transaction and the channels that it hears."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from simkube.runtime.network.sockets import Socket
from simkube.runtime.programs.redis import configuration
from simkube.runtime.programs.redis.commands import COMMANDS, look_up, run, unknown
from simkube.runtime.programs.redis.containers import pop
from simkube.runtime.programs.redis.protocol import encode, read_command
from simkube.runtime.programs.redis.values import SYNTAX, Refused, Reply, Words, decimal, matcher

if TYPE_CHECKING:
    from simkube.runtime.programs.redis.server import Server

MOST_QUEUED, MOST_CHANNELS = 256, 64
_FIRST = frozenset([b"auth", b"hello", b"quit", b"reset"])


class Client:
    """A connection."""

    def __init__(self, server: Server, socket: Socket, number: int) -> None:
        self.number = number
        self.name = b""
        self.base = 0
        self.known = not server.settings["requirepass"]
        self._server = server
        self._socket = socket
        self._queue: list[Words] | None = None
        self._spoilt = False
        self._watched: int | None = None
        self._channels: set[bytes] = set()

    async def serve(self) -> None:
        """Commands until the connection ends."""
        while True:
            try:
                words = await read_command(self._socket)
            except Refused as error:
                await self._socket.write(encode(error))
                return
            if not words:
                return
            self._server.commands += 1
            await self._server.process.work(1)
            name = words[0].lower()
            try:
                reply = await self._answer(name, words)
            except Refused as error:
                reply = error
                self._spoilt = self._spoilt or self._queue is not None
            if reply is not _SAID:
                await self._socket.write(encode(reply))
            if name == b"quit":
                return
            self._server.noticed()

    async def _answer(self, name: bytes, words: Words) -> Reply:
        if not self.known and name not in _FIRST:
            raise Refused("NOAUTH Authentication required.")
        if self._channels and name not in (b"subscribe", b"unsubscribe", b"ping", b"quit", b"reset"):
            shown = name.decode("utf-8", "replace")
            only = "(P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET"
            raise Refused(f"ERR Can't execute '{shown}': only {only} are allowed in this context")
        if self._queue is not None and name not in (b"exec", b"discard", b"multi", b"watch", b"quit"):
            if name not in _SERVER and name.decode("utf-8", "replace") not in _BLOCKING:
                look_up(words)
            if len(self._queue) >= MOST_QUEUED:
                raise Refused(f"ERR more than {MOST_QUEUED} queued commands are not simulated")
            self._queue.append(words)
            return "QUEUED"
        return await self._run(words)

    async def _run(self, words: Words) -> Reply:
        name = words[0].lower()
        text = name.decode("utf-8", "replace")
        if name in _SERVER:
            call, least, most = _SERVER[name]
            if not least <= len(words) - 1 <= most:
                raise Refused(f"ERR wrong number of arguments for '{text}' command")
            return await call(self, words[1:])
        if text in _BLOCKING:
            return await self._blocking(text, words[1:])
        return run(self._server.base(self.base), words)

    # -- transactions ----------------------------------------------------------------------------------------------

    async def multi(self, words: Words) -> Reply:
        """``MULTI``"""
        if self._queue is not None:
            raise Refused("ERR MULTI calls can not be nested")
        self._queue, self._spoilt = [], False
        return "OK"

    async def exec(self, words: Words) -> Reply:
        """``EXEC``"""
        if self._queue is None:
            raise Refused("ERR EXEC without MULTI")
        queue, self._queue = self._queue, None
        watched, self._watched = self._watched, None
        if self._spoilt:
            raise Refused("EXECABORT Transaction discarded because of previous errors.")
        if watched is not None and watched != self._server.changes:
            return None
        replies: list[Reply] = []
        for command in queue:
            try:
                replies.append(await self._run(command))
            except Refused as error:
                replies.append(error)
        return replies

    async def discard(self, words: Words) -> Reply:
        """``DISCARD``"""
        if self._queue is None:
            raise Refused("ERR DISCARD without MULTI")
        self._queue = self._watched = None
        return "OK"

    async def watch(self, words: Words) -> Reply:
        """``WATCH key...``: any change at all ends the transaction."""
        if self._queue is not None:
            raise Refused("ERR WATCH inside MULTI is not allowed")
        self._watched = self._server.changes
        return "OK"

    async def unwatch(self, words: Words) -> Reply:
        """``UNWATCH``"""
        self._watched = None
        return "OK"

    # -- channels --------------------------------------------------------------------------------------------------

    async def subscribe(self, words: Words) -> Reply:
        """``SUBSCRIBE channel...``"""
        for channel in words:
            if len(self._server.channels) >= MOST_CHANNELS and channel not in self._server.channels:
                raise Refused(f"ERR more than {MOST_CHANNELS} channels are not simulated")
            self._server.channels.setdefault(channel, {})[self.number] = self._socket
            self._channels.add(channel)
            await self._socket.write(encode([b"subscribe", channel, len(self._channels)]))
        return _SAID

    async def unsubscribe(self, words: Words) -> Reply:
        """``UNSUBSCRIBE [channel...]``"""
        for channel in words or sorted(self._channels):
            self._channels.discard(channel)
            self._server.channels.get(channel, {}).pop(self.number, None)
            await self._socket.write(encode([b"unsubscribe", channel, len(self._channels)]))
        return _SAID

    async def publish(self, words: Words) -> Reply:
        """``PUBLISH channel message``"""
        return await self._server.publish(words[0], words[1])

    # -- waiting for a list ----------------------------------------------------------------------------------------

    async def _blocking(self, name: str, words: Words) -> Reply:
        """``BLPOP key... timeout``, ``BRPOP``"""
        if len(words) < 2:
            raise Refused(f"ERR wrong number of arguments for '{name}' command")
        clock = self._server.process.container.clock
        seconds = decimal(words[-1])
        if seconds < 0:
            raise Refused("ERR timeout is negative")
        until = clock.now() + seconds
        while True:
            base = self._server.base(self.base)
            base.expire()
            for key in words[:-1]:
                found = pop(base, [key], left=name == "blpop")
                if found is not None:
                    return [key, found]
            left = until - clock.now()
            if seconds and (left <= 0 or not await self._server.wait_for_change(left)):
                return None
            if not seconds:
                await self._server.wait_for_change(0)

    # -- the server itself -----------------------------------------------------------------------------------------

    async def auth(self, words: Words) -> Reply:
        """``AUTH [user] password``"""
        password = self._server.settings["requirepass"]
        if not password and len(words) == 1:
            raise Refused(
                "ERR AUTH <password> called without any password configured for the default user. Are you sure your "
                "configuration is correct?"
            )
        if (len(words) == 2 and words[0] != b"default") or (password and words[-1] != password.encode()):
            raise Refused("WRONGPASS invalid username-password pair or user is disabled.")
        self.known = True
        return "OK"

    async def hello(self, words: Words) -> Reply:
        """``HELLO [2]``"""
        if words and words[0] != b"2":
            raise Refused("NOPROTO unsupported protocol version (RESP3 is not simulated)")
        if not self.known:
            raise Refused("NOAUTH HELLO must be called with the client already authenticated")
        return [b"server", b"redis", b"proto", 2, b"id", self.number, b"mode", b"standalone", b"role", b"master"]

    async def quit(self, words: Words) -> Reply:
        """``QUIT``, ``RESET``"""
        return "OK"

    async def ping(self, words: Words) -> Reply:
        """``PING [message]``"""
        if self._channels:
            return [b"pong", words[0] if words else b""]
        return words[0] if words else "PONG"

    async def echo(self, words: Words) -> Reply:
        """``ECHO message``"""
        return words[0]

    async def select(self, words: Words) -> Reply:
        """``SELECT index``"""
        if not words[0].isdigit() or len(words[0]) > 6:
            raise Refused("ERR invalid DB index")
        if int(words[0]) >= int(self._server.settings["databases"]):
            raise Refused("ERR DB index is out of range")
        self.base = int(words[0])
        return "OK"

    async def flush_all(self, words: Words) -> Reply:
        """``FLUSHALL``"""
        for base in self._server.bases.values():
            base.flush()
        return "OK"

    async def move(self, words: Words) -> Reply:
        """``MOVE key db``"""
        here, there = self._server.base(self.base), self._server.base(int(words[1]) if words[1].isdigit() else -1)
        if words[0] not in here.values or words[0] in there.values:
            return 0
        value = here.values[words[0]]
        here.drop(words[0])
        there.put(words[0], value)
        return 1

    async def info(self, words: Words) -> Reply:
        """``INFO [section]``"""
        return self._server.info(words[0].decode("utf-8", "replace").lower() if words else "")

    async def config(self, words: Words) -> Reply:
        """``CONFIG GET pattern... | SET name value | RESETSTAT | REWRITE``"""
        action, settings = words[0].upper(), self._server.settings
        if action == b"GET" and len(words) > 1:
            tests = [matcher(word.lower()) for word in words[1:]]
            found = [name for name in settings if any(test(name.encode()) for test in tests)]
            return [each.encode() for name in found for each in (name, settings[name])]
        if action == b"SET" and len(words) > 2 and len(words) % 2:
            for name, value in zip(words[1::2], words[2::2], strict=True):
                configuration.change(
                    settings, name.decode("utf-8", "replace").lower(), value.decode("utf-8", "replace")
                )
            return "OK"
        if action == b"RESETSTAT":
            self._server.commands = 0
            return "OK"
        if action == b"REWRITE":
            raise Refused("ERR The server is running without a config file")
        raise Refused(f"ERR unknown subcommand '{words[0].decode('utf-8', 'replace')}'. Try CONFIG HELP.")

    async def client(self, words: Words) -> Reply:
        """``CLIENT ID | GETNAME | SETNAME name | LIST | INFO | SETINFO``"""
        action = words[0].upper()
        if action == b"ID":
            return self.number
        if action == b"GETNAME":
            return self.name or None
        if action == b"SETNAME" and len(words) == 2:
            self.name = words[1]
            return "OK"
        if action in (b"LIST", b"INFO"):
            clients = self._server.clients.values() if action == b"LIST" else [self]
            rows = (f"id={one.number} name={one.name.decode('utf-8', 'replace')} db={one.base}\n" for one in clients)
            return "".join(rows).encode()
        if action in (b"SETINFO", b"NO-EVICT", b"NO-TOUCH"):
            return "OK"
        raise Refused(f"ERR unknown subcommand '{words[0].decode('utf-8', 'replace')}'. Try CLIENT HELP.")

    async def command(self, words: Words) -> Reply:
        """``COMMAND [COUNT | DOCS | LIST]``: names only."""
        names = sorted([*COMMANDS, *_BLOCKING, *(name.decode() for name in _SERVER)])
        if words and words[0].upper() == b"COUNT":
            return len(names)
        return [name.encode() for name in names] if words and words[0].upper() == b"LIST" else []

    async def save(self, words: Words) -> Reply:
        """``SAVE``"""
        if not self._server.save():
            raise Refused("ERR")
        return "OK"

    async def save_behind(self, words: Words) -> Reply:
        """``BGSAVE``, ``BGREWRITEAOF``: at once."""
        self._server.save()
        return "Background saving started"

    async def last_save(self, words: Words) -> Reply:
        """``LASTSAVE``"""
        return int(self._server.saved_at)

    async def time(self, words: Words) -> Reply:
        """``TIME``"""
        now = self._server.process.container.clock.now()
        return [str(int(now)).encode(), str(int(now % 1 * 1e6)).encode()]

    async def role(self, words: Words) -> Reply:
        """``ROLE``"""
        return [b"master", 0, []]

    async def acl(self, words: Words) -> Reply:
        """``ACL WHOAMI``"""
        if words[0].upper() != b"WHOAMI":
            raise unknown([b"acl", *words])
        return b"default"

    async def shut_down(self, words: Words) -> Reply:
        """``SHUTDOWN [NOSAVE|SAVE]``"""
        if words and words[0].upper() not in (b"SAVE", b"NOSAVE"):
            raise Refused(SYNTAX)
        self._server.stop(-1 if words and words[0].upper() == b"NOSAVE" else 0)
        return _SAID


class _Said(Exception):
    """The reply has been written already."""


_SAID: Reply = _Said()
_BLOCKING = frozenset(["blpop", "brpop"])
_SERVER: dict[bytes, tuple[Callable[[Client, Words], Coroutine[Any, Any, Reply]], int, int]] = {
    b"acl": (Client.acl, 1, 4),
    b"auth": (Client.auth, 1, 2),
    b"bgrewriteaof": (Client.save_behind, 0, 0),
    b"bgsave": (Client.save_behind, 0, 1),
    b"client": (Client.client, 1, 8),
    b"command": (Client.command, 0, 64),
    b"config": (Client.config, 1, 64),
    b"discard": (Client.discard, 0, 0),
    b"echo": (Client.echo, 1, 1),
    b"exec": (Client.exec, 0, 0),
    b"flushall": (Client.flush_all, 0, 1),
    b"hello": (Client.hello, 0, 6),
    b"info": (Client.info, 0, 4),
    b"lastsave": (Client.last_save, 0, 0),
    b"move": (Client.move, 2, 2),
    b"multi": (Client.multi, 0, 0),
    b"ping": (Client.ping, 0, 1),
    b"publish": (Client.publish, 2, 2),
    b"quit": (Client.quit, 0, 0),
    b"reset": (Client.quit, 0, 0),
    b"role": (Client.role, 0, 0),
    b"save": (Client.save, 0, 0),
    b"select": (Client.select, 1, 1),
    b"shutdown": (Client.shut_down, 0, 2),
    b"subscribe": (Client.subscribe, 1, 16),
    b"time": (Client.time, 0, 0),
    b"unsubscribe": (Client.unsubscribe, 0, 16),
    b"unwatch": (Client.unwatch, 0, 0),
    b"watch": (Client.watch, 1, 64),
}
