"""What is done with a learner's Deployment is put back."""

import copy
from typing import Any

import pytest

from grader.cluster import Cluster
from grader.connection import Connection
from grader.errors import CheckFailed
from grader.evidence import Evidence
from grader.operate import HASH, REVISION, Operate
from tests.doubles.api_server import APPS
from tests.doubles.clock import SteppedClock


def template(image: str, **labels: str) -> dict[str, Any]:
    containers = [{"name": "side", "image": "busybox:1.35"}, {"name": "web", "image": image}]
    return {"metadata": {"labels": {"app": "web", **labels}}, "spec": {"containers": containers}}


@pytest.fixture
def deployment(scripted: Any) -> dict[str, Any]:
    """A Deployment of three replicas, at revision 2."""
    made: dict[str, Any] = scripted.add(
        f"{APPS}/deployments",
        "web",
        metadata={"annotations": {REVISION: "2"}, "generation": 1},
        spec={"replicas": 3, "template": template("kindling/web:1.0")},
        status={"observedGeneration": 1, "replicas": 3, "updatedReplicas": 3, "availableReplicas": 3},
    )
    owner = [{"uid": made["metadata"]["uid"], "controller": True, "kind": "Deployment", "name": "web"}]
    for revision, image in (("1", "kindling/web:0.9"), ("2", "kindling/web:1.0")):
        scripted.add(
            f"{APPS}/replicasets",
            f"web-{revision}",
            metadata={"annotations": {REVISION: revision}, "ownerReferences": owner},
            spec={"template": template(image, **{HASH: "abc"})},
        )
    return made


@pytest.fixture
def operate(scripted: Any) -> Operate:
    """The fixture of that name."""
    return Operate(Cluster(Connection(scripted.kubeconfig), "default"), Evidence(SteppedClock()))


def test_what_was_scaled_and_rolled_is_put_back(operate: Operate, deployment: dict[str, Any]) -> None:
    before = copy.deepcopy(deployment["spec"])
    operate.scale("web", 7)
    assert deployment["spec"]["replicas"] == 7
    operate.set_image("web", "kindling/web:2.0")
    changed = deployment["spec"]["template"]["spec"]["containers"]
    assert changed == [{"name": "web", "image": "kindling/web:2.0"}]  # the double does not merge lists by name
    operate.restore()
    assert deployment["spec"] == before
    operate.restore()


def test_undo_goes_back_one_revision(operate: Operate, deployment: dict[str, Any]) -> None:
    operate.undo("web")
    assert deployment["spec"]["template"] == template("kindling/web:0.9")


def test_undo_without_history_is_the_learners_mistake(
    scripted: Any, operate: Operate, deployment: dict[str, Any]
) -> None:
    del scripted.objects[f"{APPS}/replicasets/web-1"]
    with pytest.raises(CheckFailed, match="keeps no earlier revision"):
        operate.undo("web")


@pytest.mark.parametrize("change", [{"updatedReplicas": 2}, {"replicas": 4}, {"observedGeneration": 0}])
def test_a_rollout_under_way_has_not_come_to_its_end(
    operate: Operate, deployment: dict[str, Any], change: dict[str, int]
) -> None:
    assert operate.rolled_out("web") == []
    deployment["status"].update(change)
    with pytest.raises(CheckFailed, match="all up to date and available"):
        operate.rolled_out("web")


def test_scaling_has_come_to_its_end_before_everybody_counts_as_available(
    operate: Operate, deployment: dict[str, Any]
) -> None:
    deployment["status"].update({"readyReplicas": 3, "availableReplicas": 1})
    assert operate.scaled("web") == []
    with pytest.raises(CheckFailed, match="3 up to date, 1 available"):
        operate.rolled_out("web")
    deployment["status"]["readyReplicas"] = 2
    with pytest.raises(CheckFailed, match="3 up to date, 2 ready"):
        operate.scaled("web")


def test_a_deployment_that_is_gone_is_not_put_back(scripted: Any, operate: Operate, deployment: dict[str, Any]) -> None:
    operate.scale("web", 1)
    del scripted.objects[f"{APPS}/deployments/web"]
    operate.restore()
    assert f"{APPS}/deployments/web" not in scripted.objects
    with pytest.raises(CheckFailed, match="there is none"):
        operate.scale("web", 2)
