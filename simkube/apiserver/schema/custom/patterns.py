"""Regular expressions of definitions, as Go reads them: RE2, which never takes longer than the text is long.

It refuses (:class:`PatternError`) what RE2 refuses, and patterns that would need more than a megabyte. A long pattern
takes long at each character nevertheless: :func:`cost` says beforehand what that may be.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import re2  # type: ignore[import-untyped]  # it has no stubs

_MOST_MEMORY = 1 << 20


class PatternError(Exception):
    """A pattern that is no regular expression; the message is RE2's."""


_REFUSED_STEPS = 10_000
"""What it takes to find out that a pattern is too large."""


def compiled(pattern: str) -> Any:
    """The pattern ready for ``search``; groups in it are not told apart."""
    made = _compiled(pattern)
    if isinstance(made, str):
        raise PatternError(made)
    return made


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> Any:
    """The pattern, or why it is none."""
    options = re2.Options()
    options.max_mem = _MOST_MEMORY
    options.log_errors = False
    options.never_capture = True
    try:
        return re2.compile(pattern, options=options)
    except re2.error as error:
        detail = error.args[0] if error.args else ""
        return detail.decode() if isinstance(detail, bytes) else str(detail)


def cost(pattern: str, text: str = "") -> int:
    """The most that it takes to look for the pattern in ``text`` and to compile it, in steps of two microseconds."""
    made = _compiled(pattern)
    if isinstance(made, str):
        return 1 + (_REFUSED_STEPS if "too large" in made else len(pattern) // 100)
    return 1 + int(made.programsize) * (3 + len(text)) // 100


def found_in(pattern: str, text: str) -> bool:
    """Whether some part of the text matches."""
    return compiled(pattern).search(text) is not None
