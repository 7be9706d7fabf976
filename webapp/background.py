"""What need not be finished before a page is shown: one thread, one thing after another.

It refuses to pile up: beyond :data:`MOST` waiting things a new one is dropped, so only what may be lost belongs here.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable

MOST = 1000
_log = logging.getLogger("kindling.site")


class Background:
    """Does what it is given, in a thread that is begun with the first thing and ends with the process."""

    def __init__(self) -> None:
        self._waiting: queue.Queue[Callable[[], object]] = queue.Queue(MOST)
        self._beginning = threading.Lock()
        self._thread: threading.Thread | None = None

    def __call__(self, work: Callable[[], object]) -> None:
        """Do it soon; what goes wrong is logged."""
        with self._beginning:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="background", daemon=True)
                self._thread.start()
        try:
            self._waiting.put_nowait(work)
        except queue.Full:
            _log.warning("too much waits in the background: one thing was dropped")

    def _run(self) -> None:
        while True:
            work = self._waiting.get()
            try:
                work()
            except Exception:  # noqa: BLE001 -- the next thing is another's
                _log.exception("in the background")
