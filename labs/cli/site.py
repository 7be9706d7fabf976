"""``kindling up``: the site on this machine, for whoever sits at it.

One process serves with threads, and one more thread keeps bringing sessions in line. Nothing is exposed beyond loopback
unless asked for.
"""

from __future__ import annotations

import dataclasses
import errno
import logging
import socket
import threading
from typing import TYPE_CHECKING, Any

import click

from labs.bootstrap import Kindling, bootstrap
from labs.cli.context import settings
from labs.cli.output import echo, style
from labs.errors import KindlingError
from labs.settings import Settings, must_be_named

if TYPE_CHECKING:
    from flask import Flask

EVERY = 5.0  # seconds between two looks at all sessions
THREADS = 32  # that answer, beyond those that live pages hold (one each)
LINK_MINUTES = 60.0


@click.command()
@click.option("--host", help="Where to listen (default: KINDLING_HOST, 127.0.0.1: this machine only).")
@click.option("--port", type=click.IntRange(0, 65535), help="Which port (default: KINDLING_PORT, 8000).")
def up(host: str | None, port: int | None) -> None:
    """Start the site and print a link that signs you in once. Ctrl-C ends it; labs keep running."""
    found = settings()
    found = dataclasses.replace(found, host=host or found.host, port=found.port if port is None else port)
    must_be_named(found)
    bound = _bind(found)
    services = bootstrap(found)
    try:
        token = services.accounts.login_link(services.accounts.local().name, LINK_MINUTES)
    finally:
        services.close()
    shown = f"[{found.host}]" if ":" in found.host else found.host
    address = found.public_url or f"http://{shown}:{bound.getsockname()[1]}"
    echo(f"Kindling is at {style(address, bold=True)}")
    echo(f"Sign in, once:  {style(f'{address}/login/{token}', fg='green')}")
    echo("Ctrl-C ends the site; labs keep running.")
    _serve(found, bound)


def reconcile_until_ended(services: Kindling, ending: threading.Event) -> None:
    """The site's loop: every few seconds, see to sessions that need it. Trouble is logged, and tried again."""
    while not ending.is_set():
        try:
            services.sessions.reconcile(background=True)
        except Exception:  # the site goes on; the next round tries again
            logging.getLogger("kindling").exception("bringing sessions in line")
        ending.wait(EVERY)


def _bind(found: Settings) -> socket.socket:
    """The listening socket, so that a taken port is a sentence and not a server's log."""
    bound: socket.socket | None = None
    try:
        family = socket.getaddrinfo(found.host, found.port, type=socket.SOCK_STREAM)[0][0]
        bound = socket.socket(family, socket.SOCK_STREAM)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((found.host, found.port))
        bound.listen(128)
    except OSError as error:
        if bound is not None:
            bound.close()
        fix = f"kindling up --port {found.port + 1}" if error.errno == errno.EADDRINUSE else ""
        why = error.strerror or str(error)
        raise KindlingError(f"cannot listen on {found.host} port {found.port}: {why}", fix) from error
    bound.set_inheritable(True)
    return bound


def _serve(found: Settings, bound: socket.socket) -> None:
    from gunicorn.app.base import BaseApplication  # type: ignore[import-untyped]  # it carries no types
    from gunicorn.workers.gthread import ThreadWorker  # type: ignore[import-untyped]  # it carries no types

    from webapp import create_app
    from webapp.streams import MAX_STREAMS, Streams

    ending = threading.Event()
    opened: list[Kindling] = []
    streams = Streams()

    def begin(worker: Any) -> None:
        del worker
        threading.Thread(target=reconcile_until_ended, args=(opened[0], ending), name="sessions", daemon=True).start()

    def end(server: Any, worker: Any) -> None:
        del server, worker
        ending.set()
        for services in opened:
            services.close()

    class Worker(ThreadWorker):  # type: ignore[misc]  # gunicorn carries no types
        """Ends live pages as soon as it is told to stop; they would hold it up until they were killed."""

        def handle_exit(self, sig: int, frame: Any) -> None:
            streams.close()
            super().handle_exit(sig, frame)

        def handle_quit(self, sig: int, frame: Any) -> None:
            streams.close()
            super().handle_quit(sig, frame)

    class Site(BaseApplication):  # type: ignore[misc]  # gunicorn carries no types
        def load_config(self) -> None:
            options = {
                "bind": [f"fd://{bound.fileno()}"],
                "worker_class": Worker,
                "workers": 1,
                "threads": THREADS + MAX_STREAMS,
                "timeout": 0,
                "graceful_timeout": 10,
                "loglevel": "warning",
                "errorlog": str(found.log_file),
                "post_worker_init": begin,
                "worker_exit": end,
            }
            for name, value in options.items():
                self.cfg.set(name, value)

        def load(self) -> Flask:
            opened.append(bootstrap(found))
            return create_app(opened[0], streams)

    Site().run()
