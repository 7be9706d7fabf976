"""What keeps strangers out: headers, host names, tokens, cookies, sizes."""

from __future__ import annotations

import dataclasses
import re
import stat
from pathlib import Path

import pytest
from flask import Flask

from labs.bootstrap import Kindling
from labs.errors import SettingsError
from labs.settings import Settings
from tests.unit.webapp.conftest import LOCAL, Enter, Visitor, text_of
from webapp import MAX_REQUEST_BYTES, create_app
from webapp.security import host_name, is_loopback, secret_key

TEMPLATES = Path(__file__).resolve().parents[3] / "webapp" / "templates"


def test_every_answer_carries_the_headers(visitor: Visitor) -> None:
    for path in ("/", "/no-such-page", "/static/css/base.css", "/health"):
        headers = visitor.get(path).headers
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["Referrer-Policy"] == "same-origin"


def test_pages_are_not_kept_by_the_browser_and_static_files_are(visitor: Visitor) -> None:
    assert visitor.get("/").headers["Cache-Control"] == "no-store"
    assert "max-age" in visitor.get("/static/css/base.css").headers["Cache-Control"]


def test_no_template_has_inline_script_style_or_address_elsewhere() -> None:
    for path in TEMPLATES.rglob("*.html"):
        text = path.read_text()
        assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son[a-z]+=", text), path
        assert not re.search(r"""(src|href|action)=["'](https?:)?//""", text), path


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("localhost:8000", 200),
        ("127.0.0.1:8000", 200),
        ("[::1]:8000", 200),
        ("LOCALHOST", 200),
        ("evil.example", 421),
        ("localhost.evil.example", 421),
        ("127.0.0.1.evil.example:8000", 421),
    ],
)
def test_on_loopback_only_names_of_this_machine_are_answered(app: Flask, host: str, status: int) -> None:
    answer = app.test_client().get("/", base_url=f"http://{host}")
    assert answer.status_code == status
    if status == 421:
        assert "http://localhost" in text_of(answer)
        assert "A course" not in text_of(answer)


def test_elsewhere_any_name_is_answered(services: Kindling) -> None:
    open_to_all = dataclasses.replace(services, settings=dataclasses.replace(services.settings, host="0.0.0.0"))
    answer = create_app(open_to_all).test_client().get("/", base_url="http://kindling.school.example")
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("host", "loopback"), [("127.0.0.1", True), ("127.3.2.1", True), ("::1", True), ("0.0.0.0", False), ("kind", False)]
)
def test_loopback_is_recognised(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


@pytest.mark.parametrize(
    ("header", "name"), [("a:1", "a"), ("[::1]:8", "::1"), ("::1", "::1"), ("A.b", "a.b"), ("", "")]
)
def test_host_name(header: str, name: str) -> None:
    assert host_name(header) == name


def test_a_post_without_token_is_refused_and_changes_nothing(enter: Enter, services: Kindling) -> None:
    ada = enter()
    for headers in ({}, {"Accept": "application/json"}):
        answer = ada.client.post("/labs/first/start", base_url=LOCAL, headers=headers)
        assert answer.status_code == 400
        assert "Load it again" in text_of(answer)
    answer = ada.client.post("/labs/first/start", base_url=LOCAL, json={"provider": "memory"})
    assert answer.status_code == 400
    assert services.sessions.current("ada", "first") is None


def test_the_token_of_another_visitor_is_refused(enter: Enter, services: Kindling) -> None:
    ada, eve = enter("ada"), enter("eve")
    answer = ada.client.post("/labs/first/start", base_url=LOCAL, data={"csrf_token": eve.token})
    assert answer.status_code == 400
    assert services.sessions.current("ada", "first") is None


def test_the_cookie_is_out_of_reach(enter: Enter) -> None:
    ada = enter()
    (cookie,) = [line for line in ada.get("/profile").headers.getlist("Set-Cookie") if line.startswith("kindling=")]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Secure" not in cookie
    over_https = ada.client.get("/sign-in", base_url="https://localhost")
    assert "Secure" in over_https.headers["Set-Cookie"]
    assert over_https.headers["Strict-Transport-Security"]


def test_what_is_too_big_is_refused(visitor: Visitor) -> None:
    answer = visitor.post("/sign-in", {"name": "x" * (MAX_REQUEST_BYTES + 1)})
    assert answer.status_code == 413
    assert "1 MiB" in text_of(answer)


def test_the_key_is_made_once_and_kept_to_its_owner(settings: Settings) -> None:
    first = secret_key(settings)
    assert len(first) >= 32
    assert secret_key(settings) == first
    assert stat.S_IMODE((settings.home / "secret-key").stat().st_mode) == 0o600
    assert secret_key(dataclasses.replace(settings, secret_key="of my own")) == "of my own"
    (settings.home / "secret-key").write_text("")
    with pytest.raises(SettingsError, match="remove it"):
        secret_key(settings)


def test_no_traceback_reaches_a_browser(enter: Enter, services: Kindling, monkeypatch: pytest.MonkeyPatch) -> None:
    ada = enter()

    def broken(*_: object) -> None:
        raise RuntimeError("secret detail in /home/kindling")

    monkeypatch.setattr(type(services.sessions), "attempts", broken)
    answer = ada.get("/labs/first/")
    assert answer.status_code == 500
    assert "secret detail" not in answer.get_data(as_text=True)
    assert "Nothing you handed in is lost" in text_of(answer)
    assert ada.client.get("/labs/first/state", base_url=LOCAL, headers={"Accept": "application/json"}).json == {
        "error": "Something broke on our side",
        "advice": "Nothing you handed in is lost. Try again; if it stays, tell whoever runs this site.",
        "fix": "",
    }
