"""Text of anybody's on every page: names, titles, messages, evidence. It is shown, and it is never markup.

Every page that a learner, an instructor and an admin have is parsed as a browser would, whatever it shows.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser

import pytest
from flask import Flask

from grader.protocol import Outcome
from labs.bootstrap import Kindling
from tests.doubles.providers import ScriptedGrader
from tests.unit.webapp.conftest import LOCAL, Enter
from tests.unit.webapp.test_permissions import TABLE

HOSTILE = """<xss onload=alert(1)></title></script>"'`&{{7*7}}${7*7}[x](javascript:alert(1))"""


class Page(HTMLParser):
    """Notes tags and attributes that no page of ours has."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.wrong: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("xss", "iframe", "object", "embed", "base", "style"):
            self.wrong.append(tag)
        for name, value in attrs:
            if name.startswith("on") or name in ("style", "srcdoc", "formaction"):
                self.wrong.append(f"{tag} {name}")
            if name in ("href", "src", "action") and not re.match(
                r"/(?!/)|#|https://|http://localhost/|mailto:|$", value or ""
            ):
                self.wrong.append(f"{tag} {name}={value}")


def html_of(text: str, kind: str) -> Iterator[str]:
    """The markup of an answer: a page, or the fragments that a script puts into one."""
    if kind == "text/html":
        yield text
    elif kind == "application/json":
        found = json.loads(text)
        parts = found.get("html", {}) if isinstance(found, dict) else {}
        yield from parts.values() if isinstance(parts, dict) else [parts]


@pytest.fixture
def addresses(services: Kindling, grader: ScriptedGrader) -> dict[str, str]:
    """A class in which everything is called :data:`HOSTILE` that may be."""
    services.accounts.ensure("olga", "instructor")
    made = services.classes.create_class(HOSTILE, "olga")
    text = HOSTILE.replace('"', '""')
    services.classes.import_roster(made.id, "olga", f'name,display_name\npupil,"{text}"\n')
    grader.plan = ((HOSTILE, 3.0), ("second", 7.0))
    grader.outcomes = {HOSTILE: Outcome.FAILED, "second": Outcome.UNGRADABLE}
    session = services.sessions.wait(services.sessions.start("pupil", "first").id)
    attempt = services.sessions.follow(services.sessions.check(session.id, "pupil").id, "pupil")
    return {"class_id": made.id, "learner": "pupil", "attempt": attempt.id, "session": session.id, "lab": "first"}


def test_no_text_becomes_markup(app: Flask, enter: Enter, addresses: dict[str, str]) -> None:
    known = {"name": "pupil", "course": "a-course", "lesson": "one", "path:filename": "css/base.css", **addresses}
    visitors = [enter("pupil"), enter("olga", "instructor"), enter("root", "admin")]
    shown = 0
    for method, route, _ in TABLE:
        if method != "GET" or "token" in route or "events" in route:
            continue
        address = re.sub(r"<([^>]+)>", lambda match: known.get(match[1], "1"), route)
        for visitor in visitors:
            for accept in ("text/html", "application/json"):
                with visitor.client.get(address, base_url=LOCAL, headers={"Accept": accept}) as answer:
                    text = answer.get_data(as_text=True)
                assert answer.status_code != 500, address
                for markup in html_of(text, answer.mimetype):
                    assert Page(markup).wrong == [], address
                    shown += "xss onload" in markup
                assert "49" not in re.findall(r"&\w*;?(49)\$", text), address
    assert shown > 10, "what is looked for is shown"


def test_what_is_asked_for_is_not_shown_as_markup(enter: Enter) -> None:
    ada = enter()
    for address in ("/sign-in?next=", "/register?code=", "/labs/", "/courses/", "/attempts/", "/login/", "/nowhere/"):
        answer = ada.get(address + "%3Cxss%20onload=alert(1)%3E%22%27")
        if answer.mimetype == "text/html":
            assert Page(answer.get_data(as_text=True)).wrong == [], address


@pytest.mark.parametrize(
    "path",
    [
        "/.git/config",
        "/.env",
        "/kindling.db",
        "/secret-key",
        "/static/../security.py",
        "/static/..%2fsecurity.py",
        "/static/%2e%2e/__init__.py",
        "/static/",
        "/static/css/",
        "/console",
        "/metrics",
    ],
)
def test_nothing_is_served_but_pages_and_what_they_load(enter: Enter, path: str) -> None:
    assert enter("root", "admin").get(path).status_code == 404


def test_what_pages_load_says_what_it_is(app: Flask) -> None:
    wanted = {
        "css/base.css": "text/css; charset=utf-8",
        "js/site.js": "text/javascript; charset=utf-8",
        "mark.svg": "image/svg+xml; charset=utf-8",
    }
    for name, kind in wanted.items():
        with app.test_client().get(f"/static/{name}", base_url=LOCAL) as answer:
            assert answer.headers["Content-Type"] == kind


def test_every_answer_says_what_it_is(enter: Enter, addresses: dict[str, str]) -> None:
    olga, pupil = enter("olga", "instructor"), enter("pupil")
    base = f"/classes/{addresses['class_id']}"
    kinds = {
        olga.get(f"{base}/report.csv").headers["Content-Type"]: "text/csv; charset=utf-8; header=present",
        olga.get("/").headers["Content-Type"]: "text/html; charset=utf-8",
        pupil.get("/labs/first/state").headers["Content-Type"]: "application/json",
        pupil.get(f"/sessions/{addresses['session']}/kubeconfig").headers["Content-Type"]: "application/yaml",
        pupil.get("/nowhere").headers["Content-Type"]: "text/html; charset=utf-8",
    }
    assert list(kinds) == list(kinds.values())


def test_what_is_saved_has_a_name_of_ours(enter: Enter, addresses: dict[str, str]) -> None:
    olga, pupil = enter("olga", "instructor"), enter("pupil")
    for answer in (
        olga.get(f"/classes/{addresses['class_id']}/report.csv"),
        olga.get(f"/classes/{addresses['class_id']}/learners/pupil/report.csv"),
        olga.get(f"/classes/{addresses['class_id']}/labs/first/report.csv"),
        pupil.get(f"/sessions/{addresses['session']}/kubeconfig"),
    ):
        assert re.fullmatch(
            r'attachment; filename="kindling-[\w-]+\.(csv|yaml)"', answer.headers["Content-Disposition"]
        )
        assert "sandbox" in answer.headers["Content-Security-Policy"]
