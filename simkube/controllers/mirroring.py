"""Endpoints written by hand, for a Service without selector, are mirrored to slices: proxies only look at those.

Source: ``pkg/controller/endpointslicemirroring``.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterable, Sequence

from simkube.client.client import Event, Obj, copy_of, key_of
from simkube.component_helpers.owners import controller_reference
from simkube.controllers.controller import Controller
from simkube.controllers.endpoints import TRIGGERED
from simkube.controllers.endpointslice import MANAGED_BY, SERVICE_NAME, SLICES

MANAGER = "endpointslicemirroring-controller.k8s.io"
SKIP = "endpointslice.kubernetes.io/skip-mirror"
LEADER = "control-plane.alpha.kubernetes.io/leader"


class EndpointSliceMirroringController(Controller):
    """Keys are ``(namespace, name)`` of endpoints."""

    name = "endpoint-slice-mirroring-controller"

    def watch(self) -> None:
        """Endpoints, services of the same name, and this controller's own slices."""
        self.services = self.client.observe("services", lambda event: self.enqueue(key_of(event.obj)))
        self.endpoints = self.client.observe("endpoints", lambda event: self.enqueue(key_of(event.obj)))
        self.slices = self.client.informer(SLICES)
        self.slices.add_index("mirrored", _service_of)
        self.client.observe(SLICES, self._slice_changed)

    def _slice_changed(self, event: Event) -> None:
        for key in _service_of(event.obj):
            self.enqueue(key)

    def reconcile(self, key: Hashable) -> None:
        """One slice a subset; none when the endpoints are not to be mirrored."""
        assert isinstance(key, tuple)
        endpoints = self.endpoints.get(*key)
        service = self.services.get(*key)
        left = self.slices.indexed("mirrored", key)
        if endpoints is not None and service is not None and _wanted(endpoints, service):
            for subset in endpoints.get("subsets") or ():
                made = _slice(endpoints, subset)
                current = next((each for each in left if _ports(each) == _ports(made)), None)
                if current is None:
                    self.client.create(SLICES, made, key[0])
                    continue
                left = [each for each in left if each is not current]
                changed = {**copy_of(current), "endpoints": made["endpoints"]}
                changed["metadata"]["labels"] = made["metadata"]["labels"]
                if changed != current:
                    self.client.update(SLICES, changed)
        for each in left:
            self.client.delete(SLICES, each["metadata"]["name"], key[0])


def _wanted(endpoints: Obj, service: Obj) -> bool:
    meta = endpoints["metadata"]
    if service["spec"].get("selector") or LEADER in (meta.get("annotations") or {}):
        return False
    return (meta.get("labels") or {}).get(SKIP) != "true"


def _slice(endpoints: Obj, subset: Obj) -> Obj:
    meta = endpoints["metadata"]
    annotations = {key: value for key, value in (meta.get("annotations") or {}).items() if key != TRIGGERED}
    made: Obj = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "generateName": f"{meta['name']}-",
            "namespace": meta["namespace"],
            "labels": {**(meta.get("labels") or {}), SERVICE_NAME: meta["name"], MANAGED_BY: MANAGER},
            "ownerReferences": [controller_reference(endpoints, "v1", "Endpoints")],
        },
        "addressType": "IPv4",
        "endpoints": [
            _endpoint(address, ready=ready)
            for kind, ready in (("addresses", True), ("notReadyAddresses", False))
            for address in subset.get(kind) or ()
        ],
        "ports": [{"name": "", **port} for port in subset.get("ports") or ()],
    }
    if annotations:
        made["metadata"]["annotations"] = annotations
    return made


def _endpoint(address: Obj, *, ready: bool) -> Obj:
    endpoint: Obj = {"addresses": [address["ip"]], "conditions": {"ready": ready}}
    for part in ("hostname", "nodeName", "targetRef"):
        if address.get(part):
            endpoint[part] = address[part]
    return endpoint


def _ports(found: Obj) -> str:
    ports: Sequence[Obj] = found.get("ports") or ()
    return json.dumps(ports, sort_keys=True)


def _service_of(obj: Obj) -> Iterable[Hashable]:
    meta = obj["metadata"]
    labels = meta.get("labels") or {}
    mine = labels.get(MANAGED_BY) == MANAGER and SERVICE_NAME in labels
    return ((meta["namespace"], labels[SERVICE_NAME]),) if mine else ()
