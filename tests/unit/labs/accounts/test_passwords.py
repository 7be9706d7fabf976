"""Passwords: so many hashed at a time in all processes, nobody waiting without end, and old ones hashed anew."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from labs.accounts import passwords
from labs.bootstrap import Kindling
from labs.errors import Refused, Unavailable
from labs.records.models import User

PASSWORD = "a password that is long"


class Time:
    """Passes while somebody waits."""

    now = 0.0

    def __call__(self) -> float:
        return self.now

    def pause(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "processors", lambda: 2)


def test_only_as_many_as_there_are_processors_are_hashed_at_once(tmp_path: Path, two: None) -> None:
    most, at_once, lock = 0, 0, threading.Lock()

    def hashes() -> None:
        nonlocal most, at_once
        with passwords.place(tmp_path):
            with lock:
                at_once += 1
                most = max(most, at_once)
            both.wait(timeout=30)
            with lock:
                at_once -= 1

    both = threading.Barrier(2)  # each waits for another one: fewer than two at once would end nothing
    threads = [threading.Thread(target=hashes) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (most, at_once, both.broken) == (2, 0, False)


def test_who_has_waited_for_long_is_told_so(tmp_path: Path, two: None) -> None:
    time = Time()
    with ExitStack() as held:
        held.enter_context(passwords.place(tmp_path))
        held.enter_context(passwords.place(tmp_path))
        with pytest.raises(Unavailable, match="Too many people"), passwords.place(tmp_path, time, time.pause):
            raise AssertionError
        assert passwords.PATIENCE_SECONDS <= time.now < passwords.PATIENCE_SECONDS + 1
    with passwords.place(tmp_path, time, time.pause):
        pass


def test_an_unknown_name_is_the_same_work(services: Kindling, monkeypatch: pytest.MonkeyPatch) -> None:
    services.accounts.register("grace", PASSWORD)
    services.accounts.ensure("linked")
    looked: list[str] = []
    real = passwords._hasher()

    class Counting:
        hash = real.hash

        def verify(self, kept: str, password: str) -> bool:
            looked.append(kept.rpartition("$")[0].rpartition("$")[0])  # what the work depends on
            return real.verify(kept, password)

    monkeypatch.setattr(passwords, "_hasher", Counting)
    for name in ("grace", "linked", "nobody", ""):
        with pytest.raises(Refused, match="The name or the password is wrong"):
            services.accounts.sign_in(name, "a wrong password")
    assert len(looked) == 4
    assert len(set(looked)) == 1


def test_a_hash_of_other_costs_is_made_anew_at_the_next_sign_in(services: Kindling) -> None:
    account = services.accounts.register("grace", PASSWORD)
    old = PasswordHasher(time_cost=2, memory_cost=16, parallelism=2).hash(PASSWORD)

    def kept() -> str:
        with services.records.read() as tx:
            return str(tx.get_one(User, account.id).password_hash)

    with services.records.begin() as tx:
        tx.get_one(User, account.id).password_hash = old
    with pytest.raises(Refused):
        services.accounts.sign_in("grace", "a wrong password")
    assert kept() == old
    services.accounts.sign_in("grace", PASSWORD)
    made = kept()
    assert made != old
    assert not passwords.outdated(made)
    services.accounts.sign_in("grace", PASSWORD)
    assert kept() == made
