"""What is wrong with a content file, said so that its author can mend it.

::

    ContentError          carries a Problem; raised while one file is read, kept in Library.problems
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Problem:
    """``line`` counts from 1; ``message`` says what was expected there."""

    path: Path
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.message}"


class ContentError(Exception):
    """One content file cannot be used; ``problems`` has at least one entry."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems

    @classmethod
    def at(cls, path: Path, line: int, message: str) -> ContentError:
        """An error with a single problem."""
        return cls([Problem(path, line, message)])
