"""``jq``: paths, pipes, ``select``, ``map``, construction and the usual functions. Definitions, ``reduce``, dates,
regular expressions and assignments are refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from simkube.runtime.applets.jq_values import (
    CONSTANTS,
    MOST_WORK,
    SIMPLE,
    WITH_FILTER,
    Budget,
    Filter,
    JqError,
    applied,
    at,
    combined,
    every,
    is_true,
    member,
    objects,
    part,
    quiet,
    recursive,
    text_of,
    then,
)
from simkube.runtime.applets.options import parse
from simkube.runtime.applets.reading import content, open_operand
from simkube.runtime.process import Process

MAX_DEPTH = 60
_TOKEN = re.compile(
    r'\s*("(?:[^"\\]|\\.)*"|\.\.|\.[A-Za-z_]\w*|\d+(?:\.\d+)?|\$?[A-Za-z_]\w*|//|==|!=|<=|>=|[-.\[\]{}()|,:;+*/%<>?])',
    re.ASCII,
)


async def jq(process: Process) -> int:
    """``jq [-r] [-c] [-s] [-n] [-e] [-j] FILTER [FILE]...``"""
    if process.argv[1:] in (["--version"], ["-V"]):
        await process.out("jq-1.7\n")
        return 0
    options = await parse(process, "rcsnejMSa", "", long={"raw-output": "r", "compact-output": "c", "slurp": "s"})
    if not options.operands:
        await process.err("Usage:\tjq [OPTIONS] FILTER [FILES...]\n")
        return 2
    try:
        reading = Program(options.operands[0])
        program = reading.filter()
    except (JqError, ValueError) as error:
        await process.err(f"jq: error: {error}\njq: 1 compile error\n")
        return 3
    texts = []
    for path in options.operands[1:] or (["-"] if "n" not in options else []):
        stream = await open_operand(process, path, verb="")
        if stream is None:
            return 2
        texts.append((await content(process, stream)).decode("utf-8", "replace"))
    last: Any = None
    status = 0
    try:
        values = list(_documents("\n".join(texts)))
    except ValueError as error:
        await process.err(f"jq: parse error: {error}\n")
        return 2
    for value in [values] if "s" in options else [None] if "n" in options else values:
        try:
            reading.budget.left = MOST_WORK
            for last in program(value):
                await process.work(1)
                await process.out(_shown(last, options.flags) + ("" if "j" in options else "\n"))
        except (JqError, RecursionError, TypeError) as error:
            await process.err(f"jq: error (at <stdin>:0): {error}\n")
            status = 5
    return status or int("e" in options and last in (None, False))


def _documents(text: str) -> Iterator[Any]:
    decoder, start = json.JSONDecoder(), 0
    while True:
        while start < len(text) and text[start].isspace():
            start += 1
        if start >= len(text):
            return
        value, start = decoder.raw_decode(text, start)
        yield value


def _shown(value: Any, flags: set[str]) -> str:
    if isinstance(value, str) and flags & {"r", "j"}:
        return value
    layout: dict[str, Any] = {"separators": (",", ":")} if "c" in flags else {"indent": 2}
    return json.dumps(value, ensure_ascii=False, sort_keys="S" in flags, **layout)


class Program:
    """Reads a filter: pipes bind weakest, then commas, ``//``, ``or``, ``and``, comparisons, sums, products."""

    _LEVELS = (("//",), ("or",), ("and",), ("==", "!=", "<", "<=", ">", ">="), ("+", "-"), ("*", "/", "%"))

    def __init__(self, text: str, budget: Budget | None = None) -> None:
        self.budget = budget or Budget()
        self._tokens: list[str] = []
        start, text = 0, text.strip()
        while start < len(text):
            match = _TOKEN.match(text, start)
            if match is None:
                raise JqError(f"syntax error, unexpected {text[start]!r} (or not simulated)", 3)
            self._tokens.append(match[1])
            start = match.end()
        self._at = self._depth = 0

    def filter(self) -> Filter:
        """The whole program."""
        if not self._tokens:
            return lambda value: iter([value])
        found = self._pipe()
        if self._at < len(self._tokens):
            raise JqError(f"syntax error, unexpected {self._peek()!r} (or not simulated)", 3)
        return found

    def _peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _next(self) -> str:
        self._at += 1
        return self._tokens[self._at - 1] if self._at <= len(self._tokens) else ""

    def _take(self, word: str) -> bool:
        if self._peek() != word:
            return False
        self._at += 1
        return True

    def _expect(self, word: str) -> None:
        if not self._take(word):
            raise JqError(f"syntax error, unexpected {self._peek() or 'end of file'!r}, expecting {word!r}", 3)

    def _pipe(self) -> Filter:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise JqError("nested too deeply for this simulation", 3)
        found = self._comma()
        if self._take("|"):
            first, second = found, self._pipe()
            found = lambda value: (out for middle in first(value) for out in second(middle))  # noqa: E731
        self._depth -= 1
        return found

    def _comma(self) -> Filter:
        filters = [self._binary(0)]
        while self._take(","):
            filters.append(self._binary(0))
        if len(filters) == 1:
            return filters[0]
        return lambda value: (out for each in filters for out in each(value))

    def _binary(self, level: int) -> Filter:
        if level == len(self._LEVELS):
            return self._postfix()
        found = self._binary(level + 1)
        while self._peek() in self._LEVELS[level]:
            found = self.budget.made(combined(self._next(), found, self._binary(level + 1)))
        return found

    def _postfix(self) -> Filter:
        found = self._term()
        while True:
            word = self._peek()
            if word.startswith(".") and len(word) > 1 and word != "..":
                found = then(found, member(self._next()[1:]))
            elif word == "." and self._tokens[self._at + 1 : self._at + 2] == ["["]:
                self._at += 1
            elif word == "[":
                self._at += 1
                found = self._indexed(found)
            elif word == "?":
                self._at += 1
                found = quiet(found)
            else:
                return found

    def _indexed(self, base: Filter) -> Filter:
        if self._take("]"):
            return then(base, every)
        if self._take(":"):
            end = self._pipe()
            self._expect("]")
            return lambda value: (part(one, None, last) for one in base(value) for last in end(value))
        index = self._pipe()
        if self._take(":"):
            until = self._pipe() if self._peek() != "]" else None
            self._expect("]")
            return lambda value: (
                part(one, first, last)
                for one in base(value)
                for first in index(value)
                for last in (until(value) if until is not None else [None])
            )
        self._expect("]")
        return lambda value: (at(one, key) for one in base(value) for key in index(value))

    def _term(self) -> Filter:
        """The smallest part of a filter; what it gives counts, by its size where it is made here."""
        if self._peek()[:1] in ".-(" or self._peek() in CONSTANTS:
            return self._counted(self._plain())
        return self.budget.made(self._plain())

    def _counted(self, inner: Filter) -> Filter:
        def call(value: Any) -> Iterator[Any]:
            for out in inner(value):
                self.budget.spend()
                yield out

        return call

    def _plain(self) -> Filter:
        word = self._next()
        if word == ".":
            if self._peek().startswith('"'):
                return member(json.loads(self._next()))
            return lambda value: iter([value])
        if word == "..":
            return recursive
        if word.startswith(".") and len(word) > 1:
            return member(word[1:])
        if word.startswith('"'):
            return self._string(word)
        if word[:1].isdigit():
            number = float(word) if "." in word else int(word)
            return lambda value: iter([number])
        if word == "-":
            inner = self._postfix()
            return lambda value: (-out for out in inner(value))
        if word == "(":
            inner = self._pipe()
            self._expect(")")
            return inner
        if word == "[":
            if self._take("]"):
                return lambda value: iter([[]])
            inner = self._pipe()
            self._expect("]")
            return lambda value: iter([list(inner(value))])
        if word == "{":
            return self._object()
        return self._named(word)

    def _string(self, word: str) -> Filter:
        """A text, with ``\\(...)`` in it."""
        pieces = re.split(r"\\\(((?:[^()]|\([^()]*\))*)\)", word[1:-1])
        parts: list[Filter | str] = []
        for place, piece in enumerate(pieces):
            parts.append(
                Program(piece.replace('\\"', '"'), self.budget).filter() if place % 2 else json.loads(f'"{piece}"')
            )
        return lambda value: iter(
            ["".join(part if isinstance(part, str) else "".join(text_of(out) for out in part(value)) for part in parts)]
        )

    def _object(self) -> Filter:
        pairs: list[tuple[Filter, Filter]] = []
        while not self._take("}"):
            word = self._next()
            if word == "(":
                key = self._pipe()
                self._expect(")")
            else:
                name = json.loads(word) if word.startswith('"') else word
                key = lambda value, name=name: iter([name])  # type: ignore[misc] # noqa: E731
            pairs.append((key, self._binary(0) if self._take(":") else member(word.strip('"'))))
            if not self._take(","):
                self._expect("}")
                break
        return lambda value: objects(value, pairs)

    def _named(self, name: str) -> Filter:
        if name in CONSTANTS:
            return lambda value: iter([CONSTANTS[name]])
        if name == "if":
            return self._if()
        arguments: list[Filter] = []
        if self._take("("):
            arguments.append(self._pipe())
            while self._take(";"):
                arguments.append(self._pipe())
            self._expect(")")
        if name in SIMPLE and not arguments:
            simple = SIMPLE[name]
            return lambda value: iter([applied(name, simple, value)])
        if name == "empty" and not arguments:
            return lambda value: iter(())
        if name in WITH_FILTER and len(arguments) == 1:
            call, argument = WITH_FILTER[name], arguments[0]
            return lambda value: call(value, argument)
        raise JqError(f"{name}/{len(arguments)} is not defined (or not simulated)", 3)

    def _if(self) -> Filter:
        condition = self._pipe()
        self._expect("then")
        yes = self._pipe()
        no: Filter = lambda value: iter([value])  # noqa: E731
        if self._take("elif"):
            no = self._if()
            return lambda value: (out for test in condition(value) for out in (yes if is_true(test) else no)(value))
        if self._take("else"):
            no = self._pipe()
        self._expect("end")
        return lambda value: (out for test in condition(value) for out in (yes if is_true(test) else no)(value))
