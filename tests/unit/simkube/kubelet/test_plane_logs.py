"""What the programs of a control plane have logged, made from what happened."""

from __future__ import annotations

import json
from typing import Any

import pytest

from simkube.apiserver.streams.log import find_container, parse, written
from simkube.runtime.cri import LogLine
from tests.doubles.control_plane import Plane

TOPOLOGY: dict[str, Any] = {"nodes": [{"role": "control-plane"}]}


@pytest.fixture
def plane() -> Plane:
    return Plane(TOPOLOGY)


def container(plane: Plane, program: str) -> Any:
    pod = plane.client.get("pods", f"{program}-test-control-plane", "kube-system")
    return find_container(plane.cluster, pod, parse({}, plane.clock.now()))


def log(plane: Plane, program: str, **query: str) -> str:
    return written(container(plane, program), parse(query, plane.clock.now())).decode()


@pytest.mark.parametrize(
    ("program", "says"),
    [
        ("kube-apiserver", "Serving securely on [::]:6443"),
        ("kube-controller-manager", "successfully acquired lease kube-system/kube-controller-manager"),
        ("kube-scheduler", '"Starting Kubernetes Scheduler" version="v1.36.2"'),
        ("etcd", '"serving client traffic securely"'),
    ],
)
def test_each_says_that_it_has_started(plane: Plane, program: str, says: str) -> None:
    assert says in log(plane, program)
    assert log(plane, program, tailLines="1").count("\n") == 1


def test_the_api_server_tells_of_what_came(plane: Plane) -> None:
    plane.service()
    address = plane.client.get("services", "web", "default")["spec"]["clusterIP"]
    said = log(plane, "kube-apiserver")
    assert f'"allocated clusterIPs" service="default/web" clusterIPs={{"IPv4":"{address}"}}' in said
    assert "quota admission added evaluator for: services\n" in said
    plane.service("other")
    assert log(plane, "kube-apiserver").count("quota admission added evaluator for: services\n") == 1


def test_the_manager_tells_what_it_synced(plane: Plane) -> None:
    plane.deploy(image="kindling/web:1.0")
    plane.settle(5)
    (found,) = plane.sets()
    key = f"default/{found['metadata']['name']}"
    assert f'"Finished syncing" logger="replicaset-controller" kind="ReplicaSet" key="{key}"' in log(
        plane, "kube-controller-manager"
    )


def test_etcd_tells_of_compactions(plane: Plane) -> None:
    plane.service()
    plane.settle(700)
    plane.service("late")
    lines = [json.loads(line) for line in log(plane, "etcd").splitlines()]
    compacted = [line["compact-revision"] for line in lines if line["msg"] == "finished scheduled compaction"]
    assert len(compacted) == 2
    assert compacted[0] > 0


def test_a_follower_hears_of_what_comes(plane: Plane) -> None:
    heard: list[LogLine] = []
    end = container(plane, "kube-apiserver").log.follow(heard.append)
    plane.service()
    plane.service("other")
    said = [line.text for line in heard]
    assert [text.partition("service=")[2].partition(" ")[0] for text in said if "allocated" in text] == [
        '"default/web"',
        '"default/other"',
    ]
    end()
    plane.service("third")
    assert len(heard) == len(said)


def test_a_program_that_was_started_again_begins_anew(plane: Plane) -> None:
    plane.service()
    plane.settle(30)
    plane.cluster.stop_component("kube-apiserver")
    plane.settle(30)
    plane.cluster.start_component("kube-apiserver")
    plane.settle(5)
    said = log(plane, "kube-apiserver")
    assert "allocated clusterIPs" not in said
    assert said.count("Serving securely") == 1
