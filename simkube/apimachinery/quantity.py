"""Amounts of resources (``500m``, ``64Mi``, ``1e3``): their values, and the one form in which each is stored.

The grammar and the canonical form are those of ``k8s.io/apimachinery/pkg/api/resource``: no fraction, the largest
suffix that loses nothing, ``0.5`` is ``500m`` and ``1024Mi`` is ``1Gi``. Digits beyond nano are rounded up.
"""

from __future__ import annotations

import functools
import re
from fractions import Fraction
from math import ceil

FORMAT = re.compile(r"^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$", re.ASCII)
_NUMBER = re.compile(r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)$", re.ASCII)
_EXPONENT = re.compile(r"^[eE][+-]?[0-9]{1,3}$", re.ASCII)
_BINARY = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
_DECIMAL = {-9: "n", -6: "u", -3: "m", 0: "", 3: "k", 6: "M", 9: "G", 12: "T", 15: "P", 18: "E"}
_DECIMAL_POWER = {suffix: power for power, suffix in _DECIMAL.items()}
_LONGEST = 128
_MOST = Fraction(2**63 - 1)


class QuantityError(ValueError):
    """Not a quantity; the message is apimachinery's."""


@functools.lru_cache(maxsize=4096)
def canonical(text: str) -> str:
    """The stored form of a quantity: ``canonical("0.5") == "500m"``. QuantityError when it is none."""
    number, suffix = _split(text)
    value = _capped(number * _factor(suffix))
    if suffix in _BINARY[1:] and abs(value) >= 1024 and value.denominator == 1:
        return _binary(value.numerator)
    return _decimal(value, exponent=_EXPONENT.match(suffix) is not None)


def parse(text: str) -> Fraction:
    """The exact value of a quantity; QuantityError when it is none."""
    number, suffix = _split(text)
    return _capped(number * _factor(suffix))


@functools.lru_cache(maxsize=4096)
def milli(quantity: str | int | float) -> int:
    """A quantity in thousandths, rounded up (``resource.Quantity.MilliValue``): ``milli("1Ki") == 1024000``."""
    return ceil(parse(str(quantity)) * 1000)


def _capped(value: Fraction) -> Fraction:
    """What is larger than an int64 can hold counts as the largest that it can."""
    return max(-_MOST, min(_MOST, value))


def _factor(suffix: str) -> Fraction:
    if suffix in _BINARY[1:]:
        return Fraction(1024) ** _BINARY.index(suffix)
    power = int(suffix[1:]) if _EXPONENT.match(suffix) else _DECIMAL_POWER[suffix]
    return Fraction(10) ** power


def _split(text: str) -> tuple[Fraction, str]:
    match = FORMAT.match(text)
    if match is None or len(text) > _LONGEST:
        raise QuantityError(f"quantities must match the regular expression '{FORMAT.pattern}'")
    number, suffix = match.groups()
    if not _NUMBER.match(number):
        raise QuantityError(f"quantities must match the regular expression '{FORMAT.pattern}'")
    if suffix not in _BINARY and suffix not in _DECIMAL_POWER and not _EXPONENT.match(suffix):
        raise QuantityError("unable to parse quantity's suffix")
    return Fraction(number), suffix


def _binary(value: int) -> str:
    power = 0
    while power < len(_BINARY) - 1 and value % 1024 == 0:
        value //= 1024
        power += 1
    return f"{value}{_BINARY[power]}"


def _decimal(value: Fraction, exponent: bool = False) -> str:
    scaled = value * 10**9
    whole = scaled.numerator if scaled.denominator == 1 else _away_from_zero(scaled)
    if whole == 0:
        return "0"
    power = -9
    while whole % 1000 == 0 and power < 18:
        whole //= 1000
        power += 3
    if exponent:
        return f"{whole}e{power}" if power else str(whole)
    return f"{whole}{_DECIMAL[power]}"


def _away_from_zero(value: Fraction) -> int:
    return ceil(value) if value > 0 else -ceil(-value)


def add(one: str, other: str) -> str:
    """The sum of two quantities, in the form of the first that is not zero: ``add("0", "128Mi") == "128Mi"``."""
    left, right = parse(one), parse(other)
    return _formed(left + right, one if left else other)


def subtract(one: str, other: str) -> str:
    """The difference of two quantities, in the form of the first that is not zero."""
    left, right = parse(one), parse(other)
    return _formed(left - right, one if left else other)


def _formed(value: Fraction, like: str) -> str:
    suffix = _split(like)[1]
    if suffix in _BINARY[1:] and abs(value) >= 1024 and value.denominator == 1:
        return _binary(value.numerator)
    return _decimal(value, exponent=_EXPONENT.match(suffix) is not None)
