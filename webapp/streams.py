"""Live pages: who may have one, and what is handed over when a view has agreed to it.

A view only says that a page is to be kept up to date, and how it is looked at; :mod:`webapp.front.events` does it.
Under a server that cannot, or when there are too many, the view answers 503 and the page asks again by itself. A
learner's streams are counted as locks, which all processes of a home share and which a killed one gives back.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

from flask import Response, request
from werkzeug.exceptions import ServiceUnavailable

from labs.locks import Locks

MAX_STREAMS = 1000
"""Of one process. Each is a connection and a file."""
MAX_OF_ONE = 6
"""As many as a browser has connections to one site."""
HANDOVER = "kindling.subscriptions"
"""In the WSGI environment: a list for the subscription, where the server takes one."""
Subject = tuple[int, str]
"""An account's id and a lab: what a live page is about."""


@dataclass(frozen=True)
class Subscription:
    """One live page, of who is signed in by ``sign_in``.

    ``look`` gives its version and what it is to show now, as JSON; None when who asked may not see it any more, of
    which ``allowed`` alone is asked now and then. Either may be called from any thread, one at a time. ``close`` is to
    be called once at its end.
    """

    subject: Subject
    sign_in: int
    allowed: Callable[[], bool]
    look: Callable[[], tuple[str, str] | None]
    close: Callable[[], None]


class Streams:
    """Who has a live page: ``limit`` in this process, ``of_one`` of one account's in all processes."""

    def __init__(self, locks: Locks, limit: int = MAX_STREAMS, of_one: int = MAX_OF_ONE) -> None:
        self._locks, self._limit, self._of_one = locks, limit, of_one
        self._open: set[ExitStack] = set()

    def take(self, account: int) -> Callable[[], None] | None:
        """A place for one more, as what gives it back; None when there are too many."""
        if len(self._open) >= self._limit:
            return None
        for number in range(self._of_one):
            name, held = f"{account}-{number}", ExitStack()
            if held.enter_context(self._locks.hold(name)):
                held.callback(self._locks.forget, name)
                held.callback(self._open.discard, held)
                self._open.add(held)
                return held.close
        return None


def hand_over(
    streams: Streams,
    subject: Subject,
    sign_in: int,
    allowed: Callable[[], bool],
    look: Callable[[], tuple[str, str] | None],
) -> Response:
    """Have the server keep a page up to date; the answer's head is this one, its body the server's."""
    takers = request.environ.get(HANDOVER)
    give_back = streams.take(subject[0]) if takers is not None else None
    if takers is None or give_back is None:
        raise ServiceUnavailable("Too many pages are kept up to date at once; close some of yours.")
    takers.append(Subscription(subject, sign_in, allowed, look, give_back))
    return Response(mimetype="text/event-stream", headers={"X-Accel-Buffering": "no"})
