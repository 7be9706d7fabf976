"""The names of a small program of Python: what it imports, which functions and exceptions there are, and what is not.

:func:`unsimulated` looks at a program without running it, so that one that is not carried out is refused where it is
written down (a probe's command) instead of failing where it runs.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Mapping

from simkube.runtime.programs import python_http
from simkube.runtime.programs.python_values import OF_TEXT, NotSimulated, Raised

MODULES = ("os", "sys", "time", "socket", *python_http.MODULES)
FUNCTIONS = frozenset({
    *("print", "sys.exit", "exit", "quit", "time.sleep", "os.environ.get", "os.getenv", "range", "time.time"),
    *("socket.gethostname", "int", "str", "float", "len", "bool", *python_http.FUNCTIONS),
})  # fmt: skip
_STATEMENTS = (
    *(ast.Import, ast.ImportFrom, ast.Pass, ast.Expr, ast.Assign, ast.AugAssign, ast.If, ast.While, ast.For),
    *(ast.Break, ast.Continue, ast.Assert, ast.Raise, ast.Try, ast.With),
)
_EXPRESSIONS = (
    *(ast.Constant, ast.Name, ast.JoinedStr, ast.FormattedValue, ast.BinOp, ast.Compare, ast.BoolOp, ast.UnaryOp),
    *(ast.List, ast.Tuple, ast.Subscript, ast.Call, ast.IfExp, ast.Attribute),
)

EXCEPTIONS: Mapping[str, str] = {
    "BaseException": "",
    "SystemExit": "BaseException",
    "Exception": "BaseException",
    "AssertionError": "Exception",
    "ValueError": "Exception",
    "TypeError": "Exception",
    "NameError": "Exception",
    "KeyError": "Exception",
    "IndexError": "Exception",
    "RuntimeError": "Exception",
    "ZeroDivisionError": "Exception",
    "ImportError": "Exception",
    "ModuleNotFoundError": "ImportError",
    "OSError": "Exception",
    "URLError": "OSError",
    "HTTPError": "URLError",
    "TimeoutError": "OSError",
    "timeout": "OSError",
    "ConnectionError": "OSError",
    "ConnectionRefusedError": "ConnectionError",
    "ConnectionResetError": "ConnectionError",
}
"""Exceptions, and what each is a kind of."""


def kinds_of(name: str) -> list[str]:
    """An exception and everything that it is a kind of."""
    kind, found = name.rpartition(".")[2], []
    while kind:
        found.append(kind)
        kind = EXCEPTIONS.get(kind, "" if kind in EXCEPTIONS else "Exception")
    return found


class Aliases:
    """What the names that a program imports stand for."""

    def __init__(self) -> None:
        self._full: dict[str, str] = {}

    def add(self, node: ast.Import | ast.ImportFrom) -> None:
        """An import; NotSimulated for a module that is not here, Raised for one that Python does not have."""
        for one in node.names:
            module = one.name if isinstance(node, ast.Import) else str(node.module)
            if module.partition(".")[0] not in sys.stdlib_module_names:
                raise Raised(f"ModuleNotFoundError: No module named '{module}'")
            if module not in MODULES and not any(known.startswith(f"{module}.") for known in MODULES):
                raise NotSimulated(ast.unparse(node))
            if isinstance(node, ast.ImportFrom):
                self._full[one.asname or one.name] = f"{module}.{one.name}"
            elif one.asname:
                self._full[one.asname] = module

    def full(self, node: ast.expr) -> str:
        """A name with the module that it comes from."""
        first, dot, rest = ast.unparse(node).partition(".")
        return self._full.get(first, first) + dot + rest


def unsimulated(text: str) -> str:
    """What a program holds that is not here, as far as that is seen without running it; "" when nothing is."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return ""  # which it says when it runs
    aliases = Aliases()
    for node in ast.walk(tree):
        try:
            if isinstance(node, ast.Import | ast.ImportFrom):
                aliases.add(node)
        except NotSimulated as what:
            return str(what)
        except Raised:
            continue
    for node in ast.walk(tree):
        if (isinstance(node, ast.stmt) and not isinstance(node, _STATEMENTS)) or (
            isinstance(node, ast.expr) and not isinstance(node, _EXPRESSIONS)
        ):
            return ast.unparse(node).splitlines()[0][:60]
        if isinstance(node, ast.Call) and not _callable(node.func, aliases):
            return f"{ast.unparse(node.func)[:60]}()"
    return ""


def _callable(function: ast.expr, aliases: Aliases) -> bool:
    name = aliases.full(function)
    of_value = isinstance(function, ast.Attribute) and function.attr in {*OF_TEXT, *python_http.METHODS}
    return name in FUNCTIONS or name.rpartition(".")[2] in EXCEPTIONS or of_value
