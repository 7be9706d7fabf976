"""nginx's configuration language: words, quotes, ``;`` and blocks, without knowing what any directive means.

Source: ``src/core/ngx_conf_file.c``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

MOST_BYTES = 256 * 1024
MOST_DEPTH = 20

_TOKEN = re.compile(
    r"""(?P<skip>\s+|\#[^\n]*)
      | (?P<sign>[;{}])
      | "(?P<double>(?:[^"\\]|\\.)*)"
      | '(?P<single>(?:[^'\\]|\\.)*)'
      | (?P<word>(?:[^\s;{\\"'\#$]|\\.|\$\{\w*\}|\$)(?:[^\s;{\\$]|\\.|\$\{\w*\}|\$)*)
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPES = {"t": "\t", "r": "\r", "n": "\n"}


class Problem(Exception):
    """What nginx says at level ``emerg`` before it gives up."""


@dataclass(frozen=True, slots=True)
class Directive:
    """One directive: its words, where it is, and what its block holds (None without one)."""

    name: str
    arguments: tuple[str, ...]
    file: str
    line: int
    block: tuple[Directive, ...] | None = None

    def problem(self, text: str) -> Problem:
        """``text`` with the directive's place, as nginx writes it."""
        return Problem(f"{text} in {self.file}:{self.line}")

    def refusal(self, what: str = "") -> Problem:
        """What is said of a directive, or of a form of it, that is not simulated."""
        return self.problem(f'directive "{what or self.name}" is not simulated here')

    def wrong_number(self) -> Problem:
        """Too many or too few arguments."""
        return self.problem(f'invalid number of arguments in "{self.name}" directive')

    def words(self, number: int) -> tuple[str, ...]:
        """The arguments, which must be so many."""
        if len(self.arguments) != number:
            raise self.wrong_number()
        return self.arguments


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    line: int
    sign: bool = False


def parse(text: str, file: str) -> tuple[Directive, ...]:
    """The directives of a file; :class:`Problem`."""
    if len(text) > MOST_BYTES:
        raise Problem(f"more than {MOST_BYTES} characters of configuration are not simulated here in {file}:1")
    return _directives(_tokens(text, file), file, 0)


def _tokens(text: str, file: str) -> Iterator[_Token]:
    at, line = 0, 1
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise Problem(f'unexpected end of file, expecting ";" or "}}" in {file}:{text.count(chr(10)) + 1}')
        kind = found.lastgroup or ""
        if kind == "sign":
            yield _Token(found[0], line, sign=True)
        elif kind != "skip":
            yield _Token(re.sub(r"\\(.)", _unescaped, found[kind], flags=re.DOTALL), line)
        line += found[0].count("\n")
        at = found.end()
    yield _Token("", line, sign=True)


def _unescaped(found: re.Match[str]) -> str:
    letter = found[1]
    if letter in _ESCAPES:
        return _ESCAPES[letter]
    return letter if letter in "\"'\\ ;{}" else found[0]


def _directives(tokens: Iterator[_Token], file: str, depth: int) -> tuple[Directive, ...]:
    found: list[Directive] = []
    words: list[_Token] = []
    for token in tokens:
        if not token.sign:
            words.append(token)
            continue
        if token.text == "":
            if words or depth:
                raise Problem(f"unexpected end of file, expecting {_expected(words, depth)} in {file}:{token.line}")
            return tuple(found)
        if token.text == "}":
            if words or not depth:
                raise Problem(f'unexpected "}}" in {file}:{token.line}')
            return tuple(found)
        if not words:
            raise Problem(f'unexpected "{token.text}" in {file}:{token.line}')
        if depth >= MOST_DEPTH:
            raise Problem(f"blocks nested deeper than {MOST_DEPTH} are not simulated here in {file}:{token.line}")
        name, arguments = words[0], tuple(word.text for word in words[1:])
        block = _directives(tokens, file, depth + 1) if token.text == "{" else None
        found.append(Directive(name.text, arguments, file, token.line if block is None else name.line, block))
        words = []
    return tuple(found)


def _expected(words: list[_Token], depth: int) -> str:
    if words:
        return '";" or "}"' if depth else '";"'
    return '"}"'
