"""The labs that ship say what they check, and prove enough."""

import re
from pathlib import Path

import pytest

from labs.definition import Lab, load_lab

HOME = Path(__file__).parents[4] / "labs" / "catalog"
LABS = [load_lab(path.parent) for path in sorted(HOME.glob("*/lab.yaml"))]
SEEDS = [f"{number:016x}" for number in range(25)]


@pytest.fixture(params=LABS, ids=lambda lab: lab.name)
def lab(request: pytest.FixtureRequest) -> Lab:
    """Each lab."""
    found: Lab = request.param
    return found


def test_there_are_labs() -> None:
    assert {one.name for one in LABS} >= {"pods", "services", "scaling", "self-healing"}


def test_points_add_up(lab: Lab) -> None:
    assert sum(check.points for check in lab.checks) == lab.points


def test_the_task_lists_every_check_with_its_points_and_bounds(lab: Lab) -> None:
    text = lab.instructions(lab.parameters_for(SEEDS[0]))
    table = dict(re.findall(r"^\| `([a-z-]+)` \| (\d+) \|", text, re.MULTILINE))
    assert table == {check.name: f"{check.points:g}" for check in lab.checks}
    for name, bound in lab.thresholds.items():
        said = "no request fails" if bound == 0 else f"{bound:g} "
        assert said in text, f"{name}: {bound} is not in the instructions"


def test_every_check_has_hints(lab: Lab) -> None:
    assert set(lab.file.hints) == {check.name for check in lab.checks}


def test_parameters_fill_everything_for_every_learner(lab: Lab) -> None:
    seen = set()
    for seed in SEEDS:
        parameters = lab.parameters_for(seed)
        seen.add(tuple(parameters.values()))
        assert "${" not in lab.instructions(parameters)
        assert lab.setup(parameters)
        for check in lab.checks:
            assert lab.hints(check.name, parameters)
        for state in lab.states:
            for path in state.folder.glob("*.yaml"):
                assert lab.filled(path, parameters)
                if path.name != "state.yaml":
                    assert lab.manifests(path, parameters)
    assert len(seen) > 5


def test_it_is_proven_by_enough_states(lab: Lab) -> None:
    kinds = [state.kind for state in lab.states]
    assert kinds.count("solved") == 1
    assert kinds.count("alternative") >= 2
    assert kinds.count("broken") >= 5
    names = {check.name for check in lab.checks}
    for state in lab.states:
        assert set(state.file.expected) == names, state.name
        assert ("failed" in state.file.expected.values()) is (state.kind == "broken"), state.name
        assert set(state.file.messages) <= {name for name, how in state.file.expected.items() if how == "failed"}
    failing = {name for state in lab.states for name, how in state.file.expected.items() if how == "failed"}
    assert failing == names


def test_no_wrong_state_is_proven_twice(lab: Lab) -> None:
    steps = [state.file.description for state in lab.states]
    assert len(set(steps)) == len(steps)
