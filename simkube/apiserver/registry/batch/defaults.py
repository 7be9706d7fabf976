"""Defaults of jobs and cron jobs (``pkg/apis/batch/v1/defaults.go``)."""

from __future__ import annotations

from simkube.apiserver.registry.pods.defaults import pod_template
from simkube.client.client import Obj

_FOREVER = 2**31 - 1


def job(obj: Obj) -> None:
    """A job: one completion by one pod, six retries; its labels are those of its template."""
    spec = obj.setdefault("spec", {})
    template = spec.setdefault("template", {})
    pod_template(template)
    if spec.get("completions") is None and spec.get("parallelism") is None:
        spec["completions"] = 1
    spec.setdefault("parallelism", 1)
    spec.setdefault("backoffLimit", 6 if spec.get("backoffLimitPerIndex") is None else _FOREVER)
    spec.setdefault("completionMode", "NonIndexed")
    spec.setdefault("suspend", False)
    spec.setdefault("manualSelector", False)
    policy = spec.get("podFailurePolicy")
    spec.setdefault("podReplacementPolicy", "TerminatingOrFailed" if policy is None else "Failed")
    for rule in (policy or {}).get("rules", ()):
        for pattern in rule.get("onPodConditions", ()):
            pattern.setdefault("status", "True")
    labels = template["metadata"].get("labels")
    if labels and not obj["metadata"].get("labels"):
        obj["metadata"]["labels"] = dict(labels)
    obj.setdefault("status", {})


def cron_job(obj: Obj) -> None:
    """A cron job: runs may overlap, three good and one failed job are kept. The jobs get their defaults when made."""
    spec = obj.setdefault("spec", {})
    spec.setdefault("concurrencyPolicy", "Allow")
    spec.setdefault("suspend", False)
    spec.setdefault("successfulJobsHistoryLimit", 3)
    spec.setdefault("failedJobsHistoryLimit", 1)
    template = spec.setdefault("jobTemplate", {})
    template.setdefault("metadata", {})
    pod_template(template.setdefault("spec", {}).setdefault("template", {}))
    obj.setdefault("status", {})
