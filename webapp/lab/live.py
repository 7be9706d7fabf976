"""What keeps a lab page up to date: a stream of events, and the same as one answer for pages that ask again."""

from __future__ import annotations

import json

from flask import Blueprint, Response, copy_current_request_context, g, jsonify

from webapp.lab.view_model import change, version, view_model
from webapp.login import login_required
from webapp.site import current_account, kindling, site
from webapp.streams import hand_over

blueprint = Blueprint("live", __name__)


@blueprint.get("/labs/<lab>/state")
@login_required
def state(lab: str) -> Response:
    """The lab as it is now."""
    return jsonify(change(view_model(current_account(), kindling().labs.get(lab))))


@blueprint.get("/labs/<lab>/events")
@login_required
def events(lab: str) -> Response:
    """Server-sent events: a ``change`` at once, then whenever something differs. 503: ask for ``state`` instead."""
    account, found, sign_ins, sign_in = current_account(), kindling().labs.get(lab), kindling().sign_ins, g.here.sign_in

    def allowed() -> bool:
        return sign_ins.lasts(sign_in)

    @copy_current_request_context
    def look() -> tuple[str, str] | None:
        if not allowed():  # signed out since
            return None
        seen = view_model(account, found)
        return version(seen), json.dumps(change(seen))

    return hand_over(site().streams, (account.id, found.name), sign_in, allowed, look)
