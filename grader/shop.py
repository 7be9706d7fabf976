"""What ``kindling/shop`` says on one line, taken apart. What is not such a line is nobody's answer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

PAGE = re.compile(r"(?P<service>[a-z0-9-]{1,63}) (?P<state>ok|degraded|failed)(?: \((?P<calls>[^()]*)\))?")
WAYS = ("ok", "cache", "stale", "missing", "failed")


@dataclass(frozen=True)
class Page:
    """An answer of a service. ``state``: ``ok``, ``degraded``, ``failed``.

    ``calls``: what became of each call, ``cart`` or, behind it, ``cart/prices``: ``ok``, ``cache`` (not asked),
    ``stale`` (asked in vain, an older answer was used), ``missing`` (it can do without), ``failed``.
    """

    service: str
    state: str
    calls: Mapping[str, str]

    @property
    def degraded(self) -> bool:
        """Whether something is missing or old, and the page is there all the same."""
        return self.state == "degraded"


def page_of(message: str) -> Page | None:
    """The page of a message (an answer without who gave it); None for any other message."""
    found = PAGE.fullmatch(message)
    if found is None:
        return None
    pairs = [part.partition("=") for part in (found["calls"] or "").split()]
    if any(way not in WAYS for _, _, way in pairs):
        return None
    return Page(found["service"], found["state"], {to: way for to, _, way in pairs})
