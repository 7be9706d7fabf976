"""Every address that takes an id of somebody's: another learner, and another instructor, find nothing there."""

from __future__ import annotations

import pytest
from flask import Flask
from werkzeug.routing import Rule

from labs.bootstrap import Kindling
from tests.unit.webapp.conftest import Enter, Visitor

NOBODYS = {"course", "lesson", "lab", "filename", "path", "question", "token", "name", "grant"}
"""What belongs to nobody, is a secret in itself (a sign-in token), or is for admins (who see everybody)."""
HARMLESS = {"account.leave": "ends a membership of one's own; naming a class of others changes nothing"}


def addresses(app: Flask) -> list[Rule]:
    """The rules that take an id of somebody's."""
    found = [rule for rule in app.url_map.iter_rules() if rule.arguments - NOBODYS and rule.endpoint not in HARMLESS]
    assert len(found) > 15
    return found


def asked(visitor: Visitor, app: Flask, rule: Rule, values: dict[str, str]) -> int:
    """The status of an address, asked for as its own page would."""
    _, path = rule.build({name: values[name] for name in rule.arguments}) or ("", "")
    assert path, rule
    if "POST" in (rule.methods or ()) and "GET" not in (rule.methods or ()):
        return visitor.post(path, {"text": "name\nx\n", "check": "first"}).status_code
    return visitor.get(path).status_code


@pytest.mark.parametrize(("name", "role"), [("bob", "learner"), ("mallory", "instructor")])
def test_what_is_anothers_is_not_found(enter: Enter, app: Flask, services: Kindling, name: str, role: str) -> None:
    services.accounts.ensure("ada")
    services.accounts.ensure("olga", "instructor")
    school = services.classes.create_class("Autumn", "olga")
    services.classes.join(school.join_code, "ada")
    session = services.sessions.wait(services.sessions.start("ada", "first").id)
    attempt = services.sessions.follow(services.sessions.check(session.id, "ada").id, "ada")
    services.accounts.register("carol", "a longer phrase")
    services.classes.import_roster(school.id, "olga", "name\ncarol\n")
    (place,) = services.invitations.waiting(school.id, "olga")
    values = {"session": session.id, "attempt": attempt.id, "class_id": school.id, "learner": "ada", "lab": "first"}
    values["place"] = place.id
    stranger, owner, teacher = enter(name, role), enter("ada"), enter("olga", "instructor")
    ada = services.accounts.get("ada")
    values["sign_in"] = str(services.sign_ins.of(ada.id)[0].id)
    for rule in addresses(app):
        assert set(rule.arguments) <= set(values), f"{rule}: say in this test whose that is"
        assert asked(stranger, app, rule, values) == 404, rule
    now = services.sessions.view(session.id, "ada")
    assert (now.state, now.hints_taken, now.expires_at) == ("ready", 0, session.expires_at)
    assert len(services.sessions.attempts("ada", "first")) == 1
    assert services.invitations.waiting(school.id, "olga") == [place]
    assert owner.get(f"/attempts/{attempt.id}/").status_code == 200
    assert teacher.get(f"/classes/{school.id}/attempts/{attempt.id}/").status_code == 200


def test_a_class_of_ones_own_opens_nobody_elses_attempts(enter: Enter, services: Kindling) -> None:
    services.accounts.ensure("ada")
    services.accounts.ensure("mallory", "instructor")
    mine = services.classes.create_class("Mine", "mallory")
    session = services.sessions.wait(services.sessions.start("ada", "first").id)
    attempt = services.sessions.follow(services.sessions.check(session.id, "ada").id, "ada")
    mallory = enter("mallory", "instructor")
    mallory.post(f"/classes/{mine.id}/roster", {"text": "name\nada\n"})
    for path in (f"attempts/{attempt.id}/", "learners/ada/", "learners/ada/report.csv"):
        assert mallory.get(f"/classes/{mine.id}/{path}").status_code == 404
    assert mallory.post(f"/classes/{mine.id}/learners/ada/link", {}).status_code == 404


def test_admins_pages_are_for_admins(enter: Enter, app: Flask) -> None:
    mallory = enter("mallory", "instructor")
    for rule in app.url_map.iter_rules():
        if rule.endpoint.startswith("admin."):
            assert asked(mallory, app, rule, {"name": "mallory"}) == 404, rule
