"""What every provider does once there is a cluster: wait until it can be worked with, add the lab's own objects."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

from labs.clusters.dynamic_client import APIError, DynamicClient
from labs.clusters.provider import ClusterError, ClusterSpec

LOOK_EVERY = 0.05
"""Seconds between two questions to an API server."""
COREDNS = "/apis/apps/v1/namespaces/kube-system/deployments/coredns"
KUBE_DNS = "/api/v1/namespaces/kube-system/endpoints/kube-dns"


def folder_of(home: Path, name: str) -> Path:
    """Where a provider keeps what it must remember of a cluster; :class:`ClusterError` for what is no cluster name."""
    if not re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?", name):
        raise ClusterError(f"{name!r} is not a cluster name: a DNS label of at most 40 characters")
    return home / name


def wait_for_nodes(objects: DynamicClient, name: str, seconds: float) -> None:
    """Until every node is Ready and pods can be created; an API server that does not answer yet is waited for."""
    _wait(lambda: _not_ready(objects), name, seconds)


def wait_for_dns(objects: DynamicClient, name: str, seconds: float) -> None:
    """Until CoreDNS answers for names: a pod of it is available and behind the Service that every pod asks."""
    _wait(lambda: _no_dns(objects), name, seconds)


def add_setup(objects: DynamicClient, spec: ClusterSpec, seconds: float) -> None:
    """Create the lab's own objects and wait until the controllers have seen them."""
    made = objects.create_all(spec.setup)
    deadline = time.monotonic() + seconds
    while waiting := [key for key in made if not objects.observed(key)]:
        if time.monotonic() > deadline:
            raise ClusterError(f"no controller took up {waiting[0][2]} within {seconds:.0f} s")
        time.sleep(LOOK_EVERY)


def _wait(waiting_for: Callable[[], str], name: str, seconds: float) -> None:
    """Until nothing is waited for any more; :class:`ClusterError` says what was, after ``seconds``."""
    deadline = time.monotonic() + seconds
    while waiting := waiting_for():
        if time.monotonic() > deadline:
            raise ClusterError(f"the cluster {name} is still waiting for {waiting} after {seconds:.0f} s")
        time.sleep(LOOK_EVERY)


def _not_ready(objects: DynamicClient) -> str:
    """What is still missing, as a phrase, or ""."""
    try:
        nodes = objects.request("GET", "/api/v1/nodes").get("items", [])
        accounts = objects.request("GET", "/api/v1/namespaces/default/serviceaccounts").get("items", [])
    except APIError as error:
        return f"its API server ({error})"
    for node in nodes:
        conditions = {c["type"]: c["status"] for c in node.get("status", {}).get("conditions", [])}
        if conditions.get("Ready") != "True":
            return f"node {node['metadata']['name']}"
    if not nodes:
        return "its nodes"
    return "" if accounts else "its default service account"


def _no_dns(objects: DynamicClient) -> str:
    """What its DNS still lacks, as a phrase, or ""."""
    try:
        server = objects.request("GET", COREDNS)
        subsets = objects.request("GET", KUBE_DNS).get("subsets") or []
    except APIError as error:
        return f"its DNS ({error})"
    status, wanted = server.get("status", {}), server["spec"].get("replicas", 1)
    if status.get("observedGeneration", 0) < server["metadata"]["generation"] or not status.get("availableReplicas"):
        return f"its DNS (0 of {wanted} pods of CoreDNS are available)"
    return "" if any(one.get("addresses") for one in subsets) else "its DNS (the Service kube-dns has no endpoints)"
