"""Job: pods until enough of them have succeeded, or too many have failed.

Every pod bears a finalizer until it is counted, so that none is counted twice or lost: first the status notes the pod
as uncounted, then the finalizer goes, then the count goes up. What follows from a change of pods waits a second, so
that a burst of them costs one pass. Source: ``pkg/controller/job/job_controller.go``.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

from simkube.apimachinery.errors import StatusError
from simkube.apimachinery.labels import matches
from simkube.client.client import Event, Key, Obj, copy_of, key_of
from simkube.component_helpers import pods as podstate
from simkube.component_helpers.owners import Claim, controller_of
from simkube.controllers import jobpods, jobtracking
from simkube.controllers.controller import Controller, by_controller
from simkube.controllers.jobcompletion import Ending, Facts, condition, ending
from simkube.controllers.podcontrol import PodControl
from simkube.controllers.ranking import to_delete

JOBS = "jobs.batch"
BATCH_SECONDS = 1.0
"""What follows from changes of pods waits for so long."""
SLICE = 50
"""So many pods are created or deleted in one go."""
FIRST_WAIT = 10.0
"""Seconds after a failure until there is a new pod; twice as long after each further one."""
LONGEST_WAIT = 600.0
MANAGER = "kubernetes.io/job-controller"
_ORPHAN = "orphan pod"


@dataclass(slots=True)
class _Sync:
    """What one pass knows and has decided."""

    job: Obj
    status: Obj
    facts: Facts
    control: PodControl
    terminating: int
    record: tuple[int, float]
    active: int = 0
    ready: int = 0
    ending: Ending | None = None
    delayed: dict[int, Obj] = field(default_factory=dict)
    changed: bool = False

    @property
    def final(self) -> Obj | None:
        """The condition that a decided end leads to."""
        return self.ending.final if self.ending is not None else None


class JobController(Controller):
    """Keys are ``(namespace, name)`` of jobs, with a third word for a timer of its own; or an orphan pod's."""

    name = "job-controller"
    resource = "jobs.batch"

    def watch(self) -> None:
        """Jobs, and pods as theirs."""
        self._records: dict[Key, tuple[int, float]] = {}
        self.jobs = self.client.informer(JOBS)
        self.pods = self.client.informer("pods")
        by_controller(self.pods)
        self.client.observe(JOBS, self._job_changed)
        self.client.observe("pods", self._pod_changed)

    def _job_changed(self, event: Event) -> None:
        key = key_of(event.obj)
        if event.type == "DELETED":
            for pod in self.pods.indexed("controller", event.obj["metadata"]["uid"]):
                self._look_at_orphan(pod)
        same = event.old is not None and event.old["metadata"].get("generation") == event.obj["metadata"]["generation"]
        if same and "deletionTimestamp" not in event.obj["metadata"]:
            self._soon(key)
        else:
            self.enqueue(key)

    def _pod_changed(self, event: Event) -> None:
        for pod in (event.obj, event.old):
            if pod is None:
                continue
            ref, namespace = controller_of(pod), pod["metadata"]["namespace"]
            job = self.jobs.get(namespace, ref["name"]) if ref and ref.get("kind") == jobpods.KIND else None
            if job is not None:
                self._soon(key_of(job))
            elif event.type != "DELETED" and pod is event.obj:
                if jobpods.is_tracked(pod):
                    self._look_at_orphan(pod)
                if ref is None:
                    self._offer(pod)

    def _look_at_orphan(self, pod: Obj) -> None:
        if jobpods.is_tracked(pod):
            self.enqueue((_ORPHAN, *key_of(pod)))

    def _offer(self, pod: Obj) -> None:
        labels = pod["metadata"].get("labels")
        if labels:
            for job in self.jobs.list(pod["metadata"]["namespace"]):
                if matches(job["spec"].get("selector"), labels):
                    self._soon(key_of(job))

    def _soon(self, key: Key) -> None:
        if key not in self._timers:
            self.enqueue_after(key, BATCH_SECONDS)

    def reconcile(self, key: Hashable) -> None:
        """Look, decide, create or delete, count."""
        assert isinstance(key, tuple)
        if key[0] == _ORPHAN:
            self._free_orphan(key[1], key[2])
            return
        job = self.jobs.get(key[0], key[1])
        if job is None:
            self._records.pop((key[0], key[1]), None)
            return
        if is_finished(job) or job["spec"].get("managedBy", MANAGER) != MANAGER:
            self._records.pop(key_of(job), None)
            return
        sync = self._look(job)
        failure: StatusError | None = None
        try:
            self._act(sync)
        except StatusError as error:
            failure = error
        self._count(sync)
        if failure is not None:
            raise failure

    def _free_orphan(self, namespace: str, name: str) -> None:
        """A pod whose job is gone is nobody's to count."""
        pod = self.pods.get(namespace, name)
        if pod is None or not jobpods.is_tracked(pod):
            return
        ref = controller_of(pod)
        job = self.jobs.get(namespace, ref["name"]) if ref is not None else None
        if ref is None or ref.get("kind") != jobpods.KIND or job is None or job["metadata"]["uid"] != ref["uid"]:
            self._remove_finalizer(pod)

    # What there is.

    def _claimed(self, job: Obj) -> list[Obj]:
        return Claim(self.client, self.pods, job, jobpods.reference(job), job["spec"].get("selector")).objects()

    def _look(self, job: Obj) -> _Sync:
        status = copy_of(job.get("status") or {})
        status.setdefault("uncountedTerminatedPods", {})
        suspended = bool(job["spec"].get("suspend"))
        if not status.get("startTime") and not suspended:
            status["startTime"] = self.clock.timestamp()
        facts = Facts.of(job, status, self._claimed(job))
        record = self._record(key_of(job), facts)
        terminating = sum(podstate.is_terminating(pod) for pod in facts.pods)
        control = PodControl(self.client, self.recorder, job)
        sync = _Sync(job, status, facts, control, terminating, record)
        sync.active, sync.ready = len(facts.active), sum(map(podstate.is_ready, facts.active))
        sync.ending = ending(job, status, facts, self.clock.now())
        if sync.ending is None and job["spec"].get("activeDeadlineSeconds") is not None and not suspended:
            left = podstate.seconds_of(status["startTime"]) + job["spec"]["activeDeadlineSeconds"] - self.clock.now()
            self.enqueue_after((*key_of(job), "deadline"), left)
        if jobpods.per_index(job):
            sync.delayed = jobtracking.to_try_again(job, facts)
        return sync

    def _record(self, key: Key, facts: Facts) -> tuple[int, float]:
        """How many pods failed since the last success, and when the last one did."""
        count, last = self._records.get(key, (0, 0.0))
        now = self.clock.now()
        failures = [jobpods.ended_at(pod, now) for pod in facts.new_failed]
        success = max((jobpods.ended_at(pod, now) for pod in facts.new_succeeded), default=None)
        if success is not None and success > last:
            count = 0
            failures = [each for each in failures if each > success]
        return count + len(failures), max([last, *failures])

    # What is to be done.

    def _act(self, sync: _Sync) -> None:
        """End what is left of a job that is over; or else bring the number of pods in line and see if it is done."""
        if sync.ending is not None:
            self._end_active(sync)
            return
        if "deletionTimestamp" not in sync.job["metadata"]:
            self._manage(sync)
        facts, wanted = sync.facts, sync.job["spec"].get("completions")
        enough = facts.succeeded > 0 if wanted is None else facts.succeeded >= wanted
        if enough and sync.active == 0:
            message = "Reached expected number of succeeded pods"
            sync.ending = Ending("SuccessCriteriaMet", "CompletionsReached", message)
        elif "deletionTimestamp" not in sync.job["metadata"]:
            self._note_suspension(sync)

    def _end_active(self, sync: _Sync) -> None:
        """Delete what still runs; until all of it is, the end cannot be declared."""
        for pod in list(sync.facts.active):
            try:
                sync.control.delete(pod)
            except StatusError:
                sync.ending = None
                raise
            sync.active -= 1
            sync.ready -= podstate.is_ready(pod)
            sync.terminating += 1

    def _manage(self, sync: _Sync) -> None:
        """One slice towards the number of pods that should run."""
        job, facts = sync.job, sync.facts
        if job["spec"].get("suspend"):
            self._remove(sync, facts.active)
            return
        wanted = self._wanted(sync)
        if sync.active > wanted:
            self._remove(sync, self._surplus(sync, sync.active - wanted))
            return
        replaced = sync.terminating if jobpods.only_replaces_failed(job) else 0
        missing = wanted - sync.active - replaced
        if missing <= 0:
            return
        if jobpods.is_indexed(job):
            self._create_indexes(sync, missing)
        elif not self._must_wait(sync):
            self._create(sync, [None] * min(missing, SLICE))
            if missing > SLICE:
                self.enqueue(key_of(job))

    def _wanted(self, sync: _Sync) -> int:
        parallelism = int(sync.job["spec"].get("parallelism", 1))
        wanted = sync.job["spec"].get("completions")
        if wanted is None:
            return sync.active if sync.facts.succeeded > 0 else parallelism
        return max(0, min(parallelism, int(wanted) - sync.facts.succeeded))

    def _surplus(self, sync: _Sync, count: int) -> list[Obj]:
        doubles, rest = jobpods.surplus_of_indexes(sync.facts.active) if jobpods.is_indexed(sync.job) else ([], [])
        if not doubles and not rest:
            rest = list(sync.facts.active)
        more = to_delete(rest, rest, max(0, count - len(doubles)), self.clock.now()) if count > len(doubles) else []
        return [*doubles, *more]

    def _remove(self, sync: _Sync, pods: Sequence[Obj]) -> None:
        """Delete pods that are not to be counted."""
        for pod in pods[:SLICE]:
            self._remove_finalizer(pod)
            sync.control.delete(pod)
            sync.active -= 1
            sync.ready -= podstate.is_ready(pod)
            sync.terminating += 1
        if len(pods) > SLICE:
            self.enqueue(key_of(sync.job))

    def _must_wait(self, sync: _Sync) -> bool:
        """Whether it is too early for a new pod after the last one failed."""
        left = self._left(*sync.record)
        if left > 0:
            self.enqueue_after((*key_of(sync.job), "back-off"), left)
        return left > 0

    def _left(self, failures: int, last: float) -> float:
        if not failures:
            return 0.0
        return last + min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** min(failures - 1, 20)) - self.clock.now()

    def _create_indexes(self, sync: _Sync, missing: int) -> None:
        job, facts = sync.job, sync.facts
        taken = facts.succeeded_indexes.union(facts.failed_indexes).with_(jobpods.index_of(pod) for pod in facts.active)
        if jobpods.only_replaces_failed(job):
            going = (pod for pod in facts.pods if podstate.is_terminating(pod))
            taken = taken.with_(index for index in map(jobpods.index_of, going) if index >= 0)
        if not jobpods.per_index(job) and self._must_wait(sync):
            return
        ready: list[int | None] = []
        soonest: float | None = None
        for index in taken.missing(jobpods.completions(job)):
            failed = sync.delayed.get(index)
            left = 0.0
            if failed is not None:
                left = self._left(jobpods.failures(failed) + 1, jobpods.ended_at(failed, self.clock.now()))
            if left > 0:
                soonest = left if soonest is None else min(soonest, left)
            else:
                ready.append(index)
            if len(ready) == min(missing, SLICE):
                break
        if soonest is not None:
            self.enqueue_after((*key_of(job), "back-off"), soonest)
        self._create(sync, ready)
        if len(ready) == SLICE < missing:
            self.enqueue(key_of(job))

    def _create(self, sync: _Sync, indexes: Sequence[int | None]) -> None:
        for index in indexes:
            replaces = sync.delayed.get(index) if index is not None else None
            sync.control.create(jobpods.new_pod(sync.job, index, replaces))
            sync.active += 1

    def _note_suspension(self, sync: _Sync) -> None:
        """Keep the condition Suspended honest; a job that is resumed starts anew."""
        suspended = bool(sync.job["spec"].get("suspend"))
        current = podstate.condition({"status": sync.status}, "Suspended")
        if (current is not None and current["status"] == "True") == suspended:
            return
        if current is None and not suspended:
            return
        reason, message = ("JobSuspended", "Job suspended") if suspended else ("JobResumed", "Job resumed")
        made = condition("Suspended", reason, message, self.clock.timestamp(), status=str(suspended))
        others = [each for each in sync.status.get("conditions") or () if each["type"] != "Suspended"]
        sync.status["conditions"] = [*others, made]
        sync.status.pop("startTime", None)
        if not suspended:
            sync.status["startTime"] = self.clock.timestamp()
        sync.changed = True
        self.recorder.event(sync.job, "Normal", "Suspended" if suspended else "Resumed", message)

    # What is counted.

    def _count(self, sync: _Sync) -> None:
        """Note pods that have ended, let them go, count them; and declare the end once nothing is left to count."""
        job, status, facts = sync.job, sync.status, sync.facts
        jobtracking.put(status, "active", sync.active)
        status["ready"], status["terminating"] = max(0, sync.ready), sync.terminating
        counted = jobtracking.note_ended(job, status, facts, sync.ending, sync.delayed)
        if sync.ending is not None and podstate.condition({"status": status}, sync.ending.type) is None:
            made = condition(sync.ending.type, sync.ending.reason, sync.ending.message, self.clock.timestamp())
            status["conditions"] = [*(status.get("conditions") or ()), made]
        current = self._write(job, status)
        for pod in counted:
            self._remove_finalizer(pod)
        if counted:
            self._records[key_of(job)] = sync.record
        tracked = {pod["metadata"]["uid"] for pod in facts.pods if jobpods.is_tracked(pod)}
        tracked -= {pod["metadata"]["uid"] for pod in counted}
        jobtracking.settle(status, tracked)
        finished = self._declare_end(sync)
        current = self._write(current, status)
        if finished is not None:
            self._tell_end(current, finished)

    def _declare_end(self, sync: _Sync) -> Obj | None:
        """The last condition, once nothing is uncounted and no pod is still ending."""
        if sync.final is None or sync.status["uncountedTerminatedPods"] or sync.terminating:
            return None
        made = condition(sync.final["type"], sync.final["reason"], sync.final["message"], self.clock.timestamp())
        sync.status["conditions"] = [*(sync.status.get("conditions") or ()), made]
        if made["type"] == "Complete":
            sync.status["completionTime"] = self.clock.timestamp()
        return made

    def _tell_end(self, job: Obj, made: Obj) -> None:
        if made["type"] == "Complete":
            self.recorder.event(job, "Normal", "Completed", "Job completed")
        else:
            self.recorder.event(job, "Warning", made["reason"], made["message"])

    def _write(self, job: Obj, status: Obj) -> Obj:
        """Write the status if it says something new; the job as it is then."""
        wanted = {key: value for key, value in status.items() if value or key in _ALWAYS}
        if wanted == {key: value for key, value in (job.get("status") or {}).items() if value or key in _ALWAYS}:
            return job
        return self.client.update(JOBS, {**job, "status": copy_of(wanted)}, subresource="status")

    def _remove_finalizer(self, pod: Obj) -> None:
        meta = pod["metadata"]
        if not jobpods.is_tracked(pod):
            return
        left = [each for each in meta["finalizers"] if each != jobpods.FINALIZER]
        patch = {"metadata": {"uid": meta["uid"], "finalizers": left or None}}
        try:
            self.client.patch("pods", meta["name"], patch, meta["namespace"])
        except StatusError as error:
            if error.reason not in ("NotFound", "Conflict"):  # gone, or another pod of that name
                raise


_ALWAYS = ("uncountedTerminatedPods", "ready", "terminating", "failedIndexes")
"""Parts of a status that are written when they are empty too."""


def is_finished(job: Obj) -> bool:
    """Whether it is Complete or Failed."""
    return end_of(job) is not None


def end_of(job: Obj) -> Obj | None:
    """The condition Complete or Failed that is true, or None."""
    for each in (job.get("status") or {}).get("conditions") or ():
        if each.get("type") in ("Complete", "Failed") and each.get("status") == "True":
            found: Obj = each
            return found
    return None
