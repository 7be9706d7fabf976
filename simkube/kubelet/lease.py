"""A node's Lease in ``kube-node-lease``: the sign of life that a kubelet renews every ten seconds.

Here renewing is no write: the stored Lease says who holds it since when, and ``renewTime`` is put in when it is read
(:func:`renewed`), from when the kubelet was last heard of. Watches hear of no renewals.

Source: ``pkg/kubelet/kubelet.go`` and ``k8s.io/component-helpers/apimachinery/lease``.
"""

from __future__ import annotations

from datetime import UTC, datetime

from simkube.apimachinery.errors import StatusError
from simkube.client.client import Client, Obj

NAMESPACE = "kube-node-lease"
RESOURCE = "leases.coordination.k8s.io"
DURATION = 40
"""``leaseDurationSeconds``: the kubelet's default."""
RENEWAL = 10.0
"""Seconds between renewals: a quarter of the duration."""


def keep_lease(client: Client, node: Obj, now: str) -> None:
    """Make the node's Lease when there is none; ``now`` is a ``metav1.MicroTime``."""
    meta = node["metadata"]
    try:
        client.get(RESOURCE, meta["name"], NAMESPACE)
        return
    except StatusError as error:
        if error.reason != "NotFound":
            raise
    owner = {"apiVersion": "v1", "kind": "Node", "name": meta["name"], "uid": meta["uid"]}
    lease = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": meta["name"], "namespace": NAMESPACE, "ownerReferences": [owner]},
        "spec": {
            "holderIdentity": meta["name"],
            "leaseDurationSeconds": DURATION,
            "acquireTime": now,
            "renewTime": now,
        },
    }
    client.create(RESOURCE, lease, NAMESPACE)


def renewed(lease: Obj, heard: float, every: float = RENEWAL) -> Obj:
    """The Lease with the last renewal of whoever renews it so often and was last heard of at ``heard``."""
    spec = lease.get("spec") or {}
    try:
        acquired = datetime.fromisoformat(spec.get("acquireTime") or spec["renewTime"]).timestamp()
    except (KeyError, TypeError, ValueError):
        return lease
    last = max(acquired, heard - (heard - acquired) % every)
    moment = datetime.fromtimestamp(last, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return {**lease, "spec": {**spec, "renewTime": moment}}
