"""Entering a whole class from a CSV file, with what became of every line."""

from __future__ import annotations

from flask import Blueprint, render_template, request

from labs.errors import Malformed
from webapp.site import current_account, kindling
from webapp.teach.permissions import instructors_only

blueprint = Blueprint("roster", __name__, url_prefix="/classes/<class_id>/roster")


@blueprint.get("")
@instructors_only
def form(class_id: str) -> str:
    """Where to send it."""
    found = kindling().classes.class_of(class_id, current_account().name)
    return render_template("teach/roster.html", found=found, lines=None, problem="", text="")


@blueprint.post("")
@instructors_only
def read(class_id: str) -> str | tuple[str, int]:
    """Read it; lines that cannot be used are named, the others are entered."""
    classes = kindling().classes
    found = classes.class_of(class_id, current_account().name)
    text = request.form.get("text", "")
    sent = request.files.get("file")
    given: dict[str, object] = {"found": found, "lines": None, "problem": "", "text": text}
    try:
        if sent is not None and sent.filename:
            text = sent.stream.read().decode("utf-8-sig")
        if not text.strip():
            given["problem"] = "Choose a file or paste the lines of one."
            return render_template("teach/roster.html", **given), 422
        lines = classes.import_roster(class_id, current_account().name, text)
    except UnicodeDecodeError:
        given["problem"] = "The file is not text in UTF-8. Save it as 'CSV UTF-8' in the spreadsheet and send it again."
        return render_template("teach/roster.html", **given), 422
    except Malformed as error:
        given["problem"] = f"Line {error.line}: {error.expected}"
        return render_template("teach/roster.html", **given), 422
    return render_template("teach/roster.html", **(given | {"lines": lines, "text": ""}))
