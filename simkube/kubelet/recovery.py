"""Taking a pod over again after the kubelet's process was killed: from the pod's status and the sandbox's dump.

Containers that ran go on with the same id and no restart counted; what ended while nobody looked is noticed as an end.
A pod whose sandbox is gone (its node was powered off, or nothing was saved yet) gets a new one, as after a reboot.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from simkube.client.client import Obj
from simkube.kubelet.backoff import after_restarts
from simkube.kubelet.containers import Run
from simkube.kubelet.pod import Pod
from simkube.kubelet.volumes import mounts

LOST_CODE = 255
LOST_REASON = "Unknown"


def saved(pod: Pod) -> dict[str, Any] | None:
    """What must outlive the process, as JSON; None while there is nothing."""
    if pod.sandbox is None:
        return None
    return {"ip": pod.sandbox.ip, "sandbox": dict(pod.sandbox.dump())}


def _statuses(obj: Obj) -> dict[str, dict[str, Any]]:
    status = obj.get("status") or {}
    fields = ("initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses")
    found = [one for field in fields for one in status.get(field) or []]
    return {one["name"]: one for one in found}


def recover(pod: Pod, state: Mapping[str, Any] | None) -> None:
    """Rebuild ``pod`` from its status and the saved ``state``. A pod that never got a sandbox is left as new."""
    status = pod.obj.get("status") or {}
    if not status.get("startTime"):
        return
    statuses = _statuses(pod.obj)
    for run in pod.runs.values():
        _recall(run, statuses.get(run.name, {}), pod.node.clock.now())
    pod.over = status.get("phase") in ("Succeeded", "Failed")
    if status.get("reason") and pod.over:
        pod.failure = (str(status["reason"]), str(status.get("message", "")))
    pod.address = str(status.get("podIP", ""))
    if state is None:
        if pod.address and not pod.over:
            lose(pod)
        return
    met = {one["type"]: one["status"] for one in status.get("conditions") or []}
    pod.initialized = met.get("Initialized") == "True"
    pod.sandbox = pod.node.runtime.sandbox(pod.sandbox_config(), ip=str(state["ip"]), state=state["sandbox"])
    pod.address = pod.node.ip if pod.spec.get("hostNetwork") else pod.sandbox.ip
    for container in pod.sandbox.containers:
        of = pod.runs.get(container.config.name)
        if of is not None:
            of.previous, of.container = of.container, container
            of.image_id = container.image.id
    for run in pod.runs.values():
        _adopt(pod, run)
    if pod.over:
        pod.sandbox.remove()


def _recall(run: Run, status: Mapping[str, Any], now: float) -> None:
    """What only the API remembers of a container."""
    run.restarts = int(status.get("restartCount", 0))
    run.backoff = after_restarts(run.restarts, now)
    run.last = (status.get("lastState") or {}).get("terminated")
    run.image_id = str(status.get("imageID", ""))
    state = status.get("state") or {}
    if "terminated" in state:
        run.ended = state["terminated"]
    elif "waiting" in state and run.last is not None:
        run.ended, run.last, run.held = run.last, None, True
        run.waiting = (str(state["waiting"].get("reason", "")), str(state["waiting"].get("message", "")))
    if "resources" in status:
        run.held_resources = status["resources"]
        if run.held_resources != (run.spec.get("resources") or {}):  # the node had not granted what is wanted
            run.spec = {**run.spec, "resources": run.held_resources}
    run.started = bool(status.get("started")) and not run.spec.get("startupProbe")
    run.ready = bool(status.get("ready"))


def _adopt(pod: Pod, run: Run) -> None:
    """Join the run with the container the runtime brought back."""
    container = run.container
    if container is None:
        return
    if container.state == "running":
        run.ended, run.held = None, False
        run.spec = {**run.spec, "image": container.config.image}  # another one in the pod's spec is a change
        run.started = run.started or bool(run.ready)
    specs = mounts(run.spec, pod.obj, _Names(), dict(container.config.env))  # type: ignore[arg-type]  # names stand in for volumes
    by_path = {mount.path: mount.volume for mount in container.config.mounts}
    for mount in specs:
        if mount.path in by_path and not mount.sub_path:
            pod.volumes.setdefault(str(mount.volume), by_path[mount.path])
    for mount in container.config.mounts:
        if mount.sub_path == "termination-log" and not getattr(mount.volume, "lasting", False):
            run.message_volume = mount.volume
    container.exited.when_done(lambda _: pod.changed())


class _Names(dict[str, str]):
    """Maps every volume's name to itself."""

    def __missing__(self, name: str) -> str:
        return name


def lose(pod: Pod) -> None:
    """The sandbox is gone with everything that ran in it: note how the containers ended and start over."""
    now = pod.node.clock.now()
    had = pod.sandbox is not None or bool(pod.address)
    for run in pod.runs.values():
        running = run.container is not None and run.ended is None
        recalled = run.container is None and run.ended is None and bool(run.image_id)
        if running or recalled:
            container_id = run.container.id if run.container is not None else ""
            run.ended_without_container(LOST_CODE, LOST_REASON, "", now, container_id)
        if run.role == "init" and run.ended is not None and pod.restart_policy(run) != "Never":
            run.last, run.ended, run.restarts = run.ended, None, run.restarts + 1  # they run again before the others
        run.held = run.hooking = run.again = False
        run.retry_at = 0.0
    if pod.sandbox is not None:
        pod.sandbox.remove()
    pod.sandbox = None
    pod.volumes = {}
    pod.files = {}
    pod.mounted = False
    pod.initialized = False
    pod.lost = had
