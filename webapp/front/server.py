"""The processes of a site: some that answer requests, one that drives sessions, and gunicorn's arbiter over them.

The arbiter starts each anew that ends or no longer says that it is alive, and ends all of them when it is told to. All
are forks of one process that has read the code already, so that more of them cost little time and memory. Nothing is
kept in a process that another one would have to know: what lasts is in the records, who is at what is a lock.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import signal
import socket
import tempfile
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import uvicorn
from gunicorn.app.base import BaseApplication  # type: ignore[import-untyped]  # it carries no types
from gunicorn.workers.base import Worker  # type: ignore[import-untyped]  # it carries no types

from labs.bootstrap import Kindling, bootstrap
from labs.session.background import keep_in_line, keep_written
from labs.session.waking import Waking
from labs.settings import Settings
from webapp import create_app
from webapp.counters import Counters
from webapp.front.application import Front
from webapp.front.connections import Connections, Place, raise_file_limit, room
from webapp.front.protocol import HEAD_BYTES, IDLE_SECONDS, Protocol
from webapp.front.proxies import Trusted

ALIVE_SECONDS = 60
"""A process that says nothing for so long is ended and started anew."""
HEAR_SECONDS = 0.25
END_SECONDS = 8
"""How long requests may take yet when the site is told to end."""


def serve(settings: Settings, bound: socket.socket) -> None:
    """Serve on a socket that listens, until SIGINT or SIGTERM; ``SystemExit`` then, 0 when all went well.

    The socket is gunicorn's from now on: it ends it.
    """
    raise_file_limit()
    with tempfile.TemporaryFile() as role:
        _Site(settings, bound.detach(), role.fileno()).run()


class _Site(BaseApplication):  # type: ignore[misc]  # gunicorn carries no types
    """What gunicorn is to run. ``load`` happens in each process after it was forked."""

    def __init__(self, settings: Settings, bound: int, role: int) -> None:
        self.settings, self._bound, self._role = settings, bound, role
        self.waking, self._counters = Waking(), Counters()
        super().__init__()

    def load_config(self) -> None:
        options = {
            "bind": [f"fd://{self._bound}"],
            "worker_class": _Worker,
            "workers": self.settings.workers + 1,
            "timeout": ALIVE_SECONDS,
            "graceful_timeout": END_SECONDS + 2,
            "loglevel": "warning",
            "errorlog": str(self.settings.log_file),
            "control_socket_disable": True,
        }
        for name, value in options.items():
            self.cfg.set(name, value)

    def load(self) -> Callable[[_Worker], None]:
        """What this process does. One of them drives sessions: who holds the lock, which a process that ended left."""
        try:
            fcntl.lockf(self._role, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return partial(_answer, bootstrap(self.settings, tell=self.waking.tell), self._counters)
        return partial(_drive, bootstrap(self.settings), self.waking)


class _Worker(Worker):  # type: ignore[misc]  # gunicorn carries no types
    """One process."""

    def run(self) -> None:
        """Until it is told to end. Python's own taking apart of all that was loaded would hold up whoever waits."""
        self.wsgi(self)
        logging.shutdown()
        os._exit(0)

    def handle_quit(self, sig: int, frame: object) -> None:
        """End soon, at SIGINT and SIGQUIT as at SIGTERM: what is being answered is answered."""
        self.handle_exit(sig, frame)

    def orphaned(self) -> bool:
        """Whether the arbiter is gone, and nobody would end this process."""
        return bool(self.ppid != os.getppid())


def _drive(services: Kindling, waking: Waking, worker: _Worker) -> None:
    """Bring sessions in line, at once where something is wanted."""
    ending = threading.Event()
    loop = threading.Thread(target=keep_in_line, args=(services.sessions, ending), name="sessions", daemon=True)
    loop.start()
    try:
        while worker.alive and not worker.orphaned():
            worker.notify()
            session = waking.hear(HEAR_SECONDS)
            if session is not None:
                services.sessions.wake(session)
    finally:
        ending.set()
        services.close()


def _answer(services: Kindling, counters: Counters, worker: _Worker) -> None:
    """Answer requests."""
    ending = threading.Event()
    threading.Thread(target=keep_written, args=(services.sessions, ending), name="activity", daemon=True).start()
    try:
        asyncio.run(_serve(services, counters, worker))
    finally:
        ending.set()
        services.close()


async def _serve(services: Kindling, counters: Counters, worker: _Worker) -> None:
    places: dict[Any, Place] = {}
    trusted = Trusted(services.settings.trusted_proxies)
    front = Front(create_app(services, counters), services.sessions, places, trusted)
    protocol = partial(Protocol, Connections(room(raise_file_limit())), trusted, places)
    config = uvicorn.Config(
        front,
        http=protocol,  # type: ignore[arg-type]  # it is called as a class is
        interface="asgi3",
        ws="none",
        lifespan="off",
        loop="asyncio",
        log_config=None,
        log_level="error",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=END_SECONDS,
        h11_max_incomplete_event_size=HEAD_BYTES,
    )
    server = _Server(config, front, worker)
    for told in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
        asyncio.get_running_loop().add_signal_handler(told, server.end)
    await server._serve([bound.sock for bound in worker.sockets])


class _Server(uvicorn.Server):
    """uvicorn's, which says that it is alive and ends live pages first."""

    def __init__(self, config: uvicorn.Config, front: Front, worker: _Worker) -> None:
        super().__init__(config)
        self._front, self._worker = front, worker

    def end(self) -> None:
        """Soon, after what is being answered."""
        self.should_exit = True

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second."""
        if counter % 10 == 0:
            self._worker.notify()
        return await super().on_tick(counter) or self._worker.orphaned()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Live pages would hold it up until they were killed."""
        self._front.events.close()
        await super().shutdown(sockets)
