"""A course as one learner sees it: every stop with how far they are."""

from __future__ import annotations

from dataclasses import dataclass

from flask import url_for

from labs.accounts import Account
from labs.bootstrap import Kindling
from labs.definition import Lab
from labs.errors import Malformed, NotFound
from webapp.content import Course, Lesson
from webapp.content.models import Stop
from webapp.progress import Answered, Progress

Answers = dict[str, dict[str, Answered]]


@dataclass(frozen=True)
class Entry:
    """One line of the outline. ``state``: new, started, done. ``note``: a few words on how far."""

    part: str
    kind: str
    slug: str
    title: str
    summary: str
    minutes: int
    url: str
    state: str
    note: str
    number: int
    missing: bool = False


@dataclass(frozen=True)
class Outline:
    """A course with its entries by part, and where to go on."""

    course: Course
    parts: list[tuple[str, str, list[Entry]]]
    entries: list[Entry]

    @property
    def done(self) -> int:
        return sum(entry.state == "done" for entry in self.entries)

    @property
    def minutes(self) -> int:
        return sum(entry.minutes for entry in self.entries)

    @property
    def begun(self) -> bool:
        return any(entry.state != "new" for entry in self.entries)

    @property
    def next(self) -> Entry | None:
        """The first entry not done, after the last one that was begun."""
        last = max((index for index, entry in enumerate(self.entries) if entry.state != "new"), default=0)
        later = (entry for entry in self.entries[last:] if entry.state != "done" and not entry.missing)
        return next(later, next((entry for entry in self.entries if entry.state != "done"), None))


def outline(course: Course, kindling: Kindling, progress: Progress, account: Account | None) -> Outline:
    """The course as ``account`` (or a visitor) sees it."""
    answers = progress.answers(account.id, course.slug) if account else {}
    entries = [_entry(stop, course, kindling, answers, account) for stop in course.stops]
    parts = [
        (part.title, part.summary, [entry for entry in entries if entry.part == part.title])
        for part in course.file.parts
    ]
    return Outline(course, parts, entries)


def find_lab(kindling: Kindling, name: str) -> Lab | None:
    """A lab, or None when it is not there or cannot be loaded."""
    try:
        return kindling.labs.get(name)
    except (NotFound, Malformed):
        return None


def lesson_state(lesson: Lesson, answers: dict[str, Answered]) -> tuple[str, str]:
    """(state, note) of one lesson: done when every question was answered right."""
    right = sum(question.id in answers and answers[question.id].correct for question in lesson.questions)
    if not lesson.questions or not answers:
        return "new", ""
    if right == len(lesson.questions):
        return "done", "quiz done"
    return "started", f"{right} of {len(lesson.questions)} questions"


def _entry(stop: Stop, course: Course, kindling: Kindling, answers: Answers, account: Account | None) -> Entry:
    if stop.lesson is not None:
        lesson = stop.lesson
        state, note = lesson_state(lesson, answers.get(lesson.slug, {}))
        url = url_for("lessons.lesson", course=course.slug, lesson=lesson.slug)
        head = lesson.head
        return Entry(
            stop.part, "lesson", lesson.slug, head.title, head.summary, head.minutes, url, state, note, stop.number
        )
    name = stop.lab or ""
    lab = find_lab(kindling, name)
    url = url_for("lab.page", lab=name)
    if lab is None:
        said = "This lab is not installed here."
        return Entry(stop.part, "lab", name, name, said, 0, url, "new", "", 0, missing=True)
    state, note = lab_state(kindling, account, lab)
    return Entry(stop.part, "lab", name, lab.title, lab.goal, lab.minutes, url, state, note, 0)


def lab_state(kindling: Kindling, account: Account | None, lab: Lab) -> tuple[str, str]:
    """(state, note) of one lab: done when some counted attempt has every point."""
    if account is None:
        return "new", ""
    best = kindling.sessions.best(account.name, lab.name)
    if best is not None and best >= lab.points:
        return "done", "all points"
    if best is not None:
        return "started", f"best {best:g} of {lab.points:g}"
    current = kindling.sessions.current(account.name, lab.name)
    return ("started", "cluster " + current.state) if current else ("new", "")
