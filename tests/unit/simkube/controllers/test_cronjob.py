"""Cron jobs: when jobs start, what becomes of them, and that nothing is polled in between."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from simkube.client.client import Obj, copy_of
from tests.doubles.control_plane import Plane
from tests.unit.simkube.controllers.test_job import end, live

CRONS = "cronjobs.batch"
JOBS = "jobs.batch"


def create(plane: Plane, schedule: str = "*/10 * * * *", **spec: Any) -> None:
    pod = {"restartPolicy": "Never", "schedulerName": "nobody", "containers": [{"name": "a", "image": "a:1"}]}
    body = {"schedule": schedule, "jobTemplate": {"spec": {"template": {"spec": pod}}}, **spec}
    cron = {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "tick"}, "spec": body}
    plane.client.create(CRONS, cron, "default")
    plane.settle()


@pytest.fixture
def plane() -> Plane:
    plane = Plane()
    plane.settle(-plane.clock.now() % 3600 + 1)  # one second after a full hour
    return plane


def jobs(plane: Plane) -> list[Obj]:
    return plane.client.list(JOBS, "default")


def status(plane: Plane) -> Obj:
    found: Obj = plane.client.get(CRONS, "tick", "default")["status"]
    return found


def change(plane: Plane, **spec: Any) -> None:
    plane.client.patch(CRONS, "tick", {"spec": spec}, "default")
    plane.settle()


def test_starts_a_job_when_it_is_due(plane: Plane) -> None:
    create(plane)
    plane.settle(598)
    assert jobs(plane) == []
    plane.settle(2)
    (job,) = jobs(plane)
    due = int(plane.clock.now()) // 600 * 600
    assert job["metadata"]["name"] == f"tick-{due // 60}"
    when = datetime.fromtimestamp(due, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert job["metadata"]["annotations"] == {"batch.kubernetes.io/cronjob-scheduled-timestamp": when}
    assert status(plane)["lastScheduleTime"] == when
    assert [each["name"] for each in status(plane)["active"]] == [job["metadata"]["name"]]


def test_sleeps_until_it_is_due(plane: Plane) -> None:
    create(plane)
    due = plane.clock.next_due()
    assert due is not None
    assert due - plane.clock.now() == pytest.approx(599)
    done = plane.cluster.work.done
    plane.settle(590)
    assert plane.cluster.work.done == done


def test_a_time_zone_moves_the_hours(plane: Plane) -> None:
    hour = datetime.fromtimestamp(plane.clock.now(), UTC).hour
    create(plane, f"30 {(hour + 9) % 24} * * *", timeZone="Asia/Tokyo")
    plane.settle(1801)
    (job,) = jobs(plane)
    assert job["metadata"]["annotations"]["batch.kubernetes.io/cronjob-scheduled-timestamp"].endswith("+09:00")


def test_notes_what_succeeded_and_keeps_no_more_than_asked(plane: Plane) -> None:
    create(plane, successfulJobsHistoryLimit=2, failedJobsHistoryLimit=1)
    for _ in range(4):
        plane.settle(600)
        end(plane, live(plane)[0], settle=5)
    assert len(jobs(plane)) == 2
    assert status(plane)["lastSuccessfulTime"]
    assert "active" not in status(plane)
    assert any(message.startswith("Saw completed job: tick-") for message in plane.events("SawCompletedJob"))


@pytest.mark.parametrize(("policy", "running"), [("Allow", 2), ("Forbid", 1), ("Replace", 1)])
def test_what_becomes_of_a_job_that_still_runs(plane: Plane, policy: str, running: int) -> None:
    create(plane, concurrencyPolicy=policy)
    plane.settle(600)
    (first,) = jobs(plane)
    plane.settle(605)
    names = [job["metadata"]["name"] for job in jobs(plane)]
    assert len(names) == running
    assert (first["metadata"]["name"] in names) == (policy != "Replace")
    if policy == "Forbid":
        why = "Not starting job because prior execution is running and concurrency policy is Forbid"
        assert set(plane.events("JobAlreadyActive")) == {why}


def test_forbid_starts_what_was_due_when_the_last_one_ends(plane: Plane) -> None:
    create(plane, concurrencyPolicy="Forbid")
    plane.settle(1200)
    end(plane, live(plane)[0], settle=5)
    assert len(jobs(plane)) == 2


def test_suspended_it_starts_nothing_and_catches_up_once(plane: Plane) -> None:
    create(plane)
    change(plane, suspend=True)
    plane.settle(3000)
    assert jobs(plane) == []
    change(plane, suspend=False)
    plane.settle(1)
    assert len(jobs(plane)) == 1


def test_a_missed_start_is_made_up_for_within_its_deadline(plane: Plane) -> None:
    create(plane, startingDeadlineSeconds=100)
    plane.cluster.stop_component("kube-controller-manager")
    plane.settle(650)
    plane.cluster.start_component("kube-controller-manager")
    plane.settle(1)
    assert len(jobs(plane)) == 1
    plane.cluster.stop_component("kube-controller-manager")
    plane.settle(720)
    plane.cluster.start_component("kube-controller-manager")
    plane.settle(1)
    assert len(jobs(plane)) == 1


def test_many_missed_starts_make_one_job_and_an_event(plane: Plane) -> None:
    create(plane, "* * * * *")
    plane.cluster.stop_component("kube-controller-manager")
    plane.settle(3600 * 30)
    plane.cluster.start_component("kube-controller-manager")
    plane.settle(1)
    (job,) = jobs(plane)
    assert job["metadata"]["name"] == f"tick-{int(plane.clock.now()) // 60}"
    (message,) = plane.events("TooManyMissedTimes")
    assert message.startswith("too many missed start times.")


def test_another_schedule_counts_at_once(plane: Plane) -> None:
    create(plane, "0 0 1 1 *")
    change(plane, schedule="*/5 * * * *")
    plane.settle(300)
    assert len(jobs(plane)) == 1


def test_a_job_that_goes_missing_is_forgotten(plane: Plane) -> None:
    create(plane)
    plane.settle(600)
    name = jobs(plane)[0]["metadata"]["name"]
    plane.client.delete(JOBS, name, "default", propagationPolicy="Background")
    plane.settle(2)
    assert "active" not in status(plane)
    assert plane.events("MissingJob") == [f"Active job went missing: {name}"]


def test_its_jobs_go_with_it(plane: Plane) -> None:
    create(plane)
    plane.settle(600)
    plane.client.delete(CRONS, "tick", "default")
    plane.settle(5)
    assert jobs(plane) == []
    assert plane.pods() == []
    assert plane.clock.next_due() is None or plane.clock.next_due() > plane.clock.now() + 700


@pytest.mark.parametrize("schedule", ["0 0 31 2 *", "0 0 30 2 *", "15 3 31 4,6,9,11 *"])
def test_a_schedule_that_never_comes_is_told(plane: Plane, schedule: str) -> None:
    create(plane, schedule)
    why = "time difference between two schedules is less than 1 second"
    assert plane.events("InvalidSchedule") == [f"invalid schedule: {schedule} : {why}"]
    change(plane, schedule="*/5 * * * *")
    plane.settle(300)
    assert len(jobs(plane)) == 1


def test_a_day_that_comes_every_fourth_year_is_waited_for(plane: Plane) -> None:
    create(plane, "0 0 29 2 *")
    plane.settle(4 * 366 * 86400)
    assert plane.events("InvalidSchedule") == []
    assert len(jobs(plane)) == 1


def test_a_schedule_changed_to_one_that_never_comes_is_told(plane: Plane) -> None:
    create(plane)
    change(plane, schedule="0 0 31 2 *")
    assert len(plane.events("InvalidSchedule")) == 1
    plane.settle(3600)
    assert jobs(plane) == []


def test_what_cannot_be_understood_in_what_is_stored_is_told(plane: Plane) -> None:
    create(plane)
    for part, value in (("schedule", "TZ=UTC * * * * *"), ("timeZone", "Nowhere/At_All")):
        stored = copy_of(plane.client.get(CRONS, "tick", "default"))
        stored["spec"][part] = value
        plane.store.put(CRONS, stored, expect=stored["metadata"]["resourceVersion"])
        plane.settle()
    assert [each.partition(" : ")[0] for each in plane.events("UnparseableSchedule")] == [
        'unparseable schedule: "TZ=UTC * * * * *"'
    ]
    message = 'invalid timeZone: "Nowhere/At_All": unknown time zone Nowhere/At_All'
    assert plane.events("UnknownTimeZone") == [message]
