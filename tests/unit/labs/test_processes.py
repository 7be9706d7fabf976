"""Several processes at once, and processes that are killed: one cluster, one attempt, nothing handed in is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from labs.bootstrap import Kindling
from labs.locks import Locks
from labs.session import SessionView
from tests.unit.labs import worker

ROOT = Path(__file__).resolve().parents[3]


class Installation:
    """A home, a catalog, clusters, and the processes that work on them."""

    def __init__(self, folder: Path, catalog: Path) -> None:
        self.folder, self.catalog = folder, catalog
        self.home, self.clusters = folder / "home", folder / "shared" / "clusters"
        self.clusters.mkdir(parents=True)
        self.running: list[subprocess.Popen[str]] = []

    def run(self, command: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, worker.__file__, str(self.home), str(self.catalog), str(self.clusters), command],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        self.running.append(process)
        return process

    def hold(self) -> None:
        (self.clusters.parent / "reached").unlink(missing_ok=True)
        (self.clusters.parent / "hold").touch()

    def release(self) -> None:
        (self.clusters.parent / "hold").unlink(missing_ok=True)

    def reached(self) -> None:
        until(lambda: (self.clusters.parent / "reached").exists())

    def made(self) -> list[str]:
        path = self.clusters.parent / "made"
        return path.read_text().splitlines() if path.exists() else []

    def here(self) -> Kindling:
        return worker.services(self.home, self.catalog, self.clusters)


def until(what: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)  # polling what another process does


def said(process: subprocess.Popen[str]) -> str:
    out, trouble = process.communicate(timeout=30)
    assert process.returncode == 0, trouble
    return out.strip()


def kill(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)


@pytest.fixture
def installation(tmp_path: Path, catalog: Path) -> Iterator[Installation]:
    made = Installation(tmp_path / "installation", catalog)
    yield made
    made.release()
    for process in made.running:
        if process.poll() is None:
            kill(process)


def current(services: Kindling) -> SessionView:
    found = services.sessions.current("ada", "first")
    assert found is not None
    return found


def test_starting_in_three_processes_makes_one_cluster(installation: Installation) -> None:
    installation.hold()
    processes = [installation.run("start") for _ in range(3)]
    installation.reached()
    installation.release()
    assert [said(process) for process in processes] == ["ready"] * 3
    assert len(installation.made()) == 2  # two steps of one cluster
    assert len(list(installation.clusters.iterdir())) == 1


def test_a_start_that_is_killed_is_finished_by_the_next(installation: Installation) -> None:
    installation.hold()
    first = installation.run("start")
    installation.reached()
    kill(first)
    installation.release()
    assert said(installation.run("start")) == "ready"
    names = {line.split()[0] for line in installation.made()}
    assert len(names) == 1
    assert len(list(installation.clusters.iterdir())) == 1


def test_a_follower_takes_over_from_one_that_is_killed(installation: Installation) -> None:
    installation.hold()
    first = installation.run("start")
    installation.reached()
    second = installation.run("start")
    until(lambda: (installation.home / "locks").exists())
    kill(first)
    installation.release()
    assert said(second) == "ready"
    assert len(list(installation.clusters.iterdir())) == 1


def test_stopping_while_another_process_starts_it(installation: Installation) -> None:
    installation.hold()
    starting = installation.run("start")
    installation.reached()
    stopping = installation.run("stop")
    services = installation.here()
    until(lambda: current(services).state == "stopping")
    installation.release()
    assert said(stopping) == "stopped"
    assert said(starting) == "stopped"
    assert list(installation.clusters.iterdir()) == []
    services.close()


def test_a_check_that_is_killed_is_graded_again(installation: Installation) -> None:
    assert said(installation.run("start")) == "ready"
    installation.hold()
    checking = installation.run("check")
    installation.reached()
    kill(checking)
    installation.release()
    services = installation.here()
    attempt = services.sessions.attempts("ada", "first")[0]
    assert attempt.state == "running"
    services.sessions.reconcile()
    assert services.sessions.attempts("ada", "first")[0].state == "wanted"
    assert said(installation.run("check")) == "passed"
    attempts = services.sessions.attempts("ada", "first")
    assert [(one.number, one.outcome, one.counted) for one in attempts] == [(1, "passed", True)]
    services.close()


def test_the_place_of_a_grader_that_is_killed_is_free(installation: Installation) -> None:
    assert said(installation.run("start")) == "ready"
    installation.hold()
    checking = installation.run("check")
    installation.reached()
    services = installation.here()
    places = Locks(services.settings.grader_locks)
    assert places.free(services.settings.graders) == services.settings.graders - 1
    kill(checking)
    installation.release()
    assert places.free(services.settings.graders) == services.settings.graders
    services.close()


def test_two_processes_check_at_once(installation: Installation) -> None:
    assert said(installation.run("start")) == "ready"
    installation.hold()
    first = installation.run("check")
    installation.reached()
    second = installation.run("check")
    services = installation.here()
    time_to_join = services.sessions.attempts("ada", "first")
    assert len(time_to_join) == 1
    installation.release()
    assert [said(first), said(second)] == ["passed", "passed"]
    assert len(services.sessions.attempts("ada", "first")) <= 2
    services.close()


def test_a_lock_is_let_go_by_the_kernel(installation: Installation) -> None:
    installation.hold()
    process = installation.run("start")
    installation.reached()
    services = installation.here()
    locks, session = Locks(installation.home / "locks"), current(services)
    assert session.working
    with locks.hold(session.id) as held:
        assert not held
    kill(process)
    with locks.hold(session.id) as held:
        assert held
        assert locks.held(session.id)
    assert not locks.held(session.id)
    services.close()
