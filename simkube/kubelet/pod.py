"""Everything the kubelet holds of one pod, and the node's services it works with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from simkube.client.client import Client, Obj
from simkube.client.events import EventType, Recorder
from simkube.clock.clock import Clock
from simkube.kubelet.actions import Network, Target
from simkube.kubelet.containers import Run, runs_of
from simkube.kubelet.dns import aliases, full_name, lookups
from simkube.kubelet.resources import UNIT, requests
from simkube.kubelet.volumes import Files, Part
from simkube.runtime.cri import Runtime, Sandbox, SandboxConfig, Volume


def _never(_: Pod) -> None:
    return None


def _ignored(_: Pod) -> None:
    return None


def _unwritten(_: str) -> None:
    return None


def _unheard(run: Run, why: str) -> None:
    """No worker yet."""


@dataclass
class NodeServices:
    """What the pods of one node share."""

    name: str
    ip: str
    clock: Clock
    runtime: Runtime
    network: Network
    recorder: Recorder
    client: Callable[[], Client]
    allocatable: Mapping[str, str]
    service_variables: Callable[[str], dict[str, str]]
    token: Callable[[Obj, str, int], str]
    pods: Callable[[], Iterable[Pod]] = lambda: ()
    mirrors: Callable[[], Iterable[Obj]] = lambda: ()
    """The node's static pods, as the API has them."""
    rejection: Callable[[Pod], tuple[str, str] | None] = _never
    wrote: Callable[[Pod], None] = _ignored
    """A pod whose files are limited has written some."""
    log: Callable[[str], None] = _unwritten
    """A line of the node's journal."""
    cluster_domain: str = "cluster.local"

    def lookup(self, namespace: str) -> Callable[[str, str], Obj | None]:
        """Config maps and secrets of a namespace, by plural and name."""
        return lambda resource, name: self.client().informer(resource).get(namespace, name)


@dataclass
class Pod:
    """One pod on this node. ``obj`` is always its newest version; ``over`` once its phase is final."""

    node: NodeServices
    obj: Obj
    runs: dict[str, Run] = field(default_factory=dict)
    sandbox: Sandbox | None = None
    address: str = ""
    volumes: dict[str, Volume | Part] = field(default_factory=dict)
    files: dict[str, Files] = field(default_factory=dict)
    mounted: bool = False
    initialized: bool = False
    terminating: bool = False
    over: bool = False
    lost: bool = False
    """Its sandbox is gone and was not made again yet."""
    rejected: bool = False
    """The node did not take it: nothing of it was ever there."""
    failure: tuple[str, str] | None = None
    """``(reason, message)`` of the pod's status when the kubelet itself failed it."""
    disruption: tuple[str, str] | None = None
    """``(reason, message)`` of its condition DisruptionTarget when the kubelet ends it for others' good."""
    resize: tuple[str, str] | None = None
    """``(reason, message)`` while the node does not grant the resources that its spec wants."""
    _asked: tuple[Obj, dict[str, int]] | None = None
    replace: Callable[[Run, str], None] = _unheard
    """End a running container with an event that says why, and start it anew whatever its restart policy."""
    publish: Callable[[], None] = lambda: None
    """Write its status now if it differs."""
    changed: Callable[[], None] = lambda: None
    """Something happened to it: look at it again soon."""

    def __post_init__(self) -> None:
        if not self.runs:
            self.runs = runs_of(self.obj["spec"])
        if self.spec.get("initContainers"):
            for run in self.runs.values():
                if run.role == "app":
                    run.waiting = ("PodInitializing", "")

    def others_ask(self, name: str) -> int:
        """What the other pods of its node ask for, static ones included."""
        others = (other.asks(name) for other in self.node.pods() if other is not self and not other.over)
        return sum(others) + sum(requests(mirror["spec"], name) for mirror in self.node.mirrors())

    def asks(self, name: str) -> int:
        """What it asks for of ``cpu`` (in thousandths) or ``memory`` (bytes); counted once for each spec it has."""
        if self._asked is None or self._asked[0] is not self.spec:
            self._asked = (self.spec, {each: requests(self.spec, each) for each in UNIT})
        return self._asked[1][name]

    @property
    def uid(self) -> str:
        """Its uid."""
        return str(self.obj["metadata"]["uid"])

    @property
    def namespace(self) -> str:
        """Its namespace."""
        return str(self.obj["metadata"]["namespace"])

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.obj["metadata"]["name"])

    @property
    def spec(self) -> dict[str, Any]:
        """Its spec."""
        spec: dict[str, Any] = self.obj["spec"]
        return spec

    def role(self, *roles: str) -> list[Run]:
        """Its containers of these roles, in the order of the spec."""
        return [run for run in self.runs.values() if run.role in roles]

    def restart_policy(self, run: Run) -> str:
        """``Always``, ``OnFailure`` or ``Never`` for one of its containers."""
        if run.role == "sidecar":
            return "Always"
        policy = str(run.spec.get("restartPolicy") or self.spec.get("restartPolicy") or "Always")
        return "OnFailure" if run.role == "init" and policy == "Always" else policy

    def restarts(self, run: Run) -> bool:
        """Whether a container that has ended is to be started again."""
        if run.ended is None or run.again:
            return True
        if run.role == "ephemeral":
            return False
        for rule in run.spec.get("restartPolicyRules") or []:
            codes = rule.get("exitCodes") or {}
            listed = run.exit_code in (codes.get("values") or [])
            if rule.get("action") == "Restart" and listed == (codes.get("operator") == "In"):
                return True
        policy = self.restart_policy(run)
        return policy == "Always" or (policy == "OnFailure" and run.exit_code != 0)

    def grace(self) -> float:
        """Seconds its containers have between SIGTERM and SIGKILL."""
        asked = self.obj["metadata"].get("deletionGracePeriodSeconds")
        return float(self.spec.get("terminationGracePeriodSeconds", 30) if asked is None else asked)

    def facts(self) -> dict[str, str]:
        """What the downward API knows from the node."""
        return {
            "status.podIP": self.address,
            "status.podIPs": self.address,
            "status.hostIP": self.node.ip,
            "status.hostIPs": self.node.ip,
        }

    def target(self, run: Run) -> Target:
        """What the probes and hooks of a running container are run against."""
        if self.sandbox is None or run.container is None:
            raise RuntimeError(f"container {run.name} of pod {self.namespace}/{self.name} does not run")
        node = self.node
        return Target(node.clock, node.network, node.ip, self.sandbox, run.container, run.spec, self.facts())

    def event(self, type: EventType, reason: str, message: str, run: Run | None = None) -> None:
        """Record an event about it, or about one of its containers; a warning is in the node's journal, too."""
        if type == "Warning":
            where = f'pod="{self.namespace}/{self.name}"' + (f' containerName="{run.name}"' if run is not None else "")
            self.node.log(f'"{reason}" {where} err="{message[:300]}"')
        self.node.recorder.event(self.obj, type, reason, message, field_path="" if run is None else run.field_path)

    def sandbox_config(self) -> SandboxConfig:
        """What its sandbox is made from."""
        hostname = str(self.spec.get("hostname") or self.name)[:63].rstrip("-.")
        domain = self.node.cluster_domain
        fqdn = full_name(self.spec, hostname, self.namespace, domain)
        shown = (self.spec.get("setHostnameAsFQDN") and fqdn) or self.spec.get("hostnameOverride") or hostname
        return SandboxConfig(
            uid=self.uid,
            namespace=self.namespace,
            name=self.name,
            hostname=self.node.name if self.spec.get("hostNetwork") else str(shown)[:64],
            node=self.node.name,
            host_network=bool(self.spec.get("hostNetwork")),
            host_pid=bool(self.spec.get("hostPID")),
            share_processes=bool(self.spec.get("shareProcessNamespace")),
            hosts=aliases(self.spec),
            fqdn=fqdn,
            **lookups(self.spec, self.namespace, domain),
        )
