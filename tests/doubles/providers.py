"""Providers and graders that fail in known ways, so that what depends on them can be seen to cope."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from grader.protocol import CheckResult, Event, GradeRequest, Outcome, Verdict
from labs.clusters.provider import (
    CannotChange,
    CannotFork,
    Capabilities,
    ClusterError,
    ClusterGone,
    ClusterSpec,
    ClusterState,
    ClusterStatus,
    Fault,
    Faults,
    Handle,
    Progress,
    ProviderUnavailable,
    Who,
)


class ManualClock:
    """Time that passes when told to."""

    def __init__(self) -> None:
        self.at = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
        self.jumped = 0.0

    def __call__(self) -> datetime:
        return self.at

    def ticks(self) -> float:
        """A steady clock that runs with it, but for jumps."""
        return self.at.timestamp() - self.jumped

    def jump(self, seconds: float) -> None:
        """Somebody sets the wall clock, or the machine sleeps."""
        self.jumped += seconds
        self.at += timedelta(seconds=seconds)

    def pass_time(self, **how: float) -> None:
        self.at += timedelta(**how)


class RecordedFaults:
    """Notes what was injected and healed."""

    def __init__(self, log: list[str]) -> None:
        self._log = log

    def inject(self, fault: Fault, target: str) -> None:
        self._log.append(f"{fault} {target}")

    def heal(self) -> None:
        self._log.append("heal")


class MemoryProvider:
    """Gives clusters at once: each a file in a folder, so that processes can share them."""

    name = "memory"
    privileged = False
    steps: Sequence[str] = ("Making nodes", "Applying the lab")

    def __init__(self, folder: Path, nodes: int = 3, faults: frozenset[Fault] = frozenset(Fault)) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.has = Capabilities(self.name, (1, 36), nodes, faults)
        self.log: list[str] = []

    def clusters(self) -> list[str]:
        return sorted(path.stem for path in self.folder.glob("*.json"))

    def leftovers(self, known: set[str], prefix: str) -> list[str]:
        return [name for name in self.clusters() if name.startswith(prefix) and name not in known]

    def capabilities(self) -> Capabilities:
        return self.has

    def create(self, spec: ClusterSpec, progress: Progress) -> Handle:
        self.log.append(f"create {spec.name}")
        progress.plan(self.steps)
        for step in self.steps:
            progress.step(step, done=False)
            self.during(step, spec)
            progress.step(step, done=True)
        self._write(spec)
        return {"name": spec.name, "made": True}

    def during(self, step: str, spec: ClusterSpec) -> None:
        """What happens in a step."""

    def status(self, handle: Handle) -> ClusterStatus:
        there = (self.folder / f"{handle['name']}.json").exists()
        return ClusterStatus(ClusterState.READY if there else ClusterState.ABSENT)

    def credentials(self, handle: Handle, who: Who) -> str:
        if self.status(handle).state is ClusterState.ABSENT:
            raise ClusterGone("the cluster is gone")
        return f"# {who} of {handle['name']}\ncontexts:\n- name: c\n  context: {{cluster: c, user: {who}}}\n"

    def reset(self, handle: Handle, spec: ClusterSpec, progress: Progress) -> Handle:
        self.log.append(f"reset {spec.name}")
        progress.plan(["Resetting"])
        progress.step("Resetting", done=False)
        self._write(spec)
        progress.step("Resetting", done=True)
        return handle

    def faults(self, handle: Handle) -> Faults:
        return RecordedFaults(self.log)

    def delete(self, handle: Handle) -> None:
        self.log.append(f"delete {handle['name']}")
        (self.folder / f"{handle['name']}.json").unlink(missing_ok=True)

    def _write(self, spec: ClusterSpec) -> None:
        (self.folder / f"{spec.name}.json").write_text(json.dumps({"setup": [dict(one) for one in spec.setup]}))


class SlowProvider(MemoryProvider):
    """Stays in its first step until ``go`` is set; ``reached`` is set when it is there."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.reached, self.go = threading.Event(), threading.Event()

    def during(self, step: str, spec: ClusterSpec) -> None:
        if step == self.steps[0]:
            self.reached.set()
            assert self.go.wait(20)


class ControlledProvider(MemoryProvider):
    """Clusters with a clock, components and a trace, of which it notes what is asked."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.asked: list[tuple[Any, ...]] = []

    def controls(self, handle: Handle) -> ControlledProvider:
        return self

    def clock(self, change: Mapping[str, Any] | None = None) -> dict[str, Any]:
        self.asked.append(("clock", change))
        changes = [{"text": "deployment-controller changed ReplicaSet default/a"}]
        waiting = [{"component": "kube-scheduler", "key": "default/a", "because": "x created Pod a"}]
        stand = {"time": "12:00", "speed": 1.0, "paused": True, "stepping": False, "pinned": False, "timer": 1.0}
        return {**stand, "waiting": 1, "next": waiting, "reconciled": None, "changes": changes}

    def components(self, change: Mapping[str, Any] | None = None) -> dict[str, Any]:
        self.asked.append(("components", change))
        if change == {"stop": "mars"}:
            raise CannotChange("there is no component 'mars'")
        return {"components": {"etcd": True, "kube-scheduler": not change}, "nodes": {"worker": ["cut off"]}}

    def trace(self, since: int = 0, *, wait: int = 0, of: int | None = None) -> dict[str, Any]:
        self.asked.append(("trace", since, wait, of))
        first = {"id": 1, "cause": 0, "text": "learner (kubectl) created Deployment a"}
        text = "deployment-controller created ReplicaSet a-1"
        second = {"id": 2, "cause": 1, "text": f"{text} because", "statement": text, "journey": []}
        time = {"time": "2026-01-01T12:00:00.000Z", "journey": ["etcd stores it as revision 7"]}
        return {"entries": [{**time, **first}, {**time, **second}], "next": 2, "last": 2, "oldest": 1}

    def graded(self, seconds: float) -> None:
        self.asked.append(("graded", seconds))


class RestartedProvider(MemoryProvider):
    """What runs its clusters is started again by :meth:`restart`, or does not answer for some looks (``away``)."""

    run, away = 1, 0

    def restart(self, away: int = 0) -> None:
        self.run += 1
        self.away = away

    def run_id(self, handle: Handle) -> str:
        self._answer()
        return str(self.run)

    def status(self, handle: Handle) -> ClusterStatus:
        try:
            self._answer()
        except ProviderUnavailable as error:
            return ClusterStatus(ClusterState.PARTIAL, str(error))
        return super().status(handle)

    def _answer(self) -> None:
        if self.away:
            self.away -= 1
            raise ProviderUnavailable("Docker does not answer", "sudo systemctl start docker")


class ForkingProvider(ControlledProvider, RestartedProvider):
    """Forks its clusters, unless ``inexact`` says why not. ``forks``: those there are."""

    inexact = ""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.forks: list[str] = []
        self._count = 0

    def fork(self, handle: Handle, seconds: float) -> Handle:
        self.log.append(f"fork {handle['name']}")
        if self.inexact:
            raise CannotFork(self.inexact)
        if self._is_fork(handle["name"]) and handle["name"] not in self.forks:
            raise ClusterGone("the fork has ended")
        self._count += 1
        self.forks.append(f"fork-{self._count}")
        return {"name": self.forks[-1]}

    def status(self, handle: Handle) -> ClusterStatus:
        if self._is_fork(handle["name"]):
            there = handle["name"] in self.forks
            return ClusterStatus(ClusterState.READY if there else ClusterState.ABSENT)
        return super().status(handle)

    def delete(self, handle: Handle) -> None:
        if not self._is_fork(handle["name"]):
            super().delete(handle)
        elif handle["name"] in self.forks:
            self.forks.remove(handle["name"])

    def restart(self, away: int = 0) -> None:
        """Forks end with what they live in."""
        super().restart(away)
        self.forks.clear()

    @staticmethod
    def _is_fork(name: str) -> bool:
        return name.startswith("fork-")


class EndedProvider(MemoryProvider):
    """What runs its clusters has ended while ``ended``; a look at a cluster brings it back.

    ``seen``: what ``look`` (to be set) gave just before that. Unless it is ``gone`` for good.
    """

    ended = gone = False

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.seen: list[str] = []
        self.look: Callable[[], str] = str

    def runs(self) -> bool:
        return not self.ended

    def status(self, handle: Handle) -> ClusterStatus:
        if self.ended:
            self.seen.append(self.look())
            self.ended = self.gone
        if self.gone:
            return ClusterStatus(ClusterState.PARTIAL, "the host did not start")
        return super().status(handle)


class BrokenHalfwayProvider(MemoryProvider):
    """Fails in the second step as long as ``broken``."""

    broken = True

    def during(self, step: str, spec: ClusterSpec) -> None:
        if self.broken and step == self.steps[1]:
            raise ClusterError("the image web:1.0 cannot be pulled", "docker pull web:1.0")


class PrivilegedProvider(MemoryProvider):
    """Whoever works in its clusters has power over the machine."""

    privileged = True


class UnavailableProvider(MemoryProvider):
    """Docker is not there."""

    def capabilities(self) -> Capabilities:
        raise ProviderUnavailable("Docker does not answer", "sudo systemctl start docker")


class ImagelessProvider(MemoryProvider):
    """An image cannot be had on this machine."""

    def during(self, step: str, spec: ClusterSpec) -> None:
        raise ProviderUnavailable("the image web:1.0 is not here", "docker pull web:1.0")


class StubbornProvider(MemoryProvider):
    """Cannot delete as long as ``stubborn``."""

    stubborn = True

    def delete(self, handle: Handle) -> None:
        if self.stubborn:
            raise ClusterError("the node does not let go")
        super().delete(handle)


class ScriptedGrader:
    """Gives each check the outcome it was told; ``during`` is called before each check's result. ``happened``: what the
    second check measures of the learner's predictions."""

    def __init__(self, outcomes: dict[str, Outcome] | None = None) -> None:
        self.outcomes = outcomes or {}
        self.requests: list[GradeRequest] = []
        self.cleaned: list[str] = []
        self.copies: list[str] = []
        self.closed = False
        self.marks: list[bytes] = []
        self.torn = b"{"
        self.lacking: list[str] = []
        self.looked: list[object] = []
        self.snapshot: dict[str, Any] | None = None
        self.during: Callable[[str], None] = lambda _: None
        self.plan = (("first", 3.0), ("second", 7.0))
        self.evidence: list[dict[str, Any]] = []
        self.happened: dict[str, str] = {}

    def grade(
        self,
        request: GradeRequest,
        on_event: Callable[[Event], None],
        faults: Faults,
        cancelled: Callable[[], bool],
    ) -> Verdict:
        self.requests.append(request)
        on_event(Event("plan", {"checks": [{"name": n, "title": n.title(), "points": p} for n, p in self.plan]}))
        results = []
        if self.snapshot is not None:
            on_event(Event("snapshot", self.snapshot))
        for name, points in self.plan:
            on_event(Event("started", {"name": name}))
            self.during(name)
            if cancelled():
                return Verdict(Outcome.UNGRADABLE, 0.0, 10.0, 0.0, results, cause="cancelled")
            outcome = self.outcomes.get(name, Outcome.PASSED)
            passed = outcome is Outcome.PASSED
            message = "" if passed else f"expected {name}, found nothing\x00"
            shown = {} if outcome is Outcome.UNGRADABLE or name != "second" else dict(self.happened)
            seen = [{"seen": name}, *self.evidence]
            result = CheckResult(
                name, name.title(), outcome, points * passed, points, message, 0.5, seen, happened=shown
            )
            results.append(result)
            on_event(Event("finished", {**vars(result), "outcome": str(outcome)}))
        return _total(results)

    def grade_parts(
        self,
        request: GradeRequest,
        on_event: Callable[[Event], None],
        copy: Callable[[bool], AbstractContextManager[tuple[str, Faults]]],
        cancelled: Callable[[], bool],
    ) -> Verdict:
        """All checks on one copy."""
        with copy(True) as (kubeconfig, faults):
            self.copies.append(kubeconfig)
            return self.grade(request, on_event, faults, cancelled)

    def close(self) -> None:
        self.closed = True

    def clean(self, kubeconfig: str, namespace: str) -> None:
        self.cleaned.append(namespace)

    def put_back(self, kubeconfig: str, namespace: str, mark: bytes, faults: Faults) -> None:
        if mark == self.torn:
            raise ValueError("not a mark")
        self.marks.append(mark)

    def inventory(self, kubeconfig: str) -> dict[str, Any]:
        return {"Node one": {"uid": "1", "healthy": True, "parts": {}}}

    def missing(self, kubeconfig: str, before: object) -> str:
        """What ``lacking`` says, look by look; the last one when there are no more."""
        self.looked.append(before)
        return self.lacking.pop(0) if self.lacking else ""


class KilledGrader(ScriptedGrader):
    """Its process is killed in the first check, so many times."""

    def __init__(self, kills: int) -> None:
        super().__init__()
        self.kills = kills

    def grade(self, request: GradeRequest, *others: Any) -> Verdict:
        if self.kills:
            self.kills -= 1
            self.requests.append(request)
            return Verdict(Outcome.UNGRADABLE, 0.0, 10.0, 0.0, [], cause="code -9", killed=True)
        return super().grade(request, *others)


class CrashingGrader(ScriptedGrader):
    """Raises what nobody foresaw."""

    def grade(self, *args: object, **kwargs: object) -> Verdict:
        raise RuntimeError("out of memory")


class InterruptedGrader(ScriptedGrader):
    """Somebody presses Ctrl-C while it grades."""

    def grade(self, *args: object, **kwargs: object) -> Verdict:
        raise KeyboardInterrupt


def _total(results: list[CheckResult]) -> Verdict:
    outcomes = {result.outcome for result in results}
    whole = next((one for one in (Outcome.UNGRADABLE, Outcome.FAILED) if one in outcomes), Outcome.PASSED)
    score, most = sum(result.points for result in results), sum(result.max_points for result in results)
    return Verdict(whole, score, most, 1.0, results, {"pods": []}, "broken" if whole is Outcome.UNGRADABLE else "")
