"""Where the command writes what is not for the person in front of it."""

from __future__ import annotations

import logging
import os
import tempfile
import time
from io import TextIOWrapper
from pathlib import Path

from labs.settings import Settings

_LIMIT = 5 * 1024 * 1024
_NAME = "kindling"


def open_log(settings: Settings) -> None:
    """Send the log to the home's file; one that has grown too long is put aside first.

    A home that cannot be written is said by whoever needs it; what is logged goes to the temporary folder then.
    """
    path = settings.log_file
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if path.exists() and path.stat().st_size > _LIMIT:
            path.replace(path.with_suffix(".log.1"))
        os.close(_open_private(path))
        _attach(path)
    except OSError:
        return


def log_in_full(error: BaseException) -> str:
    """Write down what nobody foresaw, wherever there is room for it; says where that is."""
    logger = logging.getLogger(_NAME)
    for _ in range(2):
        if not _attached or _attached[-1].failed:
            _attach_temporary()
        logger.error("unforeseen trouble", exc_info=error)
        if _attached and not _attached[-1].failed:
            return f"the details are in {_attached[-1].baseFilename}"
    return "the details could not be written anywhere: is the disk full?"


class OneEntry(logging.Formatter):
    """Times in UTC; what users wrote cannot begin an entry of its own: further lines are indented, control characters
    escaped."""

    converter = staticmethod(time.gmtime)
    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"

    def format(self, record: logging.LogRecord) -> str:
        lines = super().format(record).splitlines()
        return "\n    ".join("".join(map(_shown, line)) for line in lines)


class PrivateFile(logging.FileHandler):
    """A log that its owner alone may read."""

    def _open(self) -> TextIOWrapper:
        return open(_open_private(self.baseFilename), "a", encoding=self.encoding)


class _LogFile(PrivateFile):
    """What cannot be written is dropped: a log that fails must not add a traceback to what somebody sees.

    ``failed``: the last message was.
    """

    failed = False

    def emit(self, record: logging.LogRecord) -> None:
        self.failed = False
        try:
            super().emit(record)
        except OSError:  # it could not be opened
            self.failed = True

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 -- the library's name for it
        del record
        self.failed = True


_attached: list[_LogFile] = []


def _attach_temporary() -> None:
    try:
        _attach(Path(tempfile.mkdtemp(prefix="kindling-")) / "kindling.log")
    except OSError:
        return


def _open_private(path: str | Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)


def _shown(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode()


def _attach(path: Path) -> None:
    handler = _LogFile(path, encoding="utf-8", delay=True)
    handler.setFormatter(OneEntry("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    for old in [one for one in root.handlers if one.name == _NAME]:
        root.removeHandler(old)
        old.close()
    handler.name = _NAME
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    _attached[:] = [handler]
