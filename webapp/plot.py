"""A check's time line as SVG made here: requests and failures, replicas, and what the grader did when.

It needs no script; colours come from the style sheet, so both themes work, and nothing is said by colour alone:
failures hang below the line. It is drawn for the width of a telephone, and never wider than twice that. The text
alternative says what it shows; the sentences beside it say the rest.
"""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup, escape

from labs.session.timeline import Bar, Timeline

WIDTH, LEFT, RIGHT = 340.0, 8.0, 332.0
MARKS, BADGE = 18.0, 14.0
GOOD, BAD, LANE = 52.0, 20.0, 34.0
TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 3600)


def plot(line: Timeline) -> Markup:
    """The drawing; empty when there is nothing to draw."""
    if not line.plotted:
        return Markup("")
    scale = (RIGHT - LEFT) / line.seconds
    top, shapes, notes = (MARKS if line.marks else 2.0), "", ""
    if line.bars:
        shapes, notes, top = _traffic(line.bars, scale, top + 12)
    steps, words, top = _replicas(line, scale, top + 22)
    shapes += steps + _marks(line, scale, top) + notes + words + _axis(line.seconds, scale, top)
    height = top + 16
    return Markup(  # noqa: S704 -- numbers made here and escaped text
        f'<svg class="chart plot" viewBox="0 0 {WIDTH:g} {height:g}" role="img" focusable="false" '
        f'aria-label="{escape(spoken(line))}">{shapes}</svg>'
    )


def spoken(line: Timeline) -> str:
    """What it shows, in words."""
    said = [f"Over {line.seconds:.0f} seconds"]
    if line.bars:
        sent, failed = sum(one.sent for one in line.bars), sum(one.failed for one in line.bars)
        said.append(f"{sent} requests, of which {failed or 'none'} failed")
        bad = [one for one in line.bars if one.failed]
        if bad:
            said.append(f"failures from {bad[0].start:.0f} to {bad[-1].start + bad[-1].seconds:.0f} seconds")
    if line.samples:
        ready = [one.ready for one in line.samples]
        said.append(f"{min(ready)} to {max(ready)} replicas ready")
    if line.marks:
        said.append(f"the grader acted at {', '.join(f'{one.at:.0f}' for one in line.marks)} seconds")
    return "; ".join(said) + "."


def _traffic(bars: Sequence[Bar], scale: float, top: float) -> tuple[str, str, float]:
    """Requests above the line, failures below it; the words, and where it ends."""
    most = max(one.sent / one.seconds for one in bars)
    base, shapes = top + GOOD, ""
    notes = _note(LEFT, top - 4, "start", "Requests a second") + _note(RIGHT, top - 4, "end", f"{most:.3g} at most")
    for one in bars:
        left, width = LEFT + one.start * scale, max(one.seconds * scale - 0.5, 0.8)
        good = GOOD * (one.sent - one.failed) / one.seconds / most
        shapes += f'<rect class="good" x="{left:.1f}" y="{base - good:.1f}" width="{width:.1f}" height="{good:.1f}"/>'
        if one.failed:
            bad = max(BAD * min(one.failed / one.seconds / most, 1.0), 3.0)
            shapes += f'<rect class="bad" x="{left:.1f}" y="{base:.1f}" width="{width:.1f}" height="{bad:.1f}"/>'
    failed = sum(one.failed for one in bars)
    shapes += f'<line class="axis" x1="{LEFT}" y1="{base:.1f}" x2="{RIGHT}" y2="{base:.1f}"/>'
    if failed:
        notes += _note(LEFT, base + BAD + 10, "start", f"{failed} failed, below the line", "bad-note")
    return shapes, notes, base + (BAD + 10 if failed else 0)


def _replicas(line: Timeline, scale: float, top: float) -> tuple[str, str, float]:
    """Steps: ready replicas, and all there are; else those that answered, where that is known."""
    ready = [(one.at, one.ready) for one in line.samples]
    there = [(one.at, one.replicas) for one in line.samples]
    known = [(one.start, one.hosts) for one in line.bars if one.hosts is not None]
    if not ready and not any(hosts for _, hosts in known):
        return "", "", top - 20
    drawn = ready or [(at, hosts) for at, hosts in known if hosts is not None]
    most = max([1, *(count for _, count in [*drawn, *there])])
    base = top + LANE
    notes = _note(LEFT, top - 4, "start", "Ready replicas" if ready else "Replicas that answered")
    notes += _note(RIGHT, top - 4, "end", f"{most} at most")
    shapes = f'<line class="axis" x1="{LEFT}" y1="{base:.1f}" x2="{RIGHT}" y2="{base:.1f}"/>'
    for points, name in ((there, "there"), (drawn, "ready")):
        if points:
            shapes += f'<path class="{name}" d="{_steps(points, scale, base, LANE / most, line.seconds)}"/>'
    return shapes, notes, base + 2


def _steps(points: Sequence[tuple[float, int]], scale: float, base: float, unit: float, end: float) -> str:
    path = f"M{LEFT + points[0][0] * scale:.1f} {base - points[0][1] * unit:.1f}"
    for at, count in points[1:]:
        path += f"H{LEFT + at * scale:.1f}V{base - count * unit:.1f}"
    return path + f"H{LEFT + end * scale:.1f}"


def _axis(seconds: float, scale: float, top: float) -> str:
    step = next((one for one in TICKS if seconds / one <= 6), seconds)
    shapes, at = "", 0.0
    while at <= seconds + 1e-6:
        anchor = "start" if at == 0 else "end" if seconds - at < step / 3 else "middle"
        shapes += _note(LEFT + at * scale, top + 12, anchor, f"{at:g} s")
        at = round(at + step, 6)
    return shapes


def _marks(line: Timeline, scale: float, bottom: float) -> str:
    """A line through everything for each thing the grader did, with its number; numbers do not cover each other."""
    shapes, last = "", -BADGE
    for one in line.marks:
        at = LEFT + one.at * scale
        last = min(max(at, last + BADGE), WIDTH - 6)
        shapes += (
            f'<path class="mark" d="M{last:.1f} 15L{at:.1f} {MARKS + 4:.1f}V{bottom:.1f}"/>'
            f'<circle class="badge" cx="{last:.1f}" cy="8" r="6.5"/>'
            f'<text class="badge-number" x="{last:.1f}" y="11.2" text-anchor="middle">{one.number}</text>'
        )
    return shapes


def _note(across: float, down: float, anchor: str, words: str, kind: str = "") -> str:
    name = f"axis-label {kind}".strip()
    return f'<text class="{name}" x="{across:.1f}" y="{down:.1f}" text-anchor="{anchor}">{escape(words)}</text>'
