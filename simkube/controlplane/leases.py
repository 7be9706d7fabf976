"""The Leases by which the programs of a control plane say that they live: who leads, and which API servers there are.

As with a node's Lease (:mod:`simkube.kubelet.lease`) renewing is no write: ``renewTime`` is filled in when a Lease is
read. One that somebody deletes is made anew at the next renewal, by the program it is of, if that runs. Sources:
``client-go/tools/leaderelection``, ``pkg/controlplane/apiserver/server.go`` (apiserver identity).
"""

from __future__ import annotations

import hashlib
from collections.abc import Hashable
from dataclasses import dataclass
from uuid import uuid4

from simkube.client.client import Client, Event, Informers, Obj, Server, key_of
from simkube.client.workqueue import Component, WorkLoop
from simkube.kubelet.lease import RESOURCE, renewed

NAMESPACE = "kube-system"


@dataclass(frozen=True, slots=True)
class Terms:
    """How long a program's Lease is good for, and how often it is renewed, in seconds."""

    duration: int
    renewal: float


LEADER = Terms(15, 2.0)
IDENTITY = Terms(3600, 10.0)


class ProgramLease(Component):
    """The Lease of one program (``agent``) on the node ``host``."""

    name = "lease-renewal"

    def __init__(self, program: str, host: str, server: Server, loop: WorkLoop, informers: Informers) -> None:
        self.agent = program
        self._host = host
        self._identity = program == "kube-apiserver"
        self._terms = IDENTITY if self._identity else LEADER
        self._silent = loop.clock.now()
        digest = hashlib.sha256(host.encode()).hexdigest()
        self.lease = f"apiserver-{digest[:26]}" if self._identity else program
        super().__init__(server, loop, informers)

    def _connect(self) -> Client:
        user = f"system:{self.agent}"
        return Client(self._server, self.name, self.clock, user=user, agent=self.agent, informers=self._shared)

    def watch(self) -> None:
        """Its own Lease."""
        self.client.observe(RESOURCE, self._changed)
        if self.client.informer(RESOURCE).get(NAMESPACE, self.lease) is None:
            self.enqueue("lease")

    def stop(self) -> None:
        """As :meth:`Component.stop`; from now on nobody renews."""
        if self.running:
            self._silent = self.clock.now()
        super().stop()

    def _changed(self, event: Event) -> None:
        if event.type == "DELETED" and key_of(event.obj) == (NAMESPACE, self.lease):
            self.enqueue_after("lease", self._terms.renewal)

    def renewed(self, stored: Obj) -> Obj:
        """The Lease as it is read: renewed up to now, or up to when the program ended."""
        return renewed(stored, self.clock.now() if self.running else self._silent, self._terms.renewal)

    def reconcile(self, key: Hashable) -> None:  # noqa: ARG002 - there is one key
        """Make the Lease when there is none."""
        if self.client.informer(RESOURCE).get(NAMESPACE, self.lease) is not None:
            return
        now = self.clock.micro_timestamp()
        labels = {"apiserver.kubernetes.io/identity": "kube-apiserver", "kubernetes.io/hostname": self._host}
        spec: Obj = {
            "holderIdentity": f"{self.lease if self._identity else self._host}_{uuid4()}",
            "leaseDurationSeconds": self._terms.duration,
            "acquireTime": now,
            "renewTime": now,
        }
        meta: Obj = {"name": self.lease, "namespace": NAMESPACE}
        if self._identity:
            del spec["acquireTime"]
            meta["labels"] = labels
        else:
            spec["leaseTransitions"] = 0
        lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": meta, "spec": spec}
        self.client.create(RESOURCE, lease, NAMESPACE)
