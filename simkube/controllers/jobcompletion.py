"""Whether a job is over, and why.

A job ends in two conditions: first the reason (``SuccessCriteriaMet``, ``FailureTarget``), while its pods are ended and
counted; then ``Complete`` or ``Failed`` with the same reason. Source: ``pkg/controller/job/job_controller.go``. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from simkube.client.client import Obj
from simkube.component_helpers import pods as podstate
from simkube.controllers import jobpods
from simkube.controllers.indexes import Indexes
from simkube.controllers.jobpolicy import failure_of, success_of


def condition(type: str, reason: str, message: str, now: str, *, status: str = "True") -> Obj:
    """A ``JobCondition``."""
    times = {"lastProbeTime": now, "lastTransitionTime": now}
    return {"type": type, "status": status, **times, "reason": reason, "message": message}


@dataclass(frozen=True, slots=True)
class Ending:
    """The first of the two conditions."""

    type: str
    reason: str
    message: str

    @property
    def final(self) -> Obj:
        """The second: its type, reason and message."""
        last = "Complete" if self.type == "SuccessCriteriaMet" else "Failed"
        return {"type": last, "reason": self.reason, "message": self.message}


@dataclass(frozen=True, slots=True)
class Facts:
    """What the pods of a job say, together with what is already in its status."""

    pods: Sequence[Obj]
    active: Sequence[Obj]
    new_succeeded: Sequence[Obj]
    new_failed: Sequence[Obj]
    succeeded: int
    failed: int
    succeeded_indexes: Indexes
    failed_indexes: Indexes

    @classmethod
    def of(cls, job: Obj, status: Obj, pods: Sequence[Obj]) -> Facts:
        """Count what the status does not have yet."""
        uncounted = status["uncountedTerminatedPods"]
        noted = {*(uncounted.get("succeeded") or ()), *(uncounted.get("failed") or ())}
        new = [
            pod
            for pod in pods
            if jobpods.is_tracked(pod) and pod["metadata"]["uid"] not in noted and jobpods.is_of_job(job, pod)
        ]
        succeeded = [pod for pod in new if podstate.phase(pod) == "Succeeded"]
        failed = [pod for pod in new if jobpods.is_failed(job, pod)]
        done, broken, total = Indexes(), Indexes(), jobpods.completions(job)
        if jobpods.is_indexed(job):
            done = Indexes.parse(status.get("completedIndexes"), total).with_(map(jobpods.index_of, succeeded))
        if jobpods.per_index(job):
            lost = [jobpods.index_of(pod) for pod in failed if jobpods.fails_index(job, pod)]
            broken = Indexes.parse(status.get("failedIndexes"), total).with_(lost)
        count = status.get("succeeded", 0) + len(succeeded) + len(uncounted.get("succeeded") or ())
        return cls(
            pods,
            [pod for pod in pods if podstate.is_active(pod)],
            succeeded,
            failed,
            len(done) if jobpods.is_indexed(job) else count,
            status.get("failed", 0)
            + sum(jobpods.is_counted(job, pod) for pod in failed)
            + len(uncounted.get("failed") or ()),
            done,
            broken,
        )


def ending(job: Obj, status: Obj, facts: Facts, now: float) -> Ending | None:
    """Why the job is over; None while it is not."""
    for first in ("SuccessCriteriaMet", "FailureTarget"):
        found = podstate.condition({"status": status}, first)
        if found is not None and found["status"] == "True":
            return Ending(first, found.get("reason", ""), found.get("message", ""))
    failed = _failure(job, status, facts, now) or _lost_indexes(job, facts)
    if failed is not None:
        return Ending("FailureTarget", *failed)
    met = success_of(job, facts.succeeded_indexes) if jobpods.is_indexed(job) else ""
    return Ending("SuccessCriteriaMet", "SuccessPolicy", met) if met else None


def _failure(job: Obj, status: Obj, facts: Facts, now: float) -> tuple[str, str] | None:
    why = failure_of(job, [pod for pod in facts.pods if jobpods.is_failed(job, pod)])
    if why:
        return "PodFailurePolicy", why
    limit = int(job["spec"].get("backoffLimit", 6))
    if facts.failed > limit or _restarted_too_often(job, facts, limit):
        return "BackoffLimitExceeded", "Job has reached the specified backoff limit"
    seconds = job["spec"].get("activeDeadlineSeconds")
    if seconds is None or job["spec"].get("suspend") or not status.get("startTime"):
        return None
    if now - podstate.seconds_of(status["startTime"]) >= seconds:
        return "DeadlineExceeded", "Job was active longer than specified deadline"
    return None


def _restarted_too_often(job: Obj, facts: Facts, limit: int) -> bool:
    if (job["spec"]["template"].get("spec") or {}).get("restartPolicy") != "OnFailure":
        return False
    restarts = jobpods.restarts(facts.pods)
    return restarts > 0 if limit == 0 else restarts >= limit


def _lost_indexes(job: Obj, facts: Facts) -> tuple[str, str] | None:
    lost = len(facts.failed_indexes)
    if not jobpods.per_index(job) or not lost:
        return None
    most = job["spec"].get("maxFailedIndexes")
    if most is not None and lost > most:
        return "MaxFailedIndexesExceeded", "Job has exceeded the specified maximal number of failed indexes"
    if lost + len(facts.succeeded_indexes) >= jobpods.completions(job):
        return "FailedIndexes", "Job has failed indexes"
    return None
