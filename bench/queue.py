"""Many learners who hand in at once: how long each waits for a verdict, and whether every right solution passes.

As the site does it: one process that grades what is wanted in the background, simulated clusters, the lab ``pods``,
solved.
"""

from __future__ import annotations

import os
import resource
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import quantiles

from bench.table import heading, row
from labs import settings
from labs.bootstrap import Kindling, bootstrap
from labs.replay import carry_out
from labs.session import AttemptView

LEARNERS = int(os.environ.get("BENCH_LEARNERS", "100"))
LAB = "pods"
AT_ONCE = 4  # learners that are made ready at the same time, before anything is measured
WAIT_SECONDS = 900.0


def run(home: Path) -> None:
    """Make the learners' labs ready and solved, hand all of them in at once, and follow them to their ends."""
    heading(f"{LEARNERS} solved labs handed in at once")
    chosen = settings.load({**os.environ, "KINDLING_HOME": str(home)})
    kindling = bootstrap(chosen)
    try:
        names = [f"learner-{number}" for number in range(LEARNERS)]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            sessions = list(pool.map(lambda name: solved(kindling, name), names))
        began, before = time.perf_counter(), _children()
        attempts = [kindling.sessions.check(session, name).id for session, name in zip(sessions, names, strict=True)]
        for session in sessions:
            kindling.sessions.wake(session)
        done = ended(kindling, attempts, names)
        report(done, time.perf_counter() - began, _children() - before, chosen.graders)
    finally:
        kindling.close()


def solved(kindling: Kindling, name: str) -> str:
    """A learner whose lab is there and solved; the session's id."""
    kindling.accounts.ensure(name)
    session = kindling.sessions.wait(kindling.sessions.start(name, LAB, "simulated").id)
    lab = kindling.labs.get(LAB)
    state = next(state for state in lab.states if state.name == "solved")
    kubeconfig = kindling.sessions.kubeconfig(session.id, name)
    carry_out(lab, state, session.parameters, kubeconfig, kindling.settings.kubectl)
    return session.id


def ended(kindling: Kindling, attempts: list[str], names: list[str]) -> list[AttemptView]:
    """Every attempt when all have ended, or when it has taken too long."""
    deadline = time.monotonic() + WAIT_SECONDS
    left = set(attempts)
    while left and time.monotonic() < deadline:
        time.sleep(1)
        for attempt, name in zip(attempts, names, strict=True):
            if attempt in left and kindling.sessions.attempt(attempt, name).state == "done":
                left.discard(attempt)
    return [kindling.sessions.attempt(attempt, name) for attempt, name in zip(attempts, names, strict=True)]


def report(done: list[AttemptView], seconds: float, processor: float, graders: int) -> None:
    """What became of them."""
    outcomes = [str(one.outcome) for one in done]
    counts = ", ".join(f"{outcomes.count(word)} {word}" for word in sorted(set(outcomes)))
    row(f"outcomes, with {graders} at a time", counts, f"{LEARNERS} passed")
    took = [(one.finished_at - one.wanted_at).total_seconds() for one in done if one.finished_at is not None]
    cut = quantiles(took, n=20, method="inclusive")
    row("from handing in to the verdict (p50, p95)", f"{cut[9]:.1f} {cut[18]:.1f} s", "p95 60 s")
    row("grading alone (mean), processor time of its process", _mean(done, processor), "")
    row("all of them", f"{seconds:.1f} s")


def _mean(done: list[AttemptView], processor: float) -> str:
    return f"{sum(one.seconds for one in done) / len(done):.2f} {processor / len(done):.2f} s"


def _children() -> float:
    """Seconds of processor time of the grading processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
