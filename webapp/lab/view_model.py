"""What a lab page shows of a learner's work: predictions, the session, what can be done now, the last attempt, hints.

The page, its live updates and the forms all show the same fragments made from here, so that a browser without
script sees what one with script sees.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from flask import render_template

from labs.accounts import Account
from labs.definition import Lab
from labs.definition.certificate import Certificate
from labs.errors import Malformed
from labs.parameters import seed_of
from labs.session import AttemptView, PredictionView, SessionView, Timeline
from webapp.formats import plural
from webapp.lab.hints import CheckHints, taken
from webapp.site import kindling, site

FRAGMENTS = ("cluster", "results", "hints")
_AT_WORK = ("provisioning", "resetting", "stopping")


@dataclass(frozen=True)
class LabViewModel:
    """One learner in one lab, now."""

    account: Account
    lab: Lab
    session: SessionView | None
    latest: AttemptView | None
    best: float | None
    hints: list[CheckHints]
    timelines: dict[str, Timeline]
    """Of the last attempt, by the name of the check."""
    predictions: list[PredictionView]

    @property
    def fragments(self) -> tuple[str, ...]:
        """The names of the parts that change; a lab that asks for no predictions has no such part."""
        return ("predict", *FRAGMENTS) if self.lab.file.predict else FRAGMENTS

    @property
    def grading(self) -> AttemptView | None:
        """The attempt that is being graded, if one is."""
        return self.latest if self.latest and self.latest.state != "done" else None

    @property
    def busy(self) -> bool:
        """Something is under way that is worth looking at often."""
        return self.grading is not None or (self.session is not None and self.session.state in _AT_WORK)

    @property
    def parameters(self) -> dict[str, Any]:
        if self.session is not None:
            return self.session.parameters
        return dict(self.lab.parameters_for(seed_of(self.account.name, self.lab.name)))


def view_model(account: Account, lab: Lab) -> LabViewModel:
    """Look at the records."""
    sessions = kindling().sessions
    current = sessions.last(account.name, lab.name)
    latest = next(iter(sessions.attempts(account.name, lab.name, most=1)), None)
    best = current.best_score if current is not None else sessions.best(account.name, lab.name)
    hints = taken(lab, current) if current is not None else []
    lines = sessions.timelines(latest.id, account.name) if latest is not None else {}
    predictions = kindling().predictions.of(account.name, lab.name)
    return LabViewModel(account, lab, current, latest, best, hints, lines, predictions)


def certificate(lab: Lab) -> tuple[Certificate | None, str]:
    """How often its checks are wrong, if that is known, and how it stands by that: published, outdated or draft."""
    try:
        made = lab.certificate
    except Malformed:  # lint says so to its author; learners can work all the same
        made = None
    return made, made.standing(lab.version) if made is not None else "draft"


def fragments(seen: LabViewModel) -> dict[str, str]:
    """The changing parts of the page, by the id of the element they fill."""
    idle = seen.session is None or not seen.session.live
    choices = site().provider_choices.of(seen.lab, seen.account.name) if idle else []
    given = {"view": seen, "lab": seen.lab, "choices": choices}
    return {name: render_template(f"lab/_{name}.html", **given) for name in seen.fragments}


def version(seen: LabViewModel) -> str:
    """Differs whenever the fragments do, but for the clocks in them, which run by themselves in the browser."""
    now = seen.session
    parts: list[Any] = [[(hint.name, len(hint.texts)) for hint in seen.hints]]
    parts.append([(one.name, one.answer, one.happened, one.open) for one in seen.predictions])
    if now is not None:
        steps = [(step.name, step.state) for step in now.steps]
        parts.append((now.id, now.state, now.detail, now.fix, now.expires_at, now.best_score, steps))
    attempt = seen.latest
    if attempt is not None:
        checks = [(check.name, check.state, check.outcome, check.message) for check in attempt.checks]
        parts.append(
            (attempt.id, attempt.state, attempt.outcome, attempt.score, attempt.detail, attempt.before, checks)
        )
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def change(seen: LabViewModel) -> dict[str, Any]:
    """What a live page is told: fragments, a version that differs when they do, and what to say aloud."""
    return {"version": version(seen), "html": fragments(seen), "say": spoken(seen), "busy": seen.busy}


def spoken(seen: LabViewModel) -> str:
    """One sentence for a screen reader; the page speaks it when it differs from the one before."""
    grading, session_now = seen.grading, seen.session
    if grading is not None:
        if grading.waiting:
            return f"{grading.waiting.capitalize()}."
        done = [check for check in grading.checks if check.state == "done"]
        if grading.detail and not done:
            return grading.detail
        last = f"; {done[-1].title}: {done[-1].outcome}" if done else ""
        return f"Checking, {len(done)} of {len(grading.checks)} done{last}."
    if session_now is not None and session_now.state in _AT_WORK:
        running = next((step.name for step in session_now.steps if step.state == "running"), "")
        return f"The cluster is {session_now.state}{': ' + running if running else ''}."
    if session_now is not None and session_now.state == "ready" and session_now.detail:
        return session_now.detail
    latest = seen.latest
    if latest is not None and session_now is not None and latest.session == session_now.id:
        return f"Attempt {latest.number} {latest.outcome}: {latest.score:g} of {plural(latest.max_score, 'point')}."
    return f"The cluster is {session_now.state}." if session_now is not None else ""
