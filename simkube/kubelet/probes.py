"""Startup, readiness and liveness probes: one timer each, results counted against their thresholds.

A prober begins when its container has started (readiness and liveness: when the startup probe has succeeded), tries at
once or after ``initialDelaySeconds``, then every ``periodSeconds``; ``pkg/kubelet/prober``. What a result means is its
owner's business.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Literal

from simkube.client.client import Obj
from simkube.clock.clock import Clock, Task, Timer, in_background
from simkube.kubelet.actions import Outcome

Kind = Literal["startup", "readiness", "liveness"]
Act = Callable[[Obj, float], Coroutine[None, None, Outcome]]
"""``(action, timeout seconds)`` -> its outcome."""


class Prober:
    """One probe of one running container.

    ``on_result`` is told ``True`` or ``False`` whenever a threshold is reached (it may be the value it had already),
    ``on_failure`` each single failure with its text and whether the probe could not even be tried. ``about`` gives the
    pod.
    """

    def __init__(
        self,
        kind: Kind,
        spec: Obj,
        clock: Clock,
        act: Act,
        on_result: Callable[[Kind, bool], None],
        on_failure: Callable[[Kind, Outcome], None],
        about: Callable[[], Obj] = dict,
    ) -> None:
        self.kind = kind
        self._spec = spec
        self._clock = clock
        self._act = act
        self._on_result = on_result
        self._on_failure = on_failure
        self._about = about
        self._period = float(spec.get("periodSeconds") or 10)
        self._timeout = float(spec.get("timeoutSeconds") or 1)
        self._thresholds = {True: int(spec.get("successThreshold") or 1), False: int(spec.get("failureThreshold") or 3)}
        self._last: bool | None = None
        self._count = 0
        self._began = 0.0
        self._timer: Timer | None = None
        self._task: Task[Outcome] | None = None
        self._stopped = False

    def start(self, since: float) -> None:
        """Begin, ``since`` being when the container started (cluster seconds)."""
        self._wait(max(0.0, since + float(self._spec.get("initialDelaySeconds") or 0) - self._clock.now()))

    def stop(self) -> None:
        """Probe no more; what runs is cancelled. A no-op when stopped."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            self._task.cancel()

    def _wait(self, seconds: float) -> None:
        self._timer = self._clock.call_later(seconds, self._probe)

    def _probe(self) -> None:
        if self._stopped:
            return
        self._began = self._clock.now()
        task = self._task = in_background(self._clock, self._act(self._spec, self._timeout), "kubelet", self._about())
        task.when_done(lambda _: self._done(task))

    def _done(self, task: Task[Outcome]) -> None:
        if self._stopped:
            return
        self._wait(max(0.0, self._began + self._period - self._clock.now()))
        if task.error is not None:
            return
        outcome = task.result()
        if not outcome.ok:
            self._on_failure(self.kind, outcome)
        if outcome.ok is not None:
            self._judge(outcome.ok)

    def _judge(self, ok: bool) -> None:
        if ok == self._last:
            self._count += 1
        else:
            self._last, self._count = ok, 1
        if not self._stopped and self._count >= self._thresholds[ok]:
            self._on_result(self.kind, ok)
