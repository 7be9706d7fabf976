"""What the server decides about a new job itself (``pkg/registry/batch/job/strategy.go``)."""

from __future__ import annotations

from simkube.client.client import Caller, Obj


def new_job(job: Obj, _now: str, _caller: Caller) -> None:
    """A job marks its pods with its name and its uid, and selects them by the uid (``generateSelector``).

    Labels that were given already stay, and validation judges them. Where the job's labels are those of its template
    they stay the same ones.
    """
    meta, spec = job["metadata"], job["spec"]
    if spec.get("manualSelector"):
        return
    labels = spec["template"]["metadata"].setdefault("labels", {})
    shared = meta.get("labels", {}) == labels
    for prefix in ("", "batch.kubernetes.io/"):
        labels.setdefault(f"{prefix}job-name", meta.get("name", ""))
        labels.setdefault(f"{prefix}controller-uid", meta["uid"])
    if shared:
        meta["labels"] = dict(labels)
    selector = spec.setdefault("selector", {}).setdefault("matchLabels", {})
    selector.setdefault("batch.kubernetes.io/controller-uid", meta["uid"])
