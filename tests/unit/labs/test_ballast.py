"""Space kept for a full disk: there when there is room, given up when there is none, never in the way."""

from __future__ import annotations

import os
import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from labs import ballast
from labs.bootstrap import Kindling

Usage = namedtuple("Usage", "total used free")


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A ballast that costs a test nothing."""
    monkeypatch.setattr(ballast, "SIZE", 4096)


def left(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**9, 10**9 - free, free))


def test_it_is_kept_while_there_is_room_and_given_up_when_there_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / ballast.NAME
    left(monkeypatch, 4 * 4096 - 1)
    ballast.keep(tmp_path)
    assert not file.exists()
    left(monkeypatch, 4 * 4096)
    for _ in range(2):
        ballast.keep(tmp_path)
        assert (file.stat().st_size, file.stat().st_mode & 0o777) == (4096, 0o600)
        assert not ballast.give_up(tmp_path)
    left(monkeypatch, 4095)
    assert ballast.give_up(tmp_path)
    assert not file.exists()
    assert not ballast.give_up(tmp_path)


def test_a_small_disk_has_a_small_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ballast, "LEAST", 1024)
    left(monkeypatch, 4 * 1024 - 1)
    ballast.keep(tmp_path)
    assert not ballast.kept(tmp_path)
    left(monkeypatch, 4 * 2000)
    ballast.keep(tmp_path)
    assert (tmp_path / ballast.NAME).stat().st_size == 2000
    assert ballast.kept(tmp_path)


def test_a_disk_that_does_not_take_it_is_left_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    ballast.keep(tmp_path)
    assert list(tmp_path.iterdir()) == []
    ballast.keep(tmp_path / "nowhere")
    assert not ballast.give_up(tmp_path / "nowhere")


@pytest.mark.parametrize("what", ["stop", "reset"])
def test_what_frees_space_gives_it_up_first(services: Kindling, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    services.accounts.ensure("ada")
    session = services.sessions.wait(services.sessions.start("ada", "first").id)
    ballast.keep(services.settings.home)
    assert (services.settings.home / ballast.NAME).exists()
    left(monkeypatch, 0)
    getattr(services.sessions, what)(session.id, "ada")
    assert not (services.settings.home / ballast.NAME).exists()
