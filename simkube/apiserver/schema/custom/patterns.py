"""Regular expressions of definitions, as Go reads them: RE2, which never takes longer than the text is long.

It refuses (:class:`PatternError`) what RE2 refuses, and patterns that would need more than a megabyte.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import re2  # type: ignore[import-untyped]  # it has no stubs

_MOST_MEMORY = 1 << 20


class PatternError(Exception):
    """A pattern that is no regular expression; the message is RE2's."""


@lru_cache(maxsize=256)
def compiled(pattern: str) -> Any:
    """The pattern ready for ``search``."""
    options = re2.Options()
    options.max_mem = _MOST_MEMORY
    options.log_errors = False
    try:
        return re2.compile(pattern, options=options)
    except re2.error as error:
        detail = error.args[0] if error.args else ""
        raise PatternError(detail.decode() if isinstance(detail, bytes) else str(detail)) from None


def found_in(pattern: str, text: str) -> bool:
    """Whether some part of the text matches."""
    return compiled(pattern).search(text) is not None
