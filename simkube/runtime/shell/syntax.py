"""The syntax tree of the shell, and what can be wrong with a script."""

from __future__ import annotations

from dataclasses import dataclass, field


class SyntaxProblem(Exception):
    """A script that a real shell would refuse as well: ``unexpected "done"``."""


class Incomplete(SyntaxProblem):
    """A script that ends in the middle of something: an interactive shell asks for more."""


class NotSimulated(Exception):
    """Syntax that real shells know and this one does not; the text names it."""


@dataclass(slots=True)
class Text:
    """Literal characters."""

    text: str
    quoted: bool


@dataclass(slots=True)
class Parameter:
    """``$x``, ``${x:-word}``, ``${#x}``: ``op`` is "", ``#len``, ``!keys``, ``!names`` or the operator, ``word`` its
    operand, ``more`` a second one (``${x/word/more}``, ``${x:word:more}``). ``${x[subscript]}``; ``${!x}`` is indirect.
    """

    name: str
    op: str
    word: Word | None
    quoted: bool
    more: Word | None = None
    subscript: Word | None = None
    indirect: bool = False


@dataclass(slots=True)
class Substitution:
    """``$(...)`` or backticks."""

    body: Sequence
    quoted: bool


@dataclass(slots=True)
class Arithmetic:
    """``$((...))``."""

    expression: Word
    quoted: bool


@dataclass(slots=True)
class ProcessSubstitution:
    """``<(...)``, or ``>(...)`` when ``writes``: the path of a pipe."""

    body: Sequence
    writes: bool
    quoted: bool = False


Part = Text | Parameter | Substitution | Arithmetic | ProcessSubstitution


@dataclass(slots=True)
class Word:
    """Parts side by side; one that is ``assigned`` (to ``local`` and its like) is never split."""

    parts: list[Part]
    assigned: bool = False

    def literal(self) -> str | None:
        """Its text when it is literal and nothing of it is quoted."""
        if len(self.parts) == 1:
            part = self.parts[0]
            if isinstance(part, Text) and not part.quoted:
                return part.text
        return None


@dataclass(slots=True)
class Assignment:
    """``name=value``, ``name[subscript]+=value``; ``items`` are pairs of subscript and value of ``name=(...)``."""

    name: str
    value: Word
    append: bool = False
    subscript: Word | None = None
    items: list[tuple[Word | None, Word]] | None = None


@dataclass(slots=True)
class Redirection:
    """``2>file``: ``op`` is ``<``, ``>``, ``>>``, ``>|``, ``<>``, ``<&``, ``>&``, ``&>``, ``<<<`` or ``<<`` (then the
    word is the document).
    """

    fd: int
    op: str
    word: Word


@dataclass(slots=True)
class Simple:
    """Assignments, words, redirections; ``arrays`` are those among the words of ``declare`` and its like."""

    assignments: list[Assignment]
    words: list[Word]
    redirections: list[Redirection]
    arrays: list[Assignment] = field(default_factory=list)


@dataclass(slots=True)
class Pipeline:
    """``a | b``; ``negated`` by ``!``, ``timed`` by ``time``."""

    commands: list[Node]
    negated: bool
    timed: bool = False


@dataclass(slots=True)
class AndOr:
    """``a && b || c``: the first, then pairs of operator and node."""

    first: Node
    rest: list[tuple[str, Node]]


@dataclass(slots=True)
class Sequence:
    """``a; b & c``: nodes, each with whether it runs in the background."""

    items: list[tuple[Node, bool]] = field(default_factory=list)


@dataclass(slots=True)
class Compound:
    """A command in braces, parentheses or keywords, with the redirections of the whole."""

    redirections: list[Redirection]


@dataclass(slots=True)
class Group(Compound):
    """``{ ...; }``."""

    body: Sequence


@dataclass(slots=True)
class Subshell(Compound):
    """``( ... )``."""

    body: Sequence


@dataclass(slots=True)
class If(Compound):
    """Pairs of condition and body, and the else part."""

    branches: list[tuple[Sequence, Sequence]]
    otherwise: Sequence | None


@dataclass(slots=True)
class While(Compound):
    """``while`` or ``until``."""

    condition: Sequence
    body: Sequence
    until: bool


@dataclass(slots=True)
class For(Compound):
    """``for name in words``; ``words`` None means ``"$@"``."""

    name: str
    words: list[Word] | None
    body: Sequence


@dataclass(slots=True)
class Case(Compound):
    """``case word in`` and its patterns, body and end (``;;``, ``;&``, ``;;&``) each."""

    word: Word
    items: list[tuple[list[Word], Sequence, str]]


@dataclass(slots=True)
class Calculation(Compound):
    """``((expression))``."""

    expression: Word


@dataclass(slots=True)
class CountingFor(Compound):
    """``for ((first; test; step))``."""

    first: Word
    test: Word
    step: Word
    body: Sequence


@dataclass(slots=True)
class Select(Compound):
    """``select name in words``."""

    name: str
    words: list[Word] | None
    body: Sequence


@dataclass(slots=True)
class Test:
    """Part of ``[[ ]]``: ``op`` is ``&&``, ``||``, ``!``, ``word``, or an operator of ``test``."""

    op: str
    words: list[Word] = field(default_factory=list)
    tests: list[Test] = field(default_factory=list)


@dataclass(slots=True)
class Conditional(Compound):
    """``[[ ... ]]``."""

    test: Test


@dataclass(slots=True)
class Function:
    """``name() body``."""

    name: str
    body: Node


Node = (
    Simple
    | Pipeline
    | AndOr
    | Sequence
    | Group
    | Subshell
    | If
    | While
    | For
    | Case
    | Function
    | Calculation
    | CountingFor
    | Select
    | Conditional
)
