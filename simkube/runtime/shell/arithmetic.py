"""``$((...))``: 64-bit integers, C's operators, variables, assignments. Nesting is bounded."""

from __future__ import annotations

import re
from collections.abc import Callable

MAX_DEPTH = 30
MAX_LENGTH = 4096
_TOKEN = re.compile(
    r"\s*(0[xX][0-9a-fA-F]+|\d+#\w+|\d+|[A-Za-z_]\w*|<<=|>>=|\+\+|--|&&|\|\||\*\*|[-+*/%&|^<>=!]=|<<|>>|"
    r"[-+*/%<>=!~&|^?:(),\[\]])",
    re.ASCII,
)
_LEVELS: tuple[tuple[str, ...], ...] = (
    ("||",), ("&&",), ("|",), ("^",), ("&",), ("==", "!="), ("<=", ">=", "<", ">"), ("<<", ">>"), ("+", "-"), ("*",
    "/", "%"),
)  # fmt: skip
_ASSIGN = frozenset(["=", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "<<=", ">>="])


class ArithmeticProblem(Exception):
    """``divide by zero``, ``syntax error``."""


def wrap(value: int) -> int:
    """A number as 64 bits hold it."""
    return (value + (1 << 63)) % (1 << 64) - (1 << 63)


def number(text: str) -> int:
    """A number as C writes it: decimal, 0x hexadecimal, 0 octal; ArithmeticProblem."""
    text = text.strip()
    sign = -1 if text.startswith("-") else 1
    digits = text.lstrip("+-") if text[:1] in "+-" else text
    if len(digits) > 40:
        raise ArithmeticProblem("syntax error")
    try:
        base, mark, rest = digits.partition("#")
        if mark and 2 <= int(base) <= 36:
            return wrap(sign * int(rest, int(base)))
        if digits[:2] in ("0x", "0X"):
            return wrap(sign * int(digits[2:], 16))
        if digits.startswith("0") and len(digits) > 1:
            return wrap(sign * int(digits, 8))
        return wrap(sign * int(digits)) if digits else 0
    except ValueError:
        raise ArithmeticProblem("syntax error") from None


class Evaluator:
    """Evaluates one expression; ``get`` and ``put`` read and set the shell's variables, elements of arrays as ``a[1]``.

    ``maps`` are the names whose subscripts are texts.
    """

    def __init__(
        self,
        text: str,
        get: Callable[[str], str],
        put: Callable[[str, str], None],
        maps: frozenset[str] | set[str] = frozenset(),
    ) -> None:
        if len(text) > MAX_LENGTH:
            raise ArithmeticProblem("expression too long")
        self._tokens = self._split(text)
        self._at = 0
        self._get = get
        self._put = put
        self._maps = maps
        self._depth = 0
        self._skip = 0

    @staticmethod
    def _split(text: str) -> list[str]:
        tokens = []
        at = 0
        text = text.rstrip()
        while at < len(text):
            match = _TOKEN.match(text, at)
            if match is None:
                raise ArithmeticProblem("syntax error")
            tokens.append(match.group(1))
            at = match.end()
        return tokens

    def value(self) -> int:
        """The value of the whole expression; 0 when it is empty."""
        if not self._tokens:
            return 0
        result = self._comma()
        if self._at < len(self._tokens):
            raise ArithmeticProblem("syntax error")
        return result

    def _peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _take(self, token: str) -> bool:
        if self._peek() == token:
            self._at += 1
            return True
        return False

    def _comma(self) -> int:
        result = self._assignment()
        while self._take(","):
            result = self._assignment()
        return result

    def _assignment(self) -> int:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise ArithmeticProblem("expression nested too deeply")
        try:
            start = self._at
            name = self._name() if self._peek()[:1].isalpha() or self._peek()[:1] == "_" else ""
            following = self._peek()
            if not name or following not in _ASSIGN:
                self._at = start
            else:
                self._at += 1
                right = self._assignment()
                result = (
                    right if following == "=" else _apply(following[:-1], self._variable(name), right, self._skip > 0)
                )
                self._set(name, result)
                return result
            return self._ternary()
        finally:
            self._depth -= 1

    def _name(self) -> str:
        """A variable, or an element of an array."""
        name = self._peek()
        self._at += 1
        if not self._take("["):
            return name
        if name in self._maps:
            start = self._at
            while self._peek() not in ("]", ""):
                self._at += 1
            key = "".join(self._tokens[start : self._at])
        else:
            key = str(self._comma())
        if not self._take("]"):
            raise ArithmeticProblem("syntax error")
        return f"{name}[{key}]"

    def _set(self, name: str, value: int) -> None:
        if not self._skip:
            self._put(name, str(value))

    def _ternary(self) -> int:
        condition = self._binary(0)
        if not self._take("?"):
            return condition
        self._skip += not condition
        yes = self._assignment()
        self._skip -= not condition
        if not self._take(":"):
            raise ArithmeticProblem("syntax error")
        self._skip += bool(condition)
        no = self._assignment()
        self._skip -= bool(condition)
        return yes if condition else no

    def _binary(self, level: int) -> int:
        if level == len(_LEVELS):
            return self._unary()
        left = self._binary(level + 1)
        while self._peek() in _LEVELS[level]:
            operator = self._peek()
            self._at += 1
            dead = (operator == "||" and left != 0) or (operator == "&&" and left == 0)
            self._skip += dead
            right = self._binary(level + 1)
            self._skip -= dead
            left = _apply(operator, left, right, self._skip > 0 or dead)
        return left

    def _unary(self) -> int:
        operators = []
        while self._peek() in ("+", "-", "!", "~", "++", "--"):
            operators.append(self._peek())
            self._at += 1
            if len(operators) > MAX_DEPTH:
                raise ArithmeticProblem("expression nested too deeply")
        if operators and operators[-1] in ("++", "--") and (self._peek()[:1].isalpha() or self._peek()[:1] == "_"):
            step = 1 if operators.pop() == "++" else -1
            name = self._name()
            result = wrap(self._variable(name) + step)
            self._set(name, result)
        else:
            result = self._power()
        for operator in reversed(operators):
            if operator in ("-", "+", "++", "--"):
                result = wrap(-result) if operator == "-" else result
            else:
                result = int(not result) if operator == "!" else ~result
        return result

    def _power(self) -> int:
        base = self._primary()
        if not self._take("**"):
            return base
        exponent = self._unary()
        if exponent < 0:
            raise ArithmeticProblem("exponent less than 0")
        return wrap(pow(base, exponent, 1 << 64))

    def _primary(self) -> int:
        token = self._peek()
        if token[:1].isalpha() or token[:1] == "_":
            return self._reading()
        self._at += 1
        if token == "(":  # noqa: S105 - a token of the grammar
            result = self._comma()
            if not self._take(")"):
                raise ArithmeticProblem("syntax error")
            return result
        if token[:1].isdigit():
            return number(token)
        raise ArithmeticProblem("syntax error")

    def _reading(self) -> int:
        name = self._name()
        value = self._variable(name)
        if self._peek() in ("++", "--"):
            step = 1 if self._peek() == "++" else -1
            self._at += 1
            self._set(name, wrap(value + step))
        return value

    def _variable(self, name: str) -> int:
        text = self._get(name)
        for _ in range(8):
            if not (text.isascii() and text.isidentifier()):
                break
            text = self._get(text)
        return number(text)


def _apply(operator: str, left: int, right: int, dead: bool) -> int:
    if operator in ("/", "%"):
        if right == 0:
            if dead:
                return 0
            raise ArithmeticProblem("divide by zero")
        quotient = abs(left) // abs(right)
        quotient = quotient if (left < 0) == (right < 0) else -quotient
        return wrap(quotient) if operator == "/" else wrap(left - quotient * right)
    return wrap(int(_SIMPLE[operator](left, right)))


_SIMPLE: dict[str, Callable[[int, int], int]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "<<": lambda a, b: a << (b & 63),
    ">>": lambda a, b: a >> (b & 63),
    "&": lambda a, b: a & b,
    "|": lambda a, b: a | b,
    "^": lambda a, b: a ^ b,
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    ">": lambda a, b: a > b,
    "<=": lambda a, b: a <= b,
    ">=": lambda a, b: a >= b,
    "&&": lambda a, b: bool(a) and bool(b),
    "||": lambda a, b: bool(a) or bool(b),
}
