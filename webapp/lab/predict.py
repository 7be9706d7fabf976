"""What a learner predicts, before touching anything."""

from __future__ import annotations

from flask import Blueprint, jsonify, redirect, request, url_for
from werkzeug.wrappers import Response

from webapp.error_pages import error_response, wants_json
from webapp.lab.view_model import change, view_model
from webapp.login import login_required
from webapp.site import current_account, kindling

blueprint = Blueprint("predict", __name__)
FIELD = "answer-"


@blueprint.post("/labs/<lab>/predict")
@login_required
def answer(lab: str) -> Response:
    """Keep the answers that were chosen."""
    found, account = kindling().labs.get(lab), current_account()
    given = {name.removeprefix(FIELD): value for name, value in request.form.items() if name.startswith(FIELD)}
    if not given:
        return error_response(422, "Choose an answer first.")
    kindling().predictions.answer(account.name, found.name, given)
    if wants_json():
        return jsonify(change(view_model(account, found)))
    return redirect(url_for("lab.page", lab=found.name, _anchor="predict"))
