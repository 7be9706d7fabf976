"""What is done with a learner's Deployment is put back."""

import copy
from typing import Any

import pytest

from grader.cluster import Cluster
from grader.connection import Connection
from grader.errors import CheckFailed
from grader.evidence import Evidence
from grader.operate import HASH, REVISION, SCALER, Operate
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


SCALERS = "/apis/autoscaling/v1/namespaces/default/horizontalpodautoscalers"


@pytest.fixture
def scaler(scripted: Any) -> dict[str, Any]:
    """An autoscaler that holds the Deployment's count, beside one of something else."""
    scripted.groups.append("/apis/autoscaling/")
    scripted.kinds.append("horizontalpodautoscalers")
    for name, kind in (("a-set", "StatefulSet"), ("web", "Deployment")):
        target = {"apiVersion": "apps/v1", "kind": kind, "name": "web"}
        scripted.add(SCALERS, name, spec={"scaleTargetRef": target, "minReplicas": 2, "maxReplicas": 9})
    held: dict[str, Any] = scripted.objects[f"{SCALERS}/web"]
    return held


def limits(scaler: dict[str, Any]) -> tuple[int, int]:
    return scaler["spec"]["minReplicas"], scaler["spec"]["maxReplicas"]


def test_an_autoscaler_agrees_with_what_is_tried(
    scripted: Any, operate: Operate, deployment: dict[str, Any], scaler: dict[str, Any]
) -> None:
    operate.scale("web", 5)
    assert (limits(scaler), deployment["spec"]["replicas"]) == ((5, 5), 5)
    operate.scale("web", 1)
    assert (limits(scaler), deployment["spec"]["replicas"]) == ((1, 1), 1)
    assert limits(scripted.objects[f"{SCALERS}/a-set"]) == (2, 9)
    changed = [one for one in scripted.seen if one.startswith("PATCH")]
    assert changed[0] == f"PATCH {SCALERS}/web"  # before the count, which it would set back
    operate.restore()
    assert (limits(scaler), deployment["spec"]["replicas"]) == ((2, 9), 3)


def test_an_autoscaler_without_a_lower_limit_gets_the_usual_one_back(
    operate: Operate, deployment: dict[str, Any], scaler: dict[str, Any]
) -> None:
    del scaler["spec"]["minReplicas"]
    operate.scale("web", 5)
    operate.restore()
    assert limits(scaler) == (1, 9)


def test_an_autoscaler_that_is_gone_is_not_put_back(
    scripted: Any, operate: Operate, deployment: dict[str, Any], scaler: dict[str, Any]
) -> None:
    operate.scale("web", 5)
    del scripted.objects[f"{SCALERS}/web"]
    operate.restore()
    assert f"{SCALERS}/web" not in scripted.objects
    assert deployment["spec"]["replicas"] == 3


def test_what_was_changed_of_an_autoscaler_is_marked_and_can_be_taken_over(
    scripted: Any, deployment: dict[str, Any], scaler: dict[str, Any]
) -> None:
    marked: list[dict[str, Any]] = []
    cluster, nowhere = Cluster(Connection(scripted.kubeconfig), "default"), Evidence(SteppedClock())
    first = Operate(cluster, nowhere, lambda how, before, _: marked.append(copy.deepcopy({**before, "how": how})))
    first.scale("web", 5)
    assert [(one["how"], one.get("kind")) for one in marked] == [("operate", None), ("operate", SCALER)]
    other = Operate(cluster, nowhere)
    for one in marked:
        other.take_over(one)
    other.restore()
    assert (limits(scaler), deployment["spec"]["replicas"]) == ((2, 9), 3)


def test_a_cluster_without_autoscalers_is_scaled_all_the_same(operate: Operate, deployment: dict[str, Any]) -> None:
    operate.scale("web", 5)
    assert deployment["spec"]["replicas"] == 5


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
