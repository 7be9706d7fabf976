"""What a session asks of whoever grades: it knows the words, and nothing of how it is done (:mod:`labs.grading`)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Protocol

from grader.protocol import Event, GradeRequest, Verdict
from labs.clusters.provider import Faults


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

    def grade_parts(
        self,
        request: GradeRequest,
        on_event: Callable[[Event], None],
        copy: Callable[[bool], AbstractContextManager[tuple[str, Faults]]],
        cancelled: Callable[[], bool],
    ) -> Verdict:
        """The same, on forks: ``request`` has the kubeconfig of what was handed in, ``copy`` makes a copy of it (the
        grader's kubeconfig and its faults) that is gone when it is left; it is told whether the verdict depends on that
        copy. Raises what ``copy`` raises."""

    def clean(self, kubeconfig: str, namespace: str) -> None:
        """Remove what an attempt that was killed left in the cluster (probe pods)."""

    def put_back(self, kubeconfig: str, namespace: str, mark: bytes, faults: Faults) -> None:
        """Put back what a process that was killed had changed, as its mark says; raises when that cannot be done."""

    def inventory(self, kubeconfig: str) -> dict[str, Any]:
        """What there is in a cluster (:mod:`grader.inventory`); raises when it cannot be looked at."""

    def missing(self, kubeconfig: str, before: object) -> str:
        """What was ready in the snapshot ``before`` (None: there is none) and is not ready again; "" when all is."""

    def close(self) -> None:
        """Nothing more is graded: end what was kept warm for it."""
