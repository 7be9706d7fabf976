"""The third truth value: what cannot be told from the objects of a cluster.

``UNKNOWN`` spreads: whatever is made of it is unknown, unless the rest decides by itself (``False and UNKNOWN`` is
False). It refuses to be taken for true or false, so that no code of ours decides by accident.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NoReturn


class Unknown:
    """The type of :data:`UNKNOWN`."""

    def __bool__(self) -> NoReturn:
        raise TypeError("what is unknown is neither true nor false")

    def __repr__(self) -> str:
        return "unknown"


UNKNOWN = Unknown()
Truth = bool | Unknown


def truth(value: Any) -> Truth:
    """A value as true, false or unknown."""
    return value if isinstance(value, Unknown) else bool(value)


def every(values: Iterable[Any]) -> Truth:
    """False as soon as one is false; unknown when one of the others is."""
    result: Truth = True
    for value in values:
        found = truth(value)
        if found is False:
            return False
        if found is not True:
            result = UNKNOWN
    return result


def some(values: Iterable[Any]) -> Truth:
    """True as soon as one is true; unknown when one of the others is."""
    return negation(every(negation(truth(value)) for value in values))


def negation(value: Truth) -> Truth:
    """Not."""
    return value if isinstance(value, Unknown) else not value
