"""The scheduler: gives each pod that has no node yet the best one, or says why there is none.

The most important pod is placed first. One that fits nowhere waits until something changes that could help it (a node,
the end of a pod, a volume, a pod it wants to be near), among many at least its back-off of 1 to 10 seconds, and is
never tried by the clock alone. A pod whose claims are still to be bound keeps its place on the chosen node until then.
An attempt that goes wrong for another reason is told as such and holds up nobody else.

Source: ``pkg/scheduler/schedule_one.go``.
"""

from __future__ import annotations

import functools
from collections.abc import Hashable, Iterable
from contextlib import suppress

from simkube.apimachinery.errors import StatusError
from simkube.client.client import Event, Informers, Key, Obj, Server, key_of
from simkube.client.events import SeriesRecorder
from simkube.client.workqueue import Component, WorkLoop
from simkube.component_helpers import pods as podstate
from simkube.component_helpers.volumebinding import by_claim
from simkube.scheduler import events, preemption
from simkube.scheduler.failure_messages import counted, fit_error, unscheduled
from simkube.scheduler.filters import Placement, Refusal
from simkube.scheduler.nodes import NodeInfo, Nodes
from simkube.scheduler.nominator import Nominator
from simkube.scheduler.queue import EVERY, Queued, SchedulingQueue
from simkube.scheduler.scoring import best
from simkube.scheduler.volumes import PLUGINS as VOLUME_PLUGINS
from simkube.scheduler.volumes import PodVolumes, Storage, volumes_of

PROFILE = "default-scheduler"
BIND_TIMEOUT = 600.0
"""Seconds that a pod's claims may take to be bound for its node."""
_BUDGETS = "poddisruptionbudgets.policy"
_BINDING = 'running PreBind plugin "VolumeBinding": binding volumes: '


class Scheduler(Component):
    """Keys are ``(namespace, name)`` of pods without a node, and ``("bind", namespace, name)`` of pods that wait for
    their volumes on a node.
    """

    name = "kube-scheduler"
    resource = "pods"

    def __init__(self, server: Server, loop: WorkLoop, informers: Informers | None = None, host: str = "") -> None:
        super().__init__(server, loop, informers)
        self._host = host
        self.queue = SchedulingQueue(self.clock, self._take_turn)

    def watch(self) -> None:
        """Nodes before pods, so that what is bound is counted where it is."""
        self.nodes = Nodes()
        self.binding: dict[Key, tuple[str, str, float]] = {}
        self.nominator = Nominator()
        self._turns: set[Key] = set()
        self.recorder = SeriesRecorder(self.client, PROFILE, f"{PROFILE}-{self._host}" if self._host else PROFILE)
        self.pods = self.client.informer("pods")
        by_claim(self.pods)
        self.budgets = self.client.informer(_BUDGETS)
        self.client.observe("namespaces", self._namespace_changed)
        self.client.observe("nodes", self._node_changed)
        self.storage = Storage(self.client, self._storage_changed)
        self.client.observe("pods", self._pod_changed)

    def stop(self) -> None:
        """As :meth:`Component.stop`; what waited is found again in the pods."""
        super().stop()
        self.queue.close()

    # what changes

    def _namespace_changed(self, event: Event) -> None:
        meta = event.obj["metadata"]
        labels = meta.get("labels") or {}
        changed = labels != self.nodes.namespace_labels.get(meta["name"])
        self.nodes.namespace_labels[meta["name"]] = labels
        if event.type == "DELETED":
            del self.nodes.namespace_labels[meta["name"]]
        if changed:
            self.queue.move(events.NAMESPACE_LABELS)

    def _node_changed(self, event: Event) -> None:
        name = event.obj["metadata"]["name"]
        if event.type == "DELETED":
            self.nodes.set_node(name, None)
            for key, (node, _, _) in self.binding.items():
                if node == name:
                    self.enqueue(("bind", *key))
            self.queue.move(events.NODE_GONE)
            return
        self.nodes.set_node(name, event.obj)
        change = events.node_change(event.old, event.obj)
        if change is not None:
            self.queue.move(change)

    def _storage_changed(self, claim: Key | None) -> None:
        self.queue.move(events.STORAGE)
        if self.binding:
            users = self.binding if claim is None else {key_of(pod) for pod in self.pods.indexed("claim", claim)}
            for key in [key for key in self.binding if key in users]:
                self.enqueue(("bind", *key))

    def _pod_changed(self, event: Event) -> None:
        pod, key = event.obj, key_of(event.obj)
        if event.type == "DELETED" or podstate.phase(pod) in podstate.FINISHED:
            self._gone(key)
        elif pod["spec"].get("nodeName"):
            self._on_a_node(key, pod, event.old)
        elif _is_ours(pod):
            self._awaits_a_node(key, pod, event.old)
        else:
            self._forget(key)

    def _gone(self, key: Key) -> None:
        counted = self.nodes.bound(key)
        self.nodes.drop_pod(key)
        self._forget(key)
        if counted:
            self.queue.move(events.WITHOUT_POD)

    def _on_a_node(self, key: Key, pod: Obj, old: Obj | None) -> None:
        self.nodes.set_pod(pod)
        self._forget(key, pod["spec"]["nodeName"])
        came = old is None or not old["spec"].get("nodeName")
        changes = events.pod_came(pod, self.nodes) if came or old is None else events.pod_changed(old, pod)
        for change in changes:
            self.queue.move(change)

    def _awaits_a_node(self, key: Key, pod: Obj, old: Obj | None) -> None:
        if self.nominator.put(pod):
            self.queue.move(events.WITHOUT_POD)
        if key in self.binding:
            self.nominator.drop(key)  # it is counted where it will be
        if old is None or _pod_view(old) != _pod_view(pod):
            self.queue.put(pod, preemption.priority(pod))
        else:
            self.queue.refresh(pod)

    def _forget(self, key: Key, bound_to: str = "") -> None:
        """A pod needs no place any more; what it was promised elsewhere than where it is bound is free."""
        self.queue.drop(key)
        if self.nominator.drop(key) not in ("", bound_to):
            self.queue.move(events.WITHOUT_POD)
        if self.binding.pop(key, None) is not None:
            self.dequeue(("bind", *key))

    # placing

    def _take_turn(self, key: Key) -> None:
        self._turns.add(key)
        self.enqueue(key)

    def reconcile(self, key: Hashable) -> None:
        """Place the most important pod that waits, whichever ``key`` has its turn; or go on with one's binding.

        A pod may have been placed in the turn of another, and then be active again before its own has come. So it is
        seen to that there is a turn left while any pod is active.
        """
        assert isinstance(key, tuple)
        if len(key) == 3:
            self._bind_when_ready((key[1], key[2]))
            return
        self._turns.discard((key[0], key[1]))
        try:
            self._schedule_one()
        finally:
            head = self.queue.head()
            if head is not None and not self._turns:
                self._take_turn(head)

    def _schedule_one(self) -> None:
        queued = self.queue.pop()
        if queued is None:
            return
        self.clock.cause = queued.cause or self.clock.cause
        pod = queued.pod
        try:
            plugins = self._place(pod)
        except StatusError as error:
            self._went_wrong(queued, error.message)
        except BaseException:
            self.queue.give_back(queued, ())
            raise
        else:
            if plugins is not None:
                self.queue.give_back(queued, plugins)

    def _place(self, pod: Obj) -> set[str] | None:
        """Give a pod its node, or say why there is none: then the plugins that refused it are returned."""
        infos = self.nodes.all()
        volumes = volumes_of(pod, self.storage) if pod["spec"].get("volumes") else None
        problem, plugin = (volumes.problem if volumes else None) or _unanswerable(pod)
        if not infos:
            self._tell(pod, "no nodes available to schedule pods")
            return {EVERY}
        if problem:
            why = f"{problem}. not found" if plugin in VOLUME_PLUGINS else problem
            self._tell(pod, f"0/{len(infos)} nodes are available: {why}")
            return {plugin}
        placement = Placement(pod, self.nodes, volumes if volumes and (volumes.bound or volumes.late) else None)
        feasible, refusals = self._examine(placement, infos)
        if feasible:
            self._assign(placement, best(placement, feasible))
            return None
        self._tell(pod, fit_error(refusals, self._preempt(placement, refusals)))
        return {each.plugin for each in refusals.values()}

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
        coming = self.nominator.before(placement.pod, info.name) if refused is None else []
        if not coming:
            return refused
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
        self.nominator.drop(key)
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
        bound = volumes.problem is None and volumes.ready()
        problem = "" if bound else self._cannot_bind(volumes, node, until)
        if not bound and not problem:
            return
        self.binding.pop(key)
        self.dequeue(("bind", *key))
        try:
            if bound:
                self._bind(pod, node)
                return
        except StatusError as error:
            problem = error.message
        self._took_back(pod, problem if bound else f"{_BINDING}{problem}", () if bound else VOLUME_PLUGINS)

    def _took_back(self, pod: Obj, message: str, plugins: Iterable[str]) -> None:
        """A pod that had a place could not be bound there: the place is free for others, and it is tried again."""
        key = key_of(pod)
        self.nodes.drop_pod(key)
        queued = self.queue.in_flight(key)
        if queued is None:
            return
        if plugins:
            self._tell(pod, message)
            self.queue.give_back(queued, plugins)
        else:
            self._went_wrong(queued, message)
        self.queue.move(events.WITHOUT_POD)

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
        try:
            self.client.create("pods", binding, meta["namespace"], name=meta["name"], subresource="binding")
        except StatusError as error:
            raise StatusError(
                error.code, error.reason, f'running Bind plugin "DefaultBinder": {error.message}'
            ) from error
        note = f"Successfully assigned {meta['namespace']}/{meta['name']} to {node}"
        self.recorder.event(pod, "Normal", "Scheduled", "Binding", note)

    # preemption

    def _preempt(self, placement: Placement, refusals: dict[str, Refusal]) -> str | None:
        """Make room for the pod if its priority allows that: None when it does, or why not."""
        pod = placement.pod
        problem = preemption.not_eligible(pod, self.nodes, refusals)
        if problem:
            return problem
        coming = functools.partial(self.nominator.before, pod)
        search = preemption.Search(pod, self.nodes, coming, self.budgets.list(), placement.volumes)
        found = search.best(refusals)
        if found is None:
            self._set_nominated(pod, "")
            return f"0/{len(refusals)} nodes are available: {counted(preemption.outcomes(refusals))}."
        self._set_nominated(pod, found.node)
        for victim in found.victims:
            if "deletionTimestamp" not in victim["metadata"]:
                self._evict(victim, pod, found.node)
        self._withdraw_nominations(pod, found.node)
        return None

    def _set_nominated(self, pod: Obj, node: str) -> None:
        if (pod.get("status") or {}).get("nominatedNodeName", "") != node:
            namespace, name = key_of(pod)
            patch = {"metadata": {"uid": pod["metadata"]["uid"]}, "status": {"nominatedNodeName": node or None}}
            self.client.patch("pods", name, patch, namespace, type="strategic", subresource="status")

    def _withdraw_nominations(self, pod: Obj, node: str) -> None:
        """Less important pods that were promised the node look for another."""
        for other in self.nominator.behind(pod, node):
            self._set_nominated(other, "")
            self.queue.activate(key_of(other))

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

    def _went_wrong(self, queued: Queued, message: str) -> None:
        """The attempt failed for another reason than the nodes: say so if that is possible, and back off."""
        with suppress(StatusError):
            self._tell(queued.pod, message, "SchedulerError")
        self.queue.give_back(queued, ())

    def _tell(self, pod: Obj, message: str, reason: str = "Unschedulable") -> None:
        self.recorder.event(pod, "Warning", "FailedScheduling", "Scheduling", message)
        wanted = unscheduled(pod, reason, message, self.clock.timestamp())
        if wanted is not None:
            namespace, name = key_of(pod)
            patch = {"metadata": {"uid": pod["metadata"]["uid"]}, "status": {"conditions": [wanted]}}
            self.client.patch("pods", name, patch, namespace, type="strategic", subresource="status")


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
        return "dynamic resource allocation (spec.resourceClaims) is not simulated here.", EVERY
    return "", ""


def _pod_view(pod: Obj) -> tuple[object, ...]:
    return pod["spec"], pod["metadata"].get("labels"), "deletionTimestamp" in pod["metadata"]
