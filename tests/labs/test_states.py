"""Every state of every lab gets the verdicts it should, on every provider."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from labs import settings
from labs.clusters.provider import Handle, Provider
from labs.definition import Lab
from labs.grading import ProcessGrader
from labs.library import Library
from labs.replay import Replay
from tests.conftest import NEED_THREE_NODES, SharedClusters, shared_spec

SETTINGS = settings.load({"KINDLING_HOME": os.devnull, "PATH": os.environ["PATH"]})
LIBRARY = Library(SETTINGS.catalogs)
LONG = 30
"""Seconds from which on a deadline is worth halving."""
STATES = [(lab.name, state.name) for lab in LIBRARY.all() for state in lab.states]


def test_every_lab_is_here_with_enough_states() -> None:
    for lab in LIBRARY.all():
        names = [state.name for state in lab.states]
        assert names.count("solved") == 1, lab.name
        assert sum(name.startswith("alternative-") for name in names) >= 2, lab.name
        assert sum(name.startswith("broken-") for name in names) >= 5, lab.name
    assert {lab.name for lab in LIBRARY.all()} == {"pods", "services", "scaling", "self-healing"}
    assert {lab.name for lab in LIBRARY.all() if lab.topology == "three-node"} == NEED_THREE_NODES


def sooner(lab: Lab) -> Lab:
    """The lab with the deadlines that a broken state waits out halved: what comes at all comes soon when simulated."""
    thresholds = {
        name: value / 2 if name.endswith("_seconds") and isinstance(value, int | float) and value >= LONG else value
        for name, value in lab.file.thresholds.items()
    }
    return dataclasses.replace(lab, file=lab.file.model_copy(update={"thresholds": thresholds}))


@pytest.mark.parametrize(("lab_name", "state_name"), STATES)
def test_state(provider: Provider, clusters: SharedClusters, tmp_path: Path, lab_name: str, state_name: str) -> None:
    lab = LIBRARY.get(lab_name)
    state = next(state for state in lab.states if state.name == state_name)
    if provider.name == "simulated" and state_name.startswith("broken-"):
        lab = sooner(lab)

    def start(values: Mapping[str, Any]) -> Handle:
        spec = lab.spec(shared_spec(lab.topology).name, values, {"lab": lab.name})
        return clusters.at_start(provider, spec)[0]

    replay = Replay(provider, ProcessGrader, SETTINGS.kubectl, tmp_path)
    result = replay.prove(lab, state, start)

    assert not result.trouble
    assert not result.differences
