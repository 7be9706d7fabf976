"""Parameters that vary per learner, drawn from a seed so that the same learner always gets the same ones.

``${name}`` in instructions, hints, setup manifests and states becomes the learner's value; ``$$`` becomes a dollar; any
other dollar stays (shell commands are full of them). A name that is not a parameter is refused, never left standing.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

_PLACE = re.compile(r"\$(?:(?P<escaped>\$)|\{(?P<name>[^{}]*)\})")

Value = str | int | bool


class Parameter(BaseModel):
    """One parameter: exactly one of ``choice`` (values to draw from), ``integer`` ([lowest, highest]), ``value``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    choice: Annotated[list[Value], Field(min_length=1)] | None = None
    integer: tuple[int, int] | None = None
    value: Value | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> Parameter:
        given = [kind for kind in ("choice", "integer", "value") if getattr(self, kind) is not None]
        if len(given) != 1:
            raise ValueError("expected exactly one of choice, integer, value")
        if self.integer and self.integer[0] > self.integer[1]:
            raise ValueError("expected [lowest, highest]")
        return self

    def draw(self, chance: random.Random) -> Value:
        """A value."""
        if self.choice is not None:
            return self.choice[chance.randrange(len(self.choice))]
        if self.integer is not None:
            return chance.randint(*self.integer)
        assert self.value is not None
        return self.value


class UnknownParameter(Exception):
    """A text names what is not a parameter. ``line`` counts from 1 within the text."""

    def __init__(self, name: str, line: int, known: list[str]) -> None:
        super().__init__(
            f"${{{name}}} is not a parameter; there are: {', '.join(known) or 'none'} ($$ writes a dollar)"
        )
        self.line = line


def seed_of(learner: str, lab: str) -> str:
    """The seed of a learner in a lab: 16 hexadecimal digits, the same every time."""
    return hashlib.sha256(f"{lab}\0{learner}".encode()).hexdigest()[:16]


def draw(parameters: Mapping[str, Parameter], seed: str) -> dict[str, Value]:
    """Every parameter's value. Each is drawn by its own name, so that adding one leaves the others as they were."""
    return {
        name: parameter.draw(random.Random(f"{seed}/{name}"))  # noqa: S311 -- variety, not secrecy
        for name, parameter in parameters.items()
    }


def fill(text: str, values: Mapping[str, Any]) -> str:
    """The text with its parameters filled in; :class:`UnknownParameter`."""

    def put(match: re.Match[str]) -> str:
        if match["escaped"]:
            return "$"
        name = match["name"]
        if name not in values:
            raise UnknownParameter(name, text.count("\n", 0, match.start()) + 1, sorted(values))
        return str(values[name])

    return _PLACE.sub(put, text)
