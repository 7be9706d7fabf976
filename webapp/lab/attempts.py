"""What was handed in: the history of a lab and one attempt in full."""

from __future__ import annotations

from flask import Blueprint, render_template

from webapp.lessons.outline import find_lab
from webapp.login import login_required
from webapp.site import current_account, kindling

blueprint = Blueprint("attempts", __name__)


@blueprint.get("/labs/<lab>/attempts/")
@login_required
def history(lab: str) -> str:
    """Every attempt, newest first."""
    found = kindling().labs.get(lab)
    attempts = kindling().sessions.attempts(current_account().name, lab)
    return render_template("lab/attempts.html", lab=found, attempts=attempts)


@blueprint.get("/attempts/<attempt>/")
@login_required
def one(attempt: str) -> str:
    """One attempt; somebody else's is not found."""
    seen = kindling().sessions.attempt(attempt, current_account().name)
    lab = find_lab(kindling(), seen.lab)
    asked = kindling().predictions.of(current_account().name, lab.name) if lab else []
    return render_template(
        "lab/attempt.html",
        attempt=seen,
        lab=lab,
        title=lab.title if lab else seen.lab,
        timelines=kindling().sessions.timelines(attempt, current_account().name),
        predictions=[one for one in asked if one.attempt == seen.number],
    )
