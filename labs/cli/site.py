"""``kindling up``: the site on this machine, for whoever sits at it.

Nothing is exposed beyond loopback unless asked for; :mod:`webapp.front` says which processes there are.
"""

from __future__ import annotations

import dataclasses
import errno
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

from labs import ballast
from labs.bootstrap import bootstrap
from labs.cli.address import SITE, configured, running_site
from labs.cli.context import settings
from labs.cli.importing import site_server
from labs.cli.output import echo, style
from labs.errors import KindlingError
from labs.locks import Locks
from labs.settings import Settings, must_be_named

LINK_MINUTES = 60.0
BACKLOG = 2048  # connections that the system keeps until they are accepted


@click.command()
@click.option("--host", help="Where to listen (default: KINDLING_HOST, 127.0.0.1: this machine only).")
@click.option("--port", type=click.IntRange(0, 65535), help="Which port (default: KINDLING_PORT, 8000).")
def up(host: str | None, port: int | None) -> None:
    """Start the site and print a link that signs you in once. Ctrl-C ends it; labs keep running."""
    found = settings()
    found = dataclasses.replace(found, host=host or found.host, port=found.port if port is None else port)
    must_be_named(found)
    server = site_server()
    services = bootstrap(found)
    try:
        ballast.keep(found.home)
        with _only_site(found) as announce, _bind(found) as bound:
            address = configured(found, bound.getsockname()[1])
            announce(address)
            token = services.accounts.login_link(services.accounts.local().name, LINK_MINUTES)
            services.close()
            echo(f"Kindling is at {style(address, bold=True)}")
            echo(f"Sign in, once:  {style(f'{address}/login/{token}', fg='green')}")
            echo("Ctrl-C ends the site; labs keep running.")
            server.serve(found, bound)
    finally:
        services.close()


@contextmanager
def _only_site(found: Settings) -> Iterator[Callable[[str], None]]:
    """One site for a home: two would be two places to look for what went wrong. Gives what is to be told its address.

    The lock is inherited by the site's processes, so it is held until the last of them has ended.
    """
    locks = Locks(found.locks)
    with locks.hold(SITE) as held:
        if not held:
            site = running_site(found)
            where = f" at {site.address} (process {site.pid})" if site and site.pid else ""
            how = f", or with kill {site.pid}" if site and site.pid else ""
            raise KindlingError(
                f"Kindling is up for this home already{where}: open it there with a new sign-in link, or end it with "
                f"Ctrl-C where it was started{how}. A second site needs another home: "
                f"KINDLING_HOME=DIRECTORY kindling up",
                "kindling user link",
            )
        yield lambda address: locks.write(SITE, f"{os.getpid()} {address}".encode())


def _bind(found: Settings) -> socket.socket:
    """The listening socket, so that a taken port is a sentence and not a server's log."""
    bound: socket.socket | None = None
    try:
        family = socket.getaddrinfo(found.host, found.port, type=socket.SOCK_STREAM)[0][0]
        bound = socket.socket(family, socket.SOCK_STREAM)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((found.host, found.port))
        bound.listen(BACKLOG)
    except OSError as error:
        if bound is not None:
            bound.close()
        fix = f"kindling up --port {found.port + 1}" if error.errno == errno.EADDRINUSE else ""
        why = error.strerror or str(error)
        raise KindlingError(f"cannot listen on {found.host} port {found.port}: {why}", fix) from error
    bound.set_inheritable(True)
    return bound
