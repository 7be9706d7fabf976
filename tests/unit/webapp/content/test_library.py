"""Reading courses: what is right loads, what is wrong is named with file and line, and neither harms the other."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.unit.webapp.conftest import LESSON, write_course
from webapp.content import Library
from webapp.content.library import read_lesson, read_roots


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_course(tmp_path / "content")


def problems(folder: Path) -> list[str]:
    """What is wrong below a course's root, with the file's name only."""
    _, found = read_roots([folder.parent])
    return [f"{problem.path.name}:{problem.line}: {problem.message}" for problem in found]


def test_a_course_in_its_order(folder: Path) -> None:
    library = Library([folder.parent])
    course = library.course("a-course")
    assert course is not None
    assert [lesson.slug for lesson in course.lessons()] == ["one", "second"]
    assert course.labs() == ["first", "absent"]
    before, after = course.around(lesson="second")
    assert before is not None
    assert before.lab == "first"
    assert after is not None
    assert after.lab == "absent"
    assert course.around(lesson="one")[0] is None
    assert library.problems == []
    around = library.around_lab("first")
    assert around is not None
    assert around[1] is not None
    assert around[1].lesson is course.lesson("one")


def test_the_quiz_is_taken_out_of_the_text(folder: Path) -> None:
    lesson = read_lesson(folder / "one.md")
    assert "quiz" not in lesson.body
    assert "It is this" not in lesson.body
    assert [question.id for question in lesson.questions] == ["one", "several"]


def test_what_is_right(folder: Path) -> None:
    one, several = read_lesson(folder / "one.md").questions
    assert [one.right([0]), one.right([1]), one.right([])] == [True, False, False]
    assert [several.right([0, 2]), several.right([2, 0, 0]), several.right([0]), several.right([0, 1, 2])] == [
        True,
        True,
        False,
        False,
    ]
    assert [one.valid([0]), one.valid([0, 1]), one.valid([7]), one.valid([])] == [True, False, False, False]
    assert several.valid([0, 1])


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        (("minutes: 3", "minutes: many"), "one.md:4: minutes: input should be a valid integer"),
        (("summary: What it is about.\n", ""), "one.md:2: summary: field required"),
        (("minutes: 3", "minutes: 3\nlevel: x"), "one.md:5: level: extra inputs are not permitted"),
        (("title: The first lesson", "title: [The"), "one.md:3: not YAML"),
        (("correct: true}\n    - {text: That", "}\n    - {text: That"), "expected exactly one answer with 'correct"),
        (("id: several", "id: one"), "there are two questions with the id 'one'"),
        (("because: No to B.", "becuse: No to B."), "one.md:25: answers.1.because: field required"),
        (("id: one\n", "id: One!\n"), "one.md:15: id: string should match pattern"),
        (("```quiz", "```quiz\nnot a list: x"), "one.md:1"),
    ],
)
def test_a_malformed_lesson_is_named_and_the_others_load(folder: Path, change: tuple[str, str], wanted: str) -> None:
    (folder / "one.md").write_text(LESSON.replace(*change, 1))
    found = problems(folder)
    assert any(line.startswith(wanted) or wanted in line for line in found), found
    course = Library([folder.parent]).course("a-course")
    assert course is not None
    assert [lesson.slug for lesson in course.lessons()] == ["second"]


def test_every_problem_of_a_quiz_is_named_at_once(folder: Path) -> None:
    (folder / "one.md").write_text(LESSON.replace("correct: true", "correct: perhaps"))
    assert len(problems(folder)) >= 3


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        (b"No front matter.\n", "begins with front matter"),
        (b"---\ntitle: x\n", "begins with front matter"),
        (b"", "begins with front matter"),
        (b"\xff\xfe\x00", "expected text in UTF-8"),
        (b"x" * (1024 * 1024 + 1), "expected at most"),
        (LESSON.replace("choose: many", "choose: several").encode(), "choose: input should be 'one' or 'many'"),
        (LESSON.rstrip().removesuffix("```").encode(), "not closed"),
        (b"---\na: &a [x]\nb: [*a, *a]\n---\n", "title: field required"),
    ],
)
def test_what_is_no_lesson_is_said(folder: Path, content: bytes, wanted: str) -> None:
    (folder / "one.md").write_bytes(content)
    assert any(wanted in line for line in problems(folder)), problems(folder)


def test_missing_forgotten_and_doubled_lessons(folder: Path) -> None:
    (folder / "second.md").unlink()
    (folder / "extra.md").write_text(LESSON)
    text = (folder / "course.yaml").read_text()
    (folder / "course.yaml").write_text(text.replace("- lab: absent", "- lesson: one"))
    said = " / ".join(problems(folder))
    assert "second.md:1: cannot be read: No such file" in said
    assert "extra.md:1: course.yaml does not name this lesson" in said
    assert "lesson 'one' is named twice" in said


def test_a_malformed_course_leaves_the_other_courses(folder: Path) -> None:
    write_course(folder.parent, "b-course")
    (folder / "course.yaml").write_text("title: A\nsummary: B\nparts:\n  - title: C\n    steps:\n      - {}\n")
    courses, found = read_roots([folder.parent])
    assert list(courses) == ["b-course"]
    assert [(problem.path.name, problem.line) for problem in found] == [("course.yaml", 6)]
    assert "expected either 'lesson: NAME' or 'lab: NAME'" in found[0].message


def test_roots_that_are_missing_or_hold_the_same_course(folder: Path, tmp_path: Path) -> None:
    write_course(tmp_path / "more")
    courses, found = read_roots([folder.parent, tmp_path / "more", tmp_path / "nowhere"])
    assert courses["a-course"].folder == folder
    assert ["already a course" in found[0].message, "must be a folder" in found[1].message] == [True, True]


def test_a_change_is_seen(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("webapp.content.library.time.monotonic", lambda: now[0])
    library = Library([folder.parent])
    assert library.courses()[0].title == "A course"
    path = folder / "course.yaml"
    path.write_text(path.read_text().replace("A course", "Another"))
    os.utime(path, (1, 1))
    assert library.courses()[0].title == "A course", "not looked at again for a moment"
    now[0] = 2.0
    assert library.courses()[0].title == "Another"
