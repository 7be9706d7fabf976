"""Label selectors within objects (``ValidateLabelSelector``)."""

from __future__ import annotations

from simkube.apiserver.field import Errors
from simkube.apiserver.validation.metadata import label_value, labels, qualified_name
from simkube.client import Obj

_OPERATORS = ("In", "NotIn", "Exists", "DoesNotExist")


def label_selector(selector: Obj, path: str, errors: Errors) -> None:
    """Keys and values of both forms; what each operator needs."""
    labels(selector.get("matchLabels", {}), f"{path}.matchLabels", errors)
    for index, each in enumerate(selector.get("matchExpressions", ())):
        where = f"{path}.matchExpressions[{index}]"
        operator, values = each.get("operator", ""), each.get("values", ())
        if operator in ("In", "NotIn"):
            if not values:
                errors.required(f"{where}.values", "must be specified when `operator` is 'In' or 'NotIn'")
        elif operator in ("Exists", "DoesNotExist"):
            if values:
                errors.forbidden(
                    f"{where}.values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
                )
        else:
            errors.invalid(f"{where}.operator", operator, "not a valid selector operator")
        for problem in qualified_name(each.get("key", "")):
            errors.invalid(f"{where}.key", each.get("key", ""), problem)
        for at, value in enumerate(values):
            for problem in label_value(value):
                errors.invalid(f"{where}.values[{at}]", value, problem)
