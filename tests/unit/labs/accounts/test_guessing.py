"""Guessing is slow, for whoever guesses; owners and classes come in."""

from __future__ import annotations

from datetime import datetime

import pytest
from sqlalchemy import select

from labs.accounts import Accounts, Allowances, Caller, GuardedSignIn, allowances
from labs.accounts.allowances import Limit, network_of
from labs.accounts.guessing import OF_ACCOUNT_FROM_ADDRESS
from labs.bootstrap import Kindling
from labs.errors import Refused, TooMany
from labs.records.database import Database
from labs.records.models import Allowance
from tests.doubles.providers import ManualClock
from tests.unit.labs.accounts.test_identifiers import at_once

PASSWORD = "correct horse battery"
SCHOOL = "192.0.2.7"
LIMIT = Limit(3, 10.0, "Too many.")


@pytest.fixture
def owner(services: Kindling) -> Caller:
    """tom, at home in one browser."""
    account = services.accounts.register("tom", PASSWORD)
    return Caller(SCHOOL, "toms-browser", (account.id,))


def guess(guarded: GuardedSignIn, caller: Caller, times: int, name: str = "tom") -> list[str]:
    """How wrong guesses ended."""
    ends = []
    for _ in range(times):
        with pytest.raises((Refused, TooMany)) as caught:
            guarded.by_password(name, "wrong", caller)
        ends.append(type(caught.value).__name__)
    return ends


def test_guesses_end_and_say_when_to_go_on(services: Kindling, owner: Caller, clock: ManualClock) -> None:
    guesser = Caller("198.51.100.1")
    assert guess(services.guarded, guesser, 12) == ["Refused"] * 10 + ["TooMany"] * 2
    with pytest.raises(TooMany, match=r"from here\. Try again in 60 s\.") as caught:
        services.guarded.by_password("TOM", PASSWORD, guesser)  # however it is written
    clock.pass_time(seconds=caught.value.seconds)
    assert guess(services.guarded, guesser, 2) == ["Refused", "TooMany"]
    clock.pass_time(seconds=60)
    assert services.guarded.by_password("tom", PASSWORD, guesser).name == "tom"


def test_the_owner_comes_in_whoever_guesses(services: Kindling, owner: Caller) -> None:
    """From another address; in the browser where they are at home, even from the guesser's own address."""
    for address in (SCHOOL, "198.51.100.1", "198.51.100.2"):
        assert guess(services.guarded, Caller(address, "their-browser", (99,)), 11)[-1] == "TooMany"
    assert services.guarded.by_password("tom", PASSWORD, owner).name == "tom"
    assert services.guarded.by_password("tom", PASSWORD, Caller("203.0.113.9")).name == "tom"
    assert services.guarded.by_link(services.accounts.login_link("tom"), Caller(SCHOOL)).name == "tom"


def test_a_browser_where_others_are_at_home_is_a_strangers(services: Kindling, owner: Caller) -> None:
    eve = services.accounts.register("eve", PASSWORD)
    hers = Caller(SCHOOL, "eves-browser", (eve.id,))
    assert guess(services.guarded, hers, 11)[-1] == "TooMany"
    assert guess(services.guarded, Caller(SCHOOL, "yet-another", (eve.id,)), 1) == ["TooMany"]
    assert services.guarded.by_password("eve", PASSWORD, hers).name == "eve"


def test_at_home_there_is_a_limit_too(services: Kindling, owner: Caller) -> None:
    assert guess(services.guarded, owner, 11)[-1] == "TooMany"


def test_a_class_signs_in_from_one_address_and_mistypes(services: Kindling) -> None:
    """A hundred within the same moment, each with a new browser, every third wrong twice; then all of them again."""
    names = [services.accounts.register(f"learner{number}", PASSWORD).name for number in range(100)]
    for _ in range(2):
        for number, name in enumerate(names):
            caller = Caller(SCHOOL)
            if number % 3 == 0:
                assert guess(services.guarded, caller, 2, name) == ["Refused"] * 2
            assert services.guarded.by_password(name, PASSWORD, caller).name == name


def test_one_who_tries_many_names_is_stopped(services: Kindling, clock: ManualClock) -> None:
    ends = [guess(services.guarded, Caller("198.51.100.1"), 1, f"name{number}")[0] for number in range(605)]
    assert ends == ["Refused"] * 600 + ["TooMany"] * 5
    with services.records.read() as tx:
        assert tx.query(Allowance).count() == 601  # what was refused has left no row
    clock.pass_time(days=1)
    guess(services.guarded, Caller("198.51.100.1"), 1, "another")
    with services.records.read() as tx:
        assert tx.query(Allowance).count() == 2


def test_whether_an_account_exists_cannot_be_told(services: Kindling, owner: Caller) -> None:
    for name in ("tom", "nobody"):
        assert guess(services.guarded, Caller("198.51.100.1"), 11, name) == ["Refused"] * 10 + ["TooMany"]


def test_limits_hold_over_processes_and_restarts(services: Kindling, owner: Caller) -> None:
    guess(services.guarded, Caller("198.51.100.1"), 6)
    records = Database(services.settings.database_url, services.settings.home)
    now = services.accounts.now
    other = GuardedSignIn(Accounts(records, now), Allowances(records, now))
    assert guess(other, Caller("198.51.100.1"), 5) == ["Refused"] * 4 + ["TooMany"]
    records.close()


def test_many_at_once_are_no_more_than_one_after_another(services: Kindling, owner: Caller) -> None:
    def one() -> object:
        try:
            return services.guarded.by_password("tom", "wrong", Caller("198.51.100.1"))
        except TooMany as error:
            return error

    ends = at_once(*[one] * 14)
    assert sum(isinstance(end, TooMany) for end in ends) == 14 - OF_ACCOUNT_FROM_ADDRESS.burst


def test_a_limit_that_has_drained_is_not_removed_while_it_is_used(services: Kindling, owner: Caller) -> None:
    """A whole class at once: the address's row drains between two of them, on a clock that does not stand still."""
    ticking = ManualClock()

    def now() -> datetime:
        ticking.pass_time(seconds=0.01)
        return ticking()

    counting = Allowances(services.records, now)
    shared, passed = ("address", LIMIT), []
    for number in range(4):
        own = (f"learner {number}", LIMIT)
        counting.take(own, shared)
        counting.give_back(own, shared)
        passed.append(number)
    assert passed == [0, 1, 2, 3]
    with services.records.read() as tx:
        assert len(tx.scalars(select(Allowance)).all()) == 2  # the address's and the last one's


def test_wrong_links_are_counted_and_right_ones_not(services: Kindling) -> None:
    caller = Caller("198.51.100.1")
    for _ in range(300):
        with pytest.raises(Refused):
            services.guarded.by_link("nonsense", caller)
    with pytest.raises(TooMany):
        services.guarded.by_link("nonsense", caller)
    elsewhere = Caller(SCHOOL)
    for number in range(310):
        name = services.accounts.ensure(f"l{number % 5}").name
        assert services.guarded.by_link(services.accounts.login_link(name), elsewhere).name == name


class TestAllowances:
    def test_all_or_none(self, services: Kindling) -> None:
        for _ in range(3):
            services.allowances.take(("a", LIMIT))
        with pytest.raises(TooMany):
            services.allowances.take(("a", LIMIT), ("b", LIMIT))
        for _ in range(3):
            services.allowances.take(("b", LIMIT))

    def test_a_clock_that_goes_back_opens_and_closes_nothing(self, services: Kindling, clock: ManualClock) -> None:
        for _ in range(3):
            services.allowances.take(("a", LIMIT))
        clock.pass_time(hours=-5)
        with pytest.raises(TooMany) as caught:
            services.allowances.take(("a", LIMIT))
        assert caught.value.seconds == 10
        clock.pass_time(seconds=10)
        services.allowances.take(("a", LIMIT))

    def test_there_are_never_many_rows(self, services: Kindling, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(allowances, "MOST_ROWS", 100)
        for number in range(1000):
            services.allowances.take((f"row {number}", LIMIT))
        with services.records.read() as tx:
            assert tx.query(Allowance).count() < 1000

    @pytest.mark.parametrize(
        ("one", "other", "same"),
        [
            ("192.0.2.1", "192.0.2.2", False),
            ("2001:db8::1", "2001:db8::ffff:1", True),
            ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
            ("::ffff:192.0.2.1", "192.0.2.1", True),
            ("nonsense", "", True),
        ],
    )
    def test_whose_an_address_is(self, one: str, other: str, same: bool) -> None:
        assert (network_of(one) == network_of(other)) is same
