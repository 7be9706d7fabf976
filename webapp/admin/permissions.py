"""Who may enter the admins' pages. Everybody else gets the same 404 as for a page that does not exist."""

from __future__ import annotations

from flask import abort

from webapp.login import login_required
from webapp.site import current_account


@login_required
def only_admins() -> None:
    """Before every request of a blueprint for admins."""
    if current_account().role != "admin":
        abort(404)
