"""Attempts on forks, beside the same in place at speed 1 and on kind; a hundred at once, and their neighbour."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from statistics import median, quantiles

from bench import throughput
from bench.simulated import Silent
from bench.table import heading, measured, row
from grader.protocol import GradeRequest, Verdict
from labs import forks, settings
from labs.bootstrap import Kindling, bootstrap
from labs.clusters.provider import ClusterError, Handle, Provider
from labs.definition import Lab
from labs.errors import KindlingError
from labs.grading import ProcessGrader, request_for
from labs.parameters import seed_of
from labs.replay import carry_out

TIMES = 5
HAND_INS = 100
MAKERS = 4
RATE, BEFORE_SECONDS = 20.0, 10.0
"""Requests a second of the neighbour, and for how long it is measured alone."""


def run(home: Path) -> None:
    """Measure everything in a home of its own, with the services that a site works with."""
    kindling = bootstrap(settings.load({**os.environ, "KINDLING_HOME": str(home)}))
    try:
        heading("Attempts on forks")
        for lab in kindling.labs.all():
            one(kindling, lab)
        many(kindling)
    finally:
        kindling.close()


# -- one attempt -----------------------------------------------------------------------------------------------------


def one(kindling: Kindling, lab: Lab) -> None:
    """A solved lab, handed in again and again; then its cluster graded in place, and the same on kind."""
    session = solved(kindling, "alone", lab)
    figures = []
    for _ in range(TIMES):
        with measured() as watch:
            done = kindling.sessions.follow(kindling.sessions.check(session, "alone").id, "alone")
        figures.append(watch.seconds)
        if done.outcome != "passed":
            said = [(check.name, check.message) for check in done.checks if check.outcome != "passed"]
            print(f"{lab.name}: {done.outcome}: {said} {kindling.reports.attempt(None, done.id).cause}")
    beside = f"kind {on_kind(kindling, lab)}"
    what = f"{lab.name} on forks (min, median, max of {TIMES})"
    row(what, f"{min(figures):.2f} {median(figures):.2f} {max(figures):.2f} s", "2 s (median)", beside)
    provider, handle = kindling.providers.get("simulated"), handle_of(kindling, session)
    values = kindling.sessions.view(session, "alone").parameters
    with closing(ProcessGrader()) as grader:
        verdict, seconds = graded(grader, provider, handle, request_for(lab, values, "simulated"))
    row("  in place at speed 1", f"{seconds:.1f} s, {verdict.outcome}")


def on_kind(kindling: Kindling, lab: Lab) -> str:
    """The same on a cluster of kind, where there is one."""
    values = lab.parameters_for(seed_of("solved", lab.name))
    spec = lab.spec(f"kindling-bench-{lab.name}", values, {"lab": lab.name})
    try:
        provider = kindling.providers.get("kind")
        provider.capabilities()
        handle = provider.create(spec, Silent())
    except (ClusterError, KindlingError) as error:
        return f"is not measured: {error}"
    try:
        state = next(state for state in lab.states if state.name == "solved")
        carry_out(lab, state, values, provider.credentials(handle, "learner"), kindling.settings.kubectl)
        with closing(ProcessGrader()) as grader:
            verdict, seconds = graded(grader, provider, handle, request_for(lab, values, "kind"))
        return f"{seconds:.1f} s, {verdict.outcome}"
    finally:
        with suppress(ClusterError):
            provider.delete({"name": spec.name})


def graded(grader: ProcessGrader, provider: Provider, handle: Handle, request: GradeRequest) -> tuple[Verdict, float]:
    """In place, and the seconds that took."""
    grader.prestart()
    with measured() as watch:
        verdict = forks.grade(grader, provider, handle, request, in_place=True)
    return verdict, watch.seconds


def solved(kindling: Kindling, learner: str, lab: Lab) -> str:
    """A session of this learner, with the lab solved in it."""
    kindling.accounts.ensure(learner)
    session = kindling.sessions.wait(kindling.sessions.start(learner, lab.name, "simulated").id)
    state = next(state for state in lab.states if state.name == "solved")
    kubeconfig = kindling.sessions.kubeconfig(session.id, learner)
    carry_out(lab, state, session.parameters, kubeconfig, kindling.settings.kubectl)
    return session.id


def handle_of(kindling: Kindling, session: str) -> Handle:
    """The handle of a session's cluster."""
    from labs.records.models import Session

    with kindling.records.read() as tx:
        return dict(tx.get_one(Session, session).handle)


# -- a hundred at once -----------------------------------------------------------------------------------------------


def many(kindling: Kindling) -> None:
    """Every learner hands in at the same moment, while a neighbour works."""
    labs = kindling.labs.all()
    with ThreadPoolExecutor(MAKERS) as pool:
        learners = [f"learner-{number}" for number in range(HAND_INS)]
        chosen = [labs[number % len(labs)] for number in range(HAND_INS)]
        sessions = list(pool.map(lambda one: solved(kindling, *one), zip(learners, chosen, strict=True)))
    neighbour = solved(kindling, "neighbour", labs[0])
    kubeconfig = kindling.sessions.kubeconfig(neighbour, "neighbour")
    with neighbour_of(kubeconfig) as alone:
        time.sleep(BEFORE_SECONDS)
    with neighbour_of(kubeconfig) as during:
        taken = handed_in(kindling, list(zip(learners, sessions, strict=True)))
    seconds = [one for one, _ in taken]
    outcomes = {outcome: sum(one == outcome for _, one in taken) for outcome in {one for _, one in taken}}
    what = f"{HAND_INS} hand-ins at once (median, p95, all)"
    row(what, f"{median(seconds):.1f} {p(95, seconds):.1f} {max(seconds):.1f} s", "60 s (p95)", str(outcomes))
    before, after = p(99, alone) * 1000, p(99, during) * 1000
    row("a neighbour's p99 meanwhile", f"{after:.1f} ms", f"{before * 1.5:.1f} ms (1.5 x)", f"alone {before:.1f} ms")


def handed_in(kindling: Kindling, work: list[tuple[str, str]]) -> list[tuple[float, str]]:
    """Hands in all of it at once: seconds until each verdict, and its outcome."""
    taken: list[tuple[float, str]] = []
    attempts = [(kindling.sessions.check(session, learner).id, learner) for learner, session in work]
    began = time.perf_counter()

    def follow(attempt: str, learner: str) -> None:
        ended = kindling.sessions.follow(attempt, learner)
        taken.append((time.perf_counter() - began, str(ended.outcome)))

    threads = [threading.Thread(target=follow, args=one, daemon=True) for one in attempts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return taken


@contextmanager
def neighbour_of(kubeconfig: str) -> Iterator[list[float]]:
    """A process of its own lists pods at a steady rate; seconds of each answer, when it is over."""
    taken: list[float] = []
    command = [sys.executable, "-m", "bench.forks"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(kubeconfig) + "\n")
        process.stdin.flush()
        process.stdout.readline()
        yield taken
        process.stdin.close()
        taken += json.loads(process.stdout.read())


def be_neighbour() -> None:
    """The neighbour's process: a kubeconfig on standard input, figures on standard output at the end of it."""
    kubeconfig, over = json.loads(sys.stdin.readline()), threading.Event()
    print("ready", flush=True)

    def listen() -> None:
        sys.stdin.read()
        over.set()

    threading.Thread(target=listen, daemon=True).start()
    print(json.dumps(asyncio.run(steady(kubeconfig, over))))


async def steady(kubeconfig: str, over: threading.Event) -> list[float]:
    """Seconds of each answer; a late one does not delay the next request."""
    taken: list[float] = []

    async def one() -> None:
        started = time.perf_counter()
        await api("GET", "/api/v1/namespaces/default/pods")
        taken.append(time.perf_counter() - started)

    async with throughput.session() as session, asyncio.TaskGroup() as tasks:
        api, began, number = throughput.Api(session, kubeconfig), time.perf_counter(), 0
        while not over.is_set():
            tasks.create_task(one())
            number += 1
            await asyncio.sleep(max(0.0, began + number / RATE - time.perf_counter()))
    return taken


def p(percent: int, figures: list[float]) -> float:
    """A percentile."""
    return quantiles(figures, n=100)[percent - 1]


if __name__ == "__main__":
    be_neighbour()
