"""Grading processes: forked from one that has everything loaded, ended wholly, and gone with whoever wanted them."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from grader.channel import Channel
from grader.processes import Zygote
from grader.protocol import GradeRequest, Outcome, Verdict, encode
from grader.runner import grade
from grader.worker import NICENESS

ROOT = Path(__file__).resolve().parents[3]
Run = Callable[..., Verdict]


def gone(pid: int, seconds: float = 20.0) -> bool:
    """Whether there is no such process, at last."""
    deadline = time.monotonic() + seconds
    while _there(pid):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)  # polling what the kernel does
    return True


def _there(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_many_come_from_one(run: Run) -> None:
    body = "import os\n@check(points=1, title='One')\ndef test_one(): fail(expected='', observed=os.getppid())"
    said = {run(body).checks[0].message for _ in range(3)}
    assert len(said) == 1


def test_each_leads_a_session_and_has_a_clean_environment(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KINDLING_SECRET_KEY", "secret")
    verdict = run(
        """
        import os, socket, sys
        @check(points=1, title="One")
        def test_one():
            assert os.getsid(0) == os.getpgid(0) == os.getpid()
            assert "KINDLING_SECRET_KEY" not in os.environ
            assert sys.stdin is None or sys.stdin.read() == ""
            def unix(one):
                try:
                    return socket.socket(fileno=os.dup(one)).family == socket.AF_UNIX
                except OSError:
                    return False
            assert sum(unix(int(one)) for one in os.listdir("/proc/self/fd")) == 2  # to read, and to write
        """
    )
    assert verdict.checks[0].outcome is Outcome.PASSED, verdict.checks[0].message


def test_one_does_not_see_what_another_did(run: Run) -> None:
    body = """
        import os, random, sys, json
        @check(points=1, title="One")
        def test_one():
            assert not hasattr(json, "touched") and "KINDLING_TOUCHED" not in os.environ
            json.touched = os.environ["KINDLING_TOUCHED"] = "yes"
            fail(expected="", observed=random.random())
        """
    one, again, other = (run(body, {"attempt": attempt}).checks[0].message for attempt in ("one", "one", "other"))
    assert one == again != other  # numbers by chance are those of the attempt, so that a check can be tried again
    assert not any("touched" in message for message in (one, other))


def test_what_it_has_started_ends_with_it(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "pid"
    verdict = run(
        f"""
        import subprocess
        @check(points=1, title="One")
        def test_one():
            left = subprocess.Popen(["sleep", "600"])
            open({str(file)!r}, "w").write(str(left.pid))
        """
    )
    assert verdict.outcome is Outcome.PASSED
    assert gone(int(file.read_text()))


def test_a_process_that_is_not_needed_ends(zygote: Zygote) -> None:
    with zygote.fork() as worker:
        pid = worker.pid
    assert gone(pid)


def test_a_zygote_ends_when_nobody_needs_it() -> None:
    with Zygote() as zygote, zygote.fork() as worker:
        pids = [zygote.pid, worker.pid]
    assert [gone(pid) for pid in pids] == [True, True]


def test_a_zygote_and_its_processes_end_with_who_started_them(
    request_for: Callable[..., GradeRequest], tmp_path: Path
) -> None:
    """Killed, so that nobody tidies up."""
    request = request_for("@check(points=1, title='One')\ndef test_one(probe): poll(lambda: 0, 60)")
    program = (
        "import json, os, sys, time\nfrom grader.processes import Zygote\nfrom grader.protocol import GradeRequest\n"
        "zygote = Zygote()\nworker = zygote.fork()\nworker.send(GradeRequest(**json.loads(sys.argv[1])))\n"
        "while 'started' not in (worker.lines.get() or 'started'): pass\n"
        "print(zygote.pid, worker.pid, flush=True)\nos.kill(os.getpid(), 9)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program, json.dumps(dataclasses.asdict(request))],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        timeout=60,
        check=False,
    )
    assert ran.returncode == -9
    assert [gone(int(pid)) for pid in ran.stdout.split()] == [True, True]


def test_one_ends_whose_session_died_before_it_had_read_everything(
    request_for: Callable[..., GradeRequest],
) -> None:
    """The kernel says that otherwise than the end of a conversation."""
    theirs, ours = socket.socketpair()
    with theirs, ours, ours.makefile("r") as incoming, ours.makefile("w") as outgoing:
        channel, told = Channel(incoming, outgoing), threading.Event()
        usual = signal.signal(signal.SIGTERM, lambda *_: told.set())
        try:
            theirs.sendall(encode(request_for("")).encode())
            assert channel.request() is not None
            channel.event("started", name="one")
            theirs.close()
            assert told.wait(20)
        finally:
            signal.signal(signal.SIGTERM, usual)
        assert channel.closed
        channel.event("finished", name="one")  # to nobody


def test_what_keeps_a_zygote_from_coming_up_is_said(
    request_for: Callable[..., GradeRequest], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("grader.processes.MODULE", "grader.nowhere")
    with Zygote() as zygote:
        verdict = grade(request_for("@check(points=1, title='One')\ndef test_one(): pass"), zygote=zygote)
    assert verdict.outcome is Outcome.UNGRADABLE
    assert "No module named grader.nowhere" in verdict.cause


def test_memory_is_bounded_in_the_process_and_not_in_the_zygote(run: Run, zygote: Zygote) -> None:
    hungry = "@check(points=1, title='One')\ndef test_one(): list(range(10**9))"
    verdict = run(hungry)
    assert verdict.checks[0].outcome is Outcome.FAILED
    limits = Path(f"/proc/{zygote.pid}/limits").read_text()
    assert next(line for line in limits.splitlines() if line.startswith("Max data size")).split()[3] == "unlimited"
    assert os.getpgid(zygote.pid) == zygote.pid


@pytest.mark.parametrize(("clock", "gives_way"), [("wall", False), ("cluster", True)])
def test_where_time_waits_for_the_grader_it_gives_way_to_others(
    scripted: Any, run: Run, monkeypatch: pytest.MonkeyPatch, clock: str, gives_way: bool
) -> None:
    usual, handle = os.nice(0), scripted.handle

    def timed(method: str, target: str, body: Any) -> tuple[int, Any]:
        answer: tuple[int, Any] = (200, {"time": 1000.0}) if "/simkube/" in target else handle(method, target, body)
        return answer

    monkeypatch.setattr(scripted, "handle", timed)
    body = "import os\n@check(points=1, title='One')\ndef test_one(): fail(expected='', observed=os.nice(0))"
    verdict = run(body, {"time": clock})
    assert verdict.checks[0].message.endswith(f"Observed: {min(19, usual + NICENESS) if gives_way else usual}")
