"""awk's values: numbers and texts, each of which can be taken for the other."""

from __future__ import annotations

import re
from typing import Any

from simkube.runtime.applets.awk_program import AwkError
from simkube.runtime.applets.printing import printf_text

MAX_VALUE = 256 * 1024
Value = str | float
_CONVERSION = re.compile(r"%[-+ #0]*\d*(?:\.\d+)?([a-zA-Z%])")
_NUMBER = re.compile(r"\s*[-+]?(?:\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+)", re.ASCII)


def put_in(replacement: str, hit: str) -> str:
    """A replacement in which ``&`` stands for what matched."""
    return "&".join(piece.replace("&", hit) for piece in replacement.split("\\&"))


def applied(name: str, values: list[Value]) -> Value:
    """A function of texts and numbers; AwkError."""
    first = values[0] if values else ""
    text = to_text(first)
    if name == "length":
        return float(len(text))
    if name in ("toupper", "tolower"):
        return text.upper() if name == "toupper" else text.lower()
    if name == "int":
        return float(int(to_number(first)))
    if name == "index" and len(values) == 2:
        return float(text.find(to_text(values[1])) + 1)
    if name == "substr" and len(values) in (2, 3):
        start = round(to_number(values[1]))
        end = start + round(to_number(values[2])) if len(values) == 3 else len(text) + 1
        return text[max(0, start - 1) : max(0, end - 1)]
    if name == "sprintf" and values:
        return formatted(values)
    raise AwkError(f"{name} with {len(values)} arguments is not simulated")


def formatted(values: list[Value]) -> str:
    """``printf FORMAT, VALUE...``; backslashes of the format have been read already."""
    template, rest = to_text(values[0]), list(values[1:])
    texts = []
    for match in _CONVERSION.finditer(template):
        if match[1] != "%" and rest:
            value = rest.pop(0)
            texts.append(str(int(to_number(value))) if match[1] in "dioxX" else to_text(value))
    return bounded(printf_text(template.replace("\\", "\\\\"), texts, once=True)[0])


def bounded(text: str) -> str:
    """The text; AwkError when it is too long."""
    if len(text) > MAX_VALUE:
        raise AwkError("a text that long is not simulated")
    return text


def to_number(value: Value) -> float:
    """A value as a number: what it begins with."""
    if isinstance(value, float):
        return value
    match = _NUMBER.match(value[:64])
    return float(match[0]) if match is not None else 0.0


def to_text(value: Value) -> str:
    """A value as a text."""
    if isinstance(value, str):
        return value
    return str(int(value)) if value.is_integer() and abs(value) < 1e16 else f"{value:.6g}"


def _looks_numeric(value: Value) -> bool:
    return isinstance(value, float) or (_NUMBER.fullmatch(value.rstrip()) is not None and len(value) < 64)


def is_true(value: Value) -> bool:
    """Whether a value counts as true."""
    if isinstance(value, float):
        return value != 0.0
    return value != "" and not (_looks_numeric(value) and to_number(value) == 0)


def compared(operator: str, left: Value, right: Value) -> float:
    """1.0 or 0.0: numbers where both look like such, else texts."""
    one: Any = to_number(left)
    two: Any = to_number(right)
    numbers = [_looks_numeric(value) or value == "" for value in (left, right)]
    if not all(numbers) or (left == "" and isinstance(right, str)) or (right == "" and isinstance(left, str)):
        one, two = to_text(left), to_text(right)
    results = {"<": one < two, "<=": one <= two, "==": one == two, "!=": one != two, ">": one > two, ">=": one >= two}
    return float(results[operator])


def calculated(operator: str, left: float, right: float) -> float:
    """The result of an operator; AwkError."""
    if operator in ("/", "%") and right == 0:
        raise AwkError("division by zero")
    try:
        if operator == "^":
            return float(left**right) if abs(right) < 1024 else 0.0
        if operator == "%":
            return float(left - right * int(left / right))
        return {"+": left + right, "-": left - right, "*": left * right}[operator] if operator != "/" else left / right
    except (OverflowError, TypeError):
        raise AwkError("a number that large is not simulated") from None
