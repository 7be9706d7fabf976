"""Label selectors within objects (``ValidateLabelSelector``)."""

from __future__ import annotations

from simkube.apiserver.validation.field import Errors
from simkube.apiserver.validation.metadata import label_value, labels, qualified_name
from simkube.client.client import Obj


def label_selector(selector: Obj, path: str, errors: Errors) -> None:
    """Keys and values of both forms; what each operator needs."""
    labels(selector.get("matchLabels", {}), f"{path}.matchLabels", errors)
    for index, each in enumerate(selector.get("matchExpressions", ())):
        where = f"{path}.matchExpressions[{index}]"
        requirement(each, where, errors)
        for problem in qualified_name(each.get("key", "")):
            errors.invalid(f"{where}.key", each.get("key", ""), problem)
        for at, value in enumerate(each.get("values", ())):
            for problem in label_value(value):
                errors.invalid(f"{where}.values[{at}]", value, problem)


def requirement(each: Obj, where: str, errors: Errors, *, of_nodes: bool = False) -> None:
    """The operator of one of a selector's ``matchExpressions`` and the values it needs; nodes' also compare numbers."""
    operator, values = each.get("operator") or "", each.get("values") or ()
    if operator in ("In", "NotIn"):
        if not values:
            errors.required(f"{where}.values", "must be specified when `operator` is 'In' or 'NotIn'")
    elif operator in ("Exists", "DoesNotExist"):
        if values:
            errors.forbidden(f"{where}.values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'")
    elif of_nodes and operator in ("Gt", "Lt"):
        if len(values) != 1:
            errors.required(f"{where}.values", "must be specified single value when `operator` is 'Lt' or 'Gt'")
    else:
        errors.invalid(f"{where}.operator", operator, "not a valid selector operator")
