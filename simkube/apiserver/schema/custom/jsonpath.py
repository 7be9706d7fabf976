"""The JSONPath of printer columns: fields, elements, wildcards and simple filters, as kubectl's own has them.

After ``client-go/util/jsonpath``. It refuses (:class:`PathError`) recursion, unions, slices and scripts: in columns
they are rare, and a path must never cost more than the object is large.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

Step = Callable[[Any], Iterable[Any]]
_TOKEN = re.compile(
    r"""\.(?P<name>(?:\\.|[^.\[\]\\'"(){}\s,:@?=<>!*])+)
      | \[\s*'(?P<quoted>(?:\\.|[^'\\])*)'\s*\]
      | \[\s*(?P<index>-?\d{1,9})\s*\]
      | (?P<all>\[\s*\*\s*\]|\.\*)
      | \[\?\(\s*@(?P<left>[^=!<>~&|()]*?)\s*
          (?:(?P<op>==|!=|<=|>=|<|>)\s*(?P<right>'[^']*'|"[^"]*"|-?[\d.]+|true|false))?\s*\)\]
    """,
    re.VERBOSE | re.ASCII,
)
_MOST = 1000


class PathError(Exception):
    """A path that is wrong, or more than a column's."""


@lru_cache(maxsize=512)
def compiled(path: str) -> tuple[Step, ...]:
    """The steps of a path: ``.spec.containers[0].image``, ``.status.conditions[?(@.type=="Ready")].status``."""
    if len(path) > _MOST:
        raise PathError("the path is too long")
    steps: list[Step] = []
    at = 0
    while at < len(path):
        match = _TOKEN.match(path, at)
        if match is None:
            raise PathError(f"unrecognized character at {path[at : at + 20]!r}")
        steps.append(_step(match))
        at = match.end()
    return tuple(steps)


def find(path: str, value: Any) -> list[Any]:
    """Everything the path leads to; [] when it leads nowhere."""
    found = [value]
    for step in compiled(path):
        found = [below for one in found for below in step(one)]
    return found


def _step(match: re.Match[str]) -> Step:
    name = match["name"] if match["name"] is not None else match["quoted"]
    if name is not None:
        return _field(re.sub(r"\\(.)", r"\1", name))
    if match["index"] is not None:
        return _element(int(match["index"]))
    if match["all"] is not None:
        return _children
    left = compiled(match["left"].strip()) if match["left"].strip() else ()
    if match["op"] is None:
        return lambda value: [one for one in _children(value) if _follow(left, one)]
    wanted, operator = _literal(match["right"]), match["op"]
    return lambda value: [
        one for one in _children(value) if any(_compare(got, operator, wanted) for got in _follow(left, one))
    ]


def _follow(steps: Iterable[Step], value: Any) -> list[Any]:
    found = [value]
    for step in steps:
        found = [below for one in found for below in step(one)]
    return found


def _field(name: str) -> Step:
    return lambda value: [value[name]] if isinstance(value, dict) and name in value else []


def _element(index: int) -> Step:
    def step(value: Any) -> Iterable[Any]:
        return [value[index]] if isinstance(value, list) and -len(value) <= index < len(value) else []

    return step


def _children(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _literal(text: str) -> Any:
    if text[0] in "'\"":
        return text[1:-1]
    if text in ("true", "false"):
        return text == "true"
    try:
        return float(text)
    except ValueError:
        raise PathError(f"invalid number {text}") from None


def _compare(got: Any, operator: str, wanted: Any) -> bool:
    number = isinstance(got, (int, float)) and not isinstance(got, bool)
    if operator in ("==", "!="):
        same = got == wanted and (number == isinstance(wanted, float))
        return same == (operator == "==")
    if number != isinstance(wanted, float) or not isinstance(got, (int, float, str)):
        return False
    order = (got > wanted) - (got < wanted)
    return bool({"<": order < 0, "<=": order <= 0, ">": order > 0, ">=": order >= 0}[operator])
