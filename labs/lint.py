"""What can be said of a lab without a cluster: does everything fit together, and is enough there to prove its checks?

It reads; it runs nothing of the lab.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from labs import wall_time, yamlfile
from labs.certify.expressions import BadExpression, Expression
from labs.certify.facts import World
from labs.certify.oracle import HOLDS
from labs.definition import Lab, State, load_lab
from labs.definition.prediction import misfits, read_measured
from labs.errors import Malformed
from labs.parameters import UnknownParameter

SEEDS = ("0", "1", "2", "3")
ALTERNATIVES, BROKEN = 2, 5


@dataclass(frozen=True, order=True)
class Finding:
    """Something to mend. ``line`` counts from 1."""

    file: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}"


def lint(folder: Path) -> list[Finding]:
    """Everything that is wrong with the lab in a folder, by file and line; [] when nothing is."""
    try:
        lab = load_lab(folder)
    except Malformed as error:
        return [_finding(error)]
    findings = [*_texts(lab), *_checks(lab), *_predictions(lab), *_states(lab), *_requirements(lab)]
    return sorted(set(findings))


def _finding(error: Malformed) -> Finding:
    return Finding(error.file, error.line, error.expected)


def _texts(lab: Lab) -> Iterator[Finding]:
    """Instructions, hints and manifests with the parameters of several learners."""
    for seed in SEEDS:
        values = lab.parameters_for(seed)
        try:
            if not lab.instructions(values).strip():
                yield Finding(str(lab.folder / "instructions.md"), 1, "expected instructions")
            lab.setup(values)
        except Malformed as error:
            yield _finding(error)
            return
        for check, hints in lab.file.hints.items():
            for hint in hints:
                try:
                    lab.fill(hint, values)
                except UnknownParameter as error:
                    yield Finding(str(lab.folder / "lab.yaml"), _line(lab, "hints", check), str(error))
        try:
            lab.questions(values)
        except UnknownParameter as error:
            yield Finding(str(lab.folder / "lab.yaml"), _line(lab, "predict"), str(error))


def _checks(lab: Lab) -> Iterator[Finding]:
    """Points add up; hints are of checks that are there; time is the cluster's."""
    path = str(lab.folder / "lab.yaml")
    try:
        checks = lab.checks
    except Malformed as error:
        yield _finding(error)
        return
    questions = sum(question.points for question in lab.file.predict.values())
    total = sum(check.points for check in checks) + questions
    if abs(total - lab.points) > 1e-9:
        what = "the checks and questions" if questions else "the checks"
        yield Finding(path, _line(lab, "points"), f"points is {lab.points:g}, but {what} add up to {total:g}")
    for line, message in wall_time.found(yamlfile.read_text(lab.checks_file)):
        yield Finding(str(lab.checks_file), line, message)
    names = {check.name for check in checks}
    for check in lab.file.hints:
        if check not in names:
            known = ", ".join(sorted(names))
            yield Finding(path, _line(lab, "hints", check), f"hints for {check}, which is no check; there are: {known}")
    for info in checks:
        if info.name not in lab.file.hints:
            yield Finding(path, _line(lab, "hints"), f"expected a hint for the check {info.name}")


def _predictions(lab: Lab) -> Iterator[Finding]:
    """Each question has an answer, or a check that says what happened."""
    try:
        found = list(misfits(lab.file.predict, read_measured(lab.checks_file)))
    except Malformed:  # said with the checks
        return
    for question, line, message in found:
        where = lab.folder / "lab.yaml" if question else lab.checks_file
        yield Finding(str(where), line or _line(lab, "predict", question), message)


def _requirements(lab: Lab) -> Iterator[Finding]:
    """Requirements and rulings are of checks that are there, and say something. A lab without any is not certified."""
    path = str(lab.folder / "lab.yaml")
    try:
        names, rulings, _ = [check.name for check in lab.checks], lab.rulings, lab.certificate
    except Malformed as error:
        yield _finding(error)
        return
    known = ", ".join(sorted(names))
    for check, texts in lab.file.requirements.items():
        line = _line(lab, "requirements", check)
        if check not in names:
            yield Finding(path, line, f"requirements of {check}, which is no check; there are: {known}")
        for text in texts:
            yield from (Finding(path, line, said) for said in _nonsense(lab, text))
    for check in names if lab.file.requirements else []:
        if check not in lab.file.requirements:
            yield Finding(path, _line(lab, "requirements"), f"expected requirements of the check {check}")
    for check in sorted({check for ruling in rulings for check in ruling.checks} - set(names)):
        found = f"a ruling on {check}, which is no check; there are: {known}"
        yield Finding(str(lab.folder / "rulings.yaml"), 1, found)


def _nonsense(lab: Lab, text: str) -> Iterator[str]:
    """What is wrong with a requirement, for several learners."""
    there = {*World([], lab.namespace).names, HOLDS}
    for seed in SEEDS:
        try:
            used = Expression(lab.fill(text, lab.parameters_for(seed))).names
        except (BadExpression, UnknownParameter) as error:
            yield str(error)
            return
        for name in sorted(used - there):
            yield f"there is no {name} in {text!r}; there are: {', '.join(sorted(there))}"


def _states(lab: Lab) -> Iterator[Finding]:
    """Enough states, each with a verdict for every check and files that are there."""
    folder = lab.folder / "states"
    try:
        states, names = lab.states, {check.name for check in lab.checks}
    except Malformed as error:
        yield _finding(error)
        return
    kinds = [state.kind for state in states]
    for kind, least in (("solved", 1), ("alternative", ALTERNATIVES), ("broken", BROKEN)):
        if kinds.count(kind) < least:
            what = f"expected at least {least} states named {kind}{'' if kind == 'solved' else '-...'}"
            yield Finding(str(folder), 1, f"{what}, found {kinds.count(kind)}")
    for state in states:
        yield from _state(lab, state, names)


def _state(lab: Lab, state: State, names: set[str]) -> Iterator[Finding]:
    """A verdict for every check, and none for others; files that are there."""
    path, given = str(state.folder / "state.yaml"), state.file
    if state.kind not in ("solved", "alternative", "broken"):
        yield Finding(path, 1, "expected a folder named solved, alternative-... or broken-...")
    for missing in sorted(names - given.expected.keys()):
        yield Finding(path, 1, f"expected an outcome of the check {missing}")
    for unknown in sorted((given.expected.keys() | given.messages.keys()) - names):
        yield Finding(path, 1, f"there is no check {unknown}")
    for provider, differs in given.differs.items():
        for name, wanted in differs.expected.items():
            if given.expected.get(name) in (None, wanted):
                said = f"differs on {provider}: {name} is no check, or comes out as it does elsewhere"
                yield Finding(path, 1, said)
    for name, option in given.happened.items():
        if option not in lab.measured.get(name, ()):
            yield Finding(path, 1, f"no check measures a question {name} with an option {option}")
    failed = "failed" in given.expected.values()
    if failed != (state.kind == "broken"):
        yield Finding(path, 1, f"a {state.kind} state {'fails' if failed else 'passes'} every check")
    for step in given.steps:
        yield from _applied(lab, state.folder, step.apply, path)


def _applied(lab: Lab, folder: Path, name: str | None, path: str) -> Iterator[Finding]:
    if name is None:
        return
    if not (folder / name).is_file():
        yield Finding(path, 1, f"expected a file {name} beside it")
        return
    try:
        lab.manifests(folder / name, lab.parameters_for(SEEDS[0]))
    except Malformed as error:
        yield _finding(error)


def _line(lab: Lab, *location: str) -> int:
    return yamlfile.read(lab.folder / "lab.yaml").line(location)
