"""EndpointSlice: the addresses behind a Service in slices of at most a hundred, one set of ports a slice.

A slice that is right is left alone, so that one pod's change is one small write. Source:
``staging/src/k8s.io/endpointslice/reconciler.go``.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterable, Sequence

from simkube.client.client import Event, Obj, copy_of
from simkube.component_helpers import pods as podstate
from simkube.component_helpers.owners import controller_reference
from simkube.controllers.backends import BackendController, ports_of, target_reference
from simkube.controllers.endpoints import HEADLESS, TRIGGERED

SLICES = "endpointslices.discovery.k8s.io"
SERVICE_NAME = "kubernetes.io/service-name"
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
MANAGER = "endpointslice-controller.k8s.io"
ZONE = "topology.kubernetes.io/zone"
MOST_ENDPOINTS = 100


class EndpointSliceController(BackendController):
    """Keys are ``(namespace, name)`` of services."""

    name = "endpoint-slice-controller"

    def watch(self) -> None:
        """Services and pods, and this controller's own slices."""
        super().watch()
        self.nodes = self.client.informer("nodes")
        self.slices = self.client.informer(SLICES)
        self.slices.add_index("managed", _service_of)
        self.client.observe(SLICES, self.own_changed)

    def own_changed(self, event: Event) -> None:
        """A slice was changed or deleted: its service is looked at again."""
        for key in _service_of(event.obj):
            self.enqueue(key)

    def reconcile(self, key: Hashable) -> None:
        """Bring the service's slices in line with its pods."""
        assert isinstance(key, tuple)
        service = self.services.get(*key)
        existing = self.slices.indexed("managed", key)
        if service is None:
            self.triggers.forget(key)
            for each in existing:
                self.client.delete(SLICES, each["metadata"]["name"], each["metadata"]["namespace"])
            return
        if not service["spec"].get("selector") or service["spec"].get("type") == "ExternalName":
            return
        pods = [pod for pod in self.selected(service) if _belongs(pod)]
        triggered = self.triggers.changed_at(key, service, pods)
        plan = self._plan(service, pods, existing)
        if self._carry_out(service, plan, triggered):
            self.rest(key, len(pods))

    def _plan(self, service: Obj, pods: Sequence[Obj], existing: Sequence[Obj]) -> _Plan:
        desired: dict[str, dict[str, Obj]] = {}
        for pod in pods:
            ports = ports_of(service, pod)
            if ports or not service["spec"].get("ports"):
                desired.setdefault(_ports_key(ports), {})[pod["metadata"]["uid"]] = self._endpoint(service, pod)
        plan = _Plan()
        by_ports: dict[str, list[Obj]] = {}
        for each in existing:
            by_ports.setdefault(_ports_key(each.get("ports") or []), []).append(each)
        for ports_key, endpoints in desired.items():
            plan.fit(json.loads(ports_key), endpoints, by_ports.pop(ports_key, []))
        for leftover in by_ports.values():
            plan.delete += leftover
        if not plan.create and len(plan.delete) == len(existing):
            plan.keep_one_empty()
        plan.reuse()
        return plan

    def _endpoint(self, service: Obj, pod: Obj) -> Obj:
        serving = podstate.is_ready(pod)
        terminating = "deletionTimestamp" in pod["metadata"]
        publish = service["spec"].get("publishNotReadyAddresses", False)
        endpoint: Obj = {
            "addresses": [pod["status"]["podIP"]],
            "conditions": {
                "ready": bool(publish or (serving and not terminating)),
                "serving": serving,
                "terminating": terminating,
            },
            "targetRef": target_reference(pod),
        }
        spec = pod["spec"]
        if spec.get("nodeName"):
            endpoint["nodeName"] = spec["nodeName"]
            node = self.nodes.get("", spec["nodeName"])
            zone = (node["metadata"].get("labels") or {}).get(ZONE) if node else None
            if zone:
                endpoint["zone"] = zone
        if spec.get("hostname") and spec.get("subdomain") == service["metadata"]["name"]:
            endpoint["hostname"] = spec["hostname"]
        return endpoint

    def _carry_out(self, service: Obj, plan: _Plan, triggered: str) -> bool:
        """Write what is not yet so; whether anything was written."""
        wrote = False
        for current, ports, endpoints in plan.keep:
            changed = self._slice(service, current, ports, endpoints)
            if _relevant(changed) != _relevant(current):
                self.client.update(SLICES, _triggered(changed, triggered))
                wrote = True
        for ports, endpoints in plan.create:
            made = _triggered(self._slice(service, None, ports, endpoints), triggered)
            self.client.create(SLICES, made, service["metadata"]["namespace"])
            wrote = True
        for each in plan.delete:
            self.client.delete(SLICES, each["metadata"]["name"], each["metadata"]["namespace"])
            wrote = True
        return wrote

    def _slice(self, service: Obj, current: Obj | None, ports: list[Obj], endpoints: list[Obj]) -> Obj:
        meta = service["metadata"]
        labels = dict(meta.get("labels") or {})
        labels.pop(HEADLESS, None)
        if service["spec"].get("clusterIP") in ("None", ""):
            labels[HEADLESS] = ""
        labels.update({SERVICE_NAME: meta["name"], MANAGED_BY: MANAGER})
        fresh: Obj = {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "generateName": f"{meta['name']}-",
                "namespace": meta["namespace"],
                "ownerReferences": [controller_reference(service, "v1", "Service")],
            },
            "addressType": "IPv4",
        }
        wanted = copy_of(current) if current is not None else fresh
        wanted["metadata"]["labels"] = labels
        wanted["endpoints"] = endpoints or None
        wanted["ports"] = ports or None
        return wanted


class _Plan:
    """Which slices stay (with what in them), are made, and go."""

    def __init__(self) -> None:
        self.keep: list[tuple[Obj, list[Obj], list[Obj]]] = []
        self.create: list[tuple[list[Obj], list[Obj]]] = []
        self.delete: list[Obj] = []

    def fit(self, ports: list[Obj], endpoints: dict[str, Obj], existing: Sequence[Obj]) -> None:
        """Place the endpoints (by pod uid) of one set of ports: where they are, then where there is room."""
        left = dict(endpoints)
        kept: list[tuple[Obj, list[Obj]]] = []
        for each in existing:
            uids = [(endpoint.get("targetRef") or {}).get("uid", "") for endpoint in each.get("endpoints") or ()]
            stay = [left.pop(uid) for uid in uids if uid in left]
            if stay or (left and not kept):
                kept.append((each, stay))
            else:
                self.delete.append(each)
        new = list(left.values())
        for _, stay in kept:
            room = MOST_ENDPOINTS - len(stay)
            stay += new[:room]
            new = new[room:]
        self.keep += [(each, ports, stay) for each, stay in kept]
        while new:
            self.create.append((ports, new[:MOST_ENDPOINTS]))
            new = new[MOST_ENDPOINTS:]

    def keep_one_empty(self) -> None:
        """A service without endpoints has one empty slice."""
        self.create.append(([], []))

    def reuse(self) -> None:
        """Rewrite slices that would go instead of making new ones."""
        while self.create and self.delete:
            ports, endpoints = self.create.pop(0)
            self.keep.append((self.delete.pop(0), ports, endpoints))


def _service_of(obj: Obj) -> Iterable[Hashable]:
    meta = obj["metadata"]
    labels = meta.get("labels") or {}
    mine = labels.get(MANAGED_BY) == MANAGER and SERVICE_NAME in labels
    return ((meta["namespace"], labels[SERVICE_NAME]),) if mine else ()


def _belongs(pod: Obj) -> bool:
    return podstate.phase(pod) not in podstate.FINISHED and bool((pod.get("status") or {}).get("podIP"))


def _ports_key(ports: Sequence[Obj]) -> str:
    """Equal for equal ports; a stored port without a name has the name ""."""
    named = [{key: value for key, value in port.items() if value not in ("", None)} for port in ports]
    return json.dumps(named, sort_keys=True)


def _relevant(obj: Obj) -> tuple[object, ...]:
    return obj["metadata"].get("labels"), obj.get("endpoints") or [], _ports_key(obj.get("ports") or [])


def _triggered(obj: Obj, at: str) -> Obj:
    annotations = obj["metadata"].setdefault("annotations", {})
    annotations.pop(TRIGGERED, None)
    if at:
        annotations[TRIGGERED] = at
    return obj
