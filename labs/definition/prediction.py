"""Questions that a learner answers before touching anything: what will happen?

The right option is what then happens, measured by a check (``predict.happened``), or ``answer`` where no check can see
it. A wrong option has the name of a misconception, the same name in every lab that meets it, and a sentence that clears
it up. Refuses options of which more than one has no misconception: nobody could say what a wrong answer means.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from labs.errors import Malformed
from labs.syntax import parse
from labs.yamlfile import read_text

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?$")]
Misconception = Annotated[str, StringConstraints(strip_whitespace=True, max_length=80)]
MEASURED_BY = "happened"


class OptionFile(BaseModel):
    """One option. ``misconception``: what is believed by who is wrong with it; ``feedback``: a sentence for them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    text: Text
    misconception: Misconception = ""
    feedback: Annotated[str, StringConstraints(strip_whitespace=True)] = ""

    @model_validator(mode="after")
    def _cleared_up(self) -> OptionFile:
        if self.misconception and not self.feedback:
            raise ValueError("expected feedback beside misconception")
        return self


class QuestionFile(BaseModel):
    """One question. ``answer``: the right option, where no check measures it. ``points``: for a right answer."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    question: Text
    options: Annotated[dict[Name, OptionFile], Field(min_length=2, max_length=8)]
    answer: Name | None = None
    points: Annotated[float, Field(ge=0, le=100)] = 0.0

    @model_validator(mode="after")
    def _fits(self) -> QuestionFile:
        unnamed = [name for name, option in self.options.items() if not option.misconception]
        if len(unnamed) > 1:
            raise ValueError(f"expected a misconception for all options but one, found none for {', '.join(unnamed)}")
        if self.answer is not None and self.answer not in unnamed:
            raise ValueError("expected answer to be the option that has no misconception")
        return self


@dataclass(frozen=True)
class Option:
    """An option as a learner reads it."""

    name: str
    text: str
    misconception: str
    feedback: str


@dataclass(frozen=True)
class Question:
    """A question as a learner reads it. ``answer``: the right option, or "" when a check measures it."""

    name: str
    text: str
    options: tuple[Option, ...]
    answer: str
    points: float

    def option(self, name: str | None) -> Option | None:
        """The option of this name, if there is one."""
        return next((one for one in self.options if one.name == name), None)


@dataclass(frozen=True)
class Measured:
    """A call of ``predict.happened`` in ``checks.py``. "" for an argument that is no literal."""

    question: str
    option: str
    line: int


def read_measured(path: Path) -> list[Measured]:
    """Every such call, read without running anything; :class:`Malformed` for what is no Python."""
    try:
        tree = parse(read_text(path), str(path))
    except (SyntaxError, ValueError, RecursionError) as error:
        raise Malformed(path, getattr(error, "lineno", 1) or 1, f"expected Python: {error}") from error
    return [_measured(node) for node in ast.walk(tree) if isinstance(node, ast.Call) and _measures(node.func)]


def _measures(called: ast.expr) -> bool:
    return (
        isinstance(called, ast.Attribute)
        and called.attr == MEASURED_BY
        and isinstance(called.value, ast.Name)
        and called.value.id == "predict"
    )


def _measured(call: ast.Call) -> Measured:
    named = {keyword.arg: keyword.value for keyword in call.keywords}
    given = [*call.args[:2], *(None for _ in range(2 - len(call.args)))]
    question, option = (
        node if node is not None else named.get(name) for node, name in zip(given, ("question", "option"), strict=True)
    )
    return Measured(_literal(question), _literal(option), call.lineno)


def _literal(node: ast.expr | None) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def misfits(questions: Mapping[str, QuestionFile], measured: list[Measured]) -> Iterator[tuple[str, int, str]]:
    """Where questions and checks do not fit: ``(question or "", line in checks.py or 0, what is wrong)``."""
    for call in measured:
        known = questions.get(call.question)
        if known is None:
            yield "", call.line, "expected predict.happened to name, as a literal, a question of lab.yaml"
        elif known.answer is not None:
            yield "", call.line, f"{call.question} has an answer in lab.yaml: it cannot be measured as well"
        elif call.option and call.option not in known.options:
            yield "", call.line, f"{call.question} has no option {call.option}"
    found = {call.question for call in measured}
    for name, question in questions.items():
        if question.answer is None and name not in found:
            yield name, 0, f"expected an answer to {name}, or a check that measures it: predict.happened(...)"
