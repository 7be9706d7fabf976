"""What kubectl shows of a pod: the status that is nowhere in the object."""

import pytest

from simkube.apiserver.http.tables import table
from simkube.apiserver.registry.kinds import RESOURCES
from simkube.apiserver.registry.pods.table import status

NOW = 1_000_000_000.0
AGO = "2001-09-09T01:41:40Z"  # five minutes before


def container(name: str = "web", restarts: int = 0, ready: bool = False, last: str = "", **state: dict) -> dict:
    found = {"name": name, "restartCount": restarts, "ready": ready, "state": state}
    if last:
        found["lastState"] = {"terminated": {"exitCode": 1, "finishedAt": last}}
    return found


def pod(phase: str, *statuses: dict, spec: dict | None = None, deleted: bool = False, **status: object) -> dict:
    given = spec or {"containers": [{"name": one["name"]} for one in statuses] or [{"name": "web"}]}
    meta = {"name": "a", "creationTimestamp": AGO}
    if deleted:
        meta["deletionTimestamp"] = AGO
    return {"metadata": meta, "spec": given, "status": {"phase": phase, "containerStatuses": list(statuses), **status}}


RUNNING = container(ready=True, running={"startedAt": AGO})
CONDITION = {"type": "Ready", "status": "True"}


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (pod("Pending"), "Pending"),
        (pod("Pending", container(waiting={"reason": "ContainerCreating"})), "ContainerCreating"),
        (pod("Pending", container(waiting={"reason": "ImagePullBackOff"})), "ImagePullBackOff"),
        (pod("Running", RUNNING), "Running"),
        (pod("Running", container(waiting={"reason": "CrashLoopBackOff"})), "CrashLoopBackOff"),
        (pod("Running", container(terminated={"exitCode": 137, "reason": "OOMKilled"})), "OOMKilled"),
        (pod("Failed", container(terminated={"exitCode": 1, "reason": "Error"})), "Error"),
        (pod("Failed", container(terminated={"exitCode": 3})), "ExitCode:3"),
        (pod("Failed", container(terminated={"exitCode": 137, "signal": 9})), "Signal:9"),
        (pod("Succeeded", container(terminated={"exitCode": 0, "reason": "Completed"})), "Completed"),
        (pod("Running", RUNNING, deleted=True), "Terminating"),
        (pod("Failed", container(terminated={"reason": "Error"}), deleted=True), "Error"),
        (pod("Running", RUNNING, deleted=True, reason="NodeLost"), "Unknown"),
        (pod("Failed", reason="Evicted"), "Evicted"),
        (
            pod("Pending", conditions=[{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}]),
            "SchedulingGated",
        ),
        (
            pod("Running", container("done", terminated={"reason": "Completed"}), RUNNING, conditions=[CONDITION]),
            "Running",
        ),
        (pod("Running", container("done", terminated={"reason": "Completed"}), RUNNING), "NotReady"),
        (pod("Running", container("a", waiting={"reason": "A"}), container("b", waiting={"reason": "B"})), "A"),
    ],
)
def test_status(given: dict, shown: str) -> None:
    assert status(given) == shown


def starting(*inits: dict, **status: object) -> dict:
    spec = {"initContainers": [{"name": one["name"]} for one in inits], "containers": [{"name": "web"}]}
    waiting = container(waiting={"reason": "PodInitializing"})
    return pod("Pending", waiting, spec=spec, initContainerStatuses=list(inits), **status)


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (starting(container("one", waiting={"reason": "PodInitializing"}), container("two")), "Init:0/2"),
        (starting(container("one", terminated={"exitCode": 0}), container("two", running={})), "Init:1/2"),
        (starting(container("one", waiting={"reason": "CrashLoopBackOff"})), "Init:CrashLoopBackOff"),
        (starting(container("one", terminated={"exitCode": 1, "reason": "Error"})), "Init:Error"),
        (starting(container("one", terminated={"exitCode": 7})), "Init:ExitCode:7"),
        (starting(container("one", terminated={"exitCode": 1, "signal": 9})), "Init:Signal:9"),
        (starting(container("one", terminated={"exitCode": 0})), "PodInitializing"),
    ],
)
def test_status_while_initializing(given: dict, shown: str) -> None:
    assert status(given) == shown


def cells(given: dict) -> list:
    return table(RESOURCES["pods"], [given], NOW)["rows"][0]["cells"]


def test_a_sidecar_counts_as_a_container() -> None:
    spec = {
        "initContainers": [{"name": "proxy", "restartPolicy": "Always"}],
        "containers": [{"name": "web"}],
    }
    proxy = {**container("proxy", restarts=2, ready=True, last=AGO, running={}), "started": True}
    given = pod("Running", RUNNING, spec=spec, initContainerStatuses=[proxy])
    assert cells(given)[1:4] == ["2/2", "Running", "2 (5m ago)"]


def test_restarts_and_when_the_last_was() -> None:
    earlier = "2001-09-09T01:00:00Z"
    given = pod("Running", container("a", 2, last=earlier), container("b", 3, last=AGO))
    assert cells(given)[3] == "5 (5m ago)"
    assert cells(pod("Running", container(restarts=4)))[3] == "4"


def test_restarts_of_finished_init_containers_do_not_count() -> None:
    init = container("init", restarts=3, last=AGO, terminated={"exitCode": 0})
    spec = {"initContainers": [{"name": "init"}], "containers": [{"name": "web"}]}
    assert cells(pod("Running", RUNNING, spec=spec, initContainerStatuses=[init]))[3] == "0"


def test_wide_columns() -> None:
    spec = {
        "containers": [{"name": "web"}],
        "nodeName": "node-1",
        "readinessGates": [{"conditionType": "x/y"}, {"conditionType": "x/z"}],
    }
    conditions = [{"type": "x/y", "status": "True"}, {"type": "x/z", "status": "False"}]
    given = pod("Running", RUNNING, spec=spec, podIPs=[{"ip": "10.0.0.1"}], conditions=conditions)
    assert cells(given)[4:] == ["5m", "10.0.0.1", "node-1", "<none>", "1/2"]
    assert cells(pod("Pending"))[5:] == ["<none>"] * 4


def test_a_finished_pod_says_so_beside_its_row() -> None:
    row = table(RESOURCES["pods"], [pod("Succeeded")], NOW)["rows"][0]
    assert [one["reason"] for one in row["conditions"]] == ["Succeeded"]
    assert "conditions" not in table(RESOURCES["pods"], [pod("Running")], NOW)["rows"][0]


@pytest.mark.parametrize("given", [{}, {"metadata": {}}, {"metadata": {"name": "a"}, "spec": None, "status": None}])
def test_a_pod_that_has_nothing_is_shown(given: dict) -> None:
    assert len(cells(given)) == 9
