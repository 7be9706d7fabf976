"""Whether a proof still holds: what makes it stale, what does not, and which are tried again all the same."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from labs.definition import load_lab
from labs.errors import Malformed
from labs.parameters import seed_of
from labs.proofs import Digests, Inputs, Proof, Proven, Refusal, read, rotating, stand, write
from labs.proofs.record import file_of
from labs.replay import choose
from labs.settings import load
from tests.unit.labs.test_lint import PASSED, add_state

SETTINGS = load({"KINDLING_HOME": "/nowhere"})
POD = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n"
STEPS = "[{kubectl: 'scale deploy ${app} --replicas 2'}, {apply: web.yaml}]"
NOW = Inputs("l", "g", "p")


@pytest.fixture
def folder(catalog: Path) -> Path:
    """A lab with the states solved and alternative-a."""
    lab = catalog / "first"
    for name in ("solved", "alternative-a"):
        (add_state(lab, name, PASSED, STEPS) / "web.yaml").write_text(POD)
    return lab


def inputs(folder: Path, state: str = "solved", images: Path = SETTINGS.images) -> Inputs:
    lab = load_lab(folder)
    return Digests("kind", SETTINGS.topologies, images).of(lab, choose(lab, state)[0])


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("lab.yaml", "limit: 60", "limit: 61"),
        ("lab.yaml", "needs: {nodes: 1}", "needs: {nodes: 1}\nthresholds: {seconds: 5}"),
        ("lab.yaml", "{integer: [2, 4]}", "{integer: [12, 14]}"),
        ("lab.yaml", "{choice: [aurora, borealis]}", "{choice: [australis]}"),
        ("checks.py", "(cluster): ...\n\n", "(cluster): return 1\n\n"),
        ("setup/a.yaml", "ConfigMap", "Secret"),
        ("states/solved/state.yaml", "replicas 2", "replicas 3"),
        ("states/solved/state.yaml", "second: passed", "second: failed"),
        ("states/solved/web.yaml", "name: a", "name: b"),
    ],
)
def test_what_a_verdict_comes_from_counts(folder: Path, file: str, old: str, new: str) -> None:
    before = inputs(folder)
    edit(folder / file, old, new)
    after = inputs(folder)
    assert after.lab != before.lab
    assert (after.grader, after.provider) == (before.grader, before.provider)


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("lab.yaml", "title: A first lab", "title: The first lab  # of all"),
        ("lab.yaml", "goal: Do one thing.", "goal: Do it."),
        ("lab.yaml", "Nearly there.", "Nearly."),
        ("lab.yaml", "minutes: 20", "minutes: 25\norder: 7"),
        ("checks.py", "points=3, title", "points=4, title"),
        ("checks.py", 'title="The first thing"', 'title="The first thing", what_if={"with more": more}'),
        ("checks.py", "from grader import check\n", "from grader import check\n\n\ndef more(operate): ...\n"),
        ("checks.py", "The first thing", "One thing"),
        ("checks.py", "from grader import check\n", '"""Checks."""\n\nfrom grader import check  # marks\n'),
        ("instructions.md", "Do it", "Do this"),
        ("setup/a.yaml", "metadata: {name: ${app}}", "metadata:\n  # the learner's own\n  name: ${app}"),
        ("states/solved/state.yaml", "description: x", "description: Another."),
        ("states/alternative-a/state.yaml", "replicas 2", "replicas 3"),
    ],
)
def test_nothing_else_does(folder: Path, file: str, old: str, new: str) -> None:
    before = inputs(folder)
    edit(folder / file, old, new)
    assert inputs(folder) == before


def test_a_choice_that_is_not_drawn_does_not_count(folder: Path) -> None:
    before = inputs(folder)
    drawn = load_lab(folder).parameters_for(seed_of("solved", "first"))["app"]
    other = "borealis" if drawn == "aurora" else "aurora"
    edit(folder / "lab.yaml", other, "australis")
    assert inputs(folder) == before
    edit(folder / "lab.yaml", str(drawn), "australis-incognita")
    assert inputs(folder) != before


def test_the_source_of_an_own_image_counts_by_what_it_does(folder: Path, tmp_path: Path) -> None:
    images = tmp_path / "images"
    shutil.copytree(SETTINGS.images, images)
    before = inputs(folder, images=images)
    edit(folder / "lab.yaml", "limit: 60", 'limit: 60\nimages: ["kindling/web:1.0", "busybox:1.35"]')
    with_image = inputs(folder, images=images)
    assert with_image.lab != before.lab
    source = min(images.glob("web/*.py"))
    source.write_text(source.read_text() + "\n# a remark\n")
    assert inputs(folder, images=images) == with_image
    source.write_text(source.read_text() + "\nprint()\n")
    assert inputs(folder, images=images).lab != with_image.lab


def test_only_the_instruments_that_a_lab_uses_count(folder: Path) -> None:
    before = inputs(folder)
    edit(folder / "checks.py", "def test_second(cluster): ...", "def test_second(faults): faults.hang(1)")
    after = inputs(folder)
    assert after.grader != before.grader
    assert after.provider == before.provider


def proven(**changed: object) -> Proven:
    given = {"lab": "l", "grader": "g", "provider": "p", "node_image": "node:1", "seconds": 3}
    outcomes = {"first": "passed", "second": "passed"}
    return Proven.model_validate({**given, "outcomes": outcomes, **changed})


@pytest.mark.parametrize(
    ("proof", "wrong"),
    [
        (Proof(states={"solved": proven()}), ""),
        (Proof(), "missing: it was never proven"),
        (Proof(states={"alternative-a": proven()}), "missing: it was never proven"),
        (Proof(states={"solved": proven(grader="h")}), "stale: the grader changed since"),
        (Proof(states={"solved": proven(lab="m", provider="q")}), "stale: the lab and the provider changed since"),
        (
            Proof(states={"solved": proven(outcomes={"first": "passed", "second": "failed"})}),
            "different: second failed, not passed, and state.yaml gives no reason",
        ),
    ],
)
def test_how_a_state_stands(folder: Path, proof: Proof, wrong: str) -> None:
    lab = load_lab(folder)
    found = stand(lab, choose(lab, "solved")[0], proof, NOW, "node:1", "kind")
    assert (found.wrong, found.due, str(found)) == (wrong, bool(wrong), "first/solved")


def test_another_node_image_is_to_be_tried_but_nothing_is_wrong(folder: Path) -> None:
    lab = load_lab(folder)
    found = stand(lab, choose(lab, "solved")[0], Proof(states={"solved": proven()}), NOW, "node:2", "kind")
    assert (found.wrong, found.elsewhere, found.due) == ("", True, True)


def test_a_difference_with_a_reason_is_none(folder: Path) -> None:
    differs = "\ndiffers: {kind: {expected: {second: failed}, reason: Its kubelet does this otherwise.}}"
    add_state(folder, "solved", PASSED + differs)
    lab = load_lab(folder)
    (state,) = choose(lab, "solved")
    outcomes = {"first": "passed", "second": "failed"}
    assert state.file.expected_on("kind") == outcomes
    assert state.file.expected_on("simulated") == {"first": "passed", "second": "passed"}
    assert not stand(lab, state, Proof(states={"solved": proven(outcomes=outcomes)}), NOW, "node:1", "kind").wrong
    assert stand(lab, state, Proof(states={"solved": proven()}), NOW, "node:1", "kind").wrong.startswith("different: ")


def test_a_difference_needs_a_reason(folder: Path) -> None:
    add_state(folder, "solved", PASSED + "\ndiffers: {kind: {expected: {second: failed}, reason: because}}")
    with pytest.raises(Malformed, match="at least 20 characters"):
        _ = load_lab(folder).states


def test_a_lab_that_cannot_run_there_needs_no_proof_while_its_needs_are_the_same(folder: Path) -> None:
    lab = load_lab(folder)
    refused = Proof(refused=Refusal(needs=lab.file.needs.model_dump(mode="json"), why="kind lacks metrics"))
    (solved,) = choose(lab, "solved")
    assert not stand(lab, solved, refused, NOW, "node:1", "kind").due
    edit(folder / "lab.yaml", "{nodes: 1}", "{nodes: 1, metrics: true}")
    lab = load_lab(folder)
    assert stand(lab, choose(lab, "solved")[0], refused, NOW, "node:1", "kind").due


def test_the_file_keeps_what_was_proven_and_drops_states_that_are_gone(folder: Path) -> None:
    lab = load_lab(folder)
    assert read(lab, "kind") == Proof()
    proof = Proof().with_state("alternative-a", proven(seconds=4)).with_state("solved", proven())
    write(lab, "kind", proof.with_state("gone", proven()))
    assert list(read(lab, "kind").states) == ["solved", "alternative-a"]
    assert read(lab, "kind") == proof
    assert [path.name for path in folder.iterdir() if "proof" in path.name] == ["proof-kind.yaml"]
    assert load_lab(folder).version == lab.version


def test_a_file_that_somebody_wrote_is_refused_with_its_line(folder: Path) -> None:
    lab = load_lab(folder)
    file_of(lab, "kind").write_text("states:\n  solved: {lab: x}\n")
    with pytest.raises(Malformed, match=r"proof-kind.yaml, line 2"):
        read(lab, "kind")


def test_ten_turns_try_everything_once() -> None:
    things = list(range(33))
    turns = [rotating(things, turn) for turn in range(1300, 1310)]
    assert sorted(thing for turn in turns for thing in turn) == things
    assert {len(turn) for turn in turns} == {3, 4}
    assert rotating(things, 1310) == turns[0]
