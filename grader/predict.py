"""What has really happened, of that which the learner was asked to predict.

A check measures it and says so by the name of an option; nobody here knows what the learner answered, so that nothing
can be made to fit. Refuses questions and options that ``lab.yaml`` does not have, and two different answers in one
check.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from grader.evidence import Evidence


class Predict:
    """The fixture ``predict``."""

    def __init__(self, questions: Mapping[str, Sequence[str]] | None, evidence: Evidence) -> None:
        """``questions``: those of the lab that checks measure, each with its options; None takes whatever is said."""
        self._questions, self._evidence = questions, evidence
        self.found: dict[str, str] = {}

    def begin(self) -> None:
        """Another check begins: it has measured nothing yet."""
        self.found = {}

    def happened(self, question: str, option: str) -> None:
        """Of this question's options, this one came true. ``ValueError`` when there is no such question or option, or
        when another was said before in this check: the check itself is wrong then, and ungradable."""
        if self._questions is not None and option not in self._questions.get(question, ()):
            known = ", ".join(self._questions.get(question, ())) or "none, or it has an answer in lab.yaml"
            raise ValueError(f"predict.happened: {question!r} has no option {option!r}; there are: {known}")
        before = self.found.setdefault(question, option)
        if before != option:
            raise ValueError(f"predict.happened: {question!r} came out as {before!r} and as {option!r}")
        self._evidence.add("happened", question=question, option=option)
