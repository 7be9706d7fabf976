"""How often one may ask, and that nobody's asking holds up another."""

from __future__ import annotations

import pytest
from flask import Flask

from tests.unit.webapp.conftest import LOCAL, Enter, Visitor
from webapp import limits


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits that a test reaches. In force for sites made after it."""
    for name in ("PAGES", "CHANGES", "VISITOR_PAGES", "VISITOR_CHANGES"):
        monkeypatch.setattr(limits, name, 8)
    monkeypatch.setitem(limits.COSTLY, "lab.start", 2)


@pytest.mark.usefixtures("small")
class TestLimits:
    def test_pages_of_an_account(self, enter: Enter) -> None:
        ada, bob = enter("ada"), enter("bob")
        seen = [ada.client.get("/profile", base_url=LOCAL) for _ in range(9)]
        assert seen[0].status_code == 200
        assert seen[-1].status_code == 429
        assert seen[-1].headers["Retry-After"] == "60"
        assert bob.get("/profile").status_code == 200, "from the same address"

    def test_changes_have_a_limit_of_their_own(self, enter: Enter) -> None:
        ada = enter()
        statuses = [ada.post("/theme", {"theme": "dark"}).status_code for _ in range(9)]
        assert statuses == [302] * 8 + [429]
        assert ada.get("/profile").status_code == 200

    def test_what_costs_more(self, enter: Enter) -> None:
        ada = enter()
        assert [ada.post("/labs/first/start").status_code for _ in range(3)] == [302, 302, 429]
        assert ada.send("/labs/first/start").json["error"] == "Too many at once"  # type: ignore[index]
        assert enter("bob").post("/labs/first/start").status_code == 302

    def test_visitors_by_address(self, app: Flask) -> None:
        visitor = Visitor(app.test_client())
        seen = [visitor.client.get("/", base_url=LOCAL).status_code for _ in range(9)]
        assert seen == [200] * 8 + [429]
        with app.test_client().get("/static/css/base.css", base_url=LOCAL) as uncounted:
            assert uncounted.status_code == 200
        assert app.test_client().get("/health", base_url=LOCAL).status_code == 200
        elsewhere = app.test_client().get("/", base_url=LOCAL, environ_base={"REMOTE_ADDR": "10.0.0.9"})
        assert elsewhere.status_code == 200


def test_costly_routes_are_there_and_change_something(app: Flask) -> None:
    for endpoint in limits.COSTLY:
        assert any("POST" in (rule.methods or ()) for rule in app.url_map.iter_rules(endpoint)), endpoint
