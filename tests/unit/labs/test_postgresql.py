"""The same records on PostgreSQL: writers take turns, readers see one moment, whoever opens first migrates."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from labs.errors import Unavailable
from labs.records.database import Database
from labs.records.models import User
from tests import postgresql
from tests.conftest import unavailable


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    if why := postgresql.missing():
        unavailable(why)
    with postgresql.server() as found:
        yield found


@pytest.fixture
def database(url: str, tmp_path: Path) -> Iterator[Database]:
    opened = Database(url, tmp_path)
    opened.open()
    yield opened
    opened.close()


def somebody(name: str) -> User:
    return User(name=name, created_at=datetime.now(UTC))


def names(database: Database) -> list[str]:
    with database.read() as tx:
        return list(tx.scalars(select(User.name).order_by(User.name)))


def test_many_open_it_at_once_and_one_migrates(url: str, tmp_path: Path) -> None:
    machines = [Database(url, tmp_path / str(number)) for number in range(4)]  # each with a home of its own
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(Database.open, machines)) == [None] * 4
    for machine in machines:
        machine.close()


def test_a_writer_waits_for_another_and_says_so_when_that_takes_long(database: Database, tmp_path: Path) -> None:
    with database.begin() as tx:
        tx.add(somebody("first"))
        with pytest.raises(Unavailable, match="locked"), database.begin(patience=0.01):
            raise AssertionError
    with database.begin(patience=0.01) as tx:
        assert tx.scalar(select(User.name).where(User.name == "first")) == "first"


def test_what_is_read_before_it_is_written_still_holds(database: Database) -> None:
    def ensure(_: int) -> None:
        with database.begin() as tx:
            if tx.scalar(select(User).where(User.name == "once")) is None:
                tx.add(somebody("once"))

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(ensure, range(40)))
    assert names(database).count("once") == 1


def test_only_what_need_not_last_is_not_waited_for(database: Database) -> None:
    for lasting, wanted in ((True, "on"), (False, "off"), (True, "on")):
        with database.begin(lasting=lasting) as tx:
            assert tx.execute(text("SHOW synchronous_commit")).scalar() == wanted


def test_a_reader_sees_one_moment_and_cannot_write(database: Database) -> None:
    with database.read() as tx:
        before = tx.scalars(select(User.name)).all()
        with database.begin() as other:
            other.add(somebody("meanwhile"))
        assert tx.scalars(select(User.name)).all() == before
    assert "meanwhile" in names(database)
    with database.read() as tx:
        tx.add(somebody("nobody"))
        with pytest.raises(DBAPIError, match="read-only"):
            tx.flush()
