"""Watches: complete, in order, filtered as selectors see it, bounded."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simkube.apimachinery.errors import StatusError
from simkube.apiserver.http.watch import MOST_WAITING, Wanted, Watch, wanted
from simkube.apiserver.registry.kinds import RESOURCES
from simkube.apiserver.server import APIServer
from simkube.client.client import Caller
from simkube.clock.clock import Clock
from simkube.etcd.journal import Journal
from simkube.etcd.store import Store

ME = Caller("learner", ("system:masters",), "tester")
SECRETS = RESOURCES["secrets"]


def made() -> APIServer:
    server = APIServer(Store(Journal(), "c"), Clock(1_700_000_000.0))
    server.create(ME, "namespaces", {"metadata": {"name": "default"}})
    return server


@pytest.fixture
def server() -> APIServer:
    return made()


def put(server: APIServer, name: str, **labels: str) -> dict[str, Any]:
    return server.create(ME, "secrets", {"metadata": {"name": name, "labels": labels}}, "default")


def label(server: APIServer, name: str, **labels: str | None) -> None:
    server.patch(ME, "secrets", name, {"metadata": {"labels": labels}}, "default")


def told(watch: Watch) -> list[tuple[str, str]]:
    return [(kind, obj["metadata"].get("name", "")) for kind, obj in watch.take()]


def start(server: APIServer, **what: Any) -> Watch:
    return Watch(server.store, Wanted(SECRETS, "default", **what), lambda: None)


def test_without_version_what_is_there_comes_first(server: APIServer) -> None:
    put(server, "a")
    watch = start(server)
    put(server, "b")
    assert told(watch) == [("ADDED", "a"), ("ADDED", "b")]


def test_from_a_version_nothing_is_missing_and_nothing_twice(server: APIServer) -> None:
    version = int(put(server, "a")["metadata"]["resourceVersion"])
    put(server, "b")
    watch = start(server, version=version)
    put(server, "c")
    assert told(watch) == [("ADDED", "b"), ("ADDED", "c")]


def test_a_selector_turns_changes_into_coming_and_going(server: APIServer) -> None:
    watch = start(server, labels="on")
    put(server, "a")
    label(server, "a", on="yes")
    label(server, "a", other="x")
    label(server, "a", on=None)
    server.delete(ME, "secrets", "a", "default")
    assert told(watch) == [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a")]


def test_a_version_before_the_history_is_gone(server: APIServer) -> None:
    put(server, "a")
    server.store.compact()
    watch = start(server, version=1)
    ((kind, status),) = watch.take()
    assert (kind, status["code"], status["reason"]) == ("ERROR", 410, "Expired")
    assert watch.ended


def test_a_streaming_list_ends_with_a_bookmark(server: APIServer) -> None:
    put(server, "a")
    watch = start(server, initial=True, bookmarks=True)
    (first, _), (kind, obj) = watch.take()
    assert (first, kind) == ("ADDED", "BOOKMARK")
    assert obj["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
    assert obj["metadata"]["resourceVersion"] == str(server.store.revision)


def test_a_reader_that_takes_nothing_is_ended(server: APIServer) -> None:
    watch = start(server)
    other = put(server, "a")
    for _ in range(MOST_WAITING + 1):
        other = server.store.put(
            "secrets", {**other, "metadata": dict(other["metadata"])}, expect=other["metadata"]["resourceVersion"]
        )
    assert watch.ended
    assert watch.take() == []


def test_a_closed_watch_hears_nothing(server: APIServer) -> None:
    watch = start(server)
    watch.close()
    put(server, "a")
    assert told(watch) == []


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"sendInitialEvents": "true"}, 422),
        ({"resourceVersionMatch": "NotOlderThan"}, 422),
        ({"resourceVersion": "now"}, 500),
    ],
)
def test_wrong_parameters_are_refused(query: dict[str, str], code: int) -> None:
    with pytest.raises(StatusError) as caught:
        wanted(SECRETS, "default", query)
    assert caught.value.code == code


steps = st.lists(st.tuples(st.sampled_from(["put", "label", "unlabel", "delete"]), st.sampled_from("abc")), max_size=25)


@given(steps, steps)
def test_what_a_watch_told_adds_up_to_the_list(before: list[tuple[str, str]], after: list[tuple[str, str]]) -> None:
    server = made()

    def play(what: list[tuple[str, str]]) -> None:
        for verb, name in what:
            there = server.store.get("secrets", "default", name) is not None
            if verb == "put" and not there:
                put(server, name)
            elif there and verb == "delete":
                server.delete(ME, "secrets", name, "default")
            elif there and verb != "put":
                label(server, name, on="yes" if verb == "label" else None)

    play(before)
    watch = start(server, labels="on=yes")
    play(after)
    seen: dict[str, Any] = {}
    for kind, obj in watch.take():
        name = obj["metadata"]["name"]
        assert (kind == "ADDED") == (name not in seen)
        if kind == "DELETED":
            del seen[name]
        else:
            seen[name] = obj
    assert [seen[name] for name in sorted(seen)] == server.list(ME, "secrets", "default", label_selector="on=yes")
