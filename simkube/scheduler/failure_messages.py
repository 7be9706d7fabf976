"""What a pod is told that got no node: the message and the condition, in the scheduler's words.

Source: ``pkg/scheduler/framework/types.go`` (FitError), ``pkg/scheduler/schedule_one.go`` (handleSchedulingFailure).
"""

from __future__ import annotations

from collections import Counter

from simkube.client.client import Obj
from simkube.component_helpers import pods as podstate
from simkube.scheduler.filters import Refusal


def unscheduled(pod: Obj, reason: str, message: str, now: str) -> Obj | None:
    """The condition PodScheduled that a pod is to get; None when it says the same already."""
    current = podstate.condition(pod, "PodScheduled")
    condition = {
        "type": "PodScheduled",
        "status": "False",
        "observedGeneration": pod["metadata"].get("generation", 1),
        "lastProbeTime": None,
        "lastTransitionTime": now,
        "reason": reason,
        "message": message,
    }
    if current is not None:
        if all(current.get(part) == condition[part] for part in ("status", "reason", "message")):
            return None
        if current.get("status") == "False":
            condition["lastTransitionTime"] = current.get("lastTransitionTime")
    return condition


def fit_error(refusals: dict[str, Refusal], preempting: str | None) -> str:
    """Why a pod fits nowhere, in the scheduler's words; ``preempting`` says why preemption did not help."""
    reasons = Counter(reason for refused in refusals.values() for reason in refused.reasons)
    message = f"0/{len(refusals)} nodes are available: {counted(reasons)}."
    return message if preempting is None else f"{message} no new claims to deallocate, preemption: {preempting}"


def counted(reasons: Counter[str]) -> str:
    """Each reason with how often it was given, sorted."""
    return ", ".join(sorted(f"{count} {reason}" for reason, count in reasons.items()))
