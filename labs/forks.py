"""What is handed in: a fork of the learner's cluster, as it is at that moment, and forks of that one to break.

Nothing happens in the hand-in itself, so that every fork of it is the same. All of them end with the attempt; those of
an attempt that was killed end by themselves. The learner's own cluster is left alone.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from grader.protocol import Event, GradeRequest, Outcome, Verdict
from labs.clusters.provider import (
    CannotFork,
    ClusterError,
    ClusterGone,
    ClusterState,
    Faults,
    Forkable,
    Handle,
    Provider,
)

if TYPE_CHECKING:
    from labs.session.grader import Grader

log = logging.getLogger(__name__)

ASK_SECONDS = 10.0
"""How often a hand-in is asked for while its parts are graded: a fork that nobody asks for ends by itself."""


class HandInGone(ClusterError):
    """What was handed in has ended before it was graded, with the program in which it lived: nothing was learnt."""


class _ForkingProvider(Provider, Forkable, Protocol):
    """A provider that can fork."""


class HandIn:
    """A fork of a learner's cluster."""

    def __init__(self, provider: _ForkingProvider, handle: Handle, seconds: float) -> None:
        """``handle``: of the fork. ``seconds``: for how long forks of it may be needed."""
        self.handle = handle
        self._provider, self._seconds = provider, seconds
        self._lost = False

    def there(self) -> bool:
        """Whether it can be graded once more."""
        return self._provider.status(self.handle).state is ClusterState.READY

    @contextmanager
    def copy(self, decides: bool = True) -> Iterator[tuple[str, Faults]]:
        """A fork of it: the grader's kubeconfig and its faults. It is gone afterwards; :class:`HandInGone`.

        ``decides``: whether the verdict depends on it.
        """
        with _not_gone():
            fork = self._provider.fork(self.handle, self._seconds)
        try:
            with _not_gone():
                given = self._provider.credentials(fork, "grader"), self._provider.faults(fork)
            yield given
            if decides and self._provider.status(fork).state is not ClusterState.READY:
                self._lost = True
        finally:
            _delete(self._provider, fork)

    def grade(
        self,
        grader: Grader,
        request: GradeRequest,
        on_event: Callable[[Event], None],
        cancelled: Callable[[], bool],
    ) -> Verdict:
        """Grade it, in its own time: kubeconfig and clock of ``request`` are of no account.

        Where a copy has ended while it was used, nothing but *passed* is believed: as if a process had been killed.
        """
        with _not_gone():
            kubeconfig = self._provider.credentials(self.handle, "grader")
        request = replace(request, kubeconfig=kubeconfig, time="cluster")
        verdict = grader.grade_parts(request, on_event, self.copy, cancelled)
        lost, self._lost = self._lost, False
        return replace(verdict, killed=True) if lost and verdict.outcome is not Outcome.PASSED else verdict


@contextmanager
def _not_gone() -> Iterator[None]:
    try:
        yield
    except ClusterGone as error:
        raise HandInGone(f"the fork that was graded has ended: {error}") from error


@contextmanager
def handed_in(provider: Provider, handle: Handle, seconds: float) -> Iterator[HandIn | None]:
    """The hand-in, which is gone afterwards; None where there can be none, and why is logged.

    ``seconds``: for how long it may be needed.
    """
    if not isinstance(provider, Forkable):
        yield None
        return
    try:
        fork = provider.fork(handle, seconds)
    except CannotFork as error:
        log.warning("the cluster %s is graded in place: %s", handle.get("name"), error)
        yield None
        return
    with kept(provider, fork):
        yield HandIn(provider, fork, seconds)


@contextmanager
def kept(provider: Provider, fork: Handle) -> Iterator[None]:
    """A fork is there, unless its host ends, until this is left; then it is deleted."""
    done = threading.Event()
    asking = threading.Thread(target=_ask, args=(provider, fork, done), name="hand-in", daemon=True)
    asking.start()
    try:
        yield
    finally:
        done.set()
        _delete(provider, fork)


def grade(
    grader: Grader,
    provider: Provider,
    handle: Handle,
    request: GradeRequest,
    on_event: Callable[[Event], None] = lambda _: None,
    cancelled: Callable[[], bool] = lambda: False,
    *,
    in_place: bool = False,
) -> Verdict:
    """Grade a cluster of which nobody keeps a record: on forks where there are any, unless it is to be ``in_place``."""
    if not in_place:
        with handed_in(provider, handle, request.seconds) as hand_in:
            if hand_in is not None:
                return hand_in.grade(grader, request, on_event, cancelled)
    request = replace(request, kubeconfig=provider.credentials(handle, "grader"))
    return grader.grade(request, on_event, provider.faults(handle), cancelled)


def _ask(provider: Provider, fork: Handle, done: threading.Event) -> None:
    while not done.wait(ASK_SECONDS):
        provider.status(fork)


def _delete(provider: Provider, fork: Handle) -> None:
    try:
        provider.delete(fork)
    except ClusterError as error:  # it ends by itself
        log.info("removing a fork: %s", error)
