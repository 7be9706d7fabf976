"""A digest of what a program can come to execute: another when that changes, the same when anything else does.

A definition is reached when something reached speaks its name: as a name, an attribute, an argument (pytest finds
fixtures by these) or a word in quotes. Imports are not followed: of two definitions with one name both are reached,
which is too much rather than too little. Of a class its methods are reached one by one, but for those that Python,
pytest or a base from elsewhere may call. Comments, docstrings, layout, order and the file in which something stands are
of no account. It does not see names that are put together while a program runs; such a program cannot be digested here.
"""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from typing import Any

_WORDS = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*")
_LAYOUT = {"ctx", "kind", "type_comment"}
_Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, eq=False)
class _Unit:
    """One definition. ``name``: by which it is spoken of, "" for what runs as soon as its ``owner`` is reached."""

    name: str
    text: str
    spoken: frozenset[str]
    owner: str | _Unit


class Program:
    """A program's modules, by name (only its last word counts)."""

    def __init__(self, modules: Mapping[str, ast.Module]) -> None:
        classes = {node.name for tree in modules.values() for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}
        self._units = [unit for name, tree in modules.items() for unit in _units(name.split(".")[-1], tree, classes)]

    def digest(self, roots: Iterable[str]) -> str:
        """16 hexadecimal digits that stand for all that is reached from these names."""
        texts = sorted({unit.text for unit in self._reached(set(roots))})
        return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16]

    def reached(self, roots: Iterable[str]) -> set[str]:
        """The names of all that is reached."""
        return {unit.name for unit in self._reached(set(roots)) if unit.name}

    def spoken(self, roots: Iterable[str]) -> frozenset[str]:
        """Every name in what is reached, also of what is somebody else's."""
        return frozenset[str]().union(*(unit.spoken for unit in self._reached(set(roots))))

    def _reached(self, spoken: set[str]) -> set[_Unit]:
        found: set[_Unit] = set()
        modules: set[str] = set()
        while True:
            more = [unit for unit in self._units if unit not in found and _is_reached(unit, spoken, found, modules)]
            if not more:
                return found
            for unit in more:
                found.add(unit)
                spoken |= unit.spoken
                if isinstance(unit.owner, str):
                    modules.add(unit.owner)


def _is_reached(unit: _Unit, spoken: Set[str], found: Set[_Unit], modules: Set[str]) -> bool:
    if isinstance(unit.owner, _Unit) and unit.owner not in found:
        return False
    if unit.name:
        return unit.name in spoken
    return isinstance(unit.owner, _Unit) or unit.owner in modules or unit.owner in spoken


def _spoken(node: ast.AST) -> frozenset[str]:
    return frozenset(name for each in ast.walk(node) for name in _names(each))


def _names(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name):
            yield name
        case ast.keyword(arg=str(name)):
            yield name
        case ast.alias(name=name, asname=other):
            yield from name.split(".")
            yield from [other] if other else []
        case ast.Constant(value=str(text)) if _WORDS.fullmatch(text):
            yield from text.split(".")


def _units(module: str, tree: ast.Module, classes: Set[str]) -> Iterator[_Unit]:
    for node in tree.body:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                yield _unit(node.name, node, module)
            case ast.ClassDef():
                yield from _class(node, module, classes)
            case ast.Assign() | ast.AnnAssign():
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                names = {each.id for target in targets for each in ast.walk(target) if isinstance(each, ast.Name)}
                for name in sorted(names):
                    yield _unit(name, node, module)
            case ast.Import() | ast.ImportFrom():
                for alias in node.names:
                    if alias.asname and alias.asname != alias.name:
                        yield _unit(alias.asname, alias, module)
            case _ if not _only_read(node):
                yield _unit("", node, module)


def _class(node: ast.ClassDef, module: str, classes: Set[str]) -> Iterator[_Unit]:
    methods = [each for each in node.body if isinstance(each, _Function)]
    bases = [base.id for base in node.bases if isinstance(base, ast.Name)]
    ours = len(bases) == len(node.bases) and all(base in classes for base in bases) and not node.keywords
    kept = ast.ClassDef(**{name: getattr(node, name) for name in node._fields})
    kept.body = [each for each in node.body if not isinstance(each, _Function)]
    whole = _unit(node.name, kept, module)
    yield whole
    for method in methods:
        called = not ours or method.name.startswith(("__", "pytest_"))
        yield _unit("" if called else method.name, method, whole)


def _unit(name: str, node: ast.AST, owner: str | _Unit) -> _Unit:
    return _Unit(name, text(node), _spoken(node), owner)


def text(node: object) -> str:
    """A piece of code without what does not run, the same on every Python that reads it alike."""
    if isinstance(node, ast.AST):
        fields = {name: value for name, value in ast.iter_fields(node) if name not in _LAYOUT}
        written = [f"{name}={text(value)}" for name, value in fields.items() if not _empty(value)]
        return f"{type(node).__name__}({', '.join(written)})"
    if isinstance(node, list):
        return f"[{', '.join(text(each) for each in node if not _only_read(each))}]"
    return repr(node)


def _empty(value: Any) -> bool:
    return value is None or value == []


def _only_read(node: object) -> bool:
    """Docstrings, of whatever; imports for types."""
    match node:
        case ast.Expr(value=ast.Constant(value=str())):
            return True
        case ast.If(test=ast.Name(id="TYPE_CHECKING")):
            return True
    return False
