"""Python read as a tree, by one thread at a time.

CPython 3.11 counts how deep it is in one place for all threads, and raises ``SystemError`` when it loses count because
two of them did this at once (https://github.com/python/cpython/issues/106905).
"""

from __future__ import annotations

import ast
import threading
from typing import Literal, overload

_ONE = threading.Lock()


@overload
def parse(source: str | bytes, filename: str = ...) -> ast.Module: ...


@overload
def parse(source: str | bytes, filename: str = ..., *, mode: Literal["eval"]) -> ast.Expression: ...


def parse(source: str | bytes, filename: str = "<unknown>", *, mode: str = "exec") -> ast.AST:
    """As :func:`ast.parse`; ``SyntaxError`` and ``ValueError`` as it raises them."""
    with _ONE:
        return ast.parse(source, filename, mode)
