"""What a job's pods are, and what each says about the job: its index, whether it failed, whether it is counted.

Source: ``pkg/controller/job/job_controller.go``, ``indexed_job_utils.go``. Pure functions.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from simkube.client.client import Obj
from simkube.component_helpers import pods as podstate
from simkube.component_helpers.owners import controller_reference
from simkube.controllers.jobpolicy import judged
from simkube.controllers.podcontrol import from_template

API_VERSION = "batch/v1"
KIND = "Job"
FINALIZER = "batch.kubernetes.io/job-tracking"
INDEX = "batch.kubernetes.io/job-completion-index"
FAILURES = "batch.kubernetes.io/job-index-failure-count"
IGNORED = "batch.kubernetes.io/job-index-ignored-failure-count"
_VARIABLE = "JOB_COMPLETION_INDEX"
_LONGEST_PREFIX = 58


def reference(job: Obj) -> Obj:
    """The owner reference of a job's pods."""
    return controller_reference(job, API_VERSION, KIND)


def is_indexed(job: Obj) -> bool:
    """Whether each pod has a part of its own."""
    return bool(job["spec"].get("completionMode") == "Indexed")


def per_index(job: Obj) -> bool:
    """Whether each index has a back-off limit of its own."""
    return job["spec"].get("backoffLimitPerIndex") is not None


def only_replaces_failed(job: Obj) -> bool:
    """Whether a pod is replaced only once it has ended, not when it begins to end."""
    return bool(job["spec"].get("podReplacementPolicy") == "Failed" or job["spec"].get("podFailurePolicy"))


def completions(job: Obj) -> int:
    """So many pods must succeed; 0 when the first success ends the job."""
    return int(job["spec"].get("completions") or 0)


def is_tracked(pod: Obj) -> bool:
    """Whether it has not been counted yet."""
    return FINALIZER in (pod["metadata"].get("finalizers") or ())


def index_of(pod: Obj) -> int:
    """The part it works on; -1 for none."""
    text = (pod["metadata"].get("annotations") or {}).get(INDEX, "")
    return int(text) if re.fullmatch(r"[0-9]{1,10}", text, re.ASCII) else -1


def is_of_job(job: Obj, pod: Obj) -> bool:
    """Whether a pod counts at all: of an indexed job only one that has an index the job has."""
    return not is_indexed(job) or 0 <= index_of(pod) < completions(job)


def is_failed(job: Obj, pod: Obj) -> bool:
    """Failed, or taken away before it could succeed (unless the job waits for the end of such pods)."""
    if podstate.phase(pod) == "Failed":
        return True
    if only_replaces_failed(job):
        return False
    return "deletionTimestamp" in pod["metadata"] and podstate.phase(pod) != "Succeeded"


def is_counted(job: Obj, pod: Obj) -> bool:
    """Whether its failure counts against the back-off limit."""
    return judged(job, pod).counts


def failures(pod: Obj, *, ignored: bool = True) -> int:
    """How often its index had failed before it."""
    annotations = pod["metadata"].get("annotations") or {}
    return _number(annotations.get(FAILURES)) + (_number(annotations.get(IGNORED)) if ignored else 0)


def fails_index(job: Obj, pod: Obj) -> bool:
    """Whether with this pod its index has failed for good."""
    if not is_failed(job, pod):
        return False
    judgement = judged(job, pod)
    if judgement.action == "FailIndex":
        return True
    return judgement.counts and failures(pod, ignored=False) >= int(job["spec"]["backoffLimitPerIndex"])


def restarts(pods: Iterable[Obj]) -> int:
    """How often containers of pods that have not ended were restarted."""
    return sum(
        each.get("restartCount", 0)
        for pod in pods
        if podstate.phase(pod) in ("Running", "Pending")
        for kind in ("containerStatuses", "initContainerStatuses")
        for each in (pod.get("status") or {}).get(kind) or ()
    )


def ended_at(pod: Obj, now: float) -> float:
    """When it ended: its last container, or else when it stopped being ready, or was deleted; or now."""
    statuses = (pod.get("status") or {}).get("containerStatuses") or ()
    ends = [((each.get("state") or {}).get("terminated") or {}).get("finishedAt") for each in statuses]
    if ends and all(ends):
        return max(map(podstate.seconds_of, ends))
    ready = podstate.condition(pod, "Ready")
    if ready is not None and ready["status"] == "False" and ready.get("lastTransitionTime"):
        return podstate.seconds_of(ready["lastTransitionTime"])
    meta = pod["metadata"]
    if "deletionTimestamp" not in meta:
        return now
    return podstate.seconds_of(meta["deletionTimestamp"]) - int(meta.get("deletionGracePeriodSeconds") or 0)


def surplus_of_indexes(pods: Sequence[Obj]) -> tuple[list[Obj], list[Obj]]:
    """Pods without an index or beyond the first of theirs; and the rest."""
    seen: set[int] = set()
    surplus: list[Obj] = []
    rest: list[Obj] = []
    for pod in pods:
        index = index_of(pod)
        (surplus if index in seen or index < 0 else rest).append(pod)
        seen.add(index)
    return surplus, rest


def new_pod(job: Obj, index: int | None, replaces: Obj | None) -> Obj:
    """A pod of the job; of the part ``index``, and in the place of the failed one it ``replaces``, if any."""
    meta = job["metadata"]
    pod = from_template(job["spec"]["template"], meta["name"], meta["namespace"], reference(job))
    finalizers = pod["metadata"].setdefault("finalizers", [])
    if FINALIZER not in finalizers:
        finalizers.append(FINALIZER)
    if index is None:
        return pod
    ending = f"-{index}-"
    pod["metadata"]["generateName"] = meta["name"][: _LONGEST_PREFIX - len(ending)] + ending
    pod["metadata"].setdefault("labels", {})[INDEX] = str(index)
    annotations = pod["metadata"].setdefault("annotations", {})
    annotations[INDEX] = str(index)
    pod["spec"]["hostname"] = f"{meta['name']}-{index}"
    for container in (*pod["spec"].get("initContainers", ()), *pod["spec"].get("containers", ())):
        _tell_index(container)
    if per_index(job):
        annotations.update(_history(job, replaces))
    return pod


def _tell_index(container: Obj) -> None:
    env = container.setdefault("env", [])
    if not any(each.get("name") == _VARIABLE for each in env):
        source = {"fieldRef": {"apiVersion": "v1", "fieldPath": f"metadata.labels['{INDEX}']"}}
        env.append({"name": _VARIABLE, "valueFrom": source})


def _history(job: Obj, replaces: Obj | None) -> dict[str, str]:
    if replaces is None:
        return {FAILURES: "0"}
    before = replaces["metadata"].get("annotations") or {}
    failed, ignored = _number(before.get(FAILURES)), _number(before.get(IGNORED))
    if is_counted(job, replaces):
        failed += 1
    else:
        ignored += 1
    found = {FAILURES: str(failed)}
    return {**found, IGNORED: str(ignored)} if ignored else found


def _number(text: str | None) -> int:
    return int(text) if text is not None and re.fullmatch(r"[0-9]{1,10}", text, re.ASCII) else 0
