"""A lab certified with nothing real behind it: what is counted, what is kept, what stops it."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from labs.certify.changes import Objects
from labs.certify.page import page
from labs.certify.run import Graded, NotRight, Refused, Trial, certify
from labs.definition import Lab, State, load_lab
from labs.definition.certificate import FILE, Certificate
from labs.definition.rulings import Ruling
from labs.errors import Malformed
from labs.lint import lint
from labs.proofs import Digests
from labs.settings import load
from tests.unit.labs.conftest import LAB_YAML
from tests.unit.labs.test_lint import PASSED, add_state

REQUIREMENTS = """\
requirements:
  first:
    - workload("Deployment", "${app}").replicas >= ${replicas}
  second:
    - holds("first")
    - object("Deployment", "${app}").spec.paused == None or unknown
"""
RULINGS = """\
rulings:
  - changes: ["*add Deployment/${app} spec.paused = True*"]
    checks: {second: wrong}
    why: A paused Deployment rolls nothing out.
"""


SETTINGS = load({"KINDLING_HOME": os.devnull})
DIGESTS = Digests("simulated", SETTINGS.topologies, SETTINGS.images)
INPUTS = {"grader": "x"}


class ScriptedBench:
    """Manifests become the objects; every check passes while ``passes`` says so of them."""

    def __init__(self) -> None:
        self.asked: list[Objects] = []
        self._lock = threading.Lock()

    def made_by(self, state: State, values: Mapping[str, Any]) -> Objects:
        spec = {
            "replicas": values["replicas"],
            "template": {"spec": {"containers": [{"name": "web", "image": "web:1.0"}]}},
        }
        meta = {"name": values["app"], "labels": {"app": values["app"]}}
        return [{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": spec}]

    def grade(self, manifests: Objects, values: Mapping[str, Any]) -> Graded:
        with self._lock:
            self.asked.append(manifests)
        mine = ("Deployment", values["app"])
        spec = next((one["spec"] for one in manifests if (one["kind"], one["metadata"]["name"]) == mine), {})
        if spec.get("replicas", 1) == 0:
            raise Refused("spec.replicas: must be at least 1")
        return Graded(manifests, self.outcomes(spec, values))

    def outcomes(self, spec: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
        good = "template" in spec and spec.get("replicas", 1) >= values["replicas"]
        first, second = good, good and not spec.get("paused")
        return {name: ("passed", "") if ok else ("failed", "no") for name, ok in (("first", first), ("second", second))}


class Lenient(ScriptedBench):
    """Its checks count nothing."""

    def outcomes(self, spec: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
        return {"first": ("passed", ""), "second": ("ungradable", "the probe is away")}


@pytest.fixture
def folder(catalog: Path) -> Path:
    folder = catalog / "first"
    (folder / "lab.yaml").write_text(LAB_YAML + REQUIREMENTS)
    (folder / "rulings.yaml").write_text(RULINGS)
    for name in ("solved", "alternative-a"):
        add_state(folder, name, PASSED)
    return folder


@pytest.fixture
def lab(folder: Path) -> Lab:
    return load_lab(folder)


def test_every_change_is_made_graded_and_counted(lab: Lab) -> None:
    bench, told = ScriptedBench(), list[Trial]()
    made = certify(lab, bench, INPUTS, 60, 3, on_done=told.append)
    assert len(bench.asked) == 62  # each state once as it is
    assert made.decided + made.refused + len({case.change for case in made.undecided}) == len(told) == 60
    assert made.faultless
    assert made.refused
    assert made.near_misses
    assert made.neutral
    assert made.checks["first"].right + made.checks["first"].wrong + made.refused == 60
    assert {case.check for case in made.undecided} <= {"second"}


def test_the_same_changes_every_time(lab: Lab) -> None:
    def ids() -> set[str]:
        told: list[Trial] = []
        certify(lab, ScriptedBench(), INPUTS, 40, 4, on_done=told.append)
        return {one.change for one in told}

    assert ids() == ids()
    assert any("${app}" in change for change in ids())


def test_what_the_author_has_ruled_is_decided(lab: Lab) -> None:
    told: list[Trial] = []
    made = certify(lab, ScriptedBench(), INPUTS, 400, 2, on_done=told.append)
    paused = next(one for one in told if one.change == "solved: add Deployment/${app} spec.paused = True")
    assert {check: one.said for check, one in paused.expected.items()} == {"first": "right", "second": "wrong"}
    assert paused.expected["second"].why == "its author: A paused Deployment rolls nothing out."
    assert paused.change not in {case.change for case in made.undecided}


def test_checks_that_are_wrong_are_named(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("labs.certify.run._must_be_right", lambda trial: None)
    made = certify(lab, Lenient(), INPUTS, 60, 2, on_done=lambda _: None)
    assert not made.faultless
    missing = next(case for case in made.false_passes if case.change == "solved: without Deployment/${app}")
    assert (missing.check, missing.why.startswith('workload("Deployment"')) == ("first", True)
    assert made.checks["first"].false_passes == made.checks["first"].wrong > 0
    assert made.checks["second"].ungradable == made.checks["second"].right + made.checks["second"].wrong


def test_a_state_that_is_not_right_stops_it(lab: Lab) -> None:
    with pytest.raises(NotRight, match="as it is: second is ungradable: the probe is away"):
        certify(lab, Lenient(), INPUTS, 10, 1, on_done=lambda _: None)


def test_a_requirement_that_a_right_state_does_not_keep_stops_it(folder: Path) -> None:
    text = (folder / "lab.yaml").read_text()
    (folder / "lab.yaml").write_text(text.replace(">= ${replicas}", "> ${replicas}"))
    with pytest.raises(NotRight, match=r"first is wrong by its requirement workload"):
        certify(load_lab(folder), ScriptedBench(), INPUTS, 10, 1, on_done=lambda _: None)


def test_a_certificate_stands_until_something_changes(lab: Lab, folder: Path) -> None:
    made = certify(lab, ScriptedBench(), INPUTS, 60, 2, on_done=lambda _: None)
    assert made.standing(lab.version, INPUTS) == "draft"  # too few
    enough = made.model_copy(update={"decided": 200})
    assert enough.standing(lab.version) == enough.standing(lab.version, INPUTS) == "published"
    assert enough.standing(lab.version, {"grader": "y"}) == "outdated"
    lab.certificate_file.write_text(enough.model_dump_json())
    assert load_lab(folder).certificate == enough
    (folder / "checks.py").write_text((folder / "checks.py").read_text() + "# changed\n")
    assert enough.standing(load_lab(folder).version, INPUTS) == "outdated"
    (folder / FILE).write_text("{}")
    with pytest.raises(Malformed, match="kindling certify --write"):
        _ = load_lab(folder).certificate


def test_the_page_says_what_was_found(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "| [A first lab](#first) | 0 |" in page([lab], DIGESTS)
    monkeypatch.setattr("labs.certify.run._must_be_right", lambda trial: None)
    made: Certificate = certify(lab, Lenient(), INPUTS, 60, 2, on_done=lambda _: None)
    lab.certificate_file.write_text(made.model_dump_json())
    text = page([load_lab(lab.folder)], DIGESTS)
    assert f"False passes: {len(made.false_passes)}" in text
    assert "`solved: without Deployment/${app}`" in text
    assert "draft |" in text


def test_a_ruling_covers_what_it_names() -> None:
    ruling = Ruling(changes=["solved: script Pod/${pair} spec.containers[writer].*"], checks={"x": "wrong"}, why="y")
    assert ruling.covers("solved: script Pod/${pair} spec.containers[writer].args[0] = 'x'")
    assert not ruling.covers("solved: script Pod/${pair} spec.containers[server].args[0] = 'x'")


def test_lint_reads_requirements_and_rulings(folder: Path) -> None:
    def findings() -> list[str]:
        return [one.message for one in lint(folder) if "state" not in one.message]

    assert findings() == []
    (folder / "lab.yaml").write_text(LAB_YAML + 'requirements:\n  third: ["1 +"]\n  first: ["nobody() == 1"]\n')
    (folder / "rulings.yaml").write_text("rulings:\n- {changes: [x], checks: {fourth: right}, why: y}\n")
    assert sorted(findings()) == [
        "'1 +' is no expression: invalid syntax (<unknown>, line 1)",
        "a ruling on fourth, which is no check; there are: first, second",
        "expected requirements of the check second",
        "requirements of third, which is no check; there are: first, second",
        "there is no nobody in 'nobody() == 1'; there are: "
        "deployment, holds, object, objects, pod, pods, service, workload",
    ]
