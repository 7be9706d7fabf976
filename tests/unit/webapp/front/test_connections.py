"""Who keeps a connection: those that wait for long make room, whoever is known keeps theirs, files do not run out."""

from __future__ import annotations

import resource

import pytest

from webapp.front import connections
from webapp.front.connections import PROXY, Connections, Place, raise_file_limit, room


class Opened:
    """Connections of a process with room for few, and what was cut of them."""

    def __init__(self, most: int) -> None:
        self.time = 0.0
        self.all = Connections(most, lambda: self.time)
        self.cut: list[str] = []

    def open(self, name: str, address: str = "192.0.2.1", whose: str = "") -> Place | None:
        self.time += 1
        return self.all.take(address, lambda: self.cut.append(name), whose)


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "MOST_UNPROVEN", 4)
    monkeypatch.setattr(connections, "MOST_OF_ACCOUNT", 2)


def test_what_waits_longest_of_the_address_with_most_makes_room() -> None:
    opened = Opened(100)
    opened.open("class", "198.51.100.1")
    for number in range(5):
        assert opened.open(f"half-{number}") is not None
    assert opened.cut == ["half-0", "half-1"]


def test_a_request_that_is_answered_is_not_cut_and_one_address_is_not_locked_out() -> None:
    opened = Opened(100)
    asked = opened.open("asked")
    assert asked is not None
    asked.busy = True
    for number in range(6):
        assert opened.open(f"half-{number}") is not None
    assert opened.cut == ["half-0", "half-1", "half-2"]
    asked.waits()
    opened.open("half-6")
    assert opened.cut[-1] == "half-3"  # it has waited for longer than the one that was just answered


def test_only_busy_ones_refuse_a_new_one() -> None:
    opened = Opened(100)
    for number in range(4):
        place = opened.open(str(number))
        assert place is not None
        place.busy = True
    assert opened.open("more") is None
    assert opened.open("proxy", "127.0.0.1", PROXY) is not None
    place.leave()
    assert opened.open("more") is not None


def test_who_is_known_keeps_theirs_while_strangers_come_and_has_a_bound() -> None:
    opened = Opened(100)
    known = opened.open("known")
    assert known is not None
    assert known.prove("account 1")
    for number in range(10):
        opened.open(f"half-{number}")
    assert "known" not in opened.cut
    for name in ("second", "third"):
        more = opened.open(name)
        assert more is not None
        more.busy = True
        assert more.prove("account 1")
    assert opened.cut[-1] == "known"  # the one of their own that waited
    last = opened.open("fourth")
    assert last is not None
    assert not last.prove("account 1")  # all are busy


def test_files_do_not_run_out() -> None:
    opened = Opened(3)
    places = [opened.open(str(number)) for number in range(3)]
    for place, whose in zip(places, ("account 1", "account 1", "account 2"), strict=True):
        assert place is not None
        assert place.prove(whose)
    assert opened.open("one more") is not None
    assert opened.cut == ["0"]
    assert len(opened.all.taken) == 3


def test_a_proxy_stays_a_proxy_whoever_asks_through_it() -> None:
    opened = Opened(100)
    place = opened.open("proxy", "127.0.0.1", PROXY)
    assert place is not None
    assert all(place.prove(f"account {number}") for number in range(5))
    assert place.whose == PROXY


def test_as_many_files_as_may_be() -> None:
    files = raise_file_limit()
    assert files == min(resource.getrlimit(resource.RLIMIT_NOFILE)[1], files)
    assert (room(1_000_000), room(1024), room(100)) == (connections.MOST, 768, 75)
