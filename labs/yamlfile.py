"""YAML that other people wrote, read without trusting it.

Only the safe loader's types; a limit on size, on nesting and on what aliases expand to (alias bombs), duplicate keys
refused. Every value keeps its line, so that a complaint about it can name one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from labs.errors import Malformed

SIZE_LIMIT = 1024 * 1024
DEPTH_LIMIT = 64
NODE_LIMIT = 200_000

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
Location = tuple[str | int, ...]


@dataclass(frozen=True)
class Document:
    """One YAML document: its ``value`` and the line (from 1) of every location in it."""

    value: Any
    lines: dict[Location, int]

    def line(self, location: Location) -> int:
        """The line of a location, or of the nearest thing around it."""
        for length in range(len(location), -1, -1):
            found = self.lines.get(location[:length])
            if found is not None:
                return found
        return 1


def read(path: Path) -> Document:
    """The one document of a file; :class:`Malformed` when there is none, more than one, or it is not safe YAML."""
    documents = parse(read_text(path), path)
    if len(documents) != 1:
        raise Malformed(path, 1, f"expected one YAML document, found {len(documents)}")
    return documents[0]


def read_text(path: Path) -> str:
    """A text file within the size limit."""
    try:
        if path.stat().st_size > SIZE_LIMIT:
            raise Malformed(path, 1, f"expected at most {SIZE_LIMIT // 1024} KiB")
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise Malformed(path, 1, "expected text in UTF-8") from error
    except OSError as error:
        raise Malformed(path, 1, f"cannot be read: {error.strerror}") from error


def parse(text: str, name: Path | str) -> list[Document]:
    """The documents of a text that are not empty; ``name`` is what errors call it."""
    if len(text.encode()) > SIZE_LIMIT:
        raise Malformed(name, 1, f"expected at most {SIZE_LIMIT // 1024} KiB")
    try:
        _check_depth(text, name)
        nodes = list(yaml.compose_all(text, Loader=_Loader))
        return [_document(node, name) for node in nodes if node is not None and node.tag != "tag:yaml.org,2002:null"]
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, problem = mark.line + 1 if mark else 1, str(error.problem or error.context)
        if "nesting" in problem:  # libyaml reads ahead, and since 0.2.6 has a limit of its own, far beyond ours
            raise _too_deep(name, line) from error
        raise Malformed(name, line, f"not YAML: {problem}") from error
    except yaml.YAMLError as error:
        raise Malformed(name, 1, f"not YAML: {str(error).splitlines()[0]}") from error


def _check_depth(text: str, name: Path | str) -> None:
    """Refuse deep nesting before anything recursive looks at it."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > DEPTH_LIMIT:
                raise _too_deep(name, event.start_mark.line + 1 if event.start_mark else 1)
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _too_deep(name: Path | str, line: int) -> Malformed:
    return Malformed(name, line, f"expected at most {DEPTH_LIMIT} levels of nesting")


def _document(node: yaml.Node, name: Path | str) -> Document:
    sizes: dict[int, int] = {}
    if _expanded(node, sizes, set(), name) > NODE_LIMIT:
        raise Malformed(name, node.start_mark.line + 1, f"expected at most {NODE_LIMIT} values, aliases expanded")
    loader = _Loader("")
    try:
        value = loader.construct_document(node)
    except ValueError as error:  # such as a date that no calendar has
        raise Malformed(name, node.start_mark.line + 1, f"not YAML: {error}") from error
    finally:
        loader.dispose()
    lines: dict[Location, int] = {}
    for place, line in _lines(node):
        lines.setdefault(place, line)  # a key's line comes before its value's
    return Document(value, lines)


def _expanded(node: yaml.Node, sizes: dict[int, int], inside: set[int], name: Path | str) -> int:
    """How many values this is once aliases are followed; refuses what contains itself and duplicate keys."""
    if id(node) in sizes:
        return sizes[id(node)]
    if id(node) in inside:
        raise Malformed(name, node.start_mark.line + 1, "expected no alias to what contains it")
    inside.add(id(node))
    size = 1
    if isinstance(node, yaml.SequenceNode):
        size += sum(_expanded(item, sizes, inside, name) for item in node.value)
    elif isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, item in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise Malformed(name, key.start_mark.line + 1, "expected a plain key")
            if key.value in seen:
                raise Malformed(name, key.start_mark.line + 1, f"the key {key.value!r} is given twice")
            seen.add(key.value)
            size += 1 + _expanded(item, sizes, inside, name)
    inside.discard(id(node))
    sizes[id(node)] = size
    return size


def _lines(node: yaml.Node, budget: int = 20_000) -> Iterator[tuple[Location, int]]:
    """Every location with its line, down to a number of entries that no file written by hand reaches."""
    waiting: list[tuple[yaml.Node, Location]] = [(node, ())]
    while waiting and budget:
        current, place = waiting.pop()
        budget -= 1
        yield place, current.start_mark.line + 1
        if isinstance(current, yaml.SequenceNode):
            waiting.extend((item, (*place, index)) for index, item in enumerate(current.value))
        elif isinstance(current, yaml.MappingNode):
            for key, item in current.value:
                yield (*place, key.value), key.start_mark.line + 1
                if not isinstance(item, yaml.ScalarNode):
                    waiting.append((item, (*place, key.value)))
