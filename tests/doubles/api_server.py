"""A cluster that a test scripts: an API server on loopback with objects in a dictionary, and failure doubles of it."""

from __future__ import annotations

import json
import threading
import urllib.parse
import uuid
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

CORE, APPS = "/api/v1/namespaces/default", "/apis/apps/v1/namespaces/default"

CORE_KINDS = ("nodes", "pods", "namespaces", "events", "services", "secrets", "endpoints", "configmaps")


class ScriptedCluster:
    """Objects by path. ``answer_url``: what the probe hears when it asks for a URL."""

    def __init__(self) -> None:
        self.objects: dict[str, dict[str, Any]] = {}
        self.groups, self.kinds = ["/api/", "/apis/apps/"], [*CORE_KINDS, "deployments", "replicasets"]
        self.seen: list[str] = []
        self.gone = False
        self.probe_image_missing = False
        self.answer_url: Callable[[str, str], dict[str, Any]] = lambda method, url: answered(200, "Hello")
        self.on_delete: Callable[[str], None] = lambda path: None
        self.add(
            "/api/v1/nodes", "control-plane", labels={"node-role.kubernetes.io/control-plane": ""}, status=node_status()
        )
        double = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length) or "null")
                status, value = double.handle(self.command, self.path, body)
                data = value.encode() if isinstance(value, str) else json.dumps(value).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_DELETE = do_PATCH = answer  # noqa: N815 - the base class's names

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def kubeconfig(self) -> str:
        return json.dumps(
            {
                "current-context": "c",
                "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
                "clusters": [{"name": "c", "cluster": {"server": self.url}}],
                "users": [{"name": "u", "user": {"token": "secret"}}],
            }
        )

    def add(self, path: str, name: str, labels: dict[str, str] | None = None, **fields: Any) -> dict[str, Any]:
        metadata = {"name": name, "namespace": "default", "uid": uuid.uuid4().hex, "labels": labels or {}}
        raw = {"metadata": {**metadata, **fields.pop("metadata", {})}, **fields}
        self.objects[f"{path}/{name}"] = raw
        return raw

    def namespaces(self) -> list[str]:
        return [
            path.rsplit("/", 1)[1]
            for path in list(self.objects)
            if path.startswith("/api/v1/namespaces/kindling-probe-") and path.count("/") == 4
        ]

    def handle(self, method: str, target: str, body: Any) -> tuple[int, Any]:
        path, _, query = target.partition("?")
        self.seen.append(f"{method} {path}")
        if self.gone:
            return 503, "no healthy upstream"
        if not path.startswith(tuple(self.groups)):
            return 404, "404 page not found"
        if "/proxy" in path:
            return 200, self.said(target, self._probe(method, path.partition("/proxy")[2], body))
        if path.endswith("/log"):
            return 200, "starting\nfatal: no database\n"
        if method == "POST":
            return self._create(path, body)
        if method == "GET" and path not in self.objects:
            return self._list(path, dict(urllib.parse.parse_qsl(query)))
        if path not in self.objects:
            return _missing(path)
        if method == "DELETE":
            for one in [one for one in list(self.objects) if one == path or one.startswith(path + "/")]:
                del self.objects[one]
            self.on_delete(path)
        if method == "PATCH" and isinstance(body, dict):
            _merge(self.objects[path], body)
        elif method == "PATCH":
            self.objects[path]["spec"]["template"] = body[0]["value"]
        return 200, self.objects.get(path, {})

    def _create(self, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        raw = self.add(path, **{**body, "name": body["metadata"]["name"], "labels": body["metadata"].get("labels")})
        if path.endswith("/pods"):
            raw["status"] = (
                {"phase": "Pending"} if self.probe_image_missing else {"phase": "Running", "podIP": "10.0.0.9"}
            )
        return 201, raw

    def _list(self, path: str, query: dict[str, str]) -> tuple[int, Any]:
        if path.rsplit("/", 1)[1] not in self.kinds:
            return _missing(path)
        wanted = [pair.split("=") for pair in query.get("labelSelector", "").split(",") if pair]
        home = CORE + "/pods" if path == "/api/v1/pods" else path
        items = [
            raw
            for one, raw in list(self.objects.items())
            if one.rsplit("/", 1)[0] == home and all(raw["metadata"]["labels"].get(k) == v for k, v in wanted)
        ]
        return 200, {"items": items, "metadata": {}}

    def said(self, target: str, answer: Any) -> Any:
        """An answer of a pod's probe as it gives it to who asked ``target``: with the nonce of the question."""
        path, _, query = target.partition("?")
        pod = self.objects.get(path.partition("/proxy")[0].rpartition(":")[0], {"metadata": {}})
        nonce = dict(urllib.parse.parse_qsl(query)).get("nonce", "")
        return {"nonce": nonce, "uid": pod["metadata"].get("uid"), "answer": answer} if nonce else answer

    def _probe(self, method: str, path: str, body: Any) -> Any:
        if path == "/healthz":
            return "ok\n"
        if path == "/request":
            return [self.answer_url(body["method"], body["url"]) for _ in range(body["count"])]
        if path == "/traffic":
            self.traffic = body["url"]
            return {"id": "t"}
        return {"running": method == "GET", "sent": 1, "records": [self.answer_url("GET", self.traffic)]}


def answered(status: int, body: str = "", error: str = "", t: float = 1000.0) -> dict[str, Any]:
    """A record of the probe's."""
    return {"t": t, "ms": 1.0, "status": status, "error": error, "body": body}


def node_status(ready: bool = True) -> dict[str, Any]:
    return {"conditions": [{"type": "Ready", "status": "True" if ready else "Unknown"}]}


def pod(name: str = "web", **state: Any) -> dict[str, Any]:
    """A pod's JSON. ``state``, ``ready``, ``restarts`` and ``last`` are its one container's."""
    ready = state.pop("ready", True)
    status = {
        "name": "web",
        "ready": ready,
        "restartCount": state.pop("restarts", 0),
        "containerID": "containerd://1",
        "state": state.pop("state", {"running": {"startedAt": "2026-11-23T02:00:00Z"}}),
        "lastState": state.pop("last", {}),
    }
    labels = state.pop("labels", {})
    return {
        "metadata": {
            "name": name,
            "namespace": "default",
            "uid": f"uid-{name}",
            "labels": labels,
            **state.pop("meta", {}),
        },
        "spec": {"nodeName": state.pop("node", "worker"), "containers": [{"name": "web", "image": "kindling/web:1.0"}]},
        "status": {
            "phase": state.pop("phase", "Running"),
            "podIP": "10.0.0.1",
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}, *state.pop("conditions", [])],
            "containerStatuses": [status],
        },
    }


def _merge(into: dict[str, Any], change: dict[str, Any]) -> None:
    for key, value in change.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = value


def _missing(path: str) -> tuple[int, dict[str, Any]]:
    *_, kind, name = path.split("/")
    details = {"kind": kind, "name": name}
    return 404, {"kind": "Status", "reason": "NotFound", "message": f'{kind} "{name}" not found', "details": details}
