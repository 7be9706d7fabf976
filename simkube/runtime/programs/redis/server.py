"""``redis-server``: clients, passwords, transactions, channels, ``CONFIG`` and ``INFO``, and what is saved when.

Data is written to ``dir`` at an orderly end and by ``SAVE`` (unless ``save ""``), with ``appendonly yes`` within a
second of each change, in a form of this simulation.
"""

from __future__ import annotations

from datetime import UTC, datetime

from simkube.clock.clock import Future, TimedOut, within
from simkube.runtime.network.sockets import Socket
from simkube.runtime.nodes import FileError
from simkube.runtime.process import Process
from simkube.runtime.programs.redis import configuration
from simkube.runtime.programs.redis.clients import Client
from simkube.runtime.programs.redis.configuration import Wrong
from simkube.runtime.programs.redis.database import Database, dump_all, load_all
from simkube.runtime.programs.redis.protocol import encode
from simkube.runtime.programs.serving import stop_request
from simkube.runtime.streams import NullStream


async def redis_server(process: Process) -> int:
    """``redis-server [FILE] [--NAME VALUE]...``, ``--version``"""
    words = process.argv[1:]
    if words[:1] in (["-v"], ["--version"]):
        version = _version(process)
        await process.out(f"Redis server v={version} sha=00000000:0 malloc=jemalloc-5.3.0 bits=64 build=simulated\n")
        return 0
    if words[:1] in (["-h"], ["--help"]):
        await process.out("Usage: ./redis-server [/path/to/redis.conf] [options] [-]\n")
        return 0
    settings = dict(configuration.DEFAULTS)
    try:
        if words and not words[0].startswith("-"):
            configuration.read_file(process.container.files.read(process.resolve(words[0])).decode(), settings)
            words = words[1:]
        configuration.read_options(words, settings)
    except FileError as error:
        line = f"Fatal error, can't open config file '{process.argv[1]}': {error.strerror}"
        await process.out(f"{process.pid}:C # {line}\n")
        return 1
    except Wrong as wrong:
        await process.err(f"\n*** FATAL CONFIG FILE ERROR (Redis {_version(process)}) ***\n")
        await process.err(f"Reading the configuration file, at line {wrong}\n")
        return 1
    if settings["daemonize"] == "yes":
        child = process.child(list(process.argv))
        for number in (0, 1, 2):
            child.set_fd(number, NullStream())
        child.run(lambda own: Server(own, settings).run())
        await process.sleep(0.05)
        return 0
    return await Server(process, settings).run()


def _version(process: Process) -> str:
    return process.container.spec.version or process.env.get("REDIS_VERSION", "7.4.2")


class Server:
    """A running server: its databases by number, settings, and who listens on which channel."""

    def __init__(self, process: Process, settings: dict[str, str]) -> None:
        self.process = process
        self.settings = settings
        self.bases: dict[int, Database] = {}
        self.clients: dict[int, Client] = {}
        self.channels: dict[bytes, dict[int, Socket]] = {}
        self.commands = self.connections = 0
        self.started_at = self.saved_at = process.container.clock.now()
        self.changed: Future[None] = Future()
        self.stopping: Future[int] = Future()
        self._saved = 0

    async def run(self) -> int:
        """Until it is told to stop."""
        process, version = self.process, _version(self.process)
        await self._log("oO0OoO0OoO0Oo Redis is starting oO0OoO0OoO0Oo", role="C")
        await self._log(f"Redis version={version}, bits=64, commit=00000000, pid={process.pid}, just started")
        port = int(self.settings["port"])
        if not self._load():
            await self._log("Wrong signature trying to load DB from file", mark="#")
            return 1
        try:
            process.container.sandbox.ports.listen(process, port, accept=self._accept)
        except FileError as error:
            why = f"Could not create server TCP listening socket *:{port}: bind: {error.strerror}"
            await self._log(f"Warning: {why}", mark="#")
            await self._log(f"Failed listening on port {port} (tcp), aborting.", mark="#")
            return 1
        await self._log(f"Running mode=standalone, port={port}.")
        await self._log("Server initialized")
        await self._log("Ready to accept connections tcp")
        stop_request(process).when_done(lambda _: self.stop(0))
        saving = await self.stopping
        if saving == 0:
            await self._log("User requested shutdown...")
        if saving >= 0 and (self.settings["save"] or self.settings["appendonly"] == "yes"):
            await self._log("Saving the final RDB snapshot before exiting.")
            if self.save():
                await self._log("DB saved on disk")
        await self._log("Redis is now ready to exit, bye bye...", mark="#")
        return 0

    def stop(self, saving: int) -> None:
        """Come to an end; nothing is saved when negative."""
        if not self.stopping.done:
            self.stopping.set(saving)

    async def _log(self, text: str, *, mark: str = "*", role: str = "M") -> None:
        when = datetime.fromtimestamp(self.process.container.clock.now(), UTC)
        stamp = f"{when:%d %b %Y %H:%M:%S}.{when.microsecond // 1000:03d}"
        await self.process.out(f"{self.process.pid}:{role} {stamp} {mark} {text}\n")

    # -- data ------------------------------------------------------------------------------------------------------

    def base(self, number: int) -> Database:
        """A database, with the limits of the settings."""
        base = self.bases.get(number)
        if base is None:
            base = self.bases[number] = Database(self.process.container.clock.now)
        base.limit, base.policy = int(self.settings["maxmemory"]), self.settings["maxmemory-policy"]
        return base

    def _path(self) -> str:
        name = self.settings["dbfilename"]
        if self.settings["appendonly"] == "yes":
            name = f"{self.settings['appenddirname']}/{self.settings['appendfilename']}"
        return self.process.resolve(f"{self.settings['dir'].rstrip('/')}/{name}")

    def _load(self) -> bool:
        try:
            data = self.process.container.files.read(self._path())
        except FileError:
            return True
        loaded = load_all(data, self.base)
        self._saved = self.changes
        return loaded

    @property
    def changes(self) -> int:
        """How often something was written."""
        return sum(base.changes for base in self.bases.values())

    def save(self) -> bool:
        """Write everything; False after complaining about a directory that is not there or full."""
        files, path = self.process.container.files, self._path()
        try:
            if not files.is_directory(path.rpartition("/")[0]) and self.settings["appendonly"] == "yes":
                files.make_directories(path.rpartition("/")[0])
            self.process.check_writable(path)
            files.write(path, dump_all(self.bases))
        except FileError as error:
            self.process.complain(f"{self.process.pid}:M # Failed opening the temp RDB file: {error.strerror}")
            return False
        self.saved_at, self._saved = self.process.container.clock.now(), self.changes
        return True

    def noticed(self) -> None:
        """A command has run: whoever waits for a list looks again, and what changed is written within a second."""
        if self.changes == self._saved:
            return
        changed, self.changed = self.changed, Future()
        changed.set(None)
        if self.settings["appendonly"] == "yes":
            self._saved = self.changes
            self.process.container.clock.call_later(1.0, self._append)

    def _append(self) -> None:
        if not self.process.exited.done and not self.stopping.done:
            self.save()

    # -- clients ---------------------------------------------------------------------------------------------------

    async def _accept(self, socket: Socket) -> None:
        self.connections += 1
        client = Client(self, socket, self.connections)
        self.clients[client.number] = client
        try:
            await client.serve()
        finally:
            self.clients.pop(client.number, None)
            for listeners in self.channels.values():
                listeners.pop(client.number, None)

    async def publish(self, channel: bytes, message: bytes) -> int:
        """Tell everybody who listens; how many that are."""
        listeners = list(self.channels.get(channel, {}).values())
        for socket in listeners:
            await socket.write(encode([b"message", channel, message]))
        return len(listeners)

    async def wait_for_change(self, seconds: float) -> bool:
        """Until something is written; False when nothing is for so long (0: however long)."""
        try:
            if seconds > 0:
                await within(self.process.container.clock, seconds, _done(self.changed))
            else:
                await self.changed
        except TimedOut:
            return False
        return True

    def info(self, section: str) -> bytes:
        """``INFO``: the sections that lessons look at."""
        now = self.process.container.clock.now()
        used = 1_000_000 + sum(base.size for base in self.bases.values())
        limit = int(self.settings["maxmemory"])
        sections: dict[str, dict[str, object]] = {
            "Server": {
                "redis_version": _version(self.process),
                "redis_mode": "standalone",
                "os": "Linux x86_64",
                "arch_bits": 64,
                "process_id": self.process.pid,
                "tcp_port": self.settings["port"],
                "uptime_in_seconds": int(now - self.started_at),
            },
            "Clients": {"connected_clients": len(self.clients), "maxclients": self.settings["maxclients"]},
            "Memory": {
                "used_memory": used,
                "used_memory_human": human(used),
                "maxmemory": limit,
                "maxmemory_human": human(limit),
                "maxmemory_policy": self.settings["maxmemory-policy"],
            },
            "Persistence": {
                "loading": 0,
                "rdb_changes_since_last_save": self.changes - self._saved,
                "rdb_last_save_time": int(self.saved_at),
                "rdb_last_bgsave_status": "ok",
                "aof_enabled": int(self.settings["appendonly"] == "yes"),
            },
            "Stats": {"total_connections_received": self.connections, "total_commands_processed": self.commands},
            "Replication": {"role": "master", "connected_slaves": 0},
            "CPU": {"used_cpu_user": f"{self.process.processor_seconds:.6f}"},
            "Cluster": {"cluster_enabled": 0},
            "Keyspace": self._keyspace(),
        }
        shown = [name for name in sections if section in ("", "all", "default", "everything", name.lower())]
        rows = {name: "".join(f"{key}:{value}\r\n" for key, value in sections[name].items()) for name in shown}
        return "\r\n".join(f"# {name}\r\n{text}" for name, text in rows.items()).encode()

    def _keyspace(self) -> dict[str, object]:
        full = [(number, base) for number, base in sorted(self.bases.items()) if base.values]
        counts = {number: (len(base.values), len(base.expires)) for number, base in full}
        return {f"db{number}": f"keys={keys},expires={left},avg_ttl=0" for number, (keys, left) in counts.items()}


async def _done(future: Future[None]) -> None:
    await future


def human(size: int) -> str:
    """``1.00M``"""
    for letter, factor in (("G", 1 << 30), ("M", 1 << 20), ("K", 1 << 10)):
        if size >= factor:
            return f"{size / factor:.2f}{letter}"
    return f"{size}B"
