"""Threads that do what is wanted of sessions while the site answers requests.

Waking them says that something is wanted; what it is, they read from the rows.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from labs.errors import Unavailable

if TYPE_CHECKING:
    from labs.session.service import SessionService

log = logging.getLogger(__name__)

POLL = 0.1  # seconds between looks at what another process does
JOIN_SECONDS = 10.0
EVERY = 5.0  # seconds between two looks at all sessions


class Background:
    """At most one thread per session. ``work`` does all that is wanted; False when another process is at it."""

    def __init__(self, work: Callable[[str], bool], pause: Callable[[float], None]) -> None:
        self._work, self._pause = work, pause
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._threads: dict[str, threading.Thread] = {}
        self._woken: set[str] = set()

    def closing(self) -> bool:
        """Whether this process is about to end."""
        return self._closing.is_set()

    def wake(self, session: str) -> None:
        """See to a session, soon; a thread that is at it already looks once more."""
        with self._lock:
            self._woken.add(session)
            if session in self._threads:
                return
            thread = threading.Thread(target=self._run, args=(session,), name=f"session-{session}", daemon=True)
            self._threads[session] = thread
            thread.start()

    def close(self) -> None:
        """Let threads finish what they hold."""
        self._closing.set()
        with self._lock:
            threads = list(self._threads.values())
        for thread in threads:
            thread.join(timeout=JOIN_SECONDS)

    def _run(self, session: str) -> None:
        while True:
            with self._lock:
                if session not in self._woken or self.closing():
                    del self._threads[session]
                    return
                self._woken.discard(session)
            try:
                while not self._work(session) and not self.closing():
                    self._pause(POLL)
            except Unavailable as error:
                log.warning("session %s is seen to in a moment: %s", session, error.reason)
            except Exception:  # a thread has nobody to raise to; the site's loop wakes the session again
                log.exception("session %s", session)


def keep_in_line(sessions: SessionService, ending: threading.Event) -> None:
    """The site's loop: every few seconds, see to sessions that need it. Trouble is logged, and tried again."""
    while not ending.is_set():
        try:
            sessions.reconcile(background=True)
        except Unavailable as error:
            log.warning("sessions are brought in line in a moment: %s", error.reason)
        except Exception:  # the site goes on; the next round tries again
            log.exception("bringing sessions in line")
        ending.wait(EVERY)


def keep_written(sessions: SessionService, ending: threading.Event) -> None:
    """For a process that answers requests: every few seconds, write down what only counts as time spent."""
    while not ending.wait(EVERY):
        sessions.write_activity()
