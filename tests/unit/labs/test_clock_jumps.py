"""A clock that is set, a machine that sleeps: no lab ends early for it, and nothing is given twice."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from labs.bootstrap import Kindling
from labs.session import SessionView
from tests.doubles.providers import ManualClock, MemoryProvider
from tests.unit.labs.conftest import Make

HOUR = 3600.0


def ready(services: Kindling) -> SessionView:
    return services.sessions.wait(services.sessions.start("ada", "first").id)


@pytest.mark.parametrize("hours", [1, 24 * 30])
def test_a_clock_set_ahead_ends_no_lab(services: Kindling, clock: ManualClock, hours: int) -> None:
    session = ready(services)
    clock.pass_time(minutes=10)
    clock.jump(hours * HOUR)
    for _ in range(3):  # given once, however often somebody looks
        services.sessions.reconcile(background=True)
    left = services.sessions.view(session.id, "ada")
    assert (left.state, left.seconds_left) == ("ready", session.seconds_left - 600)
    clock.pass_time(minutes=71)
    services.sessions.reconcile()
    assert services.sessions.view(session.id, "ada").state == "expired"


def test_a_clock_set_back_takes_no_time(services: Kindling, clock: ManualClock) -> None:
    session = ready(services)
    clock.jump(-HOUR)
    services.sessions.reconcile()
    assert services.sessions.view(session.id, "ada").expires_at == session.expires_at
    clock.jump(HOUR)  # and right again
    services.sessions.reconcile()
    assert services.sessions.view(session.id, "ada").seconds_left >= session.seconds_left


@pytest.mark.parametrize("what", ["wait", "reset", "check"])
def test_the_first_command_after_it_knows_as_well(make: Make, tmp_path: Path, clock: ManualClock, what: str) -> None:
    session = ready(make(MemoryProvider(tmp_path / "one")))
    clock.jump(5 * HOUR)
    again = make(MemoryProvider(tmp_path / "one")).sessions  # a process of its own
    if what == "check":
        assert again.follow(again.check(session.id, "ada").id, "ada").outcome == "passed"
    elif what == "reset":
        again.reset(session.id, "ada")
    assert again.wait(session.id).state == "ready"


def test_a_machine_that_was_started_anew_tells_nothing(
    services: Kindling, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = ready(services)
    file = services.settings.home / "clock.json"
    boot, ticks, wall = json.loads(file.read_text())
    file.write_text(json.dumps(["another", ticks, wall]))
    clock.jump(5 * HOUR)
    services.sessions.reconcile()
    assert services.sessions.view(session.id, "ada").state == "expired"
    assert json.loads(file.read_text())[0] == boot


@pytest.mark.parametrize("content", ["", "[]", "nonsense", '{"a": 1}', '["x", null, 1]'])
def test_a_file_of_nonsense_is_made_anew(services: Kindling, content: str) -> None:
    file = services.settings.home / "clock.json"
    file.write_text(content)
    services.sessions.reconcile()
    assert len(json.loads(file.read_text())) == 3


def test_what_cannot_be_written_down_is_not_given_again_and_again(
    services: Kindling, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = ready(services)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    clock.jump(120)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", full)
        services.sessions.reconcile()
        services.sessions.reconcile()
    assert services.sessions.view(session.id, "ada").expires_at == session.expires_at
    services.sessions.reconcile()
    assert services.sessions.view(session.id, "ada").seconds_left == session.seconds_left
