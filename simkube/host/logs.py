"""The one log of a host, written by all of its processes and never large.

Control turns it over; workers notice and go on in the new one. What users wrote ends up escaped, on one line.
"""

from __future__ import annotations

import logging
from logging.handlers import RotatingFileHandler, WatchedFileHandler
from pathlib import Path

MOST_BYTES = 2_000_000
KEPT = 2
"""Older files that are kept."""


class _OneLine(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return super().format(record).replace("\n", "\n    ").encode("ascii", "backslashreplace").decode()


class _Turned(RotatingFileHandler):
    """Turns over also what others made large."""

    def tidy(self) -> None:
        """Turn the log over when it is large."""
        self.acquire()
        try:
            if Path(self.baseFilename).stat().st_size > MOST_BYTES:
                self.doRollover()
        except OSError:
            return  # it is looked at again
        finally:
            self.release()


def log_to(path: Path, worker: int | None = None) -> None:
    """Write what is logged to that file, as control or as the worker of that number."""
    handler: logging.Handler
    if worker is None:
        handler = _Turned(path, maxBytes=MOST_BYTES, backupCount=KEPT, encoding="ascii", errors="backslashreplace")
        who = ""
    else:
        handler = WatchedFileHandler(path, encoding="ascii", errors="backslashreplace")
        who = f"worker-{worker} "
    handler.setFormatter(_OneLine(f"%(asctime)s {who}%(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.raiseExceptions = False  # what cannot be written, on a full disk, is dropped
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)


def tidy() -> None:
    """Keep the log small, whoever wrote it."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, _Turned):
            handler.tidy()
