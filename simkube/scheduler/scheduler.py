"""The scheduler: gives each pod that has no node yet the best one, or says why there is none.

The most important pod is placed first. One that fits nowhere waits until something changes that could help it (a node,
the end of a pod, a volume, a pod it wants to be near), among many at least its back-off of 1 to 10 seconds, and is
never tried by the clock alone. A pod whose claims are still to be bound keeps its place on the chosen node until then.

Source: ``pkg/scheduler/schedule_one.go``, ``pkg/scheduler/framework/types.go`` (FitError).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable

from simkube.client import Event, Informers, Key, Obj, Server, key_of
from simkube.controllers import pods as podstate
from simkube.controllers.claimusers import by_claim
from simkube.events import SeriesRecorder
from simkube.scheduler import preemption
from simkube.scheduler.filters import Placement, Refusal
from simkube.scheduler.nodes import NodeInfo, Nodes
from simkube.scheduler.queue import WITH_POD, WITHOUT_POD, Active, Waiting, node_change
from simkube.scheduler.scoring import best
from simkube.scheduler.volumes import PLUGINS as VOLUME_PLUGINS
from simkube.scheduler.volumes import PodVolumes, Storage, volumes_of
from simkube.workloop import Component, WorkLoop

PROFILE = "default-scheduler"
FEW = 10
"""While no more pods than this wait, none waits for its back-off once something changed that could help it."""
BIND_TIMEOUT = 600.0
"""Seconds that a pod's claims may take to be bound for its node."""
_ANY = "*"
_BUDGETS = "poddisruptionbudgets.policy"
_BINDING = 'running PreBind plugin "VolumeBinding": binding volumes: '


class Scheduler(Component):
    """Keys are ``(namespace, name)`` of pods without a node, and ``("bind", namespace, name)`` of pods that wait for
    their volumes on a node.
    """

    name = "kube-scheduler"

    def __init__(self, server: Server, loop: WorkLoop, informers: Informers | None = None, host: str = "") -> None:
        super().__init__(server, loop, informers)
        self._host = host

    def watch(self) -> None:
        """Nodes before pods, so that what is bound is counted where it is."""
        self.nodes = Nodes()
        self.active = Active()
        self.waiting: dict[Key, Waiting] = {}
        self.binding: dict[Key, tuple[str, str, float]] = {}
        self.nominated: dict[Key, Obj] = {}
        self.recorder = SeriesRecorder(self.client, PROFILE, f"{PROFILE}-{self._host}" if self._host else PROFILE)
        self.pods = self.client.informer("pods")
        by_claim(self.pods)
        self.budgets = self.client.informer(_BUDGETS)
        self.client.observe("namespaces", self._namespace_changed)
        self.client.observe("nodes", self._node_changed)
        self.storage = Storage(self.client, self._storage_changed)
        self.client.observe("pods", self._pod_changed)

    # what changes

    def _namespace_changed(self, event: Event) -> None:
        meta = event.obj["metadata"]
        self.nodes.namespace_labels[meta["name"]] = meta.get("labels") or {}
        if event.type == "DELETED":
            del self.nodes.namespace_labels[meta["name"]]

    def _node_changed(self, event: Event) -> None:
        name = event.obj["metadata"]["name"]
        if event.type == "DELETED":
            self.nodes.set_node(name, None)
            for key, (node, _, _) in self.binding.items():
                if node == name:
                    self.enqueue(("bind", *key))
            self._retry({"PodTopologySpread"})
            return
        self.nodes.set_node(name, event.obj)
        changed = node_change(event.old, event.obj)
        if changed:
            self._retry(changed)

    def _storage_changed(self, claim: Key | None) -> None:
        self._retry(VOLUME_PLUGINS)
        if self.binding:
            users = self.binding if claim is None else {key_of(pod) for pod in self.pods.indexed("claim", claim)}
            for key in [key for key in self.binding if key in users]:
                self.enqueue(("bind", *key))

    def _pod_changed(self, event: Event) -> None:
        pod, key = event.obj, key_of(event.obj)
        if event.type == "DELETED" or podstate.phase(pod) in podstate.FINISHED:
            counted = self.nodes.bound(key)
            self.nodes.drop_pod(key)
            self._forget(key)
            if counted:
                self._retry(WITHOUT_POD)
        elif pod["spec"].get("nodeName"):
            self.nodes.set_pod(pod)
            self._forget(key)
            if event.old is None or _pod_view(event.old) != _pod_view(pod):
                self._retry(WITH_POD)
        elif _is_ours(pod):
            self._nominate(key, pod)
            if event.old is None or _pod_view(event.old) != _pod_view(pod):
                self._forget_waiting(key)
                self._activate(key)
        else:
            self._forget(key)

    def _nominate(self, key: Key, pod: Obj) -> None:
        if (pod.get("status") or {}).get("nominatedNodeName"):
            self.nominated[key] = pod
        elif self.nominated:
            self.nominated.pop(key, None)

    def _forget(self, key: Key) -> None:
        self._forget_waiting(key)
        self.active.discard(key)
        self.nominated.pop(key, None)
        if self.binding.pop(key, None) is not None:
            self.dequeue(("bind", *key))

    def _forget_waiting(self, key: Key) -> None:
        if self.waiting.pop(key, None) is not None:
            self.dequeue(key)

    def _activate(self, key: Key) -> None:
        pod = self.pods.get(*key)
        if pod is not None and key not in self.binding:
            self.active.add(key, preemption.priority(pod))
            self.enqueue(key)

    def _retry(self, plugins: Iterable[str]) -> None:
        """Try the pods again that one of these plugins refused: at once, or when their back-off ends."""
        if not self.waiting:
            return
        wanted, now = set(plugins), self.clock.now()
        for key, each in list(self.waiting.items()):
            if _ANY not in wanted and _ANY not in each.plugins and not each.plugins & wanted:
                continue
            left = each.backoff_ends() - now
            if left > 0 and len(self.waiting) > FEW:
                self.enqueue_after(key, left)
            else:
                self._activate(key)

    def _due(self, key: Hashable) -> None:
        if isinstance(key, tuple) and len(key) == 2:
            self._timers.pop(key, None)
            self._activate(key)
        else:
            super()._due(key)

    # placing

    def reconcile(self, key: Hashable) -> None:
        """Place the most important pod that waits, whichever ``key`` has its turn; or go on with one's binding."""
        assert isinstance(key, tuple)
        if len(key) == 3:
            self._bind_when_ready((key[1], key[2]))
            return
        chosen = self.active.pop()
        pod = self.pods.get(*chosen) if chosen is not None else None
        if pod is None or pod["spec"].get("nodeName") or not _is_ours(pod):
            return
        try:
            self._place(pod)
        except BaseException:
            self._activate(key_of(pod))
            raise

    def _place(self, pod: Obj) -> None:
        infos = self.nodes.all()
        volumes = volumes_of(pod, self.storage) if pod["spec"].get("volumes") else None
        problem, plugin = (volumes.problem if volumes else None) or _unanswerable(pod)
        if not infos:
            self._fail(pod, "no nodes available to schedule pods", {_ANY})
            return
        if problem:
            why = f"{problem}. not found" if plugin in VOLUME_PLUGINS else problem
            self._fail(pod, f"0/{len(infos)} nodes are available: {why}", {plugin})
            return
        placement = Placement(pod, self.nodes, volumes if volumes and (volumes.bound or volumes.late) else None)
        feasible, refusals = self._examine(placement, infos)
        if feasible:
            self._assign(placement, best(placement, feasible))
        else:
            self._wait(pod, {each.plugin for each in refusals.values()})  # before a victim goes, which may be at once
            self._tell(pod, fit_error(refusals, self._preempt(placement, refusals)))

    def _examine(self, placement: Placement, infos: list[NodeInfo]) -> tuple[list[NodeInfo], dict[str, Refusal]]:
        nominated = self.nodes.get((placement.pod.get("status") or {}).get("nominatedNodeName") or "")
        if nominated is not None and self._refusal(placement, nominated) is None:
            return [nominated], {}
        feasible: list[NodeInfo] = []
        refusals: dict[str, Refusal] = {}
        for info in infos:
            refused = self._refusal(placement, info)
            if refused is None:
                feasible.append(info)
            else:
                refusals[info.name] = refused
        return feasible, refusals

    def _refusal(self, placement: Placement, info: NodeInfo) -> Refusal | None:
        """Why not there; pods at least as important that were promised the node count as if they ran on it."""
        refused = placement.refusal(info)
        if refused is not None or not self.nominated:
            return refused
        mine, own = preemption.priority(placement.pod), key_of(placement.pod)
        coming = [
            pod
            for key, pod in self.nominated.items()
            if key != own and pod["status"]["nominatedNodeName"] == info.name and preemption.priority(pod) >= mine
        ]
        if not coming:
            return None
        crowded = self.nodes.without(info.name, set(), coming)
        there = crowded.get(info.name)
        return None if there is None else Placement(placement.pod, crowded, placement.volumes).refusal(there)

    # binding

    def _assign(self, placement: Placement, info: NodeInfo) -> None:
        pod, key = placement.pod, key_of(placement.pod)
        if placement.volumes is None or placement.volumes.ready():
            self._bind(pod, info.name)
            return
        self.nodes.set_pod({**pod, "spec": {**pod["spec"], "nodeName": info.name}})
        self.binding[key] = (info.name, pod["metadata"]["uid"], self.clock.now() + BIND_TIMEOUT)
        placement.volumes.reserve(info)
        self.enqueue_after(("bind", *key), BIND_TIMEOUT)
        self.enqueue(("bind", *key))

    def _bind_when_ready(self, key: Key) -> None:
        node, uid, until = self.binding.get(key, ("", "", 0.0))
        pod = self.pods.get(*key)
        if not node or pod is None or pod["metadata"]["uid"] != uid or pod["spec"].get("nodeName"):
            return
        volumes = volumes_of(pod, self.storage)
        if volumes.problem is None and volumes.ready():
            self.binding.pop(key)
            self.dequeue(("bind", *key))
            self._bind(pod, node)
            return
        problem = self._cannot_bind(volumes, node, until)
        if problem:
            self.binding.pop(key)
            self.dequeue(("bind", *key))
            self.nodes.drop_pod(key)
            self._fail(pod, f"{_BINDING}{problem}", set(VOLUME_PLUGINS))
            self._retry(VOLUME_PLUGINS)

    def _cannot_bind(self, volumes: PodVolumes, node: str, until: float) -> str:
        if self.nodes.get(node) is None:
            return f'could not get node "{node}": node "{node}" not found'
        if self.clock.now() >= until:
            return "context deadline exceeded"
        if volumes.problem is not None and volumes.problem[0].startswith("persistentvolumeclaim"):
            return volumes.problem[0]
        undone = volumes.undone()
        return f'selectedNode annotation reset for PVC "{undone}"' if undone else ""

    def _bind(self, pod: Obj, node: str) -> None:
        meta = pod["metadata"]
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": meta["name"], "namespace": meta["namespace"], "uid": meta["uid"]},
            "target": {"apiVersion": "v1", "kind": "Node", "name": node},
        }
        self.client.create("pods", binding, meta["namespace"], name=meta["name"], subresource="binding")
        note = f"Successfully assigned {meta['namespace']}/{meta['name']} to {node}"
        self.recorder.event(pod, "Normal", "Scheduled", "Binding", note)

    # preemption

    def _preempt(self, placement: Placement, refusals: dict[str, Refusal]) -> str | None:
        """Make room for the pod if its priority allows that: None when it does, or why not."""
        pod = placement.pod
        problem = preemption.not_eligible(pod, self.nodes)
        if problem:
            return problem
        search = preemption.Search(pod, self.nodes, self.budgets.list(), placement.volumes)
        found = search.best(refusals)
        if found is None:
            self._set_nominated(pod, "")
            return f"0/{len(refusals)} nodes are available: {_counted(preemption.outcomes(refusals))}."
        for victim in found.victims:
            if "deletionTimestamp" not in victim["metadata"]:
                self._evict(victim, pod, found.node)
        self._set_nominated(pod, found.node)
        self._withdraw_nominations(pod, found.node)
        return None

    def _set_nominated(self, pod: Obj, node: str) -> None:
        if (pod.get("status") or {}).get("nominatedNodeName", "") != node:
            namespace, name = key_of(pod)
            patch = {"metadata": {"uid": pod["metadata"]["uid"]}, "status": {"nominatedNodeName": node or None}}
            self.client.patch("pods", name, patch, namespace, type="strategic", subresource="status")

    def _withdraw_nominations(self, pod: Obj, node: str) -> None:
        """Less important pods that were promised the node look for another."""
        mine = preemption.priority(pod)
        for key, other in list(self.nominated.items()):
            if other["status"]["nominatedNodeName"] == node and preemption.priority(other) < mine:
                self._set_nominated(other, "")
                if key in self.waiting:
                    self._activate(key)

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

    # what is told

    def _fail(self, pod: Obj, message: str, plugins: set[str]) -> None:
        self._wait(pod, plugins)
        self._tell(pod, message)

    def _wait(self, pod: Obj, plugins: set[str]) -> None:
        key = key_of(pod)
        before = self.waiting.get(key)
        self.waiting[key] = Waiting(plugins, before.attempts + 1 if before else 1, self.clock.now())

    def _tell(self, pod: Obj, message: str) -> None:
        key = key_of(pod)
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


def _unanswerable(pod: Obj) -> tuple[str, str]:
    """What of the pod's demands this cluster has no answer to; "" when there is nothing of the kind."""
    if pod["spec"].get("resourceClaims"):
        return "dynamic resource allocation (spec.resourceClaims) is not simulated here.", _ANY
    return "", ""


def _pod_view(pod: Obj) -> tuple[object, ...]:
    return pod["spec"], pod["metadata"].get("labels"), "deletionTimestamp" in pod["metadata"]
