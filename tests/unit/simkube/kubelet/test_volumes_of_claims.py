"""Claims as volumes of pods: made by the provisioner, kept on the node's disk, there for the next pod."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from simkube.apimachinery.errors import StatusError
from simkube.client.client import Client
from tests.unit.simkube.kubelet.test_with_engine import Lab

CLAIM = {
    "apiVersion": "v1",
    "kind": "PersistentVolumeClaim",
    "metadata": {"name": "data"},
    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
}
MOUNT = [{"name": "d", "mountPath": "/data"}]
USES = [{"name": "d", "persistentVolumeClaim": {"claimName": "data"}}]


@pytest.fixture
def lab() -> Iterator[Lab]:
    made = Lab()
    yield made
    made.cluster.stop()


def client(lab: Lab) -> Client:
    return Client(lab.cluster.apiserver, "kubectl", lab.clock)


def shell(script: str) -> dict[str, Any]:
    return {"name": "sh", "image": "busybox:1.36", "command": ["sh", "-c", script], "volumeMounts": MOUNT}


def claim(lab: Lab, name: str = "data") -> dict[str, Any]:
    return client(lab).get("persistentvolumeclaims", name, "default")


def lines(lab: Lab, pod: str) -> list[str]:
    return [line.text for line in lab.container(pod, "sh").log.lines()]


def events(lab: Lab, reason: str) -> list[str]:
    return [each["message"] for each in client(lab).list("events") if each["reason"] == reason]


def delete(lab: Lab, pod: str) -> None:
    client(lab).delete("pods", pod, "default", gracePeriodSeconds=0)
    lab.cluster.advance(1)


def test_a_claim_waits_for_its_pod_and_gets_a_directory_of_the_pods_node(lab: Lab) -> None:
    client(lab).create("persistentvolumeclaims", CLAIM, "default")
    lab.cluster.advance(1)
    assert (claim(lab)["status"], claim(lab)["spec"]["storageClassName"]) == ({"phase": "Pending"}, "standard")
    assert events(lab, "WaitForFirstConsumer") == ["waiting for first consumer to be created before binding"]
    lab.run(shell("echo hello > /data/file; sleep 9999"), name="one", volumes=USES)
    lab.cluster.advance(3)
    assert lab.pod("one")["status"]["phase"] == "Running"
    bound = claim(lab)
    assert bound["status"] == {"phase": "Bound", "accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}}
    (volume,) = client(lab).list("persistentvolumes")
    assert volume["metadata"]["name"] == bound["spec"]["volumeName"] == f"pvc-{bound['metadata']['uid']}"
    assert volume["metadata"]["annotations"]["pv.kubernetes.io/provisioned-by"] == "rancher.io/local-path"
    term = volume["spec"]["nodeAffinity"]["required"]["nodeSelectorTerms"][0]["matchExpressions"][0]
    assert term["values"] == [lab.pod("one")["spec"]["nodeName"]]
    assert events(lab, "ProvisioningSucceeded") == [f"Successfully provisioned volume {bound['spec']['volumeName']}"]


def test_the_next_pod_finds_the_data_also_after_the_host_was_killed(lab: Lab) -> None:
    client(lab).create("persistentvolumeclaims", CLAIM, "default")
    lab.run(shell("echo one >> /data/file; sleep 9999"), name="one", volumes=USES)
    lab.cluster.advance(5)
    delete(lab, "one")
    lab.kill_host()
    lab.run(shell("cat /data/file; echo two >> /data/file; sleep 9999"), name="two", volumes=USES)
    lab.cluster.advance(3)
    assert lines(lab, "two") == ["one"]
    lab.kill_host()
    assert lab.pod("two")["status"]["containerStatuses"][0]["restartCount"] == 0
    lab.run(shell("cat /data/file; sleep 9999"), name="three", volumes=USES)
    lab.cluster.advance(3)
    assert lines(lab, "three") == ["one", "two", "two"], "a killed host runs the programs that ran from their beginning"


def test_a_node_without_power_keeps_its_disk(lab: Lab) -> None:
    client(lab).create("persistentvolumeclaims", CLAIM, "default")
    lab.run(shell("echo $HOSTNAME >> /data/file; cat /data/file; sleep 9999"), name="one", volumes=USES)
    lab.cluster.advance(5)
    node = lab.pod("one")["spec"]["nodeName"]
    lab.cluster.stop_node(node)
    lab.cluster.advance(5)
    lab.cluster.start_node(node)
    lab.cluster.advance(20)
    assert lines(lab, "one") == ["one", "one"]


def test_what_is_in_use_stays_and_the_volume_goes_with_its_claim(lab: Lab) -> None:
    client(lab).create("persistentvolumeclaims", CLAIM, "default")
    lab.run(shell("echo x > /data/file; sleep 9999"), name="one", volumes=USES)
    lab.cluster.advance(5)
    path = client(lab).list("persistentvolumes")[0]["spec"]["hostPath"]["path"]
    disk = lab.cluster.kubelets[lab.pod("one")["spec"]["nodeName"]].runtime.disk
    assert disk.kind(f"{path}/file") == "file"
    client(lab).delete("persistentvolumeclaims", "data", "default")
    lab.cluster.advance(5)
    assert "deletionTimestamp" in claim(lab)["metadata"]
    delete(lab, "one")
    with pytest.raises(StatusError, match="not found"):
        claim(lab)
    assert client(lab).list("persistentvolumes") == []
    assert disk.kind(path) == ""


def test_an_ephemeral_volume_has_a_claim_that_goes_with_the_pod(lab: Lab) -> None:
    template = {"metadata": {"labels": {"of": "one"}}, "spec": CLAIM["spec"]}
    lab.run(shell("sleep 9999"), name="one", volumes=[{"name": "d", "ephemeral": {"volumeClaimTemplate": template}}])
    lab.cluster.advance(5)
    assert lab.pod("one")["status"]["phase"] == "Running"
    made = claim(lab, "one-d")
    assert (made["metadata"]["labels"], made["status"]["phase"]) == ({"of": "one"}, "Bound")
    assert made["metadata"]["ownerReferences"][0]["name"] == "one"
    delete(lab, "one")
    lab.cluster.advance(5)
    assert client(lab).list("persistentvolumeclaims", "default") == []


def test_a_directory_of_the_node(lab: Lab) -> None:
    volumes = [{"name": "d", "hostPath": {"path": "/srv/x", "type": "DirectoryOrCreate"}}]
    lab.run(shell("echo a > /data/f; sleep 9999"), name="one", volumes=volumes)
    lab.cluster.advance(3)
    node = lab.pod("one")["spec"]["nodeName"]
    below = [{"name": "d", "hostPath": {"path": "/srv", "type": "Directory"}}]
    lab.run(shell("cat /data/x/f; sleep 9999"), name="two", volumes=below, nodeName=node)
    lab.cluster.advance(3)
    assert lines(lab, "two") == ["a"]
    missing = [{"name": "d", "hostPath": {"path": "/none", "type": "Directory"}}]
    lab.run(shell("sleep 9999"), name="three", volumes=missing, nodeName=node)
    lab.cluster.advance(3)
    why = 'MountVolume.SetUp failed for volume "d" : hostPath type check failed: /none is not a directory'
    assert (lab.pod("three")["status"]["phase"], events(lab, "FailedMount")[0]) == ("Pending", why)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            {"local": {"path": "/mnt/disk"}},
            'MountVolume.NewMounter initialization failed for volume "by-hand" : path "/mnt/disk" does not exist',
        ),
        (
            {"nfs": {"server": "nas", "path": "/export"}},
            'MountVolume.SetUp failed for volume "d" : a persistent volume of kind nfs is not simulated here; '
            "use a real cluster (kind) for d",
        ),
    ],
)
def test_volumes_that_cannot_be_mounted_say_so(lab: Lab, source: dict[str, Any], message: str) -> None:
    expression = {"key": "kubernetes.io/os", "operator": "In", "values": ["linux"]}
    spec = {
        **source,
        "capacity": {"storage": "1Gi"},
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": "manual",
        "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}},
    }
    volume = {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "by-hand"}, "spec": spec}
    client(lab).create("persistentvolumes", volume)
    manual = {**CLAIM, "spec": {**CLAIM["spec"], "storageClassName": "manual"}}
    client(lab).create("persistentvolumeclaims", manual, "default")
    lab.run(shell("sleep 9999"), name="one", volumes=USES)
    lab.cluster.advance(3)
    assert (lab.pod("one")["status"]["phase"], events(lab, "FailedMount")[0]) == ("Pending", message)


def test_only_one_pod_uses_a_claim_that_allows_one(lab: Lab) -> None:
    alone = {**CLAIM, "spec": {**CLAIM["spec"], "accessModes": ["ReadWriteOncePod"]}}
    client(lab).create("persistentvolumeclaims", alone, "default")
    lab.run(shell("sleep 9999"), name="one", volumes=USES)
    lab.cluster.advance(3)
    lab.run(shell("sleep 9999"), name="two", volumes=USES)
    lab.cluster.advance(3)
    assert (lab.pod("one")["status"]["phase"], "nodeName" in lab.pod("two")["spec"]) == ("Running", False)
    (message,) = events(lab, "FailedScheduling")[-1:]
    assert "1 node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode" in message
    delete(lab, "one")
    lab.cluster.advance(12)
    assert lab.pod("two")["status"]["phase"] == "Running"


def test_what_a_silent_process_writes_is_stored_while_it_writes(lab: Lab) -> None:
    client(lab).create("persistentvolumeclaims", CLAIM, "default")
    lab.run(
        shell("n=0; while [ $n -lt 9 ]; do n=$((n+1)); echo $n >> /data/f; sleep 1; done; sleep 9999"), volumes=USES
    )
    lab.cluster.advance(60)
    lab.cluster.stop_component(f"kubelet/{lab.pod()['spec']['nodeName']}")
    lab.kill_host()
    disk = lab.cluster.kubelets[lab.pod()["spec"]["nodeName"]].runtime.disk
    (path,) = [each for each in disk.paths() if each.endswith("/f")]
    assert disk.read(path).decode().split() == [str(number) for number in range(1, 10)]


def test_a_restored_cluster_has_the_data_of_its_snapshot(lab: Lab) -> None:
    client(lab).create("persistentvolumeclaims", CLAIM, "default")
    lab.run(shell("echo before > /data/f; sleep 9999"), name="one", volumes=USES)
    lab.cluster.advance(5)
    lab.cluster.snapshot()
    lab.run(shell("echo after > /data/f; sleep 9999"), name="two", volumes=USES)
    lab.cluster.advance(5)
    lab.cluster.stop()
    lab.cluster.store.restore()
    lab.kill_host()
    disk = lab.cluster.kubelets[lab.pod("one")["spec"]["nodeName"]].runtime.disk
    (path,) = [each for each in disk.paths() if each.endswith("/f")]
    assert disk.read(path) == b"before\n"


def test_a_part_of_a_claim_and_one_that_is_only_read(lab: Lab) -> None:
    client(lab).create("persistentvolumeclaims", CLAIM, "default")
    part = [{"name": "d", "mountPath": "/data", "subPath": "deep/er"}]
    lab.run({**shell("echo a > /data/f; sleep 9999"), "volumeMounts": part}, name="one", volumes=USES)
    lab.cluster.advance(5)
    reads = [{"name": "d", "persistentVolumeClaim": {"claimName": "data", "readOnly": True}}]
    lab.run(shell("cat /data/deep/er/f; echo b > /data/g || echo no; sleep 9999"), name="two", volumes=reads)
    lab.cluster.advance(3)
    assert [text for text in lines(lab, "two") if "Read-only" not in text] == ["a", "no"]
