"""The grading process, forked by :mod:`grader.zygote`.

It reads one request, grades it and ends. SIGTERM, SIGINT, and the end of its input stop it: what it made in the cluster
is removed and what it broke is undone first. One that is to sweep only removes what a killed attempt left behind.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import sys
import types
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import pytest

from grader import limits
from grader.channel import Channel
from grader.connection import Connection
from grader.errors import Ungradable
from grader.mark import Mark
from grader.plugin import Grading
from grader.probe_pod import sweep
from grader.protocol import GradeRequest

OPTIONS = ("-s", "--assert=plain", "--noconftest", "--import-mode=importlib")
PLUGINS_OFF = (
    "cacheprovider",
    "terminal",
    "faulthandler",
    "doctest",
    "junitxml",
    "pastebin",
    "logging",
    "unraisableexception",
)


NICENESS = 10
"""Where time waits for whoever grades, the processor is left to those who work."""


class Stopped(KeyboardInterrupt):
    """The attempt is to end now; pytest tears down what it has set up."""


def warm() -> None:
    """Load what is loaded at its first use, so that each of many processes need not, and none is stopped within it: an
    import that an exception of a signal's handler ends may keep all others waiting for good."""
    "localhost".encode("idna")  # as every connection's host
    _pytest(Path(limits.__file__), "--collect-only")


def run(sweeps: bool) -> int:
    """Grade one attempt, or sweep; the process's exit code."""
    try:
        return _run(sweeps)
    except Stopped:
        return 130


def _run(sweeps: bool) -> int:
    channel = _channel()
    stopped = _on_signals()
    request = channel.request()
    if request is None:
        return 0
    try:
        if sweeps:
            sweep(Connection(request.kubeconfig), request.namespace)
            return 0
        _grade(request, channel, stopped)
        return 130 if stopped else 0
    except Ungradable as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return 2


def _grade(request: GradeRequest, channel: Channel, stopped: Sequence[int]) -> None:
    if request.time == "cluster":
        _give_way()
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    memory = limits.MEMORY_BYTES if most == resource.RLIM_INFINITY else min(limits.MEMORY_BYTES, most)
    resource.setrlimit(resource.RLIMIT_DATA, (memory, most))
    mark = Mark(request.mark)
    grading = Grading(request, channel.event, channel.ask, mark.changing)
    try:
        code = _pytest(Path(request.checks), plugins=[grading])
        if not stopped:  # else nobody needs to know any more
            grading.looked()
    finally:
        grading.close()
        mark.put_back()
    channel.event("done", code=code)


def _give_way() -> None:
    """Be nice, also where the kernel shares processors among sessions and niceness counts within each only."""
    os.nice(NICENESS)
    with contextlib.suppress(OSError):
        Path("/proc/self/autogroup").write_text(str(NICENESS))


def _pytest(file: Path, *options: str, plugins: Sequence[object] = ()) -> int:
    given = [*OPTIONS, *(part for name in PLUGINS_OFF for part in ("-p", "no:" + name)), *options]
    return int(pytest.main([*given, "-c", os.devnull, "--rootdir", str(file.parent), str(file)], plugins=plugins))


def _channel() -> Channel:
    """Take standard input and output away from everything else: what a check prints goes to standard error."""
    incoming, outgoing = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(2, 1)
    os.close(null)
    return Channel(os.fdopen(incoming, "r", encoding="utf-8"), os.fdopen(outgoing, "w", encoding="utf-8"))


def _on_signals() -> list[int]:
    """The first SIGTERM or SIGINT interrupts the check; later ones find the clean-up under way, and are ignored.

    The list that is returned holds its number from then on: pytest ends as usual after it.
    """
    stopped: list[int] = []

    def stop(number: int, _: types.FrameType | None) -> NoReturn:
        for one in (signal.SIGTERM, signal.SIGINT):
            signal.signal(one, signal.SIG_IGN)
        stopped.append(number)
        raise Stopped(f"signal {number}")

    for one in (signal.SIGTERM, signal.SIGINT):
        signal.signal(one, stop)
    return stopped
