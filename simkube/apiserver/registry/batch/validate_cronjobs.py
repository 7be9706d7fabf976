"""Cron jobs: schedule, time zone, policy, and the jobs they make (``validateCronJobSpec``)."""

from __future__ import annotations

import re

from simkube.apiserver.registry.batch.validate_jobs import job_spec
from simkube.apiserver.validation.field import Errors
from simkube.apiserver.validation.numbers import not_negative
from simkube.client.client import Obj
from simkube.component_helpers.schedule import ScheduleError, parse, zone_of

_POLICIES = ("Allow", "Forbid", "Replace")
_LONGEST_NAME = 52  # a job's name is eleven characters longer, and at most 63


def cron_job(obj: Obj, errors: Errors) -> None:
    """A cron job: its spec, and a name that leaves room for the time in the names of its jobs."""
    _spec(obj["spec"], errors)
    if not obj["metadata"].get("resourceVersion"):
        _zone(obj["spec"].get("timeZone"), errors)
        name = obj["metadata"].get("name", "")
        if len(name) > _LONGEST_NAME:
            errors.invalid("metadata.name", name, f"must be no more than {_LONGEST_NAME} characters")


def cron_job_update(new: Obj, old: Obj, errors: Errors) -> None:
    """A time zone that is new is checked; one that was there stays, known or not."""
    if new["spec"].get("timeZone") != old["spec"].get("timeZone"):
        _zone(new["spec"].get("timeZone"), errors)


def _spec(spec: Obj, errors: Errors) -> None:
    schedule = spec.get("schedule", "")
    if not schedule:
        errors.required("spec.schedule")
    else:
        _schedule(schedule, errors)
    not_negative(spec.get("startingDeadlineSeconds"), "spec.startingDeadlineSeconds", errors)
    policy = spec.get("concurrencyPolicy", "")
    if not policy:
        errors.required("spec.concurrencyPolicy")
    elif policy not in _POLICIES:
        errors.not_supported("spec.concurrencyPolicy", policy, _POLICIES)
    template = spec["jobTemplate"]["spec"]
    job_spec(template, "spec.jobTemplate.spec", errors)
    if template.get("selector") is not None:
        errors.invalid("spec.jobTemplate.spec.selector", template["selector"], "`selector` will be auto-generated")
    if template.get("manualSelector"):
        errors.not_supported("spec.jobTemplate.spec.manualSelector", True, ("nil", "false"))
    for name in ("successfulJobsHistoryLimit", "failedJobsHistoryLimit"):
        not_negative(spec.get(name), f"spec.{name}", errors)


def _schedule(schedule: str, errors: Errors) -> None:
    if "TZ" in schedule:
        detail = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"
        errors.invalid("spec.schedule", schedule, detail)
        return
    try:
        parse(schedule)
    except ScheduleError as error:
        errors.invalid("spec.schedule", schedule, str(error))


def _zone(name: str | None, errors: Errors) -> None:
    if name is None:
        return
    if not name:
        errors.invalid("spec.timeZone", name, "timeZone must be nil or non-empty string")
        return
    for part in name.split("/"):
        if part in (".", "..") or part.startswith("-") or not re.fullmatch(r"[A-Za-z.\-_0-9+]{1,14}", part):
            errors.invalid("spec.timeZone", name, f"unknown time zone {name}")
            return
    if name.lower() == "local":
        detail = "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"
        errors.invalid("spec.timeZone", name, detail)
    try:
        zone_of(name)
    except ScheduleError as error:
        errors.invalid("spec.timeZone", name, str(error))
