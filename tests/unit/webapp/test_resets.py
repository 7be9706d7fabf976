"""Forgotten passwords: asked for by mail, handed over, set from a page."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from flask import Flask

from labs.bootstrap import Kindling
from tests.doubles.providers import ManualClock
from tests.unit.webapp.conftest import Enter, Visitor, text_of, with_courses, write_course
from webapp import create_app

PASSWORD, NEWER = "a longer phrase", "an even longer phrase"


class Mailbox:
    """Keeps what was sent, or breaks."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str, str]] = []

    def send(self, to: str, subject: str, text: str) -> None:
        self.sent.append((to, subject, text))


@pytest.fixture
def mailbox() -> Mailbox:
    return Mailbox()


@pytest.fixture
def visitor(services: Kindling, mailbox: Mailbox, tmp_path: Path) -> Visitor:
    """Somebody at a site that sends mail."""
    write_course(tmp_path / "content")
    mailing = dataclasses.replace(services, mailer=mailbox)  # type: ignore[arg-type]
    app = create_app(with_courses(mailing, tmp_path / "content"))
    app.extensions["kindling-site"].later = lambda work: work()
    return Visitor(app.test_client())


def test_by_mail(visitor: Visitor, services: Kindling, mailbox: Mailbox) -> None:
    tom = services.accounts.register("tom", PASSWORD, email="tom@example.org")
    elsewhere = services.sign_ins.begin(tom.id)
    assert "Forgotten your password?" in text_of(visitor.get("/sign-in"))
    assert visitor.post("/forgot", {"name": "Tom@example.org"}).location == "/sign-in"
    (to, _, text) = mailbox.sent[0]
    assert (to, len(mailbox.sent)) == ("tom@example.org", 1)
    path = "/reset/" + text.partition("/reset/")[2].split()[0]
    for _ in range(2):
        assert "A new password for tom" in text_of(visitor.get(path))
    assert "differ" in text_of(visitor.post(path, {"new": NEWER, "again": PASSWORD}))
    assert "first that anybody would try" in text_of(visitor.post(path, {"new": "password1", "again": "password1"}))
    assert "Wherever tom was signed in" in text_of(visitor.post(path, {"new": NEWER, "again": NEWER}))
    assert services.sign_ins.whose(elsewhere) is None
    assert mailbox.sent[1][1] == "Your password for Kindling was changed"
    assert visitor.get(path).status_code == 403
    assert visitor.post(path, {"new": PASSWORD, "again": PASSWORD}).status_code == 403
    assert visitor.post("/sign-in", {"name": "tom", "password": NEWER}).status_code == 302
    assert "with a link that was mailed" in text_of(visitor.get("/profile"))


def test_the_answer_does_not_say_who_has_an_account(visitor: Visitor, services: Kindling, mailbox: Mailbox) -> None:
    services.accounts.register("tom", PASSWORD, email="tom@example.org")
    services.accounts.register("ann", PASSWORD)
    said = set()
    for name in ("tom", "ann", "nobody", "nobody@example.org", "", "x" * 1000):
        answer = visitor.post("/forgot", {"name": name})
        said.add((answer.status_code, answer.location, text_of(visitor.get("/sign-in"))))
    assert len(said) == 1
    assert [to for to, _, _ in mailbox.sent] == ["tom@example.org"]


def test_a_mailbox_is_not_flooded(visitor: Visitor, services: Kindling, mailbox: Mailbox, clock: ManualClock) -> None:
    services.accounts.register("tom", PASSWORD, email="tom@example.org")
    ends = [visitor.post("/forgot", {"name": "tom"}).status_code for _ in range(5)]
    assert ends == [302, 302, 302, 429, 429]
    assert len(mailbox.sent) == 3
    assert visitor.post("/forgot", {"name": "nobody"}).status_code == 302
    clock.pass_time(minutes=20)
    assert visitor.post("/forgot", {"name": "tom"}).status_code == 302


def test_setting_it_oneself_is_told_as_well(visitor: Visitor, services: Kindling, mailbox: Mailbox) -> None:
    services.accounts.register("tom", PASSWORD, email="tom@example.org")
    visitor.get(f"/login/{services.accounts.login_link('tom')}")
    visitor.get("/profile")
    visitor.post("/profile/password", {"old": PASSWORD, "new": NEWER, "again": NEWER})
    assert [subject for _, subject, _ in mailbox.sent] == ["Your password for Kindling was changed"]


def test_without_mail_the_page_says_whom_to_ask(app: Flask, services: Kindling) -> None:
    somebody = Visitor(app.test_client())
    for answer in (somebody.get("/forgot"), somebody.post("/forgot", {"name": "ada"})):
        assert "Ask your instructor" in text_of(answer)
        assert "kindling user reset NAME" in text_of(answer)


def test_handed_over_by_an_instructor(enter: Enter, app: Flask, services: Kindling) -> None:
    services.accounts.register("tom", PASSWORD)
    olga = enter("olga", "instructor")
    school = services.classes.create_class("Autumn", "olga")
    services.classes.join(school.join_code, "tom")
    assert "New password for tom" in text_of(olga.get(f"/classes/{school.id}/manage"))
    said = text_of(olga.post(f"/classes/{school.id}/learners/tom/reset"))
    path = "/reset/" + said.partition("/reset/")[2].split()[0]
    tom = Visitor(app.test_client())
    tom.get(path)
    assert tom.post(path, {"new": NEWER, "again": NEWER}).status_code == 200
    tom.get("/sign-in")
    tom.post("/sign-in", {"name": "tom", "password": NEWER})
    assert "with a link that olga made" in text_of(tom.get("/profile"))


def test_nobody_resets_who_may_do_more(enter: Enter, services: Kindling) -> None:
    olga = enter("olga", "instructor")
    school = services.classes.create_class("Autumn", "olga")
    for name, role in (("otto", "instructor"), ("root", "admin")):
        services.accounts.ensure(name, role)  # type: ignore[arg-type]
        services.classes.join(school.join_code, name)
        assert olga.post(f"/classes/{school.id}/learners/{name}/reset").status_code == 403
    services.accounts.ensure("stranger")
    assert olga.post(f"/classes/{school.id}/learners/stranger/reset").status_code == 404
    root = enter("root", "admin")
    assert "sets a new password for otto" in text_of(root.post("/accounts/otto/reset"))
