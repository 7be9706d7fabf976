"""Moving the clock, reading the trace, stopping components: of simulated clusters only."""

from __future__ import annotations

import pytest

from labs.clusters import registry
from tests.doubles.providers import ControlledProvider
from tests.unit.labs.cli.conftest import Command


@pytest.mark.parametrize("command", ["clock", "trace", "components"])
def test_a_real_cluster_has_no_clock_to_move(kindling: Command, command: str) -> None:
    assert kindling("start", "first") == 0  # on a double that has what every provider has, and no more
    assert kindling(command, "first") == 1
    assert "a real cluster: only a simulated one can do that" in kindling.err
    assert "kindling start first --on simulated" in kindling.err


class TestSimulated:
    """A provider whose clusters have controls."""

    @pytest.fixture
    def steered(self, kindling: Command) -> ControlledProvider:
        made = ControlledProvider(kindling.provider.folder)
        registry.MAKERS["simulated"] = lambda _: made  # type: ignore[index]  # a dict, put there by the fixture above
        kindling("start", "first")
        return made

    def test_the_clock_is_moved_one_way_at_a_time(self, kindling: Command, steered: ControlledProvider) -> None:
        assert kindling("clock", "first", "--step", "1.5m") == 0
        assert steered.asked[-1] == ("clock", {"step": 90.0})
        assert "deployment-controller changed ReplicaSet" in kindling.out
        assert "next: kube-scheduler looks at default/a (because: x created Pod a)" in kindling.out
        assert kindling("clock", "first", "--pause", "--speed", "2") == 2
        assert kindling("clock", "first", "--step", "soon") == 2
        assert "reconcile, or a time such as 10s or 5m" in kindling.err

    def test_a_trace_is_indented_below_what_it_answers_to(self, kindling: Command, steered: ControlledProvider) -> None:
        assert kindling("trace", "first") == 0
        lines = [line[13:] for line in kindling.out.splitlines()]
        assert lines == [
            "    1 learner (kubectl) created Deployment a",
            "        - etcd stores it as revision 7",
            "    2   deployment-controller created ReplicaSet a-1",
        ]
        assert steered.asked[-1] == ("trace", 0, 0, None)

    def test_components_are_listed_and_refusals_told(self, kindling: Command, steered: ControlledProvider) -> None:
        assert kindling("components", "first", "--stop", "kube-scheduler") == 0
        assert steered.asked[-1] == ("components", {"stop": "kube-scheduler"})
        assert [line.split() for line in kindling.out.splitlines()] == [
            ["COMPONENT", "STATE"],
            ["kube-scheduler", "stopped"],
        ]
        assert kindling("components", "first") == 0
        rows = [line.split()[0] for line in kindling.out.splitlines()]
        assert rows == ["COMPONENT", "etcd", "kube-scheduler", "node/worker"]
        kindling("components", "first", "--cut", "worker")  # as it was before: named, and so shown
        assert "node/worker" in kindling.out
        assert "etcd" not in kindling.out
        assert kindling("components", "first", "--stop", "mars") == 1
        assert kindling.err == "kindling: there is no component 'mars'\n"

    def test_grading_is_at_the_usual_speed(self, kindling: Command, steered: ControlledProvider) -> None:
        kindling("check", "first")
        pinned = [each for each in steered.asked if each[0] == "graded"]
        assert len(pinned) == 2
        assert pinned[0][1] > 60
        assert pinned[1][1] == 0
