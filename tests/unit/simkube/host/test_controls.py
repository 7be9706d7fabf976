"""Clock, components and trace over HTTPS: the learner's own token, with the API server stopped, after kill -9."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from simkube.host import launcher
from simkube.host.launcher import HostClient, HostError
from tests.unit.simkube.host.test_host import MAPS, Api, eventually, home

TOPOLOGY: dict[str, Any] = {"kind": "Cluster", "nodes": [{"role": "control-plane"}, {"role": "worker"}]}
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
PODS = "/api/v1/namespaces/default/pods"

__all__ = ["home"]


def deployment(name: str) -> dict[str, Any]:
    pod = {"containers": [{"name": "a", "image": "kindling/web:1.0"}]}
    template = {"metadata": {"labels": {"app": name}}, "spec": pod}
    return {"metadata": {"name": name}, "spec": {"selector": {"matchLabels": {"app": name}}, "template": template}}


def test_a_learner_steps_through_what_a_deployment_sets_going(home: Path) -> None:
    host = launcher.connect(home)
    host.create("a", TOPOLOGY)
    api = Api(host, "a")
    assert eventually(lambda: api("GET", "/simkube/clock")[1]["waiting"] == 0)
    assert api("POST", "/simkube/clock", {"pause": True})[1]["paused"]
    assert api("POST", DEPLOYMENTS, deployment("web"))[0] == 201  # the API server answers
    status, stand = api("GET", "/simkube/clock")
    assert (status, stand["next"][0]["component"], stand["next"][0]["key"]) == (
        200,
        "deployment-controller",
        "default/web",
    )
    assert "created Deployment default/web" in stand["next"][0]["because"]
    assert api("GET", PODS)[1]["items"] == []
    done = api("POST", "/simkube/clock", {"step": "reconcile"})[1]
    assert done["reconciled"] == {"component": "deployment-controller", "key": "default/web"}
    assert done["changes"][0]["kind"] == "ReplicaSet"
    os.kill(host.health()["pid"], signal.SIGKILL)
    host = launcher.connect(home)
    stand = api("GET", "/simkube/clock")[1]
    assert stand["paused"]
    assert api("GET", PODS)[1]["items"] == []
    before = stand["time"]
    done = api("POST", "/simkube/clock", {"step": 30})[1]
    assert not done["stepping"]
    assert done["time"] > before
    (pod,) = api("GET", PODS)[1]["items"]
    assert pod["status"]["phase"] == "Running"
    told = [each["text"] for each in api("GET", "/simkube/trace")[1]["entries"]]
    assert any("kube-scheduler changed Pod" in text for text in told)
    assert api("POST", "/simkube/clock", {"speed": 100})[1]["speed"] == 100


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostClient]:
    folder = tmp_path_factory.mktemp("host")
    yield launcher.connect(folder)
    launcher.shutdown(folder)


def test_who_may_do_what_and_what_is_refused(host: HostClient) -> None:
    host.create("a", TOPOLOGY)
    host.create("b", TOPOLOGY)
    api, stranger = Api(host, "a"), Api(host, "a", token="")
    assert stranger("GET", "/simkube/trace")[0] == 401
    other = Api(host, "b")
    other._prefix = "clusters/a"
    assert other("GET", "/simkube/clock")[0] == 401
    for path, body in (
        ("clock", {"speed": 1e9}),
        ("clock", {"speed": "fast"}),
        ("clock", {"speed": float("nan")}),
        ("clock", {"step": -1}),
        ("clock", {"step": 1e300}),
        ("clock", {"pause": True, "resume": True}),
        ("clock", []),
        ("components", {"stop": "kube-mars"}),
        ("components", {"stop": {"a": 1}}),
        ("components", {"cut": "a-control-plane"}),
        ("mars", {}),
    ):
        status, said = api("POST", f"/simkube/{path}", body)
        assert (status, said["kind"], said["reason"]) == (400, "Status", "BadRequest"), body
    assert api("GET", "/simkube/trace?since=-1")[0] == 400
    assert api("GET", "/simkube/trace?since=" + "9" * 15)[0] == 200
    host.pin("a", 60, "this lab is being checked")
    status, said = api("POST", "/simkube/clock", {"pause": True})
    assert (status, said["reason"]) == (409, "Conflict")
    assert "this lab is being checked" in said["message"]
    assert api("POST", "/simkube/components", {"stop": "etcd"})[0] == 409
    assert api("GET", "/simkube/clock")[1]["pinned"]
    with pytest.raises(HostError, match="being checked"):
        host.control("a", "clock", {"speed": 2})
    host.fault("a", "stop-component", "kube-scheduler")  # checks break things on purpose
    host.pin("a", 0)
    assert api("POST", "/simkube/clock", {"pause": True})[0] == 200


def test_what_is_stopped_can_be_started_also_the_api_server(host: HostClient) -> None:
    host.create("c", TOPOLOGY)
    api = Api(host, "c")
    assert not api("POST", "/simkube/components", {"stop": "etcd"})[1]["components"]["etcd"]
    status, said = api("GET", MAPS)
    assert (status, said.get("reason", "")) == (500, "")
    assert said["message"].startswith("rpc error: code = Unavailable desc = connection error")
    assert api("GET", "/readyz")[0] == 500
    assert "[-]etcd failed" in api("GET", "/healthz")[1]
    assert api("GET", "/apis")[0] == api("GET", "/version")[0] == api("GET", "/api/v1")[0] == 200
    assert api("POST", "/simkube/components", {"start": "etcd"})[1]["components"]["etcd"]
    assert api("GET", MAPS)[0] == 200
    nodes = api("POST", "/simkube/components", {"cut": "c-worker"})[1]["nodes"]
    assert nodes == {"c-control-plane": [], "c-worker": ["cut off"]}
    assert api("POST", "/simkube/components", {"start": "node/c-worker"})[1]["nodes"]["c-worker"] == []


def test_news_of_the_trace_are_waited_for(host: HostClient) -> None:
    host.create("d", TOPOLOGY)
    api = Api(host, "d")
    assert eventually(lambda: api("GET", "/simkube/clock")[1]["waiting"] == 0)
    last = api("GET", "/simkube/trace")[1]["last"]
    found: list[Any] = []
    waiting = threading.Thread(target=lambda: found.append(api("GET", f"/simkube/trace?since={last}&wait=9")[1]))
    waiting.start()
    assert api("POST", MAPS, {"metadata": {"name": "a"}})[0] == 201
    waiting.join(9)
    (entry,) = found[0]["entries"]
    assert (entry["did"], entry["kind"], entry["name"]) == ("created", "ConfigMap", "a")
    assert entry["journey"][0].startswith("unknown asks kube-apiserver to create configmaps a")
    assert api("GET", f"/simkube/trace?of={entry['id']}")[1]["entries"][0]["audit"] > 0
