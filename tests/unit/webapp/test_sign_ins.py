"""Signed in: an opaque token, listed on the profile, ended at once; guessing from the pages."""

from __future__ import annotations

import pytest
from flask import Flask

from labs.bootstrap import Kindling
from tests.doubles.providers import ManualClock
from tests.unit.webapp.conftest import LOCAL, Enter, Visitor, text_of
from webapp.account.browsers import browser_of

PASSWORD = "a longer phrase"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


def signed_in(visitor: Visitor) -> bool:
    return visitor.get("/profile").status_code == 200


def test_the_cookie_is_the_token_and_nothing_else(enter: Enter, services: Kindling) -> None:
    ada = enter()
    cookie = ada.client.get_cookie("kindling-sign-in", domain="localhost")
    assert cookie is not None
    found = services.sign_ins.whose(cookie.value)
    assert found is not None
    assert found.account.name == "ada"
    ada.client.delete_cookie("kindling-device", domain="localhost")
    ada.client.delete_cookie("kindling", domain="localhost")
    assert signed_in(ada)


@pytest.mark.parametrize("value", ["", "x", "x" * 3000, '"', "é", "None", "1"])
def test_a_made_up_cookie_is_nobodys(visitor: Visitor, value: str) -> None:
    for name in ("kindling-sign-in", "kindling-device", "kindling"):
        visitor.client.set_cookie(name, value, domain="localhost")
    assert not signed_in(visitor)
    assert visitor.get("/sign-in").status_code == 200


def test_a_new_token_at_every_sign_in(visitor: Visitor, services: Kindling) -> None:
    """What somebody planted before is not what is signed in then, and the old one ends."""
    services.accounts.register("tom", PASSWORD)
    visitor.client.set_cookie("kindling-sign-in", "planted", domain="localhost")
    tokens = ["planted"]
    for _ in range(2):
        visitor.get("/")
        link = services.accounts.login_link("tom")
        visitor.get(f"/login/{link}")
        cookie = visitor.client.get_cookie("kindling-sign-in", domain="localhost")
        assert cookie is not None
        tokens.append(cookie.value)
    assert len(set(tokens)) == 3
    assert [services.sign_ins.whose(token) is not None for token in tokens] == [False, False, True]


def test_listed_with_a_button_each(app: Flask, enter: Enter, services: Kindling, clock: ManualClock) -> None:
    ada, phone = enter(), enter()
    token = services.accounts.login_link("ada")
    app.test_client().get(f"/login/{token}", base_url=LOCAL, headers={"User-Agent": FIREFOX})
    page = ada.get("/profile")
    said = text_of(page)
    assert "Firefox on Linux" in said
    assert said.count("127.0.0.1") == 3
    assert said.count("(this one)") == 1
    here, other, _ = reversed(services.sign_ins.of(services.accounts.get("ada").id))
    ada.post(f"/profile/sign-ins/{other.id}/end")
    assert "You are signed out there" in text_of(ada.get("/profile"))
    assert not signed_in(phone)
    assert signed_in(ada)
    ada.post(f"/profile/sign-ins/{here.id}/end")
    assert not signed_in(ada)


def test_everywhere(enter: Enter) -> None:
    ada, phone, eve = enter(), enter(), enter("eve")
    assert ada.post("/profile/sign-out-everywhere").location == "/"
    assert not signed_in(ada)
    assert not signed_in(phone)
    assert signed_in(eve)


def test_a_new_password_leaves_only_who_set_it(enter: Enter, services: Kindling) -> None:
    ada, phone = enter(), enter()
    assert ada.post("/profile/password", {"new": PASSWORD, "again": PASSWORD}).status_code == 302
    assert "Wherever else you were signed in" in text_of(ada.get("/profile"))
    assert not signed_in(phone)


def test_an_admin_disables_an_account(enter: Enter, services: Kindling) -> None:
    ada, root = enter(), enter("root", "admin")
    root.post("/accounts/ada/disable")
    assert not signed_in(ada)
    assert "Disabled Enable" in text_of(root.get("/accounts/"))
    root.post("/accounts/root/disable")
    assert signed_in(root)
    root.post("/accounts/ada/enable")
    assert signed_in(enter())


def test_a_role_that_ends_ends_what_is_open(enter: Enter) -> None:
    olga, root = enter("olga", "instructor"), enter("root", "admin")
    root.post("/accounts/olga/role", {"role": "learner"})
    assert not signed_in(olga)


def test_being_seen_is_noted(enter: Enter, services: Kindling, clock: ManualClock) -> None:
    ada = enter()
    clock.pass_time(minutes=30)
    ada.get("/")
    assert services.sign_ins.of(services.accounts.get("ada").id)[0].seen_at == clock.at
    clock.pass_time(days=4)
    assert not signed_in(ada)


def test_guessing_ends_and_says_when_and_what_helps(app: Flask, visitor: Visitor, services: Kindling) -> None:
    services.accounts.register("tom", PASSWORD)
    ends = [visitor.post("/sign-in", {"name": "tom", "password": "wrong"}) for _ in range(11)]
    assert [end.status_code for end in ends] == [403] * 10 + [429]
    said = text_of(ends[-1])
    assert "Try again in 60 s" in said
    assert "a sign-in link always works" in said
    assert ends[-1].headers["Retry-After"] == "60"
    assert 'value="tom"' in ends[-1].get_data(as_text=True)
    elsewhere = Visitor(app.test_client())
    elsewhere.get("/sign-in")
    answer = elsewhere.post("/sign-in", {"name": "tom", "password": PASSWORD}, environ_base={"REMOTE_ADDR": "10.9.9.9"})
    assert answer.status_code == 302


def test_a_browser_that_signed_in_before_is_not_kept_out(app: Flask, services: Kindling) -> None:
    services.accounts.register("tom", PASSWORD)
    tom, eve = Visitor(app.test_client()), Visitor(app.test_client())
    assert tom.post("/sign-in", {"name": "tom", "password": PASSWORD}).status_code == 302
    tom.get("/")
    tom.post("/sign-out")
    for _ in range(11):
        last = eve.post("/sign-in", {"name": "tom", "password": "wrong"})
    assert last.status_code == 429
    tom.get("/sign-in")
    assert tom.post("/sign-in", {"name": "tom", "password": PASSWORD}).status_code == 302


@pytest.mark.parametrize(
    ("agent", "said"),
    [
        (FIREFOX, "Firefox on Linux"),
        ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/140.0 Safari/537.36 Edg/140.0", "Edge on Windows"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) Version/19.0 Safari/604.1", "Safari on iPhone"),
        ("curl/8.5.0", "curl"),
        ("<b>odd</b>" * 9, "<b>odd</b><b>odd</b><b>odd</b><b>odd</b>"),
        ("", "An unknown browser"),
    ],
)
def test_browsers(agent: str, said: str) -> None:
    assert browser_of(agent) == said
