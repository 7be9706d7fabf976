"""What an account may be called, and how this machine's user is.

It refuses names that could be mistaken for a path, a flag or markup.
"""

from __future__ import annotations

import getpass
import os
import re

_NAME = re.compile(r"[^\W_](?:[\w.@+-]{0,62}[\w.@+-])?")
_EMAIL = re.compile(r"[^@\s<>\"',;:\\]{1,64}@[^@\s<>\"',;:\\]{1,180}")


def is_name(text: str) -> bool:
    """Whether an account may have this name."""
    return _NAME.fullmatch(text) is not None


def is_email(text: str) -> bool:
    """Whether this looks like an email address."""
    return _EMAIL.fullmatch(text) is not None


def local_name() -> str:
    """The operating system's user, as an account's name; ``KINDLING_LEARNER`` overrides it."""
    try:
        name = os.environ.get("KINDLING_LEARNER") or getpass.getuser()
    except (KeyError, OSError):  # a user id without an entry, as containers have
        name = f"user-{os.getuid()}"
    if is_name(name):
        return name
    return re.sub(r"[^\w.@+-]|^[\W_]+", "", name)[:64] or "learner"
