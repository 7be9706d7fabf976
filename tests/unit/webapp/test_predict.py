"""Predictions on the lab page: asked, kept, closed, and shown with what happened; and what a class believes."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from labs.bootstrap import Kindling
from tests.doubles.providers import ScriptedGrader
from tests.unit.labs.test_predictions import asking_and_quiet
from tests.unit.webapp.conftest import Enter, text_of


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    return asking_and_quiet(tmp_path / "catalog")


@pytest.fixture
def grader() -> ScriptedGrader:
    made = ScriptedGrader()
    made.happened = {"who": "controller"}
    return made


def handed_in(services: Kindling, learner: str = "ada") -> str:
    """An attempt, graded; its id."""
    session = services.sessions.wait(services.sessions.start(learner, "first").id)
    return services.sessions.follow(services.sessions.check(session.id, learner).id, learner).id


def test_questions_are_asked_before_anything_is_started(enter: Enter) -> None:
    ada = enter()
    answer = ada.get("/labs/first/")
    page, said = answer.get_data(as_text=True), text_of(answer)
    assert "Who makes the pod of" in said
    assert "${app}" not in said
    assert page.count('name="answer-who"') == 3
    assert page.count("<fieldset") >= 2
    assert "The kubelet replaces pods" not in page
    assert "It only keeps what it has" not in page
    assert 'data-fragment="predict"' not in ada.get("/labs/quiet/").get_data(as_text=True)


def test_answers_are_kept_without_script_and_with_it(enter: Enter, services: Kindling) -> None:
    ada = enter()
    ada.get("/labs/first/")
    answer = ada.post("/labs/first/predict", {"answer-who": "kubelet"})
    assert (answer.status_code, answer.location) == (302, "/labs/first/#predict")
    assert "You said The kubelet" in text_of(ada.get("/labs/first/"))
    sent = ada.send("/labs/first/predict", {"answer-colour": "red"})
    assert "You said" in sent.get_json()["html"]["predict"]
    assert [one.answer and one.answer.name for one in services.predictions.of("ada", "first")] == ["kubelet", "red"]


@pytest.mark.parametrize(
    ("fields", "status", "said"),
    [
        ({}, 422, "Choose an answer first."),
        ({"answer-who": "nobody"}, 409, "who is answered already, and an answer stays"),
        ({"answer-colour": "green"}, 404, "colour has no option 'green'"),
        ({"answer-" + "x" * 5000: "<b>"}, 404, "does not ask"),
    ],
)
def test_what_cannot_be_kept_is_said(enter: Enter, fields: dict[str, object], status: int, said: str) -> None:
    ada = enter()
    ada.send("/labs/first/predict", {"answer-who": "kubelet"})
    answer = ada.send("/labs/first/predict", fields)
    assert answer.status_code == status
    assert said in answer.get_json()["error"]
    assert ada.post("/labs/first/predict", fields).status_code == status


def test_the_first_check_closes_them_and_shows_what_happened(enter: Enter, services: Kindling) -> None:
    ada = enter()
    before = ada.get("/labs/first/state").get_json()["version"]
    ada.send("/labs/first/predict", {"answer-who": "kubelet"})
    assert ada.get("/labs/first/state").get_json()["version"] != before
    attempt = handed_in(services)
    said = text_of(ada.get("/labs/first/"))
    assert "What happened A controller Not quite. 0 of 2 points. Misconception: The kubelet replaces pods" in said
    assert "It only keeps what it has." in said
    assert "nothing before your first check" not in said
    assert "Keep my answer" not in said
    assert ada.send("/labs/first/predict", {"answer-colour": "red"}).status_code == 409
    assert "What you had predicted" in text_of(ada.get(f"/attempts/{attempt}/"))


def test_they_are_for_who_is_signed_in(enter: Enter, services: Kindling) -> None:
    stranger = enter("bob")
    stranger.send("/labs/first/predict", {"answer-who": "kubelet"})
    assert services.predictions.of("ada", "first")[0].answer is None
    assert stranger.client.post("/labs/first/predict", base_url="http://localhost").status_code in (400, 401, 302)


def test_the_instructor_sees_what_a_class_believes(enter: Enter, services: Kindling) -> None:
    services.accounts.ensure("olga", "instructor")
    made = services.classes.create_class("Autumn", "olga")
    for name, option in (("ada", "kubelet"), ("bea", "controller")):
        services.accounts.ensure(name)
        services.classes.join(made.join_code, name)
        services.predictions.answer(name, "first", {"who": option})
        handed_in(services, name)
    olga, base = enter("olga", "instructor"), f"/classes/{made.id}"
    said = text_of(olga.get(f"{base}/"))
    assert "Misconceptions" in said
    assert "The kubelet replaces pods 1 /2" in said
    lab = text_of(olga.get(f"{base}/labs/first/"))
    assert "2 learners answered; 1 of the 2 who have seen what happens were right." in lab
    learner = text_of(olga.get(f"{base}/learners/ada/"))
    assert "They said The kubelet What happened A controller" in learner
    rows = list(csv.DictReader(io.StringIO(olga.get(f"{base}/misconceptions.csv").get_data(as_text=True))))
    assert (rows[0]["misconception"], rows[0]["learners"], rows[0]["asked"]) == ("The kubelet replaces pods", "1", "2")
    rows = list(csv.DictReader(io.StringIO(olga.get(f"{base}/labs/first/predictions.csv").get_data(as_text=True))))
    assert [row["chosen"] for row in rows if row["question"] == "who"] == ["1", "1", "0"]


def test_a_removal_says_that_predictions_go(enter: Enter, services: Kindling) -> None:
    ada = enter()
    ada.send("/labs/first/predict", {"answer-who": "kubelet"})
    assert "Your 1 prediction in labs" in text_of(ada.get("/profile/delete"))
