"""Jobs and cron jobs: defaults, the generated selector, refusals, what may change."""

from __future__ import annotations

import pytest

from tests.unit.simkube.apiserver.kinds.conftest import ME, template


def job(**spec):
    return {"template": template(restartPolicy="Never"), **spec}


def cron_job(**spec):
    return {"schedule": "*/5 * * * *", "jobTemplate": {"spec": job()}, **spec}


def test_a_job_marks_its_pods_with_itself(make) -> None:
    made = make("jobs.batch", job())
    uid, labels = made["metadata"]["uid"], made["spec"]["template"]["metadata"]["labels"]
    assert labels == made["metadata"]["labels"]
    assert labels == {
        "app": "web",
        "controller-uid": uid,
        "job-name": "web",
        "batch.kubernetes.io/controller-uid": uid,
        "batch.kubernetes.io/job-name": "web",
    }
    assert made["spec"]["selector"] == {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}
    assert {key: made["spec"][key] for key in ("parallelism", "completions", "backoffLimit", "suspend")} == {
        "parallelism": 1,
        "completions": 1,
        "backoffLimit": 6,
        "suspend": False,
    }
    assert made["spec"]["podReplacementPolicy"] == "TerminatingOrFailed"


def test_a_job_without_a_name_is_refused(refuse) -> None:
    assert "name or generateName is required" in refuse("jobs.batch", job(), name="")


def test_labels_of_its_own_are_not_its_templates(make) -> None:
    made = make("jobs.batch", job(), metadata={"labels": {"team": "a"}})
    assert made["metadata"]["labels"] == {"team": "a"}


def test_retries_per_index_leave_those_of_the_job_open(make) -> None:
    made = make("jobs.batch", job(completionMode="Indexed", completions=3, backoffLimitPerIndex=1))
    assert (made["spec"]["backoffLimit"], made["spec"]["parallelism"]) == (2**31 - 1, 1)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"template": template()}, 'restartPolicy: Required value: valid values: "OnFailure", "Never"'),
        ({"completionMode": "Indexed", "completions": None, "parallelism": 2}, "when completion mode is Indexed"),
        ({"maxFailedIndexes": 1}, "backoffLimitPerIndex: Required value: when maxFailedIndexes is specified"),
        ({"parallelism": -1}, "spec.parallelism: Invalid value: -1"),
        ({"podReplacementPolicy": "Now"}, 'supported values: "Failed", "TerminatingOrFailed"'),
        ({"managedBy": "me"}, "spec.managedBy: Invalid value"),
        (
            {"podFailurePolicy": {"rules": [{"action": "Ignore"}]}},
            "rules[0]: Invalid value: specifying one of OnExitCodes and OnPodConditions is required",
        ),
        (
            {
                "podFailurePolicy": {
                    "rules": [{"action": "FailJob", "onExitCodes": {"operator": "In", "values": [3, 0, 3]}}]
                }
            },
            "values[1]: Invalid value: 0: must not be 0 for the In operator",
        ),
        ({"successPolicy": {"rules": [{"succeededCount": 1}]}}, "requires indexed completion mode"),
        (
            {
                "completionMode": "Indexed",
                "completions": 3,
                "successPolicy": {"rules": [{"succeededIndexes": "0-1", "succeededCount": 3}]},
            },
            "must be less than or equal to 2 (the number of indexes in the specified succeededIndexes field)",
        ),
        (
            {
                "completionMode": "Indexed",
                "completions": 3,
                "successPolicy": {"rules": [{"succeededIndexes": "2-1"}]},
            },
            "error parsing succeededIndexes: non-increasing order, previous: 2, current: 1",
        ),
        (
            {"selector": {"matchLabels": {"a": "b"}}},
            "`selector` not auto-generated",
        ),
    ],
)
def test_a_job_is_refused(refuse, spec, message) -> None:
    assert message in refuse("jobs.batch", job(**spec))


def test_what_a_job_does_never_changes(make, change) -> None:
    make("jobs.batch", job())
    assert change("jobs.batch", {"spec": {"completions": 4}}) == (
        "spec.completions: Invalid value: 4: field is immutable"
    )
    labels = {"spec": {"template": {"metadata": {"labels": {"tier": "back"}}}}}
    assert change("jobs.batch", labels).endswith("field is immutable")
    assert change("jobs.batch", {"spec": {"parallelism": 4, "suspend": True}}) == ""
    assert change("jobs.batch", labels) == ""  # while it is suspended, and had not begun
    assert change("jobs.batch", {"spec": {"template": {"spec": {"nodeSelector": {"disk": "fast"}}}}}) == ""
    assert change("jobs.batch", {"spec": {"template": {"spec": {"hostNetwork": True}}}}).endswith("immutable")


def test_an_indexed_job_grows_with_its_parallelism(make, change) -> None:
    make("jobs.batch", job(completionMode="Indexed", completions=3, parallelism=3))
    alone = change("jobs.batch", {"spec": {"completions": 5}})
    assert alone.endswith("can only be modified in tandem with spec.parallelism")
    assert change("jobs.batch", {"spec": {"completions": 5, "parallelism": 5}}) == ""


def test_a_finished_job_stays_finished(make, change, server) -> None:
    make("jobs.batch", job())
    early = {"status": {"completionTime": "2026-01-01T00:00:00Z"}}
    assert "there is no Complete=True condition" in change("jobs.batch", early, subresource="status")
    done = {
        "status": {
            "startTime": "2026-01-01T00:00:00Z",
            "completionTime": "2026-01-01T00:01:00Z",
            "conditions": [{"type": "Complete", "status": "True"}],
            "succeeded": 1,
        }
    }
    assert change("jobs.batch", done, subresource="status") == ""
    again = change("jobs.batch", {"status": {"conditions": [], "completionTime": None}}, subresource="status")
    assert again == "status.conditions: Invalid value: cannot disable the terminal Complete=True condition"
    assert server.get(ME, "jobs.batch", "web", "default")["status"]["succeeded"] == 1


def test_a_cron_job_gets_its_own_defaults_and_not_those_of_its_jobs(make) -> None:
    spec = make("cronjobs.batch", cron_job())["spec"]
    assert (spec["concurrencyPolicy"], spec["suspend"]) == ("Allow", False)
    assert (spec["successfulJobsHistoryLimit"], spec["failedJobsHistoryLimit"]) == (3, 1)
    assert "parallelism" not in spec["jobTemplate"]["spec"]
    assert spec["jobTemplate"]["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] == 30


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"schedule": "every day"}, "expected exactly 5 fields, found 2: [every day]"),
        ({"schedule": ""}, "spec.schedule: Required value"),
        ({"schedule": "TZ=UTC 0 0 * * *"}, "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"),
        ({"timeZone": "Nowhere/At_all"}, 'spec.timeZone: Invalid value: "Nowhere/At_all": unknown time zone'),
        ({"timeZone": ""}, "timeZone must be nil or non-empty string"),
        ({"concurrencyPolicy": "Maybe"}, 'supported values: "Allow", "Forbid", "Replace"'),
        ({"jobTemplate": {"spec": {**job(), "manualSelector": True}}}, 'supported values: "nil", "false"'),
    ],
)
def test_a_cron_job_is_refused(refuse, spec, message) -> None:
    assert message in refuse("cronjobs.batch", cron_job(**spec))


def test_a_cron_jobs_name_leaves_room_for_the_time(refuse) -> None:
    assert refuse("cronjobs.batch", cron_job(), name="x" * 53).endswith("must be no more than 52 characters")


def test_who_deletes_a_job_is_told_what_stays(server, make) -> None:
    from simkube.apiserver.registry.request import Request, options_of

    make("jobs.batch", job())
    resource = server.registry.named("jobs.batch")
    request = Request(ME, "delete", resource, "default", "web", options=options_of("delete", {}))
    server.do_delete(request)
    assert request.warnings[0].startswith("child pods are preserved by default when jobs are deleted")
