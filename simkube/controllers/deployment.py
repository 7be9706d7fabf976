"""Deployment: replica sets of successive templates, rolled over without losing what must be available.

One pass takes one step (scale up, or scale down) and writes the status; the change it made brings it back for the next.
Undo is kubectl's: it writes an older template, whose replica set is found and used again.

Source: ``pkg/controller/deployment`` (``deployment_controller.go``, ``sync.go``, ``rolling.go``, ``recreate.go``).
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from simkube.apimachinery.errors import StatusError
from simkube.apimachinery.labels import matches
from simkube.client.client import Event, Obj, copy_of, key_of
from simkube.component_helpers import pods as podstate
from simkube.component_helpers.owners import Claim, controller_of, controller_reference
from simkube.controllers import progress, revisions, rollout
from simkube.controllers.controller import Controller, by_controller
from simkube.controllers.replicaset import REPLICASETS

DEPLOYMENTS = "deployments.apps"


class DeploymentController(Controller):
    """Keys are ``(namespace, name)`` of deployments."""

    name = "deployment-controller"
    resource = "deployments.apps"

    def watch(self) -> None:
        """Deployments, their replica sets, and the end of pods (a Recreate waits for it)."""
        self.deployments = self.client.informer(DEPLOYMENTS)
        self.sets = self.client.informer(REPLICASETS)
        self.pods = self.client.informer("pods")
        by_controller(self.sets)
        by_controller(self.pods)
        self.client.observe(DEPLOYMENTS, lambda event: self.enqueue(key_of(event.obj)))
        self.client.observe(REPLICASETS, self._set_changed)
        self.client.observe("pods", self._pod_changed)

    def _set_changed(self, event: Event) -> None:
        for rs in (event.obj, event.old):
            if rs is None:
                continue
            ref = controller_of(rs)
            if ref is not None:
                if ref.get("kind") == "Deployment":
                    self.enqueue((rs["metadata"]["namespace"], ref["name"]))
            elif event.type != "DELETED":
                for deployment in self.deployments.list(rs["metadata"]["namespace"]):
                    if matches(deployment["spec"].get("selector"), rs["metadata"].get("labels")):
                        self.enqueue(key_of(deployment))

    def _pod_changed(self, event: Event) -> None:
        if event.type != "DELETED":
            return
        ref = controller_of(event.obj)
        rs = self.sets.get(event.obj["metadata"]["namespace"], ref["name"]) if ref else None
        owner = controller_of(rs) if rs is not None else None
        if rs is not None and owner is not None:
            deployment = self.deployments.get(rs["metadata"]["namespace"], owner["name"])
            if deployment is not None and not rollout.is_rolling(deployment):
                self.enqueue(key_of(deployment))

    def reconcile(self, key: Hashable) -> None:
        """One step of whatever the deployment is in the middle of."""
        assert isinstance(key, tuple)
        deployment = self.deployments.get(*key)
        if deployment is None:
            return
        sets = self._claimed(deployment)
        if "deletionTimestamp" in deployment["metadata"]:
            new = revisions.find_new(deployment, sets)
            self._write_counts(deployment, sets, new)
        elif self._note_pause(deployment):
            return
        elif deployment["spec"].get("paused") or revisions.is_scaling(deployment, sets):
            self._sync(deployment, sets)
        elif rollout.is_rolling(deployment):
            self._roll(deployment, sets)
        else:
            self._recreate(deployment, sets)

    def _claimed(self, deployment: Obj) -> list[Obj]:
        reference = controller_reference(deployment, "apps/v1", "Deployment")
        return Claim(self.client, self.sets, deployment, reference, deployment["spec"].get("selector")).objects()

    # What a reconcile does, one method a case.

    def _note_pause(self, deployment: Obj) -> bool:
        """Keep the condition Progressing honest about ``spec.paused``; whether it was written."""
        if progress.deadline(deployment) is None:
            return False
        current = podstate.condition(deployment, "Progressing")
        reason = current.get("reason") if current else ""
        paused = bool(deployment["spec"].get("paused"))
        if reason == "ProgressDeadlineExceeded" or paused == (reason == "DeploymentPaused"):
            return False
        new = "DeploymentPaused" if paused else "DeploymentResumed"
        message = "Deployment is paused" if paused else "Deployment is resumed"
        made = progress.make_condition("Progressing", "Unknown", new, message, self.clock.timestamp())
        self._update_status(deployment, progress.with_condition(deployment.get("status") or {}, made))
        return True

    def _sync(self, deployment: Obj, sets: list[Obj]) -> None:
        """Scale without rolling: while paused, or when only the number of replicas changed."""
        new = self._existing_new(deployment, sets)
        if isinstance(new, bool):
            return
        old = [rs for rs in sets if rs is not new]
        self._scale_all(deployment, new, old)
        if deployment["spec"].get("paused"):
            self._clean_up(deployment, old)
        self._write_counts(deployment, *self._again(deployment))

    def _roll(self, deployment: Obj, sets: list[Obj]) -> None:
        new = self._new_set(deployment, sets)
        if new is None:
            return
        deployment = self._now(deployment)
        old = [rs for rs in sets if rs["metadata"]["uid"] != new["metadata"]["uid"]]
        everything = [*old, new]
        if not self._grow_new(deployment, new, everything) and not self._shrink_old(deployment, new, old):
            self._clean_up_when_complete(deployment, old)
        self._write_status(deployment)

    def _recreate(self, deployment: Obj, sets: list[Obj]) -> None:
        new = self._existing_new(deployment, sets)
        if isinstance(new, bool):
            return
        old = [rs for rs in sets if rs is not new]
        shrunk = [self._scale(deployment, rs, 0) for rs in rollout.active(old)]
        if any(shrunk) or any(self._has_pods(rs) for rs in old):
            self._write_status(deployment)
            return
        if new is None:
            new = self._new_set(deployment, sets)
            if new is None:
                return
            deployment = self._now(deployment)
        self._scale(deployment, new, rollout.replicas(deployment))
        self._clean_up_when_complete(deployment, old)
        self._write_status(deployment)

    def _has_pods(self, rs: Obj) -> bool:
        pods = self.pods.indexed("controller", rs["metadata"]["uid"])
        return any(podstate.phase(pod) not in podstate.FINISHED for pod in pods)

    # The new replica set.

    def _existing_new(self, deployment: Obj, sets: Sequence[Obj]) -> Obj | bool | None:
        """The replica set of the current template, with its revision noted; True when something was written."""
        new = revisions.find_new(deployment, sets)
        if new is None:
            return None
        number = max((revisions.revision(rs) for rs in sets if rs is not new), default=0) + 1
        changed = revisions.annotated(deployment, new, number, exists=True)
        wait = deployment["spec"].get("minReadySeconds", 0)
        if new["spec"].get("minReadySeconds", 0) != wait:
            changed = changed or copy_of(new)
            changed["spec"]["minReadySeconds"] = wait
        if changed is not None:
            self.client.update(REPLICASETS, changed)
            return True
        message = f'Found new replica set "{new["metadata"]["name"]}"'
        return self._note_revision(deployment, new, "FoundNewReplicaSet", message) or new

    def _note_revision(self, deployment: Obj, rs: Obj, reason: str, message: str) -> bool:
        """Note the revision on the deployment, and progress if there was none; whether that was written."""
        updated = deployment
        number = (rs["metadata"].get("annotations") or {}).get(revisions.REVISION, "")
        if (deployment["metadata"].get("annotations") or {}).get(revisions.REVISION) != number:
            updated = copy_of(deployment)
            updated["metadata"].setdefault("annotations", {})[revisions.REVISION] = number
        status = deployment.get("status") or {}
        created = reason == "NewReplicaSetCreated"
        missing = podstate.condition(deployment, "Progressing") is None
        if progress.deadline(deployment) is not None and (created or missing):
            now = self.clock.timestamp()
            status = progress.with_condition(
                status, progress.make_condition("Progressing", "True", reason, message, now)
            )
        if updated is deployment and status == (deployment.get("status") or {}):
            return False
        self._update_status(updated, status)
        return True

    def _new_set(self, deployment: Obj, sets: Sequence[Obj]) -> Obj | None:
        """The replica set of the current template, made if need be; None when this pass can do no more.

        When it was made, the deployment has been written too.
        """
        found = self._existing_new(deployment, sets)
        if isinstance(found, bool):
            return None
        if found is not None:
            return found
        collisions = (deployment.get("status") or {}).get("collisionCount")
        hashed = revisions.template_hash(deployment["spec"]["template"], collisions)
        owner = controller_reference(deployment, "apps/v1", "Deployment")
        new = revisions.new_replica_set(deployment, owner, hashed)
        new["spec"]["replicas"] = rollout.new_set_size(deployment, [*sets, new], new)
        number = max((revisions.revision(rs) for rs in sets), default=0) + 1
        new = revisions.annotated(deployment, new, number, exists=False) or new
        made = self._create_set(deployment, new)
        if made is None:
            return None
        name, size = made["metadata"]["name"], rollout.replicas(made)
        if size > 0:
            message = f"Scaled up replica set {name} from 0 to {size}"
            self.recorder.event(deployment, "Normal", "ScalingReplicaSet", message)
        self._note_revision(deployment, made, "NewReplicaSetCreated", f'Created new replica set "{name}"')
        return made

    def _create_set(self, deployment: Obj, new: Obj) -> Obj | None:
        meta = new["metadata"]
        try:
            return self.client.create(REPLICASETS, new, meta["namespace"])
        except StatusError as error:
            if error.reason == "AlreadyExists":
                self._collide(deployment, new)
                return None
            causes = (error.details or {}).get("causes") or ()
            if any(cause.get("reason") == "NamespaceTerminating" for cause in causes):
                return None
            message = f'Failed to create new replica set "{meta["name"]}": {error.message}'
            self.recorder.event(deployment, "Warning", "ReplicaSetCreateError", message)
            if progress.deadline(deployment) is not None:
                now = self.clock.timestamp()
                made = progress.make_condition("Progressing", "False", "ReplicaSetCreateError", message, now)
                self._update_status(deployment, progress.with_condition(deployment.get("status") or {}, made))
            raise

    def _collide(self, deployment: Obj, new: Obj) -> None:
        """Another replica set has the name: try the next hash, unless it is ours and was only not seen yet."""
        taken = self.client.get(REPLICASETS, new["metadata"]["name"], new["metadata"]["namespace"])
        ref = controller_of(taken)
        ours = ref is not None and ref["uid"] == deployment["metadata"]["uid"]
        if ours and revisions.same_template(taken["spec"]["template"], deployment["spec"]["template"]):
            self.enqueue(key_of(deployment))
            return
        status = dict(deployment.get("status") or {})
        status["collisionCount"] = status.get("collisionCount", 0) + 1
        self._update_status(deployment, status)

    # Growing and shrinking.

    def _grow_new(self, deployment: Obj, new: Obj, everything: Sequence[Obj]) -> bool:
        has, wanted = rollout.replicas(new), rollout.replicas(deployment)
        if has == wanted:
            return False
        size = wanted if has > wanted else rollout.new_set_size(deployment, everything, new)
        return self._scale(deployment, new, size)

    def _shrink_old(self, deployment: Obj, new: Obj, old: Sequence[Obj]) -> bool:
        """Take away old pods: first those that are not available anyway, then as many as may be unavailable."""
        if rollout.total(old) == 0:
            return False
        least = rollout.replicas(deployment) - rollout.max_unavailable(deployment)
        new_unavailable = rollout.replicas(new) - (new.get("status") or {}).get("availableReplicas", 0)
        most = rollout.total([*old, new]) - least - new_unavailable
        if most <= 0:
            return False
        sizes = {rs["metadata"]["name"]: rollout.replicas(rs) for rs in old}
        cleaned = 0
        for rs in rollout.by_age(old):
            has = rollout.replicas(rs)
            dead = max(0, has - (rs.get("status") or {}).get("availableReplicas", 0))
            count = min(most - cleaned, dead)
            sizes[rs["metadata"]["name"]] -= count
            cleaned += count
        spare = rollout.status_total([*old, new], "availableReplicas") - least
        for rs in rollout.by_age(old):
            count = max(0, min(sizes[rs["metadata"]["name"]], spare))
            sizes[rs["metadata"]["name"]] -= count
            spare -= count
        scaled = [self._scale(deployment, rs, sizes[rs["metadata"]["name"]]) for rs in rollout.by_age(old)]
        return any(scaled)

    def _scale_all(self, deployment: Obj, new: Obj | None, old: Sequence[Obj]) -> None:
        """Give a deployment of another size to its replica sets, in proportion when it is being rolled."""
        running = rollout.active([*old, *([new] if new else [])])
        latest = new or next(iter(reversed(rollout.by_age(old))), None)
        only = running[0] if len(running) == 1 else latest if not running else None
        if only is not None:
            self._scale(deployment, only, rollout.replicas(deployment))
        elif rollout.is_saturated(deployment, new):
            for rs in rollout.active(old):
                self._scale(deployment, rs, 0)
        elif rollout.is_rolling(deployment):
            for rs, size in rollout.proportional_sizes(deployment, [*old, *([new] if new else [])]):
                self._scale(deployment, rs, size)

    def _scale(self, deployment: Obj, rs: Obj, size: int) -> bool:
        """Set the size of a replica set and what it notes about its deployment; whether its size changed."""
        has = rollout.replicas(rs)
        noted = rs["metadata"].get("annotations") or {}
        annotations = {**noted, **revisions.size_annotations(deployment)}
        if has == size and annotations == noted:
            return False
        changed = copy_of(rs)
        changed["spec"]["replicas"] = size
        changed["metadata"]["annotations"] = annotations
        self.client.update(REPLICASETS, changed)
        if has != size:
            direction = "up" if size > has else "down"
            message = f"Scaled {direction} replica set {rs['metadata']['name']} from {has} to {size}"
            self.recorder.event(deployment, "Normal", "ScalingReplicaSet", message)
        return has != size

    def _clean_up_when_complete(self, deployment: Obj, old: Sequence[Obj]) -> None:
        if progress.is_complete(deployment, deployment.get("status") or {}):
            self._clean_up(deployment, old)

    def _clean_up(self, deployment: Obj, old: Sequence[Obj]) -> None:
        """Delete the oldest empty replica sets beyond ``revisionHistoryLimit``."""
        limit = deployment["spec"].get("revisionHistoryLimit")
        alive = [rs for rs in old if "deletionTimestamp" not in rs["metadata"]]
        if limit is None or len(alive) <= limit:
            return
        for rs in sorted(alive, key=revisions.revision)[: len(alive) - limit]:
            status = rs.get("status") or {}
            seen = rs["metadata"].get("generation", 0) <= status.get("observedGeneration", 0)
            if seen and not status.get("replicas") and rollout.replicas(rs) == 0:
                self.client.delete(REPLICASETS, rs["metadata"]["name"], rs["metadata"]["namespace"])

    # The status.

    def _now(self, deployment: Obj) -> Obj:
        """The deployment as it is now, after a write of this pass."""
        return self.deployments.get(*key_of(deployment)) or deployment

    def _again(self, deployment: Obj) -> tuple[list[Obj], Obj | None]:
        """The replica sets as they are now, and the new one among them."""
        uid = deployment["metadata"]["uid"]
        sets = self.sets.indexed("controller", uid)
        return sets, revisions.find_new(deployment, sets)

    def _write_counts(self, deployment: Obj, sets: Sequence[Obj], new: Obj | None) -> None:
        status = progress.counts(deployment, sets, new, self.clock.timestamp())
        if status != (deployment.get("status") or {}):
            self._update_status(deployment, status)

    def _write_status(self, deployment: Obj) -> None:
        """Counts and conditions; when nothing changed, look again once the progress deadline has passed."""
        sets, new = self._again(deployment)
        now = self.clock.timestamp()
        status = progress.counts(deployment, sets, new, now)
        status = progress.with_progress(deployment, status, new, now, self.clock.now())
        status = progress.with_failures(status, sets, new)
        if status != (deployment.get("status") or {}):
            self._update_status(deployment, status)
            return
        current = podstate.condition(deployment, "Progressing")
        seconds = progress.deadline(deployment)
        stuck = current is None or current.get("reason") == "ProgressDeadlineExceeded"
        if seconds is None or current is None or stuck or progress.is_complete(deployment, status):
            self.dequeue(key_of(deployment))
            return
        due = podstate.seconds_of(current.get("lastUpdateTime")) + seconds - self.clock.now()
        self.enqueue_after(key_of(deployment), max(0.0, due) + 1.0)

    def _update_status(self, deployment: Obj, status: Obj) -> None:
        self.client.update(DEPLOYMENTS, {**deployment, "status": status}, subresource="status")
