"""ReplicaSet and ReplicationController: so many pods of one template exist, no more, no fewer.

Both are one controller, as in Kubernetes; they differ in their kind and in what their selector looks like.
Pods are created in slices, so that a thousand of them do not keep everything else waiting; the status is written once a
burst is complete or has failed. Source: ``pkg/controller/replicaset/replica_set.go``, ``pkg/controller/replication``.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from simkube.apimachinery.errors import StatusError
from simkube.apimachinery.labels import matches
from simkube.client.client import Event, Obj, key_of
from simkube.component_helpers import pods as podstate
from simkube.component_helpers.owners import Claim, controller_of, controller_reference
from simkube.controllers.controller import Controller, by_controller
from simkube.controllers.podcontrol import PodControl, from_template
from simkube.controllers.ranking import to_delete

REPLICASETS = "replicasets.apps"
REPLICATION_CONTROLLERS = "replicationcontrollers"
SLICE = 20
"""So many pods are created or deleted in one go."""
SECONDS_PER_FAILED_POD = 0.1
"""For so long per failed pod there is no new one: a pod that fails at once must not be replaced as fast as it fails.

Kubernetes has 20 requests a second for all controllers together, which comes to the same.
"""
LONGEST_WAIT = 60.0


class ReplicaSetController(Controller):
    """Keys are ``(namespace, name)`` of replica sets."""

    name = "replicaset-controller"
    resource = REPLICASETS
    api_version = "apps/v1"
    kind = "ReplicaSet"
    counts_terminating = True

    def selector(self, rs: Obj) -> Obj | None:
        """Its ``LabelSelector``; None matches nothing."""
        found: Obj | None = rs["spec"].get("selector")
        return found

    def watch(self) -> None:
        """Replica sets, and pods as theirs or as orphans they may adopt."""
        self._created_at: dict[Hashable, float] = {}
        self.sets = self.client.informer(self.resource)
        self.pods = self.client.informer("pods")
        by_controller(self.sets)
        by_controller(self.pods)
        self.client.observe(self.resource, self._set_changed)
        self.client.observe("pods", self._pod_changed)

    def _set_changed(self, event: Event) -> None:
        self.enqueue(key_of(event.obj))

    def _pod_changed(self, event: Event) -> None:
        for pod in (event.obj, event.old):
            if pod is None:
                continue
            ref = controller_of(pod)
            if ref is not None:
                if ref.get("kind") == self.kind:
                    self.enqueue((pod["metadata"]["namespace"], ref["name"]))
            elif event.type != "DELETED" and "deletionTimestamp" not in pod["metadata"]:
                self._offer(pod)

    def _offer(self, pod: Obj) -> None:
        labels = pod["metadata"].get("labels")
        if labels:
            for rs in self.sets.list(pod["metadata"]["namespace"]):
                if matches(self.selector(rs), labels):
                    self.enqueue(key_of(rs))

    def reconcile(self, key: Hashable) -> None:
        """Claim pods, create or delete what is missing or too many, write the status."""
        assert isinstance(key, tuple)
        rs = self.sets.get(*key)
        if rs is None:
            self._created_at.pop(key, None)
            return
        mine = self._claimed(rs)
        active = [pod for pod in mine if podstate.is_active(pod)]
        failure: Obj | None = None
        if "deletionTimestamp" not in rs["metadata"] and not self._must_wait(rs, mine, active):
            done, failure = self._manage(rs, active)
            if not done:
                self.enqueue(key)
                return
            rs = self.sets.get(*key)
            if rs is None:
                return
            mine = self.pods.indexed("controller", rs["metadata"]["uid"])
        self._write_status(rs, mine, failure)
        if failure is not None:
            raise StatusError(failure["code"], failure["cause"], failure["message"])

    def _claimed(self, rs: Obj) -> list[Obj]:
        reference, selector = self._reference(rs), self.selector(rs)
        return Claim(self.client, self.pods, rs, reference, selector, adopts=podstate.is_active).objects()

    def _must_wait(self, rs: Obj, mine: Sequence[Obj], active: Sequence[Obj]) -> bool:
        """Whether pods are missing because they fail, and it is too early to make more."""
        failed = sum(podstate.phase(pod) == "Failed" for pod in mine)
        if not failed or len(active) >= rs["spec"].get("replicas", 1):
            return False
        key = key_of(rs)
        left = self._created_at.get(key, 0.0) + min(LONGEST_WAIT, failed * SECONDS_PER_FAILED_POD) - self.clock.now()
        if left > 0:
            self.enqueue_after(key, left)
        return left > 0

    def _manage(self, rs: Obj, active: Sequence[Obj]) -> tuple[bool, Obj | None]:
        """One slice towards the wanted number: whether that was all, and what went wrong."""
        missing = rs["spec"].get("replicas", 1) - len(active)
        control = PodControl(self.client, self.recorder, rs)
        try:
            if missing > 0:
                self._created_at[key_of(rs)] = self.clock.now()
                for _ in range(min(missing, SLICE)):
                    control.create(self._new_pod(rs))
                return missing <= SLICE, None
            surplus = to_delete(active, self._related(rs), -missing, self.clock.now()) if missing else []
            for pod in surplus[:SLICE]:
                control.delete(pod)
        except StatusError as error:
            reason = "FailedCreate" if missing > 0 else "FailedDelete"
            return True, {"reason": reason, "message": error.message, "code": error.code, "cause": error.reason}
        return len(surplus) <= SLICE, None

    def _related(self, rs: Obj) -> list[Obj]:
        """Pods of all replica sets with the same controller, this one's included."""
        owner = controller_of(rs)
        sets = self.sets.indexed("controller", owner["uid"]) if owner else [rs]
        return [pod for each in sets for pod in self.pods.indexed("controller", each["metadata"]["uid"])]

    def _reference(self, rs: Obj) -> Obj:
        return controller_reference(rs, self.api_version, self.kind)

    def _new_pod(self, rs: Obj) -> Obj:
        meta = rs["metadata"]
        return from_template(rs["spec"]["template"], meta["name"], meta["namespace"], self._reference(rs))

    def _write_status(self, rs: Obj, mine: Sequence[Obj], failure: Obj | None) -> None:
        now = self.clock.now()
        wait = rs["spec"].get("minReadySeconds", 0)
        active = [pod for pod in mine if podstate.is_active(pod)]
        ready = [pod for pod in active if podstate.is_ready(pod)]
        available = [pod for pod in ready if podstate.is_available(pod, wait, now)]
        self._look_again_when_available(rs, ready, wait, now)
        status = self._status(rs, mine, active, failure)
        for field, count in (("readyReplicas", len(ready)), ("availableReplicas", len(available))):
            if count:
                status[field] = count
        old = {key: value for key, value in (rs.get("status") or {}).items() if value not in (0, [], None)}
        if {key: value for key, value in status.items() if value} == old and "replicas" in (rs.get("status") or {}):
            return
        update = dict(rs)
        update["status"] = status
        self.client.update(self.resource, update, subresource="status")

    def _status(self, rs: Obj, mine: Sequence[Obj], active: Sequence[Obj], failure: Obj | None) -> Obj:
        wanted = {"matchLabels": (rs["spec"]["template"].get("metadata") or {}).get("labels") or {}}
        labeled = sum(matches(wanted, pod["metadata"].get("labels")) for pod in active)
        status: Obj = {
            "replicas": len(active),
            "observedGeneration": rs["metadata"].get("generation", 0),
        }
        if self.counts_terminating:
            status["terminatingReplicas"] = sum(podstate.is_terminating(pod) for pod in mine)
        if labeled:
            status["fullyLabeledReplicas"] = labeled
        conditions = [
            each for each in (rs.get("status") or {}).get("conditions") or () if each["type"] != "ReplicaFailure"
        ]
        if failure is not None:
            old = podstate.condition(rs, "ReplicaFailure")
            conditions.append(  # the first failure is told of until there is none
                old
                if old is not None
                else {
                    "type": "ReplicaFailure",
                    "status": "True",
                    "lastTransitionTime": self.clock.timestamp(),
                    "reason": failure["reason"],
                    "message": failure["message"],
                }
            )
        if conditions:
            status["conditions"] = conditions
        return status

    def _look_again_when_available(self, rs: Obj, ready: Sequence[Obj], wait: int, now: float) -> None:
        if wait:
            due = [podstate.ready_since(pod) + wait - now for pod in ready]
            soonest = min((seconds for seconds in due if seconds > 0), default=None)
            if soonest is not None:
                self.enqueue_after(key_of(rs), soonest)


class ReplicationManager(ReplicaSetController):
    """Keys are ``(namespace, name)`` of replication controllers."""

    name = "replication-controller"
    resource = REPLICATION_CONTROLLERS
    api_version = "v1"
    kind = "ReplicationController"
    counts_terminating = False

    def selector(self, rs: Obj) -> Obj | None:
        """Labels all of which must be there; none at all match nothing."""
        labels = rs["spec"].get("selector")
        return {"matchLabels": labels} if labels else None
