"""Names, uids and times the server gives to objects."""

from __future__ import annotations

import random
import uuid

from simkube.client.client import Obj

_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
"""Without vowels and look-alikes, as ``k8s.io/apimachinery/pkg/util/rand``."""

_MOST = 63 - 5


def suffix(length: int = 5) -> str:
    """Random characters for the end of a generated name."""
    return "".join(random.choices(_ALPHABET, k=length))  # noqa: S311  a name is no secret


def generate(base: str) -> str:
    """``base``, shortened to leave room, and five random characters."""
    return base[:_MOST] + suffix()


def new_uid() -> str:
    """A random uid."""
    return str(uuid.uuid4())


def born(meta: Obj, now: str) -> None:
    """What the server alone decides about a new object's metadata."""
    for name in ("deletionTimestamp", "deletionGracePeriodSeconds", "selfLink"):
        meta.pop(name, None)
    meta["uid"] = new_uid()
    meta["creationTimestamp"] = now
