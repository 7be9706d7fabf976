"""What keeps a lab page up to date: a stream of events, and the same as one answer for pages that ask again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, jsonify, stream_with_context
from werkzeug.exceptions import ServiceUnavailable

from webapp.lab.view_model import change, version, view_model
from webapp.login import login_required
from webapp.site import current_account, kindling, site

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
    account, found = current_account(), kindling().labs.get(lab)

    def look() -> tuple[str, bool, Callable[[], dict[str, Any]]]:
        seen = view_model(account, found)
        return version(seen), seen.busy, lambda: change(seen)

    stream = site().streams.open(look, account.name)
    if stream is None:
        raise ServiceUnavailable("Too many pages are kept up to date at once; close some of yours.")
    return Response(stream_with_context(stream), mimetype="text/event-stream", headers={"X-Accel-Buffering": "no"})
