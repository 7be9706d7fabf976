"""DaemonSet: one pod on every node that should have one, renewed node by node.

A pass first keeps each node as it should be, then replaces pods of an old template: those that are not available at
once, others as far as ``maxUnavailable`` allows, or with ``maxSurge`` by a second pod that takes over.

Source: ``pkg/controller/daemon/daemon_controller.go``, ``update.go``.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

from simkube.apimachinery.labels import matches
from simkube.client.client import Event, Obj, key_of
from simkube.component_helpers import pods as podstate
from simkube.component_helpers.owners import Claim, controller_of
from simkube.controllers import daemonpods
from simkube.controllers.controller import Controller, by_controller
from simkube.controllers.history import POD_LABEL, REVISIONS, History
from simkube.controllers.podcontrol import PodControl
from simkube.controllers.rollout import scaled_value

DAEMONSETS = "daemonsets.apps"
FIRST_WAIT = 1.0
"""Seconds until a failed pod of a node is replaced; twice as long each time."""
LONGEST_WAIT = 900.0
_Pair = tuple[Obj | None, Obj | None] | None
"""The pod of the new and that of the old template on a node; None when there is more than one of a kind."""


@dataclass(slots=True)
class _Pass:
    """What one reconcile works with."""

    ds: Obj
    nodes: Sequence[Obj]
    pods: Mapping[str, list[Obj]]
    hash: str
    control: PodControl

    @property
    def strategy(self) -> Obj:
        """``spec.updateStrategy``."""
        found: Obj = self.ds["spec"].get("updateStrategy") or {}
        return found

    @property
    def surges(self) -> bool:
        """Whether a node may have an old and a new pod for a while."""
        return scaled_value((self.strategy.get("rollingUpdate") or {}).get("maxSurge", 0), 1, up=True) > 0

    def limits(self) -> tuple[int, int]:
        """``(surge, unavailable)`` as numbers of nodes."""
        desired = sum(daemonpods.should_run(self.ds, node)[0] for node in self.nodes)
        rolling = self.strategy.get("rollingUpdate") or {}
        surge = scaled_value(rolling.get("maxSurge", 0), desired, up=True)
        unavailable = scaled_value(rolling.get("maxUnavailable", 1), desired, up=True)
        return (0, 1) if surge == 0 and unavailable == 0 else (surge, unavailable)


class DaemonSetController(Controller):
    """Keys are ``(namespace, name)`` of daemon sets."""

    name = "daemonset-controller"
    resource = "daemonsets.apps"

    def watch(self) -> None:
        """Daemon sets, their pods and revisions, and what of nodes decides who runs there."""
        self._waits: dict[tuple[str, int, str], tuple[float, float]] = {}
        self.sets = self.client.informer(DAEMONSETS)
        self.pods = self.client.informer("pods")
        self.nodes = self.client.informer("nodes")
        self.revisions = self.client.informer(REVISIONS)
        by_controller(self.pods)
        by_controller(self.revisions)
        self.client.observe(DAEMONSETS, lambda event: self.enqueue(key_of(event.obj)))
        self.client.observe("pods", self._pod_changed)
        self.client.observe("nodes", self._node_changed)

    def _pod_changed(self, event: Event) -> None:
        for pod in (event.obj, event.old):
            if pod is None:
                continue
            ref, namespace = controller_of(pod), pod["metadata"]["namespace"]
            if ref is not None:
                if ref.get("kind") == daemonpods.KIND:
                    self.enqueue((namespace, ref["name"]))
            elif event.type != "DELETED" and "deletionTimestamp" not in pod["metadata"]:
                for ds in self.sets.list(namespace):
                    if matches(ds["spec"].get("selector"), pod["metadata"].get("labels")):
                        self.enqueue(key_of(ds))

    def _node_changed(self, event: Event) -> None:
        """The end of a node is seen by the end of its pods."""
        if event.type == "DELETED" or (event.old is not None and _same_for_daemons(event.old, event.obj)):
            return
        for ds in self.sets.list():
            if event.old is None or daemonpods.should_run(ds, event.old) != daemonpods.should_run(ds, event.obj):
                self.enqueue(key_of(ds))

    def reconcile(self, key: Hashable) -> None:
        """Keep each node, renew some, write the status, forget old revisions."""
        assert isinstance(key, tuple)
        ds = self.sets.get(*key)
        if ds is None:
            self._waits = {where: wait for where, wait in self._waits.items() if where[0] in self._uids()}
            return
        if "deletionTimestamp" in ds["metadata"]:
            return
        history = self._history(ds)
        old = (ds.get("status") or {}).get("collisionCount")
        current, collisions = history.settle(history.revisions(), old or 0)
        hashed = (current["metadata"].get("labels") or {}).get(POD_LABEL) or current["metadata"]["name"]
        nodes = self.nodes.list()
        pods = daemonpods.by_target(self._claimed(ds))
        step = _Pass(ds, nodes, pods, hashed, PodControl(self.client, self.recorder, ds))
        acted = self._keep_nodes(step)
        if not acted and step.strategy.get("type", "RollingUpdate") == "RollingUpdate":
            self._renew(step)
        used = {hashed, *(daemonpods.hash_of(pod) for each in pods.values() for pod in each)}
        history.truncate(
            history.revisions(),
            lambda revision: (revision["metadata"].get("labels") or {}).get(POD_LABEL) in used,
        )
        self._write_status(step, collisions or old)

    def _uids(self) -> set[str]:
        return {ds["metadata"]["uid"] for ds in self.sets.list()}

    def _claimed(self, ds: Obj) -> list[Obj]:
        claim = Claim(self.client, self.pods, ds, daemonpods.reference(ds), ds["spec"].get("selector"))
        return [pod for pod in claim.objects() if not _is_over(pod)]

    def _history(self, ds: Obj) -> History:
        annotations = ds["metadata"].get("annotations") or {}
        return History(self.client, self.revisions, ds, daemonpods.reference(ds), POD_LABEL, annotations)

    # Each node as it should be.

    def _keep_nodes(self, step: _Pass) -> bool:
        """Make and delete what is missing or too many; whether anything was."""
        create: list[str] = []
        delete: list[Obj] = []
        for node in step.nodes:
            name = node["metadata"]["name"]
            there = step.pods.get(name, [])
            should, may_stay = daemonpods.should_run(step.ds, node)
            if should and not there:
                create.append(name)
            elif may_stay:
                delete += self._surplus(step, name, there)
            else:
                delete += [pod for pod in there if "deletionTimestamp" not in pod["metadata"]]
        known = {node["metadata"]["name"] for node in step.nodes}
        for name, pods in step.pods.items():
            if name not in known:
                delete += [pod for pod in pods if not pod["spec"].get("nodeName") and _stays(pod)]
        self._sync(step, create, delete)
        return bool(create or delete)

    def _surplus(self, step: _Pass, node: str, there: Sequence[Obj]) -> list[Obj]:
        """Pods of a node that have ended, and those beyond one (beyond an old and a new one while surging)."""
        gone: list[Obj] = []
        running: list[Obj] = []
        for pod in filter(_stays, there):
            if podstate.phase(pod) in podstate.FINISHED:
                gone += self._ended(step, node, pod)
            else:
                running.append(pod)
        if not step.surges or len(running) <= 1:
            return [*gone, *running[1:]]
        new = [pod for pod in running if daemonpods.hash_of(pod) == step.hash]
        old = [pod for pod in running if daemonpods.hash_of(pod) != step.hash]
        gone += [*new[1:], *old[1:]]
        if new and old and (not podstate.is_ready(old[0]) or self._is_available(step, new[0])):
            gone.append(old[0])
        return gone

    def _ended(self, step: _Pass, node: str, pod: Obj) -> list[Obj]:
        """A pod that has ended is deleted; one that failed, not as fast as it fails."""
        meta = pod["metadata"]
        where = f"{meta['namespace']}/{meta['name']} on node {node}"
        if podstate.phase(pod) == "Succeeded":
            message = f"Found succeeded daemon pod {where}, will try to delete it"
            self.recorder.event(step.ds, "Normal", "SucceededDaemonPod", message)
            return [pod]
        key = (step.ds["metadata"]["uid"], int(step.ds["metadata"].get("generation", 0)), node)
        now = self.clock.now()
        due, wait = self._waits.get(key, (now, FIRST_WAIT / 2))
        if due > now:
            self.enqueue_after(key_of(step.ds), due - now)
            return []
        if now > due + 2 * LONGEST_WAIT:
            wait = FIRST_WAIT / 2
        wait = min(LONGEST_WAIT, 2 * wait)
        self._waits[key] = (now + wait, wait)
        message = f"Found failed daemon pod {where}, will try to kill it"
        self.recorder.event(step.ds, "Warning", "FailedDaemonPod", message)
        return [pod]

    def _sync(self, step: _Pass, create: Sequence[str], delete: Sequence[Obj]) -> None:
        for node in create:
            step.control.create(daemonpods.new_pod(step.ds, step.hash, node))
        for pod in delete:
            step.control.delete(pod)

    # Pods of an old template.

    def _renew(self, step: _Pass) -> None:
        surge, unavailable = step.limits()
        pairs = {
            name: _new_and_old(pods, step.hash)
            for name, pods in step.pods.items()
            if any(node["metadata"]["name"] == name for node in step.nodes)
        }
        if surge == 0:
            self._replace(step, pairs, unavailable)
        else:
            self._surge(step, pairs, surge)

    def _replace(self, step: _Pass, pairs: Mapping[str, _Pair], most: int) -> None:
        """Delete old pods: those that are not available anyway, and as many more as may be unavailable."""
        lost: list[Obj] = []
        candidates: list[Obj] = []
        down = 0
        for pair in pairs.values():
            if pair is None or (pair[0] is None) == (pair[1] is None):
                down += 1
                continue
            new, old = pair
            if new is not None:
                down += not self._is_available(step, new)
            elif old is not None and not self._is_available(step, old):
                lost.append(old)
                down += 1
            elif old is not None:
                candidates.append(old)
        self._sync(step, [], [*lost, *candidates[: max(0, most - down)]])

    def _surge(self, step: _Pass, pairs: Mapping[str, _Pair], most: int) -> None:
        """Make new pods beside old ones, and delete an old one when the new one is available."""
        at_once: list[str] = []
        candidates: list[str] = []
        done: list[Obj] = []
        surging = 0
        for name, pair in pairs.items():
            if pair is None:
                surging += 1
                continue
            new, old = pair
            if old is None:
                continue
            if new is None:
                (candidates if self._is_available(step, old) else at_once).append(name)
            elif self._is_available(step, new):
                done.append(old)
            else:
                surging += 1
        self._sync(step, [*at_once, *candidates[: max(0, most - surging)]], done)

    def _is_available(self, step: _Pass, pod: Obj) -> bool:
        return podstate.is_available(pod, step.ds["spec"].get("minReadySeconds", 0), self.clock.now())

    # The status.

    def _write_status(self, step: _Pass, collisions: int | None) -> None:
        ds = self.sets.get(*key_of(step.ds))
        if ds is None or ds["metadata"]["uid"] != step.ds["metadata"]["uid"]:
            return
        pods = daemonpods.by_target(
            pod for pod in self.pods.indexed("controller", ds["metadata"]["uid"]) if not _is_over(pod)
        )
        status = self._counts(step, pods)
        status["observedGeneration"] = step.ds["metadata"].get("generation", 0)
        old = ds.get("status") or {}
        if collisions is not None:
            status["collisionCount"] = collisions
        if old.get("conditions"):
            status["conditions"] = old["conditions"]
        if status != old:
            self.client.update(DAEMONSETS, {**ds, "status": status}, subresource="status")

    def _counts(self, step: _Pass, pods: Mapping[str, list[Obj]]) -> Obj:
        desired = scheduled = misscheduled = ready = available = updated = 0
        for node in step.nodes:
            there = pods.get(node["metadata"]["name"])
            if not daemonpods.should_run(step.ds, node)[0]:
                misscheduled += bool(there)
                continue
            desired += 1
            if not there:
                continue
            scheduled += 1
            ready += podstate.is_ready(there[0])
            available += self._is_available(step, there[0])
            updated += daemonpods.hash_of(there[0]) == step.hash
            self._look_again_when_available(step, there[0])
        status = {
            "currentNumberScheduled": scheduled,
            "numberMisscheduled": misscheduled,
            "desiredNumberScheduled": desired,
            "numberReady": ready,
        }
        more = {
            "updatedNumberScheduled": updated,
            "numberAvailable": available,
            "numberUnavailable": desired - available,
        }
        return {**status, **{key: value for key, value in more.items() if value}}

    def _look_again_when_available(self, step: _Pass, pod: Obj) -> None:
        wait = step.ds["spec"].get("minReadySeconds", 0)
        if wait and podstate.is_ready(pod) and not self._is_available(step, pod):
            self.enqueue_after(key_of(step.ds), podstate.ready_since(pod) + wait - self.clock.now())


def _new_and_old(pods: Sequence[Obj], hashed: str) -> _Pair:
    staying = [pod for pod in pods if _stays(pod)]
    new = [pod for pod in staying if daemonpods.hash_of(pod) == hashed]
    old = [pod for pod in staying if daemonpods.hash_of(pod) != hashed]
    if len(new) > 1 or len(old) > 1:
        return None
    return (new[0] if new else None, old[0] if old else None)


def _stays(pod: Obj) -> bool:
    return "deletionTimestamp" not in pod["metadata"]


def _is_over(pod: Obj) -> bool:
    """Ended and on its way out: its place is free."""
    return podstate.phase(pod) in podstate.FINISHED and not _stays(pod)


def _same_for_daemons(old: Obj, new: Obj) -> bool:
    return bool(
        old["metadata"].get("labels") == new["metadata"].get("labels")
        and old["spec"].get("taints") == new["spec"].get("taints")
    )
