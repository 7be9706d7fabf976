"""Sets of indexes as text, as jobs carry them: ``1,3-5,7`` (``validateIndexesFormat``)."""

from __future__ import annotations

import re

from simkube.apiserver.schema.golang import quote


class IndexesError(ValueError):
    """What is wrong with a text of indexes, in the API server's words."""


def count_indexes(text: str, completions: int) -> int:
    """How many indexes ``text`` names; they rise, and lie below ``completions``."""
    if not text:
        return 0
    total, last = 0, None
    for interval in text.split(","):
        ends = interval.split("-")
        if len(ends) > 2:
            raise IndexesError(
                f"the fragment {quote(interval)} violates the requirement that an index interval can "
                "have at most two parts separated by '-'"
            )
        low = _index(ends[0], completions)
        if last is not None and low <= last:
            raise IndexesError(f"non-increasing order, previous: {last}, current: {low}")
        high = low
        if len(ends) == 2:
            high = _index(ends[1], completions)
            if low >= high:
                raise IndexesError(f"non-increasing order, previous: {low}, current: {high}")
        total += high - low + 1
        last = high
    return total


def _index(text: str, completions: int) -> int:
    if not re.fullmatch(r"[+-]?[0-9]{1,18}", text):
        raise IndexesError(f"cannot convert string to integer for index: {quote(text)}")
    if int(text) >= completions:
        raise IndexesError(f"too large index: {quote(text)}")
    return int(text)
