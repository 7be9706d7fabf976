"""The ``probe`` fixture: requests from inside the cluster, sent by a pod of the grader's.

The pod lives in a namespace of its own, so that it never shows among the learner's objects nor matches their selectors,
on the control plane's node, which no fault stops. The API server's pod proxy reaches it on every provider. It is made
once an attempt, when the attempt has a check that uses it, and removed afterwards; what a killed attempt left ends by
itself (``activeDeadlineSeconds``) and is removed at the start of the next.
"""

from __future__ import annotations

import contextlib
import json
import re
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from grader.answers import Answer, Answers, answers
from grader.cluster import is_control_plane, node_ready
from grader.connection import Connection
from grader.errors import ClusterUnreachable, Missing, ProbeUnavailable, Refused, Ungradable
from grader.evidence import Evidence

PORT = 8080
UP_SECONDS = 90.0
SLACK = 30.0
"""Seconds beyond what the probe itself needs, for its answer to come back through a busy API server."""
EVERY = 0.1
ROLE, ATTEMPT, GRADED = "kindling.dev/role", "kindling.dev/attempt", "kindling.dev/graded-namespace"


class ProbePod:
    """The pod itself: made in the background by :meth:`start`, waited for by the first request."""

    def __init__(self, connection: Connection, graded: str, attempt: str, image: str, seconds: float) -> None:
        self._connection = connection
        self._graded, self._attempt, self._image, self._seconds = graded, label(attempt), image, seconds
        self.namespace = "kindling-probe-" + uuid.uuid4().hex[:10]
        self.node = ""
        self._thread: threading.Thread | None = None
        self._trouble: Ungradable | None = None
        self._closing = threading.Event()
        self._lock = threading.Lock()

    def start(self) -> None:
        """Begin to make it; returns at once, and does nothing the second time."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._make, name="probe", daemon=True)
                self._thread.start()

    def ready(self) -> None:
        """Wait until it answers; ``Ungradable`` when it does not come up."""
        self.start()
        assert self._thread is not None
        self._thread.join()
        if self._trouble is not None:
            raise self._trouble

    def call(self, method: str, path: str, body: object = None, seconds: float = SLACK) -> Any:
        """One request to the probe's own API; the JSON it answers."""
        self.ready()
        return self._call(method, path, body, seconds)

    def close(self) -> None:
        """Remove it, without waiting until it is gone."""
        self._closing.set()
        with self._lock:
            if self._thread is None:
                return
        self._thread.join(5)
        remove(self._connection, self.namespace)

    def _make(self) -> None:
        try:
            sweep(self._connection, self._graded)
            self.node = _home(self._connection)
            self._create()
            self._wait()
        except Ungradable as error:
            self._trouble = error

    def _create(self) -> None:
        labels = {ROLE: "probe", ATTEMPT: self._attempt, GRADED: self._graded}
        within = f"/api/v1/namespaces/{self.namespace}"
        account = {"metadata": {"name": "default"}, "automountServiceAccountToken": False}
        _make_sure(self._connection, "/api/v1/namespaces", {"metadata": {"name": self.namespace, "labels": labels}})
        # Made here, since the controller that would make it takes its time and no pod is admitted without it.
        _make_sure(self._connection, within + "/serviceaccounts", account)
        pod = manifest(labels, self._image, self.node, int(self._seconds) + 120)
        _make_sure(self._connection, within + "/pods", pod)

    def _wait(self) -> None:
        deadline = time.monotonic() + UP_SECONDS
        seen = "it has no status"
        while time.monotonic() < deadline and not self._closing.is_set():
            raw = self._connection.get(f"/api/v1/namespaces/{self.namespace}/pods/probe")
            status = raw.get("status") or {}
            seen = json.dumps(status.get("containerStatuses") or status.get("conditions") or status)[:600]
            if status.get("phase") in ("Failed", "Succeeded"):
                break
            if status.get("podIP") and status.get("phase") == "Running":
                with contextlib.suppress(ProbeUnavailable):
                    self._call("GET", "/healthz", None, 2.0)
                    return
            time.sleep(EVERY)
        raise ProbeUnavailable(f"the probe pod did not come up on node {self.node}: {seen}")

    def _call(self, method: str, path: str, body: object, seconds: float) -> Any:
        proxied = f"/api/v1/namespaces/{self.namespace}/pods/probe:{PORT}/proxy{path}"
        try:
            status, content = self._connection.send(method, proxied, body, seconds)
        except ClusterUnreachable as error:
            raise ProbeUnavailable(f"no answer through the pod proxy: {error}") from error
        if status >= 400:
            raise ProbeUnavailable(f"{method} {path}: the probe answered {status}: {content[:300]!r}")
        try:
            return json.loads(content) if path != "/healthz" else None
        except ValueError as error:
            raise ProbeUnavailable(f"{method} {path}: not JSON: {content[:300]!r}") from error


class Probe:
    """What a check asks of the probe. URLs may name a pod's address or a DNS name: ``cluster.url("web")``."""

    def __init__(self, pod: ProbePod, evidence: Evidence) -> None:
        self._pod = pod
        self._evidence = evidence

    @property
    def node(self) -> str:
        """The node it runs on."""
        self._pod.ready()
        return self._pod.node

    def get(self, url: str, *, timeout: float = 2.0, headers: Mapping[str, str] | None = None) -> Answer:
        """One GET. ``timeout`` in seconds, for the whole of it."""
        return self._request(url, "GET", 1, timeout, headers, "")[0]

    def post(self, url: str, *, body: str = "", timeout: float = 2.0) -> Answer:
        """One POST."""
        return self._request(url, "POST", 1, timeout, None, body)[0]

    def requests(self, url: str, n: int, *, timeout: float = 2.0) -> Answers:
        """``n`` GETs (at most 1000), eight at a time, each on a connection of its own."""
        return self._request(url, "GET", n, timeout, None, "")

    @contextlib.contextmanager
    def traffic(self, url: str, *, interval: float = 0.05, timeout: float = 2.0) -> Iterator[Traffic]:
        """A GET every ``interval`` seconds, sent by the probe itself until the block ends; every one is on record."""
        wanted = {"url": url, "interval_ms": interval * 1000, "timeout_ms": timeout * 1000}
        traffic = Traffic(self._pod, url, self._pod.call("POST", "/traffic", wanted)["id"], timeout)
        try:
            yield traffic
        finally:
            self._evidence.add("traffic", url=url, interval=interval, **traffic.stop().record())

    def _request(
        self, url: str, method: str, n: int, timeout: float, headers: Mapping[str, str] | None, body: str
    ) -> Answers:
        wanted = {
            "url": url,
            "method": method,
            "count": n,
            "timeout_ms": timeout * 1000,
            "headers": dict(headers or {}),
            "body": body,
        }
        records = self._pod.call("POST", "/request", wanted, seconds=SLACK + timeout * (n / 8 + 1))
        got = answers(url, records)
        if n == 1:
            self._evidence.add("request", method=method, url=url, answer=str(got[0]), ms=got[0].ms)
        else:
            self._evidence.add("requests", method=method, url=url, **got.record())
        return got


class Traffic:
    """Traffic that flows, or has flown."""

    def __init__(self, pod: ProbePod, url: str, name: str, timeout: float) -> None:
        self._pod, self._url, self._path, self._timeout = pod, url, "/traffic/" + name, timeout
        self._records: list[dict[str, Any]] = []
        self._done = False

    def answers(self) -> Answers:
        """Every request so far; after the block, every request there was."""
        if not self._done:
            self._records += self._pod.call("GET", f"{self._path}?after={len(self._records)}")["records"]
        return answers(self._url, self._records)

    def stop(self) -> Answers:
        """Stop it; the same answers when called again."""
        if not self._done:
            seconds = SLACK + self._timeout
            query = f"?after={len(self._records)}"
            self._records += self._pod.call("DELETE", self._path + query, seconds=seconds)["records"]
            self._done = True
        return answers(self._url, self._records)


def sweep(connection: Connection, graded: str) -> None:
    """Remove what earlier attempts at the same namespace left behind."""
    found = connection.get("/api/v1/namespaces", labelSelector=f"{ROLE}=probe,{GRADED}={graded}")
    for one in found.get("items") or []:
        if not one["metadata"].get("deletionTimestamp"):
            remove(connection, one["metadata"]["name"])


def remove(connection: Connection, namespace: str) -> None:
    """Remove one probe's namespace and, at once, its pod; what is gone is a success."""
    for path, options in (
        (f"/api/v1/namespaces/{namespace}/pods/probe", {"gracePeriodSeconds": 0}),
        (f"/api/v1/namespaces/{namespace}", {"propagationPolicy": "Background"}),
    ):
        with contextlib.suppress(Missing):
            connection.delete(path, **options)


def label(text: str) -> str:
    """``text`` as the value of a label."""
    return re.sub(r"[^A-Za-z0-9]+", "-", text)[:60].strip("-") or "attempt"


def manifest(labels: Mapping[str, str], image: str, node: str, seconds: int) -> dict[str, Any]:
    """The pod, bound to its node without the scheduler, tolerating whatever is wrong with that node."""
    container = {
        "name": "probe",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "args": ["probe"],
        "env": [{"name": "PORT", "value": str(PORT)}],
        "ports": [{"containerPort": PORT}],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    return {
        "metadata": {"name": "probe", "labels": dict(labels)},
        "spec": {
            "nodeName": node,
            "tolerations": [{"operator": "Exists"}],
            "activeDeadlineSeconds": seconds,
            "terminationGracePeriodSeconds": 0,
            "enableServiceLinks": False,
            "automountServiceAccountToken": False,
            "securityContext": {"runAsNonRoot": True, "runAsUser": 10001, "seccompProfile": {"type": "RuntimeDefault"}},
            "dnsConfig": {"options": [{"name": "ndots", "value": "1"}]},
            "containers": [container],
        },
    }


def _make_sure(connection: Connection, path: str, body: dict[str, Any]) -> None:
    try:
        connection.create(path, body)
    except Refused as error:
        if error.status != 409 or error.reason != "AlreadyExists":
            raise


def _home(connection: Connection) -> str:
    """The control plane's node; where there is none, the first that is ready."""
    nodes = connection.get("/api/v1/nodes").get("items") or []
    if not nodes:
        raise ProbeUnavailable("the cluster has no nodes")
    nodes.sort(key=lambda one: (not is_control_plane(one), not node_ready(one), one["metadata"]["name"]))
    return str(nodes[0]["metadata"]["name"])
