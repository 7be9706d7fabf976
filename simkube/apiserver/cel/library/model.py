"""What a library is: functions by name, for which types there are, and what does the work.

A function of one name may belong to several libraries (``isGreaterThan`` of quantities and of versions); what is
called is chosen by the class of the first argument.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from simkube.apiserver.cel.types import Kind

A, B = Kind("A"), Kind("B")
"""Type variables: in one overload the same stands for the same."""
Overload = tuple[bool, tuple[Kind, ...], Kind]
"""(whether it is called on its first argument, types of the arguments, type of the result)"""
Function = Callable[..., Any]


@dataclass(frozen=True)
class Library:
    """``overloads`` by function; ``functions`` by name and class of the first argument (None: of any)."""

    overloads: Mapping[str, Sequence[Overload]]
    functions: Mapping[tuple[str, type | None], Function]


def of_any(functions: Mapping[str, Function]) -> dict[tuple[str, type | None], Function]:
    """Functions that no other library has."""
    return {(name, None): function for name, function in functions.items()}


def of_class(kind: type, functions: Mapping[str, Function]) -> dict[tuple[str, type | None], Function]:
    """Functions whose first argument is of a class."""
    return {(name, kind): function for name, function in functions.items()}


def method(*arguments: Kind, gives: Kind) -> Overload:
    """Called on its first argument: ``text.trim()``."""
    return True, arguments, gives


def function(*arguments: Kind, gives: Kind) -> Overload:
    """Called by its name: ``quantity(text)``."""
    return False, arguments, gives
