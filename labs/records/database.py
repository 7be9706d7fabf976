"""The database: opened, brought to the newest schema, and handed out as short transactions.

SQLite (write-ahead log, foreign keys on) unless a URL says otherwise. Reading never waits for a writer. Writers of all
processes take turns, and give up after :data:`PATIENCE` with a sentence: SQLite has one at a time, and on PostgreSQL an
advisory lock makes it so; on either, what is read before it is written still holds. Alembic is imported only when the
schema is not the newest one, so that a command that finds everything in order does not pay for it.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, func, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, OperationalError, SQLAlchemyError
from sqlalchemy.orm import Session as Transaction
from sqlalchemy.orm import sessionmaker

from labs.errors import KindlingError, SettingsError
from labs.records import full_disk
from labs.records.failures import locked, unavailable
from labs.system_errors import as_sentence

HEAD = "0010"
MIGRATIONS = Path(__file__).parent / "migrations"
PATIENCE = 10.0
"""Seconds that a write waits for others."""
IMPATIENCE = 1.0
"""The same while the last one that tried has waited in vain: or all that answer requests would soon wait with it."""
READERS = 100
"""Connections that one process reads with at most; each thread of the site has one at a time."""
SERVED = 15
"""Connections of one process to a server, which has a hundred unless told otherwise, for all of them."""
WRITING, MIGRATING = 0x6B696E64, 0x6B696E65
"""Advisory locks of PostgreSQL."""


class Database:
    """Where records live. ``begin`` gives one transaction that may write, ``read`` one that does not; objects stay
    readable after it. Both raise :class:`labs.errors.Unavailable` when the database cannot work.

    ``patience``: seconds that a write waits for others.
    """

    def __init__(self, url: str, home: Path, patience: float = PATIENCE) -> None:
        self.home = home
        self.engine = _engine(url)
        self._patience = patience
        self._locked_lately = False
        self._writer = threading.Lock() if self.engine.dialect.name == "sqlite" else None
        self._transactions = sessionmaker(self.engine.execution_options(writes=True), expire_on_commit=False)
        self._reads = sessionmaker(_looking(self.engine), expire_on_commit=False)

    def open(self) -> None:
        """Make the database and bring it to the newest schema; safe from many processes at once."""
        try:
            with self._said():
                if self._revision() != HEAD:
                    self._migrate()
        except OSError as error:
            raise as_sentence(error) or error from error
        except SQLAlchemyError as error:
            shown = self.engine.url.render_as_string(hide_password=True)
            raise KindlingError(f"the database {shown} cannot be used: {_short(error)}") from error

    @contextmanager
    def begin(self, patience: float | None = None, *, lasting: bool = True) -> Iterator[Transaction]:
        """A transaction, committed at the end and rolled back by an exception; ``patience``: for this one.

        What is not ``lasting`` may be lost when the machine loses its power (not when a process is killed): nobody
        waits until the disk has it.
        """
        patience = self._patience if patience is None else patience
        if self._locked_lately:  # one has waited long enough for all: who comes now is told soon
            patience = min(patience, IMPATIENCE)
        until = time.monotonic() + patience
        with self._said(), self._turn(patience), self._transactions() as transaction, transaction.begin():
            try:
                left = max(0.0, until - time.monotonic())
                connection = transaction.connection(execution_options={"patience": left, "lasting": lasting})
                if self.engine.dialect.name == "postgresql":
                    _take_turn(connection, left, lasting)
            except OperationalError as error:
                self._locked_lately = _is_busy(error) or _waited(error)
                if self._locked_lately:
                    raise locked(self.engine.url.database or "", patience) from error
                raise
            self._locked_lately = False
            yield transaction

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """A consistent look that waits for no writer, and writes nothing."""
        with self._said(), self._look() as transaction:
            yield transaction

    @contextmanager
    def _look(self) -> Iterator[Transaction]:
        with self._reads() as transaction:
            try:
                transaction.connection()
            except DBAPIError as error:
                if not full_disk.readable(self.engine, error):
                    raise
            else:
                yield transaction
                return
        with Transaction(full_disk.still(self.engine), expire_on_commit=False) as transaction:
            yield transaction

    @contextmanager
    def _turn(self, patience: float) -> Iterator[None]:
        """SQLite takes one writer at a time. Those of this process wait here, in order and without a connection."""
        if self._writer is None:
            yield
            return
        if not self._writer.acquire(timeout=patience):
            raise locked(self.engine.url.database or "", patience)
        try:
            yield
        finally:
            self._writer.release()

    @contextmanager
    def _said(self) -> Iterator[None]:
        """What keeps a database from working, as :class:`labs.errors.Unavailable`."""
        try:
            yield
        except SQLAlchemyError as error:
            said = unavailable(self.engine, error)
            if said is None:
                raise
            raise said from error

    def close(self) -> None:
        """Give back every connection."""
        self.engine.dispose()

    def _revision(self) -> str | None:
        try:
            with self._look() as transaction:
                found: str | None = transaction.scalar(text("SELECT version_num FROM alembic_version"))
        except DBAPIError as error:
            if (said := unavailable(self.engine, error)) is not None:
                raise said from error
            return None  # no schema yet
        if found is not None and found > HEAD:
            raise KindlingError("the database was written by a newer version of Kindling; update Kindling")
        return found

    def _migrate(self) -> None:
        with _locked(self.home / "migrate.lock"), _alone(self.engine):
            if self._revision() != HEAD:
                migrate(self.engine)


def migrate(engine: Engine, target: str = "head") -> None:
    """Run the migrations up to ``target``."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    with engine.execution_options(writes=True).begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, target)


def _engine(url: str) -> Engine:
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() == "sqlite" and parsed.database:
            _private(Path(parsed.database))
            engine = create_engine(
                parsed, max_overflow=READERS, pool_timeout=PATIENCE, connect_args={"timeout": PATIENCE}
            )
            event.listen(engine, "connect", _sqlite_settings)
            event.listen(engine, "begin", _begin)
            return engine
        return create_engine(parsed, pool_pre_ping=True, max_overflow=SERVED - 5, pool_timeout=PATIENCE)
    except (ArgumentError, NoSuchModuleError, ModuleNotFoundError) as error:
        raise SettingsError(
            f"KINDLING_DATABASE_URL cannot be used ({_short(error)}): expected an SQLAlchemy URL such as "
            "sqlite:////path/kindling.db or postgresql+psycopg://user@host/name, its driver installed",
            "pip install 'kindling[postgres]'" if isinstance(error, ModuleNotFoundError) else "",
        ) from error


def _sqlite_settings(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # transactions are begun by _begin
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _begin(connection: Connection) -> None:
    """Take the write lock at once where needed: two that read and then write never fail for each other."""
    options = connection.get_execution_options()
    if "patience" in options:
        connection.exec_driver_sql(f"PRAGMA busy_timeout={int(options['patience'] * 1000)}")
    if options.get("writes", False):
        connection.exec_driver_sql(f"PRAGMA synchronous={'FULL' if options.get('lasting', True) else 'NORMAL'}")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if options.get("writes", False) else "BEGIN")


def _looking(engine: Engine) -> Engine:
    """One that reads: what it sees is of one moment, and it cannot write."""
    if engine.dialect.name != "postgresql":
        return engine
    return engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)


def _take_turn(connection: Connection, patience: float, lasting: bool) -> None:
    """Be PostgreSQL's only writer until the transaction ends."""
    if not lasting:
        connection.execute(select(func.set_config("synchronous_commit", "off", True)))
    connection.execute(select(func.set_config("lock_timeout", f"{max(1, int(patience * 1000))}ms", True)))
    connection.execute(select(func.pg_advisory_xact_lock(WRITING)))


@contextmanager
def _alone(engine: Engine) -> Iterator[None]:
    """Be the only one who migrates, also of processes on other machines."""
    if engine.dialect.name != "postgresql":
        yield
        return
    with engine.connect() as connection:  # closing it lets go of the lock, whatever happens
        connection.execute(select(func.pg_advisory_xact_lock(MIGRATING)))
        yield


def _waited(error: OperationalError) -> bool:
    """Whether PostgreSQL did not get a lock in time (https://www.postgresql.org/docs/current/errcodes-appendix.html)."""
    return getattr(error.orig, "sqlstate", "") == "55P03"


def _is_busy(error: OperationalError) -> bool:
    code = getattr(error.orig, "sqlite_errorcode", 0)
    return bool(code & 0xFF == sqlite3.SQLITE_BUSY)


def _private(database: Path) -> None:
    """Make the file, for its owner only: it holds password hashes, and its folder may be open to others."""
    try:
        database.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not database.exists():
            os.close(os.open(database, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        why = f"KINDLING_HOME cannot be used: {error.strerror} ({database.parent})"
        raise as_sentence(error) or SettingsError(why) from error


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _short(error: Exception) -> str:
    return str(getattr(error, "orig", None) or error).splitlines()[0]
