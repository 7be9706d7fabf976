"""Every route x every role: the table in docs/security.md is what is expected, and no route is missing from it.

Who may not is sent to sign in, or told 404, reads nothing of the owner's and changes nothing; who may gets an answer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select
from werkzeug.test import TestResponse

from labs.bootstrap import Kindling
from labs.records.models import Base
from tests.doubles.providers import ScriptedGrader
from tests.unit.webapp.conftest import LOCAL, Enter, Visitor
from webapp import limits
from webapp.streams import HANDOVER

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "security.md").read_text(encoding="utf-8")
TABLE = [
    (method, route, audience)
    for method, route, audience in re.findall(r"^\| (GET|POST) \| `([^`]+)` \| ([a-z ]+) \|$", PAGE, re.MULTILINE)
]
ROLES = ("visitor", "owner", "classmate", "stranger", "teacher", "other", "admin")
AUDIENCES = {
    "everybody": set(ROLES),
    "signed in": set(ROLES) - {"visitor"},
    "owner": {"owner"},
    "teachers": {"teacher", "admin"},
    "instructors": {"teacher", "other", "admin"},
    "admins": {"admin"},
}
PASSWORD = "a longer phrase"
EMAIL = "owner@private.example"
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "CONNECT", "PROPFIND")


@dataclass
class World:
    """A class with its teacher and two learners, another class, a stranger, an admin; the owner has handed in."""

    services: Kindling
    visitors: dict[str, Visitor]
    class_id: str
    join_code: str
    other_class: str
    session: str
    attempt: str
    places: dict[str, tuple[str, str]]
    sign_in: int
    grant: int

    def address(self, route: str, role: str, **change: str) -> str:
        """A route with everything of the owner's put in."""
        values = {
            "class_id": self.class_id,
            "attempt": self.attempt,
            "session": self.session,
            "learner": "owner",
            "name": "owner",
            "place": self.places[role][0],
            "lab": "first",
            "course": "a-course",
            "lesson": "one",
            "question": "one",
            "path:filename": "css/base.css",
            "int:grant": str(self.grant),
            "int:sign_in": str(self.sign_in),
            **change,
        }
        if route == "/invitation/<token>":
            values["token"] = self.places[role][1]
        elif route == "/reset/<token>":
            values["token"] = self.services.resets.by_hand(f"claimed-{role}", None)
        elif "<token>" in route:
            self.services.accounts.ensure(f"by-link-{role}")
            values["token"] = self.services.accounts.login_link(f"by-link-{role}")
        return re.sub(r"<([^>]+)>", lambda match: values[match[1]], route)

    def fields(self, route: str, role: str) -> dict[str, object]:
        """What a form of this route carries."""
        if route == "/sign-in":
            return {"name": f"signs-in-{role}", "password": PASSWORD}
        return {
            "/access/": {"provider": "other", "who": f"class:{self.class_id}"},
            "/accounts/": {"name": f"made-by-{role}", "role": "learner"},
            "/accounts/<name>/role": {"role": "learner"},
            "/classes/": {"name": f"A class of {role}"},
            "/classes/<class_id>/roster": {"text": f"name\nentered-by-{role}\n"},
            "/courses/<course>/<lesson>/quiz/<question>": {"answer": "0"},
            "/join": {"code": self.join_code},
            "/labs/<lab>/start": {"provider": "memory"},
            "/profile/password": {"new": PASSWORD, "again": PASSWORD},
            "/register": {"code": self.join_code, "name": f"new-{role}", "password": PASSWORD},
            "/sessions/<session>/hint": {"check": "first"},
            "/reset/<token>": {"new": PASSWORD, "again": PASSWORD},
            "/theme": {"theme": "dark"},
        }.get(route, {})

    def ask(self, method: str, route: str, role: str, **change: str) -> TestResponse:
        """One request as this role would make it, with a valid token."""
        visitor, address = self.visitors[role], self.address(route, role, **change)
        if route == "/sign-in" and method == "POST":
            self.services.accounts.register(f"signs-in-{role}", PASSWORD)
        if method == "GET":
            return visitor.client.get(address, base_url=LOCAL, environ_overrides={HANDOVER: []})
        return visitor.post(address, self.fields(route, role))

    def leaks(self, seen: str, route: str) -> set[str]:
        """What of the owner's is to be read, beyond what was in the address."""
        return {text for text in (self.session, self.attempt, EMAIL) if text in seen} - {
            self.session if "<session>" in route else "",
            self.attempt if "<attempt>" in route else "",
        }

    def rows(self) -> dict[str, list[tuple[Any, ...]]]:
        """Everything that is recorded."""
        with self.services.records.read() as tx:
            tables = Base.metadata.sorted_tables
            return {table.name: sorted(map(tuple, tx.execute(select(table))), key=repr) for table in tables}


@pytest.fixture
def world(enter: Enter, app: Flask, services: Kindling, grader: ScriptedGrader) -> World:
    accounts = services.accounts
    for name in ("classmate", "stranger"):
        accounts.ensure(name)
    accounts.ensure("teacher", "instructor")
    accounts.ensure("other", "instructor")
    made, others = services.classes.create_class("Mine", "teacher"), services.classes.create_class("Theirs", "other")
    services.classes.import_roster(made.id, "teacher", f"name,email\nowner,{EMAIL}\n")
    services.classes.join(made.join_code, "classmate")
    session = services.sessions.wait(services.sessions.start("owner", "first").id)
    attempt = services.sessions.follow(services.sessions.check(session.id, "owner").id, "owner")
    services.providers.get("other").privileged = True
    grant = services.grants.allow("other", "account", "classmate")
    roles = {"teacher": "instructor", "other": "instructor", "admin": "admin"}
    visitors = {role: enter(role, roles.get(role, "learner")) for role in ROLES if role != "visitor"}
    visitors["visitor"] = Visitor(app.test_client())
    visitors["visitor"].get("/")
    places = {role: waiting(services, made.id, role) for role in ROLES}
    sign_in = services.sign_ins.of(services.accounts.get("owner").id)[0].id
    return World(
        services, visitors, made.id, made.join_code, others.id, session.id, attempt.id, places, sign_in, grant.id
    )


def waiting(services: Kindling, class_id: str, role: str) -> tuple[str, str]:
    """A place of the class that waits for its learner, and an invitation to it, for a role to try."""
    services.accounts.register(f"claimed-{role}", PASSWORD)
    services.classes.import_roster(class_id, "teacher", f"name\nclaimed-{role}\n")
    place = next(one for one in services.invitations.waiting(class_id, "teacher") if one.name == f"claimed-{role}")
    return place.id, services.invitations.invite(class_id, "teacher", place.id)[1]


def body_of(answer: TestResponse) -> str:
    """What came; of a live page what it would be told first."""
    if answer.mimetype != "text/event-stream":
        with answer:
            return answer.get_data(as_text=True)
    (subscription,) = answer.request.environ[HANDOVER]
    seen = subscription.look()
    subscription.close()
    assert seen is not None
    return str(seen[1])


def refused(answer: TestResponse) -> bool:
    """Sent to sign in, or told that there is nothing."""
    return answer.status_code == 404 or (answer.status_code == 302 and (answer.location or "").startswith("/sign-in"))


def test_the_table_is_every_route_there_is(app: Flask) -> None:
    routes = {
        (method, rule.rule)
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    listed = [(method, route) for method, route, _ in TABLE]
    assert sorted(listed) == sorted(routes), "docs/security.md says who may use each route"
    assert {audience for _, _, audience in TABLE} <= set(AUDIENCES)


@pytest.mark.parametrize(("method", "route", "audience"), TABLE, ids=[f"{row[0]} {row[1]}" for row in TABLE])
def test_a_route_is_for_its_audience_and_nobody_else(world: World, method: str, route: str, audience: str) -> None:
    before = world.rows()
    for role in [role for role in ROLES if role not in AUDIENCES[audience]]:
        answer = world.ask(method, route, role)
        assert refused(answer), (role, answer.status_code)
        assert (answer.status_code == 302) is (role == "visitor"), (role, answer.status_code)
        assert not world.leaks(body_of(answer), route), role
    assert world.rows() == before, "who may not changed something"
    for role in [role for role in ROLES if role in AUDIENCES[audience]]:
        answer = world.ask(method, route, role)
        assert answer.status_code in (200, 302, 422), (
            role,
            answer.status_code,
        )  # 422: let in, and the form not filled in
        assert not refused(answer), role
        seen = body_of(answer)
        if role not in ("owner", "teacher", "admin"):
            assert not world.leaks(seen, route), role


@pytest.mark.parametrize(
    "route", [route for _, route, _ in TABLE if "<class_id>" in route and re.search("<(attempt|learner)>", route)]
)
def test_a_class_of_ones_own_opens_nobody_elses_work(world: World, route: str) -> None:
    method = next(method for method, listed, _ in TABLE if listed == route)
    assert world.ask(method, route, "other", class_id=world.other_class).status_code == 404
    assert world.ask(method, route, "teacher", class_id="all").status_code == 404


def test_a_classs_figures_are_of_that_class(world: World) -> None:
    for route in ("/classes/<class_id>/", "/classes/<class_id>/report.csv", "/classes/<class_id>/labs/<lab>/"):
        seen = body_of(world.ask("GET", route, "other", class_id=world.other_class))
        assert "owner" not in seen.replace("teacher", ""), route
        assert world.attempt not in seen


def test_no_other_method_is_taken(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "CHANGES", 10_000)
    admin = world.visitors["admin"]
    for route in sorted({route for _, route, _ in TABLE}):
        allowed = {method for method, listed, _ in TABLE if listed == route}
        for method in set(METHODS) - allowed:
            answer = admin.client.open(
                world.address(route, "admin"), method=method, base_url=LOCAL, headers={"X-CSRFToken": admin.token}
            )
            assert answer.status_code == 405, (method, route)


def test_nothing_changes_without_the_token_of_the_page(world: World) -> None:
    for route in [route for method, route, _ in TABLE if method == "POST"]:
        addresses = {role: world.address(route, role) for role in ROLES}
        before = world.rows()
        for role, address in addresses.items():
            client = world.visitors[role].client
            answer = client.post(address, base_url=LOCAL, data=world.fields(route, role))
            assert answer.status_code == 400, (route, role)
        assert world.rows() == before, route


def test_looking_changes_nothing_but_what_was_looked_at_last(world: World) -> None:
    def kept() -> dict[str, Any]:
        return {name: rows for name, rows in world.rows().items() if name != "activity"}

    for route, audience in [(route, audience) for method, route, audience in TABLE if method == "GET"]:
        if "<token>" in route:  # which is used up
            continue
        before = kept()
        for role in AUDIENCES[audience]:
            address = world.address(route, role)
            body_of(world.visitors[role].client.get(address, base_url=LOCAL))
        assert kept() == before, route
