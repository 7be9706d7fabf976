"""The policies of a job: what a pod's failure means, and when enough parts have succeeded.

Source: ``pkg/controller/job/pod_failure_policy.go``, ``success_policy.go``. Pure functions.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from simkube.client.client import Obj
from simkube.controllers.indexes import Indexes


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a failure means: does it count, does it end the job (``message``), which action was taken ("" for none)."""

    counts: bool = True
    message: str = ""
    action: str = ""


def judged(job: Obj, pod: Obj) -> Judgement:
    """The first rule of ``podFailurePolicy`` that matches; without one a failure counts."""
    policy = job["spec"].get("podFailurePolicy")
    for number, rule in enumerate((policy or {}).get("rules") or ()):
        why = _matched(rule, pod)
        action = rule.get("action", "")
        if not why or (action == "FailIndex" and job["spec"].get("backoffLimitPerIndex") is None):
            continue
        if action == "Ignore":
            return Judgement(counts=False, action=action)
        message = f"{why} matching FailJob rule at index {number}" if action == "FailJob" else ""
        return Judgement(message=message, action=action)
    return Judgement()


def _matched(rule: Obj, pod: Obj) -> str:
    """What of a pod a rule matches, in words; "" for nothing."""
    where = f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
    status = pod.get("status") or {}
    if rule.get("onExitCodes") is not None:
        wanted = rule["onExitCodes"]
        for each in (*(status.get("containerStatuses") or ()), *(status.get("initContainerStatuses") or ())):
            if wanted.get("containerName") in (None, each["name"]):
                code = ((each.get("state") or {}).get("terminated") or {}).get("exitCode", 0)
                if code and (code in wanted["values"]) == (wanted["operator"] == "In"):
                    return f"Container {each['name']} for pod {where} failed with exit code {code}"
        return ""
    for pattern in rule.get("onPodConditions") or ():
        if any(_is(condition, pattern) for condition in status.get("conditions") or ()):
            return f"Pod {where} has condition {pattern['type']}"
    return ""


def _is(condition: Obj, pattern: Obj) -> bool:
    return bool(condition["type"] == pattern["type"] and condition["status"] == pattern.get("status", "True"))


def failure_of(job: Obj, failed: Iterable[Obj]) -> str:
    """Why one of these failures ends the job; "" when none does."""
    if job["spec"].get("podFailurePolicy") is None:
        return ""
    return next((message for message in (judged(job, pod).message for pod in failed) if message), "")


def success_of(job: Obj, succeeded: Indexes) -> str:
    """Which rule of ``successPolicy`` is met, in words; "" for none."""
    rules = (job["spec"].get("successPolicy") or {}).get("rules") or ()
    for number, rule in enumerate(rules):
        if _enough(rule, succeeded, int(job["spec"].get("completions") or 0)):
            return f"Matched rules at index {number}"
    return ""


def _enough(rule: Obj, succeeded: Indexes, completions: int) -> bool:
    count = rule.get("succeededCount")
    if rule.get("succeededIndexes") is None:
        return count is not None and len(succeeded) >= count
    wanted = Indexes.parse(rule["succeededIndexes"], completions)
    return len(wanted) > 0 and wanted.common(succeeded) >= (len(wanted) if count is None else count)
