"""Counts, numbers or percentages, and fields that stay as they are: checks that many kinds share."""

from __future__ import annotations

import re
from typing import Any

from simkube.apiserver.validation.field import Errors

NOT_NEGATIVE = "must be greater than or equal to 0"
_PERCENT = (
    "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', "
    "regex used for validation is '[0-9]+%')"
)


def not_negative(value: Any, path: str, errors: Errors) -> None:
    """A number, where one is given, is 0 or more."""
    if isinstance(value, int) and value < 0:
        errors.invalid(path, value, NOT_NEGATIVE)


def number_or_percent(value: Any, path: str, errors: Errors) -> bool:
    """A number that is not negative, or a percentage; whether it is one."""
    if isinstance(value, str):
        if re.fullmatch(r"[0-9]{1,9}%", value):
            return True
        errors.invalid(path, value, _PERCENT)
        return False
    not_negative(value, path, errors)
    return isinstance(value, int) and value >= 0


def at_most_all(value: Any, path: str, errors: Errors) -> None:
    """A percentage is at most 100."""
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}%", value) and int(value[:-1]) > 100:
        errors.invalid(path, value, "must not be greater than 100%")


def is_zero(value: Any) -> bool:
    """0 or 0%; what is no number at all counts as 0, as in Go."""
    if isinstance(value, str):
        return not re.fullmatch(r"[0-9]{1,9}%", value) or int(value[:-1]) == 0
    return not value


def immutable(new: Any, old: Any, path: str, errors: Errors) -> None:
    """A field stays as it was."""
    if new != old:
        errors.invalid(path, new, "field is immutable")
