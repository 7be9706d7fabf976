"""One simulated cluster: its components wired together, run in real time or step by step, stopped and started by name.

Nothing of a component is held here: whatever is stopped carries on, once started, from what the API server says. The
store outlives this object; made again on the same store, the cluster is what it was.

It refuses to know HTTP: a host serves :attr:`Cluster.apiserver`, and asks :attr:`Cluster.trouble` first.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from typing import Any

from simkube import topology as topologies
from simkube.addons.dns import CoreDNS
from simkube.addons.metrics import NODES, PODS, MetricsServer
from simkube.apiserver.server import APIServer
from simkube.apiserver.settings import Settings
from simkube.bootstrap import bootstrap
from simkube.client import Client, Component, Informers, Obj, WorkLoop
from simkube.clock import Clock
from simkube.controllers.manager import ControllerManager
from simkube.errors import HostError, StatusError
from simkube.events import EventExpiry
from simkube.kubelet import lease
from simkube.kubelet.kubelet import Kubelet
from simkube.kubelet.node import NodeSettings
from simkube.live import LiveDriver
from simkube.outage import Gate, apiserver_down, etcd_down
from simkube.pace import PacedClock
from simkube.proxy.network import Network
from simkube.proxy.services import KubeProxy
from simkube.runtime.engine import Engine
from simkube.scheduler.scheduler import Scheduler
from simkube.sharing import Share
from simkube.store import Store

API_ADDRESS = "172.18.0.2"
SIGKILL = 9
_OUTAGES = {"kube-apiserver": apiserver_down, "etcd": etcd_down}
_STOPPED = "stopped-components"
CONTROL_PLANE = ("kube-scheduler", "kube-controller-manager", "kube-apiserver", "etcd")


class Cluster:
    """See the module. ``topology`` is a parsed kind configuration, ``ca`` the certificate (PEM) of the host's API."""

    def __init__(
        self, cluster_id: str, store: Store, clock: Clock, topology: Mapping[str, Any], *, ca: str = ""
    ) -> None:
        self.id = cluster_id
        self.store = store
        self.clock = clock
        self.topology = topologies.read(topology, cluster_id)
        self.work = WorkLoop(clock)
        self.apiserver = APIServer(store, clock, self._settings())
        self.trace = self.apiserver.trace
        self.trace.work, self.work.note = self.work, self.trace.note
        self.gate = Gate(self.apiserver)
        self.informers = Informers(self.gate)
        self.network = Network(clock)
        self.kubelets = {node.name: self._kubelet(node) for node in self.topology.nodes}
        self.manager = ControllerManager(
            self.gate,
            self.work,
            self.informers,
            heartbeats=self._heartbeat,
            grace=self.topology.node_monitor_grace_period,
            ca=ca,
        )
        metrics = MetricsServer(self.gate, self.work, self.kubelets, self.informers)
        self._programs: dict[str, list[Component]] = {
            "kube-scheduler": [Scheduler(self.gate, self.work, self.informers, self._control_plane())],
            "kube-controller-manager": list(self.manager.controllers),
            "kube-proxy": [KubeProxy(self.gate, self.work, self.network, self.informers)],
            "coredns": [CoreDNS(self.gate, self.work, self.network, self.informers)],
            "metrics-server": [metrics],
            "event-expiry": [EventExpiry(self.gate, self.work, self.informers)],
        }
        self._stopped: set[str] = set(store.side.get(_STOPPED) or ())
        self._outages: set[str] = set()
        self.apiserver.readings[lease.RESOURCE] = self._read_lease
        if self.kubelets:  # without nodes there is nowhere for a metrics server to run
            self.apiserver.computed |= {PODS: metrics.pods, NODES: metrics.nodes}
        self._driver: LiveDriver | None = None

    def _settings(self) -> Settings:
        return Settings(
            not_ready_toleration=int(self.topology.not_ready_toleration),
            unreachable_toleration=int(self.topology.unreachable_toleration),
        )

    def _kubelet(self, node: topologies.Node) -> Kubelet:
        runtime = Engine(self.clock, self.network, node.name)
        settings = NodeSettings(labels=node.labels, taints=node.taints)
        return Kubelet(
            node.name,
            self.gate,
            self.work,
            runtime,
            self.network,
            self.store.side,
            settings=settings,
            informers=self.informers,
        )

    def _control_plane(self) -> str:
        return next((node.name for node in self.topology.nodes if node.role == "control-plane"), "")

    def _heartbeat(self, node: str) -> float | None:
        kubelet = self.kubelets.get(node)
        if kubelet is None:
            return None
        return math.inf if kubelet.running else kubelet.last_heartbeat()

    def _read_lease(self, stored: Obj) -> Obj:
        meta = stored["metadata"]
        kubelet = self.kubelets.get(meta["name"]) if meta["namespace"] == lease.NAMESPACE else None
        return stored if kubelet is None else lease.renewed(stored, kubelet.last_heartbeat())

    # Life.

    def start(self) -> None:
        """Make what a cluster has from the beginning and start every component; a no-op for what runs.

        What was stopped when the store was left stays stopped.
        """
        plane = self.kubelets.get(self._control_plane())
        self.apiserver.seed()
        client = Client(self.apiserver, "kube-apiserver", self.clock)
        bootstrap(client, plane.settings.ip if plane else API_ADDRESS, dns=self.network.dns_address if plane else "")
        held = self._held()
        self._outages = held & set(_OUTAGES)
        self._set_trouble()
        for name, components in self._programs.items():
            if name not in held:
                for component in components:
                    component.start()
        for name, kubelet in self.kubelets.items():
            if f"kubelet/{name}" not in held:
                kubelet.start()

    def _held(self) -> set[str]:
        """Components that must not run: stopped by name, or with the node of the control plane."""
        plane = self.kubelets.get(self._control_plane())
        return self._stopped | set(CONTROL_PLANE if plane is not None and not plane.power.on else ())

    def snapshot(self) -> None:
        """Keep the present state, what is in containers included, for ``store.restore()``."""
        for kubelet in self.kubelets.values():
            kubelet.save_all()
        self.store.snapshot()

    def stop(self) -> None:
        """An orderly end: components stop, what must outlive the process is stored."""
        if self._driver is not None:
            self._driver.stop()
            self._driver = None
        for kubelet in self.kubelets.values():
            kubelet.stop()
        for components in self._programs.values():
            for component in components:
                component.stop()
        self.informers.close()

    def run_live(self, aio: asyncio.AbstractEventLoop, share: Share) -> None:
        """Have ``aio`` run this cluster in real time until :meth:`stop`, at the cost of ``share``.

        It needs a :class:`~simkube.pace.PacedClock`.
        """
        if not isinstance(self.clock, PacedClock):
            raise TypeError("a live cluster needs a clock that runs by itself")
        if self._driver is None:
            if len(self.work):
                self.clock.hold()
            self._driver = LiveDriver(aio, self.clock, self.work, share)
            self._driver.start()

    def step(self) -> tuple[str, object] | None:
        """One reconcile: the component's name and what it reconciled; None when nothing waits."""
        item = self.work.run_one()
        return None if item is None else (item[0].name, item[1])

    def run_until_quiet(self) -> int:
        """Reconcile until nothing is left to do at this moment; how many reconciles that took."""
        ran = 0
        while True:
            ran += self.work.run_until_quiet()
            if not self.clock.run_due() and not len(self.work):
                return ran

    def _settle(self) -> None:
        self.run_until_quiet()

    def advance(self, seconds: float) -> None:
        """Let ``seconds`` pass on a manual clock, everything that is due in them included."""
        self.clock.advance(seconds, self._settle)

    # Components and faults.

    @property
    def trouble(self) -> StatusError | None:
        """What every request is to be answered with while the API server or etcd is stopped."""
        return self.gate.trouble() if self.gate.trouble is not None else None

    @property
    def reachable(self) -> bool:
        """Whether anybody listens at the API server's address."""
        return "kube-apiserver" not in self._outages

    def components(self) -> dict[str, bool]:
        """Every component that can be stopped, and whether it runs; kubelets as ``kubelet/NODE``."""
        running = {name: components[0].running for name, components in self._programs.items() if name != "event-expiry"}
        running |= {name: name not in self._outages for name in _OUTAGES}
        return running | {f"kubelet/{name}": kubelet.running for name, kubelet in self.kubelets.items()}

    def stop_component(self, name: str) -> None:
        """Stop a component by its Kubernetes name (``kubelet/NODE`` for a kubelet); a no-op when it is stopped.

        :class:`~simkube.errors.HostError` names the components there are when there is none of that name.
        """
        self._known(name)
        self._remember_stopped(self._stopped | {name})
        self._halt(name)

    def start_component(self, name: str) -> None:
        """Start a component again; a no-op when it runs."""
        self._known(name)
        self._remember_stopped(self._stopped - {name})
        self._launch(name)

    def _remember_stopped(self, names: set[str]) -> None:
        if names != self._stopped:
            self.store.side.put(_STOPPED, sorted(names))
            self._stopped = names

    def _halt(self, name: str) -> None:
        if name in _OUTAGES:
            self._outages.add(name)
            self._set_trouble()
        elif name.startswith("kubelet/"):
            self._kubelet_of(name.removeprefix("kubelet/")).stop()
            self._look_at(name.removeprefix("kubelet/"))
        else:
            for component in self._programs[name]:
                component.stop()

    def _launch(self, name: str) -> None:
        if name in _OUTAGES:
            self._outages.discard(name)
            self._set_trouble()
            self.work.retry_now()
        elif name.startswith("kubelet/"):
            self._kubelet_of(name.removeprefix("kubelet/")).start()
            self._look_at(name.removeprefix("kubelet/"))
        else:
            for component in self._programs[name]:
                component.start()

    def _known(self, name: str) -> None:
        if name not in self.components():
            raise HostError(f"there is no component {name!r}; there are: {', '.join(sorted(self.components()))}")

    def _set_trouble(self) -> None:
        first = next((name for name in _OUTAGES if name in self._outages), None)
        self.gate.trouble = _OUTAGES[first] if first else None

    def _kubelet_of(self, node: str) -> Kubelet:
        if node not in self.kubelets:
            raise HostError(f"there is no node {node!r}; there are: {', '.join(sorted(self.kubelets)) or 'none'}")
        return self.kubelets[node]

    def _look_at(self, node: str) -> None:
        self.manager.node_lifecycle.look_at(node)

    def stop_node(self, node: str) -> None:
        """Switch a node off, with the control plane if it runs there; what ran on it is gone."""
        self._kubelet_of(node).stop_node()
        self._lost(node)

    def pause_node(self, node: str) -> None:
        """Freeze a node and all it runs."""
        self._kubelet_of(node).pause_node()
        self._lost(node)

    def start_node(self, node: str) -> None:
        """Undo both; a no-op on a node that runs."""
        kubelet = self._kubelet_of(node)
        if node == self._control_plane():
            for name in reversed(CONTROL_PLANE):
                if name not in self._stopped:
                    self._launch(name)
        kubelet.start_node()
        self._look_at(node)

    def _lost(self, node: str) -> None:
        self._look_at(node)
        if node == self._control_plane():
            for name in CONTROL_PLANE:
                self._halt(name)

    def heal(self) -> None:
        """Start every node and component that is stopped or paused."""
        for node in self.kubelets:
            self.start_node(node)
        for name in [*_OUTAGES, *self.components()]:
            self.start_component(name)

    def kill_container(self, namespace: str, pod: str, container: str) -> None:
        """SIGKILL to a container's first process, from outside; HostError when it does not run."""
        found = self.apiserver.store.get("pods", namespace, pod)
        node = self.kubelets.get(found["spec"].get("nodeName", "")) if found else None
        running = node.container(found["metadata"]["uid"], container) if found and node else None
        if running is None or running.state != "running":
            raise HostError(f"container {namespace}/{pod}/{container} does not run; see kubectl get pod {pod}")
        running.signal(SIGKILL)
