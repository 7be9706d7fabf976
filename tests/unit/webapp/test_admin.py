"""Accounts, for admins and nobody else; health for everybody."""

from __future__ import annotations

import pytest
from sqlalchemy.exc import OperationalError

from labs.bootstrap import Kindling
from tests.unit.webapp.conftest import Enter, Visitor, text_of


@pytest.mark.parametrize("role", ["learner", "instructor"])
def test_only_admins_find_it(enter: Enter, services: Kindling, role: str) -> None:
    other = enter("someone", role)
    assert other.get("/accounts/").status_code == 404
    assert other.post("/accounts/someone/role", {"role": "admin"}).status_code == 404
    assert other.post("/accounts/ada/link").status_code == 404
    assert services.accounts.get("someone").role == role


def test_visitors_are_asked_to_sign_in(visitor: Visitor) -> None:
    assert visitor.get("/accounts/").location.startswith("/sign-in")


def test_making_an_account_changing_its_role_and_letting_it_in(enter: Enter, services: Kindling) -> None:
    root = enter("root", "admin")
    root.post("/accounts/", {"name": "olga", "role": "instructor"})
    assert services.accounts.get("olga").role == "instructor"
    assert "is taken" in text_of(root.post("/accounts/", {"name": "olga", "role": "admin"}))
    assert "begins with a letter" in text_of(root.post("/accounts/", {"name": "../x", "role": "learner"}))
    assert root.post("/accounts/", {"name": "x", "role": "king"}).status_code == 400
    root.post("/accounts/olga/role", {"role": "learner"})
    assert services.accounts.get("olga").role == "learner"
    assert root.post("/accounts/nobody/role", {"role": "learner"}).status_code == 404
    said = text_of(root.post("/accounts/olga/link"))
    token = said.partition("/login/")[2].split()[0]
    assert services.accounts.redeem(token).name == "olga"


def test_freeing_an_email(enter: Enter, services: Kindling) -> None:
    services.accounts.register("mallory", "a longer phrase", email="bob@school.example")
    root = enter("root", "admin")
    assert "Free the email of mallory" in text_of(root.get("/accounts/"))
    said = text_of(root.post("/accounts/mallory/email/free", follow_redirects=True))
    assert "somebody else can take bob@school.example" in said
    assert services.accounts.find("bob@school.example") is None
    assert root.post("/accounts/mallory/email/free").status_code == 403


def test_an_admin_keeps_their_own_role(enter: Enter, services: Kindling) -> None:
    root = enter("root", "admin")
    root.post("/accounts/root/role", {"role": "learner"})
    assert services.accounts.get("root").role == "admin"


def test_health(visitor: Visitor, services: Kindling, monkeypatch: pytest.MonkeyPatch) -> None:
    assert visitor.get("/health").json == {"status": "ok"}
    assert visitor.get("/health/ready").json == {"status": "ok"}

    def broken(*_: object) -> None:
        raise OperationalError("select", {}, Exception("disk"))

    monkeypatch.setattr(type(services.records), "read", broken)
    assert visitor.get("/health/ready").status_code == 503
    assert visitor.get("/health").status_code == 200
