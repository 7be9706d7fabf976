"""``"%s of %d".format([a, b])``: values into text (cel-go's ``ext/formatting.go``, in the locale ``en_US``)."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

from simkube.apiserver.cel.errors import EvaluationError
from simkube.apiserver.cel.library.conversions import to_string
from simkube.apiserver.cel.times import Duration
from simkube.apiserver.cel.types import Kind
from simkube.apiserver.cel.values import type_name

_CLAUSE = re.compile(r"%(?:%|(\.\d*)?(.?))", re.DOTALL)
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_PRECISION = 6
_MOST_PRECISION = 100
_LONGEST = 1_000_000
_TEXTUAL = (
    "string clause can only be used on strings, bools, bytes, ints, doubles, maps, lists, types, durations, and "
    "timestamps, was given {}"
)


def quoted(text: str) -> str:
    """``strings.quote``: a literal that means the text."""
    return json.dumps(text, ensure_ascii=False)


def formatted(text: str, arguments: list[Any]) -> str:
    """The text with its clauses replaced by the arguments, in order."""
    made: list[str] = []
    at = taken = size = 0
    for match in _CLAUSE.finditer(text):
        piece = "%"
        if match[0] != "%%":
            if taken >= len(arguments):
                raise EvaluationError(f"index {taken} out of range")
            piece = _clause(match[1], match[2], arguments[taken])
            taken += 1
        made += [text[at : match.start()], piece]
        size += len(piece)
        if size > _LONGEST:
            raise EvaluationError("the result is too long")
        at = match.end()
    return "".join((*made, text[at:]))


def _clause(given: str | None, letter: str, value: Any) -> str:
    if not letter:
        raise EvaluationError("unexpected end of string")
    if letter not in _CLAUSES:
        raise EvaluationError(f'could not parse formatting clause: unrecognized formatting clause "{letter}"')
    precision = _PRECISION if given is None else int(given[1:] or 0)
    if precision > _MOST_PRECISION:
        raise EvaluationError(f"could not parse formatting clause: precision of more than {_MOST_PRECISION}")
    try:
        return _CLAUSES[letter](value, precision)
    except EvaluationError as error:
        raise EvaluationError(f"error during formatting: {error}") from None


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, (bool, Duration))


def _string(value: Any, _: int = 0) -> str:
    if isinstance(value, list):
        return f"[{', '.join(_inside(item) for item in value)}]"
    if isinstance(value, dict):
        pairs = sorted((_inside(key), _inside(item)) for key, item in value.items())
        return f"{{{', '.join(f'{key}:{item}' for key, item in pairs)}}}"
    if value is None:
        return "null"
    if isinstance(value, Kind):
        return value.name
    if isinstance(value, (int, float, str, bytes, datetime)):
        return to_string(value)
    raise EvaluationError(_TEXTUAL.format(type_name(value).name))


def _inside(value: Any) -> str:
    """A value within a list or map: as a literal."""
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, bytes):
        return f"b{quoted(value.decode(errors='replace'))}"
    if isinstance(value, Duration):
        return f'duration("{to_string(value)}")'
    if isinstance(value, datetime):
        return f'timestamp("{to_string(value)}")'
    if isinstance(value, float):
        return f"{value:.6f}" if math.isfinite(value) else quoted(_special(value))
    return _string(value)


def _special(value: float) -> str:
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _decimal(value: Any, _: int) -> str:
    if not _is_int(value):
        raise EvaluationError(f"decimal clause can only be used on integers, was given {type_name(value).name}")
    return str(int(value))


def _double(value: Any, what: str) -> float:
    if isinstance(value, float):
        return value
    if value in ("NaN", "Infinity", "-Infinity"):
        return float(value)
    raise EvaluationError(f"{what} clause can only be used on doubles, was given {type_name(value).name}")


def _fixed(value: Any, precision: int) -> str:
    number = _double(value, "fixed-point")
    return f"{number:,.{precision}f}" if math.isfinite(number) else _infinite(number)


def _infinite(number: float) -> str:
    return "NaN" if math.isnan(number) else "∞" if number > 0 else "-∞"


def _scientific(value: Any, precision: int) -> str:
    number = _double(value, "scientific")
    if not math.isfinite(number):
        return _infinite(number)
    mantissa, _, exponent = f"{number:.{precision}e}".partition("e")
    power = f"{'-' if exponent[0] == '-' else ''}{exponent[1:]}".translate(_SUPERSCRIPTS)
    return f"{mantissa}\u202f×\u202f10{power}"


def _binary(value: Any, _: int) -> str:
    if isinstance(value, bool):
        return "1" if value else "0"
    if not _is_int(value):
        raise EvaluationError(f"only integers and bools can be formatted as binary, was given {type_name(value).name}")
    return f"{value:b}"


def _octal(value: Any, _: int) -> str:
    if not _is_int(value):
        raise EvaluationError(f"octal clause can only be used on integers, was given {type_name(value).name}")
    return f"{value:o}"


def _hex(value: Any, _: int) -> str:
    if isinstance(value, str):
        value = value.encode()
    if isinstance(value, bytes):
        return value.hex()
    if not _is_int(value):
        detail = "only integers, byte buffers, and strings can be formatted as hex, was given "
        raise EvaluationError(f"{detail}{type_name(value).name}")
    return f"{value:x}"


_CLAUSES: dict[str, Callable[[Any, int], str]] = {
    "s": _string,
    "d": _decimal,
    "f": _fixed,
    "e": _scientific,
    "b": _binary,
    "o": _octal,
    "x": _hex,
    "X": lambda value, precision: _hex(value, precision).upper(),
}
