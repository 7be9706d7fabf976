"""Where the site of a home is, for whatever prints a link: the site that is up has said so in the lock that it holds.

It refuses to guess while a site is up: the port may have been chosen as it was started.
"""

from __future__ import annotations

from dataclasses import dataclass

from labs.locks import Locks
from labs.settings import Settings

SITE = "site"
"""The name of the lock that the site of a home holds."""


@dataclass(frozen=True)
class Site:
    """A site. ``pid`` is its process's; "" where none is up, or one that has not said yet where it is."""

    address: str
    pid: str = ""


def running_site(found: Settings) -> Site | None:
    """The site that is up for this home."""
    locks = Locks(found.locks)
    if not locks.held(SITE):
        return None
    pid, _, address = locks.content(SITE).decode(errors="replace").partition(" ")
    return Site(address or configured(found), pid if address else "")


def configured(found: Settings, port: int | None = None) -> str:
    """The address that the settings say; ``port`` is the one that the site got, where that was left open."""
    shown = f"[{found.host}]" if ":" in found.host else found.host
    return found.public_url or f"http://{shown}:{found.port if port is None else port}"
