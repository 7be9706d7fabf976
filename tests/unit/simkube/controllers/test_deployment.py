"""Deployments: rolling over, going back, pausing, getting stuck."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simkube.client.client import Event, Obj
from simkube.component_helpers.pods import is_active, is_ready
from tests.doubles.control_plane import BrokenKubelet, NeverReadyKubelet, Plane, SlowKubelet, images, reason_of


@pytest.fixture
def plane() -> Plane:
    plane = Plane()
    plane.node("one")
    plane.node("two")
    return plane


def revisions(plane: Plane) -> list[tuple[str, int]]:
    annotation = "deployment.kubernetes.io/revision"
    return sorted((rs["metadata"]["annotations"][annotation], rs["spec"]["replicas"]) for rs in plane.sets())


def test_comes_up_and_says_so(plane: Plane) -> None:
    plane.deploy(replicas=3)
    plane.settle()
    status = plane.deployment()["status"]
    assert [status[field] for field in ("replicas", "readyReplicas", "availableReplicas", "updatedReplicas")] == [3] * 4
    assert reason_of(plane.deployment(), "Progressing") == "NewReplicaSetAvailable"
    assert reason_of(plane.deployment(), "Available") == "MinimumReplicasAvailable"
    (rs,) = plane.sets()
    assert rs["metadata"]["name"] == f"web-{rs['metadata']['labels']['pod-template-hash']}"
    assert plane.events("ScalingReplicaSet") == [f"Scaled up replica set {rs['metadata']['name']} from 0 to 3"]
    assert len(plane.events("SuccessfulCreate")) == 3


@pytest.mark.parametrize(
    ("surge", "unavailable", "most", "least"),
    [(1, 0, 5, 4), (0, 1, 4, 3), ("25%", "25%", 5, 3), ("50%", "0%", 6, 4), (0, 0, 4, 3)],
)
def test_rolls_within_its_bounds(surge: int | str, unavailable: int | str, most: int, least: int) -> None:
    plane = Plane()
    plane.node("one", SlowKubelet)
    strategy = {"rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}
    if (surge, unavailable) == (0, 0):
        strategy["rollingUpdate"]["maxUnavailable"] = "10%"  # of 4, rounded down: 0 too
    plane.deploy(replicas=4, strategy=strategy)
    plane.settle(30)
    seen: list[tuple[int, int]] = []

    def look(_: Event) -> None:
        pods = [pod for pod in plane.cluster.informers.get("pods").list("default") if is_active(pod)]
        seen.append((len(pods), sum(is_ready(pod) for pod in pods)))

    plane.cluster.informers.get("pods").on_change(look)
    seen.clear()
    plane.set_image("web:2")
    plane.settle(120)
    assert images(plane.pods()) == ["web:2"] * 4
    assert max(count for count, _ in seen) == most
    assert min(ready for _, ready in seen) == least


def test_never_gives_up_old_pods_for_ones_that_do_not_get_ready() -> None:
    plane = Plane()
    plane.node("one")
    plane.deploy(replicas=4, progressDeadlineSeconds=30)
    plane.settle()
    plane.cluster.kubelets["one"].stop()
    plane.cluster.kubelets["one"] = NeverReadyKubelet(plane, "one")  # type: ignore[assignment]
    plane.cluster.kubelets["one"].start()
    plane.set_image("web:broken")
    plane.settle(20)
    assert plane.deployment()["status"]["availableReplicas"] == 3
    assert reason_of(plane.deployment(), "Progressing") == "ReplicaSetUpdated"
    plane.settle(20)
    assert reason_of(plane.deployment(), "Progressing") == "ProgressDeadlineExceeded"


def test_undo_uses_the_old_replica_set_under_a_new_revision(plane: Plane) -> None:
    plane.deploy()
    plane.settle()
    plane.set_image("web:2")
    plane.settle()
    assert revisions(plane) == [("1", 0), ("2", 3)]
    plane.set_image("web:1")
    plane.settle()
    assert revisions(plane) == [("2", 0), ("3", 3)]
    (current,) = [rs for rs in plane.sets() if rs["spec"]["replicas"]]
    assert current["metadata"]["annotations"]["deployment.kubernetes.io/revision-history"] == "1"
    assert plane.deployment()["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "3"


def test_keeps_no_more_revisions_than_wanted(plane: Plane) -> None:
    plane.deploy(revisionHistoryLimit=2)
    for version in range(2, 7):
        plane.settle()
        plane.set_image(f"web:{version}")
    plane.settle()
    assert revisions(plane) == [("4", 0), ("5", 0), ("6", 3)]


def test_does_nothing_new_while_paused(plane: Plane) -> None:
    plane.deploy()
    plane.settle()
    plane.client.patch("deployments.apps", "web", {"spec": {"paused": True}}, "default")
    plane.settle()
    assert reason_of(plane.deployment(), "Progressing") == "DeploymentPaused"
    plane.set_image("web:2")
    plane.scale(5)
    plane.settle()
    assert images(plane.pods()) == ["web:1"] * 5
    plane.client.patch("deployments.apps", "web", {"spec": {"paused": None}}, "default")
    plane.settle()
    assert images(plane.pods()) == ["web:2"] * 5


def test_recreate_never_runs_both(plane: Plane) -> None:
    plane.deploy(strategy={"type": "Recreate"})
    plane.settle()
    both: list[set[str]] = []

    def look(_: Event) -> None:
        both.append(set(images(plane.cluster.informers.get("pods").list("default"))))

    plane.cluster.informers.get("pods").on_change(look)
    plane.set_image("web:2")
    plane.settle()
    assert images(plane.pods()) == ["web:2"] * 3
    assert {"web:1", "web:2"} not in both


def test_waits_min_ready_seconds(plane: Plane) -> None:
    plane.deploy(minReadySeconds=15)
    plane.settle(10)
    status = plane.deployment()["status"]
    assert (status["readyReplicas"], status.get("availableReplicas")) == (3, None)
    plane.settle(10)
    assert plane.deployment()["status"]["availableReplicas"] == 3


def test_scales_in_proportion_in_the_middle_of_a_rollout() -> None:
    plane = Plane()
    plane.node("one")
    plane.deploy(replicas=10, strategy={"rollingUpdate": {"maxSurge": 3, "maxUnavailable": 2}})
    plane.settle()
    plane.cluster.kubelets["one"].stop()
    plane.set_image("web:2")
    plane.settle()
    sizes = {
        rs["metadata"]["annotations"]["deployment.kubernetes.io/revision"]: rs["spec"]["replicas"]
        for rs in plane.sets()
    }
    assert sizes == {"1": 8, "2": 5}
    plane.scale(15)
    plane.settle()
    sizes = {
        rs["metadata"]["annotations"]["deployment.kubernetes.io/revision"]: rs["spec"]["replicas"]
        for rs in plane.sets()
    }
    assert sizes == {"1": 11, "2": 7}  # the example of Kubernetes' documentation


def test_adopts_a_matching_replica_set_and_lets_go_of_one_that_no_longer_matches(plane: Plane) -> None:
    plane.deploy()
    plane.settle()
    (rs,) = plane.sets()
    patch = {"metadata": {"ownerReferences": None}}
    plane.client.patch("replicasets.apps", rs["metadata"]["name"], patch, "default")
    plane.settle()
    (rs,) = plane.sets()
    assert rs["metadata"]["ownerReferences"][0]["name"] == "web"
    plane.client.patch("replicasets.apps", rs["metadata"]["name"], {"metadata": {"labels": {"app": "x"}}}, "default")
    plane.settle()
    released = plane.client.get("replicasets.apps", rs["metadata"]["name"], "default")
    assert "ownerReferences" not in released["metadata"]


def test_heals_what_is_deleted(plane: Plane) -> None:
    plane.deploy()
    plane.settle()
    before = {pod["metadata"]["uid"] for pod in plane.pods()}
    victim = plane.pods()[0]
    plane.client.delete("pods", victim["metadata"]["name"], "default")
    plane.settle()
    after = {pod["metadata"]["uid"] for pod in plane.pods()}
    assert len(after) == 3
    assert len(after - before) == 1


def test_replaces_pods_that_failed_but_not_as_fast_as_they_fail() -> None:
    plane = Plane()
    plane.node("one", BrokenKubelet)
    plane.deploy(replicas=1)
    plane.settle(60)
    failed = [pod for pod in plane.pods() if pod["status"]["phase"] == "Failed"]
    assert 5 < len(failed) < 50


def test_nothing_heals_without_the_controller_manager(plane: Plane) -> None:
    plane.deploy()
    plane.settle()
    plane.cluster.stop_component("kube-controller-manager")
    plane.client.delete("pods", plane.pods()[0]["metadata"]["name"], "default")
    plane.set_image("web:2")
    plane.settle(60)
    assert images(plane.pods()) == ["web:1"] * 2
    plane.cluster.start_component("kube-controller-manager")
    plane.settle()
    assert images(plane.pods()) == ["web:2"] * 3


@settings(max_examples=25, deadline=None)
@given(
    start=st.lists(st.tuples(st.sampled_from(["web:1", "web:2", "web:3"]), st.integers(0, 4)), max_size=3),
    wanted=st.integers(0, 6),
    surge=st.integers(0, 2),
    unavailable=st.integers(0, 2),
    strays=st.integers(0, 3),
)
def test_converges_from_any_start(
    start: list[tuple[str, int]], wanted: int, surge: int, unavailable: int, strays: int
) -> None:
    plane = Plane()
    plane.node("one")
    for number, (image, replicas) in enumerate(start):
        plane.client.create("replicasets.apps", stray_set(f"old-{number}", image, replicas), "default")
    for number in range(strays):
        plane.pod(f"stray-{number}", labels={"app": "web", "hash": "0"})
    strategy = {"rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable or (1 if not surge else 0)}}
    plane.deploy(replicas=wanted, image="web:3", strategy=strategy)
    plane.settle(60)
    owned = [pod for pod in plane.pods() if is_active(pod) and pod["metadata"].get("ownerReferences")]
    assert images(owned) == ["web:3"] * wanted
    status = plane.deployment()["status"]
    assert status["observedGeneration"] == plane.deployment()["metadata"]["generation"]
    assert (status.get("availableReplicas", 0), status.get("replicas", 0)) == (wanted, wanted)


def stray_set(name: str, image: str, replicas: int) -> Obj:
    labels = {"app": "web", "hash": name[-1]}
    pod = {"containers": [{"name": "web", "image": image}]}
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }
