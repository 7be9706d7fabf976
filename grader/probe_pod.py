"""The pod that sends the grader's requests from inside the cluster: made, held to what was asked for, removed.

It lives in a namespace of its own, so that it never shows among the learner's objects nor matches their selectors, on
the control plane's node, which no fault stops. The API server's pod proxy reaches it on every provider. It is made once
an attempt, when the attempt has a check that uses it, and removed afterwards; what a killed attempt left ends by itself
(``activeDeadlineSeconds``) and is removed at the start of the next.

The learner is an administrator of the cluster and may do anything to it. No answer counts until the pod was found to be
the one that was made, as it was made, all the time (:mod:`grader.tampering`); what was done to it fails the check. Each
answer says again a number that only its question had, and the uid that the API server gave the pod when it was made.
"""

from __future__ import annotations

import contextlib
import json
import re
import secrets
import threading
import time
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from grader import limits
from grader.answers import Answers, answers
from grader.clock import Clock, ClusterClock
from grader.cluster import is_control_plane, node_ready
from grader.connection import Connection
from grader.errors import ClusterBusy, ClusterUnreachable, GraderError, Missing, Obstructed, ProbeUnavailable, Refused
from grader.shapes import fields, objects, rows
from grader.tampering import EVENTS, POD, Watch, missing_name_servers, why_it_ended

PORT = 8080
EVERY = 0.1
UID = {"apiVersion": "v1", "fieldPath": "metadata.uid"}
"""By which the probe knows its pod: it says it with each answer."""
ROLE, ATTEMPT, GRADED = "kindling.dev/role", "kindling.dev/attempt", "kindling.dev/graded-namespace"


class ProbePod:
    """The pod itself: made in the background by :meth:`start`, waited for by the first request.

    Where time passes only when it is waited for (:class:`ClusterClock`) there is no background: two that wait would
    each find that time had passed for the other.
    """

    def __init__(
        self, connection: Connection, graded: str, attempt: str, image: str, seconds: float, clock: Clock
    ) -> None:
        """``seconds``: it ends by itself some time after so many of the cluster's."""
        self.connection, self.clock = connection, clock
        self.graded, self.attempt, self.image, self.seconds = graded, label(attempt), image, seconds
        self.namespace, self.name = "kindling-probe-" + uuid.uuid4().hex[:10], POD
        self.node = self.ip = self.host_ip = self.image_id = self._uid = ""
        self._namespace_uid = ""
        self._thread: threading.Thread | None = None
        self._trouble: GraderError | None = None
        self._watch: Watch | None = None
        self._closing = threading.Event()
        self._lock = threading.Lock()

    def start(self) -> None:
        """Begin to make it; returns at once, and does nothing the second time."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._make, name="probe", daemon=True)
                self._thread.start()
                if isinstance(self.clock, ClusterClock):
                    self._thread.join()

    def ready(self) -> None:
        """Wait until it answers; ``Ungradable`` when it does not come up, ``Obstructed`` when it was kept from it."""
        self.start()
        assert self._thread is not None
        self._thread.join()
        if self._trouble is not None:
            raise self._trouble

    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        seconds: float = limits.SLACK_SECONDS,
        *,
        repeatable: bool = False,
    ) -> Any:
        """One request to the probe's own API; the JSON it answers. ``Obstructed`` when something was done to it.

        ``repeatable``: sending it twice does no harm, so that it is sent again when the machine is too busy to answer.
        """
        self.ready()
        assert self._watch is not None
        deadline = time.monotonic() + limits.BUSY_SECONDS
        while True:
            try:
                answer = self._call(method, path, body, seconds)
            except ProbeUnavailable as error:
                self._still_ours(self._watch)  # says it better, if that is why
                busy = isinstance(error.__cause__, ClusterBusy)
                if not (repeatable and busy and time.monotonic() < deadline):
                    raise
            else:
                self._still_ours(self._watch)
                return answer

    def _still_ours(self, watch: Watch) -> None:
        try:
            watch.look()
        except Obstructed as error:
            self._trouble = error
            raise

    def understood(self, url: str, records: Iterable[Mapping[str, Any]]) -> Answers:
        """What its records say; ``ProbeUnavailable`` when DNS was down, ``Obstructed`` when there is none any more."""
        try:
            return answers(url, records)
        except ProbeUnavailable as error:
            if why := missing_name_servers(self.connection):
                raise Obstructed(why, "kubectl get pods --namespace kube-system") from error
            raise

    def owner(self) -> dict[str, Any]:
        """The reference by which other objects of the grader's go when its namespace goes."""
        reference = {"apiVersion": "v1", "kind": "Namespace", "name": self.namespace, "uid": self._namespace_uid}
        return {**reference, "controller": True}

    def close(self) -> None:
        """Remove it, without waiting until it is gone."""
        self._closing.set()
        with self._lock:
            if self._thread is None:
                return
        self._thread.join(5)
        remove(self.connection, self.namespace)

    def _make(self) -> None:
        try:
            sweep(self.connection, self.graded)
            self.node = _home(self.connection)
            self._wait(self._create())
        except GraderError as error:
            self._trouble = error

    def _create(self) -> Watch:
        labels = {ROLE: "probe", ATTEMPT: self.attempt, GRADED: self.graded}
        within = f"/api/v1/namespaces/{self.namespace}"
        account = {"metadata": {"name": "default"}, "automountServiceAccountToken": False}
        space = {"metadata": {"name": self.namespace, "labels": labels}}
        made = make_sure(self.connection, "/api/v1/namespaces", space)
        self._namespace_uid = str(fields(made.get("metadata")).get("uid") or "")
        asked = manifest(labels, self.image, self.node, int(self.seconds) + 120)
        try:
            # Made here, since the controller that would make it takes its time and no pod is admitted without it.
            make_sure(self.connection, within + "/serviceaccounts", account)
            made = make_sure(self.connection, within + "/pods", asked)
        except Missing as error:
            raise Obstructed("the namespace of the grader's probe pod was deleted at once", EVENTS) from error
        self._uid = str(fields(made.get("metadata")).get("uid") or "")
        return Watch(self.connection, self.namespace, asked, self._uid)

    def _wait(self, watch: Watch) -> None:
        deadline = self.clock.now() + limits.UP_SECONDS
        seen = "it has no status"
        while self.clock.now() < deadline and not self._closing.is_set():
            raw = watch.pod()
            status = fields(raw.get("status"))
            seen = json.dumps(status.get("containerStatuses") or status.get("conditions") or status)[:600]
            if status.get("phase") in ("Failed", "Succeeded"):
                why_it_ended(raw)
                break
            if status.get("podIP") and status.get("phase") == "Running" and self._answers():
                watch.begin(raw)
                self.ip, self.host_ip = str(status["podIP"]), str(status.get("hostIP") or "")
                self.image_id = "".join(str(one.get("imageID") or "") for one in rows(status.get("containerStatuses")))
                self._watch = watch
                return
            self.clock.sleep(EVERY)
        raise ProbeUnavailable(f"the probe pod did not come up on node {self.node}: {seen}")

    def _answers(self) -> bool:
        with contextlib.suppress(ProbeUnavailable):
            self._call("GET", "/healthz", None, 2.0)
            return True
        return False

    def _call(self, method: str, path: str, body: object, seconds: float) -> Any:
        nonce = secrets.token_hex(8)
        query = f"{'&' if '?' in path else '?'}nonce={nonce}"
        proxied = f"/api/v1/namespaces/{self.namespace}/pods/{self.name}:{PORT}/proxy{path}{query}"
        try:
            status, content = self.connection.send(method, proxied, body, seconds)
        except ClusterUnreachable as error:
            raise ProbeUnavailable(f"no answer through the pod proxy: {error}") from error
        if status >= 400:
            raise ProbeUnavailable(f"{method} {path}: the probe answered {status}: {content[:300]!r}")
        if path == "/healthz":
            return None
        try:
            told = fields(json.loads(content))
        except (ValueError, RecursionError) as error:
            raise ProbeUnavailable(f"{method} {path}: not JSON: {content[:300]!r}") from error
        if (told.get("nonce"), told.get("uid")) != (nonce, self._uid):
            raise ProbeUnavailable(f"{method} {path}: something else than the probe answered: {content[:300]!r}")
        return told.get("answer")


def sweep(connection: Connection, graded: str) -> None:
    """Remove what earlier attempts at the same namespace left behind."""
    found = connection.get("/api/v1/namespaces", labelSelector=f"{ROLE}=probe,{GRADED}={graded}")
    for one in objects(found):
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
        "env": [{"name": "PORT", "value": str(PORT)}, {"name": "POD_UID", "valueFrom": {"fieldRef": UID}}],
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


def make_sure(connection: Connection, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """The object, made now or by a request whose answer was lost."""
    try:
        return connection.create(path, body)
    except Refused as error:
        if error.status != 409 or error.reason != "AlreadyExists":
            raise
        return connection.get(f"{path}/{body['metadata']['name']}")


def _home(connection: Connection) -> str:
    """The control plane's node; where there is none, the first that is ready."""
    nodes = objects(connection.get("/api/v1/nodes"))
    if not nodes:
        raise ProbeUnavailable("the cluster has no nodes")
    nodes.sort(key=lambda one: (not is_control_plane(one), not node_ready(one), one["metadata"]["name"]))
    return str(nodes[0]["metadata"]["name"])
