"""Jobs: completion, failure, indexes, policies, suspension, and that every pod is counted exactly once."""

from __future__ import annotations

from typing import Any

import pytest

from simkube.apimachinery.errors import StatusError
from simkube.client.client import Obj
from simkube.component_helpers.pods import condition
from simkube.controllers.indexes import Indexes
from tests.doubles.control_plane import Plane, reason_of

JOBS = "jobs.batch"
FINALIZER = "batch.kubernetes.io/job-tracking"


def job(name: str = "work", restart: str = "Never", **spec: Any) -> Obj:
    pod = {"restartPolicy": restart, "schedulerName": "nobody", "containers": [{"name": "a", "image": "a:1"}]}
    body = {"template": {"spec": pod}, **spec}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": body}


@pytest.fixture
def plane() -> Plane:
    return Plane()


def create(plane: Plane, **spec: Any) -> None:
    plane.client.create(JOBS, job(**spec), "default")
    plane.settle(2)


def status(plane: Plane, name: str = "work") -> Obj:
    found: Obj = plane.client.get(JOBS, name, "default")["status"]
    return found


def live(plane: Plane) -> list[Obj]:
    return [pod for pod in plane.pods() if pod["status"]["phase"] in ("Pending", "Running")]


def end(plane: Plane, pod: Obj, *, code: int = 0, settle: float = 2.0, conditions: list[Obj] | None = None) -> None:
    """What a kubelet reports of a pod whose only container has ended."""
    now = plane.clock.timestamp()
    terminated = {"exitCode": code, "startedAt": now, "finishedAt": now}
    containers = [
        {
            "name": "a",
            "image": "a:1",
            "imageID": "",
            "ready": False,
            "restartCount": 0,
            "state": {"terminated": terminated},
        }
    ]
    wanted: Obj = {"phase": "Failed" if code else "Succeeded", "containerStatuses": containers}
    if conditions:
        wanted["conditions"] = conditions
    meta = pod["metadata"]
    plane.client.patch("pods", meta["name"], {"status": wanted}, "default", type="strategic", subresource="status")
    plane.settle(settle)


def index(pod: Obj) -> int:
    return int(pod["metadata"]["annotations"]["batch.kubernetes.io/job-completion-index"])


def test_runs_until_enough_have_succeeded(plane: Plane) -> None:
    create(plane, completions=3, parallelism=2)
    assert len(live(plane)) == 2
    for _ in range(3):
        end(plane, live(plane)[0])
    found = status(plane)
    assert (found["succeeded"], found.get("active"), found["uncountedTerminatedPods"]) == (3, None, {})
    assert [each["type"] for each in found["conditions"]] == ["SuccessCriteriaMet", "Complete"]
    assert found["completionTime"]
    assert len(plane.pods()) == 3
    assert not any(pod["metadata"].get("finalizers") for pod in plane.pods())


def test_without_completions_the_first_success_ends_it(plane: Plane) -> None:
    create(plane, parallelism=3)
    end(plane, live(plane)[0])
    assert len(live(plane)) == 2
    assert "conditions" not in status(plane)
    for pod in live(plane):
        end(plane, pod)
    assert reason_of(plane.client.get(JOBS, "work", "default"), "Complete") == "CompletionsReached"


def test_failures_are_tried_again_ever_later(plane: Plane) -> None:
    create(plane, backoffLimit=3)
    waits = []
    for _ in range(3):
        end(plane, live(plane)[0], code=1, settle=0)
        before = plane.clock.now()
        while not live(plane):
            plane.settle(1)
        waits.append(round(plane.clock.now() - before))
    assert waits == [10, 20, 40]
    assert status(plane)["failed"] == 3
    end(plane, live(plane)[0], code=1)
    assert reason_of(plane.client.get(JOBS, "work", "default"), "Failed") == "BackoffLimitExceeded"
    assert status(plane)["failed"] == 4
    assert plane.events("BackoffLimitExceeded") == ["Job has reached the specified backoff limit"]


def test_restarts_count_where_containers_are_restarted(plane: Plane) -> None:
    create(plane, restart="OnFailure", backoffLimit=2)
    (pod,) = live(plane)
    containers = [
        {"name": "a", "image": "a:1", "imageID": "", "ready": True, "restartCount": 2, "state": {"running": {}}}
    ]
    patch = {"status": {"phase": "Running", "containerStatuses": containers}}
    plane.client.patch("pods", pod["metadata"]["name"], patch, "default", type="strategic", subresource="status")
    plane.settle(5)
    assert reason_of(plane.client.get(JOBS, "work", "default"), "Failed") == "BackoffLimitExceeded"
    assert live(plane) == []


def test_a_deadline_ends_what_runs(plane: Plane) -> None:
    create(plane, activeDeadlineSeconds=30, parallelism=2, completions=2)
    plane.settle(26)
    assert len(live(plane)) == 2
    plane.settle(5)
    found = plane.client.get(JOBS, "work", "default")
    assert reason_of(found, "Failed") == "DeadlineExceeded"
    assert (found["status"]["failed"], live(plane)) == (2, [])


def test_suspension_takes_pods_away_without_counting_them(plane: Plane) -> None:
    create(plane, parallelism=2, completions=2, activeDeadlineSeconds=30)
    plane.client.patch(JOBS, "work", {"spec": {"suspend": True}}, "default")
    plane.settle(100)
    found = status(plane)
    assert (plane.pods(), found.get("failed"), found.get("startTime")) == ([], None, None)
    assert reason_of(plane.client.get(JOBS, "work", "default"), "Suspended") == "JobSuspended"
    plane.client.patch(JOBS, "work", {"spec": {"suspend": False}}, "default")
    plane.settle(20)
    assert len(live(plane)) == 2
    assert plane.events("Resumed") == ["Job resumed"]


def test_parallelism_can_be_changed_while_it_runs(plane: Plane) -> None:
    create(plane, parallelism=1, completions=10)
    plane.client.patch(JOBS, "work", {"spec": {"parallelism": 5}}, "default")
    plane.settle(2)
    assert (len(live(plane)), status(plane)["active"]) == (5, 5)
    plane.client.patch(JOBS, "work", {"spec": {"parallelism": 2}}, "default")
    plane.settle(3)
    assert (len(live(plane)), status(plane)["active"], status(plane).get("failed")) == (2, 2, None)


def test_indexes_are_each_done_once(plane: Plane) -> None:
    create(plane, completionMode="Indexed", completions=4, parallelism=2)
    assert sorted(map(index, live(plane))) == [0, 1]
    (second,) = [pod for pod in live(plane) if index(pod) == 1]
    assert second["spec"]["hostname"] == "work-1"
    assert second["spec"]["containers"][0]["env"][0]["name"] == "JOB_COMPLETION_INDEX"
    end(plane, second)
    assert sorted(map(index, live(plane))) == [0, 2]
    assert status(plane)["completedIndexes"] == "1"
    while live(plane):
        end(plane, live(plane)[0])
    assert status(plane)["completedIndexes"] == "0-3"
    assert status(plane)["succeeded"] == 4


def test_each_index_has_its_own_limit(plane: Plane) -> None:
    create(plane, completionMode="Indexed", completions=2, parallelism=2, backoffLimitPerIndex=1)
    for _ in range(2):
        (bad,) = [pod for pod in live(plane) if index(pod) == 0]
        end(plane, bad, code=1, settle=25)
    assert status(plane)["failedIndexes"] == "0"
    assert [index(pod) for pod in live(plane)] == [1]
    end(plane, live(plane)[0])
    found = plane.client.get(JOBS, "work", "default")
    assert reason_of(found, "Failed") == "FailedIndexes"
    assert found["status"]["completedIndexes"] == "1"
    assert not any(pod["metadata"].get("finalizers") for pod in plane.pods())


def test_too_many_failed_indexes(plane: Plane) -> None:
    limits = {"backoffLimitPerIndex": 0, "maxFailedIndexes": 1}
    create(plane, completionMode="Indexed", completions=5, parallelism=5, **limits)
    for number in (0, 1):
        end(plane, next(pod for pod in live(plane) if index(pod) == number), code=1)
    assert reason_of(plane.client.get(JOBS, "work", "default"), "Failed") == "MaxFailedIndexesExceeded"
    assert live(plane) == []


def policy(action: str, **rule: Any) -> Obj:
    return {"rules": [{"action": action, **rule}]}


def test_a_failure_policy_ends_the_job_at_once(plane: Plane) -> None:
    codes = {"operator": "In", "values": [42]}
    create(plane, podFailurePolicy=policy("FailJob", onExitCodes=codes), backoffLimit=6)
    (pod,) = live(plane)
    end(plane, pod, code=42)
    found = condition(plane.client.get(JOBS, "work", "default"), "Failed") or {}
    name = pod["metadata"]["name"]
    wanted = f"Container a for pod default/{name} failed with exit code 42 matching FailJob rule at index 0"
    assert (found["reason"], found["message"]) == ("PodFailurePolicy", wanted)


def test_a_failure_policy_forgives_disruptions(plane: Plane) -> None:
    disrupted = [{"type": "DisruptionTarget", "status": "True"}]
    create(plane, podFailurePolicy=policy("Ignore", onPodConditions=disrupted), backoffLimit=0)
    end(plane, live(plane)[0], code=137, conditions=disrupted, settle=15)
    assert (status(plane).get("failed"), len(live(plane))) == (None, 1)
    end(plane, live(plane)[0], code=1)
    assert reason_of(plane.client.get(JOBS, "work", "default"), "Failed") == "BackoffLimitExceeded"


def test_a_failure_policy_gives_up_an_index(plane: Plane) -> None:
    codes = {"operator": "NotIn", "values": [1]}
    rules = policy("FailIndex", onExitCodes=codes)
    create(
        plane,
        completionMode="Indexed",
        completions=2,
        parallelism=2,
        backoffLimitPerIndex=5,
        podFailurePolicy=rules,
    )
    end(plane, next(pod for pod in live(plane) if index(pod) == 1), code=3)
    assert status(plane)["failedIndexes"] == "1"
    assert [index(pod) for pod in live(plane)] == [0]


def test_a_success_policy_ends_it_early(plane: Plane) -> None:
    rules = {"rules": [{"succeededIndexes": "0,2-3", "succeededCount": 2}]}
    create(plane, completionMode="Indexed", completions=4, parallelism=4, successPolicy=rules)
    for number in (1, 2, 3):
        end(plane, next(pod for pod in live(plane) if index(pod) == number))
    found = plane.client.get(JOBS, "work", "default")
    made = condition(found, "Complete") or {}
    assert (made["reason"], made["message"]) == ("SuccessPolicy", "Matched rules at index 0")
    assert (live(plane), found["status"].get("failed")) == ([], None)


def bound(plane: Plane, pod: Obj) -> None:
    target = {"kind": "Binding", "apiVersion": "v1", "metadata": {}, "target": {"kind": "Node", "name": "nowhere"}}
    plane.client.create("pods", target, "default", name=pod["metadata"]["name"], subresource="binding")


@pytest.mark.parametrize(("replacement", "there"), [("TerminatingOrFailed", 2), ("Failed", 1)])
def test_when_a_terminating_pod_is_replaced(plane: Plane, replacement: str, there: int) -> None:
    create(plane, podReplacementPolicy=replacement)
    (pod,) = live(plane)
    bound(plane, pod)
    plane.client.delete("pods", pod["metadata"]["name"], "default")
    plane.settle(20)
    assert len(plane.pods()) == there
    assert status(plane)["terminating"] == 1


def test_pods_of_a_deleted_job_are_let_go(plane: Plane) -> None:
    create(plane, parallelism=2, completions=2)
    try:
        plane.cluster.apiserver.delete(
            plane.client.caller, JOBS, "work", "default", options={"propagationPolicy": "Background"}
        )
    except StatusError as error:
        pytest.fail(str(error))
    plane.settle(5)
    assert plane.pods() == []


@pytest.mark.parametrize(("policy", "left"), [("Foreground", 0), ("Orphan", 3)])
def test_what_other_deletions_leave(plane: Plane, policy: str, left: int) -> None:
    create(plane, parallelism=3, completions=5)
    plane.client.delete(JOBS, "work", "default", propagationPolicy=policy)
    plane.settle(5)
    assert plane.client.list(JOBS, "default") == []
    assert len(plane.pods()) == left
    assert not any(pod["metadata"].get("finalizers") or pod["metadata"].get("ownerReferences") for pod in plane.pods())


def test_a_job_ends_with_its_namespace(plane: Plane) -> None:
    plane.client.create("namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "short"}})
    plane.settle(1)
    plane.client.create(JOBS, job(parallelism=3, completions=3), "short")
    plane.settle(2)
    assert len(plane.client.list("pods", "short")) == 3
    plane.client.delete("namespaces", "short")
    plane.settle(10)
    assert "short" not in [each["metadata"]["name"] for each in plane.client.list("namespaces")]


def test_time_to_live_after_the_end(plane: Plane) -> None:
    create(plane, ttlSecondsAfterFinished=60)
    end(plane, live(plane)[0])
    plane.settle(55)
    assert status(plane)["succeeded"] == 1
    plane.settle(10)
    assert plane.client.list(JOBS, "default") == []
    assert plane.pods() == []


def test_an_unfinished_job_with_a_time_to_live_stays(plane: Plane) -> None:
    create(plane, ttlSecondsAfterFinished=0)
    plane.settle(600)
    assert status(plane)["active"] == 1


@pytest.mark.parametrize("steps", range(0, 40, 5))
def test_a_restart_at_any_moment_counts_every_pod_once(plane: Plane, steps: int) -> None:
    plane.client.create(JOBS, job(completions=4, parallelism=4), "default")
    plane.settle(2)
    for pod in live(plane)[:3]:
        end(plane, pod, settle=0)
    for _ in range(steps):
        if plane.cluster.step() is None:
            plane.cluster.advance(0.25)
    plane.cluster.stop_component("kube-controller-manager")
    end(plane, live(plane)[0], settle=5)
    plane.cluster.start_component("kube-controller-manager")
    plane.settle(5)
    assert (status(plane)["succeeded"], status(plane)["uncountedTerminatedPods"]) == (4, {})
    assert reason_of(plane.client.get(JOBS, "work", "default"), "Complete") == "CompletionsReached"


def test_a_large_job_costs_what_there_is_of_it(plane: Plane) -> None:
    create(plane, completionMode="Indexed", completions=2_000_000_000, parallelism=3)
    assert sorted(map(index, live(plane))) == [0, 1, 2]


def test_indexes_as_text() -> None:
    found = Indexes.parse("1,3-5,9-20,x", 12)
    assert (str(found), len(found), 4 in found, 6 in found) == ("1,3-5,9-11", 7, True, False)
    assert str(found.with_([2, 6])) == "1-6,9-11"
    assert list(found.missing(8)) == [0, 2, 6, 7]
    assert found.common(Indexes.parse("4-10", 100)) == 4
    assert str(Indexes().with_([7, 8])) == "7,8"
