"""One simulated cluster: its components wired together, run in real time or step by step, stopped and started by name.

Nothing of a component is held here: whatever is stopped carries on, once started, from what the API server says. The
store outlives this object; made again on the same store, the cluster is what it was.

It refuses to know HTTP: a host serves :attr:`Cluster.apiserver`, and asks :attr:`Cluster.trouble` first.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from simkube.addons import system
from simkube.addons.dns import CoreDNS
from simkube.addons.localpath import LocalPathProvisioner
from simkube.addons.metrics import NODES, PODS, MetricsServer
from simkube.apimachinery.errors import StatusError
from simkube.apiserver.authentication import client_certificates
from simkube.apiserver.authorization.attributes import Attributes
from simkube.apiserver.registry.core import component_statuses
from simkube.apiserver.registry.flowcontrol.bootstrap import FlowSchemaStatus
from simkube.apiserver.server import APIServer
from simkube.apiserver.settings import Settings
from simkube.client.client import Caller, Client, Informers, Obj
from simkube.client.events import EventExpiry
from simkube.client.workqueue import Component, WorkLoop
from simkube.clock.clock import Clock
from simkube.clock.pace import PacedClock
from simkube.cluster import topology as topologies
from simkube.cluster.bootstrap import bootstrap
from simkube.cluster.crash_reporter import CrashReporter
from simkube.controllers.customresources import DefinitionController
from simkube.controllers.manager import ControllerManager
from simkube.controlplane.aggregator import APIServiceAvailability, DefinitionRegistration
from simkube.controlplane.leases import ProgramLease
from simkube.controlplane.roles import BootstrapRoles
from simkube.controlplane.system_objects import keepers
from simkube.etcd.store import Store
from simkube.eventloop.driver import LiveDriver
from simkube.eventloop.fairness import Share
from simkube.faults.faults import Faults
from simkube.faults.outage import Gate
from simkube.kubelet import lease, plane_logs
from simkube.kubelet.kubelet import Kubelet
from simkube.kubelet.node import NodeSettings
from simkube.kubelet.static_pods import StaticPods
from simkube.proxy.policies import NetworkPolicies
from simkube.proxy.services import KubeProxy
from simkube.runtime.engine import Engine
from simkube.runtime.network.network import ClusterAPI, Network
from simkube.scheduler.scheduler import Scheduler

FIRST_START_SECONDS = 5.0
"""How long pods of the cluster itself have to begin before nobody does their work in their place any more."""
API_ADDRESS = "172.18.0.2"


class Signer(Protocol):
    """Who issues client certificates; ``serial`` makes the serial numbers of one cluster."""

    def of(self, serial: Callable[[], int]) -> Callable[[Any, list[str], int], str]: ...


class Cluster:
    """See the module. ``topology`` is a parsed kind configuration, ``ca`` the certificate (PEM) of the host's API.

    With ``stand_ins`` public images that are not simulated run all the same, as stand-ins that do nothing.
    """

    def __init__(
        self,
        cluster_id: str,
        store: Store,
        clock: Clock,
        topology: Mapping[str, Any],
        *,
        ca: str = "",
        signer: Signer | None = None,
        stand_ins: bool = False,
    ) -> None:
        self.id = cluster_id
        self._stand_ins = stand_ins
        self._runtimes: list[Engine] = []
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
        self.apiserver.outgoing.network = self.network
        self.network.api = ClusterAPI(self.gate, self.informers, self._allow)
        self._uplinks = {node.name: Gate(self.gate) for node in self.topology.nodes}
        self.kubelets = {node.name: self._kubelet(node) for node in self.topology.nodes}
        self.manager = ControllerManager(
            self.gate,
            self.work,
            self.informers,
            heartbeats=self._heartbeat,
            grace=self.topology.node_monitor_grace_period,
            ca=ca,
            sign=self.apiserver.credentials.legacy,
            certify=signer.of(lambda: client_certificates.serial(self.apiserver.credentials)) if signer else None,
        )
        self._ca = ca
        self._leases: dict[str, ProgramLease] = {}
        metrics = MetricsServer(self.gate, self.work, self.kubelets, self.informers)
        self._programs = self._parts(metrics)
        self._static_pods = self._mirrored()
        if self._static_pods is not None:
            self._programs["static-pods"] = [self._static_pods]
        self.faults = Faults(
            store,
            self.gate,
            self.apiserver.admission,
            self.work,
            self.network,
            self.manager,
            self._programs,
            self.kubelets,
            self._uplinks,
            self._control_plane(),
            self._look_at_static_pods,
        )
        self.apiserver.computed[component_statuses.RESOURCE] = component_statuses.reader(self.components)
        self.apiserver.readings[lease.RESOURCE] = self._read_lease
        if self.kubelets:  # without nodes there is nowhere for a metrics server to run
            self.apiserver.computed |= {PODS: metrics.pods, NODES: metrics.nodes}
        self._furnished = False
        self._driver: LiveDriver | None = None

    def _parts(self, metrics: MetricsServer) -> dict[str, list[Component]]:
        """The programs of the cluster by name, each with the loops it runs."""
        parts: dict[str, list[Component]] = {
            "kube-scheduler": [Scheduler(self.gate, self.work, self.informers, self._control_plane())],
            "kube-controller-manager": list(self.manager.controllers),
            "kube-proxy": [KubeProxy(self.gate, self.work, self.network, self.informers)],
            "coredns": [CoreDNS(self.gate, self.work, self.network, self.informers)],
            "kindnet": [NetworkPolicies(self.gate, self.work, self.network, self.informers)],
            "metrics-server": [metrics],
            "kube-apiserver": self._own_loops(),
            "event-expiry": [
                EventExpiry(self.gate, self.work, self.informers),
                FlowSchemaStatus(self.gate, self.work, self.informers),
                DefinitionController(self.gate, self.work, self.informers),
                CrashReporter(self.gate, self.work, self._control_plane(), self.informers),
            ],
        }
        plane = self._control_plane()
        for program in ("kube-apiserver", "kube-scheduler", "kube-controller-manager") if plane else ():
            kept = ProgramLease(program, plane, self.gate, self.work, self.informers)
            self._leases[kept.lease] = kept
            parts[program].append(kept)
        if self.kubelets:  # volumes are made on nodes
            provisioner = LocalPathProvisioner(self.gate, self.work, self.kubelets, self.informers, self.network.agents)
            parts["local-path-provisioner"] = [provisioner]
        return parts

    def _own_loops(self) -> list[Component]:
        """What the API server does by itself."""
        roles = BootstrapRoles(self.apiserver.mend_roles, self.gate, self.work, self.informers)
        address, born = self._api_address(), self.clock.now()
        outgoing, metrics = self.apiserver.outgoing, lambda: self.faults.runs("metrics-server")
        return [
            roles,
            APIServiceAvailability(self.gate, self.work, self.informers, outgoing, metrics),
            DefinitionRegistration(self.gate, self.work, self.informers),
            *keepers(self.gate, self.work, self.informers, api_address=address, ca=self._ca, born=born),
        ]

    def _api_address(self) -> str:
        plane = self.kubelets.get(self._control_plane())
        return plane.settings.ip if plane else API_ADDRESS

    def _allow(
        self, caller: Caller, verb: str, group: str, resource: str, subresource: str = "", namespace: str = ""
    ) -> None:
        asked = Attributes(verb, group, "v1", resource, subresource, namespace)
        self.apiserver.authorizer.check(caller, asked)

    def _settings(self) -> Settings:
        return Settings(
            not_ready_toleration=int(self.topology.not_ready_toleration),
            unreachable_toleration=int(self.topology.unreachable_toleration),
        )

    def _kubelet(self, node: topologies.Node) -> Kubelet:
        runtime = Engine(self.clock, self.network, node.name, stand_ins=self._stand_ins)
        self._runtimes.append(runtime)
        settings = NodeSettings(labels=node.labels, taints=node.taints)
        return Kubelet(
            node.name,
            self._uplinks[node.name],
            self.work,
            runtime,
            self.network,
            self.store.side,
            settings=settings,
            informers=self.informers,
        )

    def _mirrored(self) -> StaticPods | None:
        """The static pods of the control plane; None when it has no node."""
        kubelet = self.kubelets.get(self._control_plane())
        if kubelet is None:
            return None
        uplink = self._uplinks[kubelet.node_name]
        kubelet.plane_log = lambda pod, identity: plane_logs.container(pod, identity, self.trace, self.store.get)
        return StaticPods(uplink, self.work, self.informers, kubelet, lambda name: self.faults.runs(name))

    def _look_at_static_pods(self) -> None:
        if self._static_pods is not None:
            self._static_pods.look()

    def _control_plane(self) -> str:
        return next((node.name for node in self.topology.nodes if node.role == "control-plane"), "")

    def _heartbeat(self, node: str) -> float | None:
        kubelet = self.kubelets.get(node)
        if kubelet is None:
            return None
        return math.inf if kubelet.heard else kubelet.last_heartbeat()

    def _read_lease(self, stored: Obj) -> Obj:
        meta = stored["metadata"]
        program = self._leases.get(meta["name"]) if meta["namespace"] == "kube-system" else None
        if program is not None:
            return program.renewed(stored)
        kubelet = self.kubelets.get(meta["name"]) if meta["namespace"] == lease.NAMESPACE else None
        return stored if kubelet is None else lease.renewed(stored, kubelet.last_heartbeat())

    # Life.

    def start(self) -> None:
        """Make what a cluster has from the beginning and start every component; a no-op for what runs.

        What was stopped when the store was left stays stopped.
        """
        plane = self.kubelets.get(self._control_plane())
        self.network.control_plane = plane.settings.ip if plane else ""
        self.apiserver.seed()
        client = Client(self.apiserver, "kube-apiserver", self.clock)
        dns = self.network.dns_address if plane else ""
        bootstrap(client, self._api_address(), ca=self._ca, dns=dns)
        if self.store.side.get(system.FURNISHED):
            self._house()
        self.store.compact()  # the history of a cluster begins when it is ready
        self.faults.start()

    def visit(self, path: str) -> None:
        """Somebody asks for ``path`` from outside: the cluster is furnished now if it is to be, and was not before."""
        if self._furnished or not self.kubelets or not system.shown_by(path) or self.trouble is not None:
            return
        self._furnished = True
        if self.store.side.get(system.FURNISHED):
            return
        quiet = not len(self.work)
        self._house()
        client = Client(self.apiserver, "kubeadm", self.clock)
        self.gate.eventless = quiet
        with self.trace.silence():
            system.furnish(client, cluster=self.id, plane=self._control_plane())
            self.store.side.put(system.FURNISHED, True)
            if quiet:
                self.run_until_quiet()
                self.store.compact()  # nobody has watched yet
        self.gate.eventless = False

    def _house(self) -> None:
        """From now on pods do what the cluster does by itself; their images are on the nodes."""
        agents = self.network.agents
        system.house(agents, self.kubelets)
        self.clock.call_later(FIRST_START_SECONDS, agents.expect_no_more)
        for runtime in self._runtimes:
            for image in system.images():
                runtime.preload(image)

    def snapshot(self) -> None:
        """Keep the present state, what is in containers included, for ``store.restore()``."""
        for kubelet in self.kubelets.values():
            kubelet.save_all()
        self.store.snapshot()

    def stop(self) -> None:
        """An orderly end: components stop, what must outlive the process is stored."""
        self.leave_loop()
        for kubelet in self.kubelets.values():
            kubelet.stop()
        for components in self._programs.values():
            for component in components:
                component.stop()
        self.informers.close()
        self.store.unsubscribe_all()

    def leave_loop(self) -> None:
        """Nothing happens any more until the next :meth:`run_live`; nothing is stopped."""
        if self._driver is not None:
            self._driver.stop()
            self._driver = None

    def run_live(self, aio: asyncio.AbstractEventLoop, share: Share) -> None:
        """Have ``aio`` run this cluster in real time until :meth:`stop`, at the cost of ``share``.

        It needs a :class:`~simkube.clock.pace.PacedClock`.
        """
        if not isinstance(self.clock, PacedClock):
            raise TypeError("a live cluster needs a clock that runs by itself")
        if self._driver is None:
            if len(self.work):
                self.clock.hold()
            self._driver = LiveDriver(aio, self.clock, self.work, share)
            self._driver.start()

    def set_clock(self, wish: Callable[[], None]) -> None:
        """Change how the clock runs (``wish`` calls a method of :class:`~simkube.clock.pace.PacedClock`)."""
        wish()
        if len(self.work):
            self.clock.hold()
        if self._driver is not None:
            self._driver.changed()

    def when_arrived(self, call: Callable[[], None]) -> None:
        """Call ``call`` when the clock's present step has ended; at once without one."""
        if self._driver is not None:
            self._driver.when_arrived(call)
        else:
            call()

    def step(self) -> tuple[str, object] | None:
        """One reconcile: the component's name and what it reconciled; None when nothing waits at this moment."""
        while True:
            item = self.work.run_one()
            if item is None and not self.clock.run_due():
                return None
            if item is not None and item[0].running:
                return item[0].name, item[1]

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

    # Components and faults (simkube.faults.faults).

    @property
    def trouble(self) -> StatusError | None:
        """What every request is to be answered with while the API server or etcd is stopped."""
        return self.faults.trouble

    @property
    def reachable(self) -> bool:
        """Whether anybody listens at the API server's address."""
        return self.faults.reachable

    def components(self) -> dict[str, bool]:
        """Every component that can be stopped, and whether it runs."""
        return self.faults.components()

    def stop_component(self, name: str) -> None:
        """Stop a component by its Kubernetes name; a no-op when it is stopped."""
        self.faults.stop_component(name)

    def start_component(self, name: str) -> None:
        """Start a component again; a no-op when it runs."""
        self.faults.start_component(name)

    def stop_node(self, node: str) -> None:
        """Switch a node off."""
        self.faults.stop_node(node)

    def pause_node(self, node: str) -> None:
        """Freeze a node and all it runs."""
        self.faults.pause_node(node)

    def start_node(self, node: str) -> None:
        """Undo whatever was done to a node."""
        self.faults.start_node(node)

    def heal(self) -> None:
        """Start every node and component that is stopped or paused."""
        self.faults.heal()

    def kill_container(self, namespace: str, pod: str, container: str) -> None:
        """SIGKILL to a container's first process, from outside."""
        self.faults.kill_container(namespace, pod, container)
