"""Amounts of resources: ``quantity("500m").isLessThan(quantity("1"))`` (``cel/library/quantity.go``)."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

from simkube.apimachinery.quantity import QuantityError, parse
from simkube.apiserver.cel import types as t
from simkube.apiserver.cel.errors import EvaluationError
from simkube.apiserver.cel.library.model import Library, function, method, of_any, of_class
from simkube.apiserver.cel.types import Kind
from simkube.apiserver.cel.values import INT_RANGE


@dataclass(frozen=True)
class Quantity:
    """An amount; equal to any other of the same size, however it is written."""

    kind: ClassVar[Kind] = t.QUANTITY
    amount: Fraction


def _of(text: str) -> Quantity:
    try:
        return Quantity(parse(text))
    except QuantityError as error:
        raise EvaluationError(str(error)) from None


def _is(text: str) -> bool:
    try:
        parse(text)
    except QuantityError:
        return False
    return True


def _amount(given: Quantity | int) -> Fraction:
    return given.amount if isinstance(given, Quantity) else Fraction(given)


def _is_integer(given: Quantity) -> bool:
    return given.amount.denominator == 1 and -INT_RANGE <= given.amount < INT_RANGE


def _as_integer(given: Quantity) -> int:
    if not _is_integer(given):
        raise EvaluationError("cannot convert value to integer")
    return int(given.amount)


def _compare(one: Quantity, other: Quantity) -> int:
    return (one.amount > other.amount) - (one.amount < other.amount)


_Q = t.QUANTITY

LIBRARY = Library(
    {
        "quantity": [function(t.STRING, gives=_Q)],
        "isQuantity": [function(t.STRING, gives=t.BOOL)],
        "sign": [function(_Q, gives=t.INT), method(_Q, gives=t.INT)],
        "isInteger": [method(_Q, gives=t.BOOL)],
        "asInteger": [method(_Q, gives=t.INT)],
        "asApproximateFloat": [method(_Q, gives=t.DOUBLE)],
        "add": [method(_Q, _Q, gives=_Q), method(_Q, t.INT, gives=_Q)],
        "sub": [method(_Q, _Q, gives=_Q), method(_Q, t.INT, gives=_Q)],
        "isGreaterThan": [method(_Q, _Q, gives=t.BOOL)],
        "isLessThan": [method(_Q, _Q, gives=t.BOOL)],
        "compareTo": [method(_Q, _Q, gives=t.INT)],
    },
    {
        **of_any({"quantity": _of, "isQuantity": _is}),
        **of_class(
            Quantity,
            {
                "sign": lambda given: (given.amount > 0) - (given.amount < 0),
                "isInteger": _is_integer,
                "asInteger": _as_integer,
                "asApproximateFloat": lambda given: float(given.amount),
                "add": lambda one, other: Quantity(one.amount + _amount(other)),
                "sub": lambda one, other: Quantity(one.amount - _amount(other)),
                "isGreaterThan": lambda one, other: one.amount > other.amount,
                "isLessThan": lambda one, other: one.amount < other.amount,
                "compareTo": _compare,
            },
        ),
    },
)
