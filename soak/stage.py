"""What every part of a soak works on: a home of its own with a host, a site and services; nothing of it is left."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from labs import settings
from labs.bootstrap import Kindling, bootstrap
from labs.replay import carry_out
from simkube.apimachinery.crashes import FILE as CRASHES
from simkube.host import launcher
from simkube.host.launcher import HostClient
from simkube.host.settings import WORKERS
from soak import processes
from soak.processes import Usage
from soak.report import Report
from soak.site import Site

TOPOLOGY: dict[str, Any] = yaml.safe_load((Path(__file__).parents[1] / "kind-configs" / "single.yaml").read_text())
USERS = {"learner": "learner"}
LAB = "pods"


class Stage:
    """A folder in which all of it lives; a context manager that leaves nothing running."""

    def __init__(self, home: Path, report: Report) -> None:
        self.home = home
        self.report = report
        self.host_home = home / "simkube"
        self._crashes = home / "crashes"
        self._names = iter(range(1_000_000))
        self.expected: list[str] = []
        """Parts of what is handed in as unforeseen and is not, in this run."""
        self._before = {name: os.environ.get(name) for name in (CRASHES, WORKERS)}
        os.environ[CRASHES] = str(self._crashes)
        self.site = Site(home)
        self.kindling: Kindling = bootstrap(settings.load({**os.environ, "KINDLING_HOME": str(home)}))

    def __enter__(self) -> Stage:
        return self

    def __exit__(self, *_: object) -> None:
        self.site.stop()
        self.kindling.close()
        launcher.shutdown(self.host_home)
        for name, value in self._before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        met = self._crashes.read_text().splitlines() if self._crashes.exists() else []
        found = [line for line in met if not any(part in line for part in self.expected)]
        self.report.invariant("no component meets an exception that nobody foresaw", not found, found[:5])

    # the host

    def host(self) -> HostClient:
        """The running host, started when there is none."""
        return launcher.connect(self.host_home)

    def one_worker(self) -> None:
        """Have everybody in one process, so that what it does until an answer can be told from what others do."""
        os.environ[WORKERS] = "1"  # before the host starts

    def host_pid(self) -> int:
        """Of the process that the host began with."""
        return int(json.loads((self.host_home / "host.json").read_text())["pid"])

    def usage(self) -> Usage:
        """What the host holds, all of its processes."""
        return processes.usage(self.host_pid())

    @contextmanager
    def cluster(self, name: str) -> Iterator[str]:
        """A cluster of that name for the block; its learner's kubeconfig."""
        name = f"{name.lower()}-{next(self._names)}"
        host = self.host()
        host.create(name, TOPOLOGY, users=USERS)
        try:
            yield host.kubeconfig(name, "learner") or ""
        finally:
            host.delete(name)

    def settled(self, most: int, seconds: float = 30.0) -> int:
        """Bytes of the host's memory once they are at most so many, or after so many seconds."""
        deadline = time.monotonic() + seconds
        while (now := self.usage().memory) > most and time.monotonic() < deadline:
            time.sleep(0.25)
        return now

    # learners

    def learner(self, name: str, lab: str = LAB) -> str:
        """A learner whose lab is there; the session's id."""
        self.kindling.accounts.ensure(name)
        return self.kindling.sessions.wait(self.kindling.sessions.start(name, lab, "simulated").id).id

    def solve(self, session: str, name: str) -> None:
        """Do all that the lab asks for."""
        kindling = self.kindling
        view = kindling.sessions.view(session, name)
        lab = kindling.labs.get(view.lab)
        solved = next(state for state in lab.states if state.name == "solved")
        kubeconfig = kindling.sessions.kubeconfig(session, name)
        carry_out(lab, solved, view.parameters, kubeconfig, kindling.settings.kubectl)


def mib(size: float) -> str:
    """Bytes for people."""
    return f"{size / 2**20:,.0f} MiB"


def percentiles(seconds: list[float]) -> tuple[float, float]:
    """The median and the 99th percentile; zeros of nothing."""
    ordered = sorted(seconds) or [0.0]
    return ordered[len(ordered) // 2], ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
