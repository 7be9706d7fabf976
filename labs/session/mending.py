"""A cluster put right around an attempt: graded at everybody's speed, healed afterwards, waited for until it is well.

It refuses to decide anything about an attempt (:mod:`labs.session.grading`), and to touch a cluster of which a fork was
graded: there is nothing to put right in it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from labs.clusters.provider import ClusterError, ClusterState, Controllable
from labs.clusters.registry import Providers
from labs.errors import KindlingError
from labs.library import Library
from labs.locks import Locks
from labs.records.models import Attempt
from labs.session.attempts import Attempts
from labs.session.ends import COMING_BACK, MENDING
from labs.session.grader import Grader

log = logging.getLogger(__name__)

MARGIN = 60.0
"""Seconds a clock stays pinned beyond the longest an attempt may take."""
HEALTH_LOOKS, HEALTH_POLL = 180, 0.5
"""Looks at a cluster that has to come back before it is graded again, and the seconds between two of them."""
READY_LOOKS, READY_POLL = 200, 1.0
"""Looks at what was ready before, and the seconds between two of them. The kubelet starts a killed container again
after 10 s, doubled each time; labs refuse to kill one that would wait for more than 90 s, and after it waits 160 s."""
FORKED_LOOKS = 30
"""The same where nothing was broken: what is not ready by then, with a host that has come back, the learner took."""


class Mending:
    """Of the clusters of one installation. Only used while the session's lock is held."""

    def __init__(
        self,
        attempts: Attempts,
        labs: Library,
        providers: Providers,
        grader: Grader,
        marks: Locks,
        pause: Callable[[float], None],
    ) -> None:
        """``marks``: where each grading process leaves its mark (:mod:`grader.mark`), by the attempt's id."""
        self._attempts, self._labs, self._providers = attempts, labs, providers
        self._grader, self._marks, self._pause = grader, marks, pause

    def recovered(self, row: Attempt, notify: Callable[[], None], unwanted: Callable[[], bool], looks: int) -> str:
        """Wait, at everybody's speed, until what was ready when grading began is ready again; what is not, or ""."""
        before = self._attempts.snapshot(row.id)
        lacking = self._missing(row, before)
        if not lacking or looks == 1:
            return lacking
        log.info("attempt %s waits: %s", row.id, lacking)
        if self._attempts.say(row.id, COMING_BACK if row.forked else MENDING):
            notify()
        with self.at_usual_speed(row, looks * READY_POLL):
            for _ in range(looks - 1):
                if unwanted():
                    break
                self._pause(READY_POLL)
                lacking = self._missing(row, before)
                if not lacking:
                    break
        return lacking

    def _missing(self, row: Attempt, before: object) -> str:
        try:
            kubeconfig = self._providers.get(row.provider).credentials(row.session.handle, "grader")
            return self._grader.missing(kubeconfig, before)
        except Exception as error:  # noqa: BLE001 -- whatever keeps one from looking, it is not known to be ready
            log.info("attempt %s waits for its cluster: %s", row.id, error)
            return "the cluster does not answer"

    def well(self, row: Attempt, looks: int) -> bool | None:
        """Whether the cluster can be graded: None when it may yet come back, False when it is gone."""
        for look in range(looks):
            if look:
                self._pause(HEALTH_POLL)
            try:
                state = self._providers.get(row.provider).status(row.session.handle).state
            except (ClusterError, KindlingError) as error:
                log.info("attempt %s waits for its cluster: %s", row.id, error)
                continue
            if state is not ClusterState.PARTIAL:
                return state is ClusterState.READY
        return None

    @contextmanager
    def at_usual_speed(self, row: Attempt, seconds: float) -> Iterator[None]:
        """A cluster whose clock can be moved is graded at the speed of everybody's, whatever the learner wished."""
        provider = self._providers.get(row.provider)
        if row.forked or not isinstance(provider, Controllable):
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

    def heal(self, row: Attempt) -> bool:
        """Undo faults and remove probes. What cannot be reached has nothing to undo, and is only logged (False)."""
        return self.tidy(row, heal=True)

    def tidy(self, row: Attempt, *, heal: bool = False) -> bool:
        """The same; without ``heal`` faults stay as they are, with whoever made them."""
        if row.forked:
            return True
        try:
            provider, handle = self._providers.get(row.provider), row.session.handle
            if heal:
                provider.faults(handle).heal()
            kubeconfig, namespace = provider.credentials(handle, "grader"), self._labs.get(row.lab).namespace
            self._grader.clean(kubeconfig, namespace)
            if not self._marks.held(row.id) and (mark := self._marks.content(row.id)):
                self._grader.put_back(kubeconfig, namespace, mark, provider.faults(handle))
                self._marks.forget(row.id)
            self._as_wished(row)
        except Exception as error:  # noqa: BLE001 -- cleaning up never keeps an attempt from getting its end
            log.warning("cleaning up after attempt %s: %s", row.id, error)
            return False
        return True
