"""What is in a cluster, in the words of requirements: pods, containers, who listens where, whom a Service leads to.

Everything comes from objects as the API server keeps them, status included, and from what is written about the labs'
own images; nothing is asked and nothing is run. Refuses to guess: what a program does that nobody has described is
``UNKNOWN``.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from labs.certify.containers import GRACE, Container, Obj, Probe
from labs.certify.unknown import UNKNOWN, Unknown

SOON, LATE = 20.0, 70.0
"""Seconds that a probe may take to succeed for it to be a matter of a check's patience whether that is soon enough."""
_CONTROL_PLANE = "node-role.kubernetes.io/control-plane"
_UNREACHABLE = "node.kubernetes.io/unreachable"
_REFERENCE = re.compile(r"\$\((\w+)\)")


@dataclass(frozen=True)
class Pod:
    """A pod that is not being deleted. ``controller``: the topmost, such as ``Deployment/web``, or ""."""

    name: str
    raw: Obj = field(repr=False)
    containers: list[Container] = field(repr=False)
    controller: str = ""

    @property
    def labels(self) -> Mapping[str, str]:
        """By key."""
        return self.raw["metadata"].get("labels") or {}

    @property
    def spec(self) -> Obj:
        """As the API server keeps it."""
        return dict(self.raw["spec"])

    @property
    def node(self) -> str:
        """The node it is on, or ""."""
        return str(self.raw["spec"].get("nodeName", ""))

    @property
    def ready(self) -> bool:
        """Whether its condition Ready is true."""
        conditions = (self.raw.get("status") or {}).get("conditions") or []
        return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)

    @property
    def steady(self) -> bool | Unknown:
        """Whether it is ready and has never been restarted; unknown when it is ready after restarts, or may be soon."""
        slow = any(gate.passes > SOON and gate.at_best < LATE for gate in self.gates)
        undecided = bool(self.restarts) if self.ready else slow and not self.restarts
        return UNKNOWN if undecided else self.ready

    @property
    def doomed(self) -> bool:
        """Whether a liveness probe of it is known to fail whenever it is tried: it is started again and again."""
        return any(one.liveness is not None and self._fails(one.liveness) for one in self.containers)

    def _fails(self, probe: Probe) -> bool:
        if probe.how == "exec" or probe.port is None or probe.host:
            return False  # nobody knows, or it has no result
        server = self.server(probe.port)
        return server is None or (not isinstance(server, Unknown) and server.answers(probe) is False)

    @property
    def controller_kind(self) -> str:
        """``Deployment``, ``StatefulSet``, ... or ""."""
        return self.controller.partition("/")[0]

    @property
    def evicted_after(self) -> float | None:
        """Seconds that it stays on a node that is unreachable; None: for ever."""
        stays: list[float] = []
        for one in self.raw["spec"].get("tolerations") or []:
            if one.get("effect") in (None, "NoExecute") and one.get("key") in (None, _UNREACHABLE):
                if "tolerationSeconds" not in one:
                    return None
                stays.append(float(one["tolerationSeconds"]))
        return min(stays, default=0.0)

    @property
    def pinned(self) -> bool:
        """Whether anything but room says on which nodes it may be."""
        spec = self.raw["spec"]
        affinity = spec.get("affinity") or {}
        hard = "requiredDuringSchedulingIgnoredDuringExecution"
        spread = spec.get("topologySpreadConstraints") or []
        return (
            bool(spec.get("nodeSelector"))
            or any(hard in (affinity.get(kind) or {}) for kind in ("nodeAffinity", "podAffinity", "podAntiAffinity"))
            or any(one.get("whenUnsatisfiable") == "DoNotSchedule" for one in spread)
        )

    @property
    def restarts(self) -> int:
        """Of all its containers together."""
        statuses = (self.raw.get("status") or {}).get("containerStatuses") or []
        return sum(int(one.get("restartCount", 0)) for one in statuses)

    @property
    def gates(self) -> list[Probe]:
        """The probes that keep it from being ready: readiness and startup, of every container."""
        found = (probe for one in self.containers for probe in (one.readiness, one.startup))
        return [probe for probe in found if probe is not None]

    def server(self, port: int) -> Container | Unknown | None:
        """The container that serves HTTP on a port; None: nobody does."""
        there = [one for one in self.containers if one.listens == port]
        if len(there) == 1:
            return there[0]
        unsure = there or any(isinstance(one.listens, Unknown) for one in self.containers)
        return UNKNOWN if unsure else None

    def container(self, name: str) -> Container | None:
        """One of its containers, or None."""
        return next((one for one in self.containers if one.name == name), None)


@dataclass(frozen=True)
class Endpoint:
    """Where a Service's requests go: a pod, or None for an address that is no pod's, and a port."""

    pod: Pod | None
    port: int

    @property
    def server(self) -> Container | Unknown | None:
        """The container that serves HTTP there; None: nobody does."""
        return None if self.pod is None else self.pod.server(self.port)


@dataclass(frozen=True)
class Service:
    """A Service, with where it leads to now."""

    name: str
    raw: Obj = field(repr=False)
    world: World = field(repr=False)

    @property
    def spec(self) -> Obj:
        """As the API server keeps it."""
        return dict(self.raw["spec"])

    def endpoints(self, port: int) -> list[Endpoint]:
        """The ready endpoints of one of its TCP ports."""
        ports = self.raw["spec"].get("ports", [])
        mine = next((one for one in ports if one["port"] == port and one.get("protocol", "TCP") == "TCP"), None)
        if mine is None:
            return []
        found: dict[tuple[str, int], Endpoint] = {}
        for piece in self.world.slices(self.name):
            for target in piece.get("ports") or []:
                if (target.get("name") or "") == (mine.get("name") or "") and target.get("protocol") == "TCP":
                    for address in _ready_addresses(piece):
                        found[address, target["port"]] = Endpoint(self.world.pod_at(address), target["port"])
        return list(found.values())

    def fullest(self, port: int) -> list[list[Endpoint]]:
        """Its ready endpoints on the worker node that has the most of them; more than one such list where some have
        as many."""
        by_node: dict[str, list[Endpoint]] = {}
        for one in self.endpoints(port):
            if one.pod is not None and one.pod.node in self.world.workers:
                by_node.setdefault(one.pod.node, []).append(one)
        most = max(map(len, by_node.values()), default=0)
        return [found for found in by_node.values() if len(found) == most]


@dataclass(frozen=True)
class Workload:
    """A Deployment, ReplicaSet, StatefulSet, DaemonSet or Job, with its pods."""

    kind: str
    name: str
    raw: Obj = field(repr=False)
    pods: list[Pod] = field(repr=False)

    @property
    def spec(self) -> Obj:
        """As the API server keeps it."""
        return dict(self.raw["spec"])

    @property
    def replicas(self) -> int:
        """How many it asks for."""
        return int(self.raw["spec"].get("replicas", 1))

    @property
    def min_ready(self) -> float:
        """Seconds that a new pod must have been ready before a rollout goes on."""
        return float(self.raw["spec"].get("minReadySeconds", 0))

    @property
    def rounds(self) -> float:
        """How many times a rollout waits for new pods to be ready."""
        at_once = self.surge + self.missing
        return -(-self.replicas // at_once) if at_once else 0

    @property
    def surge(self) -> float:
        """How many replicas more than asked for a rollout may make."""
        return self._rolling("maxSurge", up=True)

    @property
    def missing(self) -> float:
        """How many replicas a rollout may take away before others are ready; all of them with Recreate."""
        strategy = self.raw["spec"].get("strategy") or {}
        return float(self.replicas) if strategy.get("type") == "Recreate" else self._rolling("maxUnavailable", up=False)

    def _rolling(self, name: str, *, up: bool) -> float:
        given = ((self.raw["spec"].get("strategy") or {}).get("rollingUpdate") or {}).get(name, 0)
        if isinstance(given, int):
            return given
        share = self.replicas * int(str(given).rstrip("%"))
        return -(-share // 100) if up else share // 100


class World:
    """The objects of a cluster, and the functions by which requirements name them."""

    def __init__(self, objects: Iterable[Obj], namespace: str) -> None:
        self._by_kind: dict[str, dict[str, Obj]] = {}
        for one in objects:
            if one["metadata"].get("namespace", namespace) == namespace:
                self._by_kind.setdefault(one["kind"], {})[one["metadata"]["name"]] = one

    @property
    def names(self) -> dict[str, Any]:
        """What an expression may call."""
        return {
            "pod": lambda name: next((one for one in self.pods if one.name == name), None),
            "pods": lambda **labels: [one for one in self.pods if labels.items() <= one.labels.items()],
            "service": self.service,
            "deployment": lambda name: self.workload("Deployment", name),
            "workload": self.workload,
            "object": lambda kind, name: self._by_kind.get(kind, {}).get(name),
            "objects": lambda kind: list(self._by_kind.get(kind, {}).values()),
        }

    @cached_property
    def pods(self) -> list[Pod]:
        """Every pod that is neither over nor being deleted."""
        raw = self._by_kind.get("Pod", {}).values()
        alive = [one for one in raw if not one["metadata"].get("deletionTimestamp") and not _over(one)]
        return [self._pod(one) for one in alive]

    @cached_property
    def workers(self) -> set[str]:
        """The names of the nodes outside the control plane."""
        nodes = self._by_kind.get("Node", {}).items()
        return {name for name, raw in nodes if _CONTROL_PLANE not in (raw["metadata"].get("labels") or {})}

    def pod_at(self, address: str) -> Pod | None:
        """The pod of an address."""
        return next((one for one in self.pods if (one.raw.get("status") or {}).get("podIP") == address), None)

    def slices(self, service: str) -> list[Obj]:
        """The EndpointSlices of a Service."""
        label = "kubernetes.io/service-name"
        every = self._by_kind.get("EndpointSlice", {}).values()
        return [one for one in every if (one["metadata"].get("labels") or {}).get(label) == service]

    def service(self, name: str) -> Service | None:
        """A Service by name."""
        raw = self._by_kind.get("Service", {}).get(name)
        return None if raw is None else Service(name, raw, self)

    def workload(self, kind: str, name: str) -> Workload | None:
        """A workload by kind and name."""
        raw = self._by_kind.get(kind, {}).get(name)
        mine = f"{kind}/{name}"
        return None if raw is None else Workload(kind, name, raw, [one for one in self.pods if one.controller == mine])

    def _pod(self, raw: Obj) -> Pod:
        spec = raw["spec"]
        grace = float(spec.get("terminationGracePeriodSeconds", GRACE))
        sidecars = [one for one in spec.get("initContainers", []) if one.get("restartPolicy") == "Always"]
        containers = [
            Container(one["name"], one, self._environment(one, raw), grace) for one in [*spec["containers"], *sidecars]
        ]
        return Pod(raw["metadata"]["name"], raw, containers, self._controller(raw))

    def _controller(self, raw: Obj) -> str:
        found = ""
        while owner := next((one for one in raw["metadata"].get("ownerReferences", []) if one.get("controller")), None):
            found = f"{owner['kind']}/{owner['name']}"
            above = self._by_kind.get(owner["kind"], {}).get(owner["name"])
            if above is None:
                break
            raw = above
        return found

    def _environment(self, container: Obj, pod: Obj) -> dict[str, str]:
        found: dict[str, str] = {}
        for source in container.get("envFrom", []):
            prefix = source.get("prefix", "")
            for kind, reference in (("ConfigMap", "configMapRef"), ("Secret", "secretRef")):
                if reference in source:
                    data = self._data(kind, source[reference].get("name", ""))
                    found |= {prefix + key: value for key, value in data.items()}
        for entry in container.get("env", []):
            value = self._value(entry, pod)
            if value is not None:
                found[entry["name"]] = _REFERENCE.sub(lambda match: found.get(match[1], match[0]), value)
        return found

    def _value(self, entry: Obj, pod: Obj) -> str | None:
        source = entry.get("valueFrom")
        if not source:
            return str(entry.get("value", ""))
        for kind, reference in (("ConfigMap", "configMapKeyRef"), ("Secret", "secretKeyRef")):
            if reference in source:
                return self._data(kind, source[reference].get("name", "")).get(source[reference].get("key", ""))
        path = (source.get("fieldRef") or {}).get("fieldPath", "")
        return str(pod["metadata"].get(path.removeprefix("metadata."), "")) if path.startswith("metadata.") else ""

    def _data(self, kind: str, name: str) -> dict[str, str]:
        found = self._by_kind.get(kind, {}).get(name) or {}
        data: dict[str, str] = dict(found.get("data") or {})
        if kind == "ConfigMap":
            return data
        return {key: base64.b64decode(value).decode(errors="replace") for key, value in data.items()}


def _ready_addresses(piece: Obj) -> list[str]:
    ready = (one for one in piece.get("endpoints") or [] if (one.get("conditions") or {}).get("ready") is not False)
    return [address for one in ready for address in one.get("addresses", [])]


def _over(pod: Obj) -> bool:
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")
