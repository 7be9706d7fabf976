"""What would have been, in the labs that tell it: by one change the numbers of a failed check are others, and learners
read it from the attempt on that the lab says."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from grader import replays
from grader.what_if import lines_of, without
from labs import settings
from labs.bootstrap import Kindling, bootstrap
from labs.replay import carry_out, choose
from labs.session import AttemptView
from simkube.host import launcher


@pytest.fixture
def kindling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kindling]:
    """An installation with a host of its own, on a machine that may be slow."""
    monkeypatch.setattr(replays, "SECONDS", 600.0)
    made = bootstrap(settings.load({**os.environ, "KINDLING_HOME": str(tmp_path)}))
    made.accounts.ensure("ada")
    yield made
    made.close()
    launcher.shutdown(tmp_path / "simkube")


def handed_in(kindling: Kindling, lab_name: str, state: str, times: int) -> list[AttemptView]:
    """Attempts at a state of a lab, which nothing changes in between."""
    session = kindling.sessions.wait(kindling.sessions.start("ada", lab_name, "simulated").id)
    lab = kindling.labs.get(lab_name)
    (wanted,) = choose(lab, state)
    kubeconfig = kindling.sessions.kubeconfig(session.id, "ada")
    carry_out(lab, wanted, session.parameters, kubeconfig, kindling.settings.kubectl)
    return [kindling.sessions.follow(kindling.sessions.check(session.id, "ada").id, "ada") for _ in range(times)]


@pytest.mark.parametrize(
    ("lab", "state", "check", "change", "outcome"),
    [
        ("scaling", "broken-not-ready", "scale-up", "with new pods counted as ready 4 s later", "0 failed requests"),
        ("self-healing", "broken-slow", "hanging-replica", "with your probes asking every second", "failed requests"),
    ],
)  # fmt: skip
def test_a_failed_check_says_what_one_change_would_have_made_of_it(
    kindling: Kindling, lab: str, state: str, check: str, change: str, outcome: str
) -> None:
    first_shown = kindling.labs.get(lab).what_if_from
    assert first_shown == 2
    before, after = (
        {one.name: one for one in attempt.checks} for attempt in handed_in(kindling, lab, state, first_shown)
    )
    assert {name: (one.outcome, one.points) for name, one in before.items()} == {
        name: (one.outcome, one.points) for name, one in after.items()
    }
    assert not any(lines_of(one.message) for one in before.values())
    assert all(one.outcome == "failed" for one in after.values() if lines_of(one.message))
    (line,) = [one for one in lines_of(after[check].message) if change in one]
    assert line.startswith(f"What if: {change}: ")
    assert outcome in line
    assert line.endswith(", and this check passes")
    assert without(after[check].message).startswith("Expected: ")
