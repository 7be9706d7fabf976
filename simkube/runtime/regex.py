"""POSIX regular expressions (basic and extended), matched in time linear in pattern times text.

A user's pattern can never blow up: the pattern becomes a small program run for all its threads at once. Back-
references and collating elements are refused. Of several matches at the leftmost place the longest is taken, as POSIX
says.
"""

from __future__ import annotations

from collections.abc import Callable

from simkube.runtime.shell.patterns import CharSet, bracket

MAX_PROGRAM = 4000
MAX_WORK = 200_000
"""Characters times instructions that one search may come to, so that it never holds up the host."""

MAX_NESTING = 20
MAX_REPEAT = 255


class RegexError(Exception):
    """A pattern that is wrong, or not simulated."""


Instruction = tuple[str, object, int, int]
"""(kind, value, next, other): ``char``, ``set``, ``any``, ``bol``, ``eol``, ``wordb``, ``split``, ``save``,
``match``.
"""


class Regex:
    """A compiled pattern."""

    def __init__(self, pattern: str, *, extended: bool, ignore_case: bool = False) -> None:
        if len(pattern) > 2000:
            raise RegexError("pattern too long")
        self._fold = ignore_case
        parser = _Parser(pattern.lower() if ignore_case else pattern, extended=extended)
        tree = parser.parse()
        self.groups = parser.groups
        self._program: list[Instruction] = []
        self._emit(("group", 0, tree))
        self._program.append(("match", None, 0, 0))
        self.cost = max(1, len(self._program))
        self._literal = _literal_of(tree)

    # -- compiling -------------------------------------------------------------------------------------------------

    def _add(self, kind: str, value: object = None, following: int | None = None, other: int = 0) -> int:
        if len(self._program) >= MAX_PROGRAM:
            raise RegexError("pattern too large for this simulation")
        at = len(self._program)
        self._program.append((kind, value, at + 1 if following is None else following, other))
        return at

    def _patch(self, at: int, *, following: int | None = None, other: int | None = None) -> None:
        kind, value, old_following, old_other = self._program[at]
        new = (kind, value, old_following if following is None else following, old_other if other is None else other)
        self._program[at] = new

    def _emit(self, node: tuple) -> None:  # type: ignore[type-arg] # nodes are tagged tuples of several shapes
        kind = node[0]
        if kind in ("char", "set", "any", "bol", "eol", "wordb", "wordstart", "wordend"):
            self._add(kind, node[1] if len(node) > 1 else None)
        elif kind == "cat":
            for child in node[1]:
                self._emit(child)
        elif kind == "alt":
            self._emit_alternatives(node[1])
        elif kind == "group":
            self._add("save", node[1] * 2)
            self._emit(node[2])
            self._add("save", node[1] * 2 + 1)
        else:
            self._emit_repeat(node[1], node[2], node[3])

    def _emit_alternatives(self, options: list[tuple]) -> None:  # type: ignore[type-arg] # as above
        ends = []
        for option in options[:-1]:
            split = self._add("split")
            self._emit(option)
            ends.append(self._add("jump"))
            self._patch(split, other=len(self._program))
        self._emit(options[-1])
        for end in ends:
            self._patch(end, following=len(self._program))

    def _emit_repeat(self, child: tuple, least: int, most: int | None) -> None:  # type: ignore[type-arg] # as above
        for _ in range(least):
            self._emit(child)
        if most is None:
            split = self._add("split")
            self._emit(child)
            self._add("jump", following=split)
            self._patch(split, other=len(self._program))
            return
        splits = []
        for _ in range(most - least):
            splits.append(self._add("split"))
            self._emit(child)
        for split in splits:
            self._patch(split, other=len(self._program))

    # -- matching --------------------------------------------------------------------------------------------------

    def search(self, text: str, start: int = 0) -> list[tuple[int, int]] | None:
        """Spans of the leftmost longest match and of its groups ((-1, -1) when unset); None when nothing matches."""
        if self._literal is None and (len(text) - start) * self.cost > MAX_WORK:
            raise RegexError("this pattern on so long a line is too much for this simulation")
        subject = text.lower() if self._fold else text
        if len(subject) != len(text):
            subject = text
        if self._literal is not None:
            at = subject.find(self._literal, start)
            return None if at < 0 else [(at, at + len(self._literal))]
        return self._run(subject, start)

    def _run(self, text: str, start: int) -> list[tuple[int, int]] | None:
        best: tuple[int, ...] | None = None
        threads: list[tuple[int, tuple[int, ...]]] = []
        empty = (-1,) * (2 * (self.groups + 1))
        at = start
        while True:
            seen: set[int] = set()
            ready: list[tuple[int, tuple[int, ...]]] = []
            for pc, saved in threads:
                self._follow(pc, saved, at, text, seen, ready)
            if best is None:
                self._follow(0, empty, at, text, seen, ready)
            following = []
            char = text[at] if at < len(text) else ""
            for pc, saved in ready:
                kind, value, after, _ = self._program[pc]
                if kind == "match":
                    if best is None or saved[0] < best[0] or (saved[0] == best[0] and saved[1] > best[1]):
                        best = saved
                elif char and _accepts(kind, value, char):
                    following.append((after, saved))
            if best is not None:
                following = [(pc, saved) for pc, saved in following if saved[0] <= best[0]]
            if at >= len(text) or (not following and best is not None):
                break
            threads = following
            at += 1
        if best is None:
            return None
        return [(best[index], best[index + 1]) for index in range(0, len(best), 2)]

    def _follow(
        self,
        pc: int,
        saved: tuple[int, ...],
        at: int,
        text: str,
        seen: set[int],
        ready: list[tuple[int, tuple[int, ...]]],
    ) -> None:
        stack = [(pc, saved)]
        while stack:
            pc, saved = stack.pop()
            if pc in seen:
                continue
            seen.add(pc)
            kind, value, after, other = self._program[pc]
            if kind == "jump":
                stack.append((after, saved))
            elif kind == "split":
                stack.append((other, saved))
                stack.append((after, saved))
            elif kind == "save":
                assert isinstance(value, int)
                stack.append((after, (*saved[:value], at, *saved[value + 1 :])))
            elif kind in _ASSERTIONS:
                if _ASSERTIONS[kind](text, at):
                    stack.append((after, saved))
            else:
                ready.append((pc, saved))


def _word(text: str, at: int) -> bool:
    return 0 <= at < len(text) and (text[at].isalnum() or text[at] == "_")


_ASSERTIONS: dict[str, Callable[[str, int], bool]] = {
    "bol": lambda text, at: at == 0,
    "eol": lambda text, at: at == len(text),
    "wordb": lambda text, at: _word(text, at - 1) != _word(text, at),
    "wordstart": lambda text, at: not _word(text, at - 1) and _word(text, at),
    "wordend": lambda text, at: _word(text, at - 1) and not _word(text, at),
}


def _accepts(kind: str, value: object, char: str) -> bool:
    if kind == "char":
        return value == char
    if kind == "set":
        assert isinstance(value, CharSet)
        return value.matches(char)
    return kind == "any"


def _literal_of(tree: tuple) -> str | None:  # type: ignore[type-arg] # nodes are tagged tuples of several shapes
    if tree[0] == "char":
        return str(tree[1])
    if tree[0] == "cat" and tree[1] and all(child[0] == "char" for child in tree[1]):
        return "".join(child[1] for child in tree[1])
    return None


def _class_set(chars: str, *, negated: bool = False) -> CharSet:
    found = CharSet(negated)
    for name in {"w": ("alnum",), "s": ("space",), "d": ("digit",)}[chars]:
        found.add_class(name)
    if chars == "w":
        found.add("_")
    return found


class _Parser:
    def __init__(self, pattern: str, *, extended: bool) -> None:
        self._text = pattern
        self._extended = extended
        self._at = 0
        self.groups = 0

    def parse(self) -> tuple:  # type: ignore[type-arg] # nodes are tagged tuples of several shapes
        tree = self._alternatives(0)
        if self._at < len(self._text):
            raise RegexError("Unmatched ) or \\)")
        return tree

    def _starts(self, symbol: str) -> bool:
        """Whether an operator is next: ``(`` is ``(`` or ``\\(``."""
        return self._text.startswith(symbol if self._extended else "\\" + symbol, self._at)

    def _skip(self, symbol: str) -> None:
        self._at += len(symbol) + (0 if self._extended else 1)

    def _alternatives(self, depth: int) -> tuple:  # type: ignore[type-arg] # as above
        if depth > MAX_NESTING:
            raise RegexError("pattern nested too deeply")
        options = [self._sequence(depth)]
        while self._starts("|"):
            self._skip("|")
            options.append(self._sequence(depth))
        return options[0] if len(options) == 1 else ("alt", options)

    def _sequence(self, depth: int) -> tuple:  # type: ignore[type-arg] # as above
        items: list[tuple] = []  # type: ignore[type-arg] # as above
        while self._at < len(self._text) and not self._starts("|") and not (self._starts(")") and depth):
            if self._extended and self._text[self._at] == ")":
                self._at += 1
                items.append(("char", ")"))
                continue
            items.append(self._repeated(self._atom(depth, first=not items)))
        return items[0] if len(items) == 1 else ("cat", items)

    def _atom(self, depth: int, *, first: bool) -> tuple:  # type: ignore[type-arg] # as above
        if self._starts("("):
            self._skip("(")
            self.groups += 1
            number = self.groups
            inner = self._alternatives(depth + 1)
            if not self._starts(")"):
                raise RegexError("Unmatched ( or \\(")
            self._skip(")")
            return ("group", number, inner)
        char = self._text[self._at]
        self._at += 1
        if char == ".":
            return ("any",)
        if char == "[":
            found = bracket(self._text, self._at, escapes=False)
            if found is None:
                raise RegexError("Unmatched [, [^, [:, [., or [=")
            self._at = found[1]
            return ("set", found[0])
        if char == "^" and (self._extended or first):
            return ("bol",)
        if char == "$" and (self._extended or self._at == len(self._text) or self._starts(")") or self._starts("|")):
            return ("eol",)
        if char == "\\":
            return self._escaped()
        return ("char", char)

    def _escaped(self) -> tuple:  # type: ignore[type-arg] # as above
        if self._at >= len(self._text):
            raise RegexError("Trailing backslash")
        char = self._text[self._at]
        self._at += 1
        if char in "123456789":
            raise RegexError("back-references are not simulated")
        if char in "<>b":
            return ({"<": "wordstart", ">": "wordend", "b": "wordb"}[char],)
        if char.lower() in "wsd" and char not in "dD":
            return ("set", _class_set(char.lower(), negated=char.isupper()))
        return ("char", {"n": "\n", "t": "\t"}.get(char, char))

    def _repeated(self, node: tuple) -> tuple:  # type: ignore[type-arg] # as above
        times = 0
        while self._at < len(self._text):
            bounds = self._bounds(node)
            if bounds is None:
                break
            times += 1
            if times > 3:
                raise RegexError("pattern nested too deeply")
            if node[0] in _ASSERTIONS and bounds == (0, None):
                return ("char", "*") if not self._extended else node
            node = ("repeat", node, *bounds)
        return node

    def _bounds(self, node: tuple) -> tuple[int, int | None] | None:  # type: ignore[type-arg] # as above
        if self._text[self._at] == "*":
            self._at += 1
            return 0, None
        for symbol, bounds in (("+", (1, None)), ("?", (0, 1))):
            if self._starts(symbol):
                self._skip(symbol)
                return bounds
        if not self._starts("{"):
            return None
        self._skip("{")
        end = self._text.find("}" if self._extended else "\\}", self._at)
        least, comma, most = self._text[self._at : max(end, 0)].partition(",")
        if end < 0 or not least.isdecimal() or len(least + most) > 6 or (most and not most.isdecimal()):
            raise RegexError("Invalid content of \\{\\}")
        self._at = end
        self._skip("}")
        low, high = int(least), (None if comma and not most else int(most or least))
        if low > MAX_REPEAT or (high is not None and (high > MAX_REPEAT or high < low)):
            raise RegexError("Regular expression too big")
        return low, high
