"""What one object may cost: all of its values are looked at several times in one piece of work without interruption.

Who owns which field, validation and comparison take some ten microseconds a value, so that objects of tens of thousands
of values would keep everybody waiting for seconds. They are refused (413) before that work, by number of values.
Definitions of kinds may have more: their schemas are many values, and are owned as a whole.
"""

from __future__ import annotations

from typing import Any

from simkube.apimachinery.errors import StatusError
from simkube.apiserver.registry.request import Request
from simkube.apiserver.registry.served import DEFINITIONS

MOST_VALUES = 4000
"""Values of one object, or of a change to one."""
MOST_OWNED = 4 * MOST_VALUES
"""Values of its ``managedFields``."""


def refuse(request: Request, given: Any) -> None:
    """StatusError 413 for an object, or a change to one, that would take too long. Components may do as they do."""
    if not request.checked or request.resource.qualified == DEFINITIONS:
        return
    entries = given.get("metadata") if isinstance(given, dict) else None
    owned = entries.get("managedFields") if isinstance(entries, dict) else None
    if _more(given, MOST_VALUES, owned):
        raise _too_costly(f"more than {MOST_VALUES} values in one object")
    if owned and _more(owned, MOST_OWNED, None):
        raise _too_costly(f"more than {MOST_OWNED} values in the managedFields of one object")


def _too_costly(why: str) -> StatusError:
    return StatusError(413, "RequestEntityTooLarge", f"Request entity too large: {why}")


def _more(value: Any, most: int, without: Any) -> bool:
    """Whether there are more values than so many, not counting one of them and what is in it."""
    waiting, total = [value], 1
    while waiting and total <= most:
        item = waiting.pop()
        if not item or item is without:
            continue
        if isinstance(item, dict):
            total += len(item)
            waiting.extend(item.values())
        elif isinstance(item, list):
            total += len(item)
            waiting.extend(item)
    return total > most
