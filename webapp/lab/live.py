"""What keeps a lab page up to date: a stream of events, and the same as one answer for pages that ask again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, jsonify, stream_with_context
from werkzeug.exceptions import ServiceUnavailable

from webapp.guard import signed_in
from webapp.lab.desk import change, desk, version
from webapp.site import kindling, me, site

blueprint = Blueprint("live", __name__)


@blueprint.get("/labs/<lab>/state")
@signed_in
def state(lab: str) -> Response:
    """The lab as it is now."""
    return jsonify(change(desk(me(), kindling().labs.get(lab))))


@blueprint.get("/labs/<lab>/events")
@signed_in
def events(lab: str) -> Response:
    """Server-sent events: a ``change`` at once, then whenever something differs. 503: ask for ``state`` instead."""
    account, found = me(), kindling().labs.get(lab)

    def look() -> tuple[str, bool, Callable[[], dict[str, Any]]]:
        seen = desk(account, found)
        return version(seen), seen.busy, lambda: change(seen)

    stream = site().streams.open(look)
    if stream is None:
        raise ServiceUnavailable
    return Response(stream_with_context(stream), mimetype="text/event-stream", headers={"X-Accel-Buffering": "no"})
