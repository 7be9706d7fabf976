"""Endpoints: the addresses behind a Service as one object, the way they were before there were slices.

Source: ``pkg/controller/endpoint/endpoints_controller.go``.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Sequence
from typing import Any

from simkube.client.client import Obj, copy_of
from simkube.component_helpers import pods as podstate
from simkube.controllers.backends import BackendController, ports_of, target_reference

MANAGED_BY = "endpoints.kubernetes.io/managed-by"
HEADLESS = "service.kubernetes.io/headless"
OVER_CAPACITY = "endpoints.kubernetes.io/over-capacity"
TRIGGERED = "endpoints.kubernetes.io/last-change-trigger-time"
MOST_ADDRESSES = 1000


class EndpointsController(BackendController):
    """Keys are ``(namespace, name)`` of services."""

    name = "endpoint-controller"

    def watch(self) -> None:
        """Services and pods, and the endpoints themselves, which come back when someone deletes them."""
        super().watch()
        self.endpoints = self.client.observe("endpoints", self.own_changed)

    def reconcile(self, key: Hashable) -> None:
        """Write the addresses of the pods that the service selects."""
        assert isinstance(key, tuple)
        namespace, name = key
        service = self.services.get(namespace, name)
        current = self.endpoints.get(namespace, name)
        if service is None:
            self.triggers.forget(key)
            if current is not None and MANAGED_BY in (current["metadata"].get("labels") or {}):
                self.client.delete("endpoints", name, namespace)
            return
        if not service["spec"].get("selector") or service["spec"].get("type") == "ExternalName":
            return
        pods = [pod for pod in self.selected(service) if _belongs(service, pod)]
        triggered = self.triggers.changed_at(key, service, pods)
        subsets, truncated = _truncate(_subsets(service, pods))
        wanted = self._object(service, current, subsets, truncated)
        if current is not None and _same(current, wanted):
            return
        annotations = wanted["metadata"].setdefault("annotations", {})
        annotations.pop(TRIGGERED, None)
        if triggered:
            annotations[TRIGGERED] = triggered
        if current is None:
            self.client.create("endpoints", wanted, namespace)
        else:
            self.client.update("endpoints", wanted)
        self.rest(key, len(pods))

    def _object(self, service: Obj, current: Obj | None, subsets: list[Obj], truncated: bool) -> Obj:
        meta = service["metadata"]
        fresh: Obj = {
            "apiVersion": "v1",
            "kind": "Endpoints",
            "metadata": {"name": meta["name"], "namespace": meta["namespace"]},
        }
        wanted = copy_of(current) if current is not None else fresh
        labels = dict(meta.get("labels") or {})
        labels.pop(HEADLESS, None)
        if service["spec"].get("clusterIP") in ("None", ""):
            labels[HEADLESS] = ""
        labels[MANAGED_BY] = "endpoint-controller"
        wanted["metadata"]["labels"] = labels
        annotations = wanted["metadata"].setdefault("annotations", {})
        annotations.pop(OVER_CAPACITY, None)
        if truncated:
            annotations[OVER_CAPACITY] = "truncated"
        wanted.pop("subsets", None)
        if subsets:
            wanted["subsets"] = subsets
        return wanted


def _belongs(service: Obj, pod: Obj) -> bool:
    if podstate.phase(pod) in podstate.FINISHED or not (pod.get("status") or {}).get("podIP"):
        return False
    publish = service["spec"].get("publishNotReadyAddresses", False)
    return publish or "deletionTimestamp" not in pod["metadata"]


def _subsets(service: Obj, pods: Sequence[Obj]) -> list[Obj]:
    """Addresses with the same ports together, the ready apart from the others."""
    publish = service["spec"].get("publishNotReadyAddresses", False)
    groups: dict[str, Obj] = {}
    for pod in pods:
        ports = ports_of(service, pod)
        if not ports and service["spec"].get("ports"):
            continue
        subset = groups.setdefault(json.dumps(ports, sort_keys=True), {"ports": ports})
        ready = publish or podstate.is_ready(pod)
        subset.setdefault("addresses" if ready else "notReadyAddresses", []).append(_address(service, pod))
    for subset in groups.values():
        for kind in ("addresses", "notReadyAddresses"):
            if kind in subset:
                subset[kind].sort(key=lambda address: (address["ip"], address["targetRef"]["uid"]))
        if not subset["ports"]:
            del subset["ports"]
    return [groups[key] for key in sorted(groups)]


def _address(service: Obj, pod: Obj) -> Obj:
    address: Obj = {"ip": pod["status"]["podIP"], "targetRef": target_reference(pod)}
    if pod["spec"].get("nodeName"):
        address["nodeName"] = pod["spec"]["nodeName"]
    if pod["spec"].get("hostname") and pod["spec"].get("subdomain") == service["metadata"]["name"]:
        address["hostname"] = pod["spec"]["hostname"]
    return address


def _truncate(subsets: list[Obj]) -> tuple[list[Obj], bool]:
    """At most a thousand addresses in all, the ready ones first."""
    count = sum(len(subset.get(kind, ())) for subset in subsets for kind in ("addresses", "notReadyAddresses"))
    if count <= MOST_ADDRESSES:
        return subsets, False
    room = MOST_ADDRESSES
    for kind in ("addresses", "notReadyAddresses"):
        for subset in subsets:
            if kind in subset:
                subset[kind] = subset[kind][:room]
                room -= len(subset[kind])
                if not subset[kind]:
                    del subset[kind]
    return [subset for subset in subsets if "addresses" in subset or "notReadyAddresses" in subset], True


def _same(current: Obj, wanted: Obj) -> bool:
    def relevant(obj: Obj) -> tuple[Any, ...]:
        annotations = obj["metadata"].get("annotations") or {}
        return obj.get("subsets") or [], obj["metadata"].get("labels"), annotations.get(OVER_CAPACITY)

    return relevant(current) == relevant(wanted)
