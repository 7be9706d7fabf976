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
_where: list[Path] = []


def open_log(settings: Settings) -> None:
    """Send the log to the home's file; one that has grown too long is put aside first."""
    path = settings.log_file
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if path.exists() and path.stat().st_size > _LIMIT:
            path.replace(path.with_suffix(".log.1"))
        _attach(path)
    except OSError:  # such as a home that cannot be written: said by whoever needs it
        return


def log_file() -> Path:
    """The log's path; opened in the temporary folder when there is none yet."""
    if not _where:
        _attach(Path(tempfile.mkdtemp(prefix="kindling-")) / "kindling.log")
    return _where[-1]


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
        descriptor = os.open(self.baseFilename, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        return open(descriptor, "a", encoding=self.encoding)


def _shown(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode()


def _attach(path: Path) -> None:
    handler = PrivateFile(path, encoding="utf-8", delay=True)
    handler.setFormatter(OneEntry("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    for old in [one for one in root.handlers if one.name == _NAME]:
        root.removeHandler(old)
        old.close()
    handler.name = _NAME
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    _where.append(path)
