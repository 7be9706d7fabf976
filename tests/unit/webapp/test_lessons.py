"""Courses and lessons as pages, and the quiz: answered by form or by script, kept for who is signed in."""

from __future__ import annotations

from pathlib import Path

import pytest

from labs.bootstrap import Kindling
from tests.unit.webapp.conftest import Enter, Visitor, text_of, with_courses, write_course
from webapp import create_app

ONE = "/courses/a-course/one/"


def test_a_visitor_reads_freely(visitor: Visitor) -> None:
    home = text_of(visitor.get("/"))
    assert "The first lesson" in home
    assert "A first lab" in home
    assert "This lab is not installed here." in home
    page = visitor.get(ONE).get_data(as_text=True)
    assert 'href="/labs/first/"' in page
    assert 'href="/courses/a-course/second/"' in page
    assert "because" not in page, "explanations come with an answer"
    assert "It is this" not in page


@pytest.mark.parametrize("path", ["/courses/none/", "/courses/a-course/none/", "/courses/../etc/"])
def test_what_is_not_there(visitor: Visitor, path: str) -> None:
    assert visitor.get(path).status_code == 404


def test_answers_of_a_visitor_stay_in_the_cookie(visitor: Visitor, services: Kindling) -> None:
    answer = visitor.post(ONE + "quiz/one", {"answer": "1"})
    assert answer.location == ONE + "#question-one"
    said = text_of(visitor.get(ONE))
    assert "No. It is not that." in said
    assert "It is this" not in said
    assert "Right. It is this." in text_of(visitor.post(ONE + "quiz/one", {"answer": "0"}, follow_redirects=True))
    assert services.accounts.all() == [services.accounts.get("ada")]


def test_answers_of_an_account_are_kept(enter: Enter) -> None:
    ada = enter()
    ada.post(ONE + "quiz/one", {"answer": "1"})
    ada.post(ONE + "quiz/one", {"answer": "0"})
    again = enter()
    assert "Right. It is this." in text_of(again.get(ONE))
    assert "1 of 2 questions" in text_of(again.get("/"))
    again.post(ONE + "quiz/several", {"answer": ["0", "2"]})
    assert "quiz done" in text_of(again.get("/"))
    assert "1 of 4 done" in text_of(again.get("/"))
    assert "It is this" not in text_of(enter("eve").get(ONE))


def test_several_answers_must_all_be_right(enter: Enter) -> None:
    ada = enter()
    body = ada.send(ONE + "quiz/several", {"answer": ["0"]}).json
    assert body is not None
    assert body["say"] == "Not right yet."
    assert "Not all of it yet." in body["html"]
    body = ada.send(ONE + "quiz/several", {"answer": ["2", "0"]}).json
    assert body is not None
    assert body["say"] == "Right."


@pytest.mark.parametrize("chosen", [[], ["9"], ["x"], ["-1"], ["0", "1"], ["²"], ["٠"], ["9" * 5000]])
def test_what_is_no_answer_is_not_kept(enter: Enter, chosen: list[str]) -> None:
    ada = enter()
    assert ada.send(ONE + "quiz/one", {"answer": chosen}).status_code == 422
    assert ada.post(ONE + "quiz/one", {"answer": chosen}).status_code == 302
    assert "question-end" in ada.get(ONE).get_data(as_text=True)
    assert 'class="verdict' not in ada.get(ONE).get_data(as_text=True)


def test_no_such_question(enter: Enter) -> None:
    assert enter().post(ONE + "quiz/none", {"answer": "0"}).status_code == 404


def test_several_courses_are_a_choice_and_none_is_said(services: Kindling, tmp_path: Path) -> None:
    write_course(tmp_path / "two")
    write_course(tmp_path / "two", "b-course")
    two = Visitor(create_app(with_courses(services, tmp_path / "two")).test_client())
    page = two.get("/").get_data(as_text=True)
    assert "/courses/a-course/" in page
    assert "/courses/b-course/" in page
    none = Visitor(create_app(with_courses(services, tmp_path)).test_client())
    assert "KINDLING_COURSES" in text_of(none.get("/"))


def test_where_to_go_on(enter: Enter, services: Kindling) -> None:
    ada = enter()
    assert "Begin: The first lesson" in text_of(ada.get("/"))
    session = services.sessions.wait(services.sessions.start("ada", "first").id)
    assert "Go on: A first lab" in text_of(ada.get("/"))
    services.sessions.follow(services.sessions.check(session.id, "ada").id, "ada")
    said = text_of(ada.get("/"))
    assert "all points" in said
    assert "Go on: Another" in said


def test_problems_are_for_who_can_mend_them(enter: Enter, tmp_path: Path) -> None:
    (tmp_path / "content" / "a-course" / "one.md").write_text("nothing")
    assert "front matter" not in text_of(enter().get("/"))
    assert "one.md:1: a lesson begins with front matter" in text_of(enter("olga", "instructor").get("/"))
