"""A class that hands in at once: how long each waits for a verdict, and whether every solution gets the right one.

As the site does it: one process that grades what is wanted in the background, simulated clusters, the lab ``pods``.
Most have solved it; some have not, and hostile members are at work meanwhile where they are asked for.
"""

from __future__ import annotations

import contextlib
import resource
import time
from concurrent.futures import ThreadPoolExecutor
from statistics import quantiles

from labs.session import AttemptView
from soak.attack import attacked
from soak.members import Target
from soak.stage import Stage

LEARNERS = 100
AT_ONCE = 4  # learners that are made ready at the same time, before anything is measured
WAIT_SECONDS = 600.0
HOSTILE = ("EndlessCreates", "CpuLoops", "Patterns", "Policies", "HugePatches")
UNSOLVED = 10
"""Every so many-th has done nothing when hostile members are there; who has must fail, whatever others do."""


def run(stage: Stage, many: int = LEARNERS) -> None:
    """All of a class, solved; then a quarter of it again beside hostile members."""
    stage.report.part(f"{many} labs handed in at once")
    _class(stage, [f"learner-{number}" for number in range(many)], set(), "quiet")
    few = max(1, many // 4)
    beside_hostile_members(stage, few, set(range(UNSOLVED - 1, few, UNSOLVED)))


def beside_hostile_members(stage: Stage, many: int, unsolved: set[int], hostile: tuple[str, ...] = HOSTILE) -> None:
    """A class of whom some have done nothing, while hostile members are at work."""
    stage.report.part(f"{many} labs handed in at once, beside hostile members")
    with contextlib.ExitStack() as stack:
        for each in hostile:
            stack.enter_context(attacked(each, Target(stack.enter_context(stage.cluster(each)))))
        _class(stage, [f"beside-{number}" for number in range(many)], unsolved, "beside hostile members")


def _class(stage: Stage, names: list[str], unsolved: set[int], how: str) -> None:
    report = stage.report
    with ThreadPoolExecutor(AT_ONCE) as pool:
        sessions = list(pool.map(lambda at: _ready(stage, names[at], at not in unsolved), range(len(names))))
    pid, before = stage.host_pid(), _children()
    done = handed_in(stage, sessions, names)
    used = _children() - before
    for at, one in enumerate(done):
        wanted = "failed" if at in unsolved else "passed"
        report.invariant(f"{one.learner} gets the right verdict", one.outcome == wanted, f"{one.outcome}, not {wanted}")
    _rows(stage, done, used, how)
    same = stage.host_pid() == pid
    report.row(
        "... the host replaced meanwhile", "never" if same else "yes", reach="never", before="3 times", good=same
    )
    report.invariant("a slow host is not replaced", same)
    for name, session in zip(names, sessions, strict=True):
        stage.kindling.sessions.wait(stage.kindling.sessions.stop(session, name).id)


def _ready(stage: Stage, name: str, solved: bool) -> str:
    session = stage.learner(name)
    if solved:
        stage.solve(session, name)
    return session


def handed_in(stage: Stage, sessions: list[str], names: list[str]) -> list[AttemptView]:
    """Hand all of them in; every attempt when all have ended, or when it has taken too long."""
    service = stage.kindling.sessions
    attempts = [service.check(session, name).id for session, name in zip(sessions, names, strict=True)]
    for session in sessions:
        service.wake(session)
    deadline, left = time.monotonic() + WAIT_SECONDS, dict(zip(attempts, names, strict=True))
    while left and time.monotonic() < deadline:
        time.sleep(0.5)
        left = {attempt: name for attempt, name in left.items() if service.attempt(attempt, name).state != "done"}
    return [service.attempt(attempt, name) for attempt, name in zip(attempts, names, strict=True)]


def _rows(stage: Stage, done: list[AttemptView], used: float, how: str) -> None:
    outcomes = [str(one.outcome) for one in done]
    counts = ", ".join(f"{outcomes.count(word)} {word}" for word in sorted(set(outcomes)))
    graders, report = stage.kindling.settings.graders, stage.report
    before = "9 verdicts, 91 ungradable" if how == "quiet" else ""
    reach = "none ungradable"
    good = "ungradable" not in outcomes and "None" not in outcomes
    report.row(f"{len(done)} labs handed in at once, {how}", counts, reach=reach, before=before, good=good)
    took = [(one.finished_at - one.wanted_at).total_seconds() for one in done if one.finished_at is not None]
    if len(took) > 1:
        cut = quantiles(took, n=20, method="inclusive")
        what, now = f"... to the verdict (p50, p95), {graders} graders", f"{cut[9]:.1f} {cut[18]:.1f} s"
        report.row(what, now, reach="p95 60 s", good=cut[18] <= 60)
    mean = f"{sum(one.seconds for one in done) / len(done):.2f} {used / len(done):.2f} s"
    report.row("... grading alone (mean), processor time of its process", mean)


def _children() -> float:
    """Seconds of processor time of the grading processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
