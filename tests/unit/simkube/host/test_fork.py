"""Copies of clusters: the same to the last detail, in a time of their own, nothing of theirs in the original."""

from __future__ import annotations

import json
import os
import signal
import ssl
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPSConnection
from pathlib import Path
from typing import Any

import pytest

from simkube.apimachinery.errors import ForkGone
from simkube.host import launcher, settings
from simkube.host.launcher import ForkClient, HostClient, HostError
from tests.unit.simkube.host.test_host import MAPS, Api, eventually
from tests.unit.simkube.host.test_workers import alive

NODES = {"kind": "Cluster", "nodes": [{"role": "control-plane"}, {"role": "worker"}, {"role": "worker"}]}
PODS = "/api/v1/namespaces/default/pods"
COUNTING = "i=0; while true; do i=$((i+1)); echo $i; sleep 1; done"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv(settings.WORKERS, "1")
    folder = tmp_path / "host"
    yield folder
    launcher.shutdown(folder)


@pytest.fixture
def host(home: Path) -> HostClient:
    host = launcher.connect(home)
    host.create("a", NODES)
    return host


class Copied:
    """A copy, and its administrator."""

    def __init__(self, host: HostClient, cluster: str = "a", seconds: float = 60.0) -> None:
        self.info = host.fork(cluster, seconds)
        self.id: str = self.info["id"]
        self.host = ForkClient(self.info)
        self.api = Api(self.host, self.id)

    def sleep(self, seconds: float) -> float:
        status, found = self.api("POST", "/simkube/sleep", {"seconds": seconds})
        assert status == 200, found
        return float(found["time"])

    @property
    def time(self) -> float:
        return float(self.api("GET", "/simkube/time")[1]["time"])

    @property
    def ended(self) -> bool:
        try:
            self.host.status(self.id)
        except ForkGone:
            return True
        return False


def run(api: Api, name: str, command: str, image: str = "busybox:1.35") -> None:
    container = {"name": "main", "image": image, "command": ["sh", "-c", command]}
    made = api("POST", PODS, {"metadata": {"name": name}, "spec": {"containers": [container]}})
    assert made[0] == 201, made


def counted(api: Api, pod: str = "counting") -> list[int]:
    status, log = api("GET", f"{PODS}/{pod}/log")
    return [int(line) for line in log.split()] if status == 200 else []


def everything(api: Api) -> dict[str, Any]:
    return {
        path: {(one["metadata"].get("namespace"), one["metadata"]["name"]): one for one in api("GET", path)[1]["items"]}
        for path in ("/api/v1/pods", "/api/v1/nodes", "/api/v1/events", "/api/v1/configmaps", "/api/v1/services")
    }


def test_everything_goes_along_what_runs_included(host: HostClient) -> None:
    original = Api(host, "a")
    run(original, "counting", COUNTING)
    host.control("a", "clock", {"step": 10})
    copied = Copied(host)
    assert everything(copied.api) == everything(original)
    before = counted(copied.api)
    assert before == counted(original)
    copied.sleep(100.0)
    after = counted(copied.api)
    assert after == list(range(1, len(after) + 1))  # the same process, which has lost nothing it remembered
    assert before[-1] + 90 < after[-1] <= before[-1] + 101
    assert counted(original) == before


def test_what_is_done_in_a_copy_is_seen_only_there_and_the_other_way_round(host: HostClient) -> None:
    original = Api(host, "a")
    copied, other = Copied(host), Copied(host)
    assert copied.api("POST", MAPS, {"metadata": {"name": "in-the-copy"}})[0] == 201
    assert original("POST", MAPS, {"metadata": {"name": "in-the-original"}})[0] == 201
    copied.host.fault(copied.id, "stop-node", "a-worker")
    copied.sleep(60.0)

    def names(api: Api) -> set[str]:
        return {one["metadata"]["name"] for one in api("GET", MAPS)[1]["items"]} - {"kube-root-ca.crt"}

    def ready(api: Api) -> str:
        conditions = api("GET", "/api/v1/nodes/a-worker")[1]["status"]["conditions"]
        return str(next(one["status"] for one in conditions if one["type"] == "Ready"))

    assert names(copied.api) == {"in-the-copy"}
    assert names(original) == {"in-the-original"}
    assert names(other.api) == set()
    assert (ready(copied.api), ready(original), ready(other.api)) == ("Unknown", "True", "True")


def test_its_time_stands_still_unless_somebody_waits(host: HostClient) -> None:
    copied = Copied(host)
    began = copied.time
    assert everything(copied.api)
    assert copied.time == began
    assert copied.sleep(3600.0) == pytest.approx(began + 3600.0)
    assert copied.time == pytest.approx(began + 3600.0)


def test_a_program_that_is_asked_takes_its_time(host: HostClient) -> None:
    original = Api(host, "a")
    container = {"name": "web", "image": "kindling/web:1.0", "env": [{"name": "MESSAGE", "value": "Hello"}]}
    original("POST", PODS, {"metadata": {"name": "web"}, "spec": {"containers": [container]}})

    def answer(api: Api) -> tuple[int, Any]:
        return api("GET", f"{PODS}/web:8080/proxy/")

    copied = Copied(host)  # before the container has started
    began = copied.time
    assert eventually(lambda: answer(original)[0] == 200)
    copied.sleep(30.0)
    assert answer(copied.api)[0] == 200
    assert began + 30.0 <= copied.time < began + 31.0


def test_a_copy_of_a_copy_begins_where_that_is_and_ends_with_it(host: HostClient) -> None:
    first = Copied(host)
    first.api("POST", MAPS, {"metadata": {"name": "first"}})
    at = first.sleep(500.0)
    second = Copied(first.host, first.id)
    assert second.time == at
    assert second.api("GET", f"{MAPS}/first")[0] == 200
    second.sleep(500.0)
    assert first.time == at
    first.host.delete(first.id)
    assert eventually(lambda: first.ended and second.ended)


def test_a_cluster_with_a_stopped_part_is_copied_as_it_is(host: HostClient) -> None:
    host.fault("a", "stop-component", "kube-scheduler")
    copied = Copied(host)
    run(copied.api, "waiting", "sleep 1000")
    copied.sleep(60.0)
    assert copied.api("GET", f"{PODS}/waiting")[1]["status"]["phase"] == "Pending"
    copied.host.heal(copied.id)
    copied.sleep(60.0)
    assert copied.api("GET", f"{PODS}/waiting")[1]["status"]["phase"] == "Running"
    assert not host.control("a", "components")["components"]["kube-scheduler"]


def test_tokens_of_one_are_no_use_in_the_other(host: HostClient) -> None:
    copied, original = Copied(host), Api(host, "a")
    token = json.loads(host.kubeconfig("a") or "")["users"][0]["user"]["token"]
    theirs = copied.info["tokens"]["admin"]
    assert Api(copied.host, copied.id, token=token)("GET", MAPS)[0] == 401
    assert Api(copied.host, copied.id, token="")("GET", MAPS)[0] in (401, 403)
    assert Api(host, "a", token=theirs)("GET", MAPS)[0] == 401
    assert original("GET", MAPS)[0] == 200
    with pytest.raises(HostError, match=r"needs the token"):
        ForkClient({**copied.info, "token": "wrong"}).delete(copied.id)


def test_whoever_is_connected_to_the_original_stays_connected(host: HostClient) -> None:
    original = Api(host, "a")
    token = json.loads(host.kubeconfig("a") or "")["users"][0]["user"]["token"]
    context = ssl.create_default_context(cadata=host.ca)
    with closing(HTTPSConnection(host.url.removeprefix("https://"), timeout=10, context=context)) as connection:
        connection.request("GET", f"/clusters/a{MAPS}?watch=true", headers={"Authorization": f"Bearer {token}"})
        watch = connection.getresponse()
        copied = Copied(host)
        copied.host.delete(copied.id)
        assert eventually(lambda: copied.ended)
        original("POST", MAPS, {"metadata": {"name": "seen"}})
        assert any(json.loads(line)["object"]["metadata"]["name"] == "seen" for line in watch)


def test_it_ends_when_its_time_is_up(host: HostClient) -> None:
    copied = Copied(host, seconds=0.5)
    assert eventually(lambda: copied.ended)


@pytest.mark.crashes
def test_it_ends_with_the_process_it_was_copied_from(host: HostClient) -> None:
    copied = Copied(host)
    worker = host.health()["workers"][0]["pid"]
    children = [int(pid) for pid in Path(f"/proc/{worker}/task/{worker}/children").read_text().split()]
    assert len(children) == 1
    os.kill(worker, signal.SIGKILL)
    assert eventually(lambda: copied.ended and not alive(children[0]))
    assert eventually(lambda: Api(host, "a")("GET", MAPS)[0] == 200)


@pytest.mark.parametrize("seconds", [0, -1, 1e9])
def test_nonsense_is_refused(host: HostClient, seconds: float) -> None:
    with pytest.raises(HostError, match="at most"):
        host.fork("a", seconds)
    with pytest.raises(HostError, match="no cluster 'b'"):
        host.fork("b", 10)
    copied = Copied(host)
    for wish in ({"speed": 10}, {"pause": True}, {"step": 10}):
        with pytest.raises(HostError, match="virtual"):
            copied.host.control(copied.id, "clock", wish)
    with pytest.raises(HostError, match="another copy"):
        copied.host.restore(copied.id)
