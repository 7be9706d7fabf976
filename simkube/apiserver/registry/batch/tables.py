"""The rows of jobs and cron jobs."""

from __future__ import annotations

from typing import Any

from simkube.apiserver.tables.ages import age, human, seconds
from simkube.apiserver.tables.cells import NONE, age_of, containers, name_of, selector
from simkube.apiserver.tables.columns import AGE, CONTAINERS, IMAGES, NAME, Cells, Column, Layout

Obj = dict[str, Any]

_SELECTOR = Column("Selector", field="batch.v1.JobSpec.selector", wide=True)


def _template(spec: Obj) -> list[str]:
    names, images = containers((spec.get("template") or {}).get("spec") or {})
    return [names, images, selector(spec.get("selector"))]


def _job(obj: Obj, now: float) -> Cells:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    shown = [_job_status(obj), _completions(spec, status), _duration(status, now), age_of(obj, now)]
    return [name_of(obj), *shown, *_template(spec)]


def _job_status(obj: Obj) -> str:
    """The first of a job's conditions that says most; a job that ends shows so unless it had ended before."""
    conditions = (obj.get("status") or {}).get("conditions") or []
    true = {one.get("type") for one in conditions if one.get("status") == "True"}
    for name in ("Complete", "Failed"):
        if name in true:
            return name
    if obj.get("metadata", {}).get("deletionTimestamp"):
        return "Terminating"
    return next((name for name in ("Suspended", "FailureTarget", "SuccessCriteriaMet") if name in true), "Running")


def _completions(spec: Obj, status: Obj) -> str:
    done = status.get("succeeded", 0)
    if spec.get("completions") is not None:
        return f"{done}/{spec['completions']}"
    parallel = spec.get("parallelism") or 0
    return f"{done}/1 of {parallel}" if parallel > 1 else f"{done}/1"


def _duration(status: Obj, now: float) -> str:
    started, completed = status.get("startTime"), status.get("completionTime")
    if not started:
        return ""
    return human((seconds(completed) if completed else now) - seconds(started))


def _cron_job(obj: Obj, now: float) -> Cells:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    last = status.get("lastScheduleTime")
    return [
        name_of(obj),
        spec.get("schedule", ""),
        spec.get("timeZone") or NONE,
        "True" if spec.get("suspend") else "False",
        len(status.get("active") or ()),
        age(last, now) if last else NONE,
        age_of(obj, now),
        *_template((spec.get("jobTemplate") or {}).get("spec") or {}),
    ]


JOBS = Layout(
    (
        NAME,
        Column("Status", "Status of the job."),
        Column("Completions", field="batch.v1.JobStatus.succeeded"),
        Column("Duration", "Time required to complete the job."),
        AGE,
        CONTAINERS,
        IMAGES,
        _SELECTOR,
    ),
    _job,
)
CRON_JOBS = Layout(
    (
        NAME,
        Column("Schedule", field="batch.v1.CronJobSpec.schedule"),
        Column("Timezone", field="batch.v1.CronJobSpec.timeZone"),
        Column("Suspend", field="batch.v1.CronJobSpec.suspend", type="boolean"),
        Column("Active", field="batch.v1.CronJobStatus.active", type="integer"),
        Column("Last Schedule", field="batch.v1.CronJobStatus.lastScheduleTime"),
        AGE,
        CONTAINERS,
        IMAGES,
        _SELECTOR,
    ),
    _cron_job,
)
