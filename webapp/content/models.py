"""The shapes of a course: what its author writes, validated, and what the pages show.

A course is a folder with ``course.yaml`` (title, summary, parts: what comes in which order) and one ``<lesson>.md`` per
lesson: front matter (title, summary, minutes), Markdown, and a fenced ``quiz`` block with a list of questions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Slug = Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=60)]
Text = Annotated[str, Field(min_length=1, max_length=2000)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)


class Step(_Strict):
    """One thing to do in a course: read a lesson or work in a lab."""

    lesson: Slug | None = None
    lab: Slug | None = None

    @model_validator(mode="after")
    def _one(self) -> Step:
        if (self.lesson is None) == (self.lab is None):
            raise ValueError("expected either 'lesson: NAME' or 'lab: NAME'")
        return self


class Part(_Strict):
    """A chapter of a course."""

    title: Text
    summary: str = ""
    steps: list[Step] = Field(min_length=1)


class CourseFile(_Strict):
    """``course.yaml``."""

    title: Text
    summary: Text
    parts: list[Part] = Field(min_length=1)


class LessonHead(_Strict):
    """The front matter of a lesson. ``minutes``: how long reading it takes."""

    title: Text
    summary: Text
    minutes: int = Field(ge=1, le=120)


class Answer(_Strict):
    """One answer to choose; ``because`` is shown after choosing it."""

    text: Text
    because: Text
    correct: bool = False


class Question(_Strict):
    """One question; ``choose: many`` when several answers are right and all are wanted."""

    id: Slug
    question: Text
    choose: Literal["one", "many"] = "one"
    answers: list[Answer] = Field(min_length=2, max_length=8)

    @model_validator(mode="after")
    def _answerable(self) -> Question:
        right = sum(answer.correct for answer in self.answers)
        if self.choose == "one" and right != 1:
            raise ValueError(f"expected exactly one answer with 'correct: true', found {right}")
        if self.choose == "many" and right < 1:
            raise ValueError("expected at least one answer with 'correct: true'")
        return self

    def right(self, chosen: list[int]) -> bool:
        """Whether exactly the correct answers were ``chosen`` (indexes from 0)."""
        return sorted(set(chosen)) == [index for index, answer in enumerate(self.answers) if answer.correct]

    def valid(self, chosen: list[int]) -> bool:
        """Whether ``chosen`` is something this question lets one choose."""
        known = bool(chosen) and all(0 <= index < len(self.answers) for index in chosen)
        return known and (self.choose == "many" or len(chosen) == 1)


@dataclass(frozen=True)
class Lesson:
    """One lesson as read; ``body`` is Markdown without front matter and quiz, ``body_line`` where it begins."""

    slug: str
    path: Path
    head: LessonHead
    body: str
    body_line: int
    questions: tuple[Question, ...]

    @property
    def title(self) -> str:
        return self.head.title


@dataclass(frozen=True)
class Stop:
    """One step of a course with what it leads to; ``number`` counts the lessons from 1 (0 for a lab)."""

    part: str
    lesson: Lesson | None
    lab: str | None
    number: int = 0


@dataclass(frozen=True)
class Course:
    """One course; lessons that could not be read are left out of ``stops`` and named in the library's problems."""

    slug: str
    folder: Path
    file: CourseFile
    stops: tuple[Stop, ...]

    @property
    def title(self) -> str:
        return self.file.title

    def lesson(self, slug: str) -> Lesson | None:
        """The lesson called ``slug``, or None."""
        return next((lesson for lesson in self.lessons() if lesson.slug == slug), None)

    def lessons(self) -> Iterator[Lesson]:
        """The lessons in their order."""
        return (stop.lesson for stop in self.stops if stop.lesson is not None)

    def labs(self) -> list[str]:
        """The labs in their order."""
        return [stop.lab for stop in self.stops if stop.lab is not None]

    def around(self, *, lesson: str | None = None, lab: str | None = None) -> tuple[Stop | None, Stop | None]:
        """What comes before and after a lesson or a lab in this course."""
        for index, stop in enumerate(self.stops):
            if (lesson and stop.lesson and stop.lesson.slug == lesson) or (lab and stop.lab == lab):
                before = self.stops[index - 1] if index else None
                after = self.stops[index + 1] if index + 1 < len(self.stops) else None
                return before, after
        return None, None
