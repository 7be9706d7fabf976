"""The grading process: ``python -m grader.worker``.

Everything is imported before the request is read, so that a caller can start it early and have it answer at once. It
grades one attempt and ends. SIGTERM, SIGINT, and the end of its input stop it: what it made in the cluster is removed
and what it broke is undone first. With ``--sweep`` it only removes what a killed attempt left behind.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
import types
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


class Stopped(KeyboardInterrupt):
    """The attempt is to end now; pytest tears down what it has set up."""


def main(arguments: list[str]) -> int:
    """Grade one attempt; the process's exit code."""
    channel = _channel()
    stopped = _on_signals()
    request = channel.request()
    if request is None:
        return 0
    try:
        if "--sweep" in arguments:
            sweep(Connection(request.kubeconfig), request.namespace)
            return 0
        _grade(request, channel)
        return 130 if stopped else 0
    except Ungradable as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return 2


def _grade(request: GradeRequest, channel: Channel) -> None:
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    memory = limits.MEMORY_BYTES if most == resource.RLIM_INFINITY else min(limits.MEMORY_BYTES, most)
    resource.setrlimit(resource.RLIMIT_DATA, (memory, most))
    mark = Mark(request.mark)
    grading = Grading(request, channel.event, channel.ask, mark.changing)
    try:
        options = [*OPTIONS, *(part for name in PLUGINS_OFF for part in ("-p", "no:" + name))]
        place = ["-c", os.devnull, "--rootdir", str(Path(request.checks).parent)]
        code = pytest.main([*options, *place, request.checks], plugins=[grading])
        grading.looked()
    finally:
        grading.close()
        mark.put_back()
    channel.event("done", code=int(code))


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


if __name__ == "__main__":
    try:
        code = main(sys.argv[1:])
    except Stopped:
        code = 130
    sys.stderr.flush()
    os._exit(code)  # threads that wait for an answer that no longer matters are not waited for
