"""The store: revisions, compare-and-swap, history, and that nothing is half-done when the journal fails."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simkube.apimachinery.errors import StoreDamaged, StoreError
from simkube.client.client import Event
from simkube.etcd.journal import Journal
from simkube.etcd.store import WINDOW, Compacted, Full, Limits, Store
from tests.doubles.databases import damage


def obj(name: str, **data: str) -> dict[str, Any]:
    return {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": name, "namespace": "ns"}, "data": data}


@pytest.fixture
def store() -> Store:
    return Store(Journal(), "c")


def test_each_write_has_the_next_revision(store: Store) -> None:
    first = store.put("configmaps", obj("a"), expect=None)
    second = store.put("configmaps", obj("a", k="v"), expect=first["metadata"]["resourceVersion"])
    assert [first["metadata"]["resourceVersion"], second["metadata"]["resourceVersion"]] == ["1", "2"]
    assert store.revision == 2


def test_a_stale_write_changes_nothing(store: Store) -> None:
    store.put("configmaps", obj("a"), expect=None)
    with pytest.raises(StoreError):
        store.put("configmaps", obj("a", k="v"), expect="7")
    with pytest.raises(StoreError):
        store.put("configmaps", obj("a", k="v"), expect=None)
    assert store.get("configmaps", "ns", "a")["data"] == {}  # type: ignore[index]
    assert store.revision == 1


def test_what_was_written_is_there_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    before = Store(Journal(path), "c")
    before.put("configmaps", obj("a", k="v"), expect=None)
    before.put("configmaps", obj("b"), expect=None)
    before.delete("configmaps", "ns", "b")
    before.side.put("kubelet/x", {"n": [1]})
    after = Store(Journal(path), "c")  # the first journal was never closed, as after kill -9
    assert [each["metadata"]["name"] for each in after.objects("configmaps")] == ["a"]
    assert after.revision == 3
    assert dict(after.side.items("kubelet/")) == {"kubelet/x": {"n": [1]}}


def test_a_damaged_store_is_not_taken_for_a_full_disk(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    journal = Journal(path)
    store = Store(journal, "c")
    for number in range(100):
        store.put("configmaps", obj(f"n{number}", k="v" * 4000), expect=None)
    journal.close()
    damage(path)
    with pytest.raises(StoreDamaged, match=r"cannot read the store .*store\.db: .*; move it away to begin anew"):
        Store(Journal(path), "c")


def test_the_space_of_a_removed_cluster_goes_back_to_the_disk(tmp_path: Path) -> None:
    path, log = tmp_path / "store.db", tmp_path / "store.db-wal"
    journal = Journal(path)
    for cluster in ("stays", "goes"):
        store = Store(journal, cluster)
        for number in range(300):
            store.put("configmaps", obj(f"n{number}", k="v" * 4000), expect=None)
    while journal.give_back(64):
        raise AssertionError("there is nothing to give back")
    before = path.stat().st_size
    journal.delete_cluster("goes")
    steps = 0
    while journal.give_back(64):
        steps += 1
    assert steps > 1  # in small pieces
    assert path.stat().st_size < 0.7 * before
    assert log.stat().st_size == 0
    assert Store(Journal(path), "stays").count("configmaps") == 300


def test_clusters_in_one_journal_do_not_see_each_other() -> None:
    journal = Journal()
    one, other = Store(journal, "one"), Store(journal, "other")
    one.put("configmaps", obj("a"), expect=None)
    one.side.put("k", 1)
    assert other.objects("configmaps") == []
    assert list(other.side.items()) == []
    journal.delete_cluster("one")
    assert Store(journal, "one").objects("configmaps") == []


class BrokenJournal(Journal):
    """A disk that fills up."""

    broken = False

    def put(self, *args: Any) -> None:
        if self.broken:
            raise StoreError("the store took no write: database or disk is full")
        super().put(*args)


def test_a_full_disk_leaves_everything_as_it_was() -> None:
    journal = BrokenJournal()
    store = Store(journal, "c")
    heard: list[Event] = []
    kept = store.put("configmaps", obj("a"), expect=None)
    store.subscribe("configmaps", heard.append)
    journal.broken = True
    with pytest.raises(StoreError):
        store.put("configmaps", obj("a", k="v"), expect=kept["metadata"]["resourceVersion"])
    with pytest.raises(StoreError):
        store.delete("configmaps", "ns", "a")
    assert store.get("configmaps", "ns", "a") is kept
    assert heard == []
    assert store.revision == 1


def test_trouble_of_sqlite_is_a_store_error() -> None:
    journal = Journal()
    journal._db.close()
    with pytest.raises(StoreError) as caught:
        journal.put("c", "configmaps", "ns", "a", 1, "{}")
    assert isinstance(caught.value.__cause__, sqlite3.Error)


def test_limits_refuse_what_adds_and_let_the_rest_be() -> None:
    store = Store(Journal(), "c", Limits(objects=2, bytes=1000))
    first = store.put("configmaps", obj("a"), expect=None)
    store.put("configmaps", obj("b"), expect=None)
    with pytest.raises(Full, match="2 objects"):
        store.put("configmaps", obj("c"), expect=None)
    with pytest.raises(Full, match="MiB"):
        store.put("configmaps", obj("a", k="x" * 2000), expect=first["metadata"]["resourceVersion"])
    store.delete("configmaps", "ns", "b")
    store.put("configmaps", obj("c"), expect=None)


def test_history_reaches_back_to_its_window_and_no_further(store: Store) -> None:
    for number in range(WINDOW + 10):
        store.put("configmaps", obj(f"n{number}"), expect=None) if number < 5 else store.side.put("k", number)
    assert len(store.since("configmaps", 0)) == 5
    store.compact()
    with pytest.raises(Compacted):
        store.since("configmaps", 0)
    assert store.since("configmaps", store.revision) == []


def test_graves_are_cleared_and_the_revision_survives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simkube.etcd.store.GRAVES", 3)
    journal = Journal()
    store = Store(journal, "c")
    for name in "abcd":
        store.put("configmaps", obj(name), expect=None)
    for name in "abcd":
        store.delete("configmaps", "ns", name)
    left = journal._db.execute("SELECT count(*) FROM objects").fetchone()[0]
    assert left == 1  # of the four graves three were cleared together
    assert Store(journal, "c").revision == 8


def test_restore_goes_back_and_tells_the_watchers(store: Store) -> None:
    store.put("configmaps", obj("kept", k="old"), expect=None)
    store.side.put("s", 1)
    store.snapshot()
    kept = store.get("configmaps", "ns", "kept")
    assert kept is not None
    store.put("configmaps", obj("kept", k="new"), expect=kept["metadata"]["resourceVersion"])
    store.put("configmaps", obj("added"), expect=None)
    store.side.put("s", 2)
    before = store.revision
    heard: list[tuple[str, str]] = []
    store.subscribe("configmaps", lambda event: heard.append((event.type, event.obj["metadata"]["name"])))
    assert store.restore()
    assert [(each["metadata"]["name"], each["data"]) for each in store.objects("configmaps")] == [
        ("kept", {"k": "old"})
    ]
    assert sorted(heard) == [("DELETED", "added"), ("MODIFIED", "kept")]
    assert store.side.get("s") == 1
    assert store.revision > before


def test_restore_without_a_snapshot_changes_nothing(store: Store) -> None:
    store.put("configmaps", obj("a"), expect=None)
    assert not store.restore()
    assert len(store.objects("configmaps")) == 1


writes = st.lists(
    st.tuples(st.sampled_from(["put", "delete"]), st.sampled_from("abc"), st.text(max_size=3)), max_size=40
)


@settings(deadline=None)
@given(writes)
def test_replaying_the_history_gives_the_list(steps: list[tuple[str, str, str]]) -> None:
    store = Store(Journal(), "c")
    for verb, name, value in steps:
        there = store.get("configmaps", "ns", name)
        if verb == "delete":
            store.delete("configmaps", "ns", name)
        else:
            store.put("configmaps", obj(name, k=value), expect=there["metadata"]["resourceVersion"] if there else None)
    seen: dict[str, dict[str, Any]] = {}
    revisions = []
    for change in store.since("configmaps", 0):
        revisions.append(change.revision)
        name = change.event.obj["metadata"]["name"]
        if change.event.type == "DELETED":
            del seen[name]
        else:
            seen[name] = change.event.obj
    assert [seen[name] for name in sorted(seen)] == store.objects("configmaps")
    assert revisions == sorted(set(revisions))
