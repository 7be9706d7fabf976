"""The values of a small program of Python, within bounds, and how it fails."""

from __future__ import annotations

from typing import Any

MOST_TEXT, MOST_NUMBER = 8 * 1024, 1 << 63
OF_TEXT = {"strip": 0, "decode": 0, "startswith": 1, "endswith": 1, "lower": 0, "upper": 0}
"""What strings and bytes can be asked for, and with how many arguments."""


class NotSimulated(Exception):
    """A part of Python that is not here; the message names it."""


class Raised(Exception):
    """An exception of the program: the last line of its traceback."""


def of_text(of: str | bytes, name: str, given: list[Any]) -> Any:
    if name not in OF_TEXT or len(given) != OF_TEXT[name] or not hasattr(of, name):
        raise NotSimulated(f".{name}()")
    try:
        return held(
            of.decode("utf-8", "replace") if isinstance(of, bytes) and name == "decode" else getattr(of, name)(*given)
        )
    except TypeError as error:
        raise Raised(f"TypeError: {error}") from None


def single(value: Any) -> Any:
    """A member of a list; :class:`NotSimulated` for a list, since a few of them stand for more than fits anywhere."""
    if isinstance(value, list):
        raise NotSimulated("lists of lists")
    return value


def held(value: Any) -> Any:
    """A value within bounds; :class:`NotSimulated` for a larger one."""
    large = isinstance(value, int) and abs(value) >= MOST_NUMBER
    if large or (isinstance(value, (str, bytes, list)) and len(value) > MOST_TEXT):
        raise NotSimulated("values as large as this one")
    return value
