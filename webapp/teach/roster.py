"""Entering a whole class from a CSV file, with what became of every line."""

from __future__ import annotations

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from labs.accounts.invitations import DAYS
from labs.errors import Malformed
from labs.roster import RosterLine
from webapp.site import current_account, kindling, public_address
from webapp.teach.permissions import instructors_only

blueprint = Blueprint("roster", __name__, url_prefix="/classes/<class_id>/roster")


ENDINGS = (".csv", ".tsv", ".txt")
NO_CSV = "That is no CSV file. In the spreadsheet, choose 'Save as' and 'CSV UTF-8', and send what that makes."


@blueprint.get("")
@instructors_only
def form(class_id: str) -> str:
    """Where to send it."""
    return _page(class_id)


@blueprint.post("")
@instructors_only
def read(class_id: str) -> str | tuple[str, int]:
    """Read it; lines that cannot be used are named, the others are entered."""
    classes = kindling().classes
    classes.class_of(class_id, current_account().name)
    text = request.form.get("text", "")
    sent = request.files.get("file")
    try:
        if sent is not None and sent.filename:
            if not sent.filename.lower().endswith(ENDINGS):
                return _page(class_id, text=text, problem=NO_CSV), 422
            text = sent.stream.read().decode("utf-8-sig")
        if "\0" in text:
            return _page(class_id, problem=NO_CSV), 422
        if not text.strip():
            return _page(class_id, text=text, problem="Choose a file or paste the lines of one."), 422
        lines = classes.import_roster(class_id, current_account().name, text)
    except UnicodeDecodeError:
        problem = "The file is not text in UTF-8. Save it as 'CSV UTF-8' in the spreadsheet and send it again."
        return _page(class_id, text=text, problem=problem), 422
    except Malformed as error:
        return _page(class_id, text=text, problem=f"Line {error.line}: {error.expected}"), 422
    return _page(class_id, lines=lines)


@blueprint.post("/<place>/invitation")
@instructors_only
def invite(class_id: str, place: str) -> str:
    """A link for the person behind a line; an older one ends."""
    found = kindling().classes.class_of(class_id, current_account().name)
    person, token = kindling().invitations.invite(class_id, current_account().name, place)
    address = public_address("account.invitation", token=token)
    return render_template("teach/invitation.html", found=found, place=person, address=address, days=DAYS)


@blueprint.post("/<place>/dismiss")
@instructors_only
def dismiss(class_id: str, place: str) -> Response:
    """Wait for somebody no more."""
    kindling().invitations.dismiss(class_id, current_account().name, place)
    return redirect(url_for("roster.form", class_id=class_id))


def _page(class_id: str, *, lines: list[RosterLine] | None = None, problem: str = "", text: str = "") -> str:
    found = kindling().classes.class_of(class_id, current_account().name)
    waiting = kindling().invitations.waiting(class_id, current_account().name)
    return render_template("teach/roster.html", found=found, waiting=waiting, lines=lines, problem=problem, text=text)
