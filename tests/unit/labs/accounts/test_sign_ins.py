"""Where one is signed in: rows that end at once, for every process, by whatever should end them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from labs.accounts import SignIns
from labs.accounts.sign_ins import MAX_OF_ONE
from labs.bootstrap import Kindling
from labs.errors import NotFound, Refused
from labs.records.database import Database
from labs.records.models import LoginLink, SignIn, User
from tests.doubles.providers import ManualClock
from tests.unit.labs.accounts.test_identifiers import at_once

PASSWORD = "correct horse battery"


def everywhere(services: Kindling, name: str = "ada", places: int = 3) -> list[str]:
    return [services.sign_ins.begin(services.accounts.get(name).id, "10.0.0.1", "Firefox") for _ in range(places)]


def test_only_a_hash_is_kept(services: Kindling) -> None:
    (token,) = everywhere(services, places=1)
    with services.records.read() as tx:
        assert token not in str(vars(tx.query(SignIn).one()))
    assert len(token) >= 43


def test_nothing_else_is_a_token(services: Kindling) -> None:
    (token,) = everywhere(services, places=1)
    with services.records.read() as tx:
        kept = tx.query(SignIn).one().token_hash
    for wrong in ("", "x", kept, token[:-1], token + "x", "\x00", "é" * 100):
        assert services.sign_ins.whose(wrong) is None


def gone(services: Kindling) -> None:
    with services.records.begin() as tx:
        tx.delete(tx.get_one(User, services.accounts.get("ada").id))


@pytest.mark.parametrize(
    "end",
    [
        lambda services: services.accounts.set_password("ada", PASSWORD),
        lambda services: services.accounts.set_role("ada", "instructor"),
        lambda services: services.accounts.disable("ada"),
        lambda services: services.sign_ins.end_all(services.accounts.get("ada").id),
        gone,
    ],
    ids=["password", "role", "disabled", "everywhere", "deleted"],
)
def test_what_ends_all_of_them(services: Kindling, end: Callable[[Kindling], object]) -> None:
    """At once, and for another process of the site as well; nobody else's."""
    services.accounts.ensure("eve")
    (eves,) = everywhere(services, "eve", 1)
    tokens = everywhere(services)
    records = Database(services.settings.database_url, services.settings.home)
    elsewhere = SignIns(records, services.sign_ins.now, services.sign_ins.idle, services.sign_ins.longest)
    found = [elsewhere.whose(token) for token in tokens]
    open_ones = [one.sign_in for one in found if one is not None]
    assert len(open_ones) == 3
    end(services)
    assert [elsewhere.whose(token) for token in tokens] == [None] * 3
    assert not any(elsewhere.lasts(one) for one in open_ones)
    assert elsewhere.whose(eves) is not None
    records.close()


def test_the_same_role_ends_nothing(services: Kindling) -> None:
    (token,) = everywhere(services, places=1)
    services.accounts.set_role("ada", "learner")
    assert services.sign_ins.whose(token) is not None


def test_one_is_ended_by_its_owner_only(services: Kindling) -> None:
    services.accounts.ensure("eve")
    tokens, ada, eve = everywhere(services), services.accounts.get("ada"), services.accounts.get("eve")
    found = services.sign_ins.whose(tokens[1])
    assert found is not None
    with pytest.raises(NotFound):
        services.sign_ins.end(eve.id, found.sign_in)
    assert len(services.sign_ins.of(ada.id)) == 3
    services.sign_ins.end(ada.id, found.sign_in)
    assert [services.sign_ins.whose(token) is None for token in tokens] == [False, True, False]
    with pytest.raises(NotFound):
        services.sign_ins.end(ada.id, found.sign_in)


def test_idle_and_longest(services: Kindling, clock: ManualClock) -> None:
    sign_ins = SignIns(services.records, clock, timedelta(hours=2), timedelta(hours=5))
    ada = services.accounts.get("ada").id
    idle, used = sign_ins.begin(ada), sign_ins.begin(ada)
    for _ in range(3):
        clock.pass_time(hours=1.5)
        found = sign_ins.whose(used)
        assert found is not None
        sign_ins.seen(found.sign_in, "10.0.0.2")
    assert sign_ins.whose(idle) is None
    assert [place.address for place in sign_ins.of(ada)] == ["10.0.0.2"]
    clock.pass_time(hours=0.6)
    assert sign_ins.whose(used) is None
    sign_ins.begin(ada)
    with services.records.read() as tx:
        assert tx.query(SignIn).count() == 1  # what was over is forgotten


def test_seen_is_noted_only_now_and_then_and_wakes_nothing(services: Kindling, clock: ManualClock) -> None:
    (token,) = everywhere(services, places=1)
    first = services.sign_ins.whose(token)
    clock.pass_time(minutes=6)
    later = services.sign_ins.whose(token)
    assert first is not None
    assert later is not None
    assert (first.stale, later.stale) == (False, True)
    clock.pass_time(days=10)
    services.sign_ins.seen(first.sign_in, "")
    assert services.sign_ins.whose(token) is None


def test_of_one_account_there_are_only_so_many(services: Kindling, clock: ManualClock) -> None:
    tokens = []
    for _ in range(MAX_OF_ONE + 3):
        clock.pass_time(seconds=1)
        tokens += everywhere(services, places=1)
    assert [services.sign_ins.whose(token) is None for token in tokens] == [True] * 3 + [False] * MAX_OF_ONE


def test_what_a_browser_says_is_bounded_text(services: Kindling) -> None:
    ada = services.accounts.get("ada").id
    services.sign_ins.begin(ada, "x" * 500, "\x1b[31mA\n" + "b" * 5000)
    (place,) = services.sign_ins.of(ada)
    assert (len(place.address), place.agent) == (64, "[31mA" + "b" * 295)


class TestDisabled:
    def test_nobody_comes_in(self, services: Kindling) -> None:
        services.accounts.set_password("ada", PASSWORD)
        link = services.accounts.login_link("ada")
        assert services.accounts.disable("ada").disabled
        with pytest.raises(Refused, match="disabled"):
            services.accounts.sign_in("ada", PASSWORD)
        with pytest.raises(Refused, match="is wrong"):
            services.accounts.sign_in("ada", "wrong")
        with pytest.raises(Refused, match="used or has expired"):
            services.accounts.redeem(link)
        with pytest.raises(Refused, match="disabled"):
            services.accounts.login_link("ada")
        assert services.sign_ins.whose(services.sign_ins.begin(services.accounts.get("ada").id)) is None

    def test_and_back(self, services: Kindling) -> None:
        services.accounts.set_password("ada", PASSWORD)
        services.accounts.disable("ada")
        assert not services.accounts.enable("ada").disabled
        assert services.accounts.sign_in("ada", PASSWORD).name == "ada"


class TestLinks:
    def test_a_newer_one_ends_older_ones_of_the_same_account(self, services: Kindling) -> None:
        services.accounts.ensure("eve")
        eves, older, newer = (services.accounts.login_link(name) for name in ("eve", "ada", "ada"))
        with pytest.raises(Refused):
            services.accounts.redeem(older)
        assert services.accounts.redeem(newer).name == "ada"
        assert services.accounts.redeem(eves).name == "eve"
        with services.records.read() as tx:
            assert tx.query(LoginLink).count() == 2

    def test_of_many_at_once_one_is_let_in(self, services: Kindling) -> None:
        token = services.accounts.login_link("ada")
        done = at_once(*[lambda: services.accounts.redeem(token)] * 6)
        assert sum(not isinstance(one, Refused) for one in done) == 1
