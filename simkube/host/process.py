"""The host process: one port on loopback, one event loop, every cluster behind its own path.

Steps in order: take the lock, open the store, load certificates, listen, announce, bring clusters back, serve until
told to stop. Killed at any moment it leaves nothing that the next one could not take over.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import secrets
import signal
import socket
import sys
import time
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

from aiohttp import web

from simkube.apimachinery.errors import HostError, StoreDamaged, StoreError
from simkube.apiserver.http.encoding import Encodings
from simkube.apiserver.http.responses import HOST_BYTES
from simkube.apiserver.schema.schema import definitions
from simkube.etcd.journal import Journal
from simkube.host import certificates
from simkube.host.admin import Admin
from simkube.host.connections import IDLE_SECONDS, MOST, RESERVED, Listener, Places, raise_file_limit
from simkube.host.home import NO_SPACE, SLOW_END, Home, fingerprint, write_private
from simkube.host.protocol import Server
from simkube.host.routing import Router
from simkube.host.tenants import Tenants

log = logging.getLogger(__name__)

COMPACT_SECONDS = 300.0
COLLECT = (20_000, 20, 100)
"""When Python looks for garbage: seldom, because objects that refer to each other in circles are rare here."""
COLLECT_SECONDS = 1.0
"""How long after a cluster was closed its garbage is looked for: what waits together takes memory together."""
COLLECT_SHARE = 0.02
"""The most of the loop's time that this may take."""
LONG_SECONDS = 0.05
"""A search that takes longer than this waits for a quiet moment."""
GIVE_BACK_SECONDS, GIVE_BACK_PAGES, GIVE_BACK_PAUSE = 1.0, 64, 0.01
"""How long after a cluster was removed its space is given back to the disk, and in which steps."""
QUIET_SECONDS = 30
"""Seconds for which it waits at most until nobody asks for anything."""
SWITCH_SECONDS = 0.0005
"""How long the loop waits for a thread that parses or compresses something large."""
END_SECONDS = 5.0
"""How long clients have to end what they do when the host stops."""
ANSWERS = "SIMKUBE_ANSWERS_MIB"
"""The environment variable that says how many MiB the large answers of all clusters may keep until they are read."""
_HOST = "/host/"


class _OneLine(logging.Formatter):
    """What users wrote ends up escaped, on one line."""

    def format(self, record: logging.LogRecord) -> str:
        return super().format(record).replace("\n", "\n    ").encode("ascii", "backslashreplace").decode()


def log_to(path: Path) -> None:
    """Write what is logged to a file that never grows large."""
    handler = RotatingFileHandler(path, maxBytes=2_000_000, backupCount=2, encoding="ascii", errors="backslashreplace")
    handler.setFormatter(_OneLine("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.raiseExceptions = False  # what cannot be written, on a full disk, is dropped
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)


def _answer_bytes() -> int:
    """What large answers may keep, in all; HostError for a setting that is no number."""
    given = os.environ.get(ANSWERS, "")
    if given and not (given.isascii() and given.isdigit() and int(given)):
        raise HostError(f"{ANSWERS} is a number of MiB, not {given!r}")
    return int(given) << 20 if given else HOST_BYTES


def _listen(home: Home, port: int | None) -> socket.socket:
    """A socket on the port this home had before, so that kubeconfigs stay true; on a free one when that is taken."""
    wanted = port
    if wanted is None:
        with contextlib.suppress(OSError, ValueError):
            wanted = int(home.port_file.read_text(encoding="ascii"))
    for candidate in dict.fromkeys((wanted or 0, 0)):
        made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            made.bind(("127.0.0.1", candidate))
        except OSError:
            made.close()
            if port is not None:
                raise HostError(f"port {port} on 127.0.0.1 is taken; choose another") from None
            continue
        made.listen(512)
        write_private(home.port_file, str(made.getsockname()[1]))
        return made
    raise HostError("no port on 127.0.0.1 is free")


class _Routes(Router):
    """The host's own API beside those of its clusters."""

    def __init__(self, tenants: Tenants, log_name: str, admin: Admin) -> None:
        super().__init__(tenants, log_name)
        self._admin = admin

    async def answer(self, http: Any, path: str) -> web.StreamResponse:
        if path.startswith(_HOST):
            return await self._admin.handle(http, path.removeprefix(_HOST.rstrip("/")))
        return await super().answer(http, path)


class Host:
    """The running host. ``serving`` is set once every cluster is back; ``url`` is its address, ``ca`` its authority."""

    def __init__(self, home: Home, port: int | None = None) -> None:
        self._home = home
        self._certificates = certificates.load(home.certificates)
        self._socket = _listen(home, port)
        address = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self._journal = Journal(home.store)
        encodings = Encodings()
        self._stopping = asyncio.Event()
        self.serving = asyncio.Event()
        self.url, self.ca = f"https://{address}", self._certificates.ca
        self.tenants = Tenants(
            self._journal,
            encodings,
            address=address,
            ca=self._certificates.ca,
            signer=self._certificates.signer,
            answer_bytes=_answer_bytes(),
        )
        token = secrets.token_urlsafe(32)
        about = {"pid": os.getpid(), "version": fingerprint(), "url": self.url}
        admin = Admin(self.tenants, token, self._about, self._stopping.set)
        self._identity = about
        self._routes = _Routes(self.tenants, str(home.log), admin)
        self._info = {**about, "token": token, "ca": self._certificates.ca, "started": time.time()}

    def _about(self) -> dict[str, Any]:
        return {**self._identity, "idle": self._routes.idle()}

    async def run(self) -> int:
        """Serve until a signal or the admin API says stop; the exit code."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        server = Server(self._routes.handle, access_log=None, keepalive_timeout=IDLE_SECONDS)
        runner = web.ServerRunner(server)
        await runner.setup()
        files = raise_file_limit()
        places = Places(min(MOST, files - min(RESERVED, files // 4)))
        listener = Listener(self._socket, self._certificates.context, server, places)
        listener.start()
        self._home.announce(self._info)
        log.info("serving at %s", self._info["url"])
        definitions()
        gc.collect()
        gc.freeze()  # what is loaded by now stays for good: no collection need look at it
        gc.disable()  # bringing clusters back makes no garbage, and collections would take longer than all else
        try:
            await self.tenants.resume()
        finally:
            gc.set_threshold(*COLLECT)
            gc.enable()
        self.serving.set()
        chores = [asyncio.ensure_future(each) for each in (self._compact(), self._collect(), self._give_back())]
        await self._stopping.wait()
        log.info("stopping")
        for chore in chores:
            chore.cancel()
        listener.stop()
        self.tenants.stop()
        code = 0
        try:
            await asyncio.wait_for(runner.cleanup(), END_SECONDS)
        except TimeoutError:
            log.warning(
                "connections that did not end within %s s were cut; every cluster was stopped before", END_SECONDS
            )
            code = SLOW_END
        self._journal.close()
        return code

    async def _compact(self) -> None:
        while True:
            await asyncio.sleep(COMPACT_SECONDS)
            self.tenants.compact()

    async def _give_back(self) -> None:
        """Give the space of removed clusters back to the disk, in small pieces, so that nobody waits for it."""
        while True:
            await self.tenants.removed.wait()
            self.tenants.removed.clear()
            await asyncio.sleep(GIVE_BACK_SECONDS)
            try:
                while self._journal.give_back(GIVE_BACK_PAGES):
                    await asyncio.sleep(GIVE_BACK_PAUSE)
            except StoreError as error:
                log.warning("space of removed clusters is given back later: %s", error)

    async def _collect(self) -> None:
        """Give back what closed clusters leave: their objects refer to each other in circles, and are old by then.

        Python itself would look at the old ones once in an hour of work, when their memory has long been scattered.
        """
        took = 0.0
        while True:
            await self.tenants.closed.wait()
            await asyncio.sleep(max(COLLECT_SECONDS, took / COLLECT_SHARE))
            waited = 0
            while took > LONG_SECONDS and self.tenants.anybody() and waited < QUIET_SECONDS:
                await asyncio.sleep(1)
                waited += 1
            self.tenants.closed.clear()
            began = time.thread_time()  # on a busy machine it takes longer, and not more
            gc.collect()
            took = time.thread_time() - began


def main(folder: Path, port: int | None = None) -> int:
    """Run the host of ``folder`` until it is told to stop; 0 also when another one runs already."""
    home = Home(folder)
    home.make()
    log_to(home.log)
    lock = home.lock("host.lock", wait=False)
    if lock is None:
        log.info("another host serves %s", folder)
        return 0
    sys.setswitchinterval(SWITCH_SECONDS)
    try:
        return asyncio.run(_main(home, port))
    except (HostError, StoreDamaged) as error:
        log.error("%s", error)
        return 1
    except (StoreError, OSError) as error:
        log.error("%s", error)
        return NO_SPACE
    except Exception:
        log.exception("the host failed")  # nobody else is there to see it
        return 1
    finally:
        lock.close()


async def _main(home: Home, port: int | None) -> int:
    return await Host(home, port).run()
