"""How a job keeps count: pods that have ended are noted in its status, let go, and then counted.

Source: ``trackJobStatusAndRemoveFinalizers`` in ``pkg/controller/job/job_controller.go``. Talks to nobody.
"""

from __future__ import annotations

from collections.abc import Mapping

from simkube.client.client import Obj
from simkube.component_helpers import pods as podstate
from simkube.controllers import jobpods
from simkube.controllers.jobcompletion import Ending, Facts


def note_ended(job: Obj, status: Obj, facts: Facts, ending: Ending | None, delayed: Mapping[int, Obj]) -> list[Obj]:
    """Pods whose finalizer can go, noted in the status (changed in place) as not counted yet.

    Of a job that ends every pod is let go; ``delayed`` are failed pods that their successors still learn from.
    """
    uncounted = {key: list(value) for key, value in status["uncountedTerminatedPods"].items()}
    over = ending is not None
    failing = ending is not None and ending.type == "FailureTarget"
    held = {pod["metadata"]["uid"] for pod in delayed.values()}
    free: list[Obj] = []
    for pod in facts.pods:
        if not jobpods.is_tracked(pod):
            continue
        failed, uid = jobpods.is_failed(job, pod), pod["metadata"]["uid"]
        ended = failed or podstate.phase(pod) == "Succeeded" or "deletionTimestamp" in job["metadata"]
        if not (ended or over) or (uid in held and not over):
            continue
        free.append(pod)
        if podstate.phase(pod) == "Succeeded":
            if not jobpods.is_indexed(job):
                _add(uncounted, "succeeded", uid)
        elif (failed or failing) and jobpods.is_of_job(job, pod) and jobpods.is_counted(job, pod):
            _add(uncounted, "failed", uid)
    status["uncountedTerminatedPods"] = uncounted
    if jobpods.is_indexed(job):
        put(status, "succeeded", len(facts.succeeded_indexes))
        put(status, "completedIndexes", str(facts.succeeded_indexes))
        if jobpods.per_index(job):
            status["failedIndexes"] = str(facts.failed_indexes)
    return free


def settle(status: Obj, tracked: set[str]) -> None:
    """Count what no longer bears the finalizer."""
    left: Obj = {}
    for kind in ("succeeded", "failed"):
        uids = status["uncountedTerminatedPods"].get(kind) or []
        waiting = [uid for uid in uids if uid in tracked]
        if len(uids) > len(waiting):
            status[kind] = status.get(kind, 0) + len(uids) - len(waiting)
        if waiting:
            left[kind] = waiting
    status["uncountedTerminatedPods"] = left


def to_try_again(job: Obj, facts: Facts) -> dict[int, Obj]:
    """The last failed pod of each index that is to be tried again: the next one takes over its count of failures."""
    active = {jobpods.index_of(pod) for pod in facts.active}
    found: dict[int, Obj] = {}
    for pod in facts.pods:
        index = jobpods.index_of(pod)
        if not jobpods.is_tracked(pod) or not jobpods.is_failed(job, pod) or not jobpods.is_of_job(job, pod):
            continue
        if index in active or index in facts.succeeded_indexes or index in facts.failed_indexes:
            continue
        if index not in found or jobpods.failures(found[index]) <= jobpods.failures(pod):
            found[index] = pod
    return found


def _add(uncounted: Obj, kind: str, uid: str) -> None:
    uids = uncounted.setdefault(kind, [])
    if uid not in uids:
        uids.append(uid)


def put(status: Obj, name: str, value: object) -> None:
    """Set a part of a status, or leave it out when it is nothing."""
    if value:
        status[name] = value
    else:
        status.pop(name, None)
