"""The hints a learner has taken in a session, as they stay on the page."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import func, select

from labs.definition import Lab
from labs.records.models import HintTaken
from labs.session import SessionView
from webapp.site import kindling


@dataclass(frozen=True)
class CheckHints:
    """The hints of one check: the ``texts`` taken so far of ``of``."""

    name: str
    title: str
    texts: list[str]
    of: int

    @property
    def more(self) -> bool:
        """There is a stronger one."""
        return len(self.texts) < self.of


def taken(lab: Lab, session: SessionView) -> list[CheckHints]:
    """Every check that has hints, with those taken in this session, in the order of the checks."""
    with kindling().records.read() as transaction:
        rows = transaction.execute(
            select(HintTaken.check, func.max(HintTaken.number))
            .where(HintTaken.session_id == session.id)
            .group_by(HintTaken.check)
        ).all()
    numbers: dict[str, int] = {row[0]: row[1] for row in rows}
    made: list[CheckHints] = []
    for check in lab.checks:
        hints = lab.hints(check.name, session.parameters)
        if hints:
            made.append(CheckHints(check.name, check.title, hints[: numbers.get(check.name, 0)], len(hints)))
    return made
