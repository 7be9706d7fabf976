"""One attempt, from wanted to a verdict on record. Whatever happens to the grading process, the attempt gets an end.

Every event is committed as it arrives, the verdict in one transaction. An attempt that could not be graded is
``ungradable``: it is kept, it is not counted, and its cause goes to the instructor and the log, not to the learner.
One that was killed in the middle is wanted again, once, when nothing that is left of it could be taken for the
learner's.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import select
from sqlalchemy.orm import Session as Transaction

from grader.protocol import CheckResult, Event, GradeRequest, Outcome, Verdict, check_result
from labs.clusters.provider import ClusterError, Controllable, Faults
from labs.clusters.registry import Providers
from labs.errors import KindlingError
from labs.library import Library
from labs.locks import Locks
from labs.records.database import Database
from labs.records.models import Attempt, CheckRecord

log = logging.getLogger(__name__)

UNGRADABLE = (
    "This attempt could not be graded and does not count. Nothing you did is wrong for that reason; check again."
)
STOPPED = "Grading was interrupted; this attempt does not count."
MARGIN = 60.0
"""Seconds a clock stays pinned beyond the longest an attempt may take."""
GONE = "The lab's cluster cannot be reached, so this attempt could not be graded and does not count."


class Grader(Protocol):
    """What turns a request into a verdict, in a process of its own (:mod:`grader.runner`)."""

    def grade(
        self,
        request: GradeRequest,
        on_event: Callable[[Event], None],
        faults: Faults,
        cancelled: Callable[[], bool],
    ) -> Verdict:
        """Always a verdict, within the request's limit; ``cancelled`` is asked now and then."""

    def clean(self, kubeconfig: str, namespace: str) -> None:
        """Remove what an attempt that was killed left in the cluster (probe pods)."""


class Grading:
    """Grades the attempts of one installation. Only called while the session's lock is held."""

    def __init__(
        self,
        records: Database,
        labs: Library,
        providers: Providers,
        grader: Grader,
        marks: Locks,
        now: Callable[[], datetime],
    ) -> None:
        """``marks``: where each grading process leaves its mark (:mod:`grader.mark`), by the attempt's id."""
        self._records, self._labs, self._providers = records, labs, providers
        self._grader, self._marks, self._now = grader, marks, now

    def run(self, attempt: str, notify: Callable[[], None], cancelled: Callable[[], bool], limit: float) -> None:
        """Grade a wanted attempt to its end. ``limit``: the longest it may take, in seconds."""
        row = self._begin(attempt)
        notify()
        verdict, detail = Verdict(Outcome.UNGRADABLE, 0.0, row.max_score, 0.0, [], cause="interrupted"), STOPPED
        try:
            verdict, detail = self._verdict(row, notify, cancelled, limit)
        finally:  # Ctrl-C included: the attempt gets its end
            if not (verdict.killed and not cancelled() and self.again(attempt)):
                self._finish(attempt, verdict, detail)
            notify()

    def at_work(self, attempt: str) -> bool:
        """Whether a grading process of this attempt is still there, whoever started it."""
        return self._marks.held(attempt)

    def again(self, attempt: str) -> bool:
        """Want an attempt again whose grading was killed, from the beginning; False when it has to be closed.

        Once only; and only when all that it broke is mended and all that it changed is as it was: what is seen then is
        the learner's work and nothing else.
        """
        with self._records.read() as tx:
            row = tx.get_one(Attempt, attempt)
            if row.regraded or self.at_work(attempt) or self._marks.content(attempt) or not self._heal(row):
                return False
        log.warning("attempt %s of %s was killed in the middle and is graded again", row.id, row.lab)
        with self._records.begin() as tx:
            row = tx.get_one(Attempt, attempt)
            row.state, row.regraded, row.started_at, row.snapshot = "wanted", True, None, None
            for check in tx.scalars(select(CheckRecord).where(CheckRecord.attempt_id == attempt)):
                check.state, check.outcome, check.message, check.cause = "waiting", None, "", ""
                check.points, check.seconds, check.evidence = 0.0, 0.0, None
        return True

    def close(self, attempt: str, cause: str) -> None:
        """End an attempt whose grading process is gone, undoing what it broke and left behind."""
        with self._records.read() as tx:
            row = tx.get_one(Attempt, attempt)
            self._heal(row)
        verdict = Verdict(Outcome.UNGRADABLE, 0.0, row.max_score, 0.0, [], cause=cause)
        self._finish(attempt, verdict, STOPPED)

    def _begin(self, attempt: str) -> Attempt:
        with self._records.begin() as tx:
            row = tx.get_one(Attempt, attempt)
            row.state, row.started_at = "running", self._now()
            assert row.session is not None  # loaded here, to be read after the transaction
        return row

    def _verdict(
        self, row: Attempt, notify: Callable[[], None], cancelled: Callable[[], bool], limit: float
    ) -> tuple[Verdict, str]:
        try:
            request, faults = self._request(row, limit)
        except (ClusterError, KindlingError) as error:
            return Verdict(Outcome.UNGRADABLE, 0.0, row.max_score, 0.0, [], cause=str(error)), GONE

        def on_event(event: Event) -> None:
            self._record(row.id, event)
            notify()

        try:
            with self._at_usual_speed(row, request.seconds):
                verdict = self._grader.grade(request, on_event, faults, cancelled)
        except Exception as error:  # whatever the grader does, the attempt is kept and not counted
            log.exception("grading attempt %s of %s", row.id, row.lab)
            self._heal(row)
            cause = f"{type(error).__name__}: {error}"
            return Verdict(Outcome.UNGRADABLE, 0.0, row.max_score, 0.0, [], cause=cause), UNGRADABLE
        except BaseException:
            self._heal(row)
            raise
        if verdict.outcome is Outcome.UNGRADABLE:
            log.error("attempt %s of %s is ungradable: %s", row.id, row.lab, verdict.cause)
            self._heal(row)
            return verdict, STOPPED if cancelled() else UNGRADABLE
        return verdict, ""

    def _request(self, row: Attempt, limit: float) -> tuple[GradeRequest, Faults]:
        lab, provider = self._labs.get(row.lab), self._providers.get(row.provider)
        handle = row.session.handle
        request = GradeRequest(
            checks=str(lab.checks_file),
            kubeconfig=provider.credentials(handle, "grader"),
            namespace=lab.namespace,
            parameters=dict(row.parameters),
            thresholds=lab.thresholds,
            seconds=min(lab.limit, limit),
            attempt=row.id,
            provider=row.provider,
            faults=sorted(lab.needs.faults),
            mark=str(self._marks.file(row.id)),
        )
        return request, provider.faults(handle)

    @contextmanager
    def _at_usual_speed(self, row: Attempt, seconds: float) -> Iterator[None]:
        """A cluster whose clock can be moved is graded at the speed of everybody's, whatever the learner wished."""
        provider = self._providers.get(row.provider)
        if not isinstance(provider, Controllable):
            yield
            return
        controls = provider.controls(row.session.handle)
        controls.graded(seconds + MARGIN)
        yield
        self._as_wished(row)

    def _as_wished(self, row: Attempt) -> None:
        """The clock is the learner's again; should that fail, it will be after the time of the attempt."""
        provider = self._providers.get(row.provider)
        if isinstance(provider, Controllable):
            try:
                provider.controls(row.session.handle).graded(0)
            except ClusterError as error:
                log.warning("giving back the clock after attempt %s: %s", row.id, error)

    def _heal(self, row: Attempt) -> bool:
        """Undo faults and remove probes. What cannot be reached has nothing to undo, and is only logged (False)."""
        try:
            provider, handle = self._providers.get(row.provider), row.session.handle
            provider.faults(handle).heal()
            self._grader.clean(provider.credentials(handle, "grader"), self._labs.get(row.lab).namespace)
            self._as_wished(row)
        except Exception as error:  # noqa: BLE001 -- cleaning up never keeps an attempt from getting its end
            log.warning("cleaning up after attempt %s: %s", row.id, error)
            return False
        return True

    def _record(self, attempt: str, event: Event) -> None:
        with self._records.begin() as tx:
            if event.kind == "plan":
                for position, check in enumerate(event.data.get("checks", [])):
                    found = _check(tx, attempt, str(check["name"]), position)
                    found.title, found.max_points = str(check.get("title", "")), float(check.get("points", 0))
            elif event.kind == "started":
                _check(tx, attempt, str(event.data["name"])).state = "running"
            elif event.kind == "finished":
                _put(tx, attempt, check_result(event.data))
            elif event.kind == "snapshot":
                tx.get_one(Attempt, attempt).snapshot = event.data

    def _finish(self, attempt: str, verdict: Verdict, detail: str) -> None:
        with self._records.begin() as tx:
            row = tx.get_one(Attempt, attempt)
            if row.state == "done":
                return
            for result in verdict.checks:
                _put(tx, attempt, result)
            tx.flush()
            for check in tx.scalars(select(CheckRecord).where(CheckRecord.attempt_id == attempt)):
                if check.state != "done":
                    check.state, check.outcome, check.message = "done", str(Outcome.UNGRADABLE), "Not graded."
            row.state, row.outcome = "done", str(verdict.outcome)
            row.counted = verdict.outcome is not Outcome.UNGRADABLE
            row.score, row.max_score = verdict.score, verdict.max_score or row.max_score
            row.finished_at = self._now()
            row.seconds = (row.finished_at - (row.started_at or row.wanted_at)).total_seconds()
            row.detail, row.cause = detail, _text(verdict.cause)
            if verdict.snapshot:
                row.snapshot = verdict.snapshot
        if not self.at_work(attempt):
            self._marks.forget(attempt)


def _check(tx: Transaction, attempt: str, name: str, position: int | None = None) -> CheckRecord:
    """The row of a check, made when there is none."""
    name = _text(name)[:100]
    row = tx.get(CheckRecord, (attempt, name))
    if row is None:
        count = len(list(tx.scalars(select(CheckRecord.name).where(CheckRecord.attempt_id == attempt))))
        row = CheckRecord(attempt_id=attempt, name=name, position=count)
        tx.add(row)
    if position is not None:
        row.position = position
    return row


def _put(tx: Transaction, attempt: str, result: CheckResult) -> None:
    row = _check(tx, attempt, result.name)
    row.title, row.state, row.outcome = _text(result.title), "done", str(result.outcome)
    row.points, row.max_points, row.seconds = result.points, result.max_points, result.seconds
    row.message, row.cause, row.evidence = _text(result.message), _text(result.cause), _clean(result.evidence)


def _text(text: str) -> str:
    """Text as every database takes it: PostgreSQL refuses the character NUL."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")


def _clean(value: Any) -> Any:
    return value or None
