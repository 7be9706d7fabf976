"""Every course of every content folder, read once and read again when a file changed.

Refuses nothing as a whole: what cannot be read is named in :attr:`Library.problems` and the rest is served.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from webapp.content.errors import ContentError, Problem
from webapp.content.models import Course, CourseFile, Lesson, LessonHead, Question, Stop
from webapp.content.source import parse, parse_list, read_text

_QUIZ = re.compile(r"^```quiz[ \t]*\n(.*?)^```[ \t]*$\n?", re.MULTILINE | re.DOTALL)
_SLUG = re.compile(r"^[a-z0-9]+(-[a-z0-9]+)*$")
_LOOK_AGAIN_SECONDS = 1.0


class Library:
    """The courses below ``roots`` (each a folder of course folders); an earlier root wins over a later one."""

    def __init__(self, roots: Sequence[Path]) -> None:
        self._roots = list(roots)
        self._lock = threading.Lock()
        self._signature: tuple[tuple[str, int, int], ...] = ()
        self._looked = 0.0
        self._courses: dict[str, Course] = {}
        self._problems: list[Problem] = []

    @property
    def problems(self) -> list[Problem]:
        """What could not be read, in the order of the files."""
        self._refresh()
        return list(self._problems)

    def courses(self) -> list[Course]:
        """Every course, in the order of the roots and then by name."""
        self._refresh()
        return list(self._courses.values())

    def course(self, slug: str) -> Course | None:
        """The course called ``slug``, or None."""
        self._refresh()
        return self._courses.get(slug)

    def around_lab(self, lab: str) -> tuple[Course, Stop | None, Stop | None] | None:
        """The first course with this lab, and what comes before and after it there."""
        for course in self.courses():
            if lab in course.labs():
                return (course, *course.around(lab=lab))
        return None

    def _refresh(self) -> None:
        with self._lock:
            now = time.monotonic()
            if self._signature and now - self._looked < _LOOK_AGAIN_SECONDS:
                return
            self._looked = now
            signature = tuple(_signature(self._roots))
            if signature and signature == self._signature:
                return
            self._signature = signature
            self._courses, self._problems = read_roots(self._roots)


def read_roots(roots: Iterable[Path]) -> tuple[dict[str, Course], list[Problem]]:
    """Every course below ``roots``, and everything that is wrong."""
    courses: dict[str, Course] = {}
    problems: list[Problem] = []
    for root in roots:
        if not root.is_dir():
            problems.append(Problem(root, 1, "a content path must be a folder of course folders"))
            continue
        for folder in sorted(path.parent for path in root.glob("*/course.yaml")):
            if folder.name in courses:
                problems.append(Problem(folder / "course.yaml", 1, f"there is already a course {folder.name!r}"))
                continue
            try:
                course, found = read_course(folder)
            except ContentError as error:
                problems += error.problems
                continue
            courses[folder.name] = course
            problems += found
    return courses, problems


def read_course(folder: Path) -> tuple[Course, list[Problem]]:
    """One course; lessons that cannot be read are left out and come back as problems."""
    path = folder / "course.yaml"
    if not _SLUG.match(folder.name):
        raise ContentError.at(path, 1, "a course folder is named with lower case letters, digits and hyphens")
    file = parse(read_text(path), CourseFile, path)
    stops: list[Stop] = []
    problems: list[Problem] = []
    named: set[str] = set()
    number = 0
    for part in file.parts:
        for step in part.steps:
            if step.lesson is None:
                stops.append(Stop(part.title, None, step.lab))
                continue
            if step.lesson in named:
                problems.append(Problem(path, 1, f"lesson {step.lesson!r} is named twice"))
                continue
            named.add(step.lesson)
            try:
                lesson = read_lesson(folder / f"{step.lesson}.md")
            except ContentError as error:
                problems += error.problems
                continue
            number += 1
            stops.append(Stop(part.title, lesson, None, number))
    problems += [
        Problem(extra, 1, "course.yaml does not name this lesson; add it to a part")
        for extra in sorted(folder.glob("*.md"))
        if extra.stem not in named
    ]
    return Course(folder.name, folder, file, tuple(stops)), problems


def read_lesson(path: Path) -> Lesson:
    """One lesson; :class:`ContentError` with every problem found in it."""
    text = read_text(path).replace("\r\n", "\n")
    lines = text.split("\n")
    if lines[0].strip() != "---" or "---" not in [line.strip() for line in lines[1:]]:
        raise ContentError.at(path, 1, "a lesson begins with front matter between two lines of '---'")
    end = next(index for index, line in enumerate(lines[1:], 1) if line.strip() == "---")
    head = parse("\n".join(lines[1:end]), LessonHead, path, first_line=2)
    body = "\n".join(lines[end + 1 :])
    body_line = end + 2
    questions = _questions(body, body_line, path)
    return Lesson(path.stem, path, head, _QUIZ.sub("", body), body_line, questions)


def _questions(body: str, body_line: int, path: Path) -> tuple[Question, ...]:
    questions: list[Question] = []
    for block in _QUIZ.finditer(body):
        line = body_line + body.count("\n", 0, block.start(1))
        for question in parse_list(block.group(1), Question, path, first_line=line):
            if any(question.id == other.id for other in questions):
                raise ContentError.at(path, line, f"there are two questions with the id {question.id!r}")
            questions.append(question)
    if "```quiz" in _QUIZ.sub("", body):
        raise ContentError.at(path, body_line, "a quiz block is not closed; end it with a line of '```'")
    return tuple(questions)


def _signature(roots: Iterable[Path]) -> Iterable[tuple[str, int, int]]:
    for root in roots:
        for pattern in ("*/course.yaml", "*/*.md", "*/*.svg"):
            for path in sorted(root.glob(pattern)):
                stat = path.stat()
                yield str(path), stat.st_mtime_ns, stat.st_size
