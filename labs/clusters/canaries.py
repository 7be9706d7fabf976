"""What a cluster can really do, tried out: network policies both ways, admission policies, an audit log.

What a version or a network plug-in promises is not asked: each feature is provoked in a namespace of its own, which is
removed again. A plug-in that takes policies and enforces none would have a lab graded wrong; so would one that isolates
more than was asked. What could not be tried out is not held against a provider: nothing is known then, and whoever asks
is told so. One result counts for all clusters of a provider and node image, and is kept in a file (:class:`Known`).
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from labs.clusters.dynamic_client import APIError, DynamicClient
from labs.clusters.provider import CapabilityMissing, ClusterError, Feature

log = logging.getLogger(__name__)

IMAGE = "kindling/web:1.0"
NAMESPACE = "kindling-canary"
BASE = f"/api/v1/namespaces/{NAMESPACE}"
POLICIES = f"/apis/networking.k8s.io/v1/namespaces/{NAMESPACE}/networkpolicies"
ADMISSION = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"
BINDINGS = ADMISSION.replace("policies", "policybindings")
UP_SECONDS, SEEN_SECONDS, EVERY = 90.0, 15.0, 0.1
ANSWER_MS = 1000
WORKS = ""

Audited = Callable[[str], bool]
"""Whether an audit log tells of a request for an object of this name."""


class Undecided(ClusterError):
    """A canary could not be tried out."""


class Known:
    """Results in a file: for each provider and node image (``of``), feature to "" or why it does not work."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def features(self, of: str) -> tuple[frozenset[Feature], dict[str, str]]:
        """For :class:`~labs.clusters.provider.Capabilities`: those not known to be missing, and why others are."""
        why_not = {name: why for name, why in self.read(of).items() if why}
        return frozenset(Feature) - why_not.keys(), why_not

    def prove(self, of: str, wanted: frozenset[Feature], try_out: Callable[[], dict[str, str]]) -> None:
        """Have what is wanted tried out unless it is known; :class:`CapabilityMissing` says what does not work."""
        known = self.read(of)
        if not wanted <= known.keys():
            known = try_out()
            log.info("tried out what clusters of %s can do: %s", of, known)
            self.write(of, known)
        missing = [f"{name} ({known[name]})" for name in sorted(wanted) if known[name]]
        if missing:
            raise CapabilityMissing(f"this lab needs {' and '.join(missing)}, which this cluster does not have")

    def read(self, of: str) -> dict[str, str]:
        """What is known; {} when nothing is, or the file cannot be read."""
        with suppress(OSError, ValueError, AttributeError):
            found = json.loads(self._file.read_text(encoding="utf-8")).get(of)
            return {str(name): str(why) for name, why in found.items()}
        return {}

    def write(self, of: str, results: Mapping[str, str]) -> None:
        """Keep results, beside what is kept of others."""
        kept: dict[str, Any] = {}
        with suppress(OSError, ValueError):
            kept = json.loads(self._file.read_text(encoding="utf-8"))
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        made = self._file.with_suffix(".new")
        made.write_text(json.dumps({**kept, of: dict(results)}, indent=1), encoding="utf-8")
        made.replace(self._file)


def measure(objects: DynamicClient, audited: Audited | None) -> dict[str, str]:
    """Each feature, with "" or why it does not work; :class:`Undecided`. Needs :data:`IMAGE` on the nodes.

    ``audited``: None where there is no audit log.
    """
    _remove(objects)
    try:
        objects.request("POST", "/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
        return {
            Feature.ADMISSION_POLICIES: _admission(objects),
            Feature.AUDIT: _audit(objects, audited),
            **_network(objects),
        }
    except APIError as error:
        raise Undecided(f"what this cluster can do could not be tried out: {error}; start the lab again") from error
    finally:
        with suppress(APIError):
            _remove(objects)


def _remove(objects: DynamicClient) -> None:
    """Everything of a canary, and wait until it is gone: the lab's own state must not have it."""
    for path in (f"{BINDINGS}/{NAMESPACE}", f"{ADMISSION}/{NAMESPACE}", f"/api/v1/namespaces/{NAMESPACE}"):
        _delete(objects, path)
    _until(lambda: _gone(objects), UP_SECONDS)


def _gone(objects: DynamicClient) -> bool:
    try:
        objects.request("GET", f"/api/v1/namespaces/{NAMESPACE}")
    except APIError as error:
        return error.status == 404
    return False


def _delete(objects: DynamicClient, path: str) -> None:
    try:
        objects.request("DELETE", path + "?gracePeriodSeconds=0")
    except APIError as error:
        if error.status != 404:
            raise


# -- admission, audit ------------------------------------------------------------------------------------------------


def _admission(objects: DynamicClient) -> str:
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]}
    selector = {"matchLabels": {"kubernetes.io/metadata.name": NAMESPACE}}
    spec = {
        "failurePolicy": "Fail",
        "matchConstraints": {"resourceRules": [rule], "namespaceSelector": selector},
        "validations": [{"expression": "object.metadata.name != 'canary'"}],
    }
    bound = {"policyName": NAMESPACE, "validationActions": ["Deny"]}
    try:
        objects.request("POST", ADMISSION, {"metadata": {"name": NAMESPACE}, "spec": spec})
        objects.request("POST", BINDINGS, {"metadata": {"name": NAMESPACE}, "spec": bound})
    except APIError as error:
        if error.status == 404:
            return "its API server has no ValidatingAdmissionPolicy, which Kubernetes has since 1.30"
        raise
    if not _until(lambda: not _made(objects, "canary"), SEEN_SECONDS):
        return "its API server takes a ValidatingAdmissionPolicy and does not carry it out"
    if not _made(objects, "another"):
        return "its API server refuses more than a ValidatingAdmissionPolicy says"
    return WORKS


def _made(objects: DynamicClient, name: str) -> bool:
    """Whether a ConfigMap of that name would be taken."""
    try:
        objects.request("POST", f"{BASE}/configmaps?dryRun=All", {"metadata": {"name": name}})
    except APIError as error:
        if error.status in (403, 422):
            return False
        raise
    return True


def _audit(objects: DynamicClient, audited: Audited | None) -> str:
    if audited is None:
        return "its API server keeps no audit log"
    name = "asked-for-by-a-canary"
    with suppress(APIError):
        objects.request("GET", f"{BASE}/configmaps/{name}")
    return WORKS if _until(lambda: audited(name), SEEN_SECONDS) else "its audit log does not tell of a request"


# -- network policies ------------------------------------------------------------------------------------------------


def _network(objects: DynamicClient) -> dict[str, str]:
    """Two pods on one node, where the API server reaches them whatever the policy; a policy one way must stop that way
    and leave the other alone."""
    node = _control_plane(objects)
    for name in ("here", "there"):
        objects.request("POST", f"{BASE}/pods", _pod(name, node))
    if not _until(lambda: _reaches(objects, "here", "there") and _reaches(objects, "there", "here"), UP_SECONDS):
        raise Undecided("what this cluster can do could not be tried out: its pods do not start; start the lab again")
    return {
        Feature.INGRESS_POLICIES: _one_way(objects, "Ingress", ("there", "here"), "incoming", "outgoing"),
        Feature.EGRESS_POLICIES: _one_way(objects, "Egress", ("here", "there"), "outgoing", "incoming"),
    }


def _one_way(objects: DynamicClient, kind: str, stopped: tuple[str, str], what: str, other: str) -> str:
    """Isolate the pod ``here`` in one direction."""
    spec = {"podSelector": {"matchLabels": {"canary": "here"}}, "policyTypes": [kind]}
    objects.request("POST", POLICIES, {"metadata": {"name": "canary"}, "spec": spec})
    try:
        if not _until(lambda: not _reaches(objects, *stopped), SEEN_SECONDS):
            return f"its network takes a policy that allows no {what} traffic and does not enforce it"
        if not _reaches(objects, *reversed(stopped)):
            return f"its network stops {other} traffic too where a policy is about {what} traffic only"
    finally:
        _delete(objects, f"{POLICIES}/canary")
    if not _until(lambda: _reaches(objects, *stopped), SEEN_SECONDS):
        return f"its network still stops {what} traffic when the policy is gone"
    return WORKS


def _reaches(objects: DynamicClient, source: str, target: str) -> bool:
    """Whether one pod has an answer from the other; False while either is not up."""
    try:
        address = objects.request("GET", f"{BASE}/pods/{target}")["status"].get("podIP")
        body = {"url": f"http://{address}:8080/healthz", "timeout_ms": ANSWER_MS}
        records = objects.proxied(f"{BASE}/pods/{source}:8080", "/request", body) if address else []
    except APIError as error:
        if error.status == 0:
            raise
        return False
    return any(one.get("status") == 200 for one in records)


def _pod(name: str, node: str) -> dict[str, Any]:
    container = {"name": "canary", "image": IMAGE, "imagePullPolicy": "IfNotPresent", "args": ["probe"]}
    spec = {
        "nodeName": node,
        "tolerations": [{"operator": "Exists"}],
        "terminationGracePeriodSeconds": 0,
        "automountServiceAccountToken": False,
        "containers": [container],
    }
    return {"metadata": {"name": name, "labels": {"canary": name}}, "spec": spec}


def _control_plane(objects: DynamicClient) -> str:
    nodes = objects.request("GET", "/api/v1/nodes")["items"]
    roles = ("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master")
    nodes.sort(key=lambda one: not any(role in (one["metadata"].get("labels") or {}) for role in roles))
    return str(nodes[0]["metadata"]["name"])


def _until(condition: Callable[[], bool], seconds: float) -> bool:
    """Whether it became so in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(EVERY)
    return True
