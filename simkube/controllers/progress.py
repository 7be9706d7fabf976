"""The status of a deployment: its counts, and the conditions Available, Progressing and ReplicaFailure.

Source: ``pkg/controller/deployment/progress.go``, ``.../util/deployment_util.go``. Pure functions; ``now`` is a
``metav1.Time`` string, seconds are since the epoch.
"""

from __future__ import annotations

from collections.abc import Sequence

from simkube.client.client import Obj
from simkube.component_helpers.pods import condition, seconds_of
from simkube.controllers.rollout import max_unavailable, replicas, status_total, total

NO_DEADLINE = 2147483647


def deadline(deployment: Obj) -> int | None:
    """``progressDeadlineSeconds``, or None when progress is not to be judged."""
    seconds = deployment["spec"].get("progressDeadlineSeconds")
    return None if seconds in (None, NO_DEADLINE) else int(seconds)


def make_condition(type: str, status: str, reason: str, message: str, now: str) -> Obj:
    """A ``DeploymentCondition``."""
    return {
        "type": type,
        "status": status,
        "lastUpdateTime": now,
        "lastTransitionTime": now,
        "reason": reason,
        "message": message,
    }


def with_condition(status: Obj, new: Obj) -> Obj:
    """``status`` with the condition set; unchanged when it has one of that type with the same status and reason."""
    current = condition({"status": status}, new["type"])
    if current is not None and (current["status"], current.get("reason")) == (new["status"], new["reason"]):
        return status
    if current is not None and current["status"] == new["status"]:
        new = {**new, "lastTransitionTime": current["lastTransitionTime"]}
    return {**status, "conditions": [*without(status, new["type"]), new]}


def without(status: Obj, type: str) -> list[Obj]:
    """The conditions of ``status`` but for one type."""
    return [each for each in status.get("conditions") or () if each["type"] != type]


def counts(deployment: Obj, sets: Sequence[Obj], new: Obj | None, now: str) -> Obj:
    """The status with its counts and the condition Available; Progressing is carried over."""
    available = status_total(sets, "availableReplicas")
    status: Obj = {
        "observedGeneration": deployment["metadata"].get("generation", 0),
        "replicas": status_total(sets, "replicas"),
        "updatedReplicas": status_total([new] if new is not None else [], "replicas"),
        "readyReplicas": status_total(sets, "readyReplicas"),
        "availableReplicas": available,
        "unavailableReplicas": max(0, total(sets) - available),
    }
    status = {key: value for key, value in status.items() if value}
    status["terminatingReplicas"] = status_total(sets, "terminatingReplicas")
    old = deployment.get("status") or {}
    if old.get("collisionCount") is not None:
        status["collisionCount"] = old["collisionCount"]
    if old.get("conditions"):
        status["conditions"] = list(old["conditions"])
    if available >= replicas(deployment) - max_unavailable(deployment):
        message = "Deployment has minimum availability."
        return with_condition(status, make_condition("Available", "True", "MinimumReplicasAvailable", message, now))
    message = "Deployment does not have minimum availability."
    return with_condition(status, make_condition("Available", "False", "MinimumReplicasUnavailable", message, now))


def is_complete(deployment: Obj, status: Obj) -> bool:
    """Whether all replicas are of the new template, available, and none of an old one is left."""
    wanted = replicas(deployment)
    counted = [status.get(field, 0) for field in ("updatedReplicas", "replicas", "availableReplicas")]
    seen = status.get("observedGeneration", 0) >= deployment["metadata"].get("generation", 0)
    return seen and counted == [wanted] * 3


def is_progressing(deployment: Obj, status: Obj) -> bool:
    """Whether the new status is closer to the end than the one the deployment has."""
    old = deployment.get("status") or {}

    def left(of: Obj) -> int:
        return int(of.get("replicas", 0)) - int(of.get("updatedReplicas", 0))

    grown = ("updatedReplicas", "readyReplicas", "availableReplicas")
    return left(status) < left(old) or any(status.get(field, 0) > old.get(field, 0) for field in grown)


def is_timed_out(deployment: Obj, status: Obj, now: float) -> bool:
    """Whether the last progress was longer ago than the deadline."""
    current = condition({"status": status}, "Progressing")
    seconds = deadline(deployment)
    if current is None or seconds is None or current.get("reason") == "NewReplicaSetAvailable":
        return False
    if current.get("reason") == "ProgressDeadlineExceeded":
        return True
    return seconds_of(current.get("lastUpdateTime")) + seconds < now


def with_progress(deployment: Obj, status: Obj, new: Obj | None, now: str, seconds: float) -> Obj:
    """``status`` with the condition Progressing brought up to date."""
    if deadline(deployment) is None:
        return _pruned({**status, "conditions": without(status, "Progressing")})
    current = condition({"status": status}, "Progressing")
    done = status.get("replicas", 0) == status.get("updatedReplicas", 0)
    if done and current is not None and current.get("reason") == "NewReplicaSetAvailable":
        return status
    who = f'ReplicaSet "{new["metadata"]["name"]}"' if new else f'Deployment "{deployment["metadata"]["name"]}"'
    if is_complete(deployment, status):
        message = f"{who} has successfully progressed."
        return with_condition(status, make_condition("Progressing", "True", "NewReplicaSetAvailable", message, now))
    if is_progressing(deployment, status):
        made = make_condition("Progressing", "True", "ReplicaSetUpdated", f"{who} is progressing.", now)
        if current is not None and current["status"] == "True":
            made["lastTransitionTime"] = current["lastTransitionTime"]
        return {**status, "conditions": [*without(status, "Progressing"), made]}
    if is_timed_out(deployment, status, seconds):
        message = f"{who} has timed out progressing."
        made = make_condition("Progressing", "False", "ProgressDeadlineExceeded", message, now)
        return with_condition(status, made)
    return status


def with_failures(status: Obj, sets: Sequence[Obj], new: Obj | None) -> Obj:
    """``status`` with the condition ReplicaFailure of the new replica set, or else of an old one; without, if none."""
    for rs in ([new] if new is not None else []) + [rs for rs in sets if rs is not new]:
        failure = condition(rs, "ReplicaFailure")
        if failure is not None:
            seen = failure["lastTransitionTime"]
            made = make_condition("ReplicaFailure", failure["status"], failure["reason"], failure["message"], seen)
            return with_condition(status, made)
    return _pruned({**status, "conditions": without(status, "ReplicaFailure")})


def _pruned(status: Obj) -> Obj:
    return status if status.get("conditions") else {key: value for key, value in status.items() if key != "conditions"}
