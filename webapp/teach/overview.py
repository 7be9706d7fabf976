"""A class at a glance: a few figures, and the learners whom an instructor would want to talk to."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

from labs.report import Cell, ClassReport

STUCK_ATTEMPTS = 3


@dataclass(frozen=True)
class Summary:
    """``finished`` counts (learner, lab) pairs with every point, of ``pairs``. ``middle``: the median score, 0..1."""

    learners: int
    active: int
    finished: int
    pairs: int
    middle: float | None
    attempts: int


@dataclass(frozen=True)
class Concern:
    """Somebody to talk to, and why."""

    learner: str
    display_name: str
    reason: str
    lab: str = ""


def summary(report: ClassReport) -> Summary:
    """The figures."""
    cells = [cell for row in report.rows for cell in row.cells]
    parts = [row.score / row.max_score for row in report.rows if row.max_score]
    return Summary(
        learners=len(report.rows),
        active=sum(row.last_activity is not None for row in report.rows),
        finished=sum(_full(cell) for cell in cells),
        pairs=len(cells),
        middle=median(parts) if parts else None,
        attempts=sum(cell.attempts for cell in cells),
    )


def concerns(report: ClassReport) -> list[Concern]:
    """Who is stuck (several attempts, not there yet), met with ungradable attempts, or has not begun."""
    titles = {name: title for name, title, _ in report.labs}
    found: list[Concern] = []
    for row in report.rows:
        if row.removed:
            continue  # there is nobody to have a word with
        if row.last_activity is None:
            found.append(Concern(row.learner, row.display_name, "has not begun"))
            continue
        for cell in row.cells:
            title = titles.get(cell.lab, cell.lab)
            if cell.attempts >= STUCK_ATTEMPTS and not _full(cell):
                said = f"{cell.attempts} attempts at {title}, best {cell.best_score or 0:g} of {cell.max_score:g}"
                found.append(Concern(row.learner, row.display_name, said, cell.lab))
            elif cell.ungradable and not cell.attempts:
                found.append(Concern(row.learner, row.display_name, f"only ungradable attempts at {title}", cell.lab))
    return found


def _full(cell: Cell) -> bool:
    return cell.best_score is not None and cell.best_score >= cell.max_score > 0
