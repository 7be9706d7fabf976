"""Stateful sets: order, names, claims, updates, and carrying on from the middle of anything."""

from __future__ import annotations

from typing import Any

import pytest

from simkube.client.client import Obj
from simkube.controllers.history import hash_of
from tests.doubles.control_plane import NeverReadyKubelet, Plane, ScriptedKubelet, SlowKubelet, images

SETS = "statefulsets.apps"


def stateful_set(name: str = "db", replicas: int = 3, image: str = "db:1", **spec: Any) -> Obj:
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "db", "image": image}]}}
    spec = {"serviceName": name, "selector": {"matchLabels": labels}, "template": template, **spec}
    spec["replicas"] = replicas
    return {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": name}, "spec": spec}


def cluster(kubelet: type[ScriptedKubelet] | None = ScriptedKubelet) -> Plane:
    plane = Plane()
    plane.node("one", kubelet)
    return plane


@pytest.fixture
def plane() -> Plane:
    return cluster()


def create(plane: Plane, **spec: Any) -> None:
    plane.client.create(SETS, stateful_set(**spec), "default")
    plane.settle()


def change(plane: Plane, spec: Obj) -> None:
    plane.client.patch(SETS, "db", {"spec": spec}, "default", type="strategic")
    plane.settle()


def set_image(plane: Plane, image: str) -> None:
    change(plane, {"template": {"spec": {"containers": [{"name": "db", "image": image}]}}})


def names(plane: Plane) -> list[str]:
    return sorted(pod["metadata"]["name"] for pod in plane.pods())


def status(plane: Plane) -> Obj:
    found: Obj = plane.client.get(SETS, "db", "default")["status"]
    return found


def image_of(plane: Plane, name: str) -> str:
    return str(plane.client.get("pods", name, "default")["spec"]["containers"][0]["image"])


def test_each_pod_waits_for_the_one_before() -> None:
    plane = cluster(SlowKubelet)
    create(plane)
    assert names(plane) == ["db-0"]
    plane.settle(10)
    assert names(plane) == ["db-0", "db-1"]
    plane.settle(20)
    assert names(plane) == ["db-0", "db-1", "db-2"]
    assert (status(plane)["readyReplicas"], status(plane)["replicas"]) == (3, 3)


def test_parallel_makes_all_at_once_from_the_first_ordinal() -> None:
    plane = cluster(NeverReadyKubelet)
    create(plane, replicas=30, podManagementPolicy="Parallel", ordinals={"start": 5})
    assert len(names(plane)) == 30
    assert {"db-5", "db-34"} <= set(names(plane))


def test_pods_know_who_they_are(plane: Plane) -> None:
    create(plane, replicas=1)
    (pod,) = plane.pods()
    labels = pod["metadata"]["labels"]
    assert labels["statefulset.kubernetes.io/pod-name"] == "db-0"
    assert labels["apps.kubernetes.io/pod-index"] == "0"
    assert labels["controller-revision-hash"] == status(plane)["updateRevision"]
    assert (pod["spec"]["hostname"], pod["spec"]["subdomain"]) == ("db-0", "db")


def test_minimum_ready_seconds_delay_the_next(plane: Plane) -> None:
    create(plane, minReadySeconds=30)
    plane.settle(29)
    assert names(plane) == ["db-0"]
    plane.settle(2)
    assert names(plane) == ["db-0", "db-1"]
    assert status(plane)["availableReplicas"] == 1


def test_shrinks_from_the_top_one_at_a_time(plane: Plane) -> None:
    create(plane)
    plane.cluster.kubelets["one"].stop()
    change(plane, {"replicas": 1})
    dying = [pod["metadata"]["name"] for pod in plane.pods() if "deletionTimestamp" in pod["metadata"]]
    assert dying == ["db-2"]
    plane.cluster.kubelets["one"].start()
    plane.settle()
    assert names(plane) == ["db-0"]


def test_updates_from_the_top_down_to_the_partition(plane: Plane) -> None:
    create(plane)
    change(plane, {"updateStrategy": {"rollingUpdate": {"partition": 2}}})
    set_image(plane, "db:2")
    assert images(plane.pods()) == ["db:1", "db:1", "db:2"]
    assert image_of(plane, "db-2") == "db:2"
    assert status(plane)["currentRevision"] != status(plane)["updateRevision"]
    plane.client.delete("pods", "db-0", "default")
    plane.settle()
    assert image_of(plane, "db-0") == "db:1"
    change(plane, {"updateStrategy": {"rollingUpdate": {"partition": 0}}})
    assert images(plane.pods()) == ["db:2"] * 3
    assert status(plane)["currentRevision"] == status(plane)["updateRevision"]


def test_an_update_waits_for_what_it_replaced() -> None:
    plane = cluster(SlowKubelet)
    create(plane)
    plane.settle(40)
    set_image(plane, "db:2")
    assert images(plane.pods()) == ["db:1", "db:1", "db:2"]
    plane.settle(10)
    assert images(plane.pods()) == ["db:1", "db:2", "db:2"]


def test_on_delete_leaves_it_to_the_user(plane: Plane) -> None:
    create(plane, updateStrategy={"type": "OnDelete"})
    set_image(plane, "db:2")
    assert images(plane.pods()) == ["db:1"] * 3
    plane.client.delete("pods", "db-1", "default")
    plane.settle()
    assert images(plane.pods()) == ["db:1", "db:1", "db:2"]


def test_going_back_uses_the_revision_there_was(plane: Plane) -> None:
    create(plane, replicas=1)
    first = status(plane)["updateRevision"]
    set_image(plane, "db:2")
    set_image(plane, "db:1")
    revisions = plane.client.list("controllerrevisions.apps", "default")
    assert sorted(each["revision"] for each in revisions) == [2, 3]
    assert status(plane)["updateRevision"] == first


def test_old_revisions_are_forgotten(plane: Plane) -> None:
    create(plane, replicas=1, revisionHistoryLimit=2)
    for number in range(2, 7):
        set_image(plane, f"db:{number}")
    assert len(plane.client.list("controllerrevisions.apps", "default")) == 3


def test_a_failed_pod_is_replaced_under_its_name(plane: Plane) -> None:
    create(plane, replicas=1)
    before = plane.pods()[0]["metadata"]["uid"]
    plane.client.patch("pods", "db-0", {"status": {"phase": "Failed"}}, "default", subresource="status")
    plane.settle()
    (pod,) = plane.pods()
    assert pod["metadata"]["name"] == "db-0"
    assert pod["metadata"]["uid"] != before


def test_adopts_and_releases(plane: Plane) -> None:
    plane.pod("db-0", labels={"app": "db"})
    plane.pod("other-0", labels={"app": "db"})
    create(plane, replicas=1)
    owned = [pod["metadata"]["name"] for pod in plane.pods() if pod["metadata"].get("ownerReferences")]
    assert owned == ["db-0"]
    plane.client.patch("pods", "db-0", {"metadata": {"labels": {"app": "debug"}}}, "default")
    plane.settle()
    assert "ownerReferences" not in plane.client.get("pods", "db-0", "default")["metadata"]


CLAIMS = [
    {
        "metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }
]


def claims(plane: Plane) -> dict[str, list[str]]:
    found = plane.client.list("persistentvolumeclaims", "default")
    return {
        claim["metadata"]["name"]: [ref["name"] for ref in claim["metadata"].get("ownerReferences", ())]
        for claim in found
    }


def unscheduled(**spec: Any) -> Obj:
    """A set whose pods nobody binds, so that claims need no volumes."""
    made = stateful_set(podManagementPolicy="Parallel", volumeClaimTemplates=CLAIMS, **spec)
    made["spec"]["template"]["spec"]["schedulerName"] = "nobody"
    return made


def test_claims_stay_by_default() -> None:
    plane = Plane()
    plane.client.create(SETS, unscheduled(replicas=2), "default")
    plane.settle()
    assert claims(plane) == {"data-db-0": [], "data-db-1": []}
    change(plane, {"replicas": 1})
    plane.client.delete(SETS, "db", "default")
    plane.settle(5)
    assert set(claims(plane)) == {"data-db-0", "data-db-1"}


def test_claims_go_with_the_set_or_with_the_pod() -> None:
    plane = Plane()
    policy = {"whenDeleted": "Delete", "whenScaled": "Delete"}
    plane.client.create(SETS, unscheduled(replicas=2, persistentVolumeClaimRetentionPolicy=policy), "default")
    plane.settle()
    assert claims(plane) == {"data-db-0": ["db"], "data-db-1": ["db"]}
    change(plane, {"replicas": 1})
    plane.settle(5)
    assert claims(plane) == {"data-db-0": ["db"]}
    plane.client.delete(SETS, "db", "default")
    plane.settle(5)
    assert claims(plane) == {}


def test_says_why_it_cannot_create(plane: Plane) -> None:
    made = stateful_set(replicas=1)
    made["spec"]["template"]["spec"]["serviceAccountName"] = "missing"
    plane.client.create(SETS, made, "default")
    plane.settle()
    (message,) = plane.events("FailedCreate")
    assert message.startswith("Create Pod db-0 in StatefulSet db failed error: pods ")
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "missing"}}
    plane.client.create("serviceaccounts", account, "default")
    plane.settle(10)
    assert names(plane) == ["db-0"]


@pytest.mark.parametrize("steps", range(0, 60, 7))
def test_a_restart_at_any_moment_changes_nothing_in_the_end(steps: int) -> None:
    plane = cluster()
    plane.client.create(SETS, stateful_set(), "default")
    plane.settle()
    plane.client.patch(
        SETS,
        "db",
        {"spec": {"replicas": 2, "template": {"spec": {"containers": [{"name": "db", "image": "db:2"}]}}}},
        "default",
        type="strategic",
    )
    for _ in range(steps):
        plane.cluster.step()
    plane.cluster.stop_component("kube-controller-manager")
    plane.client.delete("pods", "db-0", "default")
    plane.settle()
    plane.cluster.start_component("kube-controller-manager")
    plane.settle(2)
    assert names(plane) == ["db-0", "db-1"]
    assert images(plane.pods()) == ["db:2", "db:2"]
    assert status(plane)["updatedReplicas"] == 2


def test_an_absurd_number_costs_only_what_there_is() -> None:
    plane = cluster(NeverReadyKubelet)
    create(plane, replicas=2_000_000_000)
    assert names(plane) == ["db-0"]


def test_revisions_are_named_as_kubernetes_names_them() -> None:
    container = {
        "image": "db:1",
        "imagePullPolicy": "IfNotPresent",
        "name": "db",
        "resources": {},
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
    }
    spec = {
        "containers": [container],
        "dnsPolicy": "ClusterFirst",
        "restartPolicy": "Always",
        "schedulerName": "recordings",
        "securityContext": {},
        "terminationGracePeriodSeconds": 30,
    }
    template = {"$patch": "replace", "metadata": {"labels": {"app": "db"}}, "spec": spec}
    assert hash_of({"spec": {"template": template}}, 0) == "6865c9fc9c"
    assert hash_of({"spec": {"template": template}}, 1) != "6865c9fc9c"
