"""Grading in a process of its own: :mod:`grader.runner` as a session sees it.

Quick to import, so that a command can have the process warm up before it imports anything else.
"""

from __future__ import annotations

from collections.abc import Callable

from grader import runner
from grader.protocol import Event, GradeRequest, Verdict
from labs.clusters.provider import Fault, Faults


class ProcessGrader:
    """Grades each attempt in a fresh process; ``prestart`` has the next one import while the caller is busy."""

    def __init__(self) -> None:
        self._waiting: runner.Worker | None = None

    def prestart(self) -> ProcessGrader:
        """Start the next grading process now."""
        self._waiting = self._waiting or runner.prestart()
        return self

    def grade(
        self,
        request: GradeRequest,
        on_event: Callable[[Event], None],
        faults: Faults,
        cancelled: Callable[[], bool],
    ) -> Verdict:
        """See :class:`labs.session.grading.Grader`."""
        worker, self._waiting = self._waiting, None
        return runner.grade(
            request,
            on_event=on_event,
            faults=lambda name, on: _carry_out(faults, name, on),
            worker=worker,
            cancelled=cancelled,
        )

    def clean(self, kubeconfig: str, namespace: str) -> None:
        """See :class:`labs.session.grading.Grader`."""
        runner.clean(kubeconfig, namespace)

    def put_back(self, kubeconfig: str, namespace: str, mark: bytes, faults: Faults) -> None:
        """See :class:`labs.session.grading.Grader`."""
        runner.put_back(kubeconfig, namespace, mark, lambda name, on: _carry_out(faults, name, on))

    def missing(self, kubeconfig: str, before: object) -> str:
        """See :class:`labs.session.grading.Grader`."""
        return runner.missing(kubeconfig, before)

    def close(self) -> None:
        """End a process that was started early and not needed."""
        worker, self._waiting = self._waiting, None
        if worker is not None:
            worker.close()


def _carry_out(faults: Faults, name: str, target: str) -> None:
    if name == "heal":
        faults.heal()
    else:
        faults.inject(Fault(name), target)
