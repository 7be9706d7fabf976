"""Signing in and out, links, join codes, passwords."""

from __future__ import annotations

import pytest
from flask import Flask

from labs.bootstrap import Kindling
from labs.records.models import User
from tests.unit.webapp.conftest import LOCAL, Enter, Visitor, text_of

PASSWORD = "a longer phrase"


def test_a_link_signs_in_once(visitor: Visitor, services: Kindling) -> None:
    token = services.accounts.login_link("ada")
    assert visitor.client.head(f"/login/{token}", base_url=LOCAL).status_code == 204
    assert visitor.get(f"/login/{token}").status_code == 302
    assert "Signs in as ada" in text_of(visitor.get("/profile"))
    other = Visitor(visitor.client.application.test_client())
    refused = other.get(f"/login/{token}")
    assert refused.status_code == 403
    for page in (refused, other.get("/sign-in")):
        assert "kindling user link" in text_of(page), "kindling up would refuse: the site is up"
        assert "ask your instructor" in text_of(page)
    assert other.get("/profile").status_code == 302
    assert visitor.get(f"/login/{token}").location == "/"


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_link_on_another_sites_page_asks_first(visitor: Visitor, services: Kindling, site: str) -> None:
    address = f"/login/{services.accounts.login_link('ada')}"
    asked = visitor.get(address, headers={"Sec-Fetch-Site": site})
    assert asked.status_code == 200
    assert "Sign in by this link?" in text_of(asked)
    assert visitor.get("/profile").status_code == 302, "nobody is signed in yet"
    assert visitor.post(address).status_code == 302
    assert "Signs in as ada" in text_of(visitor.get("/profile"))


@pytest.mark.parametrize("site", ["none", "same-origin", None])
def test_a_link_that_was_typed_signs_in_at_once(visitor: Visitor, services: Kindling, site: str | None) -> None:
    headers = {"Sec-Fetch-Site": site} if site else {}
    assert visitor.get(f"/login/{services.accounts.login_link('ada')}", headers=headers).status_code == 302


def test_signing_out_is_on_every_page(enter: Enter) -> None:
    ada = enter()
    for address in (
        "/",
        "/labs/",
        "/labs/first/",
        "/labs/first/attempts/",
        "/profile",
        "/courses/a-course/one/",
        "/no",
    ):
        assert 'action="/sign-out"' in ada.get(address).get_data(as_text=True), address


@pytest.mark.parametrize("address", ["/sign-out", "/profile/sign-out-everywhere"])
def test_signing_out_clears_the_browser(enter: Enter, address: str) -> None:
    assert enter().post(address).headers["Clear-Site-Data"] == '"cache", "storage"'


def test_a_password_signs_in_and_leads_back(visitor: Visitor, services: Kindling) -> None:
    services.accounts.register("tom", PASSWORD)
    asked = visitor.get("/labs/first/?a=1")
    assert asked.location == "/sign-in?next=/labs/first/?a%3D1"
    visitor.get(asked.location)
    answer = visitor.post("/sign-in", {"name": "tom", "password": PASSWORD, "next": "/labs/first/?a=1"})
    assert answer.location == "/labs/first/?a=1"
    assert visitor.get("/sign-in").location == "/"


@pytest.mark.parametrize(
    "target",
    [
        "//evil.example",
        "///evil.example",
        "https://evil.example",
        "https:evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "/\n/evil.example",
        " //evil.example",
        "javascript:x",
        "data:text/html,x",
        "evil.example",
        "@evil.example",
        "",
    ],
)
def test_signing_in_leads_nowhere_else(visitor: Visitor, services: Kindling, target: str) -> None:
    services.accounts.register("tom", PASSWORD)
    answer = visitor.post("/sign-in", {"name": "tom", "password": PASSWORD, "next": target})
    assert answer.location == "/"


def test_a_wrong_password_is_refused_and_tried_only_so_often(visitor: Visitor, services: Kindling) -> None:
    services.accounts.register("tom", PASSWORD)
    first = visitor.post("/sign-in", {"name": "<b>tom", "password": "wrong"})
    assert first.status_code == 403
    assert "The name or the password is wrong." in text_of(first)
    assert "&lt;b&gt;tom" in first.get_data(as_text=True)
    tries = [visitor.post("/sign-in", {"name": "tom", "password": "wrong"}).status_code for _ in range(12)]
    assert tries[-1] == 429
    assert visitor.post("/sign-in", {"name": "tom", "password": PASSWORD}).status_code == 429


def test_a_class_signs_in_at_once_from_one_address(app: Flask, services: Kindling) -> None:
    services.accounts.register("tom", PASSWORD)
    for number in range(12):
        Visitor(app.test_client()).post("/sign-in", {"name": "nobody", "password": str(number)})
    for number in range(30):
        token = services.accounts.login_link(services.accounts.ensure(f"learner-{number}").name)
        assert Visitor(app.test_client()).get(f"/login/{token}").status_code == 302
    assert Visitor(app.test_client()).post("/sign-in", {"name": "tom", "password": PASSWORD}).status_code == 302


def test_signing_out_ends_it(enter: Enter) -> None:
    ada = enter()
    assert ada.post("/sign-out").status_code == 302
    assert ada.get("/profile").location.startswith("/sign-in")
    assert ada.send("/labs/first/start").status_code == 400  # the token of a page from before
    ada.get("/")
    assert ada.send("/labs/first/start").status_code == 401


def test_an_account_that_is_gone_is_signed_out(enter: Enter, services: Kindling) -> None:
    ada = enter()
    with services.records.begin() as tx:
        tx.delete(tx.get_one(User, services.accounts.get("ada").id))
    assert ada.get("/profile").status_code == 302


def test_a_join_code_makes_an_account_and_enters_the_class(visitor: Visitor, services: Kindling) -> None:
    services.accounts.ensure("olga", "instructor")
    made = services.classes.create_class("Autumn", "olga")
    fields: dict[str, object] = {"code": f" {made.join_code.lower()} ", "name": "new", "password": PASSWORD}
    assert visitor.post("/register", fields).location == "/"
    assert "You are in Autumn" in text_of(visitor.get("/"))
    assert [one.name for one in services.classes.joined("new")] == ["Autumn"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"code": "WRONG"}, "no class with this code"),
        ({"name": "ada"}, "is taken"),
        ({"name": "Admin"}, "kept for those who run this site"),
        ({"name": "../x"}, "letters, digits"),
        ({"password": "short"}, "at least 8 characters"),
        ({"email": "no"}, "not an email address"),
    ],
)
def test_what_is_wrong_with_a_new_account_is_said(
    visitor: Visitor, services: Kindling, change: dict[str, object], said: str
) -> None:
    services.accounts.ensure("olga", "instructor")
    made = services.classes.create_class("Autumn", "olga")
    before = [account.name for account in services.accounts.all()]
    answer = visitor.post("/register", {"code": made.join_code, "name": "new", "password": PASSWORD, **change})
    assert answer.status_code == 422
    assert said in text_of(answer)
    assert [account.name for account in services.accounts.all()] == before


@pytest.mark.parametrize("name", ["Cap.Ital-9", "a_b+c", "me@x.org"])
def test_the_hint_on_names_says_what_is_taken(visitor: Visitor, services: Kindling, name: str) -> None:
    services.accounts.ensure("olga", "instructor")
    made = services.classes.create_class("Autumn", "olga")
    assert "Letters, digits and . _ + - without spaces, or your email address" in text_of(visitor.get("/register"))
    fields = {"code": made.join_code, "name": name, "email": "me@x.org", "password": PASSWORD}
    assert visitor.post("/register", dict(fields)).status_code == 302
    assert services.accounts.sign_in(name.upper(), PASSWORD).name == name


def test_joining_and_leaving(enter: Enter, services: Kindling) -> None:
    services.accounts.ensure("olga", "instructor")
    made = services.classes.create_class("Autumn", "olga")
    ada = enter()
    refused = ada.post("/join", {"code": "NOSUCH"})
    assert refused.status_code == 422
    assert "no class with this code" in text_of(refused)
    assert 'value="NOSUCH"' in refused.get_data(as_text=True)
    ada.post("/join", {"code": made.join_code})
    assert "Autumn" in text_of(ada.get("/profile"))
    ada.post(f"/classes/{made.id}/leave")
    assert services.classes.joined("ada") == []


def test_setting_and_changing_a_password(enter: Enter, services: Kindling) -> None:
    ada = enter()
    assert "differ" in text_of(ada.post("/profile/password", {"new": PASSWORD, "again": "other"}))
    assert ada.post("/profile/password", {"new": PASSWORD, "again": PASSWORD}).status_code == 302
    assert services.accounts.sign_in("ada", PASSWORD).name == "ada"
    ada.get("/profile")
    refused = ada.post("/profile/password", {"old": "wrong", "new": PASSWORD + "2", "again": PASSWORD + "2"})
    assert refused.status_code == 422
    ada.post("/profile/password", {"old": PASSWORD, "new": PASSWORD + "2", "again": PASSWORD + "2"})
    assert services.accounts.sign_in("ada", PASSWORD + "2").name == "ada"


def test_the_theme_is_a_cookie_and_nothing_else_is_taken(visitor: Visitor) -> None:
    answer = visitor.post("/theme", {"theme": "dark", "next": "/labs/"})
    assert answer.location == "/labs/"
    assert 'data-theme="dark"' in visitor.get("/").get_data(as_text=True)
    visitor.post("/theme", {"theme": '"><script>', "next": "//evil.example"})
    assert 'data-theme="auto"' in visitor.get("/").get_data(as_text=True)


@pytest.fixture
def invitation(services: Kindling) -> str:
    """The address of an invitation for vera, whose name somebody has taken."""
    services.accounts.ensure("olga", "instructor")
    made = services.classes.create_class("Autumn", "olga")
    services.accounts.register("vera", PASSWORD)
    services.classes.import_roster(made.id, "olga", "name,email,display_name\nvera,vera@x.org,Vera <b>\n")
    (place,) = services.invitations.waiting(made.id, "olga")
    return f"/invitation/{services.invitations.invite(made.id, 'olga', place.id)[1]}"


def test_an_invitation_makes_an_account(visitor: Visitor, services: Kindling, invitation: str) -> None:
    page = visitor.get(invitation)
    assert "You are invited to Autumn" in text_of(page)
    assert "Vera <b>" in text_of(page)
    token = invitation.rpartition("/")[2]
    form = visitor.get(f"/register?invitation={token}")
    assert 'value="vera@x.org"' in form.get_data(as_text=True)
    assert 'value="vera"' not in form.get_data(as_text=True)  # somebody has that name
    assert "Join code" not in text_of(form)
    fields: dict[str, object] = {"invitation": token, "name": "vera", "email": "", "password": PASSWORD}
    refused = visitor.post("/register", fields)
    assert "The name vera is taken" in text_of(refused)
    assert visitor.post("/register", fields | {"name": "vera2"}).location == "/"
    assert [one.name for one in services.classes.joined("vera2")] == ["Autumn"]
    assert services.accounts.get("vera2").email == "vera@x.org"
    assert visitor.get(invitation).status_code == 403
    assert visitor.get(f"/register?invitation={token}").status_code == 403


def test_an_invitation_is_taken_with_the_account_one_has(enter: Enter, services: Kindling, invitation: str) -> None:
    ada = enter()
    assert "Join as ada" in text_of(ada.get(invitation))
    assert services.classes.joined("ada") == []
    assert ada.post(invitation).location == "/profile"
    assert "You are in Autumn" in text_of(ada.get("/profile"))
    assert ada.post(invitation).status_code == 403


def test_an_invitation_needs_signing_in_to_be_taken(visitor: Visitor, invitation: str) -> None:
    assert visitor.post(invitation).location.startswith("/sign-in")
    assert "next=/invitation/" in visitor.get(invitation).get_data(as_text=True)
    assert visitor.get("/invitation/nonsense").status_code == 403


def test_an_instructor_hands_out_invitations(enter: Enter, services: Kindling, invitation: str) -> None:
    olga = enter("olga", "instructor")
    (made,) = services.classes.taught_by("olga")
    (place,) = services.invitations.waiting(made.id, "olga")
    assert "Waiting for" in text_of(olga.get(f"/classes/{made.id}/roster"))
    said = text_of(olga.post(f"/classes/{made.id}/roster/{place.id}/invitation"))
    newer = "/invitation/" + said.partition("/invitation/")[2].split()[0]
    assert olga.get(invitation).status_code == 403
    assert olga.get(newer).status_code == 200
    assert olga.post(f"/classes/{made.id}/roster/{place.id}/dismiss").status_code == 302
    assert olga.get(newer).status_code == 403
    assert "Waiting for" not in text_of(olga.get(f"/classes/{made.id}/roster"))
