"""Each hostile member beside a quiet neighbour: what the neighbour's small reads take, without and with it.

The member is held and let go in turns, so that both meet the same machine. The neighbour's reads come in bursts with
pauses: the first after a pause must not be slower than the tenth, since fairness protects who was idle as well. On a
host of several processes the two may be apart, so that there are neighbours enough to have one beside the member.
"""

from __future__ import annotations

import signal
import time
from http.client import HTTPException

from soak.attack import attacked
from soak.client import Api
from soak.members import MEMBERS, OF_CLUSTERS, Target
from soak.members.member import CONFIG_MAPS
from soak.stage import Stage, mib, percentiles

BURSTS, READS = 10, 10
PAUSE = 0.1
"""Seconds between two bursts; within one, whoever reads is not in a hurry either."""
STEP = 0.01
REST = 1.0
"""Seconds after a member was let go, in which it uses what it may use at once, and after it was held."""
MEMORY = 1536 << 20
"""Bytes that the host may hold meanwhile: what its large answers may keep, and itself."""


class Bursts:
    """Times of reads, in seconds; ``first`` and ``tenth`` of each burst apart."""

    def __init__(self) -> None:
        self.all: list[float] = []
        self.first: list[float] = []
        self.tenth: list[float] = []
        self.failed = 0

    def read(self, quiet: Api, bursts: int = BURSTS) -> None:
        """Some more bursts."""
        for _ in range(bursts):
            time.sleep(PAUSE)
            took = [self._one(quiet) for _ in range(READS)]
            self.all += took
            self.first.append(took[0])
            self.tenth.append(took[-1])

    def _one(self, quiet: Api) -> float:
        time.sleep(STEP)
        began = time.perf_counter()
        try:
            status, _ = quiet("GET", f"{CONFIG_MAPS}/kube-root-ca.crt")
            self.failed += status != 200
        except (OSError, HTTPException):
            self.failed += 1
            quiet.close()
        return time.perf_counter() - began


def run(stage: Stage, names: list[str] | None = None, rounds: int = 2, bursts: int = BURSTS) -> None:
    """One row a member; the invariants are that every read is answered and that the host is the same one afterwards."""
    report = stage.report
    report.part("A quiet learner beside each hostile member: reads in ms (p50 p99), without and beside it")
    first: list[float] = []
    tenth: list[float] = []
    with stage.cluster("quiet") as kubeconfig:
        quiet, pid = Api(kubeconfig), stage.host_pid()
        for name in names or list(OF_CLUSTERS):
            calm, loud = Bursts(), Bursts()
            with stage.cluster(name) as config, attacked(name, Target(config)) as member:
                for _ in range(rounds):
                    for number, times in ((signal.SIGSTOP, calm), (signal.SIGCONT, loud)):
                        member.send_signal(number)
                        time.sleep(REST)
                        times.read(quiet, bursts)
                held = stage.usage()
            first += loud.first
            tenth += loud.tenth
            _row(stage, name, calm, loud, held.memory)
            report.invariant(f"the neighbour of {name} is answered", not loud.failed + calm.failed, loud.failed)
            report.invariant(f"{name} does not end the host", stage.host_pid() == pid, "another process")
            report.invariant(f"the host's memory beside {name}", held.memory <= MEMORY, mib(held.memory))
    (one, late), (ten, latest) = percentiles(first), percentiles(tenth)
    now = f"{1000 * one:.1f} {1000 * late:.0f} and {1000 * ten:.1f} {1000 * latest:.0f} ms"
    report.row("beside all of them: the first read after a pause, and the tenth", now, reach="no slower")


def _row(stage: Stage, name: str, calm: Bursts, loud: Bursts, memory: int) -> None:
    (middle, late), (slower, latest) = percentiles(calm.all), percentiles(loud.all)
    doc = (MEMBERS[name].__doc__ or "").strip()
    now = f"{1000 * middle:.1f} {1000 * late:.0f}; {1000 * slower:.1f} {1000 * latest:.0f} ms; {mib(memory)}"
    before = "p99 x 151" if name == "InflatingBodies" else ""
    stage.report.row(f"{name}: {doc}", now, reach="p99 50 ms", before=before, good=latest <= 0.05 + late)
