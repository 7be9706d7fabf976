"""A pod's status as the kubelet reports it: phase, conditions, container statuses. Pure: facts in, status out.

Phases and conditions follow ``pkg/kubelet/status/generate.go`` and ``getPhase``. Conditions that others own
(PodScheduled, readiness gates, DisruptionTarget) are kept as they are.
"""

from __future__ import annotations

from typing import Any

from simkube.client.client import Obj
from simkube.kubelet.containers import Run, stamp
from simkube.kubelet.pod import Pod
from simkube.kubelet.resizing import held_resources

UNKNOWN = {
    "exitCode": 137,
    "reason": "ContainerStatusUnknown",
    "message": "The container could not be located when the pod was terminated",
    "startedAt": None,
    "finishedAt": None,
}
"""How a container of a pod that is over ended when it waited (``TerminatePod`` in ``status/status_manager.go``)."""


def _held_back(pod: Pod, run: Run) -> bool:
    """Whether a container that ended shows why it is not started again instead of how it ended."""
    return run.held and pod.restarts(run) and not pod.terminating


def _state(pod: Pod, run: Run) -> dict[str, Any]:
    if run.hooking:
        return {"waiting": _waiting(run)}
    if run.running and run.container is not None:
        return {"running": {"startedAt": stamp(run.container.started_at)}}
    if run.ended is not None and not _held_back(pod, run):
        return {"terminated": run.ended}
    if pod.over and _had_its_turn(pod, run):
        return {"terminated": UNKNOWN}
    return {"waiting": _waiting(run)}


def _had_its_turn(pod: Pod, run: Run) -> bool:
    """Whether a container that waits would have been started by now, init containers running one after another."""
    inits = pod.role("init", "sidecar")
    if run in inits:
        return any(one.container is not None or one.done for one in inits[inits.index(run) :]) or run is inits[0]
    return not inits or pod.initialized or any(one.container is not None for one in pod.role("app"))


def _waiting(run: Run) -> dict[str, str]:
    reason, message = run.waiting
    return {"reason": reason, "message": message} if message else {"reason": reason}


def container_status(pod: Pod, run: Run) -> dict[str, Any]:
    """One entry of ``containerStatuses``. A container held back after its end shows why, and the end as lastState."""
    state = _state(pod, run)
    last = run.ended if run.ended is not None and _held_back(pod, run) else run.last
    running = "running" in state
    status: dict[str, Any] = {
        "name": run.name,
        "state": state,
        "lastState": {"terminated": last} if last is not None else {},
        "ready": (running and run.ready) or (run.role == "init" and run.exit_code == 0),
        "restartCount": run.restarts,
        "image": run.container.image.reference if run.container is not None else run.spec["image"],
        "imageID": run.image_id,
    }
    if run.container is not None:
        status["containerID"] = f"containerd://{run.container.id}"
    status["started"] = running and run.started
    stop_signal = (run.spec.get("lifecycle") or {}).get("stopSignal")
    if stop_signal:
        status["stopSignal"] = stop_signal
    if run.role == "ephemeral":
        del status["started"]
        status["ready"] = False
    elif running:
        status.update(held_resources(run.held_resources))
    if run.spec.get("volumeMounts"):
        status["volumeMounts"] = [_mount(mount) for mount in run.spec["volumeMounts"]]
    return status


def _mount(mount: Obj) -> dict[str, Any]:
    shown: dict[str, Any] = {"name": mount["name"], "mountPath": mount["mountPath"]}
    if mount.get("readOnly"):
        shown.update(readOnly=True, recursiveReadOnly="Disabled")
    return shown


def phase(pod: Pod) -> str:
    """Pending, Running, Succeeded or Failed; one of the last two for a pod that is over."""
    found = _phase(pod)
    return "Failed" if pod.over and found in ("Pending", "Running") else found


def _phase(pod: Pod) -> str:
    if pod.failure is not None:
        return "Failed"
    if pod.sandbox is None and not pod.over:
        return "Pending"
    inits, apps = pod.role("init"), pod.role("app")
    if any(run.done and run.exit_code != 0 and not pod.restarts(run) for run in inits):
        return "Failed"
    if not pod.initialized and not any(run.container is not None for run in apps):
        return "Failed" if pod.over else "Pending"
    if all(run.done and (pod.over or not pod.restarts(run)) for run in apps):
        return "Failed" if any(run.exit_code for run in apps) else "Succeeded"
    if any(run.container is None and not run.done for run in apps):
        return "Pending"
    return "Running"


def _conditions(pod: Pod, reached: str) -> list[dict[str, Any]]:
    apps = pod.role("app", "sidecar")
    unready = [run.name for run in pod.role("sidecar", "app") if not (run.running and run.ready and not run.hooking)]
    incomplete = [run.name for run in pod.role("init", "sidecar") if not _initialized(pod, run)]
    made = "True" if pod.sandbox is not None and not pod.over else "False"
    if reached in ("Succeeded", "Failed"):
        why = "PodCompleted" if reached == "Succeeded" else "PodFailed"
        done = [_condition("Initialized", "True", "PodCompleted" if reached == "Succeeded" else "")]
        if reached == "Failed" and incomplete and not pod.initialized:
            done = [
                _not_all("Initialized", "ContainersNotInitialized", "containers with incomplete status", incomplete)
            ]
        ends = [_condition(kind, "False", why) for kind in ("Ready", "ContainersReady")]
        return [_condition("PodReadyToStartContainers", made), *done, *ends]
    initialized = (
        _not_all("Initialized", "ContainersNotInitialized", "containers with incomplete status", incomplete)
        if incomplete and not pod.initialized
        else _condition("Initialized", "True")
    )
    if unready or not apps:
        ready = [
            _not_all(kind, "ContainersNotReady", "containers with unready status", unready)
            for kind in ("Ready", "ContainersReady")
        ]
    else:
        ready = [_gated(pod), _condition("ContainersReady", "True")]
    return [_condition("PodReadyToStartContainers", made), initialized, *ready]


_OF_CONTAINERS = ("PodReadyToStartContainers", "Initialized")
_RESIZING = ("PodResizePending", "PodResizeInProgress")


def _decided(pod: Pod) -> list[dict[str, Any]]:
    found = [] if pod.disruption is None else [_condition("DisruptionTarget", "True", *pod.disruption)]
    if pod.resize is None:
        return found
    reason, message = pod.resize
    kind = "PodResizeInProgress" if reason == "Error" else "PodResizePending"
    return [*found, _condition(kind, "True", reason, message)]


def _initialized(pod: Pod, run: Run) -> bool:
    if run.role == "sidecar":
        return pod.initialized or (run.running and run.started)
    return run.done and run.exit_code == 0


def _condition(kind: str, status: str, reason: str = "", message: str = "") -> dict[str, Any]:
    found = {"type": kind, "status": status}
    if reason:
        found["reason"] = reason
    if message:
        found["message"] = message
    return found


def _not_all(kind: str, reason: str, text: str, names: list[str]) -> dict[str, Any]:
    return _condition(kind, "False", reason, f"{text}: [{' '.join(names)}]")


def _gated(pod: Pod) -> dict[str, Any]:
    met = {one["type"]: one["status"] for one in (pod.obj.get("status") or {}).get("conditions") or []}
    gates = [gate["conditionType"] for gate in pod.spec.get("readinessGates") or []]
    failing = [
        f'corresponding condition of pod readiness gate "{gate}" '
        + ("does not exist." if gate not in met else 'is not "True".' if met[gate] == "False" else "is unknown.")
        for gate in gates
        if met.get(gate) != "True"
    ]
    if failing:
        message = ", ".join(failing) if len(failing) == 1 else f"[{', '.join(failing)}]"
        return _condition("Ready", "False", "ReadinessGatesNotReady", message)
    return _condition("Ready", "True")


def pod_status(pod: Pod, now: str) -> dict[str, Any]:
    """The pod's status; ``now`` (an API time) is when conditions that differ from the old status changed."""
    before: dict[str, Any] = pod.obj.get("status") or {}
    reached = phase(pod)
    old = {one["type"]: one for one in before.get("conditions") or []}
    kept_back = {kind: old.pop(kind, None) for kind in _RESIZING}
    generation = pod.obj["metadata"].get("generation")
    conditions = []
    for condition in (*_conditions(pod, reached), *_decided(pod)):
        was = kept_back.get(condition["type"]) or old.pop(condition["type"], None)
        same = was is not None and was["status"] == condition["status"]
        condition["lastProbeTime"] = None
        condition["lastTransitionTime"] = was["lastTransitionTime"] if was and same else now
        if generation is not None:
            condition["observedGeneration"] = generation
        conditions.append(condition)
    conditions.extend(old.values())
    status = {
        **{key: value for key, value in before.items() if key not in ("reason", "message")},
        "phase": reached,
        "conditions": conditions,
        "hostIP": pod.node.ip,
        "hostIPs": [{"ip": pod.node.ip}],
        "startTime": before.get("startTime") or now,
    }
    if generation is not None:
        status["observedGeneration"] = generation
    if pod.failure is not None:
        status["reason"], status["message"] = pod.failure
    if pod.rejected:  # nobody looked at its containers
        status["conditions"] = [one for one in conditions if one["type"] not in _OF_CONTAINERS]
        return {key: value for key, value in status.items() if key not in ("hostIP", "hostIPs")}
    if pod.address:
        status["podIP"] = pod.address
        status["podIPs"] = [{"ip": pod.address}]
    inits = [container_status(pod, run) for run in pod.role("init", "sidecar")]
    if inits:
        status["initContainerStatuses"] = inits
    status["containerStatuses"] = [container_status(pod, run) for run in pod.role("app")]
    ephemeral = [container_status(pod, run) for run in pod.role("ephemeral")]
    if ephemeral:
        status["ephemeralContainerStatuses"] = ephemeral
    return status
