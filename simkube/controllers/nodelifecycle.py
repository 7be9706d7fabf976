"""Node lifecycle: a node whose kubelet falls silent is Unknown after a while, and tainted so that pods leave it.

Heartbeats are not written anywhere; they are asked for. While a kubelet is alive there is no timer; when one falls
silent, whoever stopped it says so (:meth:`NodeLifecycleController.look_at`) and one timer waits for the grace period.
A node that nobody's kubelet stands behind is judged by the heartbeat time in its status, as by a real controller.

When every node is silent nothing is evicted: then it is more likely that the controller is cut off.

Source: ``pkg/controller/nodelifecycle/node_lifecycle_controller.go``.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from datetime import UTC, datetime

from simkube.client.client import Event, Informers, Obj, Server
from simkube.client.workqueue import WorkLoop
from simkube.component_helpers import pods as podstate
from simkube.controllers.controller import Controller, by_node

NOT_READY = "node.kubernetes.io/not-ready"
UNREACHABLE = "node.kubernetes.io/unreachable"
UNSCHEDULABLE = "node.kubernetes.io/unschedulable"
STARTUP_GRACE = 60.0
"""Seconds for a node that has never reported whether it is ready."""
_PRESSURES = {
    "MemoryPressure": "node.kubernetes.io/memory-pressure",
    "DiskPressure": "node.kubernetes.io/disk-pressure",
    "PIDPressure": "node.kubernetes.io/pid-pressure",
    "NetworkUnavailable": "node.kubernetes.io/network-unavailable",
}
_OWN_KEYS = {NOT_READY, UNREACHABLE, UNSCHEDULABLE, *_PRESSURES.values()}
_REPORTED = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")

Heartbeats = Callable[[str], float | None]
"""When a node's kubelet was last heard of, in cluster seconds: infinity while it is alive, None when there is none."""


class NodeLifecycleController(Controller):
    """Keys are names of nodes. ``grace`` is ``--node-monitor-grace-period`` in seconds."""

    name = "node-lifecycle-controller"
    resource = "nodes"
    reporter = "node-controller"

    def __init__(
        self,
        server: Server,
        loop: WorkLoop,
        informers: Informers | None = None,
        heartbeats: Heartbeats = lambda _: None,
        grace: float = 50.0,
    ) -> None:
        super().__init__(server, loop, informers)
        self._heartbeats = heartbeats
        self._grace = grace

    def watch(self) -> None:
        """Nodes, and which pods are on them."""
        self._all_lost = False
        self.pods = self.client.informer("pods")
        by_node(self.pods)
        self.nodes = self.client.observe("nodes", self._node_changed)

    def look_at(self, name: str) -> None:
        """The kubelet of this node was stopped or started."""
        self.enqueue(name)

    def _node_changed(self, event: Event) -> None:
        name = event.obj["metadata"]["name"]
        if event.type == "ADDED":
            self._tell(event.obj, "RegisteredNode", f"Registered Node {name} in Controller")
        elif event.type == "DELETED":
            self._tell(event.obj, "RemovingNode", f"Removing Node {name} from Controller")
            self.dequeue(name)
        self.enqueue(name)

    def _tell(self, node: Obj, reason: str, what: str) -> None:
        """Events are written on the queue, not while someone else's write is being told of."""
        self.enqueue((reason, node["metadata"]["name"], node["metadata"]["uid"], what))

    def reconcile(self, key: Hashable) -> None:
        """Judge one node and write what follows from it."""
        if isinstance(key, tuple):
            reason, name, uid, what = key
            self.recorder.event(_reference(name, uid), "Normal", reason, f"Node {name} event: {what}")
            return
        node = self.nodes.get("", str(key))
        if node is not None and not self._fell_silent(node):
            self._taint(node)
        self._watch_for_disruption()

    # Silence.

    def _fell_silent(self, node: Obj) -> bool:
        """Whether the node was just declared Unknown; if it may be soon, a timer waits for it."""
        name = node["metadata"]["name"]
        ready = podstate.condition(node, "Ready")
        heard = self._heartbeats(name)
        if heard is None:
            created = podstate.seconds_of(node["metadata"].get("creationTimestamp"))
            heard = max(created, podstate.seconds_of((ready or {}).get("lastHeartbeatTime")))
        left = heard + (self._grace if ready else STARTUP_GRACE) - self.clock.now()
        if left == float("inf"):
            self.dequeue(name)
            return False
        if left > 0:
            self.enqueue_after(name, left)
            return False
        if ready is not None and ready["status"] == "Unknown":
            return False
        self._declare_unknown(node, heard)
        return True

    def _declare_unknown(self, node: Obj, heard: float) -> None:
        name, now = node["metadata"]["name"], self.clock.timestamp()
        was_ready = (podstate.condition(node, "Ready") or {}).get("status") == "True"
        conditions = []
        for kind in _REPORTED:
            current = podstate.condition(node, kind)
            if current is not None and current["status"] == "Unknown":
                continue
            never = current is None
            conditions.append(
                {
                    "type": kind,
                    "status": "Unknown",
                    "reason": "NodeStatusNeverUpdated" if never else "NodeStatusUnknown",
                    "message": f"Kubelet {'never posted' if never else 'stopped posting'} node status.",
                    "lastHeartbeatTime": datetime.fromtimestamp(heard, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
                    "lastTransitionTime": now,
                }
            )
        self.client.patch("nodes", name, {"status": {"conditions": conditions}}, type="strategic", subresource="status")
        if was_ready:
            self._mark_pods(node)

    def _mark_pods(self, node: Obj) -> None:
        """Pods on a lost node are not ready, so that services leave them out."""
        name = node["metadata"]["name"]
        message = f"Node {name} status is now: NodeNotReady"
        self.recorder.event(_reference(name, node["metadata"]["uid"]), "Normal", "NodeNotReady", message)
        for pod in self.pods.indexed("node", name):
            ready = podstate.condition(pod, "Ready")
            if ready is None or ready["status"] != "True":
                continue
            changed = {**ready, "status": "False", "lastTransitionTime": self.clock.timestamp()}
            meta = pod["metadata"]
            patch = {"metadata": {"uid": meta["uid"]}, "status": {"conditions": [changed]}}
            self.client.patch("pods", meta["name"], patch, meta["namespace"], type="strategic", subresource="status")
            self.recorder.event(pod, "Warning", "NodeNotReady", "Node is not ready")

    # Taints.

    def _taint(self, node: Obj) -> None:
        """Bring this controller's own taints in line with the node's conditions; others are left alone."""
        current = list(node["spec"].get("taints") or ())
        wanted = self._wanted_taints(node)
        keep = [taint for taint in current if not _is_own(taint) or _identity(taint) in wanted]
        have = {_identity(taint) for taint in current}
        new = [_taint(key, effect, self.clock.timestamp()) for key, effect in wanted if (key, effect) not in have]
        if new or len(keep) != len(current):
            meta = node["metadata"]
            patch = {
                "metadata": {"resourceVersion": meta["resourceVersion"]},
                "spec": {"taints": [*keep, *new] or None},
            }
            self.client.patch("nodes", meta["name"], patch)

    def _wanted_taints(self, node: Obj) -> list[tuple[str, str]]:
        wanted: list[tuple[str, str]] = []
        status = (podstate.condition(node, "Ready") or {}).get("status")
        lost = {"False": NOT_READY, "Unknown": UNREACHABLE}.get(str(status))
        if lost is not None:
            wanted.append((lost, "NoSchedule"))
            if not self._all_lost:
                wanted.append((lost, "NoExecute"))
        for kind, key in _PRESSURES.items():
            if (podstate.condition(node, kind) or {}).get("status") == "True":
                wanted.append((key, "NoSchedule"))
        if node["spec"].get("unschedulable"):
            wanted.append((UNSCHEDULABLE, "NoSchedule"))
        return wanted

    def _watch_for_disruption(self) -> None:
        """When the last node is lost, or the first comes back, every node's taints are looked at again."""
        nodes = self.nodes.list()
        all_lost = bool(nodes) and not any(podstate.is_ready(node) for node in nodes)
        if all_lost != self._all_lost:
            self._all_lost = all_lost
            for node in nodes:
                self.enqueue(node["metadata"]["name"])


def _reference(name: str, uid: str) -> Obj:
    return {"kind": "Node", "name": name, "uid": uid}


def _is_own(taint: Obj) -> bool:
    effects: Sequence[str] = (
        ("NoSchedule", "NoExecute") if taint["key"] in (NOT_READY, UNREACHABLE) else ("NoSchedule",)
    )
    return taint["key"] in _OWN_KEYS and taint.get("effect") in effects


def _identity(taint: Obj) -> tuple[str, str]:
    return taint["key"], taint.get("effect", "")


def _taint(key: str, effect: str, now: str) -> Obj:
    return {"key": key, "effect": effect, "timeAdded": now}
