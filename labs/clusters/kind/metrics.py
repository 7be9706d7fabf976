"""``metrics.k8s.io`` on a kind cluster, which has none of its own: our own server as an aggregated API.

The image is built from ``labs/images/metrics``, on the same base as the labs' own, so that no registry is needed. Its
certificate is its own authority, which the APIService names; it is made anew for every cluster.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from labs.clusters.dynamic_client import APIError, DynamicClient, Obj
from labs.clusters.kind.certificates import Issued, b64, issue
from labs.clusters.provider import ClusterError

IMAGE = "kindling/metrics:1.0"
MANIFESTS = Path(__file__).with_name("metrics.yaml")
SERVICE = "/apis/apiregistration.k8s.io/v1/apiservices/v1beta1.metrics.k8s.io"
SERVER = "/apis/apps/v1/namespaces/kube-system/deployments/metrics-server"
NODES = "/apis/metrics.k8s.io/v1beta1/nodes"
HOST = "metrics-server.kube-system.svc"
UP_SECONDS, LOOK_SECONDS, EVERY = 120.0, 20.0, 0.25


def install(objects: DynamicClient) -> None:
    """Have the cluster know what its nodes use; a no-op where it does. Returns when the first node's use is known."""
    if _answers(objects):
        return
    *server, service = manifests(datetime.now(UTC))
    objects.create_all(server)
    deadline = time.monotonic() + UP_SECONDS
    _wait(lambda: _ready(objects), deadline)
    objects.create_all([service])  # the API server looks at once, and not again soon at what it does not find
    for number in itertools.count():
        if _wait(lambda: _answers(objects), min(deadline, time.monotonic() + LOOK_SECONDS)):
            return
        if time.monotonic() > deadline:
            raise ClusterError(f"metrics.k8s.io does not answer after {UP_SECONDS:g} s; reset the lab")
        objects.request("PATCH", SERVICE, _touched(number), content_type="application/merge-patch+json")


def _ready(objects: DynamicClient) -> bool:
    return bool(objects.request("GET", SERVER).get("status", {}).get("readyReplicas"))


def _touched(number: int) -> Obj:
    """A change by which the API server looks again whether the service is there."""
    return {"metadata": {"annotations": {"kindling.example/looked": str(number)}}}


def _wait(condition: Callable[[], bool], deadline: float) -> bool:
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(EVERY)
    return True


def manifests(now: datetime) -> list[Obj]:
    """What is made in the cluster, in order, with a new certificate."""
    issued = _certificate(now)
    facts = {"image": IMAGE, "certificate": b64(issued.certificate), "key": b64(issued.key)}
    return [_filled(one, facts) for one in yaml.safe_load_all(MANIFESTS.read_text(encoding="utf-8"))]


def _answers(objects: DynamicClient) -> bool:
    try:
        return bool(objects.request("GET", NODES).get("items"))
    except APIError as error:
        if error.status == 0:
            raise
        return False


def _filled(value: Any, facts: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _filled(one, facts) for key, one in value.items()}
    if isinstance(value, list):
        return [_filled(one, facts) for one in value]
    if isinstance(value, str) and value.startswith("${"):
        return facts[value[2:-1]]
    return value


def _certificate(now: datetime) -> Issued:
    """For the Service, signed by itself."""
    return issue(
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)]),
        x509.SubjectAlternativeName([x509.DNSName(HOST)]),
        x509.BasicConstraints(ca=True, path_length=0),
        x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]),
        now=now,
    )
