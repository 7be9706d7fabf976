"""Passwords and accounts as they are met: any characters, as they are, masked, pasted; no account from the start."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from labs.accounts import Accounts
from labs.bootstrap import Kindling
from labs.errors import Refused
from labs.records.database import Database
from tests.unit.webapp.conftest import Enter, Visitor

STATIC = Path(__file__).resolve().parents[3] / "webapp" / "static"


class Inputs(HTMLParser):
    """The fields of a page, by name."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: dict[str, dict[str, str | None]] = {}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("input", "select", "textarea"):
            self.found[dict(attrs).get("name") or ""] = dict(attrs)


@pytest.mark.parametrize(
    "password",
    [
        "qvxwzkjhgf",
        "8491730265",
        "lower case words only",
        "ЖЩЮЭЪЫЬйцу",
        "🙂🙃🐎🙂🙃🐎🙂🙃🐎",
        "\"'<>&;--\\%00 ",
        "  spaces around it  ",
        "x1y2" * 32,
    ],
)
def test_a_password_may_be_of_any_characters(services: Kindling, password: str) -> None:
    services.accounts.register("tom", password)
    assert services.accounts.sign_in("tom", password).name == "tom"


@pytest.mark.parametrize("other", ["A longer phrase", "a longer phrase ", " a longer phrase", "a longer  phrase", ""])
def test_a_password_is_taken_as_it_is(services: Kindling, other: str) -> None:
    services.accounts.register("tom", "a longer phrase")
    with pytest.raises(Refused):
        services.accounts.sign_in("tom", other)
    services.accounts.register("long", "x1y" * 42 + "ab")
    for wrong in ("x1y" * 42 + "ac", "x1y" * 42 + "a", "x1y" * 42 + "ab" + "c" * 5000):
        with pytest.raises(Refused):
            services.accounts.sign_in("long", wrong)


def test_passwords_are_masked_and_may_be_pasted(enter: Enter, visitor: Visitor, services: Kindling) -> None:
    services.accounts.set_password("ada", "a longer phrase")
    ada = enter()
    pages = [ada.get("/profile"), visitor.get("/sign-in"), visitor.get("/register")]
    fields = [field for page in pages for field in Inputs(page.get_data(as_text=True)).found.items()]
    secret = [attributes for name, attributes in fields if name in ("password", "old", "new", "again")]
    assert len(secret) == 5
    for attributes in secret:
        assert attributes["type"] == "password"
        assert attributes["autocomplete"] in ("current-password", "new-password")
        assert "maxlength" not in attributes
        assert "readonly" not in attributes
    for script in (STATIC / "js").glob("*.js"):
        assert not re.search(r"""["'](paste|beforeinput|keydown|contextmenu)["']""", script.read_text()) or (
            "paste" not in script.read_text()
        )


def test_what_an_account_is_asked_for(visitor: Visitor) -> None:
    fields = set(Inputs(visitor.get("/register").get_data(as_text=True)).found)
    assert fields - {"next", "csrf_token"} == {"code", "name", "display_name", "email", "password"}


def test_a_new_site_has_no_account(tmp_path: Path) -> None:
    from labs.session.service import utc_now

    records = Database(f"sqlite:///{tmp_path / 'kindling.db'}", tmp_path)
    records.open()
    assert Accounts(records, utc_now).all() == []
    records.close()


def test_the_administrator_has_no_password(services: Kindling) -> None:
    local = services.accounts.local()
    assert local.role == "admin"
    assert not local.has_password
    with pytest.raises(Refused):
        services.accounts.sign_in(local.name, "")
