"""What the controllers of Endpoints and EndpointSlices share: which pods are behind a service, at which ports.

A large service is not written again for each of its pods: after a write its controller rests for a moment that grows
with the number of pods, so that a thousand pods that get ready cost a few writes (kube-controller-manager has
``--endpoint-updates-batch-period`` for this).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from datetime import UTC, datetime

from simkube.apimachinery.labels import matches_set
from simkube.client.client import Event, Key, Obj, key_of
from simkube.component_helpers import pods as podstate
from simkube.controllers.controller import Controller

REST_SECONDS_PER_POD = 0.0002
REST_FROM_PODS = 50


class BackendController(Controller):
    """A controller whose keys are services and whose input are the pods they select."""

    resource = "services"

    def watch(self) -> None:
        """Services, and pods where it matters to a service."""
        self.triggers = Triggers()
        self._resting: dict[Hashable, float] = {}
        self.services = self.client.observe("services", lambda event: self.enqueue(key_of(event.obj)))
        self.pods = self.client.observe("pods", self._pod_changed)

    def enqueue(self, key: Hashable) -> None:
        """As :meth:`Component.enqueue`, but not before the key has rested."""
        until = self._resting.get(key)
        if until is None:
            super().enqueue(key)
            return
        wait = until - self.clock.now()
        if wait > 0:
            self.enqueue_after(key, wait)
        else:
            del self._resting[key]
            super().enqueue(key)

    def rest(self, key: Hashable, pods: int) -> None:
        """Do nothing about ``key`` for a while, if it has many pods."""
        if pods >= REST_FROM_PODS:
            self._resting[key] = self.clock.now() + pods * REST_SECONDS_PER_POD
        else:
            self._resting.pop(key, None)

    def own_changed(self, event: Event) -> None:
        """What this controller writes was changed or deleted, perhaps by someone else."""
        self.enqueue(key_of(event.obj))

    def selected(self, service: Obj) -> list[Obj]:
        """The pods that the service selects."""
        selector = service["spec"].get("selector")
        if not selector:
            return []
        pods = self.pods.list(service["metadata"]["namespace"])
        return [pod for pod in pods if matches_set(selector, pod["metadata"].get("labels"))]

    def _pod_changed(self, event: Event) -> None:
        if event.type == "MODIFIED" and event.old is not None and _looks_alike(event.old, event.obj):
            return
        seen = [pod["metadata"].get("labels") for pod in (event.obj, event.old) if pod is not None]
        for service in self.services.list(event.obj["metadata"]["namespace"]):
            selector = service["spec"].get("selector")
            if selector and any(matches_set(selector, labels) for labels in seen):
                self.enqueue(key_of(service))


def _looks_alike(old: Obj, new: Obj) -> bool:
    """Whether two states of a pod are the same to a service."""

    def view(pod: Obj) -> tuple[object, ...]:
        spec, status, meta = pod["spec"], pod.get("status") or {}, pod["metadata"]
        return (
            meta.get("labels"),
            "deletionTimestamp" in meta,
            status.get("podIP"),
            podstate.is_ready(pod),
            podstate.phase(pod) in podstate.FINISHED,
            spec.get("nodeName"),
            spec.get("hostname"),
        )

    return view(old) == view(new)


class Triggers:
    """Since when a service's endpoints are out of date: the annotation ``last-change-trigger-time``.

    Source: ``endpointslice/trigger_time_tracker.go``.
    """

    def __init__(self) -> None:
        self._pods: dict[Hashable, dict[str, float]] = {}
        self._services: dict[Hashable, float] = {}

    def forget(self, key: Hashable) -> None:
        """The service is gone."""
        self._pods.pop(key, None)
        self._services.pop(key, None)

    def changed_at(self, key: Key, service: Obj, pods: Iterable[Obj]) -> str:
        """The earliest change since the last call, as a timestamp; "" for none."""
        changes: list[float] = []
        before, now = self._pods.get(key, {}), {}
        for pod in pods:
            ready = podstate.condition(pod, "Ready")
            when = podstate.seconds_of(ready.get("lastTransitionTime")) if ready else 0.0
            if when:
                name = pod["metadata"]["name"]
                now[name] = when
                if when > before.get(name, 0.0):
                    changes.append(when)
        created = podstate.seconds_of(service["metadata"].get("creationTimestamp"))
        if created > self._services.get(key, 0.0):
            changes.append(created)
        self._pods[key], self._services[key] = now, created
        return datetime.fromtimestamp(min(changes), UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if changes else ""


def target_reference(pod: Obj) -> Obj:
    """The ``targetRef`` of an address."""
    meta = pod["metadata"]
    return {"kind": "Pod", "namespace": meta["namespace"], "name": meta["name"], "uid": meta["uid"]}


def ports_of(service: Obj, pod: Obj) -> list[Obj]:
    """The service's ports as this pod serves them; a named port that the pod does not have is left out."""
    ports: list[Obj] = []
    for port in service["spec"].get("ports") or ():
        number = _port_number(port, pod)
        if number is None:
            continue
        found: Obj = {"port": number, "protocol": port.get("protocol", "TCP")}
        if port.get("name"):
            found["name"] = port["name"]
        if port.get("appProtocol"):
            found["appProtocol"] = port["appProtocol"]
        ports.append(found)
    return ports


def _port_number(port: Obj, pod: Obj) -> int | None:
    target = port.get("targetPort") or port["port"]
    if isinstance(target, int):
        return target
    for container in _serving_containers(pod):
        for each in container.get("ports") or ():
            if each.get("name") == target and each.get("protocol", "TCP") == port.get("protocol", "TCP"):
                return int(each["containerPort"])
    return None


def _serving_containers(pod: Obj) -> Sequence[Obj]:
    sidecars = [each for each in pod["spec"].get("initContainers") or () if each.get("restartPolicy") == "Always"]
    return [*(pod["spec"].get("containers") or ()), *sidecars]
