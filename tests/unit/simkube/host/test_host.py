"""The host as a process: started once, killed at any moment, found again with everything in it. On loopback only."""

from __future__ import annotations

import base64
import json
import os
import re
import resource
import signal
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPResponse, HTTPSConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from websocket import ABNF, WebSocket, create_connection

from simkube.host import home as homes
from simkube.host import launcher
from simkube.host.launcher import HostClient, HostError

TOPOLOGY: dict[str, Any] = {"kind": "Cluster", "nodes": [{"role": "control-plane"}]}


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "host"
    yield folder
    launcher.shutdown(folder)


class Api:
    """One caller of one cluster's API over HTTPS."""

    def __init__(self, host: HostClient, cluster: str, who: str = "admin", token: str | None = None) -> None:
        config = json.loads(host.kubeconfig(cluster, who) or "null")
        server = config["clusters"][0]["cluster"]
        ca = base64.b64decode(server["certificate-authority-data"]).decode()
        self._context = ssl.create_default_context(cadata=ca)
        _, _, rest = server["server"].partition("https://")
        self._address, _, self._prefix = rest.partition("/")
        self._token = config["users"][0]["user"]["token"] if token is None else token

    def __call__(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None, raw: bytes | None = None
    ) -> tuple[int, Any]:
        connection = HTTPSConnection(self._address, timeout=10, context=self._context)
        try:
            sent = {"Content-Type": "application/json", **(headers or {})}
            if self._token:
                sent["Authorization"] = f"Bearer {self._token}"
            data = raw if raw is not None else None if body is None else json.dumps(body).encode()
            connection.request(method, f"/{self._prefix}{path}", data, sent)
            with connection.getresponse() as response:
                text = response.read()
            kind = response.headers.get("Content-Type", "")
            return response.status, json.loads(text) if kind.startswith("application/json") else text.decode()
        finally:
            connection.close()

    @contextmanager
    def websocket(self, url: str, *protocols: str) -> Iterator[WebSocket]:
        """A WebSocket of this caller's; by a client that reads and writes in one thread, as TLS connections need it."""
        made = create_connection(
            url,
            timeout=10,
            sslopt={"context": self._context},
            header={"Authorization": f"Bearer {self._token}"},
            subprotocols=list(protocols),
        )
        try:
            yield made
        finally:
            made.shutdown()  # its close() does nothing once the server has closed

    def run(self, pod: str, script: str) -> str:
        """What a shell script writes to standard output in a pod of the default namespace, through exec."""

        query = urlencode([*(("command", word) for word in ("sh", "-c", script)), ("stdout", "1")])
        url = f"wss://{self._address}/{self._prefix}/api/v1/namespaces/default/pods/{pod}/exec?{query}"
        frames = []
        with self.websocket(url, "v5.channel.k8s.io") as asked:
            while (received := asked.recv_data())[0] == ABNF.OPCODE_BINARY:
                frames.append(received[1])
        return b"".join(frame[1:] for frame in frames if frame[0] == 1).decode()


def eventually(check: Callable[[], bool], seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if check():
            return True
        time.sleep(0.02)
    return False


MAPS = "/api/v1/namespaces/default/configmaps"


def test_everything_is_there_after_kill_9(home: Path) -> None:
    host = launcher.connect(home)
    host.create("a", TOPOLOGY, {"lab": "pods"})
    api = Api(host, "a")
    kept = [api("POST", MAPS, {"metadata": {"name": f"n{number}"}})[1]["metadata"] for number in range(20)]
    pid = host.health()["pid"]
    os.kill(pid, signal.SIGKILL)
    again = launcher.connect(home)
    assert again.health()["pid"] != pid
    assert again.url == host.url
    assert (again.status("a") or {})["labels"] == {"lab": "pods"}
    status, found = api("GET", MAPS)  # the same credentials, the same address
    assert status == 200
    names = {each["metadata"]["name"]: each["metadata"]["resourceVersion"] for each in found["items"]}
    assert {each["name"]: each["resourceVersion"] for each in kept}.items() <= names.items()


def test_two_starters_make_one_host(home: Path) -> None:
    pids: list[int] = []
    starters = [threading.Thread(target=lambda: pids.append(launcher.connect(home).health()["pid"])) for _ in range(4)]
    for each in starters:
        each.start()
    for each in starters:
        each.join()
    assert len(pids) == 4
    assert len(set(pids)) == 1


def test_a_host_of_another_version_is_replaced_and_its_clusters_stay(home: Path, monkeypatch: Any) -> None:
    host = launcher.connect(home)
    host.create("a", TOPOLOGY)
    pid = host.health()["pid"]
    monkeypatch.setattr(launcher, "fingerprint", lambda: "newer")
    again = launcher.connect(home)
    assert again.health()["pid"] != pid
    assert again.clusters() == ["a"]


def test_a_host_of_another_version_that_is_used_is_used_on(home: Path, monkeypatch: Any) -> None:
    host = launcher.connect(home)
    host.create("a", TOPOLOGY)
    Api(host, "a")("GET", MAPS)
    monkeypatch.setattr(launcher, "fingerprint", lambda: "newer")
    assert launcher.connect(home).health()["pid"] == host.health()["pid"]


def test_a_slow_host_is_waited_for(home: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(launcher, "FIRST_WAIT", 0.05)
    pid = launcher.connect(home).health()["pid"]
    os.kill(pid, signal.SIGSTOP)
    wakes = threading.Timer(1.0, os.kill, (pid, signal.SIGCONT))
    wakes.start()
    assert launcher.connect(home).health()["pid"] == pid
    wakes.join()


def test_a_host_that_never_answers_is_not_replaced_and_said_to_be_busy(home: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(launcher, "FIRST_WAIT", 0.05)
    monkeypatch.setattr(launcher, "PATIENCE_SECONDS", 0.5)
    pid = launcher.connect(home).health()["pid"]
    os.kill(pid, signal.SIGSTOP)
    try:
        with pytest.raises(HostError, match=rf"pid {pid}.*try again in a minute.*kill -9 {pid}"):
            launcher.connect(home)
    finally:
        os.kill(pid, signal.SIGCONT)
    assert launcher.connect(home).health()["pid"] == pid


def test_what_is_secret_is_the_owners_alone(home: Path) -> None:
    launcher.connect(home)
    assert home.stat().st_mode & 0o077 == 0
    for path in (home / "host.json", *(home / "certificates").iterdir()):
        assert path.stat().st_mode & 0o077 == 0, path


def test_creating_and_deleting_twice_is_the_same_as_once(home: Path) -> None:
    host = launcher.connect(home)
    first = host.create("a", TOPOLOGY)
    assert host.create("a", TOPOLOGY)["tokens"] == first["tokens"]
    host.delete("a")
    host.delete("a")
    assert host.status("a") is None
    assert host.kubeconfig("a") is None
    assert host.create("a", TOPOLOGY)["tokens"] != first["tokens"]


@pytest.mark.parametrize("name", ["", "A", "../x", "a" * 70, "<b>"])
def test_ids_are_labels(home: Path, name: str) -> None:
    with pytest.raises(HostError, match="DNS label"):
        launcher.connect(home).create(name, TOPOLOGY)


def test_callers_are_told_apart(home: Path) -> None:
    host = launcher.connect(home)
    host.create("a", TOPOLOGY, users={"learner": "learner", "grader": "kindling:grader"})
    host.create("b", TOPOLOGY)
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    path = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    users = [
        Api(host, "a", who)("POST", path, review)[1]["status"]["userInfo"]["username"] for who in ("learner", "grader")
    ]
    assert users == ["learner", "kindling:grader"]
    with pytest.raises(HostError, match="no user 'admin'; it has learner, grader"):
        host.kubeconfig("a")
    other = json.loads(host.kubeconfig("b") or "")["users"][0]["user"]["token"]
    assert Api(host, "a", "learner", token=other)("GET", MAPS)[0] == 401
    assert Api(host, "a", "learner", token="")("GET", MAPS)[0] == 403
    assert Api(host, "a", "learner", token="")("GET", "/healthz") == (200, "ok")
    assert Api(host, "a", "learner")("GET", MAPS, headers={"Impersonate-User": "nobody"})[0] == 403


def test_restore_takes_back_what_was_done_since(home: Path) -> None:
    host = launcher.connect(home)
    host.create("a", TOPOLOGY)
    api = Api(host, "a")
    api("POST", MAPS, {"metadata": {"name": "before"}, "data": {"k": "old"}})
    host.snapshot("a")
    api("PATCH", f"{MAPS}/before", {"data": {"k": "new"}}, {"Content-Type": "application/merge-patch+json"})
    api("POST", MAPS, {"metadata": {"name": "after"}})
    api("POST", "/api/v1/namespaces", {"metadata": {"name": "mine"}})
    host.restore("a")
    assert api("GET", f"{MAPS}/before")[1]["data"] == {"k": "old"}
    assert api("GET", f"{MAPS}/after")[0] == 404
    assert api("GET", "/api/v1/namespaces/mine")[0] == 404


def running(api: Api, name: str) -> bool:
    status = api("GET", f"/api/v1/namespaces/default/pods/{name}")[1].get("status") or {}
    states = status.get("containerStatuses") or []
    return bool(states) and all("running" in each["state"] for each in states)


def test_restore_takes_back_what_was_written_in_containers(home: Path) -> None:
    host = launcher.connect(home)
    host.create("a", TOPOLOGY)
    api = Api(host, "a")
    mounts = [{"name": "data", "mountPath": "/data"}]
    box = {"name": "a", "image": "busybox:1.36", "command": ["sleep", "1000000"], "volumeMounts": mounts}
    pod = {"metadata": {"name": "box"}, "spec": {"containers": [box], "volumes": [{"name": "data", "emptyDir": {}}]}}
    assert api("POST", "/api/v1/namespaces/default/pods", pod)[0] == 201
    assert eventually(lambda: running(api, "box"))
    api.run("box", "echo setup > /data/setup")
    host.snapshot("a")
    api.run("box", "echo mine > /data/mine; echo mine > /data/setup; echo mine > /tmp/mine")
    assert api.run("box", "cat /data/mine") == "mine\n"
    host.restore("a")
    assert eventually(lambda: running(api, "box"))
    assert api.run("box", "ls /data /tmp; cat /data/setup") == "/data:\nsetup\n\n/tmp:\nsetup\n"


@pytest.mark.parametrize("fault", ["stop-node", "pause-node"])
def test_a_lost_node_is_lost_until_it_is_healed_kill_9_or_not(home: Path, fault: str) -> None:
    host = launcher.connect(home)
    host.create("a", {"kind": "Cluster", "nodes": [{"role": "control-plane"}, {"role": "worker"}]})
    host.fault("a", fault, "a-worker")
    os.kill(host.health()["pid"], signal.SIGKILL)
    again = launcher.connect(home)
    components = (again.status("a") or {})["components"]
    assert (components["kubelet/a-worker"], components["kubelet/a-control-plane"]) == (False, True)
    again.heal("a")
    assert all((again.status("a") or {})["components"].values())


def test_faults_are_done_and_healed(home: Path) -> None:
    host = launcher.connect(home)
    host.create("a", TOPOLOGY)
    host.fault("a", "stop-component", "kube-scheduler")
    assert not (host.status("a") or {})["components"]["kube-scheduler"]
    host.heal("a")
    assert (host.status("a") or {})["components"]["kube-scheduler"]
    with pytest.raises(HostError, match=r"there is no component .ghost.; the nearest of"):
        host.fault("a", "stop-component", "ghost")
    with pytest.raises(HostError, match="no fault"):
        host.fault("a", "set-on-fire", "x")


HOSTILE = [
    ("POST", MAPS, b'{"metadata":{"name":"a"},"data":{"k":"' + b"x" * 3_200_000 + b'"}}', "application/json", 413),
    ("POST", MAPS, b"a: &a [*a]", "application/yaml", 400),
    ("POST", MAPS, b"[" * 100_000, "application/json", 400),
    ("POST", MAPS, b"\x00\xff", "application/json", 400),
    ("POST", MAPS, b"k8s\x00\xff", "application/vnd.kubernetes.protobuf", 400),
    ("POST", MAPS, b'{"metadata":{"name":"<script>"}}', "application/json", 422),
    ("POST", MAPS, b'{"metadata":{"name":"a; rm -rf /"}}', "application/json", 422),
    ("POST", MAPS, b'{"metadata":[]}', "application/json", 400),
    ("PATCH", f"{MAPS}/x", b"{", "application/merge-patch+json", 400),
    ("GET", f"{MAPS}?labelSelector=((((", None, "", 400),
    ("GET", f"{MAPS}?limit=-1", None, "", 422),
    ("GET", f"{MAPS}/%00", None, "", 404),
]


def test_hostile_requests_are_refused_and_the_host_lives(home: Path) -> None:
    host = launcher.connect(home)
    host.create("a", TOPOLOGY)
    api = Api(host, "a")
    for method, path, raw, content, wanted in HOSTILE:
        status, _ = api(method, path, raw=raw, headers={"Content-Type": content} if content else None)
        assert status == wanted, (method, path, content)
    assert host.health()["version"] == homes.fingerprint()
    assert "Traceback" not in (home / "host.log").read_text()


def test_a_host_that_cannot_start_says_where_the_reason_is(tmp_path: Path) -> None:
    folder = tmp_path / "host"
    folder.mkdir()
    (folder / "clusters.db").write_bytes(b"this is no database" * 1000)
    with pytest.raises(HostError, match=r"is damaged, the end of .*host\.log says which: put a backup in its place"):
        launcher.connect(folder)
    assert "move it away" in (folder / "host.log").read_text()


FULL = "database or disk is full|disk I/O error"


@contextmanager
def full_disk(*pids: int) -> Iterator[None]:
    """No file of the processes grows meanwhile: their writes fail as on a full disk."""
    before = {pid: resource.prlimit(pid, resource.RLIMIT_FSIZE) for pid in pids}
    for pid, limits in before.items():
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        yield
    finally:
        for pid, limits in before.items():
            resource.prlimit(pid, resource.RLIMIT_FSIZE, limits)


def test_on_a_full_disk_writes_are_refused_whole_and_reads_go_on(home: Path) -> None:
    host = launcher.connect(home)
    host.create("a", TOPOLOGY)
    api = Api(host, "a")
    services = "/api/v1/namespaces/default/services"
    service = {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}], "clusterIP": "10.96.7.7"}}
    api("POST", MAPS, {"metadata": {"name": "before"}, "data": {"k": "old"}})
    with full_disk(*(worker["pid"] for worker in host.health()["workers"])):
        for refused in (
            api("POST", MAPS, {"metadata": {"name": "during"}}),
            api("POST", services, service),
            api("PATCH", f"{MAPS}/before", {"data": {"k": "new"}}, {"Content-Type": "application/merge-patch+json"}),
            api("DELETE", f"{MAPS}/before"),
        ):
            assert (refused[0], refused[1]["kind"], refused[1]["reason"]) == (500, "Status", "InternalError")
            assert re.search(FULL, refused[1]["message"])
            assert "nothing was changed" in refused[1]["message"]
        for work in (lambda: host.create("b", TOPOLOGY), lambda: host.snapshot("a"), lambda: host.delete("a")):
            with pytest.raises(HostError, match=FULL):
                work()
        assert host.status("b") is None
        assert api("GET", f"{MAPS}/before")[1]["data"] == {"k": "old"}
        assert api("GET", f"{MAPS}/during")[0] == 404
    assert api("POST", services, service)[0] == 201  # its address was not taken by the refused one
    assert api("DELETE", f"{MAPS}/before")[0] == 200
    assert host.create("b", TOPOLOGY)["id"] == "b"
    assert "Traceback" not in (home / "host.log").read_text()


def test_a_host_that_cannot_write_at_all_says_so_in_one_sentence(home: Path) -> None:
    with full_disk(os.getpid()), pytest.raises(HostError, match=r"cannot write in .*; free some space") as caught:
        launcher.connect(home)
    assert "\n" not in str(caught.value)
    assert launcher.connect(home).clusters() == []


@pytest.mark.parametrize(
    ("sent", "status"), [(b"BREW %s HTTP/1.1\r\n\r\n", 405), (b"GET / HTTP/1.1\r\nno header\r\n\r\n", 400)]
)
def test_http_that_nobody_understands_is_answered_with_a_status(home: Path, sent: bytes, status: int) -> None:
    host = launcher.connect(home)
    address = host.url.removeprefix("https://").split(":")
    context = ssl.create_default_context(cadata=host.ca)
    with (
        socket.create_connection((address[0], int(address[1])), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname=address[0]) as connection,
    ):
        connection.sendall(sent.replace(b"%s", MAPS.encode()))
        response = HTTPResponse(connection)
        response.begin()
        body = json.loads(response.read())
    assert (response.status, body["kind"], body["code"]) == (status, "Status", status)
    assert "Traceback" not in (home / "host.log").read_text()


def test_a_look_says_whether_a_host_takes_connections(home: Path) -> None:
    assert not launcher.listens(home)
    host = launcher.connect(home)
    assert launcher.listens(home)
    os.kill(host.health()["pid"], signal.SIGKILL)
    assert eventually(lambda: not launcher.listens(home))
    launcher.connect(home)
    assert launcher.listens(home)
    launcher.shutdown(home)
    assert not launcher.listens(home)
