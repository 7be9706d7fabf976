"""Names and emails are one space, held by the database: nobody signs in with what looks like another's."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError

from labs.accounts import Account, Accounts, rows
from labs.accounts.names import key_of
from labs.bootstrap import Kindling
from labs.errors import Refused
from labs.records.database import Database, migrate
from labs.records.models import Identifier, User

PASSWORD = "correct horse battery"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ada", "ADA"),
        ("ada", " ada "),
        ("ada", "ａｄａ"),  # full width
        ("ada", "аdа"),  # Cyrillic
        ("ada", "a\N{ZERO WIDTH SPACE}da"),
        ("ada", "ada\N{NO-BREAK SPACE}"),
        ("paypal", "pаypаl"),
        ("straße", "STRASSE"),
        ("josé", "jose\N{COMBINING ACUTE ACCENT}"),
        ("x@example.org", "X@EXAMPLE.ORG"),
        ("x@example.org", "x＠example.org"),
        ("office", "oﬃce"),
        ("ivan", "ıvan"),
    ],
)
def test_what_people_take_for_each_other_is_one(one: str, other: str) -> None:
    assert key_of(one) == key_of(other)


@pytest.mark.parametrize(("one", "other"), [("jose", "josé"), ("s10", "slo"), ("a.b", "ab"), ("иван", "ivan")])
def test_what_people_tell_apart_is_two(one: str, other: str) -> None:
    assert key_of(one) != key_of(other)


def test_a_key_is_its_own_key_and_bounded() -> None:
    for each in ("Ada", "ＡDА", "oﬃce", "ŉ" * 400, "ada@Example.org"):
        assert key_of(key_of(each)) == key_of(each)
        assert len(key_of(each)) <= 512


@pytest.mark.parametrize(
    ("name", "email"),
    [
        ("GRACE", ""),
        ("grаce", ""),
        ("other", "Grace@Example.org"),
        ("other", "grace@exаmple.org"),
        ("grace@example.org", ""),
        ("GRACE@example.org", "grace@example.org"),
        ("Olga@example.org", ""),
    ],
)
def test_anothers_way_to_sign_in_is_refused(services: Kindling, name: str, email: str) -> None:
    services.accounts.register("grace", PASSWORD, email="grace@example.org")
    services.accounts.register("olga@example.org", PASSWORD)
    before = len(services.accounts.all())
    with pytest.raises(Refused, match=r"taken|already has an account"):
        services.accounts.register(name, PASSWORD, email=email)
    assert len(services.accounts.all()) == before
    assert services.accounts.sign_in("grace@example.org", PASSWORD).name == "grace"


def test_one_signs_in_however_one_types_it(services: Kindling) -> None:
    services.accounts.register("Grace", PASSWORD, email="grace@example.org")
    for typed in ("Grace", "grace", " GRACE ", "Grace@example.org", "ｇrace"):
        assert services.accounts.sign_in(typed, PASSWORD).name == "Grace"
    assert services.accounts.ensure("grace").name == "Grace"


def test_an_account_takes_its_identifiers_along(services: Kindling) -> None:
    account = services.accounts.register("grace", PASSWORD, email="grace@example.org")
    with services.records.begin() as tx:
        tx.delete(tx.get_one(User, account.id))
    assert services.accounts.register("GRACE", PASSWORD).name == "GRACE"


def test_the_database_refuses_who_comes_second(services: Kindling, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when both have looked before either wrote."""
    services.accounts.register("grace", PASSWORD, email="grace@example.org")
    monkeypatch.setattr(rows, "holder_of", lambda *_: None)
    for name, email in (("Grace", ""), ("other", "GRACE@example.org"), ("grace@example.org", "")):
        with pytest.raises(Refused, match="a moment ago"):
            services.accounts.register(name, PASSWORD, email=email)
    assert [one.name for one in services.accounts.all()] == ["ada", "grace"]
    with pytest.raises(IntegrityError), services.records.begin() as tx:
        tx.add(Identifier(key="grace", user_id=1))


def at_once(*works: Callable[[], object]) -> list[object]:
    """What each returned or raised, begun together."""
    barrier, results = threading.Barrier(len(works)), []

    def go(work: Callable[[], object]) -> None:
        barrier.wait()
        try:
            results.append(work())
        except Refused as error:
            results.append(error)

    threads = [threading.Thread(target=go, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_of_many_at_once_one_gets_the_name(services: Kindling) -> None:
    records = Database(services.settings.database_url, services.settings.home)
    second = Accounts(records, services.accounts.now)
    spellings = ("tom", "TOM", "tоm", "tom@x.org", "Tom@X.org", "other")
    try:
        made = at_once(
            *(
                lambda accounts=accounts, name=name: accounts.register(
                    name, PASSWORD, email="tom@x.org" if name == "other" else ""
                )
                for accounts, name in zip((services.accounts, second) * 3, spellings, strict=True)
            )
        )
    finally:
        records.close()
    accounts = [one for one in made if isinstance(one, Account)]
    assert len({key_of(one.name) for one in accounts}) == len(accounts)
    with services.records.read() as tx:
        held = tx.scalars(select(Identifier.key)).all()
    theirs = {key_of(each) for one in accounts for each in (one.name, one.email) if each}
    assert set(held) == {"ada"} | theirs
    assert len(accounts) == 2  # one of each way to sign in


def test_an_older_database_keeps_everybody_and_the_older_holder(tmp_path: Path) -> None:
    records = Database(f"sqlite:///{tmp_path}/k.db", tmp_path)
    migrate(records.engine, "0002")
    people = [
        (1, "ada", "ada@x.org", "learner", None),
        (2, "Ada", None, "learner", "h"),
        (3, "eve", "eve@x.org", "learner", "h"),
        (4, "ada@x.org", None, "learner", "h"),
        (5, "ADA", "EVE@x.org", "admin", "h"),
    ]
    with records.begin() as tx:
        for number, name, email, role, password in people:
            tx.execute(
                text(
                    "INSERT INTO users (id, name, display_name, email, role, password_hash, created_at) "
                    "VALUES (:id, :name, '', :email, :role, :password, '2026-01-01')"
                ),
                {"id": number, "name": name, "email": email, "role": role, "password": password},
            )
    records.open()
    with records.read() as tx:
        users = [(one.id, one.name, one.email) for one in tx.scalars(select(User).order_by(User.id))]
        held = {one.key: (one.user_id, one.proven) for one in tx.scalars(select(Identifier))}
    records.close()
    assert users == [
        (1, "ada", "ada@x.org"),
        (2, "Ada-2", None),
        (3, "eve", "eve@x.org"),
        (4, "ada@x.org-2", None),
        (5, "ADA-3", None),
    ]
    assert held == {
        "ada": (1, True),
        "ada-2": (2, False),
        "eve": (3, False),
        "ada@x.org": (1, True),
        "ada@x.org-2": (4, False),
        "ada-3": (5, True),
        "eve@x.org": (3, False),
    }
