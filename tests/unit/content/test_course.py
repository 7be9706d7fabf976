"""The course that is shipped: whole, linked, and with a quiz worth taking."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from labs.library import Library as Labs
from webapp.content import Course, Lesson, Library
from webapp.content.render import internal_links, page

ROOT = Path(__file__).resolve().parents[3]
COURSE = "kubernetes-architecture"


@pytest.fixture(scope="module")
def course() -> Course:
    library = Library([ROOT / "content"])
    assert library.problems == []
    found = library.course(COURSE)
    assert found is not None
    return found


def lessons() -> list[Lesson]:
    found = Library([ROOT / "content"]).course(COURSE)
    assert found is not None
    return list(found.lessons())


def test_it_surrounds_the_four_labs(course: Course) -> None:
    assert course.labs() == ["pods", "services", "scaling", "self-healing"]
    for lab in course.labs():
        before, after = course.around(lab=lab)
        assert before is not None
        assert before.lesson is not None, f"nothing to read before {lab}"
        assert after is not None
        assert after.lesson is not None, f"nothing to read after {lab}"
        assert ("lab", lab) in [(kind, name) for kind, name, _ in internal_links(before.lesson.body)]


def test_its_labs_exist(course: Course) -> None:
    there = {lab.name for lab in Labs([ROOT / "labs" / "catalog"]).all()}
    assert set(course.labs()) <= there


@pytest.mark.parametrize("lesson", lessons(), ids=lambda lesson: lesson.slug)
def test_links_and_drawings_lead_somewhere(lesson: Lesson, course: Course) -> None:
    known = {one.slug for one in course.lessons()}
    for kind, name, line in internal_links(lesson.body):
        there = name in (known if kind == "lesson" else course.labs())
        assert there, f"{lesson.path}:{lesson.body_line + line}: no {kind} {name}"
    for name in re.findall(r"\]\(([a-z-]+)\.svg\)", lesson.body):
        assert (course.folder / f"{name}.svg").is_file(), name
    assert "@@" not in page(lesson.body, lambda *_: "/", course.folder)


@pytest.mark.parametrize("lesson", lessons(), ids=lambda lesson: lesson.slug)
def test_every_lesson_asks_and_explains(lesson: Lesson) -> None:
    assert 2 <= len(lesson.questions) <= 5
    for question in lesson.questions:
        assert len({answer.text for answer in question.answers}) == len(question.answers)
        assert all(len(answer.because) >= 20 for answer in question.answers), question.id


def test_the_right_answer_is_not_always_in_the_same_place() -> None:
    places = [
        index
        for lesson in lessons()
        for question in lesson.questions
        if question.choose == "one"
        for index, answer in enumerate(question.answers)
        if answer.correct
    ]
    assert all(places.count(place) < 0.7 * len(places) for place in set(places)), places


@pytest.mark.parametrize("lesson", lessons(), ids=lambda lesson: lesson.slug)
def test_reading_time_is_honest(lesson: Lesson) -> None:
    words = len(lesson.body.split()) + sum(len(question.question.split()) * 8 for question in lesson.questions)
    assert words / 230 <= lesson.head.minutes <= words / 60


@pytest.mark.parametrize("path", sorted((ROOT / "content" / COURSE).glob("*.svg")), ids=lambda path: path.stem)
def test_every_drawing_says_what_it_shows_and_is_used(path: Path) -> None:
    text = path.read_text()
    found = re.search(r"<title[^>]*>([^<]{20,})</title>", text)
    assert found, "a drawing needs a title for who cannot see it"
    assert "fill=" not in text, "colours come from the style sheet, for both themes"
    assert any(f"({path.name})" in lesson.body for lesson in lessons())
