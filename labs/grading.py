"""Grading in processes of their own: :mod:`grader.runner` and :mod:`grader.parts` as a session sees them.

Quick to import, so that a command can have what grading processes are forked from warm up before it imports anything
else.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any

from grader import runner
from grader.processes import Zygote
from grader.protocol import Event, GradeRequest, Verdict
from labs.clusters.provider import Fault, Faults

if TYPE_CHECKING:
    from labs.definition import Lab


class ProcessGrader:
    """Grades each attempt in fresh processes, forked from one that has everything loaded."""

    def __init__(self) -> None:
        self._zygote = Zygote()
        self._places = threading.BoundedSemaphore(processors())

    def prestart(self) -> ProcessGrader:
        """Have grading processes be there at once when they are needed."""
        self._zygote.start()
        return self

    def grade(
        self,
        request: GradeRequest,
        on_event: Callable[[Event], None],
        faults: Faults,
        cancelled: Callable[[], bool],
    ) -> Verdict:
        """See :class:`labs.session.grader.Grader`."""
        return runner.grade(
            request,
            on_event=on_event,
            faults=lambda name, on: _carry_out(faults, name, on),
            zygote=self._zygote,
            cancelled=cancelled,
        )

    def grade_parts(
        self,
        request: GradeRequest,
        on_event: Callable[[Event], None],
        copy: Callable[[bool], AbstractContextManager[tuple[str, Faults]]],
        cancelled: Callable[[], bool],
    ) -> Verdict:
        """See :class:`labs.session.grader.Grader`."""
        from grader import parts

        @contextmanager
        def copies(decides: bool = True) -> Iterator[parts.Copy]:
            with copy(decides) as (kubeconfig, faults):
                yield parts.Copy(kubeconfig, lambda name, on: _carry_out(faults, name, on))

        return parts.grade(request, copies, self._places, self._zygote, on_event=on_event, cancelled=cancelled)

    def clean(self, kubeconfig: str, namespace: str) -> None:
        """See :class:`labs.session.grader.Grader`."""
        runner.clean(kubeconfig, namespace)

    def put_back(self, kubeconfig: str, namespace: str, mark: bytes, faults: Faults) -> None:
        """See :class:`labs.session.grader.Grader`."""
        runner.put_back(kubeconfig, namespace, mark, lambda name, on: _carry_out(faults, name, on))

    def missing(self, kubeconfig: str, before: object) -> str:
        """See :class:`labs.session.grader.Grader`."""
        return runner.missing(kubeconfig, before)

    def inventory(self, kubeconfig: str) -> dict[str, Any]:
        """See :class:`labs.session.grader.Grader`."""
        return runner.inventory(kubeconfig)

    def close(self) -> None:
        """End what grading processes are forked from."""
        self._zygote.close()


def request_for(lab: Lab, values: Mapping[str, Any], provider: str, **given: Any) -> GradeRequest:
    """What is asked for a learner with these ``values`` of the lab's parameters, on that provider; ``given``: other
    fields of the request, which come before the lab's own. Its kubeconfig is "" where that is not given."""
    fields: dict[str, Any] = {
        "checks": str(lab.checks_file),
        "kubeconfig": "",
        "namespace": lab.namespace,
        "parameters": dict(values),
        "thresholds": lab.thresholds,
        "seconds": lab.limit,
        "provider": provider,
        "faults": sorted(lab.needs.faults),
    }
    return GradeRequest(**{**fields, **given})


def processors() -> int:
    """So many parts run side by side: each keeps one processor busy, its own and that of its cluster in turns."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _carry_out(faults: Faults, name: str, target: str) -> None:
    if name == "heal":
        faults.heal()
    else:
        faults.inject(Fault(name), target)
