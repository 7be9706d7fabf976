"""Whether the site works: for whoever watches it, without signing in."""

from __future__ import annotations

from flask import Blueprint, Flask, Response, jsonify, make_response
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from labs.errors import KindlingError
from webapp.error_pages import RETRY_SECONDS
from webapp.site import kindling

blueprint = Blueprint("health", __name__, url_prefix="/health")


def register(app: Flask) -> None:
    """Add the area to ``app``."""
    app.register_blueprint(blueprint)


@blueprint.get("")
def alive() -> Response:
    """The process answers."""
    return jsonify(status="ok")


@blueprint.get("/ready")
def ready() -> Response:
    """The records can be read; 503 when they cannot."""
    try:
        with kindling().records.read() as transaction:
            transaction.execute(text("SELECT 1"))
    except (KindlingError, SQLAlchemyError):
        return make_response(jsonify(status="records cannot be read"), 503, {"Retry-After": RETRY_SECONDS})
    return jsonify(status="ok")
