"""The lab page: what it shows in each state, what can be done from it, and that it is nobody else's."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from pathlib import Path

import pytest

from grader.protocol import Outcome
from labs.bootstrap import Kindling
from labs.definition.certificate import Certificate, Tally
from labs.errors import NotFound
from labs.locks import Locks
from labs.records.models import Attempt
from labs.session import SessionView
from labs.session.ends import MENDING
from tests.doubles.providers import (
    BrokenHalfwayProvider,
    EndedProvider,
    MemoryProvider,
    ScriptedGrader,
    SlowProvider,
    UnavailableProvider,
)
from tests.unit.labs.conftest import Make
from tests.unit.webapp.conftest import LOCAL, Enter, Visitor, text_of, with_courses
from webapp import create_app


def ready(services: Kindling, learner: str = "ada") -> SessionView:
    """A session brought up."""
    return services.sessions.wait(services.sessions.start(learner, "first").id)


def graded(services: Kindling, session: SessionView) -> str:
    """An attempt, graded; its id."""
    attempt = services.sessions.check(session.id, session.learner)
    return services.sessions.follow(attempt.id, session.learner).id


def sign_in(services: Kindling, name: str = "ada") -> Visitor:
    """Somebody on a site of their own over these services."""
    app = create_app(with_courses(services))
    visitor = Visitor(app.test_client())
    visitor.get(f"/login/{services.accounts.login_link(name)}")
    visitor.get("/labs/first/")
    return visitor


def test_instructions_have_the_learners_parameters_and_no_second_title(enter: Enter, services: Kindling) -> None:
    page = enter().get("/labs/first/").get_data(as_text=True)
    values = services.labs.get("first").parameters_for(_seed("ada"))
    assert f"Make {values['replicas']} of {values['app']}. It costs $5, see $(date)." in page
    assert page.count("<h1") == 1


def test_the_page_says_how_often_the_checks_are_wrong(enter: Enter, services: Kindling, catalog: Path) -> None:
    learner, lab = enter(), catalog / "first"
    assert "nobody has tried yet how often its checks are wrong" in text_of(learner.get("/labs/first/"))
    assert "draft" in text_of(learner.get("/labs/"))
    tallies = {"first": Tally(right=120, wrong=90), "second": Tally(right=100, wrong=110)}
    made = Certificate(
        lab="first",
        version=services.labs.get("first").version,
        inputs={},
        states=3,
        decided=210,
        near_misses=115,
        neutral=95,
        refused=4,
        seconds=60,
        checks=tallies,
    )
    (lab / "certificate.json").write_text(made.model_dump_json())
    said = text_of(learner.get("/labs/first/"))
    assert "How often its checks are wrong: never, in 210 tries" in said
    assert "The second thing 0 of 100 0 of 110" in said
    assert "draft" not in said + text_of(learner.get("/labs/"))
    (lab / "certificate.json").write_text(made.model_copy(update={"version": "old"}).model_dump_json())
    assert "Something has changed since" in text_of(learner.get("/labs/first/"))
    (lab / "certificate.json").write_text("{")
    assert "nobody has tried yet" in text_of(learner.get("/labs/first/"))


def test_start_is_offered_where_it_is_possible_and_explained_where_not(make: Make, tmp_path: Path) -> None:
    services = make(MemoryProvider(tmp_path / "a"), other=UnavailableProvider(tmp_path / "b"))
    said = text_of(sign_in(services).get("/labs/first/"))
    assert "Docker does not answer" in said
    assert "sudo systemctl start docker" in said
    page = sign_in(services).get("/labs/first/").get_data(as_text=True)
    assert 'value="memory" checked' in page
    assert 'value="other" disabled' in page


def test_without_any_provider_start_cannot_be_pressed(make: Make, tmp_path: Path) -> None:
    nowhere = UnavailableProvider(tmp_path / "a")
    page = sign_in(make(nowhere, other=nowhere)).get("/labs/first/").get_data(as_text=True)
    assert 'type="submit" disabled>Start' in page


def test_starting_by_form_and_by_script(enter: Enter, services: Kindling) -> None:
    ada = enter()
    assert ada.post("/labs/first/start", {"provider": "memory"}).location == "/labs/first/#cluster"
    again = ada.send("/labs/first/start", {"provider": "memory"})
    assert again.status_code == 200
    assert set(again.json["html"]) == {"cluster", "results", "hints"}  # type: ignore[index]
    services.sessions.wait(services.sessions.current("ada", "first").id)  # type: ignore[union-attr]
    said = text_of(ada.get("/labs/first/"))
    assert "kindling shell first" in said
    assert "Kept for another 1:" in said


def test_progress_is_shown_step_by_step(make: Make, tmp_path: Path) -> None:
    slow = SlowProvider(tmp_path / "slow")
    ada = sign_in(make(slow))
    ada.post("/labs/first/start")
    assert slow.reached.wait(10)
    page = ada.get("/labs/first/").get_data(as_text=True)
    assert 'http-equiv="refresh"' in page
    assert "Making nodes" in page
    assert "Step 1 of 2" in page
    state = ada.get("/labs/first/state").json
    assert state["busy"] is True  # type: ignore[index]
    assert "Making nodes" in state["say"]  # type: ignore[index]
    slow.go.set()


def test_a_failed_start_says_why_and_how_to_mend_it(make: Make, tmp_path: Path) -> None:
    services = make(BrokenHalfwayProvider(tmp_path / "broken"))
    ready(services)
    said = text_of(sign_in(services).get("/labs/first/"))
    assert "the image web:1.0 cannot be pulled" in said
    assert "docker pull web:1.0" in said
    assert "Try again" in said


def test_a_cluster_that_is_away_is_not_called_ready(make: Make, tmp_path: Path) -> None:
    provider = EndedProvider(tmp_path / "ended")
    services = make(provider)
    ready(services)
    ada = sign_in(services)

    def shown() -> tuple[str, str]:
        change = ada.get("/labs/first/state").json
        assert change is not None
        return change["html"]["cluster"], change["say"]

    services.sessions.reconcile(background=True)
    provider.ended, provider.look = True, lambda: "\n".join(shown())
    services.sessions.reconcile(background=True)
    (away,) = provider.seen
    assert "Not answering" in away
    assert ">Ready" not in away
    assert away.count("does not answer at this moment. It comes back by itself") == 2  # shown, and said aloud
    assert "Not answering" not in shown()[0]


def test_a_check_shows_points_and_what_to_do(enter: Enter, services: Kindling, grader: ScriptedGrader) -> None:
    grader.plan = (("first", 3.0), ("second", 7.0))
    grader.outcomes = {"second": Outcome.FAILED}
    ada, session = enter(), ready(services)
    assert ada.post(f"/sessions/{session.id}/check").location == "/labs/first/#results"
    attempt = services.sessions.attempts("ada", "first")[0]
    services.sessions.follow(attempt.id, "ada")
    said = text_of(ada.get("/labs/first/"))
    assert "Not yet 3 /10" in said
    assert "expected second, found nothing" in said
    assert "Check again" in said
    history = text_of(ada.get("/labs/first/attempts/"))
    assert "Attempt 1 Not yet 3 /10" in history
    assert "Attempt 1" in text_of(ada.get(f"/attempts/{attempt.id}/"))


EVIDENCE = [
    {"seconds": 0.5, "what": "fault", "fault": "delete-pod", "target": "<i>web-a</i>", "at": 1000.0},
    {
        "seconds": 4.0,
        "from": 0.0,
        "what": "traffic",
        "url": "http://web.default.svc.cluster.local/",
        "requests": 20,
        "counted": {"200": 18, "refused": 2},
        "window": 0.5,
        "windows": [[0.0, 10, 0, 1.0, 2.0, 2], [0.5, 10, 2, 1.0, 2.0, 1]],
    },
    {"seconds": 4.5, "what": "the right answer", "value": "42"},
]


def test_what_the_grader_did_is_shown_after_the_verdict(
    enter: Enter, services: Kindling, grader: ScriptedGrader
) -> None:
    grader.outcomes, grader.evidence = {"second": Outcome.FAILED}, EVIDENCE
    ada, session = enter(), ready(services)
    at_second, go = threading.Event(), threading.Event()

    def during(name: str) -> None:
        if name == "second":
            at_second.set()
            go.wait(10)

    grader.during = during
    ada.post(f"/sessions/{session.id}/check")
    attempt = services.sessions.attempts("ada", "first")[0]
    assert at_second.wait(10)
    assert "What the grader did" not in text_of(ada.get("/labs/first/"))
    go.set()
    services.sessions.follow(attempt.id, "ada")
    for path in ("/labs/first/", f"/attempts/{attempt.id}/"):
        page = ada.get(path)
        said = text_of(page)
        assert said.count("What the grader did") == 2
        assert "The grader deleted pod <i>web-a</i>." in said
        assert "Traffic flowed to web.default: 20 requests, 2 failed (2 refused)." in said
        assert page.text.count('class="chart plot"') == 2
        assert "20 requests, of which 2 failed" in page.text
        assert "<i>web-a" not in page.text
        assert "the right answer" not in said
    assert ada.get("/labs/first/").text.count('<details class="timeline" open>') == 1


def test_nobody_elses_attempt_is_told(enter: Enter, services: Kindling, grader: ScriptedGrader) -> None:
    grader.evidence = EVIDENCE
    enter()
    attempt = services.sessions.follow(services.sessions.check(ready(services).id, "ada").id, "ada")
    assert set(services.sessions.timelines(attempt.id, "ada")) == {"first", "second"}
    assert services.sessions.timelines(attempt.id, "ada") is services.sessions.timelines(attempt.id, "ada")
    services.accounts.ensure("bea")
    for other, which in (("bea", attempt.id), ("ada", "nothing")):
        with pytest.raises(NotFound):
            services.sessions.timelines(which, other)


def test_results_appear_as_they_finish(enter: Enter, services: Kindling, grader: ScriptedGrader) -> None:
    at_second, go = threading.Event(), threading.Event()

    def during(name: str) -> None:
        if name == "second":
            at_second.set()
            assert go.wait(20)

    grader.during = during
    ada, session = enter(), ready(services)
    ada.post(f"/sessions/{session.id}/check")
    assert at_second.wait(10)
    state = ada.get("/labs/first/state").json
    assert state["say"] == "Checking, 1 of 2 done; First: passed."  # type: ignore[index]
    results = state["html"]["results"]  # type: ignore[index]
    assert results.count('class="check passed"') == 1
    assert results.count('class="check running"') == 1
    twice = ada.send(f"/sessions/{session.id}/check")
    assert twice.status_code == 200
    assert len(services.sessions.attempts("ada", "first")) == 1
    go.set()
    services.sessions.follow(services.sessions.attempts("ada", "first")[0].id, "ada")
    assert "Everything holds" in text_of(ada.get("/labs/first/"))


def test_whoever_waits_for_a_grader_sees_the_place(enter: Enter, services: Kindling) -> None:
    ada, session = enter(), ready(services)
    graders = Locks(services.settings.grader_locks)
    with ExitStack() as stack:
        for number in range(services.settings.graders):
            assert stack.enter_context(graders.hold(str(number)))
        ada.post(f"/sessions/{session.id}/check")
        state = ada.get("/labs/first/state").json
        assert state["say"] == "Waiting: you are next."  # type: ignore[index]
        assert "Attempt 1 is waiting: you are next." in text_of(ada.get("/labs/first/"))
    services.sessions.follow(services.sessions.attempts("ada", "first")[0].id, "ada")
    assert "Everything holds" in text_of(ada.get("/labs/first/"))


def test_an_interrupted_grading_says_what_is_waited_for(enter: Enter, services: Kindling) -> None:
    ada, session = enter(), ready(services)
    with Locks(services.settings.locks).hold(session.id):
        attempt = services.sessions.check(session.id, "ada").id
        with services.records.begin() as tx:
            row = tx.get_one(Attempt, attempt)
            row.state, row.detail = "running", MENDING
        assert ada.get("/labs/first/state").json["say"] == MENDING  # type: ignore[index]
        assert MENDING in text_of(ada.get("/labs/first/"))


def test_ungradable_is_not_a_fail(enter: Enter, services: Kindling, grader: ScriptedGrader) -> None:
    grader.outcomes = {"first": Outcome.UNGRADABLE}
    ada, session = enter(), ready(services)
    graded(services, session)
    said = text_of(ada.get("/labs/first/"))
    assert "Ungradable" in said
    assert "does not count" in said
    assert "broken" not in said, "the cause is for the instructor and the log"


def test_numbers_of_attempts_that_do_not_count_are_explained(
    enter: Enter, services: Kindling, grader: ScriptedGrader
) -> None:
    ada, session = enter(), ready(services)
    grader.outcomes = {"first": Outcome.UNGRADABLE}
    graded(services, session)
    grader.outcomes = {}
    graded(services, session)
    said = text_of(ada.get("/labs/first/"))
    assert "Attempt 2," in said
    assert "Attempt 1 could not be graded and does not count." in said
    history = text_of(ada.get("/labs/first/attempts/"))
    assert history.count("not counted") == 1
    assert history.index("Attempt 1") < history.index("not counted")


def test_hints_one_after_the_other(enter: Enter, services: Kindling) -> None:
    ada, session = enter(), ready(services)
    assert "Make " not in ada.get("/labs/first/state").json["html"]["hints"]  # type: ignore[index]
    ada.post(f"/sessions/{session.id}/hint", {"check": "first"})
    hints = ada.send(f"/sessions/{session.id}/hint", {"check": "first"}).json["html"]["hints"]  # type: ignore[index]
    assert f"Look at {session.parameters['app']}." in hints
    assert f"Make {session.parameters['replicas']} of them." in hints
    assert "Nearly there" not in hints


def test_kubeconfig_is_the_learners_and_for_its_owner(enter: Enter, services: Kindling) -> None:
    session = ready(services)
    answer = enter().get(f"/sessions/{session.id}/kubeconfig")
    assert "user: learner" in answer.get_data(as_text=True)
    assert "attachment" in answer.headers["Content-Disposition"]


def test_reset_extend_and_stop(enter: Enter, services: Kindling, provider: MemoryProvider) -> None:
    ada, session = enter(), ready(services)
    assert ada.post(f"/sessions/{session.id}/extend").status_code == 302
    assert ada.post(f"/sessions/{session.id}/reset").status_code == 302
    services.sessions.wait(session.id)
    assert any(line.startswith("reset") for line in provider.log)
    assert ada.post(f"/sessions/{session.id}/stop").status_code == 302
    services.sessions.wait(session.id)
    assert provider.clusters() == []
    said = text_of(ada.get("/labs/first/"))
    assert "Start it again on" in said
    answer = ada.send(f"/sessions/{session.id}/check")
    assert answer.status_code == 409
    assert answer.json["fix"] == "kindling start first"  # type: ignore[index]


def test_another_learners_things_are_not_found(enter: Enter, services: Kindling) -> None:
    session = ready(services)
    attempt = graded(services, session)
    eve = enter("eve")
    for path in (f"/sessions/{session.id}/kubeconfig", f"/attempts/{attempt}/", "/sessions/nothing/kubeconfig"):
        assert eve.get(path).status_code == 404, path
    for action in ("check", "hint", "reset", "stop", "extend"):
        assert eve.post(f"/sessions/{session.id}/{action}").status_code == 404, action
        assert eve.send(f"/sessions/{session.id}/{action}").status_code == 404, action
    assert services.sessions.view(session.id, "ada").state == "ready"
    assert "Not started" in text_of(eve.get("/labs/first/"))


def test_without_signing_in_nothing_is_shown(visitor: Visitor) -> None:
    for path in ("/labs/first/", "/labs/first/state", "/labs/first/events", "/labs/first/attempts/", "/attempts/x/"):
        assert visitor.get(path).location.startswith("/sign-in"), path
    asked = visitor.client.get("/labs/first/state", base_url=LOCAL, headers={"Accept": "application/json"})
    assert asked.status_code == 401


def test_a_lab_that_does_not_exist_or_load_leaves_the_others(enter: Enter, catalog: Path) -> None:
    (catalog / "torn").mkdir()
    (catalog / "torn" / "lab.yaml").write_text("title: [\n")
    ada = enter()
    assert ada.get("/labs/nothing/").status_code == 404
    assert "there are: first" in text_of(ada.get("/labs/nothing/"))
    torn = ada.get("/labs/torn/")
    assert torn.status_code == 422
    assert "lab.yaml, line" in text_of(torn)
    assert "A first lab" in text_of(ada.get("/labs/"))
    assert "could not be used" in text_of(enter("olga", "instructor").get("/labs/"))


def test_hostile_words_are_shown_escaped(enter: Enter, services: Kindling, grader: ScriptedGrader) -> None:
    grader.plan = (("<script>alert(1)</script>", 3.0),)
    grader.outcomes = {"<script>alert(1)</script>": Outcome.FAILED}
    session = ready(services)
    attempt = graded(services, session)
    ada = enter()
    for path in ("/labs/first/", f"/attempts/{attempt}/"):
        page = ada.get(path).get_data(as_text=True)
        assert "<script>alert(1)" not in page.lower()
    assert "&lt;script&gt;" in ada.get(f"/attempts/{attempt}/").get_data(as_text=True)


@pytest.mark.parametrize("trouble", ["other", "nowhere"])
def test_a_provider_that_cannot_is_a_sentence(make: Make, tmp_path: Path, trouble: str) -> None:
    services = make(MemoryProvider(tmp_path / "a"), other=UnavailableProvider(tmp_path / "b"))
    answer = sign_in(services).send("/labs/first/start", {"provider": trouble})
    assert answer.status_code in (404, 409)
    assert answer.json["error"]  # type: ignore[index]
    assert answer.json["fix"]  # type: ignore[index]


def _seed(learner: str) -> str:
    from labs.parameters import seed_of

    return seed_of(learner, "first")
