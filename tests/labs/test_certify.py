"""Some changes of a lab, made and graded on forks of a simulated cluster: ``kindling certify`` in small."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from labs import settings
from labs.certify.forks import ForkBench
from labs.certify.run import Planned, Refused, Trial, attempt, certify
from labs.clusters.registry import Providers
from labs.errors import NotFound, NotPossible
from labs.grading import ProcessGrader
from labs.library import Library
from labs.replay import NotedCluster
from tests.conftest import usable
from tests.doubles.providers import MemoryProvider, ScriptedGrader

SETTINGS = settings.load({"KINDLING_HOME": os.devnull, "PATH": os.environ["PATH"]})
PODS = Library(SETTINGS.catalogs).get("pods")
LOST = "solved: without Pod/${pair}"


@pytest.fixture
def bench(providers: Providers, grader: ProcessGrader, tmp_path: Path) -> ForkBench:
    provider = usable(providers, "simulated")
    notes = tmp_path / "notes"
    notes.mkdir()
    return ForkBench(PODS, provider, lambda: NotedCluster(provider, PODS.topology, notes), SETTINGS.kubectl, grader)


def test_states_as_they_are_are_right_and_changes_are_told_apart(bench: ForkBench) -> None:
    told: list[Trial] = []
    with bench.opened():
        made = certify(PODS, bench, {}, 6, 2, on_done=told.append)
    assert len(told) == 6
    assert made.decided + made.refused <= 6
    assert sum(one.right + one.wrong for one in made.checks.values())


def test_one_change_by_its_name(bench: ForkBench) -> None:
    told: list[tuple[Planned, Trial]] = []
    with bench.opened():
        attempt(PODS, bench, LOST, 2, on_done=lambda plan, trial: told.append((plan, trial)))
        with pytest.raises(NotFound, match="no change of pods is called 'nothing'"):
            attempt(PODS, bench, "nothing", 2, on_done=lambda plan, trial: None)
        nobody = {"apiVersion": "v1", "kind": "Nobody", "metadata": {"name": "x"}}
        nameless = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": {"containers": []}}
        for refused in (nobody, nameless):
            with pytest.raises(Refused):
                bench.grade([refused], {})
    ((plan, trial),) = told
    assert {one["kind"] for one in plan.manifests} == {"Pod"}
    ended = {check: (trial.expected[check].said, trial.outcomes[check][0]) for check in trial.expected}
    assert ended == {
        "first-pod": ("right", "passed"),
        "repaired-image": ("right", "passed"),
        "shared-volume": ("wrong", "failed"),
        "after-a-kill": ("wrong", "failed"),
    }


def test_where_clusters_cannot_be_forked_nothing_is_certified(tmp_path: Path) -> None:
    provider = MemoryProvider(tmp_path)
    with pytest.raises(NotPossible, match="cannot be forked"):
        ForkBench(PODS, provider, lambda: NotedCluster(provider, PODS.topology, tmp_path), "kubectl", ScriptedGrader())
