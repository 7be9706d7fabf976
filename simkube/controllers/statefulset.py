"""StatefulSet: pods with a name, a place in an order and storage of their own.

A pass walks the ordinals: makes what is missing, waits for what is not ready (unless the policy is Parallel), takes
away what is too many from the top, and replaces pods of an old template from the top, down to the partition.

Source: ``pkg/controller/statefulset/stateful_set_control.go``. Walking stops at the first pod to wait for, and a
Parallel set grows in slices, so that a set of any size costs a pass what there is of it.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from simkube.apimachinery.errors import StatusError
from simkube.apimachinery.labels import matches
from simkube.client.client import Event, Obj, key_of
from simkube.component_helpers import pods as podstate
from simkube.component_helpers.owners import Claim, controller_of
from simkube.controllers import statefulpods
from simkube.controllers.claims import CLAIMS, Claims
from simkube.controllers.controller import Controller, by_controller
from simkube.controllers.history import REVISIONS, History, template_of
from simkube.controllers.rollout import scaled_value

STATEFULSETS = "statefulsets.apps"
SLICE = 20
"""So many pods of a Parallel set are created in one go."""


@dataclass(slots=True)
class _Pass:
    """What one reconcile works with."""

    sts: Obj
    pods: dict[int, Obj]
    current: Obj
    update: Obj
    claims: Claims
    ordered: bool

    @property
    def condemned(self) -> list[Obj]:
        """Pods outside the wanted range, the highest ordinal first."""
        wanted = statefulpods.wanted(self.sts)
        return [self.pods[each] for each in sorted(self.pods, reverse=True) if each not in wanted]


class StatefulSetController(Controller):
    """Keys are ``(namespace, name)`` of stateful sets."""

    name = "statefulset-controller"
    resource = "statefulsets.apps"

    def watch(self) -> None:
        """Stateful sets, their pods, and their revisions."""
        self.sets = self.client.informer(STATEFULSETS)
        self.pods = self.client.informer("pods")
        self.revisions = self.client.informer(REVISIONS)
        self.claims = self.client.informer(CLAIMS)
        by_controller(self.pods)
        by_controller(self.revisions)
        self.client.observe(STATEFULSETS, lambda event: self.enqueue(key_of(event.obj)))
        self.client.observe("pods", self._pod_changed)
        self.client.observe(CLAIMS, self._claim_changed)

    def _pod_changed(self, event: Event) -> None:
        for pod in (event.obj, event.old):
            if pod is None:
                continue
            ref = controller_of(pod)
            namespace = pod["metadata"]["namespace"]
            if ref is not None:
                if ref.get("kind") == statefulpods.KIND:
                    self.enqueue((namespace, ref["name"]))
            elif event.type != "DELETED":
                sts = self.sets.get(namespace, statefulpods.parent_and_ordinal(pod)[0])
                if sts is not None and matches(sts["spec"].get("selector"), pod["metadata"].get("labels")):
                    self.enqueue(key_of(sts))

    def _claim_changed(self, event: Event) -> None:
        """The end of a claim may be what a pod waited for."""
        if event.type == "DELETED":
            meta = event.obj["metadata"]
            for part in range(1, meta["name"].count("-") + 1):
                name = meta["name"].split("-", part)[-1].rpartition("-")[0]
                if name and self.sets.get(meta["namespace"], name) is not None:
                    self.enqueue((meta["namespace"], name))

    def reconcile(self, key: Hashable) -> None:
        """Find the revisions, take one step, write the status, forget old revisions."""
        assert isinstance(key, tuple)
        sts = self.sets.get(*key)
        if sts is None:
            return
        pods = self._claimed(sts)
        history = self._history(sts)
        revisions = history.revisions()
        update, collisions = history.settle(revisions, (sts.get("status") or {}).get("collisionCount") or 0)
        noted = (sts.get("status") or {}).get("currentRevision")
        current = next((each for each in revisions if each["metadata"]["name"] == noted), update)
        step = _Pass(
            sts,
            {statefulpods.ordinal(pod): pod for pod in pods},
            current,
            update,
            Claims(self.client, self.claims, self.recorder, sts),
            sts["spec"].get("podManagementPolicy", "OrderedReady") != "Parallel",
        )
        failure: StatusError | None = None
        if "deletionTimestamp" not in sts["metadata"]:
            try:
                self._advance(step)
            except StatusError as error:
                failure = error
        self._write_status(step, collisions)
        live = {current["metadata"]["name"], update["metadata"]["name"], *map(statefulpods.revision_of, pods)}
        history.truncate(history.revisions(), lambda revision: revision["metadata"]["name"] in live)
        if failure is not None:
            raise failure

    def _claimed(self, sts: Obj) -> list[Obj]:
        name: str = sts["metadata"]["name"]

        def is_named_for_it(pod: Obj) -> bool:
            return statefulpods.parent_and_ordinal(pod)[0] == name

        reference, selector = statefulpods.reference(sts), sts["spec"].get("selector")
        return Claim(self.client, self.pods, sts, reference, selector, fits=is_named_for_it).objects()

    def _history(self, sts: Obj) -> History:
        annotations = sts["metadata"].get("annotations") or {}
        label = "controller.kubernetes.io/hash"
        return History(self.client, self.revisions, sts, statefulpods.reference(sts), label, annotations)

    # One step.

    def _advance(self, step: _Pass) -> None:
        """Living replicas first, then those to go, then those of an old template."""
        first_unhealthy = self._first_unhealthy(step)
        if self._keep_replicas(step):
            return
        for pod in step.condemned:
            step.claims.settle_owners(pod, condemned=True)
        if self._remove_condemned(step, first_unhealthy):
            return
        if (step.sts["spec"].get("updateStrategy") or {}).get("type", "RollingUpdate") == "RollingUpdate":
            self._replace_outdated(step)

    def _first_unhealthy(self, step: _Pass) -> Obj | None:
        """The first pod that is not available: from the bottom of the wanted ones, or else of the condemned."""
        wait, now = step.sts["spec"].get("minReadySeconds", 0), self.clock.now()
        for each in statefulpods.wanted(step.sts):
            pod = step.pods.get(each)
            if not statefulpods.is_healthy(pod, wait, now):
                return pod
        unhealthy = (pod for pod in reversed(step.condemned) if not statefulpods.is_healthy(pod, wait, now))
        return next(unhealthy, None)

    def _keep_replicas(self, step: _Pass) -> bool:
        """Make and mend what there should be; whether to go no further in this pass."""
        made = 0
        for each in statefulpods.wanted(step.sts):
            pod = step.pods.get(each)
            if pod is not None:
                if self._mend(step, pod) and step.ordered:
                    return True
                continue
            if made == SLICE:
                self.enqueue(key_of(step.sts))
                return True
            if step.claims.are_stale(each, None):
                if step.ordered:
                    return True
                continue
            self._create(step, each)
            made += 1
            if step.ordered:
                return True
        return made > 0

    def _mend(self, step: _Pass, pod: Obj) -> bool:
        """Bring one pod in order; whether an ordered set waits for it."""
        wait = step.sts["spec"].get("minReadySeconds", 0)
        if podstate.phase(pod) in podstate.FINISHED:
            if "deletionTimestamp" not in pod["metadata"]:
                self._delete(step, pod)
            return True
        if podstate.phase(pod) == "Pending" and "deletionTimestamp" not in pod["metadata"]:
            step.claims.create_missing(statefulpods.ordinal(pod), pod["metadata"]["name"])
        if step.ordered and not statefulpods.is_healthy(pod, wait, self.clock.now()):
            return True
        step.claims.settle_owners(pod, condemned=False)
        if not statefulpods.has_identity(pod):
            labels = {statefulpods.NAME_LABEL: pod["metadata"]["name"]}
            self.client.patch("pods", pod["metadata"]["name"], {"metadata": {"labels": labels}}, key_of(pod)[0])
        return False

    def _remove_condemned(self, step: _Pass, first_unhealthy: Obj | None) -> bool:
        """Take away what is too many, one at a time when ordered; whether to go no further."""
        wait, now = step.sts["spec"].get("minReadySeconds", 0), self.clock.now()
        for pod in step.condemned:
            if "deletionTimestamp" in pod["metadata"]:
                if step.ordered:
                    return True
                continue
            if step.ordered and pod is not first_unhealthy and not statefulpods.is_available(pod, wait, now):
                return True
            self._delete(step, pod)
            if step.ordered:
                return True
        return bool(step.condemned)

    def _replace_outdated(self, step: _Pass) -> None:
        """Delete pods of another template from the top down, no more than may be unavailable."""
        rolling = (step.sts["spec"].get("updateStrategy") or {}).get("rollingUpdate") or {}
        wanted = statefulpods.wanted(step.sts)
        lowest = wanted.start + int(rolling.get("partition") or 0)
        wait, now = step.sts["spec"].get("minReadySeconds", 0), self.clock.now()
        most = max(1, scaled_value(rolling.get("maxUnavailable", 1), len(wanted), up=True))
        name = step.update["metadata"]["name"]
        for each in reversed(wanted):
            pod = step.pods.get(each)
            if each < lowest or pod is None or most <= 0:
                return
            if statefulpods.revision_of(pod) != name and "deletionTimestamp" not in pod["metadata"]:
                self._delete(step, pod)
                most -= 1
            elif not statefulpods.is_healthy(pod, wait, now):
                most -= 1

    # Pods.

    def _create(self, step: _Pass, number: int) -> None:
        name = f"{step.sts['metadata']['name']}-{number}"
        step.claims.create_missing(number, name)
        revision = step.current if self._needs_current(step, number) else step.update
        pod = statefulpods.new_pod(step.sts, template_of(revision), revision["metadata"]["name"], number)
        try:
            made = self.client.create("pods", pod, pod["metadata"]["namespace"])
        except StatusError as error:
            if error.reason != "AlreadyExists":
                self._tell(step, "Create", name, error)
            raise
        self._tell(step, "Create", name, None)
        step.claims.settle_owners(made, condemned=False)

    def _needs_current(self, step: _Pass, number: int) -> bool:
        """Whether a new pod is still made from the old template: below the partition of a rolling update."""
        strategy = step.sts["spec"].get("updateStrategy") or {}
        if strategy.get("type", "RollingUpdate") != "RollingUpdate":
            return False
        lowest = statefulpods.start(step.sts)
        rolling = strategy.get("rollingUpdate")
        if rolling is None:
            return number < lowest + int((step.sts.get("status") or {}).get("currentReplicas", 0))
        return number < lowest + int(rolling.get("partition") or 0)

    def _delete(self, step: _Pass, pod: Obj) -> None:
        meta = pod["metadata"]
        try:
            self.client.delete("pods", meta["name"], meta["namespace"], preconditions={"uid": meta["uid"]})
        except StatusError as error:
            self._tell(step, "Delete", meta["name"], error)
            raise
        self._tell(step, "Delete", meta["name"], None)

    def _tell(self, step: _Pass, verb: str, pod: str, error: StatusError | None) -> None:
        what = f"{verb} Pod {pod} in StatefulSet {step.sts['metadata']['name']}"
        if error is None:
            self.recorder.event(step.sts, "Normal", f"Successful{verb}", f"{what} successful")
        else:
            self.recorder.event(step.sts, "Warning", f"Failed{verb}", f"{what} failed error: {error.message}")

    # The status.

    def _write_status(self, step: _Pass, collisions: int) -> None:
        sts = self.sets.get(*key_of(step.sts))
        if sts is None or sts["metadata"]["uid"] != step.sts["metadata"]["uid"]:
            return
        pods = self.pods.indexed("controller", sts["metadata"]["uid"])
        current, update = step.current["metadata"]["name"], step.update["metadata"]["name"]
        numbers = statefulpods.counts(sts, pods, current, update, self.clock.now())
        strategy = (sts["spec"].get("updateStrategy") or {}).get("type", "RollingUpdate")
        all_of = (numbers["updatedReplicas"], numbers["readyReplicas"], numbers["replicas"])
        if strategy == "RollingUpdate" and all_of == (sts["spec"].get("replicas", 1),) * 3:
            numbers["currentReplicas"], current = numbers["updatedReplicas"], update
        status: Obj = {key: value for key, value in numbers.items() if value or key in _ALWAYS}
        status["observedGeneration"] = step.sts["metadata"].get("generation", 0)
        status["currentRevision"], status["updateRevision"] = current, update
        status["collisionCount"] = collisions
        old = sts.get("status") or {}
        if old.get("conditions"):
            status["conditions"] = old["conditions"]
        self._look_again_when_available(sts, pods)
        if status != old:
            self.client.update(STATEFULSETS, {**sts, "status": status}, subresource="status")

    def _look_again_when_available(self, sts: Obj, pods: Sequence[Obj]) -> None:
        wait = sts["spec"].get("minReadySeconds", 0)
        if wait:
            due = [podstate.ready_since(pod) + wait - self.clock.now() for pod in pods if podstate.is_ready(pod)]
            soonest = min((seconds for seconds in due if seconds > 0), default=None)
            if soonest is not None:
                self.enqueue_after(key_of(sts), soonest)


_ALWAYS = ("replicas", "availableReplicas")
"""Counts that are written when they are 0 too."""
