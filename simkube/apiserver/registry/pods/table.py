"""The row of a pod, with the status that is nowhere in the object: ``Init:0/1``, ``CrashLoopBackOff``, ``Terminating``.

The rules are those of ``printPod`` in ``pkg/printers/internalversion/printers.go``.
"""

from __future__ import annotations

from typing import Any

from simkube.apiserver.tables.ages import age
from simkube.apiserver.tables.cells import NONE, age_of, name_of
from simkube.apiserver.tables.columns import AGE, NAME, Cells, Column, Layout

Obj = dict[str, Any]

_TERMINAL = ("Succeeded", "Failed")


class _Summary:
    """What goes into a pod's row, gathered container by container."""

    def __init__(self, pod: Obj) -> None:
        self.pod = pod
        self.spec: Obj = pod.get("spec") or {}
        self.status: Obj = pod.get("status") or {}
        self.ready = 0
        self.restarts = 0
        self.last_restart = ""
        self.reason = str(self.status.get("reason") or self.status.get("phase") or "")
        if any(one.get("type") == "PodScheduled" and one.get("reason") == "SchedulingGated" for one in self.conditions):
            self.reason = "SchedulingGated"
        self.sidecars = {
            one.get("name") for one in self.spec.get("initContainers") or [] if one.get("restartPolicy") == "Always"
        }

    @property
    def conditions(self) -> list[Obj]:
        return self.status.get("conditions") or []

    def has(self, condition: str) -> bool:
        return any(one.get("type") == condition and one.get("status") == "True" for one in self.conditions)

    def count_restarts(self, status: Obj) -> None:
        self.restarts += status.get("restartCount", 0)
        ended = (status.get("lastState") or {}).get("terminated")
        if ended:
            self.last_restart = max(self.last_restart, ended.get("finishedAt") or "")

    def initializing(self) -> bool:
        """Look at the init containers in order, up to the first that keeps the pod from starting."""
        statuses = self.status.get("initContainerStatuses") or []
        for index, status in enumerate(statuses):
            self.count_restarts(status)
            state = status.get("state") or {}
            ended = state.get("terminated")
            if ended is not None and ended.get("exitCode", 0) == 0:
                continue
            if status.get("name") in self.sidecars and status.get("started"):
                self.ready += bool(status.get("ready"))
                continue
            waiting = (state.get("waiting") or {}).get("reason", "")
            if ended is not None:
                self.reason = f"Init:{_ended(ended)}"
            elif waiting and waiting != "PodInitializing":
                self.reason = f"Init:{waiting}"
            else:
                self.reason = f"Init:{index}/{len(self.spec.get('initContainers') or [])}"
            return True
        return False

    def running(self) -> None:
        """Look at the containers; the first one's trouble is the pod's."""
        self.restarts, self.last_restart = 0, ""
        for status in self.status.get("initContainerStatuses") or []:
            if status.get("name") in self.sidecars:
                self.count_restarts(status)
        running = False
        for status in reversed(self.status.get("containerStatuses") or []):
            self.count_restarts(status)
            state = status.get("state") or {}
            waiting = (state.get("waiting") or {}).get("reason")
            if waiting:
                self.reason = waiting
            elif state.get("terminated") is not None:
                self.reason = _ended(state["terminated"])
            elif status.get("ready") and state.get("running") is not None:
                running = True
                self.ready += 1
        if self.reason == "Completed" and running:
            self.reason = "Running" if self.has("Ready") else "NotReady"


def _ended(state: Obj) -> str:
    """Why a container ended: its reason, else its signal or exit code."""
    if state.get("reason"):
        return str(state["reason"])
    if state.get("signal"):
        return f"Signal:{state['signal']}"
    return f"ExitCode:{state.get('exitCode', 0)}"


def _summary(pod: Obj) -> _Summary:
    found = _Summary(pod)
    if not found.initializing() or found.has("Initialized"):
        found.running()
    if pod.get("metadata", {}).get("deletionTimestamp"):
        if found.status.get("reason") == "NodeLost":
            found.reason = "Unknown"
        elif found.status.get("phase") not in _TERMINAL:
            found.reason = "Terminating"
    return found


def status(pod: Obj) -> str:
    """The word in the column STATUS."""
    return _summary(pod).reason


def _gates(found: _Summary) -> str:
    gates = found.spec.get("readinessGates") or []
    true = sum(found.has(gate.get("conditionType", "")) for gate in gates)
    return f"{true}/{len(gates)}" if gates else NONE


def _cells(pod: Obj, now: float) -> Cells:
    found = _summary(pod)
    total = len(found.spec.get("containers") or []) + len(found.sidecars)
    restarts = str(found.restarts)
    if found.restarts and found.last_restart:
        restarts += f" ({age(found.last_restart, now)} ago)"
    addresses = found.status.get("podIPs") or [{}]
    return [
        name_of(pod),
        f"{found.ready}/{total}",
        found.reason,
        restarts,
        age_of(pod, now),
        addresses[0].get("ip") or NONE,
        found.spec.get("nodeName") or NONE,
        found.status.get("nominatedNodeName") or NONE,
        _gates(found),
    ]


_COMPLETED = {
    "Succeeded": "The pod has completed successfully.",
    "Failed": "The pod failed.",
}


def _conditions(pod: Obj) -> list[Obj] | None:
    phase = (pod.get("status") or {}).get("phase")
    if phase not in _COMPLETED:
        return None
    return [{"type": "Completed", "status": "True", "reason": phase, "message": _COMPLETED[phase]}]


PODS = Layout(
    (
        NAME,
        Column("Ready", "The aggregate readiness state of this pod for accepting traffic."),
        Column("Status", "The aggregate status of the containers in this pod."),
        Column(
            "Restarts",
            "The number of times the containers in this pod have been restarted"
            " and when the last container in this pod has restarted.",
        ),
        AGE,
        Column("IP", field="core.v1.PodStatus.podIP", wide=True),
        Column("Node", field="core.v1.PodSpec.nodeName", wide=True),
        Column("Nominated Node", field="core.v1.PodStatus.nominatedNodeName", wide=True),
        Column("Readiness Gates", field="core.v1.PodSpec.readinessGates", wide=True),
    ),
    _cells,
    _conditions,
)
