"""The kubelet of one node: registers it, runs the pods bound to it, and is silent when it is stopped.

Heartbeats are no writes: who wants to know asks :meth:`Kubelet.last_heartbeat`, so that idle clusters cost nothing; the
node's Lease is filled from it when somebody reads it (:mod:`~simkube.kubelet.lease`).
Stopping the component is a stopped kubelet: its containers go on and nobody looks after them. A stopped node
(:meth:`Kubelet.stop_node`) loses its containers, a paused one (:meth:`Kubelet.pause_node`) freezes with all it runs.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import replace
from typing import Any

from simkube.client.client import Client, Event, Informers, Obj, Server, key_of
from simkube.client.events import Recorder
from simkube.client.workqueue import Component, WorkLoop
from simkube.kubelet import lease
from simkube.kubelet import server as pages
from simkube.kubelet.actions import Network
from simkube.kubelet.checkpoint import Checkpointer, SideStore
from simkube.kubelet.disks import DiskKeeper
from simkube.kubelet.env import service_variables
from simkube.kubelet.eviction import INTERVAL, MemoryPressure, storage_excess
from simkube.kubelet.node import NodeSettings, keep_drivers, register
from simkube.kubelet.node_files import COMMAND, node_files
from simkube.kubelet.pod import NodeServices, Pod
from simkube.kubelet.pod_admission import rejection
from simkube.kubelet.power import OFF, PAUSED, NodeRuntime, Power
from simkube.kubelet.recovery import lose, recover
from simkube.kubelet.static_pods import is_mirror
from simkube.kubelet.volumes import refers_to
from simkube.kubelet.worker import PROPAGATION, PodWorker
from simkube.runtime.cri import Container, HTTPResponse, Sandbox
from simkube.runtime.machine import BOOTED
from simkube.runtime.nodes import FileError
from simkube.runtime.usage import Sample

_NODE = "node"
_LEASE = "lease"
_EVICTION = "eviction"
MIRROR = "kubernetes.io/config.mirror"


class Kubelet(Component):
    """See the module. ``workers`` by pod uid is what it knows; streams and tests read it."""

    name = "kubelet"
    agent = "kubelet"

    def __init__(
        self,
        node_name: str,
        server: Server,
        loop: WorkLoop,
        runtime: NodeRuntime,
        network: Network,
        side_store: SideStore,
        *,
        settings: NodeSettings | None = None,
        informers: Informers | None = None,
    ) -> None:
        self.node_name = node_name
        super().__init__(server, loop, informers)
        self.settings = _placed(settings or NodeSettings(), network, node_name)
        self.runtime = runtime
        self.workers: dict[str, PodWorker] = {}
        self.power = Power(side_store, node_name, runtime)
        self._checkpointer = Checkpointer(side_store, node_name, self._save_later)
        where = f"disk/{node_name}"
        self._disk = DiskKeeper(
            runtime.disk, side_store.get(where), lambda state: side_store.put(where, state), loop.clock.call_later
        )
        self._network = network
        self.plane_log: Callable[[Obj, str], Any] = lambda pod, identity: None  # noqa: ARG005 - until it is told
        """What the container of a mirror pod has logged (see :mod:`simkube.kubelet.plane_logs`)."""
        self._silent_since = loop.clock.now() if self.power.on else self.power.since
        self.cut = False
        self._refreshing: set[str] = set()
        self.memory = MemoryPressure(
            loop.clock,
            runtime.machine.memory,
            lambda seconds: self._wake(_EVICTION, seconds),
            lambda: self.workers.values(),
            self._complain,
        )
        self._node = self._services()
        self._port = pages.Port(self, network.node(node_name).ports)
        runtime.machine.daemons = self._daemons
        runtime.machine.sandboxes = self._sandboxes
        runtime.machine.files = lambda: node_files(self.node_name, self.settings)

    def _daemons(self) -> list[list[str]]:
        """The command lines of what runs on the node beside containers."""
        mirrors = [pod["spec"]["containers"][0]["command"] for pod in self._mirrors()]
        return [*map(list, BOOTED), *([list(COMMAND)] if self.running else []), *mirrors]

    def _sandboxes(self) -> list[Any]:
        """The sandboxes of the pods that the node knows, ended ones included."""
        return [worker.pod.sandbox for worker in self.workers.values() if worker.pod.sandbox is not None]

    def _connect(self) -> Client:
        user = f"system:node:{self.node_name}"
        return Client(self._server, self.name, self.clock, user=user, agent=self.agent, informers=self._shared)

    def _services(self) -> NodeServices:
        return NodeServices(
            name=self.node_name,
            ip=self.settings.ip,
            clock=self.clock,
            runtime=self.runtime,
            network=self._network,
            recorder=Recorder(self.client, "kubelet", self.node_name),
            client=lambda: self.client,
            allocatable=self.settings.capacity,
            service_variables=self._service_variables,
            token=self._token,
            mirrors=self._mirrors,
            rejection=lambda pod: rejection(pod, self._node.pods(), pressed=self.memory.pressed),
            wrote=self._wrote,
            log=self._log,
            pods=lambda: (worker.pod for worker in self.workers.values() if not worker.gone),
        )

    # -- life --------------------------------------------------------------------------------------------------------

    def last_heartbeat(self) -> float:
        """When the node was last heard of, in cluster seconds: now while the kubelet runs and is heard."""
        return self.clock.now() if self.heard else self._silent_since

    @property
    def heard(self) -> bool:
        """Whether the API server hears of it."""
        return self.running and not self.cut

    @property
    def powered(self) -> bool:
        """Whether the node is not switched off."""
        return self.power.state != OFF

    @property
    def paused(self) -> bool:
        """Whether the node stands still."""
        return self.power.state == PAUSED

    def start(self) -> None:
        """Watch and work; a no-op when it runs or when the node is switched off or paused."""
        if self.power.on:
            if not self.running:
                self._log("Started kubelet.service - kubelet: The Kubernetes Node Agent.")
            super().start()
            self._port.open()

    def _log(self, text: str) -> None:
        """A line of the node's journal."""
        self.runtime.machine.journal.append((self.clock.now(), "kubelet", text))

    def stop(self) -> None:
        """The kubelet's process ends; containers go on."""
        if self.running:
            self._silent_since = self.last_heartbeat()
            self.memory.end()
            self.save_all()
            self._port.close()
            self._log("Stopped kubelet.service - kubelet: The Kubernetes Node Agent.")
            super().stop()
            for worker in self.workers.values():
                worker.suspend()

    def cut_off(self, since: float | None = None) -> None:
        """No network: it hears of nothing and is not heard, and goes on with the pods it knows. A no-op when it is."""
        if not self.cut:
            self._silent_since = self.last_heartbeat() if since is None else since
            self.cut = True
            self.client.close()

    def reconnect(self) -> None:
        """The end of :meth:`cut_off`: it catches up with what has changed."""
        if self.cut:
            self.cut = False
            if self.running:
                self.watch()

    def stop_node(self) -> None:
        """Switch the node off: its containers die, and nothing of it answers."""
        self.stop()
        self.power.switch_off(self._silent_since)
        self._checkpointer.forget_all()

    def pause_node(self) -> None:
        """Freeze the node and everything on it."""
        self.stop()
        self.power.pause(self._silent_since)

    def start_node(self) -> None:
        """Undo :meth:`stop_node` and :meth:`pause_node`; a no-op on a running node."""
        if self.power.on:
            return
        if self.power.restore():
            for worker in self.workers.values():
                if not worker.pod.over:
                    lose(worker.pod)
        self.start()

    # -- reconciling -------------------------------------------------------------------------------------------------

    def watch(self) -> None:
        """Register the node, then follow pods and what their volumes are made from; nothing while it is cut off."""
        if self.cut:
            return
        self._node.recorder = Recorder(self.client, "kubelet", self.node_name)
        self.enqueue(_NODE)
        self.memory.begin()
        self.runtime.machine.memory.victim = lambda name, pid: self._complain(
            "SystemOOM", f"System OOM encountered, victim process: {name}, pid: {pid}"
        )
        self.client.observe("pods", self._pod_changed)
        self.client.observe("configmaps", lambda event: self._source_changed("configmaps", event))
        self.client.observe("secrets", lambda event: self._source_changed("secrets", event))
        self.client.observe(lease.RESOURCE, self._lease_changed)
        pods = self.client.informer("pods")
        for uid, worker in list(self.workers.items()):
            current = pods.get(worker.pod.namespace, worker.pod.name)
            if current is None or current["metadata"]["uid"] != uid:
                worker.gone = True
                self.enqueue(uid)

    def _pod_changed(self, event: Event) -> None:
        obj = event.obj
        if obj["spec"].get("nodeName") != self.node_name or is_mirror(obj):
            return
        uid = str(obj["metadata"]["uid"])
        worker = self.workers.get(uid)
        if event.type == "DELETED":
            if worker is not None:
                worker.pod.obj = obj
                worker.gone = True
                self.enqueue(uid)
            return
        if worker is None:
            worker = self._new_worker(uid, obj)
        before, worker.pod.obj = worker.pod.obj, obj
        if before is obj or _wants_work(before, obj) or (not worker.writing and before["status"] != obj["status"]):
            self.enqueue(uid)
        if before["metadata"].get("labels") != obj["metadata"].get("labels"):
            self._refresh_later(uid)

    def _new_worker(self, uid: str, obj: Obj) -> PodWorker:
        worker = PodWorker(
            self._node,
            obj,
            wake=lambda seconds: self._wake(uid, seconds),
            save=lambda: self.touched(uid),
            forget=lambda: self._forget(uid),
        )
        self.workers[uid] = worker
        if (obj.get("status") or {}).get("startTime"):
            recover(worker.pod, self._checkpointer.state(uid))
        return worker

    def _mirrors(self) -> list[Obj]:
        pods = self.client.informer("pods").list("kube-system")
        return [
            pod
            for pod in pods
            if pod["spec"].get("nodeName") == self.node_name and MIRROR in pod["metadata"].get("annotations", {})
        ]

    def _complain(self, reason: str, message: str) -> None:
        self._node.recorder.event(self._about(), "Warning", reason, message)

    def _about(self) -> Obj:
        return {"kind": "Node", "apiVersion": "v1", "name": self.node_name, "uid": self.node_name}

    def _look_at_memory(self) -> None:
        if self.memory.synchronize():
            word = "Insufficient" if self.memory.pressed else "Sufficient"
            text = f"Node {self.node_name} status is now: NodeHas{word}Memory"
            self._node.recorder.event(self._about(), "Normal", f"NodeHas{word}Memory", text)
            self._register_now()

    def _wrote(self, pod: Pod) -> None:
        if ("storage", pod.uid) not in self._timers:
            self.enqueue_after(("storage", pod.uid), INTERVAL)

    def _look_at_files(self, uid: str) -> None:
        worker = self.workers.get(uid)
        message = storage_excess(worker.pod) if worker is not None and not worker.pod.over else ""
        if worker is not None and message:
            worker.evict(message)

    def _wake(self, uid: str, seconds: float) -> None:
        if not self.running:
            return
        if seconds <= 0:
            self.enqueue(uid)
        else:
            self.enqueue_after(uid, seconds)

    def subject(self, key: Hashable) -> Obj | None:
        """The pod that a key is about, or the node."""
        uid = key[1] if isinstance(key, tuple) else key
        return self.workers[str(uid)].pod.obj if str(uid) in self.workers else self._about()

    def reconcile(self, key: Hashable) -> None:
        """Bring the node's object or one pod in line."""
        if key == _NODE:
            self._register()
        elif key == _LEASE:
            self._keep_lease()
        elif key == _EVICTION:
            self._look_at_memory()
        elif isinstance(key, tuple):
            what, uid = key
            if what == "storage":
                self._look_at_files(uid)
            elif what == "save":
                if uid in self.workers:
                    self._checkpointer.save(self.workers[uid].pod)
                    self._disk.save()
            elif uid in self.workers:
                self._refreshing.discard(uid)
                self.workers[uid].refresh_volumes()
        elif str(key) in self.workers:
            self.workers[str(key)].reconcile()

    def _lease_changed(self, event: Event) -> None:
        if event.type == "DELETED" and key_of(event.obj) == (lease.NAMESPACE, self.node_name):
            self.enqueue_after(_LEASE, lease.RENEWAL)

    def _keep_lease(self) -> None:
        node = self.client.informer("nodes").get("", self.node_name)
        if node is not None:
            lease.keep_lease(self.client, node, self.clock.micro_timestamp())

    def _register(self) -> None:
        node, turned = self._register_now()
        about = {"kind": "Node", "apiVersion": "v1", "name": self.node_name, "uid": node["metadata"]["uid"]}
        lease.keep_lease(self.client, node, self.clock.micro_timestamp())
        keep_drivers(self.client, node)
        self._node.recorder.event(about, "Normal", "Starting", "Starting kubelet.")
        if turned:
            text = f"Node {self.node_name} status is now: NodeReady"
            self._node.recorder.event(about, "Normal", "NodeReady", text)

    def _register_now(self) -> tuple[Obj, bool]:
        pressed = ("MemoryPressure",) if self.memory.pressed else ()
        return register(self.client, self.node_name, self.settings, [], self.clock.timestamp(), pressed)

    def _forget(self, uid: str) -> None:
        self.workers.pop(uid, None)
        self.dequeue(uid)
        self.dequeue(("save", uid))
        self.dequeue(("storage", uid))
        self._checkpointer.forget(uid)
        for other, worker in self.workers.items():
            if worker.pod.resize is not None:
                self.enqueue(other)

    # -- volumes and tokens ------------------------------------------------------------------------------------------

    def _source_changed(self, resource: str, event: Event) -> None:
        if event.old is None:
            return
        meta = event.obj["metadata"]
        for uid, worker in self.workers.items():
            pod = worker.pod
            if pod.namespace == meta["namespace"] and pod.mounted and refers_to(pod.obj, resource, meta["name"]):
                self._refresh_later(uid)

    def _refresh_later(self, uid: str) -> None:
        if uid not in self._refreshing:
            self._refreshing.add(uid)
            self.enqueue_after(("refresh", uid), PROPAGATION)

    def _service_variables(self, namespace: str) -> dict[str, str]:
        services = self.client.informer("services")
        own = services.list(namespace)
        master = services.get("default", "kubernetes")
        return service_variables(own if master is None or namespace == "default" else [master, *own])

    def _token(self, pod: Obj, audience: str, seconds: int) -> str:
        """A token of the pod's service account, from the API server as for a real kubelet."""
        meta = pod["metadata"]
        spec: Obj = {"expirationSeconds": seconds, "boundObjectRef": _bound(pod)}
        if audience:
            spec["audiences"] = [audience]
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
        account = pod["spec"].get("serviceAccountName") or "default"
        answer = self.client.create("serviceaccounts", request, meta["namespace"], name=account, subresource="token")
        return str(answer["status"]["token"])

    # -- what outlives the process -----------------------------------------------------------------------------------

    def _save_later(self, uid: str, seconds: float) -> None:
        if self.running and uid in self.workers:
            if seconds <= 0:
                self.dequeue(("save", uid))
                self.enqueue(("save", uid))
            else:
                self.enqueue_after(("save", uid), seconds)

    def touched(self, uid: str) -> None:
        """Somebody worked in a container of the pod: save its files soon."""
        if uid in self.workers:
            self._checkpointer.soon(self.workers[uid].pod)

    def save_all(self) -> None:
        """Save every pod now; for an orderly end of the host process, and before a snapshot."""
        for worker in self.workers.values():
            self._checkpointer.save(worker.pod)
        self._disk.save()

    # -- the node's disk, for whoever provisions volumes -------------------------------------------------------------

    def make_directory(self, path: str) -> bool:
        """A directory that everyone may write to; whether the node is there, with room, to make it."""
        if not self.powered or self.paused:
            return False
        try:
            self.runtime.disk.make(path, 0o777)
        except FileError:  # the disk is full
            return False
        self._disk.save()
        return True

    def erase_directory(self, path: str) -> bool:
        """Remove a directory with all it holds; whether the node is there to do it."""
        if self.powered and not self.paused:
            self.runtime.disk.remove(path)
            self._disk.save()
        return self.powered and not self.paused

    # -- for streams -------------------------------------------------------------------------------------------------

    def container(self, uid: str, name: str, *, previous: bool = False) -> Container | None:
        """A container of a pod on this node: the current one, or the one before it."""
        worker = self.workers.get(uid)
        run = None if worker is None else worker.pod.runs.get(name)
        if run is None:
            return None
        return run.previous if previous else run.container

    def container_of(self, uid: str, identity: str) -> Container | None:
        """The container of a pod on this node with that ``containerID``, whether it runs or not."""
        worker = self.workers.get(uid)
        if worker is None:
            return next((found for pod in self._mirrors() if (found := self._of_mirror(pod, uid, identity))), None)
        runs = list(worker.pod.runs.values())
        found = (one for run in runs for one in (run.container, run.previous) if one is not None)
        return next((one for one in found if f"containerd://{one.id}" == identity), None)

    def _of_mirror(self, pod: Obj, uid: str, identity: str) -> Any:
        return self.plane_log(pod, identity) if pod["metadata"]["uid"] == uid else None

    def sandbox(self, uid: str) -> Sandbox | None:
        """The sandbox of a pod on this node; None when it has none any more."""
        worker = self.workers.get(uid)
        return None if worker is None else worker.pod.sandbox

    def page(self, path: str) -> HTTPResponse:
        """A page of its own port (:mod:`simkube.kubelet.server`)."""
        return pages.answer(self, path)

    # -- for the metrics server --------------------------------------------------------------------------------------

    def pod_samples(self, uid: str) -> dict[str, Sample] | None:
        """What each running container of a pod used lately; None when one is too young, or when nobody here answers."""
        worker = self.workers.get(uid) if self.running and not self.cut else None
        if worker is None:
            return None
        running = {run.name: run.container for run in worker.pod.runs.values() if run.running}
        found = {name: None if one is None else one.sample() for name, one in running.items()}
        samples = {name: one for name, one in found.items() if one is not None}
        return samples if samples and len(samples) == len(found) else None

    def node_sample(self) -> Sample | None:
        """What the node used lately; None when nobody here answers."""
        return self.runtime.node_sample() if self.running and not self.cut else None


def _placed(settings: NodeSettings, network: Network, name: str) -> NodeSettings:
    place = network.node(name)
    return replace(settings, ip=settings.ip or place.address, pod_cidr=settings.pod_cidr or place.pod_cidr)


def _wants_work(before: Obj, after: Obj) -> bool:
    """Whether a change of a pod is one the kubelet acts upon; its own status writes are not."""
    if before["spec"] is not after["spec"] and before["spec"] != after["spec"]:
        return True
    return any(
        before["metadata"].get(field) != after["metadata"].get(field)
        for field in ("deletionTimestamp", "deletionGracePeriodSeconds")
    )


def _bound(pod: Obj) -> Obj:
    meta = pod["metadata"]
    return {"kind": "Pod", "apiVersion": "v1", "name": meta["name"], "uid": meta["uid"]}


__all__ = ["Kubelet", "NodeRuntime", "SideStore"]
