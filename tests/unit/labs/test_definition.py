"""lab.yaml and its neighbours: what is accepted, and what is said of what is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from labs.clusters.provider import Fault
from labs.definition import load_lab
from labs.errors import Malformed, NotFound
from labs.library import Library
from labs.parameters import Parameter, UnknownParameter, draw, fill, seed_of
from tests.unit.labs.conftest import CHECKS, LAB_YAML, write_lab


def broken(catalog: Path, **how: str) -> Malformed:
    with pytest.raises(Malformed) as raised:
        load_lab(write_lab(catalog, "lab", **how))
    return raised.value


def test_a_lab_is_what_its_file_says(catalog: Path) -> None:
    text = LAB_YAML.replace("{nodes: 1}", '{nodes: 3, faults: [stop-node], kubernetes: "1.32"}')
    lab = load_lab(write_lab(catalog, "lab", lab=text))
    assert (lab.name, lab.title, lab.points, lab.topology) == ("lab", "A first lab", 10, "three-node")
    assert (lab.needs.nodes, lab.needs.faults, lab.needs.kubernetes) == (3, frozenset({Fault.STOP_NODE}), (1, 32))
    assert [(one.name, one.title, one.points) for one in lab.checks] == [
        ("first", "The first thing", 3.0),
        ("second", "The second thing", 7.0),
    ]


@pytest.mark.parametrize(("needs", "unknown"), [("{nodes: 1}", "strict"), ("{images: stand-ins}", "stand-ins")])
def test_a_lab_says_what_becomes_of_images_that_are_not_simulated(catalog: Path, needs: str, unknown: str) -> None:
    lab = load_lab(write_lab(catalog, "lab", lab=LAB_YAML.replace("{nodes: 1}", needs)))
    assert lab.spec("a", lab.parameters_for("x"), {}).unknown_images == unknown


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("title: A first lab\n", "", 1, "expected a field title"),
        ("minutes: 20", "minutes: soon", 4, "minutes: input should be a valid integer"),
        ("level: beginner", "level: guru", 3, "level: input should be 'beginner', 'intermediate' or 'advanced'"),
        ("limit: 60", "limits: 60", 7, "there is no field limits"),
        ("{nodes: 1}", "{nodes: 4}", 6, "needs.nodes: input should be less than or equal to 3"),
        ("{nodes: 1}", "{images: loose}", 6, "needs.images: input should be 'strict' or 'stand-ins'"),
        ("{nodes: 1}", "{faults: [explode]}", 6, "needs.faults.0: input should be 'stop-node'"),
        ("{integer: [2, 4]}", "{integer: [4, 2]}", 10, "parameters.replicas: expected [lowest, highest]"),
        ("{integer: [2, 4]}", "{}", 10, "parameters.replicas: expected exactly one of choice, integer, value"),
        ('["Nearly there."]', "[]", 13, "hints.second: list should have at least 1 item"),
        ("points: 10", "points: .nan", 5, "points: input should be"),
        ("title: A first lab", "- a", 1, "not YAML"),
    ],
)
def test_malformed_says_line_and_what_was_expected(catalog: Path, old: str, new: str, line: int, said: str) -> None:
    assert old in LAB_YAML
    error = broken(catalog, lab=LAB_YAML.replace(old, new))
    assert said in error.expected
    if said != "not YAML":
        assert error.line == line


def test_files_that_must_be_there(catalog: Path) -> None:
    folder = write_lab(catalog, "lab")
    (folder / "instructions.md").unlink()
    with pytest.raises(Malformed, match=r"instructions.md, line 1: expected this file beside lab.yaml"):
        load_lab(folder)


@pytest.mark.parametrize(
    ("checks", "said"),
    [
        ("def test_a(: pass", "expected Python"),
        ("import os\n", "expected at least one function"),
        ("def test_a(): ...\n", "on test_a"),
        (CHECKS + CHECKS, "is there twice"),
        ("@check(points=N, title='x')\ndef test_a(): ...\n", "expected a literal points"),
        ("@check(points=True, title='x')\ndef test_a(): ...\n", "points=a number"),
        ("@check(points=1, title='')\ndef test_a(): ...\n", "title="),
        ("@check(points=1, title='x', after=1)\ndef test_a(): ...\n", "after="),
        ("@check(points=1, title='x', after='b')\ndef test_a(): ...\n", "the check a is after 'b', and none before it"),
    ],
)
def test_checks_are_read_without_being_run(catalog: Path, checks: str, said: str) -> None:
    lab = load_lab(write_lab(catalog, "lab", checks=checks))
    with pytest.raises(Malformed) as raised:
        lab.checks  # noqa: B018 -- reading it is the test
    assert said in raised.value.expected


def test_one_bad_lab_leaves_the_others(catalog: Path) -> None:
    write_lab(catalog, "bad", lab="title: [\n")
    library = Library([catalog])
    assert [lab.name for lab in library.all()] == ["first"]
    problem = library.problems()[0]
    assert (problem.lab, Path(problem.file).name) == ("bad", "lab.yaml")
    with pytest.raises(Malformed):
        library.get("bad")
    with pytest.raises(NotFound, match="there are: first"):
        library.get("nope")


def test_a_change_is_seen(catalog: Path) -> None:
    library = Library([catalog])
    before = library.get("first")
    assert library.get("first") is before
    (catalog / "first" / "lab.yaml").write_text(LAB_YAML.replace("A first lab", "Another title"))
    assert library.get("first").title == "Another title"
    assert library.get("first").version != before.version


def test_a_name_that_is_taken_is_reported(catalog: Path, tmp_path: Path) -> None:
    write_lab(tmp_path / "mine", "first", lab=LAB_YAML.replace("A first lab", "Mine"))
    library = Library([catalog, tmp_path / "mine", tmp_path / "missing"])
    assert library.get("first").title == "A first lab"
    assert [problem.expected for problem in library.problems()] == [f"this name is taken by {catalog / 'first'}"]


def test_parameters_are_filled_everywhere(catalog: Path) -> None:
    lab = load_lab(catalog / "first")
    values = {"app": "borealis", "replicas": 3}
    assert lab.instructions(values) == "# Do it\n\nMake 3 of borealis. It costs $5, see $(date).\n"
    assert lab.setup(values)[0]["metadata"]["name"] == "borealis"
    assert lab.hints("first", values) == ["Look at borealis.", "Make 3 of them."]


def test_a_manifest_that_is_none(catalog: Path) -> None:
    (catalog / "first" / "setup" / "b.yaml").write_text("a: ${app}\n")
    with pytest.raises(Malformed, match=r"b.yaml, line 1: expected a Kubernetes object"):
        load_lab(catalog / "first").setup({"app": "x"})


class TestParameters:
    def test_the_same_learner_gets_the_same(self) -> None:
        assert seed_of("ada", "pods") == seed_of("ada", "pods")
        assert len({seed_of(learner, lab) for learner in ("ada", "bob") for lab in ("pods", "scaling")}) == 4

    def test_one_more_parameter_changes_no_other(self) -> None:
        first = {"a": Parameter(integer=(0, 10**6)), "b": Parameter(choice=list("xyz"))}
        more = {**first, "c": Parameter(integer=(0, 10**6))}
        assert draw(first, "s").items() <= draw(more, "s").items()

    def test_every_value_is_reached_and_no_other(self) -> None:
        drawn = {draw({"n": Parameter(integer=(3, 5))}, str(seed))["n"] for seed in range(60)}
        assert drawn == {3, 4, 5}

    def test_a_constant(self) -> None:
        assert draw({"port": Parameter(value=8080)}, "s") == {"port": 8080}

    def test_unknown_names_are_refused_with_their_line(self) -> None:
        with pytest.raises(UnknownParameter, match=r"\$\{oops\} is not a parameter; there are: app") as raised:
            fill("one\n$app $(x) ${app}\n${oops}", {"app": 1})
        assert raised.value.line == 3

    def test_dollars(self) -> None:
        assert fill("$HOME $$x $(a) $${app} ${app}", {"app": "A"}) == "$HOME $x $(a) ${app} A"

    def test_a_value_is_not_filled_again(self) -> None:
        assert fill("${a}", {"a": "${b}", "b": "no"}) == "${b}"
