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

from labs.certify.expressions import number
from labs.certify.unknown import UNKNOWN, Unknown

Obj = Mapping[str, Any]
WEB = re.compile(r"^(docker\.io/)?kindling/web:\S+$")
"""The image whose table of variables is in docs/authoring.md."""
WEB_PORT, GRACE = 8080, 30.0
LEAST_GRACE, LEAST_AFTER_HOOK = 1.0, 2.0
"""What the kubelet gives whoever is to end, whatever is asked for (kubernetes: pkg/kubelet/pod_workers.go,
calculateEffectiveGracePeriod; kuberuntime_manager.go, minimumGracePeriodInSeconds)."""
WEB_PATHS = frozenset({"/", "/healthz", "/readyz", "/info", "/work", "/wait"})
"""What it answers with 200 where it serves no files of its own."""
NOT_IN_WEB = frozenset({"wget", "curl", "nc", "busybox", "httpd", "ping", "nslookup"})
"""Programs that one expects in an image and that this one, Debian with Python alone, does not have."""
SOON, LATE = 20.0, 70.0
"""Seconds that a probe may take to succeed for it to be a matter of a check's patience whether that is soon enough."""
_CONTROL_PLANE = "node-role.kubernetes.io/control-plane"
_UNREACHABLE = "node.kubernetes.io/unreachable"
_BY_SHELL = (["sh", "-c"], ["/bin/sh", "-c"])
_REFERENCE = re.compile(r"\$\((\w+)\)")
_SLEEP = re.compile(r"^\s*(?:exec\s+)?(?:/bin/)?sleep\s+(\d+(?:\.\d+)?)\s*$")
_ENDLESS = re.compile(r"\bwhile\s+(?:true|:)\s*;?\s*do\b.*?\bsleep\s+(\d+(?:\.\d+)?)", re.DOTALL)
_LOOP = re.compile(r"\b(?:while(?!\s+false\b)|until|for)\b")
_SERVES = re.compile(r"httpd|\bnc\b|socat|listen|serve|python|perl|nginx|\$0|exec\b")
_IDLE = re.compile(r"^(?:sh -c )?(?:while (?:true|:); do )?(?:sleep (?:\d+|infinity)|true)(?:; done)?$")


@dataclass(frozen=True)
class Probe:
    """A probe of a container. ``how``: http, tcp, exec or grpc; ``port``: a number or None; ``program``: the first word
    of its command, or None; ``secure``: by TLS; ``host``: another than its pod; the rest as in the API."""

    how: str
    path: str
    port: int | None
    delay: float
    period: float
    timeout: float
    failures: int
    successes: int
    program: str | None = None
    secure: bool = False
    host: str = ""

    @property
    def passes(self) -> float:
        """Seconds within which it has succeeded often enough once every answer is good."""
        return self.delay + self.period * self.successes

    @property
    def at_best(self) -> float:
        """Seconds that it takes at least: the first try is at once, or anywhere within a period."""
        return self.delay + self.period * (self.successes - 1)

    @property
    def notices(self) -> float:
        """Seconds at most until it has failed often enough when every answer fails to come."""
        return self.period + self.notices_at_best

    @property
    def notices_at_best(self) -> float:
        """Seconds that it takes at least: the first try is at once, or anywhere within a period. The next is not made
        before the one before it has been given up."""
        return (self.failures - 1) * max(self.period, self.timeout) + self.timeout


@dataclass(frozen=True)
class Container:
    """A container of a pod, with its environment resolved."""

    name: str
    spec: Obj = field(repr=False)
    env: Mapping[str, str] = field(repr=False)
    grace: float = GRACE

    @property
    def image(self) -> str:
        """As its pod asks for it, without the name of the usual registry."""
        return str(self.spec.get("image", "")).removeprefix("docker.io/")

    @property
    def words(self) -> list[str]:
        """Its own command and arguments; [] where the image's are used."""
        return [*self.spec.get("command", []), *self.spec.get("args", [])]

    @property
    def script(self) -> str:
        """Its own command and arguments as one text."""
        return " ".join(self.words)

    @property
    def rhythm(self) -> float | Unknown | None:
        """Seconds that its script sleeps each time it comes round; None: it does not come round."""
        found = _ENDLESS.search(self.script)
        if found:
            return float(found[1])
        return UNKNOWN if _LOOP.search(self.script) else None

    @property
    def is_web(self) -> bool:
        """Whether it runs ``kindling/web`` as that is made."""
        return bool(WEB.match(self.image)) and not self.words

    @property
    def listens(self) -> int | Unknown | None:
        """The port on which it serves HTTP; None: on none."""
        if self.is_web:
            return None if self.env.get("CRASH") else _number(self.env.get("PORT") or str(WEB_PORT))
        if "httpd" in self.words and "-p" in self.words[:-1]:
            return _number(self.words[self.words.index("-p") + 1])
        if self.words:
            shell = self.image.startswith("busybox") or self.words[0].rpartition("/")[2] == "sh"
            return None if _IDLE.match(self.script) or (shell and not _SERVES.search(self.script)) else UNKNOWN
        return None if self.image.startswith("busybox") else UNKNOWN

    @property
    def startup_seconds(self) -> float | Unknown:
        """How long its start-up work takes, where it says so."""
        return (number(self.env.get("STARTUP_SECONDS") or "0") or 0.0) if self.is_web else UNKNOWN

    @property
    def root(self) -> str | Unknown | None:
        """The folder whose files it serves; None: it serves none."""
        if self.is_web:
            return self.env.get("WEB_ROOT") or None
        if "httpd" in self.words:
            return str(self.words[self.words.index("-h") + 1]) if "-h" in self.words[:-1] else None
        return UNKNOWN

    @property
    def drain(self) -> float | Unknown:
        """Seconds for which it goes on serving once its pod is to end."""
        hook = (self.spec.get("lifecycle") or {}).get("preStop")
        waits, itself = _hook_seconds(hook), self._drains_itself()
        if isinstance(waits, Unknown) or isinstance(itself, Unknown):
            return UNKNOWN
        grace = max(self.grace, LEAST_GRACE)
        waits = min(waits, grace)
        return waits + min(itself, max(grace - waits, LEAST_AFTER_HOOK))

    def _drains_itself(self) -> float | Unknown:
        if not self.is_web:
            return UNKNOWN
        return number(self.env.get("DRAIN_SECONDS") or "0") or 0.0

    @property
    def readiness(self) -> Probe | None:
        """Its readiness probe."""
        return self._probe("readinessProbe")

    @property
    def liveness(self) -> Probe | None:
        """Its liveness probe."""
        return self._probe("livenessProbe")

    @property
    def startup(self) -> Probe | None:
        """Its startup probe."""
        return self._probe("startupProbe")

    def _probe(self, name: str) -> Probe | None:
        spec = self.spec.get(name)
        if not spec:
            return None
        how = next((kind for kind in ("httpGet", "tcpSocket", "exec", "grpc") if kind in spec), "exec")
        asked = spec.get(how) or {}
        return Probe(
            {"httpGet": "http", "tcpSocket": "tcp"}.get(how, how),
            str(asked.get("path") or "/"),
            self.port(asked.get("port")),
            float(spec.get("initialDelaySeconds", 0)),
            float(spec.get("periodSeconds", 10)),
            float(spec.get("timeoutSeconds", 1)),
            int(spec.get("failureThreshold", 3)),
            int(spec.get("successThreshold", 1)),
            next(iter(asked.get("command") or []), None),
            asked.get("scheme") == "HTTPS",
            str(asked.get("host") or ""),
        )

    def lacks(self, program: str | None) -> bool:
        """Whether it is known not to have a program: a probe that runs it has no result, neither good nor bad."""
        return bool(WEB.match(self.image)) and (program or "").rpartition("/")[2] in NOT_IN_WEB

    def answers(self, probe: Probe) -> bool | Unknown:
        """Whether it, which listens on the probe's port, answers it as the probe wants."""
        if not self.is_web or probe.how == "exec":
            return UNKNOWN
        if probe.how != "http" or probe.secure:
            return probe.how == "tcp"
        return probe.path.partition("?")[0] in WEB_PATHS or (UNKNOWN if self.root else False)

    def port(self, named: Any) -> int | None:
        """A port by its number or name."""
        if isinstance(named, int) or named is None:
            return named
        ports = self.spec.get("ports", [])
        return next((port["containerPort"] for port in ports if port.get("name") == named), None)

    def volume_at(self, path: str | None) -> str | None:
        """The volume in which a path lies, or None."""
        mounts = sorted(self.spec.get("volumeMounts", []), key=lambda mount: -len(mount["mountPath"]))
        inside = (one for one in mounts if path and _below(path, one["mountPath"]))
        return next((str(mount["name"]) for mount in inside), None)

    @property
    def volumes(self) -> dict[str, str]:
        """Its volumes by name, with the path of each."""
        return {mount["name"]: mount["mountPath"] for mount in self.spec.get("volumeMounts", [])}


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


def _below(path: str, folder: str) -> bool:
    return path.rstrip("/") == folder.rstrip("/") or path.startswith(folder.rstrip("/") + "/")


def _number(text: str) -> int | None:
    found = number(text)
    return None if found is None else int(found)


def _hook_seconds(hook: Obj | None) -> float | Unknown:
    """How long a preStop hook waits; unknown when it does anything else."""
    if not hook:
        return 0.0
    if "sleep" in hook:
        return float(hook["sleep"].get("seconds", 0))
    if "exec" not in hook:
        return UNKNOWN
    command = (hook["exec"] or {}).get("command") or []
    if _fails_at_once(command):
        return 0.0
    text = command[2] if command[:2] in _BY_SHELL and len(command) == 3 else " ".join(command)
    found = _SLEEP.match(text)
    return float(found[1]) if found else UNKNOWN


def _fails_at_once(command: list[str]) -> bool:
    """Whether it is a part of a command only: nothing to run, or nothing for it to do."""
    program, *words = command or [""]
    if program in ("sh", "/bin/sh"):
        return words in ([], ["-c"]) or (not words[0].startswith("-") and " " in words[0])
    return not program or program.startswith("-") or program.isdigit() or (not words and program == "sleep")
