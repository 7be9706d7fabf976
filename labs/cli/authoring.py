"""For who writes labs: ``lint`` (no cluster needed) and ``replay`` (every state against its expected outcomes)."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from labs.cli.context import settings
from labs.cli.output import clean, echo, outcome, print_error, style, table
from labs.errors import KindlingError
from labs.library import Library

if TYPE_CHECKING:
    from labs.replay import Replayed


@click.command()
@click.argument("lab", required=False)
def lint(lab: str | None) -> int:
    """Check LAB (a name or a folder; default: all labs, and the courses) for mistakes, without a cluster."""
    from labs.lint import lint as look

    looked = folders(lab)
    findings = [(str(finding.file), str(finding)) for folder in looked for finding in look(folder)]
    if lab is None:
        from webapp.content import Library as Courses

        findings += [(str(problem.path), str(problem)) for problem in Courses(settings().courses).problems]
    for _, said in findings:
        echo(clean(said))
    if findings:
        print_error(f"{len(findings)} to mend in {len({file for file, _ in findings})} files")
        return 1
    names = ", ".join(one.name for one in looked)
    echo(f"{len(looked)} {'lab is' if len(looked) == 1 else 'labs are'} fine: {names}")
    return 0


@click.command()
@click.argument("lab", required=False)
@click.option("--on", "provider", metavar="PROVIDER", help="simulated or kind (default: KINDLING_PROVIDER, simulated).")
@click.option("--state", metavar="STATE", help="Only this state.")
@click.option("--jobs", type=click.IntRange(1, 16), help="States at a time (default: 2 on simulated, else 1).")
def replay(lab: str | None, provider: str | None, state: str | None, jobs: int | None) -> int:
    """Try LAB (a name or a folder; default: all labs): every state against its expected outcomes."""
    from labs.clusters.registry import Providers
    from labs.definition import load_lab
    from labs.grading import ProcessGrader
    from labs.replay import Replay, choose, sweep

    found = settings()
    providers = Providers(found)
    name = provider or found.provider
    notes = found.home / "replays"
    sweep(notes, providers.get)
    results: list[Replayed] = []
    with closing(ProcessGrader()) as grader:
        for folder in folders(lab):
            one = load_lab(folder)
            states = choose(one, state)
            providers.fit(name, one.needs, one.name)
            echo(style(f"{one.name} on {name}", bold=True))
            at_a_time = jobs or (2 if name == "simulated" else 1)
            runner = Replay(providers.get(name), grader, found.kubectl, notes, at_a_time)
            done = runner.run([(one, each) for each in states], print_result)
            results += done
            order = [one_state.name for one_state in states]
            _matrix(sorted(done, key=lambda result: order.index(result.state)))
    wrong = [result for result in results if not result.proven]
    if wrong:
        print_error(f"{len(wrong)} of {len(results)} states did not come out as expected")
        return 1
    echo(f"All {len(results)} states came out as expected.")
    return 0


def folders(lab: str | None) -> list[Path]:
    """The folder of a lab by name or path; every lab's, broken ones included, when none is named."""
    library = Library(settings().catalogs)
    if lab is None:
        return library.folders()
    path = Path(lab)
    if (path / "lab.yaml").is_file():
        return [path.resolve()]
    named = [folder for folder in library.folders() if folder.name == lab]
    if not named:
        known = ", ".join(folder.name for folder in library.folders()) or "none"
        raise KindlingError(f"there is no lab {lab!r} and no such folder with a lab.yaml; labs: {known}")
    return named


def print_result(result: Replayed) -> None:
    """One finished state; what was wrong with it in full."""
    echo(f"  {outcome('passed' if result.proven else 'failed')}  {result.state}  ({result.seconds:.1f} s)")
    for line in [*result.differences, *([result.trouble] if result.trouble else [])]:
        echo("      " + clean(line).replace("\n", "\n      "))


def _matrix(results: list[Replayed]) -> None:
    """States x checks: what came out; an exclamation mark where something else was expected."""
    names = list(dict.fromkeys(name for result in results for name in result.expected))
    rows = []
    for result in results:
        cells = []
        for name in names:
            got = result.outcomes.get(name, "-")
            cells.append(got if got == result.expected.get(name) else f"{got} (!)")
        rows.append((result.state, *cells, "yes" if result.proven else "NO"))
    echo(table(("state", *names, "as expected"), rows))
