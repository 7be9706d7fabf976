"""Conditions of the usual form in the status of objects (``apimachinery/pkg/apis/meta/v1/validation``)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from simkube.apiserver.validation.field import Errors
from simkube.apiserver.validation.metadata import qualified_name
from simkube.client.client import Obj

_STATUSES = ("False", "True", "Unknown")
_MOST_REASON = 1024
_MOST_MESSAGE = 32 * 1024
_REASON = r"[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?"
_BAD_REASON = (
    "a condition reason must start with alphabetic character, optionally followed by a string of alphanumeric "
    "characters or '_,:', and must end with an alphanumeric character or '_' (e.g. 'my_name',  or 'MY_NAME',  or "
    f"'MyName',  or 'ReasonA,ReasonB',  or 'ReasonA:ReasonB', regex used for validation is '{_REASON}')"
)


def conditions(given: Sequence[Obj], path: str, errors: Errors) -> None:
    """Each type once; what each says, why, and since when."""
    seen = set()
    for index, each in enumerate(given):
        where, kind = f"{path}[{index}]", each.get("type", "")
        if kind in seen:
            errors.duplicate(f"{where}.type", kind)
        seen.add(kind)
        for problem in qualified_name(kind):
            errors.invalid(f"{where}.type", kind, problem)
        _condition(each, where, errors)


def _condition(given: Obj, path: str, errors: Errors) -> None:
    status, generation, reason = given.get("status", ""), given.get("observedGeneration", 0), given.get("reason", "")
    if status not in _STATUSES:
        errors.not_supported(f"{path}.status", status, _STATUSES)
    if generation < 0:
        errors.invalid(f"{path}.observedGeneration", generation, "must be greater than or equal to zero")
    if not given.get("lastTransitionTime"):
        errors.required(f"{path}.lastTransitionTime", "must be set")
    if not reason:
        errors.required(f"{path}.reason", "must be set")
    elif not re.fullmatch(_REASON, reason):
        errors.invalid(f"{path}.reason", reason, _BAD_REASON)
    if len(reason.encode()) > _MOST_REASON:
        errors.too_long(f"{path}.reason", f"may not be more than {_MOST_REASON} bytes")
    if len(given.get("message", "").encode()) > _MOST_MESSAGE:
        errors.too_long(f"{path}.message", f"may not be more than {_MOST_MESSAGE} bytes")
