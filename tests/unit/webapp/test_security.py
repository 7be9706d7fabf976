"""What keeps strangers out: headers, host names, tokens, cookies, sizes."""

from __future__ import annotations

import dataclasses
import re
import stat
from pathlib import Path

import pytest
from flask import Flask
from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Response

from labs.bootstrap import Kindling
from labs.errors import SettingsError
from labs.settings import Settings, is_loopback
from tests.unit.webapp.conftest import LOCAL, Enter, Visitor, text_of
from webapp import MAX_REQUEST_BYTES, create_app
from webapp.cookies import secret_key
from webapp.security import host_name

PUBLIC = "https://kindling.school.example"
TEMPLATES = Path(__file__).resolve().parents[3] / "webapp" / "templates"
STATIC = TEMPLATES.parent / "static"


def test_every_answer_carries_the_headers(visitor: Visitor) -> None:
    for path in ("/", "/no-such-page", "/static/css/base.css", "/health"):
        headers = visitor.get(path).headers
        policy = headers["Content-Security-Policy"]
        for directive in ("default-src", "object-src", "base-uri", "frame-ancestors"):
            assert f"{directive} 'none'" in policy
        assert "unsafe" not in policy
        assert ("sandbox" in policy) is (path in ("/static/css/base.css", "/health"))
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["Referrer-Policy"] == "same-origin"
        assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert "camera=()" in headers["Permissions-Policy"]
        assert "Access-Control-Allow-Origin" not in headers
        if path != "/no-such-page":
            assert "Set-Cookie" not in headers or path == "/"


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


@pytest.mark.parametrize("version", ["HTTP/1.0", "HTTP/9.9"])
def test_who_says_no_name_is_not_answered(app: Flask, version: str) -> None:
    environ = EnvironBuilder(path="/").get_environ() | {"SERVER_NAME": "127.0.0.1", "SERVER_PROTOCOL": version}
    environ.pop("HTTP_HOST", None)
    assert Response.from_app(app, environ).status_code == 421


@pytest.fixture
def public(services: Kindling) -> Flask:
    """The site as a class reaches it, over HTTPS."""
    named = dataclasses.replace(services.settings, host="0.0.0.0", public_url=PUBLIC)
    return create_app(dataclasses.replace(services, settings=named))


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("kindling.school.example", 200),
        ("KINDLING.school.example:443", 200),
        ("localhost:8000", 200),
        ("evil.example", 421),
        ("evil.kindling.school.example", 421),
        ("kindling.school.example.evil.example", 421),
        ("10.1.2.3", 421),
    ],
)
def test_elsewhere_only_the_public_name_is_answered(public: Flask, host: str, status: int) -> None:
    assert public.test_client().get("/", base_url=f"http://{host}").status_code == status


def test_a_site_that_others_reach_must_be_named(services: Kindling) -> None:
    unnamed = dataclasses.replace(services.settings, host="0.0.0.0")
    with pytest.raises(SettingsError, match="KINDLING_PUBLIC_URL"):
        create_app(dataclasses.replace(services, settings=unnamed))


def test_links_are_written_with_the_public_address(public: Flask, services: Kindling) -> None:
    services.accounts.ensure("root", "admin")
    root = public.test_client()
    root.get(f"/login/{services.accounts.login_link('root')}", base_url=PUBLIC)
    page = root.get("/accounts/", base_url=PUBLIC).get_data(as_text=True)
    token = re.search(r'name="csrf-token" content="([^"]+)"', page)
    assert token
    headers = {"Referer": PUBLIC, "X-Forwarded-Host": "evil.example"}
    answer = root.post("/accounts/ada/link", base_url=PUBLIC, data={"csrf_token": token[1]}, headers=headers)
    assert f"{PUBLIC}/login/" in answer.get_data(as_text=True)
    assert "evil" not in answer.get_data(as_text=True)


def test_behind_a_public_address_every_cookie_is_secure(public: Flask) -> None:
    for base in (PUBLIC, "http://kindling.school.example"):  # also when the proxy does not say how it was asked
        answer = public.test_client().get("/sign-in", base_url=base)
        assert answer.headers["Set-Cookie"].startswith("__Host-kindling=")
        assert "Secure" in answer.headers["Set-Cookie"]
        assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"


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
    assert answer.status_code == 415
    assert services.sessions.current("ada", "first") is None


def test_the_token_of_another_visitor_is_refused(enter: Enter, services: Kindling) -> None:
    ada, eve = enter("ada"), enter("eve")
    answer = ada.client.post("/labs/first/start", base_url=LOCAL, data={"csrf_token": eve.token})
    assert answer.status_code == 400
    assert services.sessions.current("ada", "first") is None


@pytest.mark.parametrize(("base", "prefix"), [(LOCAL, ""), ("https://localhost", "__Host-")])
def test_cookies_are_out_of_reach(visitor: Visitor, services: Kindling, base: str, prefix: str) -> None:
    services.accounts.ensure("ada")
    answers = [
        visitor.client.get(path, base_url=base)
        for path in ("/sign-in", f"/login/{services.accounts.login_link('ada')}")
    ]
    kept = dict(line.split("=", 1) for answer in answers for line in answer.headers.getlist("Set-Cookie"))
    kept = {name: value for name, value in kept.items() if "Max-Age=0" not in value}
    assert set(kept) >= {prefix + name for name in ("kindling-sign-in", "kindling-device")}
    for cookie in kept.values():
        parts = {part.strip() for part in cookie.split(";")}
        assert {"HttpOnly", "Path=/", "SameSite=Lax"} <= parts
        assert ("Secure" in parts) is bool(prefix)
        assert "Domain" not in cookie
    assert answers[0].headers.get("Strict-Transport-Security") == ("max-age=31536000" if prefix else None)


def test_the_theme_has_the_prefix_too(app: Flask) -> None:
    client = app.test_client()
    page = client.get("/sign-in", base_url="https://localhost").get_data(as_text=True)
    token = re.search(r'name="csrf-token" content="([^"]+)"', page)
    assert token
    fields = {"csrf_token": token[1], "theme": "dark"}
    answer = client.post("/theme", base_url="https://localhost", data=fields, headers={"Referer": "https://localhost"})
    (cookie,) = [line for line in answer.headers.getlist("Set-Cookie") if "theme=" in line]
    assert cookie.startswith("__Host-theme=dark;")
    assert "Secure" in cookie
    assert 'data-theme="dark"' in client.get("/", base_url="https://localhost").get_data(as_text=True)
    assert "__Host-" in (STATIC / "js" / "site.js").read_text()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 302),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "http://localhost"}, 302),
        ({"Sec-Fetch-Site": "none"}, 302),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "http://localhost.evil.example"}, 403),
        ({"Origin": "null"}, 403),
    ],
)
def test_what_another_site_sends_is_refused_even_with_the_token(
    enter: Enter, headers: dict[str, str], status: int
) -> None:
    assert enter().post("/labs/first/start", headers=headers).status_code == status


@pytest.mark.parametrize("kind", ["application/json", "text/plain", "application/xml", "text/html"])
def test_only_forms_are_taken(enter: Enter, kind: str) -> None:
    ada = enter()
    for headers in ({"X-CSRFToken": ada.token}, {}):
        answer = ada.client.post("/labs/first/start", base_url=LOCAL, data=b"{}", content_type=kind, headers=headers)
        assert answer.status_code == 415


def test_nul_is_refused_wherever_it_is(enter: Enter) -> None:
    ada = enter()
    assert ada.get("/labs/%00/").status_code == 400
    assert ada.get("/sign-in?next=%00").status_code == 400
    assert ada.post("/join", {"code": "A\0B"}).status_code == 400
    assert ada.post("/join", {"co\0de": "AB"}).status_code == 400


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


@pytest.mark.parametrize("number", ["0", "-1", "2147483648", "9" * 400, "1e3", "²"])
def test_a_number_that_no_row_has_is_no_address(app: Flask, enter: Enter, number: str) -> None:
    root = enter("root", "admin")
    rules = [rule for rule in app.url_map.iter_rules() if "<int:" in rule.rule]
    assert rules
    for rule in rules:
        method = "POST" if "POST" in (rule.methods or ()) else "GET"
        address = re.sub(r"<[^>]+>", number, rule.rule)
        answer = root.post(address) if method == "POST" else root.get(address)
        assert answer.status_code == 404, address


def test_links_are_written_in_one_place() -> None:
    for path in TEMPLATES.parent.rglob("*"):
        if path.suffix in (".py", ".html") and path != TEMPLATES.parent / "site.py":
            assert "_external" not in path.read_text(), f"{path}: public_address knows the site's name"


def test_scripts_put_in_markup_of_the_server_only() -> None:
    lines = [
        line.strip()
        for script in sorted((STATIC / "js").glob("*.js"))
        for line in script.read_text().splitlines()
        if re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function", line)
    ]
    assert lines == ["place.innerHTML = html;", "place.innerHTML = body.html;"], "fragments that templates escaped"
    for script in (STATIC / "js").glob("*.js"):
        text = script.read_text()
        assert "localStorage" not in text
        assert "sessionStorage" not in text
        assert "postMessage" not in text
