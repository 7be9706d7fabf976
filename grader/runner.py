"""The session's side of grading: starts the process, feeds it, carries out its faults, and always has a verdict.

Whatever happens to the process (a limit, a crash, a signal, Ctrl-C here), the learner's cluster is put right, every
check that did not finish is ungradable, and nothing of the process is left.

    worker = prestart()                       # while the kubeconfig is being fetched: imports take half a second
    verdict = grade(request, on_event=show, faults=inject, worker=worker)
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from grader.protocol import (
    CheckResult,
    Event,
    FaultCall,
    FaultReply,
    GradeRequest,
    Outcome,
    Verdict,
    check_result,
    decode,
    encode,
)
from grader.text import plain
from grader.verdict import total, ungradable

FaultInjector = Callable[[str, str], None]
"""Inject a fault (a name of ``Fault``, or ``heal`` with target ""). ``ValueError``, ``LookupError``: no such target."""
CLEAN_UP_SECONDS = 30.0
KILLED = (-signal.SIGKILL, -signal.SIGTERM, -signal.SIGHUP, 130)
"""How a process ends that somebody else stopped; 130 when it had the time to put everything right."""
END_SECONDS = 5.0
"""How long a process that is done may take to end."""
KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ", "SYSTEMROOT", "SSL_CERT_FILE", "COVERAGE_PROCESS_START")


class Worker:
    """A grading process that has not been given its request yet, or is at work. A context manager that ends it."""

    def __init__(self, *arguments: str) -> None:
        root = str(Path(__file__).resolve().parent.parent)
        environment = {name: os.environ[name] for name in KEPT if name in os.environ}
        environment |= {"PYTHONPATH": root, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        self._process = subprocess.Popen(  # noqa: S603 - our own module, by our own interpreter
            [sys.executable, "-m", "grader.worker", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            cwd=os.sep,  # it is looked into for modules, and anybody may put one into a folder for temporary files
            start_new_session=True,
            text=True,
            encoding="utf-8",
            errors="replace",
        )
        self.lines: queue.Queue[str | None] = queue.Queue()
        self._errors: deque[str] = deque(maxlen=100)
        for target in (self._read, self._read_errors):
            threading.Thread(target=target, name="grader", daemon=True).start()

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def log(self) -> str:
        """The end of what it wrote to standard error."""
        return plain("".join(self._errors), 6000)

    def send(self, message: GradeRequest | FaultReply) -> None:
        """One line to it; a process that is gone is noticed by the end of its output."""
        with contextlib.suppress(BrokenPipeError, ValueError):
            assert self._process.stdin is not None
            self._process.stdin.write(encode(message))
            self._process.stdin.flush()

    def stop(self) -> None:
        """Ask it to put everything right and end."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)

    def close(self) -> int:
        """End it and everything it started, now; its exit code. May be called twice."""
        if self._process.returncode is None:  # once it is reaped, its number may be another's
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
        code = self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            with contextlib.suppress(OSError, ValueError):
                if stream is not None and stream is self._process.stdin:
                    stream.close()
        return code

    def ended(self, seconds: float) -> int | None:
        """Wait for its end; its exit code, None when it still runs."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as stream:
            for line in stream:
                self.lines.put(line)
        self.lines.put(None)

    def _read_errors(self) -> None:
        assert self._process.stderr is not None
        with self._process.stderr as stream:
            for line in stream:
                self._errors.append(line[:2000])


def prestart() -> Worker:
    """Start a grading process that imports and then waits for its request. Close it when it is not needed after all."""
    return Worker()


def grade(
    request: GradeRequest,
    *,
    on_event: Callable[[Event], None] | None = None,
    faults: FaultInjector | None = None,
    worker: Worker | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Verdict:
    """Grade one attempt; returns when it is over and the cluster has been put right.

    ``on_event`` sees every event as it comes; ``cancelled`` is asked a few times a second. ``request.seconds`` is the
    limit of the whole attempt. Never raises for what happens in the grading process.
    """
    attempt = _Attempt(request, worker or prestart(), on_event, faults, cancelled)
    try:
        attempt.run()
    finally:
        attempt.put_right()
    return attempt.verdict()


def clean(kubeconfig: str, namespace: str) -> None:
    """Remove the probes that killed attempts at ``namespace`` left behind; ``Ungradable`` when the cluster is gone."""
    from grader.connection import Connection  # here: whoever only starts the process early has no time for its imports
    from grader.probe_pod import sweep

    connection = Connection(kubeconfig)
    try:
        sweep(connection, namespace)
    finally:
        connection.close()


def put_back(kubeconfig: str, namespace: str, mark: bytes, faults: FaultInjector) -> None:
    """Put back what a killed process left changed, by its mark; ``ValueError``, ``GraderError`` when it cannot."""
    from grader.clock import WallClock
    from grader.cluster import Cluster
    from grader.connection import Connection
    from grader.evidence import Evidence
    from grader.faults import Faults
    from grader.mark import marked
    from grader.objects import Pod
    from grader.operate import Operate

    connection = Connection(kubeconfig)
    try:
        clock = WallClock()  # only a learner's own cluster is ever put back
        cluster, nowhere = Cluster(connection, namespace), Evidence(clock)
        operate, broken = Operate(cluster, nowhere), Faults(cluster, None, faults, nowhere, clock)
        for how, before, container in marked(mark):
            if how == "operate":
                operate.take_over(before)
            else:
                broken.take_over(how, Pod(before), container)
        broken.undo()
        operate.restore()
    finally:
        connection.close()


def missing(kubeconfig: str, before: object) -> str:
    """What was ready in the snapshot ``before`` and is not ready again, as a phrase; "" when all of it is."""
    from grader import readiness
    from grader.connection import Connection

    connection = Connection(kubeconfig, patience=0.0)  # whoever waits for it asks again
    try:
        return readiness.missing(connection, before)
    finally:
        connection.close()


class _Attempt:
    def __init__(
        self,
        request: GradeRequest,
        worker: Worker,
        on_event: Callable[[Event], None] | None,
        faults: FaultInjector | None,
        cancelled: Callable[[], bool] | None,
    ) -> None:
        self._request, self._worker, self._faults = request, worker, faults
        self._on_event = on_event or (lambda _: None)
        self._cancelled = cancelled or (lambda: False)
        self._began = time.monotonic()
        self._plan: list[dict[str, Any]] = []
        self._results: dict[str, CheckResult] = {}
        self._snapshot: dict[str, Any] = {}
        self._ended = False
        self._unhealed = False
        self._trouble = ""
        self._code = 0
        self._killed = False

    def run(self) -> None:
        """Until the process ends, the limit is reached, or nobody wants the verdict any more."""
        self._worker.send(self._request)
        deadline = self._began + self._request.seconds
        while not self._ended:
            if self._cancelled():
                self._trouble = "the attempt was cancelled"
                return
            if time.monotonic() > deadline:
                self._trouble = f"the attempt ran past its limit of {self._request.seconds:g} s"
                return
            self._take(0.2)

    def put_right(self) -> None:
        """Have the process clean up, end it, and undo by ourselves what it could not."""
        try:
            if not self._ended:
                self._worker.stop()
                deadline = time.monotonic() + CLEAN_UP_SECONDS
                while not self._ended and time.monotonic() < deadline:
                    self._take(0.2, telling=False)
            stopped = self._ended and not self._trouble
            code = self._worker.ended(END_SECONDS)
            left = code is None or not self._ended
            self._killed = stopped and code in KILLED
        finally:
            self._code = self._worker.close()
        if left or self._code not in (0, 130):
            self._sweep()
        if self._unhealed and self._faults is not None:
            self._inject(FaultCall(0, "heal"))

    def verdict(self) -> Verdict:
        """What is known; whatever is not known is ungradable."""
        cause = self._trouble or f"the grading process ended early (code {self._code}): {self._worker.log}"
        how = ungradable("it did not finish" if not self._trouble else self._trouble, cause)
        checks = []
        for planned in self._plan:
            blank = CheckResult(
                name=planned["name"],
                title=planned["title"],
                outcome=Outcome.UNGRADABLE,
                points=0.0,
                max_points=planned["points"],
                message=how.message,
                cause=how.cause,
            )
            checks.append(self._results.get(planned["name"], blank))
        finished = len(self._results) == len(self._plan) > 0
        whole = total(checks, time.monotonic() - self._began, self._snapshot, "" if finished else how.cause)
        return dataclasses.replace(whole, killed=self._killed and not finished)

    def _take(self, seconds: float, *, telling: bool = True) -> None:
        """Deal with the next line, if one comes in time."""
        try:
            line = self._worker.lines.get(timeout=seconds)
        except queue.Empty:
            return
        if line is None:
            self._ended = True
            return
        try:
            message = decode(line)
        except ValueError as error:
            self._trouble = str(error)
            self._ended = True
            return
        if isinstance(message, FaultCall):
            self._worker.send(self._inject(message))
        elif isinstance(message, Event):
            self._note(message)
            if telling:
                self._on_event(message)

    def _note(self, event: Event) -> None:
        if event.kind == "plan":
            self._plan = list(event.data["checks"])
        elif event.kind == "snapshot":
            self._snapshot = event.data
        elif event.kind == "finished":
            result = check_result(event.data)
            self._results[result.name] = result

    def _inject(self, call: FaultCall) -> FaultReply:
        if self._faults is None:
            return FaultReply(call.id, "this provider injects no faults")
        if call.fault != "heal" and call.fault not in self._request.faults:
            return FaultReply(call.id, "the lab does not list this fault in its needs")
        if call.fault not in ("kill-container", "heal"):
            self._unhealed = True
        try:
            self._faults(call.fault, call.target)
        except (LookupError, ValueError) as error:
            return FaultReply(call.id, plain(error, 500) or "unknown target", "unknown-target")
        except Exception as error:  # noqa: BLE001 - whatever a provider raises is told to the check, which is ungradable
            return FaultReply(call.id, plain(f"{type(error).__name__}: {error}", 1000))
        if call.fault == "heal":
            self._unhealed = False
        return FaultReply(call.id)

    def _sweep(self) -> None:
        """Remove the probe of a process that was killed."""
        with Worker("--sweep") as sweeper:
            sweeper.send(self._request)
            sweeper.ended(20)
