"""Reads an awk program: rules of patterns and actions, statements and expressions, as nested tuples.

Functions of one's own, ``getline``, pipes and redirections are refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from simkube.runtime.applets.printing import unescape

MAX_DEPTH, MAX_LENGTH = 40, 4096
Node = tuple[Any, ...]
"""``(kind, ...)`` of an expression or statement."""
_TOKEN = re.compile(
    r"""[ \t\r]*(?:\\\n[ \t\r]*)?(?:(?P<number>\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+)|(?P<text>"(?:[^"\\\n]|\\.)*")|
    (?P<name>[A-Za-z_]\w*)|(?P<op>\+\+|--|&&|\|\||[-+*/%^=!<>]=|!~|[-+*/%^!<>=~?:,;(){}\[\]$|\n]))""",
    re.ASCII | re.VERBOSE,
)
_WORDS = frozenset(
    [
        "BEGIN",
        "END",
        "if",
        "else",
        "while",
        "do",
        "for",
        "in",
        "print",
        "printf",
        "next",
        "exit",
        "delete",
        "break",
        "continue",
        "function",
        "func",
        "getline",
        "return",
    ]
)
FUNCTIONS = frozenset(
    ["length", "substr", "index", "split", "sub", "gsub", "match", "toupper", "tolower", "int", "sprintf"]
)


class AwkError(Exception):
    """A program that is wrong, or not simulated."""


@dataclass(slots=True)
class Program:
    """``begin`` and ``end`` are statements; ``rules`` are pairs of pattern (one, two or none) and statement."""

    begin: list[Node] = field(default_factory=list)
    rules: list[tuple[list[Node], Node]] = field(default_factory=list)
    end: list[Node] = field(default_factory=list)


def read(text: str) -> Program:
    """A program; :class:`AwkError`."""
    if len(text) > MAX_LENGTH:
        raise AwkError("a program that long is not simulated")
    return _Reader(text).program()


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = re.sub(r"#[^\n\"]*$", "", text, flags=re.MULTILINE)
        self._at = 0
        self._depth = 0
        self._kind = self._word = ""
        self._no_in = False
        self._advance()

    # -- tokens ----------------------------------------------------------------------------------------------------

    def _advance(self) -> None:
        match = _TOKEN.match(self._text, self._at)
        if match is None:
            if self._text[self._at :].strip():
                raise AwkError(f"syntax error at {self._text[self._at :].strip()[:20]!r}")
            self._kind, self._word = "end", ""
            return
        self._at = match.end()
        self._kind = str(match.lastgroup)
        self._word = match[self._kind]
        if self._kind == "name" and self._word in _WORDS:
            self._kind = "op"

    def _is(self, *words: str) -> bool:
        return self._kind == "op" and self._word in words

    def _take(self, *words: str) -> bool:
        if not self._is(*words):
            return False
        self._advance()
        return True

    def _expect(self, word: str) -> None:
        if not self._take(word):
            raise AwkError(f"syntax error at {self._word or 'end of program'!r}, {word!r} is missing")

    def _newlines(self) -> None:
        while self._take("\n", ";"):
            pass

    # -- rules and statements --------------------------------------------------------------------------------------

    def program(self) -> Program:
        found = Program()
        self._newlines()
        while self._kind != "end":
            if self._take("BEGIN"):
                found.begin.append(self._block())
            elif self._take("END"):
                found.end.append(self._block())
            else:
                patterns = [] if self._is("{") else [self._expression()]
                if patterns and self._take(","):
                    patterns.append(self._expression())
                found.rules.append((patterns, self._block() if self._is("{") else ("print", [])))
            self._newlines()
        return found

    def _block(self) -> Node:
        self._expect("{")
        self._deeper()
        found = []
        self._newlines()
        while not self._take("}"):
            if self._kind == "end":
                raise AwkError("syntax error: '}' is missing")
            found.append(self._statement())
            self._newlines()
        self._depth -= 1
        return ("block", found)

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise AwkError("a program nested that deeply is not simulated")

    def _statement(self) -> Node:
        if self._is("{"):
            return self._block()
        if self._kind == "op" and self._word in ("function", "func", "getline", "return", "do"):
            raise AwkError(f"{self._word} is not simulated")
        if self._take("if"):
            return self._if()
        if self._take("while"):
            self._expect("(")
            condition = self._expression()
            self._expect(")")
            return ("while", condition, self._body())
        if self._take("for"):
            return self._for()
        if self._is("next", "break", "continue"):
            word = self._word
            self._advance()
            return (word,)
        if self._take("exit"):
            return ("exit", None if self._ends() else self._expression())
        if self._take("delete"):
            name = self._word
            self._advance()
            if not self._take("["):
                return ("delete", name, None)
            key = self._list("]")
            return ("delete", name, key)
        return self._simple()

    def _ends(self) -> bool:
        return self._kind == "end" or self._is(";", "\n", "}")

    def _simple(self) -> Node:
        if not self._is("print", "printf"):
            return ("do", self._expression())
        word = self._word
        self._advance()
        values: list[Node] = []
        if not self._ends():
            values.append(self._expression(output=True))
            while self._take(","):
                values.append(self._expression(output=True))
        if len(values) == 1 and values[0][0] == "group" and len(values[0][1]) > 1:
            values = values[0][1]
        if self._is(">", "|"):
            raise AwkError(f"{word} with {self._word} is not simulated")
        return (word, values)

    def _body(self) -> Node:
        self._deeper()
        while self._take("\n"):
            pass
        found = ("block", []) if self._take(";") else self._statement()
        self._depth -= 1
        return found

    def _if(self) -> Node:
        self._expect("(")
        condition = self._expression()
        self._expect(")")
        yes = self._body()
        at, kind, word = self._at, self._kind, self._word
        self._newlines()
        if self._take("else"):
            return ("if", condition, yes, self._body())
        self._at, self._kind, self._word = at, kind, word
        return ("if", condition, yes, ("block", []))

    def _for(self) -> Node:
        self._expect("(")
        start = None if self._is(";") else self._simple()
        if start is not None and start[0] == "do" and start[1][0] == "in" and self._take(")"):
            return ("each", start[1][1][0][1], start[1][2], self._body())
        self._expect(";")
        test = None if self._is(";") else self._expression()
        self._expect(";")
        step = None if self._is(")") else self._simple()
        self._expect(")")
        return ("for", start, test, step, self._body())

    # -- expressions -----------------------------------------------------------------------------------------------

    def _list(self, closing: str) -> list[Node]:
        found: list[Node] = []
        while not self._take(closing):
            found.append(self._expression())
            if not self._take(","):
                self._expect(closing)
                break
        return found

    def _expression(self, *, output: bool = False) -> Node:
        self._deeper()
        left = self._ternary(output)
        if self._kind == "op" and self._word in ("=", "+=", "-=", "*=", "/=", "%=", "^="):
            if left[0] not in ("name", "element", "field"):
                raise AwkError("syntax error: only variables can be assigned to")
            operator = self._word[:-1]
            self._advance()
            left = ("assign", left, operator, self._expression(output=output))
        self._depth -= 1
        return left

    def _ternary(self, output: bool) -> Node:
        condition = self._or(output)
        if not self._take("?"):
            return condition
        yes = self._expression(output=output)
        self._expect(":")
        return ("?", condition, yes, self._expression(output=output))

    def _or(self, output: bool) -> Node:
        left = self._and(output)
        while self._take("||"):
            self._newlines()
            left = ("||", left, self._and(output))
        return left

    def _and(self, output: bool) -> Node:
        left = self._membership(output)
        while self._take("&&"):
            self._newlines()
            left = ("&&", left, self._membership(output))
        return left

    def _membership(self, output: bool) -> Node:
        left = self._match(output)
        while self._take("in"):
            keys = left[1] if left[0] == "group" else [left]
            left = ("in", keys, self._word)
            self._advance()
        return left

    def _match(self, output: bool) -> Node:
        left = self._comparison(output)
        while self._is("~", "!~"):
            word = self._word
            self._advance()
            left = (word, left, self._comparison(output))
        return left

    def _comparison(self, output: bool) -> Node:
        left = self._joined()
        if self._is("<", "<=", "==", "!=", ">=") or (self._is(">") and not output):
            word = self._word
            self._advance()
            return (word, left, self._joined())
        return left

    def _joined(self) -> Node:
        """Texts side by side."""
        left = self._sum()
        while self._kind in ("number", "text", "name") or (self._is("$", "(")):
            left = ("join", left, self._sum())
        return left

    def _sum(self) -> Node:
        left = self._product()
        while self._is("+", "-"):
            word = self._word
            self._advance()
            left = (word, left, self._product())
        return left

    def _product(self) -> Node:
        left = self._unary()
        while self._is("*", "/", "%"):
            word = self._word
            self._advance()
            left = (word, left, self._unary())
        return left

    def _unary(self) -> Node:
        for word, kind in (("!", "not"), ("-", "minus"), ("+", "plus")):
            if self._take(word):
                self._deeper()
                found = (kind, self._unary())
                self._depth -= 1
                return found
        left = self._postfix()
        return ("^", left, self._unary()) if self._take("^") else left

    def _postfix(self) -> Node:
        if self._is("++", "--"):
            step = 1 if self._word == "++" else -1
            self._advance()
            return ("before", self._primary(), step)
        left = self._primary()
        if left[0] in ("name", "element", "field") and self._is("++", "--"):
            step = 1 if self._word == "++" else -1
            self._advance()
            return ("after", left, step)
        return left

    def _primary(self) -> Node:
        kind, word = self._kind, self._word
        if kind == "op" and word in ("/", "/="):
            return self._regex()
        self._advance()
        if kind == "number":
            return ("number", float(word))
        if kind == "text":
            return ("text", unescape(word[1:-1].replace('\\"', '"').replace("\\/", "/"), octal_needs_zero=False)[0])
        if kind == "name":
            return self._named(word)
        if kind == "op" and word == "$":
            self._deeper()
            found = ("field", self._primary() if not self._is("++", "--", "-") else self._unary())
            self._depth -= 1
            return found
        if kind == "op" and word == "(":
            inner = self._list(")")
            return ("group", inner) if len(inner) > 1 else ("paren", inner[0]) if inner else ("text", "")
        raise AwkError(f"syntax error at {word or 'end of program'!r}")

    def _regex(self) -> Node:
        start = self._text.rindex("/", 0, self._at) if self._word == "/" else self._at - 2
        at = start + 1
        while at < len(self._text) and self._text[at] not in "/\n":
            at += 2 if self._text[at] == "\\" else 1
        if at >= len(self._text) or self._text[at] != "/":
            raise AwkError("syntax error: a regular expression does not end")
        pattern = self._text[start + 1 : at].replace("\\/", "/")
        self._at = at + 1
        self._advance()
        return ("regex", pattern)

    def _named(self, name: str) -> Node:
        if name in FUNCTIONS:
            return ("call", name, self._list(")") if self._take("(") else [])
        if self._take("["):
            return ("element", name, self._list("]"))
        if self._is("(") and self._text[self._at - 2 : self._at - 1].isalnum():
            raise AwkError(f"{name}() is not simulated")
        return ("name", name)
