"""A new password by a link: once, soon, for whom it is meant, and known to the owner."""

from __future__ import annotations

import pytest

from labs.accounts import Account
from labs.bootstrap import Kindling
from labs.errors import NotFound, Refused
from labs.records.models import Identifier, LoginLink
from tests.doubles.providers import ManualClock
from tests.unit.labs.accounts.test_identifiers import at_once

PASSWORD, NEWER = "correct horse battery", "staple and paper clip"


@pytest.fixture
def tom(services: Kindling) -> Account:
    return services.accounts.register("tom", PASSWORD, email="tom@example.org")


def test_once_and_signed_out_everywhere(services: Kindling, tom: Account) -> None:
    signed_in, link = services.sign_ins.begin(tom.id), services.accounts.login_link("tom")
    token = services.resets.by_hand("tom", None)
    assert services.resets.shown(token).name == "tom"
    assert services.accounts.sign_in("tom", PASSWORD).name == "tom"  # until it is used
    assert services.resets.use(token, NEWER).password_set_by == "a link that the command made"
    assert services.accounts.sign_in("tom", NEWER).name == "tom"
    assert services.sign_ins.whose(signed_in) is None
    for use in (
        lambda: services.accounts.sign_in("tom", PASSWORD),
        lambda: services.accounts.redeem(link),
        lambda: services.resets.shown(token),
        lambda: services.resets.use(token, PASSWORD),
    ):
        with pytest.raises(Refused):
            use()


def test_a_password_that_is_refused_uses_nothing_up(services: Kindling, tom: Account) -> None:
    token = services.resets.by_hand("tom", None)
    for wrong in ("short", "password123", "tom@example.org"):
        with pytest.raises(Refused):
            services.resets.use(token, wrong)
    assert services.resets.use(token, NEWER).name == "tom"


def test_not_late_not_guessed_the_newest_only_and_no_sign_in_link(
    services: Kindling, tom: Account, clock: ManualClock
) -> None:
    older, token = services.resets.by_hand("tom", None), services.resets.by_hand("tom", None)
    link = services.accounts.login_link("tom")
    for wrong in (older, link, token[:-1], "", "None"):
        with pytest.raises(Refused, match="used or has expired"):
            services.resets.use(wrong, NEWER)
    with pytest.raises(Refused):
        services.accounts.redeem(token)
    with services.records.read() as tx:
        assert all(token not in str(vars(row)) for row in tx.query(LoginLink))
    clock.pass_time(minutes=61)
    with pytest.raises(Refused):
        services.resets.use(token, NEWER)


def test_of_many_at_once_one_sets_it(services: Kindling, tom: Account) -> None:
    token = services.resets.by_hand("tom", None)
    words = ["one of many words", "two of many words", "three of many words"]
    done = at_once(*(lambda word=word: services.resets.use(token, word) for word in words))
    assert sum(isinstance(one, Account) for one in done) == 1


def test_who_may_make_one(services: Kindling, tom: Account) -> None:
    people = {
        role: services.accounts.ensure(f"a-{role}", role)  # type: ignore[arg-type]
        for role in ("learner", "instructor", "admin")
    }
    services.accounts.ensure("other-prof", "instructor")
    allowed = {
        (maker, of)
        for maker, account in people.items()
        for of in ("tom", "other-prof", "a-admin")
        if not isinstance(attempt(services, of, account), Refused)
    }
    assert allowed == {("instructor", "tom"), ("admin", "tom"), ("admin", "other-prof"), ("admin", "a-admin")}
    with pytest.raises(NotFound):
        services.resets.by_hand("nobody", people["admin"])


def attempt(services: Kindling, name: str, maker: Account) -> str | Refused:
    try:
        return services.resets.by_hand(name, maker)
    except Refused as error:
        return error


def test_by_mail_goes_to_the_address_and_proves_it(services: Kindling, tom: Account) -> None:
    found = services.resets.by_mail("TOM")
    assert found is not None
    assert found[0].email == "tom@example.org"
    services.resets.use(found[1], NEWER)
    with services.records.read() as tx:
        assert tx.get_one(Identifier, "tom@example.org").proven
        assert not tx.get_one(Identifier, "tom").proven


def test_by_mail_to_nobody(services: Kindling, tom: Account) -> None:
    services.accounts.ensure("without")
    services.accounts.disable("tom")
    assert [services.resets.by_mail(name) for name in ("nobody", "without", "tom", "")] == [None] * 4
    with pytest.raises(Refused, match="disabled"):
        services.resets.by_hand("tom", None)


def test_changing_it_by_oneself_says_so(services: Kindling, tom: Account, clock: ManualClock) -> None:
    services.resets.use(services.resets.by_hand("tom", None), NEWER)
    services.accounts.set_password("tom", PASSWORD)
    account = services.accounts.get("tom")
    assert (account.password_set_at, account.password_set_by) == (clock.at, "")
