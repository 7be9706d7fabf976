"""``rulings.yaml`` beside a lab: its author's word on changes that the requirements leave undecided.

A list of entries: ``changes``, whose ids may have ``*`` for anything; what each check must say of them, ``right`` or
``wrong``; and ``why``, a sentence.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from labs import yamlfile
from labs.definition.validation import validated

FILE = "rulings.yaml"


class Ruling(BaseModel):
    """One entry."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    changes: Annotated[list[str], Field(min_length=1)]
    checks: Annotated[dict[str, Literal["right", "wrong"]], Field(min_length=1)]
    why: Annotated[str, Field(min_length=1)]

    def covers(self, change: str) -> bool:
        """Whether it is about this change."""
        return any(matches(each, change) for each in self.changes)


def matches(pattern: str, change: str) -> bool:
    """Whether a pattern, in which ``*`` is anything, is of the id of a change."""
    return bool(re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), change))


class RulingsFile(BaseModel):
    """The file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rulings: list[Ruling]


def read_rulings(folder: Path) -> list[Ruling]:
    """The rulings of a lab, [] when it has none; :class:`labs.errors.Malformed`."""
    path = folder / FILE
    return validated(RulingsFile, yamlfile.read(path), path).rulings if path.is_file() else []
