"""Telling a connection that somebody known uses it, for whoever has to choose between connections.

It refuses to know who serves the connection: a server that counts them gives its connections a method ``prove``.
"""

from __future__ import annotations

from aiohttp import web


def prove(http: web.Request, whose: str) -> None:
    """The request is of a user of ``whose``; StatusError 429 when they have all the connections that they may."""
    told = getattr(http.protocol, "prove", None)
    if told is not None:
        told(whose)
