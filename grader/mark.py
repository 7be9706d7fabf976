"""A file by which others see, whatever becomes of the grading process, whether it is still there and what it left.

The file is locked for as long as the process lives: the kernel lets go of it when it dies. Before something of the
learner's is changed that the cluster does not put back by itself, a line of JSON is written that says how it was; when
all of it is put back the file is empty again.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Mapping
from typing import Any

Changing = Callable[[str, Mapping[str, Any], str], None]
"""Called before a change: what is done (``operate``, ``delete``, ``hang``, ``take-away``), the object as it was, of a
pod which container or ""."""


class Mark:
    """The mark of this process at ``path``; none when ``path`` is "". Waits for a process that has it still."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_CREAT | os.O_RDWR, 0o600) if path else -1
        if path:
            fcntl.flock(self._file, fcntl.LOCK_EX)

    def changing(self, how: str, before: Mapping[str, Any], container: str = "") -> None:
        """See :data:`Changing`."""
        if self._file >= 0:
            line = json.dumps({"how": how, "before": before, "container": container}) + "\n"
            os.lseek(self._file, 0, os.SEEK_END)
            os.write(self._file, line.encode())

    def put_back(self) -> None:
        """All of it is as it was."""
        if self._file >= 0:
            os.ftruncate(self._file, 0)


def unmarked(how: str, before: Mapping[str, Any], container: str = "") -> None:
    """Leaves no mark."""


def marked(content: bytes) -> list[tuple[str, dict[str, Any], str]]:
    """What a mark says was changed, the first change first; ``ValueError`` when its process died while writing."""
    try:
        lines = [json.loads(line) for line in content.decode().splitlines()]
        return [(str(one["how"]), dict(one["before"]), str(one["container"])) for one in lines]
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a mark: {content[:200]!r}") from error
