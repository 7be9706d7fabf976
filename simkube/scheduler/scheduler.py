"""The scheduler: gives each pod that has no node yet the best one, or says why there is none.

A pod that fits nowhere waits until something changes that could help it (a node, the end of a pod, a pod it wants to be
near), at least its back-off of 1 to 10 seconds, and is never tried by the clock alone. What this scheduler cannot judge
it does not pass over: such a pod stays Pending with an event that names it.

Source: ``pkg/scheduler/schedule_one.go``, ``pkg/scheduler/framework/types.go`` (FitError).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable

from simkube.client import Component, Event, Informers, Key, Obj, Server, WorkLoop, key_of
from simkube.controllers import pods as podstate
from simkube.events import SeriesRecorder
from simkube.scheduler import preemption
from simkube.scheduler.filters import Placement, Refusal
from simkube.scheduler.nodes import NodeInfo, Nodes
from simkube.scheduler.scoring import best

PROFILE = "default-scheduler"
FIRST_BACKOFF = 1.0
LONGEST_BACKOFF = 10.0
_NEAR_OTHERS = {"InterPodAffinity", "PodTopologySpread"}


class Waiting:
    """A pod that fitted nowhere: which plugins refused it, how often it was tried, when last."""

    __slots__ = ("at", "attempts", "plugins")

    def __init__(self, plugins: set[str], attempts: int, at: float) -> None:
        self.plugins = plugins
        self.attempts = attempts
        self.at = at

    def backoff_ends(self) -> float:
        """When it may be tried again."""
        return self.at + min(LONGEST_BACKOFF, FIRST_BACKOFF * 2.0 ** min(self.attempts - 1, 8))


class Scheduler(Component):
    """Keys are ``(namespace, name)`` of pods without a node."""

    name = "kube-scheduler"

    def __init__(self, server: Server, loop: WorkLoop, informers: Informers | None = None, host: str = "") -> None:
        super().__init__(server, loop, informers)
        self._host = host

    def watch(self) -> None:
        """Nodes before pods, so that what is bound is counted where it is."""
        self.nodes = Nodes()
        self.waiting: dict[Key, Waiting] = {}
        self.recorder = SeriesRecorder(self.client, PROFILE, f"{PROFILE}-{self._host}" if self._host else PROFILE)
        self.pods = self.client.informer("pods")
        self.client.observe("namespaces", self._namespace_changed)
        self.client.observe("nodes", self._node_changed)
        self.client.observe("pods", self._pod_changed)

    def _namespace_changed(self, event: Event) -> None:
        meta = event.obj["metadata"]
        self.nodes.namespace_labels[meta["name"]] = meta.get("labels") or {}
        if event.type == "DELETED":
            del self.nodes.namespace_labels[meta["name"]]

    def _node_changed(self, event: Event) -> None:
        name = event.obj["metadata"]["name"]
        if event.type == "DELETED":
            self.nodes.set_node(name, None)
            return
        self.nodes.set_node(name, event.obj)
        if event.old is None or _node_view(event.old) != _node_view(event.obj):
            self._retry(self.waiting)

    def _pod_changed(self, event: Event) -> None:
        pod, key = event.obj, key_of(event.obj)
        if event.type == "DELETED" or podstate.phase(pod) in podstate.FINISHED:
            bound = bool(pod["spec"].get("nodeName"))
            self.nodes.drop_pod(key)
            self._forget(key)
            if bound:
                self._retry(self.waiting)
        elif pod["spec"].get("nodeName"):
            self.nodes.set_pod(pod)
            self._forget(key)
            if event.old is None or _pod_view(event.old) != _pod_view(pod):
                self._retry([where for where, each in self.waiting.items() if each.plugins & _NEAR_OTHERS])
        elif _is_ours(pod) and (event.old is None or _pod_view(event.old) != _pod_view(pod)):
            self.waiting.pop(key, None)
            self.dequeue(key)
            self.enqueue(key)

    def _forget(self, key: Key) -> None:
        if self.waiting.pop(key, None) is not None:
            self.dequeue(key)

    def _retry(self, keys: Iterable[Key]) -> None:
        now = self.clock.now()
        for key in list(keys):
            left = self.waiting[key].backoff_ends() - now
            if left > 0:
                self.enqueue_after(key, left)
            else:
                self.enqueue(key)

    def reconcile(self, key: Hashable) -> None:
        """Bind the pod, or note why not."""
        assert isinstance(key, tuple)
        pod = self.pods.get(*key)
        if pod is None or pod["spec"].get("nodeName") or not _is_ours(pod):
            return
        problem = _unanswerable(pod)
        infos = self.nodes.all()
        if problem or not infos:
            why = f"0/{len(infos)} nodes are available: {problem}" if problem else "no nodes available to schedule pods"
            self._fail(pod, why, {"*"})
            return
        placement = Placement(pod, self.nodes)
        refusals: dict[str, Refusal] = {}
        feasible: list[NodeInfo] = []
        for info in infos:
            refused = placement.refusal(info)
            if refused is None:
                feasible.append(info)
            else:
                refusals[info.name] = refused
        if feasible:
            self._bind(pod, best(placement, feasible))
        else:
            note = self._preempt(pod, refusals)
            self._fail(pod, fit_error(refusals, note), {each.plugin for each in refusals.values()})

    def _bind(self, pod: Obj, info: NodeInfo) -> None:
        meta = pod["metadata"]
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": meta["name"], "namespace": meta["namespace"], "uid": meta["uid"]},
            "target": {"apiVersion": "v1", "kind": "Node", "name": info.name},
        }
        self.client.create("pods", binding, meta["namespace"], name=meta["name"], subresource="binding")
        note = f"Successfully assigned {meta['namespace']}/{meta['name']} to {info.name}"
        self.recorder.event(pod, "Normal", "Scheduled", "Binding", note)

    def _preempt(self, pod: Obj, refusals: dict[str, Refusal]) -> str | None:
        """Make room for the pod if its priority allows that: None when it does, or why not."""
        problem = preemption.not_eligible(pod, self.nodes)
        if problem:
            return problem
        found = preemption.find(pod, self.nodes, refusals)
        if found is None:
            return f"0/{len(refusals)} nodes are available: {_counted(preemption.outcomes(refusals))}."
        namespace, name = key_of(pod)
        nominated = {"metadata": {"uid": pod["metadata"]["uid"]}, "status": {"nominatedNodeName": found.node}}
        self.client.patch("pods", name, nominated, namespace, type="strategic", subresource="status")
        for victim in found.victims:
            if "deletionTimestamp" not in victim["metadata"]:
                self._evict(victim, pod, found.node)
        return None

    def _evict(self, victim: Obj, pod: Obj, node: str) -> None:
        meta = victim["metadata"]
        condition = {
            "type": "DisruptionTarget",
            "status": "True",
            "observedGeneration": meta.get("generation", 1),
            "lastProbeTime": None,
            "lastTransitionTime": self.clock.timestamp(),
            "reason": "PreemptionByScheduler",
            "message": f"{PROFILE}: preempting to accommodate a higher priority pod",
        }
        patch = {"metadata": {"uid": meta["uid"]}, "status": {"conditions": [condition]}}
        self.client.patch("pods", meta["name"], patch, meta["namespace"], type="strategic", subresource="status")
        self.client.delete("pods", meta["name"], meta["namespace"], preconditions={"uid": meta["uid"]})
        note = f"Preempted by pod {pod['metadata']['uid']} on node {node}"
        self.recorder.event(victim, "Normal", "Preempted", "Preempting", note)

    def _fail(self, pod: Obj, message: str, plugins: set[str]) -> None:
        key = key_of(pod)
        before = self.waiting.get(key)
        self.waiting[key] = Waiting(plugins, before.attempts + 1 if before else 1, self.clock.now())
        self.recorder.event(pod, "Warning", "FailedScheduling", "Scheduling", message)
        current = podstate.condition(pod, "PodScheduled")
        condition = {
            "type": "PodScheduled",
            "status": "False",
            "observedGeneration": pod["metadata"].get("generation", 1),
            "lastProbeTime": None,
            "lastTransitionTime": self.clock.timestamp(),
            "reason": "Unschedulable",
            "message": message,
        }
        if current is not None:
            if all(current.get(part) == condition[part] for part in ("status", "reason", "message")):
                return
            if current.get("status") == "False":
                condition["lastTransitionTime"] = current.get("lastTransitionTime")
        patch = {"metadata": {"uid": pod["metadata"]["uid"]}, "status": {"conditions": [condition]}}
        self.client.patch("pods", key[1], patch, key[0], type="strategic", subresource="status")


def fit_error(refusals: dict[str, Refusal], preempting: str | None) -> str:
    """Why a pod fits nowhere, in the scheduler's words; ``preempting`` says why preemption did not help."""
    reasons = Counter(reason for refused in refusals.values() for reason in refused.reasons)
    message = f"0/{len(refusals)} nodes are available: {_counted(reasons)}."
    return message if preempting is None else f"{message} no new claims to deallocate, preemption: {preempting}"


def _counted(reasons: Counter[str]) -> str:
    return ", ".join(sorted(f"{count} {reason}" for reason, count in reasons.items()))


def _is_ours(pod: Obj) -> bool:
    spec = pod["spec"]
    return (
        spec.get("schedulerName", PROFILE) == PROFILE
        and not spec.get("schedulingGates")
        and "deletionTimestamp" not in pod["metadata"]
        and podstate.phase(pod) not in podstate.FINISHED
    )


def _unanswerable(pod: Obj) -> str:
    """What of the pod's demands this cluster has no answer to; "" when there is nothing of the kind."""
    for volume in pod["spec"].get("volumes") or ():
        if "persistentVolumeClaim" in volume:
            return f'persistentvolumeclaim "{volume["persistentVolumeClaim"]["claimName"]}" not found. not found'
        if "ephemeral" in volume:
            claim = f"{pod['metadata']['name']}-{volume['name']}"
            return f'waiting for ephemeral volume controller to create the persistentvolumeclaim "{claim}". not found'
    if pod["spec"].get("resourceClaims"):
        return "dynamic resource allocation (spec.resourceClaims) is not simulated here."
    return ""


def _pod_view(pod: Obj) -> tuple[object, ...]:
    return pod["spec"], pod["metadata"].get("labels"), "deletionTimestamp" in pod["metadata"]


def _node_view(node: Obj) -> tuple[object, ...]:
    status = node.get("status") or {}
    return node["spec"], node["metadata"].get("labels"), status.get("allocatable")
