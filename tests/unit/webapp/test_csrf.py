"""The token of the pages: one a visitor, never twice the same in pages, and nothing else is taken for it."""

from __future__ import annotations

import base64

import pytest
from flask import Flask

from tests.unit.webapp.conftest import LOCAL, Enter, Visitor
from webapp import csrf


def status(visitor: Visitor, token: str) -> int:
    return visitor.client.post("/theme", base_url=LOCAL, data={"csrf_token": token}).status_code


def test_every_page_shows_another_token_and_each_is_good(visitor: Visitor) -> None:
    tokens = []
    for _ in range(4):
        visitor.get("/sign-in")
        tokens.append(visitor.token)
    assert len(set(tokens)) == 4
    assert {status(visitor, token) for token in tokens} == {302}


def test_a_header_does_as_well(visitor: Visitor) -> None:
    visitor.get("/sign-in")
    headers = {"X-CSRFToken": visitor.token}
    assert visitor.client.post("/theme", base_url=LOCAL, headers=headers).status_code == 302


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "x",
        "é",
        "A" * 86 + "==",
        base64.urlsafe_b64encode(bytes(64)).decode(),
        base64.urlsafe_b64encode(bytes(63)).decode(),
        base64.urlsafe_b64encode(b"").decode(),
        "A" * 100_000,
    ],
)
def test_nothing_else_is_taken_for_one(visitor: Visitor, wrong: str) -> None:
    assert status(visitor, wrong) == 400, "before there is one"
    visitor.get("/sign-in")
    assert status(visitor, wrong) == 400


def test_a_changed_token_is_none(visitor: Visitor) -> None:
    visitor.get("/sign-in")
    raw = bytearray(base64.urlsafe_b64decode(visitor.token))
    raw[40] ^= 1
    assert status(visitor, base64.urlsafe_b64encode(bytes(raw)).decode()) == 400


def test_signing_in_begins_a_new_one(visitor: Visitor, enter: Enter, app: Flask) -> None:
    ada = enter()
    with app.test_request_context():
        assert len(base64.urlsafe_b64decode(csrf.token())) == 2 * csrf.BYTES
    before = ada.token
    ada.post("/sign-out")
    ada.get("/sign-in")
    assert status(ada, ada.token) == 302
    assert before != ada.token


def test_cookies_are_signed_with_an_approved_hash(app: Flask) -> None:
    interface = app.session_interface
    assert interface.digest_method().name == "sha256"  # type: ignore[attr-defined]  # a SecureCookieSessionInterface


def test_a_cookie_that_was_changed_is_nobodys(enter: Enter, app: Flask) -> None:
    ada = enter()
    cookie = ada.client.get_cookie("kindling", domain="localhost")
    assert cookie is not None
    payload, at, signature = cookie.value.rsplit(".", 2)
    flipped = ("A" if payload[5] != "A" else "B").join((payload[:5], payload[6:]))
    unsigned = base64.urlsafe_b64encode(b'{"_user_id":"1","_fresh":true}').decode().rstrip("=")
    for value in (f"{flipped}.{at}.{signature}", f"{payload}.{at}.", payload, f"{unsigned}.{at}.{signature}", "x"):
        other = app.test_client()
        other.set_cookie("kindling", value, domain="localhost")
        assert other.get("/profile", base_url=LOCAL).status_code == 302, value
