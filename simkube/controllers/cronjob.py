"""CronJob: a job each time its schedule is due, and no more of them kept than asked for.

Between two times there is one timer. What was missed meanwhile (the controller was stopped) is made up for once, if its
starting deadline has not passed. Source: ``pkg/controller/cronjob/cronjob_controllerv2.go``, ``utils.go``.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from datetime import UTC, datetime, tzinfo

from simkube.apimachinery.errors import StatusError
from simkube.client.client import Event, Obj, copy_of, key_of
from simkube.client.events import reference
from simkube.component_helpers.owners import controller_of, controller_reference
from simkube.component_helpers.pods import seconds_of
from simkube.component_helpers.schedule import Schedule, ScheduleError, parse, zone_of
from simkube.controllers.controller import Controller, by_controller
from simkube.controllers.job import JOBS, end_of
from simkube.controllers.podcontrol import namespace_ends

CRONJOBS = "cronjobs.batch"
SCHEDULED = "batch.kubernetes.io/cronjob-scheduled-timestamp"
_NEVER = "time difference between two schedules is less than 1 second"
"""What upstream has to say of 31 February: it takes "never" for a time, and that time for the next one after it."""
MANY = 100
"""From so many missed times on, that is told."""


class CronJobController(Controller):
    """Keys are ``(namespace, name)`` of cron jobs."""

    name = "cronjob-controller"
    resource = "cronjobs.batch"

    def watch(self) -> None:
        """Cron jobs and the jobs they have made."""
        self.cronjobs = self.client.informer(CRONJOBS)
        self.jobs = self.client.informer(JOBS)
        by_controller(self.jobs)
        self.client.observe(CRONJOBS, self._changed)
        self.client.observe(JOBS, self._job_changed)

    def _changed(self, event: Event) -> None:
        if event.type == "DELETED":
            self.dequeue(key_of(event.obj))
        else:
            self.enqueue(key_of(event.obj))

    def _job_changed(self, event: Event) -> None:
        for job in (event.obj, event.old):
            ref = controller_of(job) if job is not None else None
            if ref is not None and ref.get("kind") == "CronJob":
                self.enqueue((event.obj["metadata"]["namespace"], ref["name"]))

    def reconcile(self, key: Hashable) -> None:
        """Note what has ended, start what is due, forget what is too old, sleep until the next time."""
        assert isinstance(key, tuple)
        cron = self.cronjobs.get(*key)
        if cron is None:
            return
        status = copy_of(cron.get("status") or {})
        jobs = self.jobs.indexed("controller", cron["metadata"]["uid"])
        self._note_ended(cron, status, jobs)
        try:
            if "deletionTimestamp" not in cron["metadata"]:
                self._start_what_is_due(cron, status)
        finally:
            self._write(cron, status)
        self._forget_old(cron, jobs)

    # What has ended.

    def _note_ended(self, cron: Obj, status: Obj, jobs: Sequence[Obj]) -> None:
        """Take jobs that have ended or gone from the list of active ones."""
        active = {each.get("uid", ""): each for each in status.get("active") or ()}
        for job in jobs:
            end, meta = end_of(job), job["metadata"]
            if end is None:
                if meta["uid"] not in active:
                    message = f"Saw a job that the controller did not create or forgot: {meta['name']}"
                    self.recorder.event(cron, "Warning", "UnexpectedJob", message)
                continue
            if active.pop(meta["uid"], None) is not None:
                message = f"Saw completed job: {meta['name']}, condition: {end['type']}"
                self.recorder.event(cron, "Normal", "SawCompletedJob", message)
            done = job["status"].get("completionTime")
            if end["type"] == "Complete" and seconds_of(done) > seconds_of(status.get("lastSuccessfulTime")):
                status["lastSuccessfulTime"] = done
        there = {job["metadata"]["uid"] for job in jobs}
        for uid, each in list(active.items()):
            if uid not in there:
                del active[uid]
                self.recorder.event(cron, "Normal", "MissingJob", f"Active job went missing: {each.get('name', '')}")
        status["active"] = list(active.values())

    def _forget_old(self, cron: Obj, jobs: Sequence[Obj]) -> None:
        """Delete the oldest ended jobs beyond the history limits."""
        for kind, limit in (
            ("Complete", cron["spec"].get("successfulJobsHistoryLimit")),
            ("Failed", cron["spec"].get("failedJobsHistoryLimit")),
        ):
            ended = [job for job in jobs if (end_of(job) or {}).get("type") == kind]
            if limit is None or len(ended) <= limit:
                continue
            ended.sort(key=lambda job: (job["status"].get("startTime") or "", job["metadata"]["name"]))
            for job in ended[: len(ended) - limit]:
                if "deletionTimestamp" not in job["metadata"]:
                    self._delete(cron, job)

    def _delete(self, cron: Obj, job: Obj) -> None:
        meta = job["metadata"]
        try:
            self.client.delete(JOBS, meta["name"], meta["namespace"], propagationPolicy="Background")
        except StatusError as error:
            self.recorder.event(cron, "Warning", "FailedDelete", f"Deleted job: {error.message}")
            raise
        self.recorder.event(cron, "Normal", "SuccessfulDelete", f"Deleted job {meta['name']}")

    # What is due.

    def _start_what_is_due(self, cron: Obj, status: Obj) -> None:
        spec, key = cron["spec"], key_of(cron)
        self.dequeue(key)
        try:
            zone = zone_of(spec.get("timeZone"))
        except ScheduleError as error:
            message = f'invalid timeZone: "{spec["timeZone"]}": {error}'
            self.recorder.event(cron, "Warning", "UnknownTimeZone", message)
            return
        if spec.get("suspend"):
            return
        try:
            schedule = parse(spec["schedule"])
        except ScheduleError as error:
            message = f'unparseable schedule: "{spec["schedule"]}" : {error}'
            self.recorder.event(cron, "Warning", "UnparseableSchedule", message)
            return
        now = self.clock.now()
        if schedule.next(self._since(cron, status), zone) is None:
            message = f"invalid schedule: {spec['schedule']} : {_NEVER}"
            self.recorder.event(cron, "Warning", "InvalidSchedule", message)
            return
        due = self._latest_due(cron, status, schedule, zone)
        if due is not None and self._may_start(cron, status, due):
            self._start(cron, status, due, zone)
        upcoming = schedule.next(now if due is None else max(due, now), zone)
        if upcoming is not None:
            self.enqueue_after(key, upcoming - now)

    def _latest_due(self, cron: Obj, status: Obj, schedule: Schedule, zone: tzinfo) -> float | None:
        """The latest time that has come since the last job, or None."""
        now = self.clock.now()
        found = schedule.next(self._since(cron, status), zone)
        if found is None or found > now:
            return None
        second = schedule.next(found, zone)
        if second is None or second > now:
            return found
        missed = int((now - found) // (second - found)) + 1
        if missed > MANY:
            message = "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew"
            self.recorder.event(cron, "Warning", "TooManyMissedTimes", message)
        return _latest(schedule, zone, found, second - found, now)

    def _since(self, cron: Obj, status: Obj) -> float:
        """From when on times count: the last job's, but none whose starting deadline has passed."""
        since = seconds_of(status.get("lastScheduleTime") or cron["metadata"]["creationTimestamp"])
        deadline = cron["spec"].get("startingDeadlineSeconds")
        return since if deadline is None else max(since, self.clock.now() - deadline)

    def _may_start(self, cron: Obj, status: Obj, due: float) -> bool:
        """Whether a job for that time is neither too late nor there nor unwanted beside another."""
        deadline = cron["spec"].get("startingDeadlineSeconds")
        if deadline is not None and due + deadline < self.clock.now():
            when = datetime.fromtimestamp(due, UTC).strftime("%a, %d %b %Y %H:%M:%S +0000")
            self.recorder.event(cron, "Warning", "MissSchedule", f"Missed scheduled time to start a job: {when}")
            return False
        name = _job_name(cron, due)
        if (
            any(each.get("name") == name for each in status["active"])
            or seconds_of(status.get("lastScheduleTime")) == due
        ):
            return False
        if cron["spec"].get("concurrencyPolicy") == "Forbid" and status["active"]:
            message = "Not starting job because prior execution is running and concurrency policy is Forbid"
            self.recorder.event(cron, "Normal", "JobAlreadyActive", message)
            return False
        return True

    def _start(self, cron: Obj, status: Obj, due: float, zone: tzinfo) -> None:
        if cron["spec"].get("concurrencyPolicy") == "Replace":
            for each in status["active"]:
                job = self.jobs.get(key_of(cron)[0], each.get("name", ""))
                if job is not None:
                    self._delete(cron, job)
            status["active"] = []
        made = self._create(cron, _job_for(cron, due, zone))
        if made is not None:
            status["active"] = [*status["active"], reference(made)]
            status["lastScheduleTime"] = datetime.fromtimestamp(due, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def _create(self, cron: Obj, job: Obj) -> Obj | None:
        """Make the job, or find that it was made already; None when its namespace ends or its name is taken."""
        namespace, name = job["metadata"]["namespace"], job["metadata"]["name"]
        try:
            made = self.client.create(JOBS, job, namespace)
        except StatusError as error:
            if namespace_ends(error):
                return None
            if error.reason != "AlreadyExists":
                self.recorder.event(cron, "Warning", "FailedCreate", f"Error creating job: {error.message}")
                raise
            there = self.client.get(JOBS, name, namespace)
            ours = (controller_of(there) or {}).get("uid") == cron["metadata"]["uid"]
            return there if ours else None
        self.recorder.event(cron, "Normal", "SuccessfulCreate", f"Created job {name}")
        return made

    def _write(self, cron: Obj, status: Obj) -> None:
        wanted = {key: value for key, value in status.items() if value}
        if wanted != (cron.get("status") or {}):
            self.client.update(CRONJOBS, {**cron, "status": wanted}, subresource="status")


def _latest(schedule: Schedule, zone: tzinfo, first: float, between: float, now: float) -> float:
    """The last time up to ``now``, when the first since the last job was ``first``."""
    found, back = first, 2.0 * between
    while now - back > first:
        start = schedule.next(now - back, zone)
        if start is not None and start <= now:
            found = start
            break
        back *= 2.0
    while (upcoming := schedule.next(found, zone)) is not None and upcoming <= now:
        found = upcoming
    return found


def _job_name(cron: Obj, due: float) -> str:
    return f"{cron['metadata']['name']}-{int(due) // 60}"


def _job_for(cron: Obj, due: float, zone: tzinfo) -> Obj:
    template = cron["spec"]["jobTemplate"]
    given = template.get("metadata") or {}
    when = datetime.fromtimestamp(due, zone).isoformat().replace("+00:00", "Z")
    meta: Obj = {
        "name": _job_name(cron, due),
        "namespace": cron["metadata"]["namespace"],
        "annotations": {**(given.get("annotations") or {}), SCHEDULED: when},
        "ownerReferences": [controller_reference(cron, "batch/v1", "CronJob")],
    }
    if given.get("labels"):
        meta["labels"] = dict(given["labels"])
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": meta, "spec": copy_of(template["spec"])}
