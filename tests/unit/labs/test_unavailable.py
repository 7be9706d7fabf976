"""Records that cannot be read or written: a sentence with a way out, in bounded time, and nothing half-done."""

from __future__ import annotations

import errno
import logging
import sqlite3
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import event, select, text
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from labs.bootstrap import Kindling
from labs.cli import logfile
from labs.errors import DiskFull, KindlingError, Unavailable
from labs.records import failures
from labs.records.database import Database
from labs.records.models import Activity, User
from labs.session.activity import MOST, Activities
from labs.system_errors import as_sentence
from tests.doubles.databases import damage, failing, locked
from tests.doubles.providers import ManualClock

LOCKED = r"something else is writing to .*k\.db.*nothing of this was kept"
NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def records(tmp_path: Path) -> Database:
    database = Database(f"sqlite:///{tmp_path}/k.db", tmp_path, patience=0.05)
    database.open()
    return database


def timeouts(statement: str) -> list[float]:
    """What a write tells SQLite of how long it is to wait, in milliseconds."""
    return [float(statement.partition("=")[2])] if statement.startswith("PRAGMA busy_timeout") else []


class TestLocked:
    def test_reading_waits_for_nobody_and_writing_gives_up_with_a_sentence(
        self, records: Database, tmp_path: Path
    ) -> None:
        with locked(tmp_path / "k.db"):
            with records.read() as tx:
                assert tx.query(User).all() == []
            with pytest.raises(Unavailable, match=LOCKED) as caught:
                self.add(records, "ada")
            assert caught.value.fix == f"fuser -v {tmp_path}/k.db"
            assert not caught.value.lasting
        self.add(records, "ada")
        with records.read() as tx:
            assert [user.name for user in tx.query(User)] == ["ada"]

    def test_a_locked_database_can_be_opened(self, records: Database, tmp_path: Path) -> None:
        with locked(tmp_path / "k.db"):
            Database(f"sqlite:///{tmp_path}/k.db", tmp_path).open()

    def test_writers_of_one_process_take_turns(self, records: Database) -> None:
        inside, leave = threading.Event(), threading.Event()

        def hold() -> None:
            with records.begin():
                inside.set()
                leave.wait(60)

        holder = threading.Thread(target=hold)
        holder.start()
        assert inside.wait(60)
        with pytest.raises(Unavailable, match="the records are locked"):
            self.add(records, "ada")
        assert records.engine.pool.checkedout() == 1  # type: ignore[attr-defined]  # who waits holds no connection
        leave.set()
        holder.join()
        self.add(records, "ada")

    def test_while_somebody_has_waited_in_vain_the_others_are_told_soon(self, tmp_path: Path) -> None:
        records = Database(f"sqlite:///{tmp_path}/k.db", tmp_path, patience=0.02)
        records.open()
        waited: list[float] = []
        with locked(tmp_path / "k.db"):
            with pytest.raises(Unavailable):
                self.add(records, "ada")
            records._patience = 1e6
            event.listen(records.engine, "before_cursor_execute", lambda *how: waited.extend(timeouts(how[2])))
            with pytest.raises(Unavailable, match="was waited for 1 s"):
                self.add(records, "ada")
        self.add(records, "ada")
        self.add(records, "bob")
        assert waited[0] <= waited[1] <= 1000 < waited[2]

    @staticmethod
    def add(records: Database, name: str) -> None:
        with records.begin() as tx:
            tx.add(User(name=name, created_at=NOW))


class TestSentences:
    @pytest.mark.parametrize(
        ("code", "said"),
        [
            (sqlite3.SQLITE_BUSY, "the records are locked"),
            (sqlite3.SQLITE_FULL, "the disk of .* is full, .*; delete what is not needed"),
            (sqlite3.SQLITE_IOERR_WRITE, "does not take what is written"),
            (sqlite3.SQLITE_READONLY, "cannot be written"),
            (sqlite3.SQLITE_CORRUPT, "is damaged .* put a backup in its place"),
            (sqlite3.SQLITE_NOTADB, "is damaged .* put a backup in its place"),
            (sqlite3.SQLITE_CANTOPEN, "no more files can be opened here"),
            (sqlite3.SQLITE_NOMEM, "no memory left"),
        ],
    )
    def test_what_sqlite_says_in_words(self, records: Database, code: int, said: str) -> None:
        with pytest.raises(Unavailable, match=said), records.read():
            raise OperationalError("SELECT 1", {}, failing(code))

    def test_an_io_error_on_a_full_disk_is_a_full_disk(
        self, records: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(failures, "full", lambda _folder: True)
        for code in (sqlite3.SQLITE_IOERR_SHMSIZE, sqlite3.SQLITE_CANTOPEN):
            with pytest.raises(Unavailable, match=r"the disk of .* is full") as caught, records.read():
                raise OperationalError("SELECT 1", {}, failing(code))
            assert caught.value.fix == f"du -ax {records.home} | sort -n | tail"
            assert "Stopping" not in caught.value.visitors
        (records.home / "ballast").touch()
        with pytest.raises(DiskFull) as caught, records.read():
            raise OperationalError("SELECT 1", {}, failing(sqlite3.SQLITE_FULL))
        assert caught.value.fix == "kindling stop LAB"
        assert "Stopping a lab still works" in caught.value.visitors

    def test_without_room_for_an_index_the_records_are_read_unless_their_log_says_more(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        records = Database(f"sqlite:///{tmp_path}/a k%3f.db", tmp_path)
        records.open()
        with records.begin() as tx:
            tx.add(User(name="ada", created_at=NOW))
        records.close()

        def no_room(*_: object) -> None:
            raise failing(sqlite3.SQLITE_CANTOPEN)

        event.listen(records.engine, "do_connect", no_room)
        with pytest.raises(Unavailable, match="no more files"), records.read() as tx:
            tx.scalar(select(User.name))
        monkeypatch.setattr(failures, "full", lambda _folder: True)
        before = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
        records.open()
        with records.read() as tx:
            assert tx.scalar(select(User.name)) == "ada"
        with pytest.raises(DiskFull), records.begin() as tx:
            tx.add(User(name="bob", created_at=NOW))
        assert {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before
        (tmp_path / "a k?.db-wal").write_bytes(b"more")
        with pytest.raises(DiskFull), records.read() as tx:
            tx.scalar(select(User.name))

    def test_too_many_connections_and_what_is_a_fault_of_ours(self, records: Database) -> None:
        with pytest.raises(Unavailable, match="too much waits for the database"), records.read():
            raise PoolTimeout
        with pytest.raises(OperationalError), records.read() as tx:
            tx.execute(text("SELECT * FROM no_such_table"))
        with pytest.raises(IntegrityError), records.begin() as tx:
            tx.add_all([User(name="ada", created_at=NOW), User(name="ada", created_at=NOW)])

    def test_a_damaged_file(self, records: Database, tmp_path: Path) -> None:
        records.close()
        damage(tmp_path / "k.db")
        again = Database(f"sqlite:///{tmp_path}/k.db", tmp_path)
        with pytest.raises(Unavailable, match="is damaged") as caught:
            again.open()
        assert caught.value.lasting
        assert caught.value.fix == f"mv {tmp_path}/k.db {tmp_path}/k.db.damaged"

    @pytest.mark.parametrize(
        ("error", "said"),
        [
            (OSError(errno.ENOSPC, "No space left on device"), "the disk is full; free some space and do that again"),
            (OSError(errno.EDQUOT, "Disk quota exceeded"), "the disk is full"),
            (OSError(errno.EROFS, "Read-only file system", "/h"), r"read-only file system \(/h\); allow writing"),
            (OSError(errno.EACCES, "Permission denied", "/h"), r"permission denied \(/h\); allow writing"),
            (OSError(errno.EMFILE, "Too many open files"), "no more files can be opened"),
            (OSError(errno.EIO, "Input/output error"), "the disk is failing"),
            (OSError(errno.EAGAIN, "Resource temporarily unavailable"), "no memory or processes left"),
            (MemoryError(), "no memory left"),
            (RuntimeError("can't start new thread"), "no more processes or threads"),
        ],
    )
    def test_what_the_system_refuses_in_words(self, error: Exception, said: str) -> None:
        with pytest.raises(KindlingError, match=said):
            raise as_sentence(error) or error

    @pytest.mark.parametrize("error", [ValueError("x"), RuntimeError("x"), OSError(errno.EPERM, "no"), OSError("x")])
    def test_what_is_a_fault_of_ours_stays_one(self, error: Exception) -> None:
        assert as_sentence(error) is None


class TestActivity:
    def test_it_is_kept_until_it_can_be_written(
        self, services: Kindling, clock: ManualClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("labs.session.activity.PATIENCE", 0.01)
        services.accounts.ensure("ada")
        with locked(services.settings.home / "kindling.db"):
            services.sessions.active("ada", "first", "page")
            services.sessions.active("nobody", "first", "page")
            services.sessions.close()
            assert self.kinds(services) == []
        clock.pass_time(minutes=5)
        services.sessions.reconcile(background=True)
        assert self.kinds(services) == [("page", clock.at.replace(minute=clock.at.minute - 5))]
        services.sessions.reconcile(background=True)
        assert len(self.kinds(services)) == 1

    def test_it_is_bounded(self, services: Kindling, clock: ManualClock) -> None:
        activities = Activities(services.records, timedelta(hours=4), clock)
        for number in range(MOST + 10):
            activities.note(f"learner-{number}", "first", "page")
        assert len(activities) == MOST

    @staticmethod
    def kinds(services: Kindling) -> list[tuple[str, datetime]]:
        with services.records.read() as tx:
            return [(row.kind, row.at) for row in tx.query(Activity)]


class TestLog:
    def test_a_log_that_cannot_be_written_adds_no_traceback(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(logfile, "_attached", [])
        monkeypatch.setattr(logfile.tempfile, "tempdir", str(tmp_path))
        logfile._attach(tmp_path / "gone" / "kindling.log")
        try:
            logging.getLogger("kindling").error("nobody can read this")
            assert f"details are in {tmp_path}/kindling-" in logfile.log_in_full(ValueError("why"))
            where = Path(logfile._attached[-1].baseFilename)
            assert "ValueError: why" in where.read_text()
            monkeypatch.setattr(logfile.tempfile, "mkdtemp", self.full)
            logfile._attached.clear()
            assert "could not be written anywhere" in logfile.log_in_full(ValueError("why"))
        finally:
            for handler in [one for one in logging.getLogger().handlers if one.name == "kindling"]:
                logging.getLogger().removeHandler(handler)
                handler.close()
        assert capsys.readouterr().err == ""

    @staticmethod
    def full(**_: object) -> str:
        raise OSError(errno.ENOSPC, "No space left on device")
