"""Where exceptions that nobody foresaw, in a cluster's own code, are handed in: logged, kept, told.

A loop, a timer, a task or a simulated program that meets one hands it in and goes on;
:class:`~simkube.cluster.crash_reporter.CrashReporter` makes an event and a condition of it. It is not for
errors that an API server answers with, nor for what a simulated program says of its own accord.

After ``HandleCrash`` and ``HandleError`` of apimachinery (``pkg/util/runtime``). It refuses to judge: what is handed in
is a fault of this code, whatever it was about. With :data:`FILE` set in the environment each one is a line of that file
as well, for a test suite whose clusters run in processes of their own.
"""

from __future__ import annotations

import logging
import os
import traceback
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)

FILE = "SIMKUBE_CRASHES"
"""The environment variable that names the file."""
MOST = 50
"""So many are kept for a cluster, the latest."""


@dataclass(frozen=True, slots=True)
class Crash:
    """One unexpected exception. ``doing`` is what was going on, ``about`` the object it was about, if any."""

    component: str
    doing: str
    error: BaseException
    about: dict[str, Any] | None = None

    @property
    def reason(self) -> str:
        """The exception's class: ``KeyError``."""
        return type(self.error).__name__

    @property
    def where(self) -> str:
        """The innermost line of code of its traceback: ``worker.py:123``; "" without one."""
        frames = traceback.extract_tb(self.error.__traceback__)
        return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""

    def __str__(self) -> str:
        text = " ".join(str(self.error).split())[:200]
        return f"{self.component}: {self.reason}: {text} ({self.where}) while {self.doing[:200]}"


def _unheard(_: Crash) -> None:
    """Nobody wants to hear of it."""


class Crashes:
    """Of one cluster; whatever runs in it has them on its clock. ``told`` hears of each, ``mended`` of what went well
    after it: the component and the object.
    """

    def __init__(self) -> None:
        self.latest: deque[Crash] = deque(maxlen=MOST)
        self.told: Callable[[Crash], None] = _unheard
        self.mended: Callable[[str, dict[str, Any] | None], None] = lambda component, about: None  # noqa: ARG005

    def handle(self, component: str, doing: str, error: BaseException, about: dict[str, Any] | None = None) -> None:
        """Take an exception that was caught because nothing else may stop for it."""
        crash = Crash(component, doing, error, about)
        log.error("%s", crash, exc_info=error)
        self.latest.append(crash)
        _write(crash)
        self.told(crash)


def _write(crash: Crash) -> None:
    """To the file of a test suite."""
    if FILE in os.environ:
        with suppress(OSError), Path(os.environ[FILE]).open("a") as file:
            file.write(f"{crash}\n")


__all__ = ["FILE", "Crash", "Crashes"]
