"""``kindling certify``: how often the checks of a lab are wrong."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from labs.cli.authoring import folders
from labs.cli.context import settings
from labs.cli.output import clean, echo, print_error, style, table

if TYPE_CHECKING:
    from labs.certify.run import Planned, Trial
    from labs.definition.certificate import Case, Certificate

SHOWN, EVERY = 600, 25


@click.command()
@click.argument("lab", required=False)
@click.option("--count", type=click.IntRange(1, 5000), help="Changes to try (default: 260).")
@click.option("--jobs", type=click.IntRange(1, 64), help="Changes at a time (default: as many as processors).")
@click.option("--change", metavar="ID", help="Only this change (* for anything), in full.")
@click.option("--write", is_flag=True, help="Keep what was found beside the lab, in certificate.json.")
def certify(lab: str | None, count: int | None, jobs: int | None, change: str | None, write: bool) -> int:
    """Measure how often the checks of LAB (a name or a folder; default: all labs) are wrong.

    Hundreds of changes of its right states are made on forks of a simulated cluster and graded there; an oracle that
    knows the lab's requirements, and nothing of its checks, says which of them must pass.
    """
    from labs.certify.forks import PROVIDER, bench_for
    from labs.certify.inputs import inputs
    from labs.certify.run import COUNT, JOBS, attempt
    from labs.certify.run import certify as run
    from labs.definition import load_lab
    from labs.proofs import Digests

    found = settings()
    digests = Digests(PROVIDER, found.topologies, found.images)
    faultless = True
    for folder in folders(lab):
        one = load_lab(folder)
        echo(style(one.name, bold=True))
        progress = _Progress(count or COUNT)
        with bench_for(one, found) as bench:
            if change is not None:
                attempt(one, bench, change, jobs or JOBS, on_done=_print_in_full)
                continue
            made = run(one, bench, inputs(one, digests), count or COUNT, jobs or JOBS, on_done=progress.tried)
        if write:
            one.certificate_file.write_text(made.model_dump_json(indent=1) + "\n", encoding="utf-8")
        _print(made)
        faultless = faultless and made.faultless
    if not faultless:
        print_error("some checks are wrong")
        return 1
    return 0


def _print_in_full(plan: Planned, trial: Trial) -> None:
    """One change: its manifests, and for each check what the oracle and the check said."""
    import yaml

    said = [clean(yaml.safe_dump_all(plan.manifests, sort_keys=False)), style(clean(trial.change), bold=True)]
    said += [clean(f"  refused: {trial.refused}")] if trial.refused else []
    for check, judgement in trial.expected.items():
        ended, message = trial.outcomes.get(check, ("not graded", ""))
        said.append(clean(f"  {check}: {judgement.said} by {judgement.why or 'its requirements'}; it {ended}"))
        said += [clean("      " + message.replace("\n", " "))] if message else []
    echo("\n".join(said))


class _Progress:
    """Says each disagreement as it is found, and now and then how far it is."""

    def __init__(self, count: int) -> None:
        self._count, self._done, self._began = count, 0, time.monotonic()

    def tried(self, trial: Trial) -> None:
        """One more."""
        _print_trial(trial)
        self._done += 1
        if self._done % EVERY == 0:
            echo(f"  {self._done} of {self._count} after {time.monotonic() - self._began:.0f} s")


def _print_trial(trial: Trial) -> None:
    """A change on which checks and oracle part."""
    for said, outcome, title in (
        ("wrong", "passed", "false pass"),
        ("right", "failed", "false fail"),
        ("right", "ungradable", "ungradable"),
        ("wrong", "ungradable", "ungradable"),
    ):
        for case in trial.cases(said, outcome):
            _print_case(title, case)


def _print_case(title: str, case: Case) -> None:
    echo(f"  {style(title, fg='red')}  " + clean(f"{case.check}  {case.change}").replace("\n", " "))
    for label, text in (("by", case.why), ("said", case.said)):
        if text:
            echo(clean(f"      {label}: {text[:SHOWN]}").replace("\n", " "))


def _print(made: Certificate) -> None:
    rows = [
        (name, one.right, one.false_fails, one.wrong, one.false_passes, one.ungradable, one.undecided)
        for name, one in made.checks.items()
    ]
    head = ("check", "right", "false fails", "wrong", "false passes", "ungradable", "undecided")
    echo(table(head, rows))
    undecided = _by_change(made.undecided)
    if undecided:
        echo(f"Undecided (rulings.yaml may say what must come of them): {len(undecided)}")
        for change, checks in undecided.items():
            echo(clean(f"  {change}: {', '.join(checks)}"))
    echo(
        f"{made.decided} changes decided ({made.near_misses} wrong, {made.neutral} right), {made.refused} refused by "
        f"the API server, in {made.seconds:.0f} s"
    )


def _by_change(cases: Iterable[Case]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for case in cases:
        found.setdefault(case.change, []).append(f"{case.check} {case.said}")
    return found
