"""All that the verdict on a state of a lab comes from, as digests: a proof holds while these are what they were.

Of a lab that is what a learner's cluster was made from, what was done in it and how it is checked, as data, with the
parameters of that state filled in: comments, titles, hints and instructions do not count, nor does a value that was not
drawn. Of grader and provider it is the code that can be reached from the lab's checks (:mod:`labs.proofs.reach`).
What the machine brings (programs, the engine, the images that are pulled) is no part of it.
"""

from __future__ import annotations

import ast
import hashlib
import json
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from labs import yamlfile
from labs.clusters import registry
from labs.clusters.provider import Faults, Provider, topology_file
from labs.definition import Lab, State
from labs.parameters import seed_of
from labs.proofs import reach
from labs.syntax import parse

_HERE = Path(__file__).resolve().parents[1]
_OWN_IMAGES = "kindling/"
NOT_GRADED = {
    "title",
    "goal",
    "level",
    "minutes",
    "order",
    "points",
    "hints",
    "what_if_from",
    "parameters",
    "requirements",
}
"""Fields of ``lab.yaml`` on which no verdict depends (of parameters, what was drawn counts)."""
NOT_DECIDING = {"title", "points", "what_if", "after"}
"""What ``@check`` says that decides nothing where checks are made in place, one after the other."""


@dataclass(frozen=True)
class Inputs:
    """Digests: ``lab`` of the state and the checks, ``grader`` and ``provider`` of the code that grades it."""

    lab: str
    grader: str
    provider: str


@dataclass(frozen=True)
class _OfLab:
    """What is the same for all states of a lab: of what their clusters are made, and digests of checks and grader."""

    around: dict[str, Any]
    checks: str
    grader: str


class Digests:
    """Digests of labs on one provider. ``topologies``, ``images``: where these lie. Each version of a lab, and each
    image, is read once."""

    def __init__(self, provider: str, topologies: Path, images: Path) -> None:
        self._provider, self._topologies, self._images = provider, topologies, images
        self._labs: dict[tuple[Path, str], _OfLab] = {}
        self._sources: dict[str, Mapping[str, str]] = {}

    def of(self, lab: Lab, state: State) -> Inputs:
        """What the verdict on a state comes from; ``Malformed`` for a lab that cannot be read."""
        key = lab.folder, lab.version
        found = self._labs.get(key)
        if found is None:
            found = self._labs[key] = self._of_lab(lab)
        return Inputs(
            _digest([found.around, _done(lab, state, self._provider), found.checks]),
            found.grader,
            _provider_code(registry.MAKERS[self._provider].__name__),
        )

    def _of_lab(self, lab: Lab) -> _OfLab:
        modules = {path.stem: _checks(path) for path in lab.folder.glob("*.py")}
        checks, tests = reach.Program(modules), {f"test_{info.name.replace('-', '_')}" for info in lab.checks}
        grader = _grader().digest({"ProcessGrader", "grade", *checks.spoken(tests)})
        return _OfLab(self._around(lab), checks.digest(tests), grader)

    def _source(self, image: str) -> Mapping[str, str]:
        if image not in self._sources:
            self._sources[image] = _folder(self._images / image)
        return self._sources[image]

    def _around(self, lab: Lab) -> dict[str, Any]:
        """Of what the cluster is made, beside the lab's own objects."""
        own = [image.removeprefix(_OWN_IMAGES) for image in lab.file.images if image.startswith(_OWN_IMAGES)]
        sources = {name: self._source(name) for name in {image.partition(":")[0] for image in own}}
        topology = yamlfile.read(topology_file(self._topologies, lab.topology)).value
        return {"topology": topology, "sources": sources, "lab": lab.file.model_dump(mode="json", exclude=NOT_GRADED)}


def _done(lab: Lab, state: State, provider: str) -> dict[str, Any]:
    """The lab's own objects, what is done with them, and what is to come of it."""
    values = lab.parameters_for(seed_of(state.name, lab.name))
    files = sorted(path for path in state.folder.iterdir() if path.is_file() and path.name != "state.yaml")
    applied = {step.apply for step in state.file.steps}
    return {
        "values": values,
        "setup": lab.setup(values),
        "files": {
            path.name: lab.manifests(path, values) if path.name in applied else lab.filled(path, values)
            for path in files
        },
        "steps": [
            (step.apply, shlex.split(lab.fill(step.kubectl or "", values)), step.may_fail) for step in state.file.steps
        ],
        "expected": state.file.expected_on(provider),
        "messages": {name: lab.fill(part, values) for name, part in state.file.messages.items()},
    }


def _checks(path: Path) -> ast.Module:
    """A lab's module without what its checks say of themselves."""
    tree = parse(yamlfile.read_text(path), str(path))
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "check":
            node.keywords = [keyword for keyword in node.keywords if keyword.arg not in NOT_DECIDING]
    return tree


@cache
def _grader() -> reach.Program:
    return _program([_HERE / "grading.py", *(_HERE.parent / "grader").glob("**/*.py")])


@cache
def _provider_code(maker: str) -> str:
    """Bringing a cluster into a state, and breaking things in it; ``maker``: the function that makes the provider."""
    roots = {name for contract in (Provider, Faults) for name in vars(contract) if not name.startswith("_")}
    program = _program([_HERE / "replay.py", *(_HERE / "clusters").glob("**/*.py")])
    return program.digest({"carry_out", maker, *roots})


def _program(paths: Iterable[Path]) -> reach.Program:
    return reach.Program({str(path.with_suffix("")).replace("/", "."): parse(path.read_bytes()) for path in paths})


def _folder(folder: Path) -> Mapping[str, str]:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and "__pycache__" not in path.parts]
    return {str(path.relative_to(folder)): _file(path) for path in files}


def _file(path: Path) -> str:
    if path.suffix == ".py":
        return reach.text(parse(path.read_bytes(), str(path)))
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _digest(data: object) -> str:
    written = json.dumps(data, sort_keys=True, default=str)
    return hashlib.sha256(written.encode()).hexdigest()[:16]
