"""Ending containers: preStop hook, SIGTERM, the grace period, SIGKILL, in the order that sidecars ask for.

After ``killContainer`` and ``killContainersWithSyncResult`` of the real kubelet: the hook's time counts against the
grace period, which is never less than two seconds after it; ordinary containers are ended together, then sidecars one
by one in reverse order.
"""

from __future__ import annotations

from simkube.clock.clock import TimedOut, spawn, within
from simkube.kubelet.actions import SIGKILL, act
from simkube.kubelet.containers import Run
from simkube.kubelet.pod import Pod
from simkube.runtime.cri import Container

MINIMUM = 2.0
"""Seconds a container has after SIGTERM, however long its preStop hook took."""


async def kill(pod: Pod, run: Run, message: str, grace: float) -> None:
    """End a running container with a Killing event; returns when it has ended."""
    container = run.container
    if container is None or container.state != "running":
        return
    pod.event("Normal", "Killing", message, run)
    clock = pod.node.clock
    began = clock.now()
    hook = (run.spec.get("lifecycle") or {}).get("preStop")
    if hook and grace > 0:
        await _pre_stop(pod, run, hook, grace)
    left = max(grace - (clock.now() - began), MINIMUM if grace > 0 else 0.0)
    await _ended(pod, container, left)


async def _pre_stop(pod: Pod, run: Run, hook: dict[str, object], grace: float) -> None:
    clock = pod.node.clock

    async def attempt() -> None:
        outcome = await act(hook, pod.target(run), grace)
        if not outcome.ok and not (hook.get("httpGet") and "statuscode" in outcome.text):
            pod.event("Warning", "FailedPreStopHook", "PreStopHook failed", run)

    try:
        await within(clock, grace, attempt())
    except TimedOut:
        pod.event("Warning", "FailedPreStopHook", "PreStopHook failed", run)


async def _ended(pod: Pod, container: Container, grace: float) -> None:
    """SIGTERM, then SIGKILL after ``grace`` seconds."""
    deadline = pod.node.clock.call_later(grace + 0.001, lambda: container.signal(SIGKILL))
    try:
        await container.stop(grace)
    finally:
        deadline.cancel()


async def kill_all(pod: Pod, grace: float) -> None:
    """End every container of a pod; returns when all have ended."""
    clock = pod.node.clock
    began = clock.now()
    first = [
        spawn(kill(pod, run, f"Stopping container {run.name}", grace))
        for run in pod.role("app", "init", "ephemeral")
        if run.running
    ]
    try:
        for task in first:
            await task
    finally:
        for task in first:
            task.cancel()
    for run in reversed(pod.role("sidecar")):
        left = max(grace - (clock.now() - began), MINIMUM if grace > 0 else 0.0)
        await kill(pod, run, f"Stopping container {run.name}", left)
