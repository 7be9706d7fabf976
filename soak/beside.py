"""Each hostile member beside a quiet neighbour: what the neighbour's small reads take, without and with it.

The member is held and let go in turns, so that both meet the same machine. Fairness protects who was idle as well: the
first read after a pause must not be slower than the tenth. A host may have several processes: the neighbour is several
learners, who are asked in turns, so that some of them share the member's.
"""

from __future__ import annotations

import itertools
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from http.client import HTTPException

from soak import processes
from soak.attack import attacked
from soak.client import Api
from soak.members import MEMBERS, OF_CLUSTERS, Target
from soak.members.member import CONFIG_MAPS
from soak.stage import Stage, mib, percentiles

NEIGHBOURS = 4
READS = 40
STEP = 0.01
"""Seconds between two reads: whoever reads is not in a hurry."""
REST = 1.0
"""Seconds after a member was let go, in which it uses what it may use at once, and after it was held."""
FILES = 4096
"""Files that it may have open: 1,000 connections of each cluster at most, 512 of nobody known."""
MEMORY = 1536 << 20
"""Bytes that the host may hold meanwhile: what its large answers may keep, and itself."""
AT_ONCE = (
    "IdleConnections",
    "HalfSentRequests",
    "EndlessCreates",
    "HugeObjects",
    "HugePatches",
    "CopyingPatches",
    "YamlAliases",
    "Patterns",
    "Defaults",
    "Policies",
    "CpuLoops",
    "ForkLoops",
    "LogFloods",
    "ManyExecs",
)
"""Those who need little time to begin, so that all of them are at work at the same moment."""
IDLE_BESIDE = ("EndlessCreates", "LargeLists", "Policies", "HugeObjects", "CpuLoops")
IDLE_TIMES = 4
IDLE_SECONDS = 2.5
"""A pause after which the host no longer counts on somebody."""


class Neighbours:
    """Reads small things in turns; counts what is not answered."""

    def __init__(self, kubeconfigs: list[str]) -> None:
        self._apis = [Api(config) for config in kubeconfigs]
        self._turns: Iterator[Api] = itertools.cycle(self._apis)
        self.failed = 0

    def __enter__(self) -> Neighbours:
        return self

    def __exit__(self, *_: object) -> None:
        for api in self._apis:
            api.close()

    def reads(self, many: int) -> list[float]:
        """Seconds of each."""
        return [self.read(next(self._turns)) for _ in range(many)]

    def bursts(self, pids: list[int]) -> Iterator[list[float]]:
        """Ten reads of each of them: seconds for which the host has run meanwhile, however busy the machine is."""
        for api in self._apis:
            times = []
            for _ in range(10):
                time.sleep(STEP)
                before = processes.ran(pids)
                self._ask(api)
                times.append(processes.ran(pids) - before)
            yield times

    def read(self, api: Api) -> float:
        """Seconds of one."""
        time.sleep(STEP)
        return self._ask(api)

    def _ask(self, api: Api) -> float:
        began = time.perf_counter()
        try:
            status, _ = api("GET", f"{CONFIG_MAPS}/kube-root-ca.crt")
            self.failed += status != 200
        except (OSError, HTTPException):
            self.failed += 1
            api.close()
        return time.perf_counter() - began


def run(stage: Stage, names: list[str] | None = None, rounds: int = 2, reads: int = READS) -> None:
    """One row a member; every read is answered, the host's memory is bounded, and it is the same one afterwards."""
    report = stage.report
    report.part(
        "A quiet learner beside each hostile member: reads in ms (p50 p99), without and beside it; host's memory"
    )
    with ExitStack() as stack:
        quiet = stack.enter_context(
            Neighbours([stack.enter_context(stage.cluster("quiet")) for _ in range(NEIGHBOURS)])
        )
        pid = stage.host_pid()
        for name in names or list(OF_CLUSTERS):
            calm: list[float] = []
            loud: list[float] = []
            with stage.cluster(name) as config, attacked(name, Target(config)) as member:
                for _ in range(rounds):
                    for number, times in ((signal.SIGSTOP, calm), (signal.SIGCONT, loud)):
                        member.send_signal(number)
                        time.sleep(REST)
                        times += quiet.reads(reads)
                held = stage.usage().memory
            _row(stage, name, calm, loud, held)
            report.invariant(f"the neighbours of {name} are answered", not quiet.failed, quiet.failed)
            report.invariant(f"{name} does not end the host", stage.host_pid() == pid, "another process")
            report.invariant(f"the host's memory beside {name} is bounded", held <= MEMORY, mib(held))
            quiet.failed = 0


def _row(stage: Stage, name: str, calm: list[float], loud: list[float], memory: int) -> None:
    (middle, late), (slower, latest) = percentiles(calm), percentiles(loud)
    doc = (MEMBERS[name].__doc__ or "").strip()
    now = f"{1000 * middle:.1f} {1000 * late:.0f}; {1000 * slower:.1f} {1000 * latest:.0f} ms; {mib(memory)}"
    before = "p99 x 151" if name == "InflatingBodies" else ""
    stage.report.row(f"{name}: {doc}", now, reach="p99 50 ms more", before=before, good=latest <= 0.05 + late)


def together(stage: Stage, names: tuple[str, ...] = AT_ONCE, reads: int = 5 * READS) -> None:
    """Many of them at once."""
    report = stage.report
    report.part(f"A quiet learner beside {len(names)} hostile members at once")
    with ExitStack() as stack:
        quiet = stack.enter_context(
            Neighbours([stack.enter_context(stage.cluster("quiet")) for _ in range(NEIGHBOURS)])
        )
        pid, calm = stage.host_pid(), quiet.reads(reads)
        for name in names:
            config = stack.enter_context(stage.cluster(name))
            stack.enter_context(attacked(name, Target(config)))
        loud, held = quiet.reads(reads), stage.usage()
    (middle, late), (slower, latest) = percentiles(calm), percentiles(loud)
    now = f"{1000 * middle:.1f} {1000 * late:.0f}; {1000 * slower:.1f} {1000 * latest:.0f} ms; {mib(held.memory)}"
    report.row(f"{len(names)} members at once", now, reach="p99 200 ms", good=latest <= 0.2)
    report.invariant("the neighbours of all are answered", not quiet.failed, quiet.failed)
    report.invariant("all of them do not end the host", stage.host_pid() == pid, "another process")
    report.invariant("the host's memory beside all of them is bounded", held.memory <= MEMORY, mib(held.memory))
    report.invariant("its files are bounded", held.files <= FILES, held.files)


def idle(stage: Stage, names: tuple[str, ...] = IDLE_BESIDE, times: int = IDLE_TIMES) -> None:
    """The first read after a pause, and the tenth, beside those who keep the loop busiest."""
    stage.one_worker()
    report = stage.report
    report.part(
        "Who comes back after a pause, beside hostile members: what the host does until the answer (p50, worst)"
    )
    with ExitStack() as stack:
        quiet = stack.enter_context(
            Neighbours([stack.enter_context(stage.cluster("quiet")) for _ in range(NEIGHBOURS)])
        )
        for name in names:
            with stage.cluster(name) as config, attacked(name, Target(config)):
                bursts: list[list[float]] = []
                for _ in range(times):
                    time.sleep(IDLE_SECONDS)
                    bursts += quiet.bursts(processes.below(stage.host_pid()))
            first, tenth = [sorted(one[at] for one in bursts) for at in (0, -1)]
            shown = [f"{1000 * one[len(one) // 2]:.1f} {1000 * one[-1]:.0f} ms" for one in (first, tenth)]
            good = first[-1] <= tenth[-1] + 0.05
            what = f"the first read after a pause, and the tenth, beside {name}"
            report.row(what, "; ".join(shown), reach="no slower by more than 50 ms", good=good)
    report.invariant("whoever comes back is answered", not quiet.failed, quiet.failed)
