"""What the probes of a container decide: started, ready, or to be killed and started again."""

from __future__ import annotations

from collections.abc import Coroutine

from simkube.clock.clock import Task, in_background
from simkube.kubelet.actions import Outcome, act
from simkube.kubelet.containers import Run
from simkube.kubelet.pod import Pod
from simkube.kubelet.probes import Kind, Prober
from simkube.kubelet.stopping import kill

_FIELDS: dict[Kind, str] = {"startup": "startupProbe", "readiness": "readinessProbe", "liveness": "livenessProbe"}


async def _counted(run: Run, kind: Kind, probe: Coroutine[None, None, Outcome]) -> Outcome:
    outcome = await probe
    result = {True: "successful", False: "failed", None: "unknown"}[outcome.ok]
    run.probed[kind.capitalize(), result] += 1
    return outcome


class Health:
    """Runs the probes of the containers of one pod."""

    def __init__(self, pod: Pod) -> None:
        self._pod = pod
        self._kills: dict[str, Task[None]] = {}

    def begin(self, run: Run) -> None:
        """Probe a container that has just started (or go on after the kubelet itself was away)."""
        if not run.started and not run.spec.get("startupProbe"):
            run.started = True
        if not run.started:
            self._add(run, "startup")
            return
        if not run.spec.get("readinessProbe"):
            run.ready = True
        self._add(run, "readiness")
        self._add(run, "liveness")

    def needs_begin(self, run: Run) -> bool:
        """Whether a running container should have probes and has none."""
        if not run.running or run.hooking or run.probers or run.name in self._kills:
            return False
        return not run.started or any(run.spec.get(field) for field in _FIELDS.values())

    def keep_readiness_only(self) -> None:
        """The pod terminates: a container is not restarted any more, but may still turn unready."""
        self.cancel_kills()
        for run in self._pod.runs.values():
            for prober in run.probers:
                if prober.kind != "readiness":
                    prober.stop()

    def cancel_kills(self) -> None:
        """End what waits for containers to end; the containers themselves got their signal."""
        for task in list(self._kills.values()):
            task.cancel()
        self._kills.clear()

    def stop(self) -> None:
        """No probe runs any more."""
        self.cancel_kills()
        for run in self._pod.runs.values():
            run.stop_probing()

    def _add(self, run: Run, kind: Kind) -> None:
        spec = run.spec.get(_FIELDS[kind])
        if spec is None or run.container is None:
            return
        target = self._pod.target(run)
        prober = Prober(
            kind,
            spec,
            self._pod.node.clock,
            lambda action, timeout: _counted(run, kind, act(action, target, timeout)),
            lambda what, ok: self._result(run, what, ok),
            lambda what, outcome: self._failed(run, what, outcome),
            lambda: self._pod.obj,
        )
        run.probers.append(prober)
        prober.start(run.container.started_at)

    def _failed(self, run: Run, kind: Kind, outcome: Outcome) -> None:
        word = kind.capitalize()
        if outcome.ok is None:
            message = f"{word} probe errored and resulted in unknown state: {outcome.text}"
        else:
            message = f"{word} probe failed: {outcome.text}"
        self._pod.event("Warning", "Unhealthy", message, run)

    def _result(self, run: Run, kind: Kind, ok: bool) -> None:
        if kind == "readiness":
            if run.ready != ok:
                run.ready = ok
                self._pod.changed()
        elif not ok:
            self._kill(run, kind)
        elif kind == "startup":
            run.stop_probing()
            run.started = True
            self.begin(run)
            self._pod.changed()

    def end(self, run: Run, message: str, grace: float) -> None:
        """End a running container, which is not probed meanwhile; a no-op while it ends already."""
        run.stop_probing()
        if run.name not in self._kills:
            work = kill(self._pod, run, message, grace)
            task = self._kills[run.name] = in_background(self._pod.node.clock, work, "kubelet", self._pod.obj)
            task.when_done(lambda _: self._killed(run))

    def _kill(self, run: Run, kind: Kind) -> None:
        probe = run.spec[_FIELDS[kind]]
        asked = probe.get("terminationGracePeriodSeconds")
        grace = self._pod.grace() if asked is None else float(asked)
        if self._pod.restart_policy(run) != "Never":
            self.end(run, f"Container {run.name} failed {kind} probe, will be restarted", grace)
        elif any(other is not run and self._pod.restarts(other) for other in self._pod.role("app")):
            self.end(run, f"Container {run.name} failed {kind} probe", grace)
        else:  # nothing is left to run: all of the pod ends
            self.end(run, f"Stopping container {run.name}", self._pod.grace())

    def _killed(self, run: Run) -> None:
        self._kills.pop(run.name, None)
