"""What is asked about access: which objects, by their fields or labels (``pkg/apis/authorization/validation``).

Operators that nobody knows are let pass: newer clients may ask with some.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from simkube.apiserver.validation.field import Errors
from simkube.apiserver.validation.metadata import label_value, qualified_name
from simkube.client.client import Obj

_PATH = "spec.resourceAttributes"


def resource_attributes(given: Mapping[str, Any], errors: Errors) -> None:
    """Selectors of a review: in one text or in parts."""
    for name, look in (("fieldSelector", _field), ("labelSelector", _label)):
        selector = given.get(name)
        if selector is None:
            continue
        _selector(selector, f"{_PATH}.{name}", errors)
        for index, each in enumerate(selector.get("requirements", ())):
            look(each, f"{_PATH}.{name}.requirements[{index}]", errors)


def _selector(given: Obj, path: str, errors: Errors) -> None:
    text, parts = given.get("rawSelector", ""), given.get("requirements")
    if text and parts:
        errors.invalid(f"{path}.rawSelector", text, "may not specified at the same time as requirements")
    elif not text and not parts:
        errors.required(f"{path}.requirements", f"when {path} is specified, requirements or rawSelector is required")


def _field(given: Obj, path: str, errors: Errors) -> None:
    if not given.get("key"):
        errors.required(f"{path}.key", "must be specified")
    _values(given, path, errors)


def _label(given: Obj, path: str, errors: Errors) -> None:
    _values(given, path, errors)
    for problem in qualified_name(given.get("key", "")):
        errors.invalid(f"{path}.key", given.get("key", ""), problem)
    for index, value in enumerate(given.get("values", ())):
        for problem in label_value(value):
            errors.invalid(f"{path}.values[{index}]", value, problem)


def _values(given: Obj, path: str, errors: Errors) -> None:
    operator, values = given.get("operator"), given.get("values")
    if operator in ("In", "NotIn") and not values:
        errors.required(f"{path}.values", "must be specified when `operator` is 'In' or 'NotIn'")
    elif operator in ("Exists", "DoesNotExist") and values:
        errors.forbidden(f"{path}.values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'")
