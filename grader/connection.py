"""The grader's own connection to one cluster's API server: JSON in, JSON out, over kept-open HTTPS connections.

The helpers of the ``cluster`` fixture read JSON as the API server sent it: it is the same for every version from 1.20
on, and needs no client library to be imported first (a third of a second at every attempt). Authors who want the
official client get it from ``cluster.core`` and ``cluster.apps``.

It loads the kubeconfig it was given and nothing else; commands (``exec``) and helpers (``auth-provider``) in it are
refused.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import ssl
import tempfile
import threading
import time
import urllib.parse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import urllib3
import yaml

from grader import limits
from grader.errors import ClusterBusy, ClusterUnreachable, Missing, Refused, TooLarge, Ungradable, is_rule
from grader.shapes import fields
from grader.text import plain

PAUSE_SECONDS = 0.2
CHUNK_BYTES = 1 << 20
JSON = "application/json"


READ_AGAIN = ("/api/v1/", "/apis/", "/simkube/time")
NOT_OBJECTS = ("/proxy", "/log", "/componentstatuses", "metrics.k8s.io/")
"""Parts of paths below which an answer may differ while no object does."""


@dataclass
class Activity:
    """What this process has asked of clusters: ``reads`` of objects, which see the same until an object changes, and
    ``acts``, everything else. ``waits``: those in which time may pass on a fork, counted when they begin and when they
    end: writes, and what waits for something in the cluster. ``uncounted``: whether somebody has another client, so
    that there may be any number of all of them."""

    reads: int = 0
    acts: int = 0
    waits: int = 0
    uncounted: bool = False


class Connection:
    """Requests to one API server. Safe to use from several threads.

    ``pause``: how it waits for an API server that does not answer, of the cluster's seconds.
    """

    activity: ClassVar = Activity()

    def __init__(self, kubeconfig: str, patience: float = limits.PATIENCE_SECONDS) -> None:
        """``Ungradable`` when ``kubeconfig`` (YAML) cannot be used. Connects to nothing."""
        self.kubeconfig = kubeconfig
        self._patience = patience
        try:
            self.server, self._headers, context = _load(kubeconfig)
        except (KeyError, TypeError, ValueError, StopIteration, OSError, yaml.YAMLError, ssl.SSLError) as error:
            raise Ungradable(f"the grader's kubeconfig cannot be used: {error!r}") from error
        self._pool = urllib3.PoolManager(ssl_context=context, maxsize=8, retries=False)
        self._alive = threading.Event()
        self._alive.set()
        self.pause: Callable[[float], None] = time.sleep

    def get(self, path: str, **query: object) -> dict[str, Any]:
        """GET ``path`` (``/api/v1/...``); tried again for some seconds when the API server does not answer."""
        return self._json("GET", path, query, None)

    def text(self, path: str, **query: object) -> str:
        """GET ``path`` as text (logs)."""
        return self._patiently("GET", path, query, None, JSON).decode("utf-8", "replace")

    def create(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """POST; ``Refused`` with status 409 when it is there already."""
        return self._json("POST", path, {}, body)

    def patch(self, path: str, body: object, kind: str) -> dict[str, Any]:
        """PATCH; ``kind``: ``json-patch``, ``merge-patch`` or ``strategic-merge-patch``."""
        return self._json("PATCH", path, {}, body, f"application/{kind}+json")

    def delete(self, path: str, **options: object) -> dict[str, Any]:
        """DELETE with ``options`` (``gracePeriodSeconds``, ``preconditions``, ...)."""
        body = {"kind": "DeleteOptions", "apiVersion": "v1", **options}
        return self._json("DELETE", path, {}, body)

    def send(
        self,
        method: str,
        path: str,
        body: object = None,
        seconds: float = limits.READ_SECONDS,
        *,
        content_type: str = JSON,
    ) -> tuple[int, bytes]:
        """One request, tried once: status and body. ``ClusterUnreachable`` when there is no answer in time."""
        return self._once(method, path, {}, body, content_type, seconds)

    def close(self) -> None:
        """Drop the connections that are kept open."""
        self._pool.clear()

    def _json(
        self, method: str, path: str, query: Mapping[str, object], body: object, content_type: str = JSON
    ) -> dict[str, Any]:
        data = self._patiently(method, path, query, body, content_type)
        try:
            answer = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise ClusterUnreachable(f"{method} {path}: the answer is not JSON: {data[:200]!r}") from error
        if not isinstance(answer, dict):
            raise ClusterUnreachable(f"{method} {path}: the answer is not an object")
        return answer

    def _patiently(self, method: str, path: str, query: Mapping[str, object], body: object, content_type: str) -> bytes:
        """The body of a good answer. Once the cluster was found gone, later calls are tried once only.

        Patience ends by the cluster's time or by the wall clock's, whichever is over first.
        """
        began, alive, paused = time.monotonic(), self._alive.is_set(), 0.0
        while True:
            try:
                status, data = self._once(method, path, query, body, content_type, limits.READ_SECONDS)
                if status < 400:
                    self._alive.set()
                    return data
                _raise_for(method, path, status, data)
            except ClusterUnreachable as error:
                patience = limits.BUSY_SECONDS if isinstance(error, ClusterBusy) else self._patience
                if not alive or max(paused, time.monotonic() - began) >= patience:
                    self._alive.clear()
                    raise
            self.pause(PAUSE_SECONDS)
            paused += PAUSE_SECONDS

    def _once(
        self, method: str, path: str, query: Mapping[str, object], body: object, content_type: str, seconds: float
    ) -> tuple[int, bytes]:
        """One request, counted in :attr:`activity`; an API server that cannot answer has nothing to do with objects."""
        act, waits, status = not _reads_objects(method, path, query), _may_wait(method, path, query), 0
        self.activity.acts += act
        self.activity.waits += waits
        try:
            status, content = self._exchange(method, path, query, body, content_type, seconds)
        finally:
            self.activity.waits += waits
            if act or not 0 < status < 500:
                self.activity.acts += 1
            else:
                self.activity.reads += 1
        return status, content

    def _exchange(
        self, method: str, path: str, query: Mapping[str, object], body: object, content_type: str, seconds: float
    ) -> tuple[int, bytes]:
        given = urllib.parse.urlencode({key: value for key, value in query.items() if value not in (None, "")})
        url = self.server + path + ("?" + given if given else "")
        headers = urllib3.HTTPHeaderDict(self._headers)
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            headers["Content-Type"] = content_type
        timeout = urllib3.Timeout(connect=limits.CONNECT_SECONDS, read=seconds)
        try:
            answer = self._pool.request(
                method, url, body=data, headers=headers, timeout=timeout, redirect=False, preload_content=False
            )
            content = _whole(answer, f"{method} {path}", seconds)
        except urllib3.exceptions.NewConnectionError as error:  # to urllib3 that is a time-out as well; nobody is there
            raise ClusterUnreachable(f"{method} {path}: {error!r}") from error
        except (urllib3.exceptions.TimeoutError, TimeoutError) as error:
            raise ClusterBusy(f"{method} {path}: {error!r}") from error
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise ClusterUnreachable(f"{method} {path}: {error!r}") from error
        return int(answer.status), content


def _reads_objects(method: str, path: str, query: Mapping[str, object]) -> bool:
    plain_read = method == "GET" and path.startswith(READ_AGAIN) and not query.get("watch")
    return plain_read and not any(part in path for part in NOT_OBJECTS)


def _may_wait(method: str, path: str, query: Mapping[str, object]) -> bool:
    return method != "GET" or "/proxy" in path or bool(query.get("watch") or query.get("follow"))


def _whole(answer: urllib3.BaseHTTPResponse, what: str, seconds: float) -> bytes:
    """The body as it was sent, within bounds of size and time; the connection is kept only when it was read whole."""
    deadline, parts, size = time.monotonic() + seconds, [], 0
    try:
        while part := answer.read1(CHUNK_BYTES, decode_content=False):
            parts.append(part)
            size += len(part)
            if size > limits.ANSWER_BYTES:
                raise TooLarge(what, limits.ANSWER_BYTES)
            if time.monotonic() > deadline:
                raise ClusterBusy(f"{what}: the answer was not whole after {seconds:g} s")
    except BaseException:
        answer.close()
        raise
    answer.release_conn()
    return b"".join(parts)


def _raise_for(method: str, path: str, status: int, data: bytes) -> None:
    """Raise what an answer of 400 and above means."""
    try:
        said = fields(json.loads(data))
        details = fields(said.get("details"))
        message, reason = str(said.get("message", "")), str(said.get("reason", ""))
    except (ValueError, RecursionError):
        details, message, reason = {}, data[:300].decode("utf-8", "replace"), ""
    cause = plain(f"{method} {path}: {status} {reason} {message}", 600)
    if is_rule(status, message):
        raise Refused(cause, status, reason, message or f"status {status}")
    if status == 429:
        raise ClusterBusy(cause)
    if status >= 500:
        raise ClusterUnreachable(cause)
    if status == 404 and details.get("name"):
        raise Missing(cause, str(details.get("kind", "")), str(details["name"]))
    raise Refused(cause, status, reason)


def _load(kubeconfig: str) -> tuple[str, urllib3.HTTPHeaderDict, ssl.SSLContext | None]:
    """Server URL, headers and TLS settings of the current context. ``as`` and ``as-groups`` of its user are who is
    impersonated."""
    config = yaml.safe_load(kubeconfig)
    wanted = config["current-context"]
    context = next(one["context"] for one in config["contexts"] if one["name"] == wanted)
    cluster = next(one["cluster"] for one in config["clusters"] if one["name"] == context["cluster"])
    user = next(one["user"] for one in config["users"] if one["name"] == context["user"]) or {}
    if "exec" in user or "auth-provider" in user:
        raise ValueError("it names a command to run, which is not done here")
    headers = urllib3.HTTPHeaderDict({"Accept": "application/json", "User-Agent": "kindling-grader"})
    if user.get("token"):
        headers["Authorization"] = "Bearer " + str(user["token"])
    if user.get("as"):
        headers["Impersonate-User"] = str(user["as"])
        for group in user.get("as-groups") or []:
            headers.add("Impersonate-Group", str(group))
    server = str(cluster["server"]).rstrip("/")
    return server, headers, _tls(cluster, user) if server.startswith("https:") else None


def _tls(cluster: Mapping[str, Any], user: Mapping[str, Any]) -> ssl.SSLContext:
    authority = _content(cluster, "certificate-authority").decode()
    context = ssl.create_default_context(cadata=authority or None)  # loading the system's takes 20 ms
    if cluster.get("insecure-skip-tls-verify"):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    certificate, key = _content(user, "client-certificate"), _content(user, "client-key")
    if certificate and key:
        with tempfile.TemporaryDirectory(prefix="kindling-grader-") as folder:
            path = Path(folder) / "identity.pem"
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as file:
                file.write(certificate + b"\n" + key)
            context.load_cert_chain(path)
    return context


def _content(given: Mapping[str, Any], name: str) -> bytes:
    """The bytes of ``name`` or ``name-data``; b"" when neither is given."""
    if given.get(name + "-data"):
        try:
            return base64.b64decode(str(given[name + "-data"]), validate=True)
        except binascii.Error as error:
            raise ValueError(f"{name}-data is not base64") from error
    return Path(str(given[name])).read_bytes() if given.get(name) else b""
