"""Fields of pods that show in what their containers see and how they end; in whole clusters."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from simkube.apimachinery.errors import StatusError
from tests.doubles.whole_cluster import ME, WholeCluster

SHELL = {"name": "shell", "image": "busybox:1.36", "command": ["sleep", "1d"]}
PRIVATE = "registry.kindling.example/private/web:1.0"


def secret(lab: WholeCluster, password: str) -> None:
    auth = base64.b64encode(f"learner:{password}".encode()).decode()
    config = json.dumps({"auths": {"registry.kindling.example": {"auth": auth}}})
    obj = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "login"},
        "type": "kubernetes.io/dockerconfigjson",
        "data": {".dockerconfigjson": base64.b64encode(config.encode()).decode()},
    }
    lab.cluster.apiserver.create(ME, "secrets", obj, "default")


def waiting(lab: WholeCluster) -> str:
    state = lab.pod()["status"]["containerStatuses"][0]["state"]
    return str(state.get("waiting", {}).get("reason", ""))


def test_a_private_image_needs_who_pulls_it(lab: WholeCluster) -> None:
    lab.run({"name": "web", "image": PRIVATE}, imagePullSecrets=[{"name": "login"}])
    assert waiting(lab) in ("ErrImagePull", "ImagePullBackOff")
    told = [one["reason"] for one in lab.cluster.apiserver.list(ME, "events")]
    assert "FailedToRetrieveImagePullSecret" in told
    secret(lab, "let-me-in")
    lab.cluster.advance(60)
    assert lab.pod()["status"]["containerStatuses"][0]["ready"]


def test_a_wrong_password_pulls_nothing(lab: WholeCluster) -> None:
    secret(lab, "guess")
    lab.run({"name": "web", "image": PRIVATE}, imagePullSecrets=[{"name": "login"}])
    lab.cluster.advance(30)
    assert waiting(lab) == "ImagePullBackOff"


def test_a_file_mounted_by_its_own_path_stays_as_it_was(lab: WholeCluster) -> None:
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "page"}, "data": {"index": "one"}}
    lab.cluster.apiserver.create(ME, "configmaps", config, "default")
    mounts = [
        {"name": "page", "mountPath": "/whole"},
        {"name": "page", "mountPath": "/etc/index", "subPath": "index"},
    ]
    lab.run({**SHELL, "volumeMounts": mounts}, volumes=[{"name": "page", "configMap": {"name": "page"}}])
    assert lab.exec("shell", "cat", "/whole/index", "/etc/index") == "oneone"
    lab.cluster.apiserver.patch(ME, "configmaps", "page", {"data": {"index": "two"}}, "default")
    lab.cluster.advance(70)
    assert lab.exec("shell", "cat", "/whole/index", "/etc/index") == "twoone"


def test_a_container_is_stopped_by_the_signal_it_asks_for(lab: WholeCluster) -> None:
    script = "trap 'echo bye > /dev/termination-log; exit 7' USR1; while true; do sleep 0.2; done"
    container = {**SHELL, "command": ["sh", "-c", script], "lifecycle": {"stopSignal": "SIGUSR1"}}
    lab.run(container, restartPolicy="Never", os={"name": "linux"}, activeDeadlineSeconds=5)
    lab.cluster.advance(20)
    ended = lab.pod()["status"]["containerStatuses"][0]["state"]["terminated"]
    assert (ended["exitCode"], ended["message"].strip()) == (7, "bye")
    assert lab.pod()["status"]["reason"] == "DeadlineExceeded"


def test_a_container_with_rules_is_restarted_by_them(lab: WholeCluster) -> None:
    rules = [{"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}}]
    again = {**SHELL, "command": ["sh", "-c", "exit 42"], "restartPolicy": "Never", "restartPolicyRules": rules}
    once = {**again, "name": "once", "command": ["sh", "-c", "exit 1"]}
    lab.run(again, once, restartPolicy="Never")
    lab.cluster.advance(20)
    found = {one["name"]: one["restartCount"] for one in lab.pod()["status"]["containerStatuses"]}
    assert found["shell"] >= 1
    assert found["once"] == 0


def test_the_host_name_a_pod_asks_for(lab: WholeCluster) -> None:
    lab.run(SHELL, hostname="door", subdomain="house", setHostnameAsFQDN=True)
    assert lab.exec("shell", "hostname") == "door.house.default.svc.cluster.local\n"
    lab.run(SHELL, name="other", hostnameOverride="named.example")
    assert lab.exec("shell", "hostname", name="other") == "named.example\n"


def test_a_container_sees_its_limits(lab: WholeCluster) -> None:
    lab.run({**SHELL, "resources": {"limits": {"cpu": "250m", "memory": "64Mi"}}})
    folder = "/sys/fs/cgroup"
    assert lab.exec("shell", "cat", f"{folder}/cpu.max", f"{folder}/memory.max") == "25000 100000\n67108864\n"


@pytest.mark.parametrize(
    ("spec", "feature"),
    [
        ({"volumes": [{"name": "x", "nfs": {"server": "a", "path": "/"}}]}, "a volume of kind nfs"),
        (
            {
                "volumes": [
                    {"name": "x", "projected": {"sources": [{"clusterTrustBundle": {"path": "a", "name": "b"}}]}}
                ]
            },
            "a projected volume's source clusterTrustBundle",
        ),
    ],
)
def test_what_is_not_done_is_refused_by_name(lab: WholeCluster, spec: dict[str, Any], feature: str) -> None:
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "no"}, "spec": {"containers": [SHELL], **spec}}
    from simkube.apiserver.registry.kinds import RESOURCES
    from simkube.apiserver.registry.request import Request

    request = Request(ME, "create", RESOURCES["pods"], "default", checked=True)
    with pytest.raises(StatusError) as refused:
        lab.cluster.apiserver.do_create(request, pod)
    assert refused.value.code == 501
    assert feature in refused.value.message


def test_files_belong_to_who_made_them_and_to_the_group_of_the_pod(lab: WholeCluster) -> None:
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "page"}, "data": {"index": "one"}}
    lab.cluster.apiserver.create(ME, "configmaps", config, "default")
    mounts = [{"name": "demo", "mountPath": "/data/demo"}, {"name": "page", "mountPath": "/page"}]
    page = {"name": "page", "configMap": {"name": "page", "defaultMode": 0o400}}
    context = {"runAsUser": 1000, "runAsGroup": 3000, "fsGroup": 2000}
    lab.run(
        {**SHELL, "volumeMounts": mounts},
        securityContext=context,
        volumes=[{"name": "demo", "emptyDir": {}}, page],
    )
    assert lab.exec("shell", "id") == "uid=1000 gid=3000 groups=2000,3000\n"
    assert lab.exec("shell", "ls", "-l", "/data").split()[2:6] == ["drwxrwsrwx", "2", "root", "2000"]
    script = "cd /data/demo && echo hello > file && echo more >> file && mkdir below && touch below/x && ls -ln . below"
    listed = lab.exec("shell", "sh", "-c", script)
    assert "-rw-r--r--    1 1000     2000            11" in listed.replace("\t", " ")
    assert listed.count("1000     2000") == 3
    assert lab.exec("shell", "cat", "/page/index") == "one", "the group may read it"
    lab.run({**SHELL, "volumeMounts": mounts[1:]}, name="without", securityContext={"runAsUser": 1000}, volumes=[page])
    assert "Permission denied" in lab.exec("shell", "cat", "/page/index", name="without")
