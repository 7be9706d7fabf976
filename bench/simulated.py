"""The simulated provider: time to a ready lab, memory and CPU of idle clusters, what a check costs beyond its waits."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from bench.table import heading, measured, repeated, row
from labs import settings
from labs.bootstrap import bootstrap
from labs.clusters.dynamic_client import DynamicClient
from labs.clusters.provider import ClusterSpec, Provider
from labs.clusters.registry import Providers
from labs.replay import carry_out

IDLE_CLUSTERS = 40
IDLE_SECONDS = 10.0


class Silent:
    """A progress that nobody watches."""

    def plan(self, steps: object) -> None:
        """Not shown."""

    def step(self, name: str, *, done: bool) -> None:
        """Not shown."""


def run(home: Path) -> None:
    """Measure everything in a home of its own."""
    heading("Simulated clusters")
    chosen = settings.load({**os.environ, "KINDLING_HOME": str(home)})
    provider = Providers(chosen).get("simulated")
    with measured() as cold:
        provider.create(spec("bench-cold"), Silent())
    row("a cluster, when the host must start", f"{cold.seconds:.2f} s", "3 s")
    low, middle, high = repeated(lambda: one_more(provider), 10)
    row("one more cluster (min, median, max of 10)", f"{low:.3f} {middle:.3f} {high:.3f} s", "0.5 s")
    idle(provider, host_processes(home))
    checks(home)


def spec(name: str) -> ClusterSpec:
    """A single-node cluster without a lab in it."""
    return ClusterSpec(name, "single")


_count = iter(range(1_000_000))


def one_more(provider: Provider) -> float:
    """Seconds until one more cluster is ready."""
    with measured() as watch:
        provider.create(spec(f"bench-{next(_count)}"), Silent())
    return watch.seconds


def idle(provider: Provider, pids: list[int]) -> None:
    """Memory and CPU of clusters in which nothing happens."""
    before = resident(*pids)
    made = [f"idle-{number}" for number in range(IDLE_CLUSTERS)]
    for name in made:
        provider.create(spec(name), Silent())
    time.sleep(3)  # let what starting them set off come to rest
    grown = (resident(*pids) - before) / IDLE_CLUSTERS
    row(f"memory of one of {IDLE_CLUSTERS} further idle clusters", f"{grown / 2**20:.2f} MiB", "5 MiB")
    started, ticks = time.perf_counter(), cpu_seconds(*pids)
    time.sleep(IDLE_SECONDS)
    share = (cpu_seconds(*pids) - ticks) / (time.perf_counter() - started)
    row(f"CPU of {IDLE_CLUSTERS}+ idle clusters over {IDLE_SECONDS:.0f} s", f"{share:.2%} of a core", "none measurable")
    looked_at(provider, pids, made)


def looked_at(provider: Provider, pids: list[int], names: list[str]) -> None:
    """What the pods of a cluster's own programs take, which it gets at the first look."""
    before = resident(*pids)
    with measured() as watch:
        for name in names:
            with DynamicClient(provider.credentials({"name": name}, "grader")) as objects:
                objects.request("GET", "/api/v1/pods")
    time.sleep(3)  # as above
    row("the first look at a cluster", f"{watch.seconds / len(names):.3f} s", "0.5 s")
    grown = (resident(*pids) - before) / len(names)
    row("memory that it takes more once somebody has looked", f"{grown / 2**20:.2f} MiB", "5 MiB")


def checks(home: Path) -> None:
    """The wall time of ``kindling check`` on a right state, less the time its checks took themselves."""
    chosen = settings.load({**os.environ, "KINDLING_HOME": str(home)})
    environment = {**os.environ, "KINDLING_HOME": str(home), "KINDLING_LEARNER": "bench"}
    kindling = bootstrap(chosen)
    try:
        for lab in kindling.labs.all():
            subprocess.run([KINDLING, "start", lab.name, "--on", "simulated"], env=environment, check=True, stdout=2)
            session = kindling.sessions.current("bench", lab.name)
            assert session is not None  # it has just been started
            solved = next(state for state in lab.states if state.name == "solved")
            kubeconfig = kindling.sessions.kubeconfig(session.id, "bench")
            carry_out(lab, solved, session.parameters, kubeconfig, chosen.kubectl)
            with measured() as watch:
                done = subprocess.run([KINDLING, "check", lab.name, "--json"], env=environment, stdout=subprocess.PIPE)
            verdict = json.loads(done.stdout)
            graded = float(verdict["seconds"])
            what = f"kindling check {lab.name}: {verdict['outcome']}, beyond {graded:.1f} s of grading"
            row(what, f"{watch.seconds - graded:.2f} s", "1 s")
    finally:
        kindling.close()


KINDLING = str(Path(sys.executable).parent / "kindling")


def host_pid(home: Path) -> int:
    """The process that serves the simulated clusters of ``home``."""
    found = list(home.rglob("host.json"))
    return int(json.loads(found[0].read_text())["pid"])


def host_processes(home: Path) -> list[int]:
    """The same with its children: a host is several processes."""
    found, left = [], [host_pid(home)]
    while left:
        pid = left.pop()
        found.append(pid)
        left += map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
    return found


def resident(*pids: int) -> int:
    """Bytes of memory that processes hold together (proportional set size)."""
    return sum(_resident(pid) for pid in pids)


def _resident(pid: int) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"the kernel does not say how much memory process {pid} has")


def cpu_seconds(*pids: int) -> float:
    """Seconds of CPU that processes have used, together."""
    return sum(_cpu_seconds(pid) for pid in pids)


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
