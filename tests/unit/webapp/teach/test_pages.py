"""The instructor's pages: classes, rosters, reports, and that they are nobody else's."""

from __future__ import annotations

import csv
import io

import pytest

from grader.protocol import Outcome
from labs.accounts import ClassInfo
from labs.bootstrap import Kindling
from tests.doubles.providers import ScriptedGrader
from tests.unit.webapp.conftest import Enter, Visitor, text_of


@pytest.fixture
def taught(services: Kindling) -> ClassInfo:
    """A class of olga's with ada, who has failed once and passed once, and bea, who has not begun."""
    services.accounts.ensure("olga", "instructor")
    made = services.classes.create_class("Autumn", "olga")
    services.classes.join(made.join_code, "ada")
    services.classes.import_roster(made.id, "olga", "name,email\nada,ada@example.org\nbea,bea@example.org\n")
    return made


@pytest.fixture
def attempts(services: Kindling, grader: ScriptedGrader, taught: ClassInfo) -> list[str]:
    """ada's attempts, oldest first."""
    assert taught
    session = services.sessions.wait(services.sessions.start("ada", "first").id)
    made: list[str] = []
    for outcomes in ({"second": Outcome.FAILED}, {"first": Outcome.UNGRADABLE}, {}):
        grader.outcomes = outcomes
        made.append(services.sessions.follow(services.sessions.check(session.id, "ada").id, "ada").id)
    return made


def paths(made: ClassInfo, attempt: str) -> list[str]:
    base = f"/classes/{made.id}/"
    return [
        base,
        base + "report.csv",
        base + "roster",
        base + "learners/ada/",
        base + "learners/ada/report.csv",
        base + "labs/first/",
        base + "labs/first/report.csv",
        base + "labs/first/predictions.csv",
        base + "misconceptions.csv",
        base + f"attempts/{attempt}/",
    ]


def test_the_report_is_for_who_teaches_the_class(enter: Enter, taught: ClassInfo, attempts: list[str]) -> None:
    who = {"olga": enter("olga", "instructor"), "root": enter("root", "admin")}
    others = {"ada": enter("ada"), "otto": enter("otto", "instructor"), "eve": enter("eve")}
    for path in paths(taught, attempts[0]):
        assert {name: one.get(path).status_code for name, one in who.items()} == {"olga": 200, "root": 200}, path
        assert {one.get(path).status_code for one in others.values()} == {404}, path


def test_visitors_are_asked_to_sign_in(visitor: Visitor, taught: ClassInfo) -> None:
    for path in paths(taught, "x"):
        assert visitor.get(path).location.startswith("/sign-in"), path


def test_everybody_is_for_admins(enter: Enter, taught: ClassInfo, attempts: list[str]) -> None:
    assert taught
    assert attempts
    assert enter("olga", "instructor").get("/classes/all/").status_code == 404
    root = enter("root", "admin")
    for path in ("", "report.csv", "learners/ada/", "labs/first/"):
        assert root.get(f"/classes/all/{path}").status_code == 200, path


def test_the_class_at_a_glance(enter: Enter, taught: ClassInfo, attempts: list[str]) -> None:
    assert attempts
    answer = enter("olga", "instructor").get(f"/classes/{taught.id}/")
    page, said = answer.get_data(as_text=True), text_of(answer)
    assert taught.join_code in said
    assert page.count("cell heat-5") == 1
    assert page.count("cell heat-none") == 1
    assert "2 tries" in said
    assert "1 ungradable" in said
    assert "bea has not begun" in said


def test_the_csv_cannot_run_formulas(enter: Enter, services: Kindling, taught: ClassInfo) -> None:
    text = 'name,display_name\njun,"=HYPERLINK(""http://evil"")"\n'
    services.classes.import_roster(taught.id, "olga", text)
    answer = enter("olga", "instructor").get(f"/classes/{taught.id}/report.csv")
    assert answer.mimetype == "text/csv"
    assert "attachment" in answer.headers["Content-Disposition"]
    rows = list(csv.reader(io.StringIO(answer.get_data(as_text=True), newline="")))
    assert not any(cell.startswith(("=", "+", "@")) for row in rows for cell in row)


def test_a_learner_with_evidence_and_causes(enter: Enter, taught: ClassInfo, attempts: list[str]) -> None:
    olga = enter("olga", "instructor")
    said = text_of(olga.get(f"/classes/{taught.id}/learners/ada/"))
    assert "10/10" in said
    assert "2 attempts" in said
    assert '"seen": "second"' in said
    assert "Cause broken" in said
    one = text_of(olga.get(f"/classes/{taught.id}/attempts/{attempts[0]}/"))
    assert "The cluster when it was graded" in one
    assert '"pods": []' in one


def test_what_the_grader_did_beside_its_evidence(
    enter: Enter, taught: ClassInfo, services: Kindling, grader: ScriptedGrader
) -> None:
    grader.evidence = [{"seconds": 1.0, "what": "scale", "deployment": "web", "replicas": 2}]
    session = services.sessions.wait(services.sessions.start("ada", "first").id)
    attempt = services.sessions.follow(services.sessions.check(session.id, "ada").id, "ada")
    page = enter("olga", "instructor").get(f"/classes/{taught.id}/attempts/{attempt.id}/")
    assert text_of(page).count("The grader scaled web to 2 replicas.") == 2


def test_evidence_is_not_for_the_learner(enter: Enter, attempts: list[str]) -> None:
    said = text_of(enter("ada").get(f"/attempts/{attempts[1]}/"))
    assert "Evidence" not in said
    assert "Cause" not in said


def test_a_lab_with_rates_and_the_most_frequent_failure(enter: Enter, taught: ClassInfo, attempts: list[str]) -> None:
    assert attempts
    answer = enter("olga", "instructor").get(f"/classes/{taught.id}/labs/first/")
    said = text_of(answer)
    assert "50 %" in said
    assert "Most frequent failure" in said
    assert "expected second, found nothing" in said
    assert 'aria-label="1 passed, 1 failed, 1 ungradable"' in answer.get_data(as_text=True) or (
        'aria-label="1 passed, 1 failed, 0 ungradable"' in answer.get_data(as_text=True)
    )
    assert enter("olga", "instructor").get(f"/classes/{taught.id}/labs/none/").status_code == 404


def test_opening_a_class(enter: Enter, services: Kindling) -> None:
    olga = enter("olga", "instructor")
    assert "No class yet" in text_of(olga.get("/classes/"))
    answer = olga.post("/classes/", {"name": "Spring <b>"})
    (made,) = services.classes.taught_by("olga")
    assert answer.location == f"/classes/{made.id}/"
    said = olga.get(answer.location)
    assert "Nobody here yet" in text_of(said)
    assert "Spring &lt;b&gt;" in said.get_data(as_text=True)
    assert olga.post("/classes/", {"name": " "}).status_code == 422
    assert enter("eve").post("/classes/", {"name": "Mine"}).status_code == 404


def test_a_roster_says_what_became_of_every_line(enter: Enter, services: Kindling, taught: ClassInfo) -> None:
    olga = enter("olga", "instructor")
    services.accounts.ensure("eve")
    text = "name,email\nnew,new@example.org\nada,ada@example.org\neve,\nbad/name!,x@example.org\nno,not-an-email\n"
    said = text_of(olga.post(f"/classes/{taught.id}/roster", {"text": text}))
    assert "2 lines refused" in said
    assert "5 bad/name!" in said
    assert "2 learners in the class, 1 to join by themselves" in said
    assert f"or by itself with the join code {taught.join_code}" in said
    assert "New account" in said
    assert "Was in the class already" in said
    assert "new" in [one.name for one in services.classes.members(taught.id, "olga")]


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        (b"", "Choose a file or paste"),
        (b"\xff\xfe", "not text in UTF-8"),
        (b"colour,size\nred,1\n", "Line 1: "),
        (b'name\n"torn\n', "Line"),
    ],
)
def test_what_is_no_roster_is_said(enter: Enter, taught: ClassInfo, content: bytes, wanted: str) -> None:
    olga = enter("olga", "instructor")
    answer = olga.post(
        f"/classes/{taught.id}/roster",
        {"file": (io.BytesIO(content), "r.csv")},
        content_type="multipart/form-data",
    )
    assert answer.status_code == 422
    assert wanted in text_of(answer)


@pytest.mark.parametrize("name", ["r.xlsx", "r.csv.exe", "r", "../../r.html", "r.zip"])
def test_only_csv_files_are_taken(enter: Enter, services: Kindling, taught: ClassInfo, name: str) -> None:
    before = services.accounts.all()
    answer = enter("olga", "instructor").post(
        f"/classes/{taught.id}/roster",
        {"file": (io.BytesIO(b"name\nnew\n"), name)},
        content_type="multipart/form-data",
    )
    assert answer.status_code == 422
    assert "no CSV file" in text_of(answer)
    assert [one.name for one in services.accounts.all()] == [one.name for one in before] + ["olga"] * (
        "olga" not in [one.name for one in before]
    )


def test_what_is_named_csv_and_is_none(enter: Enter, taught: ClassInfo) -> None:
    for content in (b"PK\x03\x04\0\0name", b"name\nx\0y\n"):
        answer = enter("olga", "instructor").post(
            f"/classes/{taught.id}/roster",
            {"file": (io.BytesIO(content), "r.csv")},
            content_type="multipart/form-data",
        )
        assert answer.status_code == 422
        assert "no CSV file" in text_of(answer)


def test_a_way_in_for_who_has_no_password(enter: Enter, services: Kindling, taught: ClassInfo) -> None:
    olga = enter("olga", "instructor")
    said = text_of(olga.post(f"/classes/{taught.id}/learners/bea/link"))
    token = said.partition("/login/")[2].split()[0]
    assert services.accounts.redeem(token).name == "bea"
    services.accounts.set_password("bea", "a longer phrase")
    assert olga.post(f"/classes/{taught.id}/learners/bea/link").status_code == 403
    services.accounts.ensure("stranger")
    assert olga.post(f"/classes/{taught.id}/learners/stranger/link").status_code == 404
    assert enter("otto", "instructor").post(f"/classes/{taught.id}/learners/ada/link").status_code == 404


def test_no_link_into_an_account_that_may_do_more(enter: Enter, services: Kindling, taught: ClassInfo) -> None:
    services.accounts.ensure("root", "admin")
    services.classes.import_roster(taught.id, "olga", "name\nroot\n")
    assert enter("olga", "instructor").post(f"/classes/{taught.id}/learners/root/link").status_code in (403, 404)
