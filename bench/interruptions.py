"""A check killed at random moments: how many attempts at a solved lab still end as passed.

As a command does it: whoever handed in follows the attempt. ``host`` kills the simulation host, ``grader`` the grading
process, ``database`` keeps it locked for two seconds. The moments are the same in every run (``BENCH_SEED``).
"""

from __future__ import annotations

import collections
import os
import random
import signal
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path

from bench.table import heading, row
from labs import settings
from labs.bootstrap import Kindling, bootstrap
from labs.replay import carry_out
from labs.session import AttemptView
from simkube.host import launcher

KILLS = int(os.environ.get("BENCH_KILLS", "20"))
SEED = int(os.environ.get("BENCH_SEED", "7"))
LAB = "services"  # it can be checked as often as one likes
LOCKED_SECONDS = 2.0


def run(home: Path) -> None:
    """Solve the lab once, check it without a kill, then with one at each moment."""
    kindling = bootstrap(settings.load({**os.environ, "KINDLING_HOME": str(home)}))
    try:
        session = solved(kindling)
        usual = checked(kindling, session).seconds
        heading(f"{KILLS} kills, each at a random moment of a check of {usual:.1f} s")
        kinds: dict[str, Callable[[], None]] = {
            "host": lambda: kill_host(home),
            "grader": kill_graders,
            "database": lambda: lock_database(home),
        }
        for name, kill in kinds.items():
            moments = random.Random(SEED)
            outcomes: collections.Counter[str] = collections.Counter()
            for _ in range(KILLS):
                timer = threading.Timer(moments.uniform(0, usual), kill)
                timer.start()
                attempt = checked(kindling, session)
                timer.join()
                outcomes[attempt.outcome or attempt.state] += 1
            row(f"{name}: outcomes", ", ".join(f"{n} {what}" for what, n in sorted(outcomes.items())), "all passed")
    finally:
        kindling.close()


def solved(kindling: Kindling) -> str:
    """A learner whose lab is there and solved; the session's id."""
    kindling.accounts.ensure("ada")
    session = kindling.sessions.wait(kindling.sessions.start("ada", LAB, "simulated").id)
    lab = kindling.labs.get(LAB)
    state = next(state for state in lab.states if state.name == "solved")
    kubeconfig = kindling.sessions.kubeconfig(session.id, "ada")
    carry_out(lab, state, session.parameters, kubeconfig, kindling.settings.kubectl)
    return session.id


def checked(kindling: Kindling, session: str) -> AttemptView:
    """Hand in and follow to the end."""
    return kindling.sessions.follow(kindling.sessions.check(session, "ada").id, "ada")


def kill_host(home: Path) -> None:
    """As the kernel does when it is out of memory."""
    host = launcher.running(home / "simkube")
    if host is not None:
        os.kill(host.health()["pid"], signal.SIGKILL)


def kill_graders() -> None:
    """Those that the zygote of this process has forked."""
    for pid in children(os.getpid()):
        if "grader.zygote" in Path(f"/proc/{pid}/cmdline").read_text(errors="replace").replace("\0", " "):
            for grader in children(pid):
                os.kill(grader, signal.SIGKILL)


def children(pid: int) -> list[int]:
    """The processes that a process has started."""
    found = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(one) for one in " ".join(file.read_text() for file in found).split()]


def lock_database(home: Path) -> None:
    """Whoever reads goes on, whoever writes waits."""
    with sqlite3.connect(home / "kindling.db", isolation_level=None) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        time.sleep(LOCKED_SECONDS)
        connection.execute("ROLLBACK")
