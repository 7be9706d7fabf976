"""What an instructor sees, and what nobody else does."""

from __future__ import annotations

import csv
import io

import pytest

from grader.protocol import Outcome
from labs import report as reports
from labs.bootstrap import Kindling
from labs.errors import NotFound
from labs.records.models import Attempt, CheckRecord
from labs.report import normalise, time_spent
from labs.report.statistics import statistics_of
from tests.doubles.providers import ManualClock, ScriptedGrader
from tests.unit.labs.test_session import graded, ready


@pytest.fixture
def school(services: Kindling, grader: ScriptedGrader, clock: ManualClock) -> str:
    """ada: failed, then passed, once ungradable; bob: failed; carol: nothing; eve: in no class. prof teaches."""
    accounts, classes = services.accounts, services.classes
    accounts.ensure("prof", role="instructor")
    accounts.ensure("stranger", role="instructor")
    accounts.ensure("root", role="admin")
    info = classes.create_class("First", "prof")
    classes.join(info.join_code, "ada")
    classes.import_roster(info.id, "prof", "name,email\nada,ada@example.org\nbob,\ncarol,\n")
    accounts.ensure("eve")
    session = ready(services)
    services.sessions.hint(session.id, "ada")
    for outcomes in ({"second": Outcome.FAILED}, {"first": Outcome.UNGRADABLE}, {}):
        clock.pass_time(minutes=5)
        grader.outcomes = outcomes
        graded(services, session)
    clock.pass_time(minutes=30)
    grader.outcomes = {"second": Outcome.FAILED}
    graded(services, ready(services, "bob"))
    graded(services, ready(services, "eve"))
    return info.id


def test_learners_by_labs(services: Kindling, school: str, clock: ManualClock) -> None:
    made = services.reports.class_report("prof", school)
    assert (made.name, made.labs) == ("First", [("first", "A first lab", 10.0)])
    rows = {row.learner: row for row in made.rows}
    assert list(rows) == ["ada", "bob", "carol"]
    ada = rows["ada"].cells[0]
    assert (ada.best_score, ada.max_score, ada.attempts, ada.ungradable, ada.hints) == (10, 10, 2, 1, 1)
    assert ada.seconds == 15 * 60
    assert (rows["bob"].score, rows["bob"].last_activity) == (3, clock.at)
    assert (rows["carol"].cells[0].best_score, rows["carol"].last_activity) == (None, None)


def test_everybody_for_an_admin_and_the_local_command(services: Kindling, school: str) -> None:
    for viewer in ("root", None):
        assert [row.learner for row in services.reports.class_report(viewer).rows] == ["ada", "bob", "carol", "eve"]
    with pytest.raises(NotFound):
        services.reports.class_report("prof")


def test_one_learner_with_evidence(services: Kindling, school: str) -> None:
    made = services.reports.learner_report("prof", "ada")
    assert [(one.number, one.outcome) for one in made.attempts] == [(3, "passed"), (2, "ungradable"), (1, "failed")]
    assert made.attempts[2].checks[1].evidence == [{"seen": "second"}]
    assert made.attempts[1].cause == "broken"


def test_oneself_without_evidence(services: Kindling, school: str) -> None:
    made = services.reports.learner_report("ada", "ada")
    assert [check.evidence for one in made.attempts for check in one.checks] == [[]] * 6
    assert {one.cause for one in made.attempts} == {""}


def test_nobody_elses(services: Kindling, school: str) -> None:
    attempt = services.sessions.attempts("ada", "first")[0].id
    view = services.reports
    for viewer in ("stranger", "bob", "nobody"):
        for call in (
            lambda: view.class_report(viewer, school),  # noqa: B023 -- called at once
            lambda: view.learner_report(viewer, "ada"),  # noqa: B023 -- called at once
            lambda: view.lab_report(viewer, "first", school),  # noqa: B023 -- called at once
            lambda: view.lab_report(viewer, "first"),  # noqa: B023 -- called at once
            lambda: view.attempt(viewer, attempt),  # noqa: B023 -- called at once
            lambda: view.snapshot(viewer, attempt),  # noqa: B023 -- called at once
        ):
            with pytest.raises(NotFound):
                call()
    with pytest.raises(NotFound):
        view.learner_report("prof", "eve")
    with pytest.raises(NotFound):
        view.attempt("ada", attempt)


def test_a_snapshot_is_kept(services: Kindling, school: str) -> None:
    attempt = services.sessions.attempts("ada", "first")[0].id
    assert services.reports.snapshot("prof", attempt) == {"pods": []}


def test_one_lab(services: Kindling, school: str) -> None:
    made = services.reports.lab_report("prof", "first", school)
    assert (made.learners, made.attempts, made.ungradable, made.scores) == (2, 3, 1, [3, 10])
    first, second = made.checks
    assert (first.name, first.graded, first.passed, first.pass_rate, first.ungradable) == ("first", 3, 3, 1.0, 1)
    assert (second.graded, second.failed, second.learners, second.learners_passed) == (3, 2, 2, 1)
    assert (second.frequent_count, second.frequent[:30]) == (2, "expected second, found nothing")


def test_a_lab_nobody_tried(services: Kindling) -> None:
    made = services.reports.lab_report(None, "first")
    assert [(one.name, one.graded, one.pass_rate) for one in made.checks] == [("first", 0, None), ("second", 0, None)]


def test_csv_of_each(services: Kindling, school: str) -> None:
    made = services.reports.class_report("prof", school)
    text = reports.csv_of(made)
    assert text.count("\r\n") == 4
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert (rows[0]["learner"], rows[0]["first score"], rows[0]["first attempts"]) == ("ada", "10", "2")
    assert rows[2]["first score"] == ""
    learner = list(csv.DictReader(io.StringIO(reports.csv_of(services.reports.learner_report("prof", "ada")))))
    assert len(learner) == 6
    assert (learner[0]["number"], learner[0]["counted"], learner[2]["counted"]) == ("3", "yes", "no")
    lab = list(csv.DictReader(io.StringIO(reports.csv_of(services.reports.lab_report("prof", "first", school)))))
    assert [row["pass_rate"] for row in lab] == ["1", "0.333"]


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("pod web-5d9f7c6b8d-x2k4p on 10.244.0.17 restarted 3 times", "pod web-… on <address> restarted N times"),
        ("aurora has 2 of 3 ready\n  look at aurora-svc", "<app> has N of N ready look at <app>-svc"),
        ("auroras stay", "auroras stay"),
        ("none on kindling-self-healing-9ccf12abba-worker2", "none on <cluster>-workerN"),
        ("uid 123e4567-e89b-12d3-a456-426614174000", "uid <uid>"),
    ],
)
def test_equal_mistakes_meet(message: str, shown: str) -> None:
    assert normalise(message, {"app": "aurora", "replicas": 3}) == shown


def test_long_gaps_are_not_time_spent(clock: ManualClock) -> None:
    moments = [clock.at]
    for minutes in (5, 10, 11, 1):
        clock.pass_time(minutes=minutes)
        moments.append(clock.at)
    assert time_spent(moments) == 16 * 60
    assert time_spent([]) == 0


def test_what_would_have_been_makes_no_mistake_another_one() -> None:
    attempt = Attempt(id="a", user_id=1, counted=True, parameters={})
    message = "Expected: a\nObserved: b"
    messages = [message, f"{message}\nWhat if: with luck: no difference", "Expected: c\nObserved: d"]
    checks = [
        CheckRecord(attempt_id="a", name="first", title="First", outcome="failed", max_points=1.0, message=one)
        for one in messages
    ]
    (found,) = statistics_of([(check, attempt) for check in checks], ["first"])
    assert (found.frequent, found.frequent_count) == ("Expected: a Observed: b", 2)
