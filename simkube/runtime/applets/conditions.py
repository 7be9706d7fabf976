"""``test`` and ``[``."""

from __future__ import annotations

from simkube.runtime.applets.options import integer
from simkube.runtime.nodes import Device, Directory, File, FileError, Node, Symlink
from simkube.runtime.process import Process

MAX_WORDS = 200
_NUMERIC = {
    "-eq": lambda a, b: a == b,
    "-ne": lambda a, b: a != b,
    "-lt": lambda a, b: a < b,
    "-le": lambda a, b: a <= b,
    "-gt": lambda a, b: a > b,
    "-ge": lambda a, b: a >= b,
}
_BINARY = frozenset(["=", "==", "!=", "<", ">", "-nt", "-ot", "-ef", *_NUMERIC])
_UNARY = frozenset("-" + letter for letter in "bcdefghLknprstuwxzSO")


class _Problem(Exception):
    """A wrong expression."""


def evaluate_test(process: Process, words: list[str]) -> tuple[int, str]:
    """The status (0 true, 1 false, 2 wrong) of a test, and what is wrong with it."""
    arguments = words[1:]
    if words[0] in ("[", "[["):
        closing = "]" if words[0] == "[" else "]]"
        if not arguments or arguments[-1] != closing:
            return 2, f"missing {closing}"
        arguments = arguments[:-1]
    if len(arguments) > MAX_WORDS:
        return 2, "too many arguments"
    try:
        return (0 if _Test(process, arguments).value() else 1), ""
    except _Problem as problem:
        return 2, str(problem)


async def test(process: Process) -> int:
    """The program ``test``."""
    words = [process.argv[0].rpartition("/")[2], *process.argv[1:]]
    result, problem = evaluate_test(process, words)
    if problem:
        await process.err(f"{words[0]}: {problem}\n")
    return result


class _Test:
    def __init__(self, process: Process, words: list[str]) -> None:
        self._process = process
        self._words = words
        self._at = 0

    def value(self) -> bool:
        words = self._words
        if not words:
            return False
        if len(words) == 1:
            return words[0] != ""
        if len(words) == 2 and words[0] == "!":
            return words[1] == ""
        if len(words) == 3 and words[1] in _BINARY:
            return self._binary(words[0], words[1], words[2])
        result = self._or(0)
        if self._at < len(words):
            raise _Problem(f"{words[self._at]}: unknown operand")
        return result

    def _peek(self) -> str | None:
        return self._words[self._at] if self._at < len(self._words) else None

    def _or(self, depth: int) -> bool:
        if depth > 20:
            raise _Problem("nested too deeply")
        result = self._and(depth)
        while self._peek() == "-o":
            self._at += 1
            right = self._and(depth)
            result = result or right
        return result

    def _and(self, depth: int) -> bool:
        result = self._not(depth)
        while self._peek() == "-a":
            self._at += 1
            right = self._not(depth)
            result = result and right
        return result

    def _not(self, depth: int) -> bool:
        negated = False
        while self._peek() == "!" and self._at + 1 < len(self._words):
            self._at += 1
            negated = not negated
        return self._primary(depth) != negated

    def _primary(self, depth: int) -> bool:
        word = self._peek()
        if word is None:
            raise _Problem("argument expected")
        following = self._words[self._at + 1] if self._at + 1 < len(self._words) else None
        if following in _BINARY and self._at + 2 < len(self._words):
            self._at += 3
            return self._binary(word, str(following), self._words[self._at - 1])
        if word == "(":
            self._at += 1
            result = self._or(depth + 1)
            if self._peek() != ")":
                raise _Problem("closing paren expected")
            self._at += 1
            return result
        if word in _UNARY and following is not None:
            self._at += 2
            return self._unary(word, following)
        self._at += 1
        return word != ""

    def _binary(self, left: str, operator: str, right: str) -> bool:
        if operator in ("=", "=="):
            return left == right
        if operator == "!=":
            return left != right
        if operator in ("<", ">"):
            return left < right if operator == "<" else left > right
        if operator in _NUMERIC:
            return bool(_NUMERIC[operator](self._number(left), self._number(right)))
        first, second = self._node(left), self._node(right)
        if operator == "-ef":
            return first is not None and first is second
        times = [node.mtime if node is not None else -1.0 for node in (first, second)]
        return times[0] > times[1] if operator == "-nt" else times[0] < times[1]

    @staticmethod
    def _number(text: str) -> int:
        value = integer(text.strip())
        if value is None:
            raise _Problem(f"{text}: bad number")
        return value

    def _node(self, path: str, *, follow: bool = True) -> Node | None:
        if not path:
            return None
        try:
            return self._process.container.files.node(self._process.resolve(path), follow=follow)
        except FileError:
            return None

    def _unary(self, operator: str, operand: str) -> bool:
        if operator == "-n":
            return operand != ""
        if operator == "-z":
            return operand == ""
        if operator == "-t":
            stream = self._process.fds.get(int(operand) if operand.isdecimal() and len(operand) < 4 else -1)
            return stream is not None and stream.terminal
        node = self._node(operand, follow=operator not in ("-h", "-L"))
        if node is None:
            return False
        return self._about(operator, operand, node)

    def _about(self, operator: str, path: str, node: Node) -> bool:
        if operator == "-f":
            return isinstance(node, File)
        if operator == "-d":
            return isinstance(node, Directory)
        if operator in ("-h", "-L"):
            return isinstance(node, Symlink)
        if operator == "-c":
            return isinstance(node, Device) and node.kind not in ("text", "socket", "block")
        if operator == "-s":
            return not isinstance(node, File) or len(node.data) > 0
        if operator == "-x":
            return bool(node.mode & 0o111)
        if operator == "-w":
            try:
                self._process.check_writable(self._process.resolve(path))
            except FileError:
                return False
            return not self._process.container.files.find(self._process.resolve(path)).mount.read_only
        return operator in ("-e", "-r", "-O")
