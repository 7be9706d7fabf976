"""Jobs, and the schedules that make them."""

from __future__ import annotations

from simkube.apiserver.registry.batch import defaults, preparation, tables, validate_cronjobs, validate_jobs
from simkube.apiserver.registry.kind import Kind
from simkube.apiserver.registry.pods import warnings as pod_warnings
from simkube.apiserver.registry.resources import Resource, status
from simkube.apiserver.registry.strategy import Strategy

KINDS = (
    Kind(
        Resource(
            "batch",
            "v1",
            "cronjobs",
            "cronjob",
            "CronJob",
            True,
            short_names=("cj",),
            categories=("all",),
            subresources=(status("CronJob"),),
        ),
        Strategy(
            defaults=defaults.cron_job,
            validate=validate_cronjobs.cron_job,
            warnings=pod_warnings.of("cronjobs.batch"),
            validate_update=validate_cronjobs.cron_job_update,
            generation=True,
            keeps_status=True,
            first_status={},
        ),
        layout=tables.CRON_JOBS,
    ),
    Kind(
        Resource("batch", "v1", "jobs", "job", "Job", True, categories=("all",), subresources=(status("Job"),)),
        Strategy(
            defaults=defaults.job,
            validate=validate_jobs.job,
            warnings=pod_warnings.of("jobs.batch"),
            prepare_create=preparation.new_job,
            validate_update=validate_jobs.job_update,
            validate_status=validate_jobs.job_status,
            generation=True,
            keeps_status=True,
            orphans=True,
            first_status={},
        ),
        layout=tables.JOBS,
    ),
)
