"""``kindling prove``: grade on a real cluster what has changed since its proof, and keep what came of it."""

from __future__ import annotations

import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING

import click

from labs.cli.authoring import folders, print_result
from labs.cli.context import settings
from labs.cli.output import clean, counted, echo, print_error, span
from labs.clusters.provider import ClusterError
from labs.errors import NotPossible

if TYPE_CHECKING:
    from labs.definition import Lab
    from labs.proofs import Inputs
    from labs.replay import Replayed
    from labs.settings import Settings


@click.command()
@click.argument("lab", required=False)
@click.option("--on", "provider", metavar="PROVIDER", default="kind", help="Whose clusters (default: kind).")
@click.option("--all", "everything", is_flag=True, help="Also what has not changed since its proof.")
@click.option("--dry-run", is_flag=True, help="Only say what has to be proven; exits 1 when anything has.")
@click.option("--jobs", type=click.IntRange(1, 16), default=1, help="Clusters at a time (default: 1).")
def prove(lab: str | None, provider: str, everything: bool, dry_run: bool, jobs: int) -> int:
    """Prove LAB (a name or a folder; default: all labs) on a real cluster, where it has changed since its proof.

    What comes out as expected is written to proof-PROVIDER.yaml beside the lab, state by state, also when the rest is
    interrupted.
    """
    from labs.definition import load_lab

    run = _Run(settings(), provider)
    labs = [load_lab(folder) for folder in folders(lab)]
    for one in labs:
        run.add(one, everything=everything)
    total = sum(len(one.states) for one in labs)
    echo(f"{len(run.todo)} of {counted(total, 'state')} to prove on {provider}.")
    for said in run.why:
        echo(f"  {clean(said)}")
    if dry_run:
        return 1 if run.todo else 0
    for one in labs:
        run.refuse(one)
    return run.work(jobs)


class _Run:
    """One run of the command."""

    def __init__(self, found: Settings, provider: str) -> None:
        from labs.clusters.registry import Providers
        from labs.proofs import Digests

        self._settings, self._name = found, provider
        self._providers = Providers(found)
        self._provider = self._providers.get(provider)
        self._digests = Digests(provider, found.topologies, found.images)
        self._inputs: dict[tuple[str, str], Inputs] = {}
        self._labs: dict[str, Lab] = {}
        self._lock = threading.Lock()
        self.todo: list[tuple[str, str]] = []
        self.why: list[str] = []

    def add(self, lab: Lab, *, everything: bool) -> None:
        """Note what has to be proven of a lab."""
        from labs.proofs import read, stand

        self._labs[lab.name] = lab
        proof = read(lab, self._name)
        for state in lab.states:
            inputs = self._digests.of(lab, state)
            found = stand(lab, state, proof, inputs, self._settings.node_image(self._name), self._name)
            if everything or found.due:
                key = lab.name, state.name
                self._inputs[key] = inputs
                self.todo.append(key)
                self.why.append(f"{found}: {found.wrong or ('another node image' if found.elsewhere else 'holds')}")

    def refuse(self, lab: Lab) -> None:
        """Keep that the provider cannot run a lab, where that is so."""
        from labs.proofs import Proof, Refusal, write

        if not any(name == lab.name for name, _ in self.todo):
            return
        try:
            missing = lab.needs.missing(self._provider.capabilities())
        except ClusterError as error:
            raise NotPossible(str(error), error.fix) from error
        if missing:
            why = f"{self._name} lacks {' and '.join(missing)}"
            write(lab, self._name, Proof(refused=Refusal(needs=lab.file.needs.model_dump(mode="json"), why=why)))
            echo(f"{lab.name} cannot run there: {clean(why)}")
            self.todo = [key for key in self.todo if key[0] != lab.name]

    def work(self, jobs: int) -> int:
        """Prove it all; the exit code."""
        from labs.grading import ProcessGrader
        from labs.replay import Replay, choose, sweep

        notes, began = self._settings.home / "replays", time.monotonic()
        sweep(notes, self._providers.get)
        work = [(self._labs[lab], choose(self._labs[lab], state)[0]) for lab, state in self.todo]
        with closing(ProcessGrader()) as grader:
            replay = Replay(self._provider, grader, self._settings.kubectl, notes, jobs)
            results = replay.run(work, self._done)
        wrong = [result for result in results if not result.proven]
        took = span(time.monotonic() - began)
        if wrong:
            names = ", ".join(f"{result.lab}/{result.state}" for result in wrong)
            print_error(f"{len(wrong)} of {counted(len(results), 'state')} not proven, in {took}: {names}")
            return 1
        echo(f"{counted(len(results), 'state')} proven, in {took}.")
        return 0

    def _done(self, result: Replayed) -> None:
        """Show and keep one that is finished."""
        from labs.proofs import Proven, read, write

        with self._lock:
            print_result(result)
            if result.proven:
                lab, inputs = self._labs[result.lab], self._inputs[result.lab, result.state]
                proven = Proven(
                    lab=inputs.lab,
                    grader=inputs.grader,
                    provider=inputs.provider,
                    node_image=self._settings.node_image(self._name),
                    seconds=round(result.seconds),
                    outcomes=result.outcomes,  # type: ignore[arg-type]  # as expected, so one of these words
                )
                write(lab, self._name, read(lab, self._name).with_state(result.state, proven))
