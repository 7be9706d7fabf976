"""How much of a device's capacity requests may ask for (``validateRequestPolicy`` in ``pkg/apis/resource``)."""

from __future__ import annotations

from fractions import Fraction

from simkube.apimachinery.quantity import canonical, parse
from simkube.apiserver.validation.field import Errors
from simkube.client.client import Obj

_MOST_VALUES = 10


def capacity(given: Obj, shared: bool, path: str, errors: Errors) -> None:
    """A capacity: only one of a device that several claims may share says what requests may be."""
    policy = given.get("requestPolicy")
    if policy is None:
        return
    where = f"{path}.requestPolicy"
    if not shared:
        errors.forbidden(where, "allowMultipleAllocations must be true")
        return
    values, limits, usual = policy.get("validValues", ()), policy.get("validRange"), policy.get("default")
    if values and limits is not None:
        both = 'exactly one policy can be specified, cannot specify "validValues" and "validRange" at the same time'
        errors.forbidden(where, both)
    elif (values or limits is not None) and usual is None:
        errors.required(f"{where}.default", f"required when {'validValues' if values else 'validRange'} is defined")
    elif values:
        _values(values, usual, given.get("value", "0"), f"{where}.validValues", errors)
    elif limits is not None:
        _range(limits, usual, given.get("value", "0"), f"{where}.validRange", errors)


def _values(values: list[str], usual: str, most: str, path: str, errors: Errors) -> None:
    amounts = [parse(value) for value in values]
    for index in range(1, len(values)):
        if amounts[index - 1] > amounts[index]:
            errors.invalid(f"{path}[{index}]", values[index], "values must be sorted in ascending order")
    if len(values) > _MOST_VALUES:
        errors.too_many(path, len(values), _MOST_VALUES)
    else:
        for index, value in enumerate(values):
            if amounts[index] > parse(most):
                errors.invalid(f"{path}[{index}]", value, f"option is larger than capacity value: {most}")
        for index, value in enumerate(values):
            if amounts[index] in amounts[:index]:
                errors.duplicate(f"{path}[{index}]", value)
    if parse(usual) not in amounts[:_MOST_VALUES]:
        errors.invalid(path, usual, "default value is not valid according to the requestPolicy")


def _range(limits: Obj, usual: str, most: str, path: str, errors: Errors) -> None:
    least, greatest, step = limits.get("min"), limits.get("max"), limits.get("step")
    if least is None:
        errors.required(f"{path}.min", "required when validRange is defined")
        return
    if parse(least) > parse(most):
        errors.invalid(f"{path}.min", least, f"min is larger than capacity value: {most}")
    if parse(usual) < parse(least):
        errors.invalid(f"{path}.default", usual, f"default is less than min: {least}")
    if greatest is not None:
        if parse(least) > parse(greatest):
            errors.invalid(f"{path}.max", least, f"min is larger than max: {greatest}")
        if parse(greatest) > parse(most):
            errors.invalid(f"{path}.max", greatest, f"max is larger than capacity value: {most}")
        if parse(usual) > parse(greatest):
            errors.invalid(f"{path}.default", usual, f"default is more than max: {greatest}")
    if step is not None:
        ends = (usual, greatest) if greatest is not None else (usual,)
        _step(step, least, most, ends, f"{path}.step", errors)


def _step(step: str, least: str, most: str, ends: tuple[str, ...], path: str, errors: Errors) -> None:
    """Steps go upwards, the first of them stays within the device, and some lead to each of these ends."""
    first = parse(least) + parse(step)
    if parse(step) <= 0:
        errors.invalid(path, step, "must be greater than zero")
        return
    if first > parse(most):
        errors.invalid(path, step, f"one step {_shown(first)} is larger than capacity value: {most}")
    for end in ends:
        if (parse(end) - parse(least)) % parse(step):
            detail = f"value is not a multiple of a given step ({step}) from ({least})"
            errors.invalid(path, end, detail)


def _shown(amount: Fraction) -> str:
    return canonical(f"{amount.numerator / amount.denominator:f}" if amount.denominator != 1 else str(amount.numerator))
