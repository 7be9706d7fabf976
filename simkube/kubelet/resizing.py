"""Other requests and limits for containers that run (``pods/resize``): granted, deferred or refused by the node.

After ``pkg/kubelet/allocation``: what the node can never have is Infeasible, what it has not now is Deferred and looked
at again when another pod goes; a memory limit is not lowered below what is in use. A container whose
``resizePolicy`` asks for it is restarted, any other goes on. Events about resizing are not made.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from simkube.apimachinery.quantity import milli
from simkube.client.client import Obj
from simkube.kubelet.containers import Run
from simkube.kubelet.pod import Pod
from simkube.kubelet.resources import UNIT, amount, cores_of, memory_of


def held_resources(resources: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a container's status that says what it has."""
    found: dict[str, Any] = {}
    if resources.get("requests"):
        found["allocatedResources"] = dict(resources["requests"])
    kept = {kind: dict(resources[kind]) for kind in ("limits", "requests") if resources.get(kind)}
    found["resources"] = kept
    return found


def adopt_resources(pod: Pod) -> None:
    """Take over the resources that the pod's spec wants now, if the node grants them."""
    wanted = {container["name"]: container for container in _containers(pod.spec)}
    changed = [
        run
        for run in pod.role("init", "sidecar", "app")
        if run.name in wanted and (run.spec.get("resources") or {}) != (wanted[run.name].get("resources") or {})
    ]
    pod.resize = _pending(pod) if changed and not pod.over else None
    if pod.resize is not None:
        return
    for run in changed:
        _apply(pod, run, wanted[run.name])


def _containers(spec: Obj) -> list[Obj]:
    return [*(spec.get("initContainers") or []), *spec["containers"]]


def _pending(pod: Pod) -> tuple[str, str] | None:
    """Why the node does not grant what the pod wants: ``(reason, message)``; None when it does."""
    for name, unit in UNIT.items():
        asked, capacity = pod.asks(name), milli(pod.node.allocatable[name]) // unit
        if asked > capacity:
            text = f"Node didn't have enough capacity: {name}, requested: {asked}, capacity: {capacity}"
            return "Infeasible", text
        used = pod.others_ask(name)
        if asked + used > capacity:
            text = f"Node didn't have enough resource: {name}, requested: {asked}, used: {used}, capacity: {capacity}"
            return "Deferred", text
    return None


def _apply(pod: Pod, run: Run, wanted: Obj) -> None:
    before, after = run.spec, {**run.spec, "resources": wanted.get("resources") or {}}
    container = run.container
    if not run.running or container is None:
        run.spec = after
        return
    limit = memory_of(after)
    in_use = container.working_set
    if limit is not None and limit < in_use and limit < (memory_of(before) or limit + 1):
        text = f"attempting to set container memory limit ({limit}) below current usage ({in_use})"
        pod.resize = ("Error", f"cannot decrease memory limits: {text}")
        return
    run.spec = after
    if any(_differs(before, after, one["resourceName"]) for one in _restarting(after)):
        pod.replace(run, f"Container {run.name} resize requires restart")
        return
    container.limit(cores_of(after), limit)
    run.held_resources = after["resources"]


def _restarting(container: Obj) -> list[Obj]:
    return [one for one in container.get("resizePolicy") or [] if one.get("restartPolicy") == "RestartContainer"]


def _differs(before: Obj, after: Obj, name: str) -> bool:
    return any(amount(before, kind, name) != amount(after, kind, name) for kind in ("requests", "limits"))
