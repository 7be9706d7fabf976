"""One attempt, from wanted to a verdict on record. Whatever happens to the grading process, the attempt gets an end.

Every event is committed as it arrives, the verdict in one transaction. An attempt that could not be graded is
``ungradable``: it is kept, it is not counted, and its cause goes to the instructor and the log, not to the learner.
One that was interrupted (its process was killed, or what runs the clusters was started again under it) is wanted
again, once, when nothing that is left of it could be taken for the learner's: what was ready when it began is ready
again, killed containers that wait in their back-off included. What a learner stopped is no interruption: checks that
could not be decided for it are failed.

Where the provider can fork clusters, the hand-in is a fork (:mod:`labs.forks`): the learner's own is neither touched
nor held, and there is nothing to put right in it. A grading process that was killed is begun again from the same
hand-in; when that is gone too, from the cluster as it is then.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Any

from grader.protocol import Event, GradeRequest, Outcome, Verdict
from labs.clusters.provider import (
    ClusterError,
    ClusterGone,
    Controllable,
    Forkable,
    Handle,
    Hosted,
)
from labs.clusters.registry import Providers
from labs.definition import QuestionFile
from labs.errors import KindlingError, Unavailable
from labs.forks import HandIn, HandInGone, handed_in
from labs.grading import request_for
from labs.library import Library
from labs.locks import Locks
from labs.records.database import Database
from labs.records.models import Attempt
from labs.session.attempts import Attempts
from labs.session.beginning import beginning
from labs.session.ends import (
    AGAIN,
    AGAIN_AS_IT_IS,
    GONE,
    NOT_MENDED,
    STOPPED,
    TWICE,
    UNGRADABLE,
    End,
    blamed,
    ended_early,
    undecided,
)
from labs.session.grader import Grader
from labs.session.mending import FORKED_LOOKS, HEALTH_LOOKS, MARGIN, READY_LOOKS, Mending

log = logging.getLogger(__name__)

KEEP_TRIES, KEEP_PAUSE = 60, 1.0
"""Tries to keep a verdict while the database is away, and the seconds between two of them."""


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
        pause: Callable[[float], None],
    ) -> None:
        """``marks``: where each grading process leaves its mark (:mod:`grader.mark`), by the attempt's id."""
        self._attempts, self._labs, self._providers = Attempts(records, now), labs, providers
        self._grader, self._marks, self._pause = grader, marks, pause
        self._mending = Mending(self._attempts, labs, providers, grader, marks, pause)

    def run(self, attempt: str, notify: Callable[[], None], cancelled: Callable[[], bool], limit: float) -> None:
        """Grade a wanted attempt to its end, or to its first interruption: it is left ``running`` then, for
        :meth:`again`. ``limit``: the longest it may take, in seconds."""
        row = self._attempts.begin(attempt, forked=self._forks(attempt))
        notify()
        end, unwanted = End(undecided(row.max_score, "interrupted"), STOPPED), _forgiving(cancelled)
        try:
            end = self._graded(row, notify, unwanted, limit)
        finally:  # Ctrl-C included: the attempt gets its end
            if end.interrupted and not row.regraded and not unwanted():
                with suppress(Unavailable):
                    self._attempts.note(attempt, end.interrupted)
            else:
                self._surely_finish(attempt, end)
            notify()

    def beginning(self, provider: str, handle: Handle) -> dict[str, Any] | None:
        """What there is in a cluster whose lab begins now; None when that is not known."""
        kubeconfig = self._providers.get(provider).credentials(handle, "grader")
        return beginning(lambda: self._grader.inventory(kubeconfig), self._pause)

    def at_work(self, attempt: str) -> bool:
        """Whether a grading process of this attempt is still there, whoever started it."""
        return self._marks.held(attempt)

    def again(
        self, attempt: str, notify: Callable[[], None], unwanted: Callable[[], bool], *, patient: bool
    ) -> bool | None:
        """Want an attempt again that was interrupted, from the beginning; False when it has to be closed.

        Once only; and only when the cluster is well, all that was broken is mended and all that was changed is as it
        was: what is seen then is the learner's work and nothing else. A cluster and what was ready in it are waited for
        when ``patient``; else, and once ``unwanted``, the answer is None: not yet. What does not recover in time ends
        the attempt as ungradable, with the reason.
        """
        row = self._attempts.row(attempt)
        if row.regraded or self.at_work(attempt):
            return False
        well = self._mending.well(row, HEALTH_LOOKS if patient else 1)
        if well is None and not patient:
            return None
        if not well or not self._mending.heal(row):
            return False
        most = FORKED_LOOKS if row.forked else READY_LOOKS
        lacking = self._mending.recovered(row, notify, unwanted, most if patient else 1)
        if lacking and (unwanted() or not patient):
            return None
        if lacking and not row.forked:
            log.error("attempt %s of %s is not graded again: %s", row.id, row.lab, lacking)
            cause = f"{row.cause}; {lacking}".lstrip("; ")
            self._finish(attempt, End(undecided(row.max_score, cause), NOT_MENDED.format(lacking)))
            return True
        log.warning("attempt %s of %s was interrupted and is graded again", row.id, row.lab)
        self._attempts.want_again(attempt, AGAIN_AS_IT_IS if row.forked else AGAIN)
        return True

    def close(self, attempt: str, cause: str) -> None:
        """End an attempt whose grading process is gone, undoing what it broke and left behind."""
        row = self._attempts.row(attempt)
        self._mending.heal(row)
        detail = TWICE if row.regraded else STOPPED
        self._finish(attempt, End(undecided(row.max_score, row.cause or cause), detail))

    def _graded(self, row: Attempt, notify: Callable[[], None], cancelled: Callable[[], bool], limit: float) -> End:
        before = ""
        try:
            before = self._run_id(row)
            verdict, stopped = self._verdict(row, notify, cancelled, limit)
        except ClusterGone as error:
            return End(undecided(row.max_score, str(error)), GONE)
        except HandInGone as error:
            verdict, stopped = replace(undecided(row.max_score, str(error)), killed=True), []
        except (ClusterError, KindlingError) as error:
            verdict, stopped = undecided(row.max_score, str(error)), []
        except Exception as error:  # whatever the grader does, the attempt is kept and not counted
            log.exception("grading attempt %s of %s", row.id, row.lab)
            verdict, stopped = undecided(row.max_score, f"{type(error).__name__}: {error}"), []
        except BaseException:
            self._mending.heal(row)
            raise
        return self._end(row, verdict, stopped, before, cancelled)

    def _verdict(
        self, row: Attempt, notify: Callable[[], None], cancelled: Callable[[], bool], limit: float
    ) -> tuple[Verdict, list[str]]:
        """On forks, or in place; and what the learner has stopped of the cluster."""
        provider, handle = self._providers.get(row.provider), row.session.handle
        with handed_in(provider, handle, 2 * limit + MARGIN) as hand_in:
            if hand_in is not None:
                return self._on_forks(row, hand_in, notify, cancelled, limit)
        if row.forked:
            self._attempts.in_place(row.id)
            row.forked = False
        request = self._request(row, provider.credentials(handle, "grader"), limit)
        with self._mending.at_usual_speed(row, request.seconds):
            stopped = self._stopped(row, handle)
            return self._grader.grade(request, self._recorder(row, notify), provider.faults(handle), cancelled), stopped

    def _on_forks(
        self, row: Attempt, hand_in: HandIn, notify: Callable[[], None], cancelled: Callable[[], bool], limit: float
    ) -> tuple[Verdict, list[str]]:
        """Nothing of the learner's is touched, so that a killed process may be begun again from the same hand-in."""
        stopped, recorder = self._stopped(row, hand_in.handle), self._recorder(row, notify)
        request = self._request(row, "", limit)
        verdict = hand_in.grade(self._grader, request, recorder, cancelled)
        if verdict.killed and not row.regraded and not cancelled() and hand_in.there():
            log.warning("attempt %s of %s was interrupted and begins again from the same hand-in", row.id, row.lab)
            self._attempts.want_again(row.id, AGAIN)
            self._attempts.begin(row.id, forked=True)
            row.regraded = True
            notify()
            verdict = hand_in.grade(self._grader, request, recorder, cancelled)
        return verdict, stopped

    def _forks(self, attempt: str) -> bool:
        with suppress(KindlingError):
            return isinstance(self._providers.get(self._attempts.row(attempt).provider), Forkable)
        return False

    def _end(
        self, row: Attempt, verdict: Verdict, stopped: Sequence[str], before: str, cancelled: Callable[[], bool]
    ) -> End:
        """What a verdict comes to, by what became of the cluster meanwhile."""
        if verdict.outcome is Outcome.PASSED:
            return End(verdict)
        if verdict.outcome is Outcome.UNGRADABLE and cancelled():
            self._mending.heal(row)
            return End(verdict, STOPPED)
        interrupted = self._interrupted(row, verdict, before)
        if interrupted:
            log.error("attempt %s of %s was interrupted: %s", row.id, row.lab, interrupted)
            self._mending.heal(row)
            return End(ended_early(verdict, interrupted), TWICE, interrupted)
        if verdict.outcome is Outcome.UNGRADABLE and stopped and verdict.checks:
            self._mending.tidy(row)  # what the learner has stopped is left to them
            return End(blamed(verdict, stopped))
        if verdict.outcome is Outcome.UNGRADABLE:
            self._mending.heal(row)
            log.error("attempt %s of %s is ungradable: %s", row.id, row.lab, verdict.cause)
            return End(verdict, UNGRADABLE)
        return End(verdict)

    def _interrupted(self, row: Attempt, verdict: Verdict, before: str) -> str:
        """What came between, on this machine and not in the cluster; "" when nothing did."""
        if verdict.killed:
            return "the grading process was killed"
        try:
            after = self._run_id(row)
        except ClusterGone:
            return ""
        except (ClusterError, KindlingError) as error:
            return f"what runs the cluster does not answer: {error}"
        return "" if after == before else "what runs the cluster was started again in the middle"

    def _run_id(self, row: Attempt) -> str:
        provider = self._providers.get(row.provider)
        return provider.run_id(row.session.handle) if isinstance(provider, Hosted) else ""

    def _stopped(self, row: Attempt, handle: Handle) -> list[str]:
        """What the learner has stopped of the cluster; while it is graded, nobody can stop more of it."""
        provider = self._providers.get(row.provider)
        if not isinstance(provider, Controllable):
            return []
        found = provider.controls(handle).components()
        names = [name for name, runs in found["components"].items() if not runs]
        return names + [f"node {node} ({', '.join(how)})" for node, how in found["nodes"].items() if how]

    def _recorder(self, row: Attempt, notify: Callable[[], None]) -> Callable[[Event], None]:
        """Commits events as they come. Those for which the database is away wait; the verdict has all of them."""
        waiting: deque[Event] = deque()

        def on_event(event: Event) -> None:
            waiting.append(event)
            try:
                while waiting:
                    self._attempts.record(row.id, waiting[0])
                    waiting.popleft()
                notify()
            except Unavailable as error:
                log.info("attempt %s: %d events are written with the next one: %s", row.id, len(waiting), error.reason)

        return on_event

    def _request(self, row: Attempt, kubeconfig: str, limit: float) -> GradeRequest:
        lab = self._labs.get(row.lab)
        return request_for(
            lab,
            row.parameters,
            row.provider,
            kubeconfig=kubeconfig,
            seconds=min(lab.limit, limit),
            attempt=row.id,
            mark="" if row.forked else str(self._marks.file(row.id)),
            what_ifs=lab.what_if_from is not None and row.number >= lab.what_if_from,
            questions=lab.measured,
            start=self._attempts.beginning(row.session.id) if lab.file.collateral else {},
        )

    def _finish(self, attempt: str, end: End) -> None:
        self._attempts.finish(attempt, end, self._questions)
        if not self.at_work(attempt):
            self._marks.forget(attempt)

    def _questions(self, lab: str) -> Mapping[str, QuestionFile]:
        """What learners are asked to predict; nothing where the lab is gone or broken meanwhile."""
        try:
            return self._labs.get(lab).file.predict
        except KindlingError:
            return {}

    def _surely_finish(self, attempt: str, end: End) -> None:
        """Keep the end also when the database is away for a while; after that, the attempt is still ``running``."""
        for _ in range(KEEP_TRIES - 1):
            try:
                self._finish(attempt, end)
            except Unavailable as error:
                log.warning("the verdict on attempt %s is kept in a moment: %s", attempt, error.reason)
                self._pause(KEEP_PAUSE)
            else:
                return
        self._finish(attempt, end)


def _forgiving(cancelled: Callable[[], bool]) -> Callable[[], bool]:
    """While the database is away nobody can cancel."""

    def asked() -> bool:
        try:
            return cancelled()
        except Unavailable:
            return False

    return asked
