"""Pages of courses."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import Any

from flask import Blueprint, Response, abort, jsonify, redirect, render_template, request, session, url_for
from werkzeug.wrappers import Response as BaseResponse

from webapp.content import Course, Lesson
from webapp.content.render import headings, page
from webapp.error_pages import wants_json
from webapp.lessons.outline import outline
from webapp.progress import Answered
from webapp.site import current_account_or_none, kindling, site

blueprint = Blueprint("lessons", __name__)
KEPT_FOR_VISITORS = 60
_NUMBER = re.compile(r"[0-9]{1,3}")


@blueprint.get("/")
def home() -> BaseResponse | str:
    """The course, when there is one; the choice, when there are more."""
    courses = site().courses.courses()
    if len(courses) == 1:
        return _course_page(courses[0])
    return render_template("lessons/courses.html", courses=courses, problems=site().courses.problems)


@blueprint.get("/courses/<course>/")
def course(course: str) -> str:
    """What comes in which order, and how far one is."""
    return _course_page(_course(course))


@blueprint.get("/courses/<course>/<lesson>/")
def lesson(course: str, lesson: str) -> str:
    """One lesson with its quiz."""
    found, read = _lesson(course, lesson)
    body = _rendered(read, found)
    before, after = found.around(lesson=lesson)
    return render_template(
        "lessons/lesson.html",
        course=found,
        lesson=read,
        body=body,
        headings=headings(body),
        answers=_answers(found, read),
        outline=outline(found, kindling(), site().progress, current_account_or_none()),
        before=before,
        after=after,
    )


@blueprint.post("/courses/<course>/<lesson>/quiz/<question>")
def answer(course: str, lesson: str, question: str) -> BaseResponse | Response:
    """Answer one question."""
    found, read = _lesson(course, lesson)
    asked = next((candidate for candidate in read.questions if candidate.id == question), None)
    if asked is None:
        abort(404)
    chosen = sorted({int(value) for value in request.form.getlist("answer") if _NUMBER.fullmatch(value)})
    where = url_for("lessons.lesson", course=course, lesson=lesson, _anchor=f"question-{question}")
    if asked.valid(chosen):
        _keep(found, read, question, Answered(chosen, asked.right(chosen)))
    elif wants_json():
        return jsonify(error="Choose an answer first."), 422  # type: ignore[return-value]  # Flask takes a pair
    if not wants_json():
        return redirect(where)
    answered = _answers(found, read).get(question)
    fragment = render_template("lessons/_question.html", course=found, lesson=read, question=asked, answered=answered)
    said = "Right." if answered and answered.correct else "Not right yet."
    return jsonify(html=fragment, say=said)


def _course_page(found: Course) -> str:
    seen = outline(found, kindling(), site().progress, current_account_or_none())
    return render_template("lessons/course.html", course=found, outline=seen, problems=site().courses.problems)


def _course(name: str) -> Course:
    found = site().courses.course(name)
    if found is None:
        abort(404)
    return found


def _lesson(course: str, lesson: str) -> tuple[Course, Lesson]:
    found = _course(course)
    read = found.lesson(lesson)
    if read is None:
        abort(404)
    return found, read


def _rendered(read: Lesson, course: Course) -> str:
    known = tuple(one.slug for one in course.lessons())
    drawings = tuple(path.stat().st_mtime_ns for path in sorted(course.folder.glob("*.svg")))
    return _page(read.body, course.slug, known, course.folder, drawings)


@lru_cache(maxsize=64)
def _page(body: str, course: str, known: tuple[str, ...], folder: Path, _drawings: tuple[int, ...]) -> str:
    def resolve(kind: str, name: str) -> str | None:
        if kind == "lab":
            return url_for("lab.page", lab=name)
        return url_for("lessons.lesson", course=course, lesson=name) if name in known else None

    return page(body, resolve, folder)


def _answers(course: Course, read: Lesson) -> dict[str, Answered]:
    account = current_account_or_none()
    if account is not None:
        return site().progress.answers(account.id, course.slug).get(read.slug, {})
    kept: dict[str, Any] = session.get("answers", {})
    return {
        question.id: Answered(kept[key], question.right(kept[key]))
        for question in read.questions
        if (key := f"{course.slug}/{read.slug}/{question.id}") in kept
    }


def _keep(course: Course, read: Lesson, question: str, answered: Answered) -> None:
    account = current_account_or_none()
    place = f"{course.slug}/{read.slug}"
    if account is not None:
        site().progress.record(account.id, place, question, answered.chosen, correct=answered.correct)
        return
    kept = dict(session.get("answers", {}))
    kept.pop(f"{place}/{question}", None)
    kept[f"{place}/{question}"] = answered.chosen
    session["answers"] = dict(list(kept.items())[-KEPT_FOR_VISITORS:])
