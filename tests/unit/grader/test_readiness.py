"""What was ready when grading began is told from what is ready now."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from grader.connection import Connection
from grader.readiness import SILENT, UNKNOWN, missing
from grader.snapshot import snapshot
from tests.doubles.api_server import CORE, node_status, pod

Took = Callable[[], dict[str, Any]]
Lacks = Callable[[object], str]


def owned(name: str, template: str, **state: Any) -> dict[str, Any]:
    """A pod of the Deployment ``web``, by the replica set of a template."""
    owner = [{"controller": True, "kind": "ReplicaSet", "name": f"web-{template}", "uid": template}]
    labels = {"app": "web", "pod-template-hash": template}
    return pod(name, labels=labels, meta={"ownerReferences": owner}, **state)


def put(scripted: Any, *pods: dict[str, Any]) -> None:
    """These pods and no others."""
    for path in [path for path in scripted.objects if path.startswith(f"{CORE}/pods/")]:
        del scripted.objects[path]
    for one in pods:
        scripted.objects[f"{CORE}/pods/{one['metadata']['name']}"] = one


@pytest.fixture
def connection(scripted: Any) -> Connection:
    return Connection(scripted.kubeconfig, patience=0.0)


@pytest.fixture
def took(connection: Connection) -> Took:
    """Take a snapshot."""
    return lambda: snapshot(connection, "default")


@pytest.fixture
def lacks(connection: Connection) -> Lacks:
    return lambda before: missing(connection, before)


def test_nothing_is_missing_where_nothing_was_done(scripted: Any, took: Took, lacks: Lacks) -> None:
    put(scripted, pod("notebook"), owned("web-1", "a"))
    assert lacks(took()) == ""


def test_a_killed_container_is_waited_for_until_its_back_off_is_over(scripted: Any, took: Took, lacks: Lacks) -> None:
    put(scripted, pod("notebook"))
    before = took()
    put(scripted, pod("notebook", ready=False, state={"waiting": {"reason": "CrashLoopBackOff"}}, restarts=2))
    assert lacks(before) == 'Pod "default/notebook" is not ready'
    put(scripted, pod("notebook", restarts=3))
    assert lacks(before) == ""


def test_what_was_not_ready_before_is_not_waited_for(scripted: Any, took: Took, lacks: Lacks) -> None:
    put(scripted, pod("notebook", ready=False), owned("web-1", "a"), owned("web-2", "a", ready=False))
    assert lacks(took()) == ""


def test_one_of_the_same_controller_is_as_good(scripted: Any, took: Took, lacks: Lacks) -> None:
    put(scripted, owned("web-1", "a"), owned("web-2", "a"))
    before = took()
    put(scripted, owned("web-1", "a"), owned("web-3", "a", ready=False))
    assert lacks(before) == 'ReplicaSet "default/web-a" is not ready (1 of 2 pods)'
    put(scripted, owned("web-1", "a"), owned("web-3", "a"))
    assert lacks(before) == ""


def test_another_template_is_not(scripted: Any, took: Took, lacks: Lacks) -> None:
    put(scripted, owned("web-1", "a"))
    before = took()
    put(scripted, owned("web-2", "b"))
    assert lacks(before) == 'ReplicaSet "default/web-a" is not ready'


def test_nor_is_what_was_scaled_up_or_is_still_rolled_back(scripted: Any, took: Took, lacks: Lacks) -> None:
    put(scripted, owned("web-1", "a"))
    before = took()
    put(scripted, owned("web-1", "a"), owned("web-2", "b", ready=False))
    assert lacks(before) == ""  # it has nothing that is ready, and so no traffic
    put(scripted, owned("web-1", "a"), owned("web-2", "b"))
    assert lacks(before) == '"ReplicaSet default/web" has more pods than it had'
    gone = owned("web-2", "b")
    gone["metadata"]["deletionTimestamp"] = "2026-11-23T02:00:00Z"
    put(scripted, owned("web-1", "a"), gone)
    assert lacks(before) == ""


def test_a_node_has_to_come_back(scripted: Any, took: Took, lacks: Lacks) -> None:
    node = scripted.add("/api/v1/nodes", "worker", status=node_status())
    before = took()
    node["status"] = node_status(ready=False)
    assert lacks(before) == 'Node "worker" is not ready'


def test_a_pod_that_ended_by_itself_is_as_it_was_and_one_that_was_killed_is_not(
    scripted: Any, took: Took, lacks: Lacks
) -> None:
    put(scripted, pod("notebook"))
    before = took()
    put(scripted, pod("notebook", ready=False, phase="Succeeded"))
    assert lacks(before) == ""
    put(scripted, pod("notebook", ready=False, phase="Failed"))
    assert lacks(before) == 'Pod "default/notebook" is not ready'


def test_pods_of_jobs_and_probes_come_and_go(scripted: Any, took: Took, lacks: Lacks) -> None:
    owner = [{"controller": True, "kind": "Job", "name": "once", "uid": "j"}]
    put(scripted, pod("once-1", meta={"ownerReferences": owner}), pod("probe", meta={"namespace": "kindling-probe-1"}))
    before = took()
    put(scripted)
    assert lacks(before) == ""


def test_what_nobody_knows_is_not_taken_for_ready(scripted: Any, took: Took, lacks: Lacks) -> None:
    assert lacks(None) == ""  # interrupted before the snapshot, and so before anything was done
    before = took()
    assert lacks({"pods": {"objects": []}}) == UNKNOWN
    assert lacks({"ready": {"error": "refused"}}) == UNKNOWN
    assert lacks({"ready": {**before["ready"], "more": True}}) == UNKNOWN
    scripted.gone = True
    assert lacks(before) == SILENT
