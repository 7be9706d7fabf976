"""What is written down of requests: who, what, whence, how it ended; and nothing that lets anybody in."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable

import pytest
from flask import Flask

from labs.bootstrap import Kindling
from tests.unit.webapp.conftest import LOCAL, Enter, Visitor
from webapp.audit import Budget

PASSWORD = "a longer phrase"
Lines = Callable[[], list[tuple[str, dict[str, object]]]]


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Lines:
    """What was written since: (word, facts) of each line."""
    caplog.set_level(logging.INFO, "kindling.audit")

    def seen() -> list[tuple[str, dict[str, object]]]:
        messages = [record.getMessage() for record in caplog.records if record.name == "kindling.audit"]
        caplog.clear()
        return [(word, json.loads(facts)) for word, _, facts in (message.partition(" ") for message in messages)]

    return seen


def test_signing_in_and_failing_to(visitor: Visitor, services: Kindling, lines: Lines) -> None:
    services.accounts.register("tom", PASSWORD)
    visitor.post("/sign-in", {"name": "tom", "password": "wrong secret"})
    visitor.post("/sign-in", {"name": "tom", "password": PASSWORD})
    visitor.get("/")
    visitor.post("/sign-out")
    found = lines()
    assert [(word, facts["route"], facts["status"], facts["account"]) for word, facts in found] == [
        ("refused", "/sign-in", 403, ""),
        ("changed", "/sign-in", 302, "tom"),
        ("changed", "/sign-out", 302, "tom"),
    ]
    assert {facts["address"] for _, facts in found} == {"127.0.0.1"}
    assert "secret" not in str(found)
    assert PASSWORD not in str(found)


def test_a_link_is_told_of_and_not_told(visitor: Visitor, services: Kindling, lines: Lines) -> None:
    token = services.accounts.login_link("ada")
    visitor.get(f"/login/{token}")
    Visitor(visitor.client.application.test_client()).get(f"/login/{token}")
    found = lines()
    assert [(word, facts["status"]) for word, facts in found] == [("changed", 302), ("refused", 403)]
    assert token not in str(found)


def test_what_was_changed_for_whom(enter: Enter, services: Kindling, lines: Lines) -> None:
    root = enter("root", "admin")
    lines()
    root.post("/accounts/ada/role", {"role": "instructor"})
    ((word, facts),) = lines()
    assert word == "changed"
    assert facts | {"address": ""} == {
        "method": "POST",
        "route": "/accounts/<name>/role",
        "names": {"name": "ada"},
        "status": 302,
        "account": "root",
        "address": "",
    }


def test_who_may_not_is_written_down(enter: Enter, app: Flask, lines: Lines) -> None:
    eve = enter("eve")
    lines()
    eve.get("/accounts/")
    eve.get("/attempts/another/")
    eve.client.post("/labs/first/start", base_url=LOCAL)
    eve.client.get("/", base_url="http://evil.example")
    assert [(word, facts["route"], facts["status"], facts["account"]) for word, facts in lines()] == [
        ("refused", "/accounts/", 404, "eve"),
        ("refused", "/attempts/<attempt>/", 404, "eve"),
        ("refused", "/labs/<lab>/start", 400, "eve"),
        ("refused", "/", 421, ""),
    ]


def test_a_line_is_no_longer_than_it_need_be(enter: Enter, lines: Lines) -> None:
    eve = enter("eve")
    lines()
    eve.get(f"/attempts/{'x' * 5000}/")
    ((_, facts),) = lines()
    assert facts["names"] == {"attempt": "x" * 100}


def test_looking_is_not_written_down(enter: Enter, lines: Lines) -> None:
    ada = enter()
    lines()
    ada.get("/labs/first/")
    assert lines() == []


def test_nobody_fills_the_disk_by_being_refused() -> None:
    now = [0.0]
    budget = Budget(2, lambda: now[0])
    assert [budget.take() for _ in range(5)] == [0, 0, None, None, None]
    now[0] = 60.0
    assert [budget.take(), budget.take()] == [3, 0]


def test_a_fault_is_logged_without_the_address(
    visitor: Visitor, services: Kindling, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(type(services.accounts), "redeem", broken)
    assert visitor.get("/login/a-secret-token").status_code == 500
    assert "account.link failed" in caplog.text
    assert "a-secret-token" not in "".join(record.getMessage() for record in caplog.records)
