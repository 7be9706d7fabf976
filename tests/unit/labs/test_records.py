"""The database: migrations lead to the models, many may open it at once, times have a zone."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text
from sqlalchemy.exc import StatementError

from labs.errors import KindlingError, SettingsError
from labs.records.database import HEAD, Database
from labs.records.models import Base, User


def opened(folder: Path) -> Database:
    database = Database(f"sqlite:///{folder}/k.db", folder)
    database.open()
    return database


def test_migrations_lead_to_the_models(tmp_path: Path) -> None:
    database = opened(tmp_path)
    with database.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalar() == HEAD
    database.close()


def test_many_open_it_at_once(tmp_path: Path) -> None:
    barrier, trouble = threading.Barrier(6), []

    def go() -> None:
        database = Database(f"sqlite:///{tmp_path}/k.db", tmp_path)
        barrier.wait()
        try:
            database.open()
        except Exception as error:  # noqa: BLE001 -- whatever it is, the test says so
            trouble.append(error)
        database.close()

    threads = [threading.Thread(target=go) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert trouble == []


def test_a_newer_database_is_refused(tmp_path: Path) -> None:
    database = opened(tmp_path)
    with database.begin() as tx:
        tx.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(KindlingError, match="newer version of Kindling"):
        database.open()
    database.close()


def test_times_are_utc_and_naive_ones_refused(tmp_path: Path) -> None:
    database = opened(tmp_path)
    at = datetime(2026, 1, 1, 12, tzinfo=timezone(timedelta(hours=2)))
    with database.begin() as tx:
        tx.add(User(name="a", created_at=at))
    with database.read() as tx:
        assert tx.query(User).one().created_at == datetime(2026, 1, 1, 10, tzinfo=UTC)
    with pytest.raises(StatementError, match="without a time zone"), database.begin() as tx:
        tx.add(User(name="b", created_at=datetime(2026, 1, 1)))  # noqa: DTZ001 -- the naive time is the test
    database.close()


def test_a_transaction_that_fails_leaves_nothing(tmp_path: Path) -> None:
    database = opened(tmp_path)

    def half() -> None:
        with database.begin() as tx:
            tx.add(User(name="a", created_at=datetime.now(UTC)))
            tx.flush()
            raise LookupError

    with pytest.raises(LookupError):
        half()
    with database.read() as tx:
        assert tx.query(User).all() == []
    database.close()


@pytest.mark.parametrize("url", ["nonsense", "mysteriousdb://x/y", "postgresql+nodriver://x/y"])
def test_an_unusable_url_is_explained(tmp_path: Path, url: str) -> None:
    with pytest.raises(SettingsError, match="KINDLING_DATABASE_URL cannot be used"):
        Database(url, tmp_path)


def test_only_what_need_not_last_is_not_waited_for(tmp_path: Path) -> None:
    database, full, normal = opened(tmp_path), 2, 1  # https://www.sqlite.org/pragma.html#pragma_synchronous
    for lasting, wanted in ((True, full), (False, normal), (True, full)):
        with database.begin(lasting=lasting) as tx:
            assert tx.execute(text("PRAGMA synchronous")).scalar() == wanted
    database.close()


def test_a_missing_driver_is_named_with_what_installs_it(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as refused:
        Database("postgresql+pg8000://x/y", tmp_path)  # a driver that we do not use
    assert refused.value.fix == "pip install 'kindling[postgres]'"


def test_a_file_that_is_no_database_is_explained(tmp_path: Path) -> None:
    (tmp_path / "k.db").write_text("this is not a database " * 100)
    with pytest.raises(KindlingError, match="file is not a database"):
        opened(tmp_path)
