"""Whatever is sent to a simulated cluster is answered, soon, as is meant; its neighbour notices nothing.

Requests are made at random from the API's own paths and field names. The seed is in the test's name; a failure prints
the request. On loopback only, and it ends by itself.
"""

from __future__ import annotations

import base64
import contextlib
import copy
import json
import random
import ssl
import time
from http.client import HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from simkube.apiserver.registry.kinds import ALL
from simkube.apiserver.registry.resources import Resource
from simkube.apiserver.schema.schema import Type, definitions
from simkube.host.launcher import HostClient
from tests.conformance.conftest import topology

REQUESTS = 700
LONGEST = 5.0  # seconds until an answer
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "BREW")
PATCHES = ("application/json-patch+json", "application/merge-patch+json", "application/strategic-merge-patch+json")
TYPES = ("application/json", "application/yaml", "application/apply-patch+yaml", *PATCHES, "text/plain", "", "a/b;c=d")
ODD: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 2**31, 2**63, 2**70, 1.5, 1e308, "", "a", "A", "-", "a" * 300, "\x00", "\u202e", "💥"),
    *("${IFS}", "../../etc", "10.0.0.1", "1Gi", "1e99", "-1m", "2025-01-01T00:00:00Z", "a=b", "x/y", [], {}, [[]]),
    *({"": {}}, [None], {"a": None}),
)
GARBAGE = (b"", b"{", b"null", b"[]", b"\xff\xfe", b"a: &a [*a]", b"[" * 5000, b"k8s\x00\x0a")
OPERATIONS: tuple[dict[str, Any], ...] = (
    {"op": "add", "path": "/metadata/labels", "value": {"a": "b"}},
    {"op": "add", "path": "/a/-", "value": 1},
    {"op": "test", "path": "/metadata/name", "value": "a"},
    {"op": "remove", "path": "/spec"},
    {"op": "copy", "from": "/metadata", "path": "/spec/x"},
    {"op": "x"},
)
NAMES = ("a", "b", "c")
POD: dict[str, Any] = {"containers": [{"name": "a", "image": "kindling/web:1.0"}]}
TEMPLATE: dict[str, Any] = {"metadata": {"labels": {"app": "a"}}, "spec": POD}
RUNS: dict[str, Any] = {"selector": {"matchLabels": {"app": "a"}}, "template": TEMPLATE}
JOB: dict[str, Any] = {"template": {"spec": {**POD, "restartPolicy": "Never"}}}
BACKEND = {"service": {"name": "a", "port": {"number": 80}}}
RULE = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}
SUBJECT = {"kind": "User", "name": "a", "apiGroup": "rbac.authorization.k8s.io"}
SCHEMA = {"openAPIV3Schema": {"type": "object", "properties": {"spec": {"type": "object"}}}}
VALID: dict[str, dict[str, Any]] = {
    "configmaps": {"data": {"a": "b"}},
    "cronjobs": {"spec": {"schedule": "* * * * *", "jobTemplate": {"spec": JOB}}},
    "customresourcedefinitions": {
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"plural": "things", "kind": "Thing"},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": SCHEMA}],
        }
    },
    "daemonsets": {"spec": RUNS},
    "deployments": {"spec": RUNS},
    "endpointslices": {"addressType": "IPv4", "endpoints": [{"addresses": ["10.0.0.9"]}], "ports": [{"port": 80}]},
    "horizontalpodautoscalers": {
        "spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "a"}, "maxReplicas": 3}
    },
    "ingresses": {"spec": {"rules": [{"http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": BACKEND}]}}]}},
    "jobs": {"spec": JOB},
    "limitranges": {"spec": {"limits": [{"type": "Container", "default": {"cpu": "100m"}}]}},
    "networkpolicies": {"spec": {"podSelector": {}, "ingress": [{"from": [{"podSelector": {}}]}]}},
    "persistentvolumeclaims": {
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}}
    },
    "persistentvolumes": {
        "spec": {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Mi"}, "hostPath": {"path": "/a"}}
    },
    "poddisruptionbudgets": {"spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "a"}}}},
    "pods": {"metadata": {"labels": {"app": "a"}}, "spec": POD},
    "priorityclasses": {"value": 10},
    "replicasets": {"spec": RUNS},
    "resourcequotas": {"spec": {"hard": {"count/secrets": "50"}}},
    "rolebindings": {
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "a"},
        "subjects": [SUBJECT],
    },
    "roles": {"rules": [RULE]},
    "secrets": {"stringData": {"a": "b"}},
    "services": {"spec": {"selector": {"app": "a"}, "ports": [{"port": 80, "targetPort": 8080}]}},
    "statefulsets": {"spec": {**RUNS, "serviceName": "a"}},
    "storageclasses": {"provisioner": "example.com/none"},
}
"""Bodies that are right, by plural: what most requests are changed from."""
LIVELY = [one for one in ALL if one.plural in VALID]
QUERIES: dict[str, tuple[str, ...]] = {
    "labelSelector": ("a=b", "a in (", "!a", "a,b,,", "a" * 500, "a==b,a!=b", "\x00"),
    "fieldSelector": ("metadata.name=a", "status.phase=Running", "nothing=1", "=", "a!=b,"),
    "limit": ("1", "0", "-1", "x", "99999999999999999999"),
    "continue": ("x", "e30=", "eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MSwic3RhcnQiOiJhIn0"),
    "resourceVersion": ("0", "1", "-1", "x", "99999999999"),
    "resourceVersionMatch": ("Exact", "NotOlderThan", "x"),
    "watch": ("1", "true", "x"),
    "timeoutSeconds": ("1",),
    "dryRun": ("All", "None", "x"),
    "fieldManager": ("m", "m" * 200, "\n"),
    "fieldValidation": ("Strict", "Ignore", "Warn", "x"),
    "force": ("true", "false", "x"),
    "propagationPolicy": ("Foreground", "Orphan", "x"),
    "gracePeriodSeconds": ("0", "-1", "x"),
    "pretty": ("true",),
    "tailLines": ("-1", "x"),
    "container": ("a", "x" * 99),
    "command": ("sh", "\x00"),
}


class Sender:
    """One kept connection with the learner's token to one cluster."""

    def __init__(self, host: HostClient, cluster: str) -> None:
        config = json.loads(host.kubeconfig(cluster) or "null")
        server = config["clusters"][0]["cluster"]
        ca = base64.b64decode(server["certificate-authority-data"]).decode()
        address, _, self._prefix = server["server"].removeprefix("https://").partition("/")
        self._token = config["users"][0]["user"]["token"]
        self._connection = HTTPSConnection(address, timeout=20, context=ssl.create_default_context(cadata=ca))

    def __call__(self, method: str, path: str, body: bytes | None, type: str) -> tuple[int, bytes, float]:
        """Status, body and seconds. A connection that the server closed is made again, once."""
        headers = {"Authorization": f"Bearer {self._token}", **({"Content-Type": type} if type else {})}
        for last in (False, True):
            began = time.monotonic()
            try:
                self._connection.request(method, f"/{self._prefix}{path}", body, headers)
                answer = self._connection.getresponse()
                return answer.status, answer.read(), time.monotonic() - began
            except (HTTPException, ConnectionError):
                self.close()
                if last:
                    raise
        raise AssertionError("unreachable")

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._connection.close()


class Requests:
    """Random requests; the same ones for the same seed. Most of them are nearly right: those get furthest."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def one(self) -> tuple[str, str, bytes | None, str]:
        """Method, path with query, body, content type."""
        resource = self.random.choice(ALL if self._now_and_then() else LIVELY)
        path, named, part = self._path(resource)
        usual = (
            ("GET", "PUT", "PATCH", "PATCH", "DELETE", *("POST",) * bool(part)) if named else ("GET", "POST", "POST")
        )
        method = self.random.choice(METHODS if self._now_and_then() else usual)
        query = {name: self.random.choice(QUERIES[name]) for name in self.random.sample(sorted(QUERIES), 2)}
        if "watch" in query:
            query["timeoutSeconds"] = "1"
        if self.random.random() < 0.2:
            path += "?" + urlencode(query)
        if method in ("GET", "HEAD"):
            return method, path, None, ""
        media = self.random.choice(PATCHES if method == "PATCH" else TYPES[:2])
        return method, path, self._body(resource, media), self.random.choice(TYPES) if self._now_and_then() else media

    def _now_and_then(self) -> bool:
        return self.random.random() < 0.1

    def _path(self, resource: Resource) -> tuple[str, bool, bool]:
        """A path; whether it names an object; whether it names a part of one."""
        path = f"/apis/{resource.api_version}" if resource.group else f"/api/{resource.version}"
        if resource.namespaced and not self._now_and_then():
            path += f"/namespaces/{self.random.choice(('none', 'A%2Fb')) if self._now_and_then() else 'default'}"
        path += f"/{resource.plural}"
        if self.random.random() < 0.5:
            return path, False, False
        odd = ("kubernetes", "default", "A", "..", "💥")
        path += f"/{quote(self.random.choice(odd if self._now_and_then() else NAMES))}"
        parts = [one.name for one in resource.subresources if one.name not in ("exec", "attach", "portforward")]
        if parts and self.random.random() < 0.4:
            return f"{path}/{self.random.choice(parts)}", True, True
        return path, True, False

    def _body(self, resource: Resource, media: str) -> bytes:
        if self._now_and_then():
            return self.random.choice(GARBAGE)
        if media == PATCHES[0]:
            return json.dumps(self.random.sample(OPERATIONS, 2)).encode()
        known = definitions().of(resource.gvk)
        made = copy.deepcopy(VALID.get(resource.plural, {}))
        if known is not None:
            for _ in range(self.random.choice((0, 1, 1, 2, 5))):
                self._change(made, known)
        if not self._now_and_then():
            metadata = made.get("metadata")
            made |= {"apiVersion": resource.api_version, "kind": resource.kind}
            made["metadata"] = {**(metadata if isinstance(metadata, dict) else {}), "name": self.random.choice(NAMES)}
        return json.dumps(made).encode()

    def _change(self, value: Any, wanted: Type) -> None:
        """Set one field, somewhere below, to something of its type, or not quite."""
        while isinstance(value, dict) and wanted.shape == "struct" and wanted.fields:
            name = self.random.choice(sorted(wanted.fields))
            inside = [each for each in sorted(value) if each in wanted.fields and isinstance(value[each], dict | list)]
            if not inside or self.random.random() < 0.3:
                value[name] = self._value(wanted.fields[name].type, 5)
                return
            name = self.random.choice(inside)
            value, wanted = value[name], wanted.fields[name].type
            while isinstance(value, list) and value and wanted.element is not None:
                value, wanted = self.random.choice(value), wanted.element

    def _value(self, wanted: Type, depth: int) -> Any:
        if self._now_and_then() or not depth:
            return copy.deepcopy(self.random.choice(ODD))
        if wanted.shape == "struct":
            few = self.random.sample(sorted(wanted.fields), min(len(wanted.fields), self.random.randint(1, 3)))
            required = [name for name, field in wanted.fields.items() if field.required]
            return {name: self._value(wanted.fields[name].type, depth - 1) for name in sorted({*few, *required})}
        if wanted.element is not None:
            several = [self._value(wanted.element, depth - 1) for _ in range(self.random.randint(0, 2))]
            return several if wanted.shape == "list" else {f"k{at}": each for at, each in enumerate(several)}
        plain = {"integer": (1, 80, 0), "boolean": (True, False), "quantity": ("1", "10Mi"), "number": (1.5,)}
        return self.random.choice(plain.get(wanted.shape, ("a", "b", "nginx", "Always", "")))


@pytest.fixture(scope="module")
def host(host: HostClient) -> HostClient:
    """With a cluster that is attacked, and its neighbour."""
    for name in ("attacked", "neighbour"):
        host.create(name, topology("single"))
    return host


@pytest.mark.parametrize("seed", [1, 2])
def test_random_requests_are_answered_as_meant(host: HostClient, seed: int) -> None:
    attacker, neighbour, made = Sender(host, "attacked"), Sender(host, "neighbour"), Requests(seed)
    for number in range(REQUESTS):
        method, path, body, media = made.one()
        status, answer, seconds = attacker(method, path, body, media)
        told = f"{method} {path} ({media}) {body!r}\n{status} in {seconds:.1f} s: {answer[:500]!r}"
        assert b"fault of the simulator" not in answer, told
        assert seconds < LONGEST, told
        assert 200 <= status < 600, told
        if number % 50 == 0:
            status, answer, seconds = neighbour("GET", "/api/v1/namespaces/default", None, "")
            assert (status, json.loads(answer)["metadata"]["name"]) == (200, "default")
            assert seconds < LONGEST
    assert attacker("GET", "/api/v1/nodes", None, "")[0] == 200
    for sender in (attacker, neighbour):
        sender.close()


def test_the_neighbour_still_runs_pods(host: HostClient) -> None:
    neighbour = Sender(host, "neighbour")
    body = {"metadata": {"name": "web"}, "spec": {"containers": [{"name": "web", "image": "kindling/web:1.0"}]}}
    assert neighbour("POST", "/api/v1/namespaces/default/pods", json.dumps(body).encode(), "application/json")[0] == 201
    deadline = time.monotonic() + 20
    phase = ""
    while phase != "Running":
        assert time.monotonic() < deadline, phase
        phase = json.loads(neighbour("GET", "/api/v1/namespaces/default/pods/web", None, "")[1])["status"]["phase"]
    neighbour.close()
