"""Field errors: what a request is told about each wrong field, in the API server's wording.

After ``k8s.io/apimachinery/pkg/util/validation/field``: a list of errors, each with a path, a reason and a detail,
which becomes one ``Invalid`` Status (422). It refuses to decide what is wrong; :mod:`simkube.apiserver.validation`
does.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from simkube.apimachinery.errors import StatusError

REQUIRED = "FieldValueRequired"
INVALID = "FieldValueInvalid"
NOT_SUPPORTED = "FieldValueNotSupported"
DUPLICATE = "FieldValueDuplicate"
FORBIDDEN = "FieldValueForbidden"
NOT_FOUND = "FieldValueNotFound"
TOO_LONG = "FieldValueTooLong"
TOO_MANY = "FieldValueTooMany"
TYPE_INVALID = "FieldValueTypeInvalid"


def shown(value: Any) -> str:
    """A value as the API server prints it in a message: Go's ``%q`` for text, JSON for the rest."""
    if value is None:
        return "null"
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


class Errors:
    """The field errors of one object, in the order in which they were found."""

    def __init__(self) -> None:
        self.found: list[tuple[str, str, str]] = []

    def __bool__(self) -> bool:
        return bool(self.found)

    def _add(self, reason: str, path: str, message: str, detail: str = "") -> None:
        self.found.append((reason, path, f"{message}: {detail}" if detail else message))

    def required(self, path: str, detail: str = "") -> None:
        """A value must be given."""
        self._add(REQUIRED, path, "Required value", detail)

    def invalid(self, path: str, value: Any, detail: str) -> None:
        """A value is not allowed."""
        self._add(INVALID, path, f"Invalid value: {shown(value)}", detail)

    def not_supported(self, path: str, value: Any, supported: Iterable[str]) -> None:
        """A value is none of an enumeration's, given in the order in which they are to be shown."""
        values = ", ".join(shown(one) for one in supported)
        self._add(NOT_SUPPORTED, path, f"Unsupported value: {shown(value)}", f"supported values: {values}")

    def duplicate(self, path: str, value: Any) -> None:
        """A value is there twice where it must be unique."""
        self._add(DUPLICATE, path, f"Duplicate value: {shown(value)}")

    def forbidden(self, path: str, detail: str) -> None:
        """A field may not be set, or not be changed."""
        self._add(FORBIDDEN, path, "Forbidden", detail)

    def not_found(self, path: str, value: Any, detail: str = "") -> None:
        """A value names something that is not there."""
        self._add(NOT_FOUND, path, f"Not found: {shown(value)}", detail)

    def refused(self, path: str, detail: str) -> None:
        """A value is not allowed, and is not shown."""
        self._add(INVALID, path, "Invalid value", detail)

    def too_long(self, path: str, detail: str) -> None:
        """A value is longer than allowed."""
        self._add(TOO_LONG, path, "Too long", detail)

    def too_many(self, path: str, actual: int, most: int) -> None:
        """A list or map has more members than allowed."""
        self._add(TOO_MANY, path, f"Too many: {actual}", f"must have at most {most} items")

    def type_invalid(self, path: str, value: Any, detail: str) -> None:
        """A value has another type than its schema says."""
        self._add(TYPE_INVALID, path, f"Invalid value: {shown(value)}", detail)

    def because(self, reason: str, path: str, message: str) -> None:
        """A refusal in the words of whoever wrote the rule."""
        self._add(reason, path, message)

    def raise_for(self, kind: str, group: str, name: str) -> None:
        """Raise ``Invalid`` with every error found; nothing when there is none."""
        if self.found:
            raise invalid(kind, group, name, self.found)


def invalid(kind: str, group: str, name: str, found: Iterable[tuple[str, str, str]]) -> StatusError:
    """422 as ``NewInvalid``; ``found`` is ``(reason, path, message)``. Equal messages are shown once, causes all."""
    causes = [{"reason": reason, "message": message, "field": path} for reason, path, message in found]
    texts = list(dict.fromkeys(f"{cause['field']}: {cause['message']}" for cause in causes))
    text = texts[0] if len(texts) == 1 else "[" + ", ".join(texts) + "]"
    qualified = f"{kind}.{group}" if group else kind
    details: dict[str, Any] = {"name": name} if name else {}
    if group:
        details["group"] = group
    if kind:
        details["kind"] = kind
    details["causes"] = causes
    return StatusError(422, "Invalid", f'{qualified} "{name}" is invalid: {text}', details)


def invalid_option(kind: str, reason: str, path: str, message: str) -> StatusError:
    """422 for a query parameter or ``DeleteOptions`` field; ``kind`` is ``CreateOptions``, ``ListOptions``, ..."""
    return invalid(kind, "meta.k8s.io", "", [(reason, path, message)])
