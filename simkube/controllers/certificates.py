"""Signs approved certificate signing requests, and takes away old ones.

Source: ``pkg/controller/certificates`` (signer, cleaner). Signed is what the API server's clients and kubelets ask for;
requests to other signers wait for whoever serves those. Approving is left to people: no kubelet asks here.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Hashable
from datetime import datetime
from typing import Any

from simkube.client.client import Event, Informers, Obj, Server
from simkube.client.workqueue import WorkLoop
from simkube.component_helpers.signers import CLIENT, REQUESTS
from simkube.controllers.controller import Controller

Sign = Callable[[Any, list[str], int], str]
"""From a request as read, usages and seconds to a certificate in PEM."""

KUBELET_CLIENT = "kubernetes.io/kube-apiserver-client-kubelet"
KUBELET_SERVING = "kubernetes.io/kubelet-serving"
_LONGEST = 365 * 24 * 3600
_CLIENT_USAGES = frozenset({"digital signature", "key encipherment", "client auth"})
_SERVER_USAGES = frozenset({"digital signature", "key encipherment", "server auth"})
_KEPT = {"Approved": 3600.0, "Denied": 3600.0, "Failed": 3600.0, "": 24 * 3600.0}
"""How long a request is kept after it was decided, or, undecided, after it was made."""


class SigningController(Controller):
    """Keys are names of requests. ``sign`` makes a certificate; None where there is no authority."""

    name = "certificatesigningrequest-signing-controller"
    resource = "certificatesigningrequests.certificates.k8s.io"

    def __init__(
        self, server: Server, loop: WorkLoop, informers: Informers | None = None, sign: Sign | None = None
    ) -> None:
        super().__init__(server, loop, informers)
        self._sign = sign

    def watch(self) -> None:
        """Certificate signing requests."""
        self.requests = self.client.observe(REQUESTS, lambda event: self.enqueue(event.obj["metadata"]["name"]))

    def reconcile(self, key: Hashable) -> None:
        """Sign the request when it is approved, for a signer of ours, and nobody has yet."""
        request = self.requests.get("", str(key))
        if request is None or self._sign is None:
            return
        status = request.get("status") or {}
        types = {each.get("type") for each in status.get("conditions") or ()}
        if "Approved" not in types or types & {"Denied", "Failed"} or status.get("certificate"):
            return
        spec = request["spec"]
        if spec["signerName"] not in (CLIENT, KUBELET_CLIENT, KUBELET_SERVING):
            return
        from simkube.apiserver.registry.certificates.validation import (
            read,  # reads with a library that is slow to import
        )

        problem = _problem(spec, read(spec["request"]))
        if problem:
            self._fail(request, problem)
            return
        seconds = min(spec.get("expirationSeconds") or _LONGEST, _LONGEST)
        try:
            pem = self._sign(read(spec["request"]), spec["usages"], seconds)
        except ValueError as error:  # a name or a key that cannot be in a certificate
            self._fail(request, str(error)[:200])
            return
        issued = base64.b64encode(pem.encode()).decode()
        self._write(request, {**status, "certificate": issued})

    def _fail(self, request: Obj, problem: str) -> None:
        status = request.get("status") or {}
        now = self.clock.timestamp()
        failed = {
            "type": "Failed",
            "status": "True",
            "reason": "SignerValidationFailure",
            "message": problem,
            "lastUpdateTime": now,
            "lastTransitionTime": now,
        }
        self._write(request, {**status, "conditions": [*(status.get("conditions") or ()), failed]})

    def _write(self, request: Obj, status: Obj) -> None:
        changed = {**request, "metadata": dict(request["metadata"]), "status": status}
        self.client.update(REQUESTS, changed, subresource="status")


def _problem(spec: Obj, request: Any) -> str:
    """Why the signer does not sign this; "" when it does."""
    from cryptography.x509.oid import NameOID

    serving = spec["signerName"] == KUBELET_SERVING
    allowed, needed = (_SERVER_USAGES, "server auth") if serving else (_CLIENT_USAGES, "client auth")
    usages = set(spec["usages"])
    if not usages <= allowed or needed not in usages:
        kind = "serving" if serving else "client"
        return f"usages did not match {sorted(allowed)}: invalid usages for {kind} certificate: {sorted(usages)}"
    if spec["signerName"] == CLIENT:
        return ""
    names = [each.value for each in request.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    groups = [each.value for each in request.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]
    if groups != ["system:nodes"]:
        return "organization in subject is not system:nodes"
    return (
        "" if names and names[0].startswith("system:node:") else "subject common name does not begin with system:node:"
    )


class CleanerController(Controller):
    """Keys are names of requests."""

    name = "certificatesigningrequest-cleaner-controller"

    def watch(self) -> None:
        """Certificate signing requests, each until its time is over."""
        self.requests = self.client.observe(REQUESTS, self._changed)

    def _changed(self, event: Event) -> None:
        name = event.obj["metadata"]["name"]
        if event.type == "DELETED":
            self.dequeue(name)
        else:
            self.enqueue_after(name, max(0.0, _expires(event.obj) - self.clock.now()))

    def reconcile(self, key: Hashable) -> None:
        """Delete the request when its time is over."""
        request = self.requests.get("", str(key))
        if request is not None and _expires(request) <= self.clock.now():
            self.client.delete(REQUESTS, str(key))


def _expires(request: Obj) -> float:
    """When a request is taken away, in seconds since the epoch."""
    conditions = (request.get("status") or {}).get("conditions") or ()
    for each in conditions:
        if each.get("type") in _KEPT and each.get("lastUpdateTime"):
            return datetime.fromisoformat(each["lastUpdateTime"]).timestamp() + _KEPT[each["type"]]
    return datetime.fromisoformat(request["metadata"]["creationTimestamp"]).timestamp() + _KEPT[""]
