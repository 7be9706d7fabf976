"""One attempt in parts: a look at the hand-in, then every independent check on a copy of the cluster of its own.

The hand-in is a copy of the learner's cluster in which nothing happens; what a part breaks is thrown away with its own
copy, so that nothing has to be put back. Parts run side by side, as many as there are places for; what they tell comes
as if one process told it, and their results are merged in the order of the checks.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from grader import replays, runner
from grader.processes import Zygote
from grader.protocol import CheckResult, Event, GradeRequest, Outcome, Verdict
from grader.runner import FaultInjector
from grader.verdict import total, ungradable


@dataclass(frozen=True)
class Copy:
    """A copy of the hand-in, to break. ``kubeconfig``: the grader's own, as YAML."""

    kubeconfig: str
    faults: FaultInjector


class Copies(Protocol):
    """Makes copies of the hand-in. May be called from several threads; may raise."""

    def __call__(self, decides: bool = True) -> AbstractContextManager[Copy]:
        """A copy, which is gone when it is left. ``decides``: whether the verdict depends on what is seen there."""


def chains(plan: Sequence[dict[str, Any]]) -> list[list[str]]:
    """The names of checks that meet one cluster, one after the other: those that build on each other, else one."""
    found: dict[str, list[str]] = {}
    made: list[list[str]] = []
    for one in plan:
        chain = found.get(one.get("after", ""))
        if chain is None:
            chain = []
            made.append(chain)
        chain.append(one["name"])
        found[one["name"]] = chain
    return made


def grade(
    request: GradeRequest,
    copies: Copies,
    places: AbstractContextManager[Any],
    zygote: Zygote,
    *,
    on_event: Callable[[Event], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Verdict:
    """Grade one attempt; ``request`` has the kubeconfig of the hand-in, and ``seconds`` bounds all of it.

    ``places`` is entered by each part, by as many at a time as may run side by side. Raises what ``copies`` and
    ``on_event`` raise, when everything has come to an end.
    """
    attempt = _Attempt(request, copies, places, zygote, on_event or (lambda _: None), cancelled or (lambda: False))
    return attempt.run()


@dataclass
class _Attempt:
    request: GradeRequest
    copies: Copies
    places: AbstractContextManager[Any]
    zygote: Zygote
    on_event: Callable[[Event], None]
    cancelled: Callable[[], bool]
    began: float = field(default_factory=time.monotonic)
    plan: list[dict[str, Any]] = field(default_factory=list)
    planned: threading.Event = field(default_factory=threading.Event)
    stopping: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self) -> Verdict:
        """The verdict, when every process has ended and every copy is gone."""
        with self._pool() as pool:
            look = pool.submit(self._look)
            look.add_done_callback(lambda _: self.planned.set())
            self.planned.wait()
            parts = [pool.submit(self._part, names) for names in chains(self.plan)]
            everything: list[Future[Any]] = [look, *parts]
            for one in wait(everything, return_when=FIRST_EXCEPTION).done:
                one.result()  # raises what it raised; the others are stopped then
            verdict = self._merged(look.result(), parts)
            if self.request.what_ifs and verdict.outcome is Outcome.FAILED and not self._unwanted():
                wanted = replays.chosen(self.plan, chains(self.plan), verdict)
                verdict = replays.with_what_ifs(verdict, wanted, self._again, pool)
        return replace(verdict, seconds=time.monotonic() - self.began)

    @contextmanager
    def _pool(self) -> Iterator[ThreadPoolExecutor]:
        """Threads for all parts. Whatever comes between, Ctrl-C as well: they are stopped, and waited for."""
        with ThreadPoolExecutor(64, "part") as pool:
            try:
                yield pool
            except BaseException:
                self.stopping = True
                raise

    def _look(self) -> Verdict:
        return self._grade(replace(self.request, part="look", faults=[], mark=""), None, self._on_look)

    def _part(self, names: list[str]) -> Verdict | None:
        with self.places:
            if self._unwanted():
                return None
            with self.copies() as copy:
                wanted = replace(self.request, part="checks", only=names, kubeconfig=copy.kubeconfig, mark="")
                return self._grade(wanted, copy.faults, self._on_part)

    def _again(self, replay: replays.Replay, late: Callable[[], bool]) -> CheckResult | None:
        def unwanted() -> bool:
            return late() or self._unwanted()

        with self.places:
            if unwanted():
                return None
            with self.copies(decides=False) as copy:
                wanted = replace(
                    self.request,
                    part="checks",
                    only=list(replay.names),
                    what_if=replay.what_if,
                    kubeconfig=copy.kubeconfig,
                    mark="",
                )
                verdict = runner.grade(wanted, faults=copy.faults, zygote=self.zygote, cancelled=unwanted)
        return next((one for one in verdict.checks if one.name == replay.names[-1]), None)

    def _grade(self, request: GradeRequest, faults: FaultInjector | None, on_event: Callable[[Event], None]) -> Verdict:
        return runner.grade(
            request,
            on_event=on_event,
            faults=faults,
            zygote=self.zygote,
            cancelled=self._unwanted,
            began=self.began,
        )

    def _unwanted(self) -> bool:
        return self.stopping or self.cancelled()

    def _on_look(self, event: Event) -> None:
        if event.kind == "plan":
            self._tell(event)
            self.plan = list(event.data["checks"])
            self.planned.set()
        elif event.kind == "snapshot":
            self._tell(event)

    def _on_part(self, event: Event) -> None:
        if event.kind in ("started", "finished"):
            self._tell(event)

    def _tell(self, event: Event) -> None:
        with self.lock:
            self.on_event(event)

    def _merged(self, look: Verdict, parts: Sequence[Future[Verdict | None]]) -> Verdict:
        verdicts = [one for part in parts if (one := part.result()) is not None]
        results = {check.name: check for one in verdicts for check in one.checks}
        cause = next((one.cause for one in verdicts if one.cause), "" if self.plan else look.cause)
        how = ungradable("it did not finish", cause or "it was not begun")
        checks = [results.get(one["name"]) or runner.unfinished(one, how) for one in self.plan]
        killed = any(one.killed for one in verdicts) or (look.killed and not self.plan)
        seconds = time.monotonic() - self.began
        return replace(total(checks, seconds, look.snapshot, cause), killed=killed)
