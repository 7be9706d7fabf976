"""Predictions: asked before anything is touched, kept as given, settled by what happened, and what a class believes."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from grader.protocol import Outcome
from labs import report as reports
from labs.bootstrap import Kindling
from labs.definition import load_lab
from labs.errors import Malformed, NotFound, NotNow
from labs.lint import lint
from labs.records.models import Prediction
from labs.session import PredictionView
from tests.doubles.providers import ManualClock, ScriptedGrader
from tests.unit.labs.conftest import CHECKS, LAB_YAML, write_lab
from tests.unit.labs.test_lint import FAILED, PASSED, add_state
from tests.unit.labs.test_session import graded, ready

PREDICT = """\
predict:
  who:
    question: Who makes the pod of ${app} again?
    points: 2
    options:
      kubelet: {text: The kubelet, misconception: The kubelet replaces pods, feedback: It only keeps what it has.}
      controller: {text: A controller, feedback: It compares what is with what should be.}
      nobody: {text: Nobody, misconception: Deleted is deleted, feedback: Something owns it.}
  colour:
    question: Which colour?
    answer: red
    options:
      red: {text: Red}
      blue: {text: Blue, misconception: Everything is blue, feedback: Not this.}
"""
ASKING = LAB_YAML.replace("points: 10", "points: 12") + PREDICT
MEASURING = CHECKS.replace(
    "def test_second(cluster): ...", 'def test_second(cluster, predict):\n    predict.happened("who", "controller")'
)


def asking_and_quiet(catalog: Path) -> Path:
    """Write two labs there: ``first`` asks two questions, ``quiet`` none."""
    write_lab(catalog, "first", ASKING, MEASURING)
    write_lab(catalog, "quiet")
    return catalog


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    """A catalog whose lab ``first`` asks two questions: one is measured, one has its answer in ``lab.yaml``."""
    write_lab(tmp_path / "catalog", "first", ASKING, MEASURING)
    return tmp_path / "catalog"


@pytest.fixture
def grader() -> ScriptedGrader:
    made = ScriptedGrader()
    made.happened = {"who": "controller"}
    return made


def answers(seen: list[PredictionView]) -> dict[str, str | None]:
    return {one.name: one.answer.name if one.answer else None for one in seen}


class TestDefinition:
    def test_questions_are_read_with_the_learners_parameters(self, catalog: Path) -> None:
        lab = load_lab(catalog / "first")
        who, colour = lab.questions({"app": "aurora", "replicas": 2})
        assert (who.text, who.points, who.answer) == ("Who makes the pod of aurora again?", 2, "")
        assert [(one.name, one.misconception) for one in who.options] == [
            ("kubelet", "The kubelet replaces pods"),
            ("controller", ""),
            ("nobody", "Deleted is deleted"),
        ]
        assert (colour.answer, colour.points) == ("red", 0)
        assert lab.measured == {"who": ["kubelet", "controller", "nobody"]}

    @pytest.mark.parametrize(
        ("old", "new", "said"),
        [
            (", misconception: Deleted is deleted", "", "expected a misconception for all options but one"),
            (", feedback: Something owns it.", "", "expected feedback beside misconception"),
            ("answer: red", "answer: blue", "expected answer to be the option that has no misconception"),
            ("answer: red", "answer: green", "expected answer to be the option that has no misconception"),
            ("points: 2\n", "points: -1\n", "greater than or equal to 0"),
            ("      red: {text: Red}\n", "", "at least 2 items"),
        ],
    )
    def test_what_does_not_fit_is_refused_with_its_line(self, catalog: Path, old: str, new: str, said: str) -> None:
        assert old in ASKING
        with pytest.raises(Malformed) as raised:
            load_lab(write_lab(catalog, "bad", ASKING.replace(old, new)))
        assert said in raised.value.expected
        assert raised.value.line > 13

    @pytest.mark.parametrize(
        ("lab", "checks", "said"),
        [
            (ASKING, CHECKS, ["lab.yaml:15: expected an answer to who, or a check that measures it"]),
            (ASKING, MEASURING.replace('"controller"', '"scheduler"'), ["checks.py:10: who has no option scheduler"]),
            (ASKING, MEASURING.replace('"who"', '"colour"'), ["checks.py:10: colour has an answer", "lab.yaml:15: "]),
            (ASKING, MEASURING.replace('"who"', "cluster"), ["checks.py:10: expected predict.happened", "lab.yaml:15"]),
            (ASKING.replace("points: 12", "points: 10"), MEASURING, ["lab.yaml:5: points is 10, but the checks and q"]),
            (
                ASKING.replace("of ${app} again", "of ${pod} again"),
                MEASURING,
                ["lab.yaml:14: ${pod} is not a parameter"],
            ),
        ],
    )
    def test_lint_holds_questions_and_checks_together(
        self, catalog: Path, lab: str, checks: str, said: list[str]
    ) -> None:
        folder = write_lab(catalog, "first", lab, checks)
        for name in ("solved", "alternative-a", "alternative-b"):
            add_state(folder, name, PASSED)
        for letter in "abcde":
            add_state(folder, f"broken-{letter}", FAILED)
        found = [f"{Path(one.file).name}:{one.line}: {one.message}" for one in lint(folder)]
        assert len(found) == len(said)
        assert all(one.startswith(start) for one, start in zip(found, said, strict=True)), found

    def test_an_option_may_be_worked_out_by_the_check(self, catalog: Path) -> None:
        folder = write_lab(catalog, "first", ASKING, MEASURING.replace('"controller"', "str(cluster)"))
        assert not [one for one in lint(folder) if "predict" in one.message or "who" in one.message]

    def test_a_state_says_what_must_have_happened(self, catalog: Path) -> None:
        folder = catalog / "first"
        state = add_state(folder, "solved", PASSED) / "state.yaml"
        state.write_text(state.read_text() + "happened: {who: scheduler, colour: red}\n")
        found = [one.message for one in lint(folder) if "measures" in one.message]
        assert found == [
            "no check measures a question colour with an option red",
            "no check measures a question who with an option scheduler",
        ]


class TestAnswering:
    def test_an_answer_is_kept_with_its_time_before_anything_is_started(
        self, services: Kindling, clock: ManualClock
    ) -> None:
        seen = services.predictions.answer("ada", "first", {"who": "kubelet"})
        assert answers(seen) == {"who": "kubelet", "colour": None}
        assert (seen[0].answered_at, seen[0].open, seen[1].open) == (clock.at, False, True)
        assert (seen[0].right, seen[0].feedback, seen[0].misconception) == (None, "", "")
        assert services.sessions.all("ada") == []

    def test_the_same_answer_again_changes_nothing_and_another_is_refused(
        self, services: Kindling, clock: ManualClock
    ) -> None:
        first = services.predictions.answer("ada", "first", {"who": "kubelet"})
        clock.pass_time(minutes=1)
        assert services.predictions.answer("ada", "first", {"who": "kubelet"}) == first
        with pytest.raises(NotNow, match="an answer stays"):
            services.predictions.answer("ada", "first", {"who": "nobody", "colour": "red"})
        assert answers(services.predictions.of("ada", "first")) == {"who": "kubelet", "colour": None}

    @pytest.mark.parametrize("given", [{"when": "red"}, {"who": "red"}, {"colour": "red", "who": ""}])
    def test_what_is_not_asked_is_refused_and_nothing_is_kept(self, services: Kindling, given: dict[str, str]) -> None:
        with pytest.raises(NotFound):
            services.predictions.answer("ada", "first", given)
        assert answers(services.predictions.of("ada", "first")) == {"who": None, "colour": None}

    def test_the_first_hand_in_closes_questions_for_good(self, services: Kindling) -> None:
        session = ready(services)
        services.predictions.answer("ada", "first", {"colour": "blue"})
        services.sessions.check(session.id, "ada")
        with pytest.raises(NotNow, match="has been handed in"):
            services.predictions.answer("ada", "first", {"who": "controller"})
        assert [one.open for one in services.predictions.of("ada", "first")] == [False, False]
        services.sessions.wait(services.sessions.stop(session.id, "ada").id)
        ready(services)
        with pytest.raises(NotNow):
            services.predictions.answer("ada", "first", {"who": "controller"})

    def test_they_are_nobody_elses(self, services: Kindling) -> None:
        services.accounts.ensure("bob")
        services.predictions.answer("ada", "first", {"who": "kubelet"})
        assert answers(services.predictions.of("bob", "first")) == {"who": None, "colour": None}

    def test_a_lab_without_questions_asks_none(self, services: Kindling, catalog: Path) -> None:
        write_lab(catalog, "quiet")
        assert services.predictions.of("ada", "quiet") == []


class TestSettling:
    def test_what_a_check_measured_settles_it_with_points_and_a_name(self, services: Kindling) -> None:
        services.predictions.answer("ada", "first", {"who": "controller", "colour": "blue"})
        attempt = graded(services, ready(services))
        assert (attempt.outcome, attempt.score, attempt.max_score) == ("passed", 12, 12)
        who, colour = services.predictions.of("ada", "first")
        assert (who.right, who.misconception, who.attempt) == (True, "", 1)
        assert who.feedback == "It compares what is with what should be."
        assert (colour.right, colour.misconception, colour.feedback) == (False, "Everything is blue", "Not this.")

    def test_a_wrong_or_missing_answer_gets_no_points_and_no_other_outcome(self, services: Kindling) -> None:
        attempt = graded(services, ready(services))
        assert (attempt.outcome, attempt.score, attempt.max_score) == ("passed", 10, 12)
        who, _ = services.predictions.of("ada", "first")
        assert (who.answer, who.right, who.misconception) == (None, None, "")
        assert (who.happened and who.happened.name, who.feedback) == (
            "controller",
            "It compares what is with what should be.",
        )

    def test_what_no_check_got_to_measure_stays_open_and_what_was_shown_first_stands(
        self, services: Kindling, grader: ScriptedGrader
    ) -> None:
        services.predictions.answer("ada", "first", {"who": "controller"})
        session = ready(services)
        grader.happened = {}
        assert graded(services, session).score == 10
        assert services.predictions.of("ada", "first")[0].happened is None
        grader.happened = {"who": "controller"}
        assert graded(services, session).score == 12
        grader.happened = {"who": "nobody"}
        assert graded(services, session).score == 12
        who = services.predictions.of("ada", "first")[0]
        assert (who.happened and who.happened.name, who.attempt) == ("controller", 2)

    def test_an_ungradable_attempt_settles_nothing(self, services: Kindling, grader: ScriptedGrader) -> None:
        services.predictions.answer("ada", "first", {"colour": "blue"})
        grader.outcomes = {"first": Outcome.UNGRADABLE}
        assert not graded(services, ready(services)).counted
        assert [one.happened for one in services.predictions.of("ada", "first")] == [None, None]

    def test_the_grader_is_told_the_options_and_never_the_answers(
        self, services: Kindling, grader: ScriptedGrader
    ) -> None:
        services.predictions.answer("ada", "first", {"who": "nobody"})
        graded(services, ready(services))
        assert grader.requests[0].questions == {"who": ["kubelet", "controller", "nobody"]}

    def test_a_question_that_is_gone_is_not_shown_and_breaks_nothing(self, services: Kindling, catalog: Path) -> None:
        services.predictions.answer("ada", "first", {"who": "kubelet"})
        write_lab(catalog, "first", LAB_YAML, CHECKS)
        assert services.predictions.of("ada", "first") == []
        assert graded(services, ready(services)).score == 10


@pytest.fixture
def school(services: Kindling) -> str:
    """ada believes in kubelets and blue, bob in kubelets; carol was right; dora has not answered. prof teaches."""
    services.accounts.ensure("prof", role="instructor")
    info = services.classes.create_class("First", "prof")
    given = {
        "ada": {"who": "kubelet", "colour": "blue"},
        "bob": {"who": "kubelet"},
        "carol": {"who": "controller", "colour": "red"},
        "dora": {},
    }
    for name, chosen in given.items():
        services.accounts.ensure(name)
        services.classes.join(info.join_code, name)
        services.predictions.answer(name, "first", chosen)
        if name != "bob":
            graded(services, ready(services, name))
    return info.id


class TestReports:
    def test_a_class_has_misconceptions_the_most_frequent_first(self, services: Kindling, school: str) -> None:
        made = services.reports.class_report("prof", school)
        assert [(one.name, one.learners, one.asked, one.labs) for one in made.misconceptions] == [
            ("The kubelet replaces pods", 2, 3, ["A first lab"]),
            ("Everything is blue", 1, 2, ["A first lab"]),
            ("Deleted is deleted", 0, 3, ["A first lab"]),
        ]
        table = list(csv.DictReader(io.StringIO(reports.misconceptions_csv(made.misconceptions))))
        assert table[0]["misconception"] == "The kubelet replaces pods"
        assert (table[0]["learners"], table[0]["asked"], table[0]["share"]) == ("2", "3", "0.667")

    def test_a_lab_shows_who_chose_what_and_what_happened(self, services: Kindling, school: str) -> None:
        who, colour = services.reports.lab_report("prof", "first", school).questions
        assert (who.text, who.answered, who.settled, who.right) == ("Who makes the pod of APP again?", 3, 2, 1)
        assert [(one.name, one.chosen, one.happened) for one in who.options] == [
            ("kubelet", 2, 0),
            ("controller", 1, 2),
            ("nobody", 0, 0),
        ]
        assert (colour.answered, colour.right) == (2, 1)
        made = services.reports.lab_report("prof", "first", school)
        lines = list(csv.DictReader(io.StringIO(reports.questions_csv(made))))
        assert [(one["question"], one["option"], one["chosen"]) for one in lines][:2] == [
            ("who", "kubelet", "2"),
            ("who", "controller", "1"),
        ]

    def test_a_learner_is_shown_with_what_they_said(self, services: Kindling, school: str) -> None:
        found = services.reports.learner_report("prof", "ada").predictions["first"]
        assert [(one.name, one.misconception) for one in found] == [
            ("who", "The kubelet replaces pods"),
            ("colour", "Everything is blue"),
        ]
        assert [one.answer for one in services.reports.learner_report("prof", "dora").predictions["first"]] == [
            None
        ] * 2

    def test_an_answer_that_came_true_is_no_misconception(self, services: Kindling, grader: ScriptedGrader) -> None:
        grader.happened = {"who": "nobody"}
        services.predictions.answer("ada", "first", {"who": "nobody"})
        assert graded(services, ready(services)).score == 12
        beliefs = {one.name: one.learners for one in services.reports.class_report(None).misconceptions}
        assert beliefs["Deleted is deleted"] == 0


def test_they_are_exported_and_go_with_the_account(services: Kindling) -> None:
    services.predictions.answer("ada", "first", {"who": "kubelet"})
    out = io.StringIO()
    services.export.write("ada", out)
    (told,) = json.loads(out.getvalue())["predictions"]
    assert (told["lab"], told["question"], told["option"]) == ("first", "who", "kubelet")
    assert services.removals.preview("ada").predictions == 1
    services.removals.remove("ada", "ada")
    with services.records.read() as tx:
        assert tx.query(Prediction).count() == 0


def test_stamps_differ_when_somebody_answers(services: Kindling) -> None:
    with services.records.read() as tx:
        from labs.session.queries import user_of

        subject = (user_of(tx, "ada").id, "first")
    before = services.sessions.stamps([subject])
    services.predictions.answer("ada", "first", {"who": "kubelet"})
    assert services.sessions.stamps([subject]) != before
