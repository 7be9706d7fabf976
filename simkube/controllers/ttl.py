"""TTL after finished: a job that is over goes, with its pods, ``ttlSecondsAfterFinished`` seconds later.

Source: ``pkg/controller/ttlafterfinished``. One timer a job that has such a time to live, none for others.
"""

from __future__ import annotations

from collections.abc import Hashable

from simkube.client.client import Event, key_of
from simkube.component_helpers.pods import seconds_of
from simkube.controllers.controller import Controller
from simkube.controllers.job import JOBS, end_of


class TTLAfterFinishedController(Controller):
    """Keys are ``(namespace, name)`` of jobs."""

    name = "ttl-after-finished-controller"
    resource = "jobs.batch"

    def watch(self) -> None:
        """Jobs with a time to live."""
        self.jobs = self.client.observe(JOBS, self._job_changed)

    def _job_changed(self, event: Event) -> None:
        key = key_of(event.obj)
        if event.type == "DELETED":
            self.dequeue(key)
        elif event.obj["spec"].get("ttlSecondsAfterFinished") is not None and end_of(event.obj) is not None:
            self.enqueue(key)

    def reconcile(self, key: Hashable) -> None:
        """Delete the job, or wait until it is time."""
        assert isinstance(key, tuple)
        job = self.jobs.get(*key)
        if job is None or "deletionTimestamp" in job["metadata"]:
            return
        end, seconds = end_of(job), job["spec"].get("ttlSecondsAfterFinished")
        if end is None or seconds is None:
            return
        left = seconds_of(end.get("lastTransitionTime")) + seconds - self.clock.now()
        if left > 0:
            self.enqueue_after(key, left)
            return
        uid = {"uid": job["metadata"]["uid"]}
        self.client.delete(JOBS, key[1], key[0], propagationPolicy="Foreground", preconditions=uid)
