"""Whom to run servers as that refuse, or ought not, to run as root: another user, where tests are root's."""

from __future__ import annotations

import os
import pwd
from pathlib import Path
from typing import Any

USERS = ("postgres", "nobody")


def given() -> dict[str, Any]:
    """What to give ``subprocess`` besides the command."""
    user = _user()
    return {} if user is None else {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def give(*paths: Path) -> None:
    """Let the user have these."""
    user = _user()
    for path in paths if user is not None else ():
        os.chown(path, user.pw_uid, user.pw_gid)


def _user() -> pwd.struct_passwd | None:
    if os.getuid():
        return None
    known = {user.pw_name: user for user in pwd.getpwall()}
    return next(known[name] for name in USERS if name in known)
