"""How times, durations and scores are written on pages: one way for each, everywhere."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from flask import Flask, current_app
from markupsafe import Markup

from webapp import cookies
from webapp.content.render import inline
from webapp.plot import plot
from webapp.site import current_account_or_none, public_address, site
from webapp.teach import charts

_LABEL = re.compile(r"(?:^|\s)(Expected|Observed|Look|What if): ")


def register(app: Flask) -> None:
    """Filters and names for every template of ``app``."""
    app.jinja_env.trim_blocks = True
    app.jinja_env.lstrip_blocks = True
    app.add_template_filter(points)
    app.add_template_filter(duration)
    app.add_template_filter(clock)
    app.add_template_filter(ago)
    app.add_template_filter(moment)
    app.add_template_filter(percent)
    app.add_template_filter(plural)
    app.add_template_filter(unit)
    app.add_template_filter(short_markdown)
    app.add_template_filter(feedback)
    app.add_template_filter(charts.heat)
    app.add_template_filter(plot)

    app.add_template_global(public_address)

    @app.context_processor
    def names() -> dict[str, Any]:
        account = current_account_or_none()
        courses = site().courses.courses()
        return {
            "account": account,
            "main_course": courses[0] if courses else None,
            "theme": cookies.theme(current_app),
        }


def points(value: float | None) -> str:
    """``3``, ``2.5``, or a dash for what was never graded."""
    return "–" if value is None else f"{value:.2f}".rstrip("0").rstrip(".")


def duration(seconds: float | None) -> str:
    """``0.4 s``, ``48 s``, ``12 min``, ``3 h 05 min``, ``2 d 4 h``."""
    if seconds is None:
        return "–"
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours < 24 else f"{hours // 24} d {hours % 24} h"


def clock(seconds: float) -> str:
    """``3:59:05`` or ``12:07``: time that runs."""
    whole = max(0, int(seconds))
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60}:{rest % 60:02}"


def ago(at: datetime | None, now: datetime | None = None) -> str:
    """``just now``, ``5 min ago``, ``3 h ago``, ``yesterday``, ``12 days ago``."""
    if at is None:
        return "never"
    minutes = ((now or datetime.now(UTC)) - at).total_seconds() / 60
    if minutes < 1:
        return "just now"
    if minutes < 60:
        return f"{int(minutes)} min ago"
    if minutes < 24 * 60:
        return f"{int(minutes / 60)} h ago"
    days = int(minutes / 1440)
    return "yesterday" if days == 1 else f"{days} days ago"


def moment(at: datetime | None) -> str:
    """``2026-11-23 02:15 UTC``."""
    return "–" if at is None else f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def percent(part: float | None, whole: float = 1.0) -> str:
    """``67 %``; a dash when there is nothing to count."""
    return "–" if part is None or not whole else f"{round(100 * part / whole)} %"


def plural(count: float, one: str, many: str = "") -> str:
    """``1 attempt``, ``2 attempts``."""
    return f"{points(count)} {one if count == 1 else many or one + 's'}"


def unit(count: float | None, one: str) -> str:
    """``attempt`` or ``attempts``, for a number that stands apart from it."""
    return one if count == 1 else one + "s"


def short_markdown(text: str) -> Markup:
    """Code and emphasis of one line; everything else is removed by nh3."""
    return Markup(inline(text))  # noqa: S704 -- the output of nh3


def feedback(message: str) -> list[tuple[str, str]]:
    """A check's message in labelled parts (``Expected``, ``Observed``, ``Look``, ``What if``); else one unlabelled."""
    if not message.startswith("Expected:"):
        return [("", message.strip())] if message.strip() else []
    pieces = _LABEL.split(message)[1:]
    return [(label, text.strip()) for label, text in zip(pieces[::2], pieces[1::2], strict=True)]
