"""What can end a check early.

::

    GraderError
    ├── CheckFailed            the learner's: expected, observed, where to look
    │   └── CheckFailedForGood ... and it is no use to wait
    │       ├── Obstructed     their cluster keeps the grader from looking: it is refused, or its probe pod attacked
    │       └── TooLarge       ... or floods it
    └── Ungradable             ours: the check decided nothing; ``cause`` is for the log
        ├── ClusterUnreachable the API server does not answer, or answers 5xx
        │   └── ClusterBusy    ... because it has too much to do: not in time, or 429
        ├── Refused            the API server refuses what the grader asks for
        │   └── Missing        ... because there is no such object
        ├── ProbeUnavailable   the grader's probe pod does not come up or does not answer
        └── FaultUnavailable   a fault could not be injected or undone
"""

from __future__ import annotations

import re

RULES = re.compile(
    r"failed calling webhook|^admission webhook .* denied the request|ValidatingAdmissionPolicy .* denied request"
)
"""How API servers word what a rule of the cluster's refuses: the status may be any that the rule asks for."""


class GraderError(Exception):
    """The root."""


class CheckFailed(GraderError, AssertionError):
    """The learner's state is not what was asked for. The text is for the learner; a function that gives it is asked
    when the text is wanted, and once: most looks of a ``poll`` fail without anybody reading why."""

    def __str__(self) -> str:
        if self.args and callable(self.args[0]):
            self.args = (self.args[0](), *self.args[1:])
        return super().__str__()


class CheckFailedForGood(CheckFailed):
    """As above, and waiting longer would not help: ``poll`` lets it through at once."""


class Obstructed(CheckFailedForGood):
    """Something that only the learner can have done to their cluster keeps the grader from looking.

    ``observed``: what, with the learner's words quoted. ``look``: the command that shows it.
    """

    def __init__(self, observed: str, look: str) -> None:
        super().__init__(
            f"Expected: the cluster to let the grader and its probe pod work\nObserved: {observed}\nLook: {look}"
        )


class TooLarge(CheckFailedForGood):
    """An answer of the API server is larger than any that a lab needs."""

    def __init__(self, what: str, most: int) -> None:
        super().__init__(
            f"Expected: an answer of at most {most >> 20} MiB to {what}\nObserved: it is larger\n"
            "Look: kubectl get events; kubectl get pods --output yaml (what there are so many of, or so large)"
        )


class Ungradable(GraderError):
    """The check could not be decided. ``str()`` is for the log, :attr:`said` for the learner."""

    said = "something went wrong on the grader's side"

    def __init__(self, cause: str, said: str = "") -> None:
        super().__init__(cause)
        if said:
            self.said = said


class ClusterUnreachable(Ungradable):
    """The API server does not answer, or answers that it cannot."""

    said = "the cluster did not answer"


class ClusterBusy(ClusterUnreachable):
    """The API server is there and has too much to do: no answer in time, or the answer to come back later."""


class Refused(Ungradable):
    """The API server refused a request; ``status`` is the HTTP status, ``reason`` Kubernetes' own word.

    ``rule``: what the API server says, when it is one of the cluster's own rules that refuses (admission: a webhook, a
    policy, a quota). The grader may do everything, so that nothing else of status 403 can meet it. Where no helper
    catches such a one, failed.
    """

    said = "the cluster refused what the grader asked for"

    def __init__(self, cause: str, status: int, reason: str = "", rule: str = "") -> None:
        super().__init__(cause)
        self.status = status
        self.reason = reason
        self.rule = rule


class Missing(Refused):
    """There is no such object (``kind``, ``name`` as the API server says them). Where no helper catches it, failed."""

    def __init__(self, cause: str, kind: str = "", name: str = "") -> None:
        super().__init__(cause, 404, "NotFound")
        self.kind = kind
        self.name = name


class ProbeUnavailable(Ungradable):
    """The probe pod does not come up, or no longer answers."""

    said = "the grader's probe pod could not do its work"


class FaultUnavailable(Ungradable):
    """A fault could not be injected or undone."""

    said = "the grader could not break or mend what this check needs"


def is_rule(status: int, message: str) -> bool:
    """Whether it is a rule of the cluster's that refuses: the grader is an administrator, whom nothing else can."""
    return status == 403 or RULES.search(message[:1000]) is not None
