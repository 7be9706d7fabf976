"""The session's side of a grading process: feeds it, carries out its faults, and always has a verdict.

Whatever happens to the process (a limit, a crash, a signal, Ctrl-C here), the learner's cluster is put right, every
check that did not finish is ungradable, and nothing of the process is left.

    zygote = Zygote().start()                 # while the kubeconfig is being fetched: imports take half a second
    verdict = grade(request, on_event=show, faults=inject, zygote=zygote)
"""

from __future__ import annotations

import contextlib
import dataclasses
import queue
import signal
import time
from collections.abc import Callable, Mapping
from typing import Any

from grader.processes import SWEEP, Worker, Zygote
from grader.protocol import (
    CheckResult,
    Event,
    FaultCall,
    FaultReply,
    GradeRequest,
    Verdict,
    check_result,
    decode,
)
from grader.text import plain
from grader.verdict import Judgement, total, ungradable

FaultInjector = Callable[[str, str], None]
"""Inject a fault (a name of ``Fault``, or ``heal`` with target ""). ``ValueError``, ``LookupError``: no such target."""
CLEAN_UP_SECONDS = 30.0
KILLED = (-signal.SIGKILL, -signal.SIGTERM, -signal.SIGHUP, 130)
"""How a process ends that somebody else stopped; 130 when it had the time to put everything right."""
END_SECONDS = 5.0
"""How long a process that is done may take to end."""
UNDOING = ("heal", "start-node", "start-component", "start-controller", "mend-path", "thaw-container")
"""What every lab may ask for."""


def grade(
    request: GradeRequest,
    *,
    on_event: Callable[[Event], None] | None = None,
    faults: FaultInjector | None = None,
    zygote: Zygote | None = None,
    cancelled: Callable[[], bool] | None = None,
    began: float | None = None,
) -> Verdict:
    """Grade one attempt, or a part of one; returns when it is over and the cluster has been put right.

    ``on_event`` sees every event as it comes; ``cancelled`` is asked a few times a second. ``request.seconds`` is the
    limit of the whole attempt, from ``began`` on (of ``time.monotonic``; now). Never raises for what happens in the
    grading process.
    """
    with contextlib.ExitStack() as stack:
        forks = zygote or stack.enter_context(Zygote())
        attempt = _Attempt(request, forks, on_event, faults, cancelled, began)
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
                broken.take_over(how, before, container)
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


def inventory(kubeconfig: str) -> dict[str, Any]:
    """What there is in a cluster (:mod:`grader.inventory`); ``GraderError`` when it cannot be looked at."""
    from grader import inventory
    from grader.connection import Connection

    connection = Connection(kubeconfig)
    try:
        return inventory.take(connection)
    finally:
        connection.close()


def unfinished(planned: Mapping[str, Any], how: Judgement) -> CheckResult:
    """The result of a check that has none; ``planned`` as in the event ``plan``."""
    return CheckResult(
        name=planned["name"],
        title=planned["title"],
        outcome=how.outcome,
        points=0.0,
        max_points=planned["points"],
        message=how.message,
        cause=how.cause,
    )


class _Attempt:
    def __init__(
        self,
        request: GradeRequest,
        zygote: Zygote,
        on_event: Callable[[Event], None] | None,
        faults: FaultInjector | None,
        cancelled: Callable[[], bool] | None,
        began: float | None,
    ) -> None:
        self._request, self._zygote, self._faults = request, zygote, faults
        self._worker: Worker = zygote.fork()
        self._on_event = on_event or (lambda _: None)
        self._cancelled = cancelled or (lambda: False)
        self._began = time.monotonic() if began is None else began
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
        """Have the process clean up, end it, and undo by ourselves what it could not; on a fork, only end it."""
        left, in_place = False, self._request.part == "whole"
        try:
            if not self._ended and in_place:
                self._worker.stop()
                deadline = time.monotonic() + CLEAN_UP_SECONDS
                while not self._ended and time.monotonic() < deadline:
                    self._take(0.2, telling=False)
            stopped = self._ended and not self._trouble
            code = self._worker.ended(END_SECONDS) if self._ended or in_place else None
            left = code is None or not self._ended
            self._killed = stopped and code in KILLED
        finally:
            self._code = self._worker.close()
        if not in_place:
            return
        if left or self._code not in (0, 130):
            self._sweep()
        if self._unhealed and self._faults is not None:
            self._inject(FaultCall(0, "heal"))

    def verdict(self) -> Verdict:
        """What is known; whatever is not known is ungradable."""
        cause = self._trouble or f"the grading process ended early (code {self._code}): {self._worker.log}"
        how = ungradable("it did not finish" if not self._trouble else self._trouble, cause)
        checks = [self._results.get(one["name"]) or unfinished(one, how) for one in self._plan]
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
        if call.fault not in (*UNDOING, *self._request.faults):
            return FaultReply(call.id, "the lab does not list this fault in its needs")
        if call.fault not in ("kill-container", *UNDOING):
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
        with self._zygote.fork(SWEEP) as sweeper:
            sweeper.send(self._request)
            sweeper.ended(20)
