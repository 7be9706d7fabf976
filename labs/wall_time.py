"""Where the checks of a lab use the wall clock: a cluster's time may be another, and stands still on a fork.

It reads the source, and finds what an author writes by habit; it does not refute who hides it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from labs.syntax import parse

INSTEAD = "expected the cluster's time: the fixture clock (clock.now(), clock.sleep(seconds)), poll(...) or hold(...)"
MODULES = {"time", "sched", "timeit"}
"""Modules of which a check needs nothing."""
CALLS = {
    "datetime": {"now", "utcnow", "today"},
    "date": {"today"},
    "asyncio": {"sleep", "timeout", "wait_for"},
    "threading": {"Timer"},
    "signal": {"alarm", "setitimer"},
    "select": {"select"},
}
"""What reads the wall clock or waits for it, by the module or class that it is an attribute of."""


def found(source: str) -> list[tuple[int, str]]:
    """Line (from 1) and message for every use; [] for source that is no Python, which others complain of."""
    try:
        tree = parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return []
    names = _names(tree)
    uses = [use for node in ast.walk(tree) for use in _uses(node, names)]
    return sorted({(line, f"{what} is the wall clock's time; {INSTEAD}") for line, what in uses})


def _names(tree: ast.AST) -> dict[str, str]:
    """What a name stands for where it was imported under another."""
    imports = [one for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom) for one in node.names]
    return {one.asname: one.name.rpartition(".")[2] for one in imports if one.asname}


def _uses(node: ast.AST, names: dict[str, str]) -> Iterator[tuple[int, str]]:
    if isinstance(node, ast.Import):
        yield from ((node.lineno, f"import {one.name}") for one in node.names if one.name in MODULES)
    elif isinstance(node, ast.ImportFrom) and not node.level:
        module = node.module or ""
        for one in node.names:
            if module in MODULES or one.name in CALLS.get(module, ()):
                yield node.lineno, f"from {module} import {one.name}"
    elif isinstance(node, ast.Attribute):
        written = _last_name(node.value)
        owner = names.get(written, written)
        if node.attr in CALLS.get(owner, ()) or (owner in MODULES and isinstance(node.value, ast.Name)):
            yield node.lineno, f"{owner}.{node.attr}"


def _last_name(node: ast.expr) -> str:
    """``datetime`` of ``datetime.datetime``, the name itself of a plain one, "" of anything else."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""
