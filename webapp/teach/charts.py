"""Charts as SVG made here, each with a text alternative. Colours come from the style sheet, so both themes work."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup, escape

from labs.report import CheckStatistics
from labs.session import AttemptView

WIDTH, HEIGHT, EDGE = 320.0, 92.0, 10.0


def heat(best: float | None, whole: float) -> str:
    """The class of a cell of the heat map: ``heat-none``, ``heat-0`` (nothing) to ``heat-5`` (everything)."""
    if best is None or not whole:
        return "heat-none"
    part = max(0.0, min(1.0, best / whole))
    return "heat-5" if part >= 1 else f"heat-{min(4, int(part * 5))}"


def bar(check: CheckStatistics) -> Markup:
    """Passed, failed and ungradable of one check, as parts of one bar."""
    whole = check.passed + check.failed + check.ungradable
    if not whole:
        return _svg(
            "chart bar", 100, 8, "Never graded", '<rect class="bar-none" width="100" height="8" rx="1"/>', flat=True
        )
    shapes, left = "", 0.0
    for name, count in (("passed", check.passed), ("ungradable", check.ungradable), ("failed", check.failed)):
        width = 100 * count / whole
        shapes += f'<rect class="bar-{name}" x="{left:.2f}" width="{width:.2f}" height="8"/>' if count else ""
        left += width
    text = f"{check.passed} passed, {check.failed} failed, {check.ungradable} ungradable"
    return _svg("chart bar", 100, 8, text, shapes, flat=True)


def share(part: int, whole: int) -> Markup:
    """So many of so many learners, as a bar."""
    width = 100 * part / whole if whole else 0.0
    shapes = '<rect class="bar-none" width="100" height="8" rx="1"/>'
    shapes += f'<rect class="bar-share" width="{width:.2f}" height="8" rx="1"/>' if part else ""
    return _svg("chart bar", 100, 8, f"{part} of {whole} learner{'s' * (whole != 1)}", shapes, flat=True)


def spread(scores: Sequence[float], whole: float, bins: int = 10) -> Markup:
    """How many learners reached which part of the points, as columns; the last column is all points."""
    counts = [0] * (bins + 1)
    for score in scores:
        counts[int(max(0.0, min(1.0, score / whole)) * bins) if whole else 0] += 1
    most, column = max(counts) or 1, (WIDTH - 2 * EDGE) / (bins + 1)
    floor = HEIGHT - 18
    shapes = f'<line class="axis" x1="{EDGE}" y1="{floor}" x2="{WIDTH - EDGE}" y2="{floor}"/>'
    for index, count in enumerate(counts):
        tall, left = (floor - 18) * count / most, EDGE + index * column
        full = " full" if index == bins else ""
        if count:
            shapes += (
                f'<rect class="column{full}" x="{left + 2:.1f}" y="{floor - tall:.1f}" width="{column - 4:.1f}" '
                f'height="{tall:.1f}" rx="2"/><text class="count" x="{left + column / 2:.1f}" '
                f'y="{floor - tall - 4:.1f}" text-anchor="middle">{count}</text>'
            )
    shapes += _label(EDGE + column / 2, "0 %") + _label(EDGE + (bins / 2 + 0.5) * column, "50 %")
    shapes += _label(WIDTH - EDGE - column / 2, "100 %")
    text = (
        f"Best scores of {len(scores)} learner{'s' * (len(scores) != 1)}: {counts[bins]} with all points, "
        + ", ".join(
            f"{count} from {100 * index // bins} to {100 * (index + 1) // bins} percent"
            for index, count in enumerate(counts[:bins])
            if count
        )
    )
    return _svg("chart spread", WIDTH, HEIGHT, text.rstrip(", "), shapes)


def history(attempts: Sequence[AttemptView], whole: float) -> Markup:
    """One learner's attempts at a lab, oldest first: a dot for each, and a line for the best so far."""
    ordered = sorted((one for one in attempts if one.state == "done"), key=lambda one: one.number)
    if not ordered or not whole:
        return Markup("")
    floor, top = HEIGHT - 18, 10.0
    step = (WIDTH - 4 * EDGE) / max(1, len(ordered) - 1)
    best, line, dots = 0.0, "", ""
    for index, one in enumerate(ordered):
        across = 2 * EDGE + (index * step if len(ordered) > 1 else (WIDTH - 4 * EDGE) / 2)
        best = max(best, one.score if one.counted else 0.0)
        line += f"{'L' if line else 'M'}{across:.1f} {_height(best, whole, floor, top):.1f}"
        down = _height(one.score, whole, floor, top)
        dots += f'<circle class="dot {escape(one.outcome or "open")}" cx="{across:.1f}" cy="{down:.1f}" r="4.5"/>'
    count = f"{len(ordered)} attempt" + "s" * (len(ordered) != 1)
    shapes = (
        f'<line class="axis" x1="{EDGE}" y1="{floor}" x2="{WIDTH - EDGE}" y2="{floor}"/>'
        f'<line class="goal" x1="{EDGE}" y1="{top}" x2="{WIDTH - EDGE}" y2="{top}"/>'
        f'<path class="best" d="{line}"/>{dots}{_label(WIDTH / 2, count)}'
    )
    text = "; ".join(f"attempt {one.number}: {one.outcome}, {one.score:g} of {one.max_score:g}" for one in ordered)
    return _svg("chart history", WIDTH, HEIGHT, text, shapes)


def _height(score: float, whole: float, floor: float, top: float) -> float:
    return floor - (floor - top) * max(0.0, min(1.0, score / whole))


def _label(across: float, text: str) -> str:
    return f'<text class="axis-label" x="{across:.1f}" y="{HEIGHT - 4}" text-anchor="middle">{escape(text)}</text>'


def _svg(kind: str, width: float, height: float, text: str, shapes: str, *, flat: bool = False) -> Markup:
    fit = ' preserveAspectRatio="none"' if flat else ""
    return Markup(  # noqa: S704 -- numbers made above and escaped text
        f'<svg class="{kind}" viewBox="0 0 {width:g} {height:g}"{fit} role="img" aria-label="{escape(text)}" '
        f'focusable="false">{shapes}</svg>'
    )
