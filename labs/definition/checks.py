"""The checks of a lab as its ``checks.py`` declares them, read without running it.

``@check(points=3, title="...")`` takes literals, so that the site can list a lab's checks, and lint can add up its
points, without executing anything.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path

from labs.errors import Malformed
from labs.syntax import parse
from labs.yamlfile import read_text


@dataclass(frozen=True)
class CheckInfo:
    """One check. ``name`` is its function's without ``test_``, dashes for underscores; ``line`` in ``checks.py``.

    ``after``: the name of the check that it builds on, or "".
    """

    name: str
    title: str
    points: float
    line: int
    after: str = ""


def read_checks(path: Path) -> list[CheckInfo]:
    """Every check in order; :class:`Malformed` for a syntax error, a missing declaration or a repeated name."""
    try:
        tree = parse(read_text(path), str(path))
    except (SyntaxError, ValueError, RecursionError) as error:
        raise Malformed(path, getattr(error, "lineno", 1) or 1, f"expected Python: {error}") from error
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]
    checks = [_check(node, path) for node in functions]
    seen: set[str] = set()
    for check in checks:
        if check.name in seen:
            raise Malformed(path, check.line, f"the check {check.name} is there twice")
        if check.after and check.after not in seen:
            raise Malformed(path, check.line, f"the check {check.name} is after {check.after!r}, and none before it is")
        seen.add(check.name)
    if not checks:
        raise Malformed(path, 1, "expected at least one function test_... decorated with @check(points=..., title=...)")
    return checks


def _check(node: ast.FunctionDef, path: Path) -> CheckInfo:
    for decorator in node.decorator_list:
        if isinstance(decorator, ast.Call) and _called(decorator.func) == "check":
            given = _literals(decorator, path)
            points, title = given.get("points"), given.get("title")
            if not isinstance(points, int | float) or isinstance(points, bool) or points < 0:
                raise Malformed(path, decorator.lineno, "expected @check(points=a number, ...)")
            if not isinstance(title, str) or not title.strip():
                raise Malformed(path, decorator.lineno, 'expected @check(..., title="...")')
            if not isinstance(after := given.get("after", ""), str):
                raise Malformed(path, decorator.lineno, 'expected @check(..., after="the name of a check")')
            name = node.name.removeprefix("test_").replace("_", "-")
            return CheckInfo(name, title, float(points), node.lineno, after)
    raise Malformed(path, node.lineno, f"expected @check(points=..., title=...) on {node.name}")


def _called(function: ast.expr) -> str:
    return function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")


def _literals(call: ast.Call, path: Path) -> dict[str, object]:
    values: dict[str, object] = {}
    for keyword in call.keywords:
        if keyword.arg in ("points", "title", "after"):
            try:
                values[keyword.arg] = ast.literal_eval(keyword.value)
            except ValueError as error:
                raise Malformed(path, keyword.value.lineno, f"expected a literal {keyword.arg}") from error
    return values
