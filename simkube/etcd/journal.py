"""The one SQLite file in which a host keeps every cluster: what must survive ``kill -9``.

A row is the last state of one object, so that a restart reads states, not a history. Every write is one statement in
autocommit mode on a write-ahead log: once it returns, the operating system has it, and the death of this process cannot
take it back. (A power failure may cost the last moments, as ``synchronous=OFF`` says; a class survives that.)

It refuses to know what the rows mean: :mod:`simkube.etcd.store` does. Any failure of SQLite (disk full, file gone) is a
:class:`~simkube.apimachinery.errors.StoreError`, and then nothing of the write has happened.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from simkube.apimachinery.errors import StoreDamaged, StoreError

_SCHEMA = """
CREATE TABLE IF NOT EXISTS clusters (
    id TEXT PRIMARY KEY, meta TEXT NOT NULL, revision INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS objects (
    cluster TEXT NOT NULL, resource TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL,
    revision INTEGER NOT NULL, body TEXT,
    PRIMARY KEY (cluster, resource, namespace, name)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS side (
    cluster TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (cluster, key)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS snapshots (
    cluster TEXT PRIMARY KEY, body TEXT NOT NULL
) WITHOUT ROWID;
"""

_PUT = "INSERT OR REPLACE INTO objects (cluster, resource, namespace, name, revision, body) VALUES (?, ?, ?, ?, ?, ?)"

KEPT_PAGES = 64
"""Free pages (of 4 KiB) that are left in the file for what comes next."""


def dumps(value: Any) -> str:
    """Compact JSON, as it is stored and sent."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


class Journal:
    """The open file. ``path`` None keeps everything in memory only (tests)."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        try:
            self._db = sqlite3.connect(path or ":memory:", isolation_level=None, check_same_thread=False)
            self._db.execute("PRAGMA auto_vacuum=INCREMENTAL")  # of a new file; has to come before all else
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=OFF")
            self._db.execute("PRAGMA cache_size=-2000")
            self._db.executescript(_SCHEMA)
        except sqlite3.Error as error:
            self._check(error)
            raise StoreError(f"cannot open the store {path}: {error}; free some space, or allow writing") from error

    def _check(self, error: sqlite3.Error) -> None:
        """StoreDamaged for what no space and no right would mend."""
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
            raise StoreDamaged(f"cannot read the store {self._path}: {error}; move it away to begin anew") from error

    def _run(self, sql: str, values: Iterable[Any] = ()) -> sqlite3.Cursor:
        try:
            return self._db.execute(sql, tuple(values))
        except sqlite3.Error as error:
            self._check(error)
            raise StoreError(f"the store took no write: {error}; free some space and repeat it") from error

    def _end(self, *, commit: bool) -> None:
        """End a transaction. SQLite may have rolled it back by itself, or not, when the disk is full."""
        try:
            if commit:
                self._run("COMMIT")
        finally:
            if self._db.in_transaction:
                self._run("ROLLBACK")

    def give_back(self, pages: int) -> bool:
        """Give some pages of what was deleted back to the disk, in the end those of the log; whether there are more.

        Nothing of the file's content changes, so that a failure only means that nothing was given back.
        """
        free = self._free_pages()
        if free > KEPT_PAGES:
            self._script(f"PRAGMA incremental_vacuum({min(pages, free - KEPT_PAGES)})")
            if KEPT_PAGES < self._free_pages() < free:  # a file of an older version gives nothing back
                return True
        self._script("PRAGMA wal_checkpoint(TRUNCATE)")
        return False

    def _free_pages(self) -> int:
        return int(self._run("PRAGMA freelist_count").fetchone()[0])

    def _script(self, sql: str) -> None:
        """Run a statement to its end; :meth:`_run` takes its first step and leaves the others to whoever reads rows."""
        try:
            self._db.executescript(sql)
        except sqlite3.Error as error:
            raise StoreError(f"the store could not be made smaller: {error}") from error

    def close(self) -> None:
        """Close the file; what was written stays."""
        self._db.close()

    # clusters

    def clusters(self) -> dict[str, dict[str, Any]]:
        """What is recorded of every cluster, by id."""
        return {row[0]: json.loads(row[1]) for row in self._run("SELECT id, meta FROM clusters ORDER BY id")}

    def put_cluster(self, cluster: str, meta: dict[str, Any]) -> None:
        """Record a cluster, or replace what is recorded of it."""
        self._run(
            "INSERT INTO clusters (id, meta) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET meta = excluded.meta",
            (cluster, dumps(meta)),
        )

    def delete_cluster(self, cluster: str) -> None:
        """Forget a cluster and everything in it."""
        with self.transaction():
            for table in ("objects", "side", "snapshots"):
                self._run(f"DELETE FROM {table} WHERE cluster = ?", (cluster,))  # noqa: S608  the names above
            self._run("DELETE FROM clusters WHERE id = ?", (cluster,))

    def transaction(self) -> _Transaction:
        """A ``with`` block whose writes happen together or not at all."""
        return _Transaction(self)

    # objects

    def put(self, cluster: str, resource: str, namespace: str, name: str, revision: int, body: str | None) -> None:
        """Store an object's state; a ``body`` of None is a grave that keeps the revision of its deletion."""
        self._run(_PUT, (cluster, resource, namespace, name, revision, body))

    def objects(self, cluster: str) -> Iterator[tuple[str, int, str]]:
        """``(resource, revision, body)`` of every object, oldest change first."""
        sql = "SELECT resource, revision, body FROM objects WHERE cluster = ? AND body IS NOT NULL ORDER BY revision"
        yield from self._run(sql, (cluster,))

    def revision(self, cluster: str) -> int:
        """The highest revision ever written of a cluster."""
        sql = (
            "SELECT max(coalesce((SELECT max(revision) FROM objects WHERE cluster = ?1), 0),"
            " coalesce((SELECT revision FROM clusters WHERE id = ?1), 0))"
        )
        return int(self._run(sql, (cluster,)).fetchone()[0])

    def bury(self, cluster: str) -> None:
        """Drop the graves; the revision they kept goes to the cluster's row."""
        revision = self.revision(cluster)
        with self.transaction():
            self._run(
                "INSERT INTO clusters (id, meta, revision) VALUES (?, '{}', ?)"
                " ON CONFLICT (id) DO UPDATE SET revision = excluded.revision",
                (cluster, revision),
            )
            self._run("DELETE FROM objects WHERE cluster = ? AND body IS NULL", (cluster,))

    # what is kept beside the objects

    def put_side(self, cluster: str, key: str, value: str | None) -> None:
        """Store a value, or remove it (None)."""
        if value is None:
            self._run("DELETE FROM side WHERE cluster = ? AND key = ?", (cluster, key))
        else:
            self._run("INSERT OR REPLACE INTO side (cluster, key, value) VALUES (?, ?, ?)", (cluster, key, value))

    def side(self, cluster: str, prefix: str = "") -> Iterator[tuple[str, str]]:
        """``(key, value)`` of everything whose key begins with ``prefix``, by key."""
        sql = "SELECT key, value FROM side WHERE cluster = ? AND key >= ? AND key < ? ORDER BY key"
        yield from self._run(sql, (cluster, prefix, prefix + "\U0010ffff"))

    def put_snapshot(self, cluster: str, body: str) -> None:
        """Keep one snapshot of a cluster; a later one replaces it."""
        self._run("INSERT OR REPLACE INTO snapshots (cluster, body) VALUES (?, ?)", (cluster, body))

    def snapshot(self, cluster: str) -> str | None:
        """The snapshot that was kept, or None."""
        row = self._run("SELECT body FROM snapshots WHERE cluster = ?", (cluster,)).fetchone()
        return None if row is None else str(row[0])


class _Transaction:
    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def __enter__(self) -> None:
        self._journal._run("BEGIN IMMEDIATE")

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self._journal._end(commit=error is None)
