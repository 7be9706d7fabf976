"""Pages while the records are locked or damaged: what only reads is shown, what was sent can be sent again."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from html import unescape
from typing import Any

import pytest
from flask import Flask

from labs.bootstrap import Kindling
from labs.errors import Unavailable
from labs.records.database import Database
from tests.doubles.databases import damage
from tests.unit.webapp.conftest import LOCAL, Enter, text_of

OTHERS = {
    "account.link": "a one-time link is used up by opening it",
    "live.events": "a stream, which the front answers",
}
"""What is no page that only reads, and why."""
QUIZ = "/courses/a-course/one/quiz/one"


@pytest.fixture
def cannot_write(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """No transaction can be begun while the list holds something; each one that was tried is counted in it."""
    tried: list[int] = []
    real = Database.begin

    @contextmanager
    def begin(self: Database, patience: float | None = None, **how: bool) -> Iterator[Any]:
        if tried:
            tried.append(1)
            raise Unavailable("the records are locked", "fuser -v k.db")
        with real(self, patience, **how) as tx:
            yield tx

    monkeypatch.setattr(Database, "begin", begin)
    yield tried
    tried.clear()


@pytest.mark.parametrize("who", ["ada", "olga", "root", None])
def test_no_page_takes_the_write_lock(
    app: Flask, enter: Enter, services: Kindling, cannot_write: list[int], who: str | None
) -> None:
    services.accounts.ensure("olga", "instructor")
    school = services.classes.create_class("Autumn", "olga")
    learner = enter("ada")
    services.classes.join(school.join_code, "ada")
    session = services.sessions.wait(services.sessions.start("ada", "first").id)
    attempt = services.sessions.follow(services.sessions.check(session.id, "ada").id, "ada")
    people = {"ada": learner, "olga": enter("olga", "instructor"), "root": enter("root", "admin")}
    visitor = people.get(who or "") or people["ada"].__class__(app.test_client())
    values = {
        "session": session.id, "attempt": attempt.id, "class_id": school.id, "learner": "ada", "lab": "first",
        "course": "a-course", "lesson": "one", "filename": "mark.svg", "name": "ada", "token": "x", "path": "x",
    }  # fmt: skip
    services.sessions.wait(session.id)
    cannot_write.append(0)
    seen = 0
    for rule in app.url_map.iter_rules():
        if "GET" not in (rule.methods or ()) or rule.endpoint in OTHERS:
            continue
        assert set(rule.arguments) <= set(values), f"{rule}: say in this test what that is"
        _, path = rule.build({name: values[name] for name in rule.arguments}) or ("", "")
        answer = visitor.get(path)
        assert answer.status_code < 500, (path, text_of(answer))
        seen += 1
    assert seen > 20
    assert cannot_write == [0], "a page took the write lock"


def test_what_was_sent_is_kept_on_the_page_and_can_be_sent_again(
    enter: Enter, services: Kindling, cannot_write: list[int]
) -> None:
    ada = enter("ada")
    cannot_write.append(0)
    refused = ada.post(QUIZ, {"answer": "0"})
    assert refused.status_code == 503
    assert refused.headers["Retry-After"] == "5"
    said = text_of(refused)
    assert "cannot keep or read anything at this moment" in said
    assert "k.db" not in said  # how the site is set up is nobody's business
    assert "What you sent is kept on this page." in said
    page = refused.get_data(as_text=True)
    form = re.search(r'<form method="post" action="/courses.*?</form>', page, re.DOTALL)
    assert form is not None
    fields = dict(re.findall(r'name="([^"]+)" value="([^"]*)"', unescape(form.group(0))))
    cannot_write.clear()
    for _ in range(2):  # sent twice is as good as once
        assert ada.client.post(QUIZ, base_url=LOCAL, data=fields).status_code == 302
    assert services.accounts.get("ada").id
    assert "Right" in text_of(ada.get("/courses/a-course/one/"))


def test_who_runs_the_site_is_told_what_to_do_in_script_as_well(enter: Enter, cannot_write: list[int]) -> None:
    root, ada = enter("root", "admin"), enter("ada")
    cannot_write.append(0)
    assert ada.send(QUIZ, {"answer": "0"}).get_json()["fix"] == ""
    refused = root.send(QUIZ, {"answer": "0"})
    assert refused.status_code == 503
    assert refused.get_json()["error"] == "the records are locked"
    assert refused.get_json()["fix"] == "fuser -v k.db"


def test_no_password_comes_back(enter: Enter, cannot_write: list[int]) -> None:
    ada = enter("ada")
    cannot_write.append(0)
    secret = "a long secret word"
    refused = ada.post("/profile/password", {"old": "", "new": secret, "again": secret})
    assert refused.status_code == 503
    assert secret not in refused.get_data(as_text=True)
    assert "Send it again" not in text_of(refused)


def test_a_link_that_could_not_be_used_up_works_later(
    app: Flask, services: Kindling, cannot_write: list[int], visitor: Any
) -> None:
    services.accounts.ensure("ada")
    token = services.accounts.login_link("ada")
    cannot_write.append(0)
    assert visitor.get(f"/login/{token}").status_code == 503
    cannot_write.clear()
    assert visitor.get(f"/login/{token}").status_code == 302


def test_handing_in_again_after_a_failure_is_one_attempt(
    enter: Enter, services: Kindling, cannot_write: list[int]
) -> None:
    ada = enter("ada")
    session = services.sessions.wait(services.sessions.start("ada", "first").id)
    cannot_write.append(0)
    assert ada.post(f"/sessions/{session.id}/check").status_code == 503
    assert services.sessions.attempts("ada", "first") == []
    cannot_write.clear()
    for _ in range(2):
        assert ada.post(f"/sessions/{session.id}/check").status_code == 302
    assert len(services.sessions.attempts("ada", "first")) >= 1


def test_damaged_records_are_a_page_and_no_traceback(
    enter: Enter, services: Kindling, caplog: pytest.LogCaptureFixture
) -> None:
    ada = enter("ada")
    services.records.close()
    damage(services.settings.home / "kindling.db")
    answer = ada.get("/labs/")
    assert answer.status_code == 503
    assert "This site cannot keep or read anything at this moment" in text_of(answer)
    assert "is damaged" in caplog.text
    ready = ada.get("/health/ready")
    assert (ready.status_code, ready.headers["Retry-After"]) == (503, "5")
    assert "Traceback" not in caplog.text
