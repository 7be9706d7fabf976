"""What can be broken in a cluster on purpose, by name, and mended: components, controllers, admission plug-ins, nodes,
paths between pods.

What is broken is kept beside the objects, so that a killed host finds it broken. The effects are Kubernetes' own: a
stopped component is a killed process, a node that is cut off runs on unheard, memory that something outside all pods
has taken is missing to them. It refuses to cut off the node that the API server is on: nobody could look any more.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from difflib import get_close_matches
from typing import TYPE_CHECKING

from simkube.apimachinery.errors import HostError, StatusError
from simkube.apiserver.admission.chain import OWN, PLUGINS, Chain
from simkube.client.workqueue import Component
from simkube.controllers.names import official
from simkube.faults.outage import Gate, apiserver_down, cut_off, etcd_down
from simkube.runtime.network.impairments import Path

if TYPE_CHECKING:
    from simkube.client.workqueue import WorkLoop
    from simkube.controllers.manager import ControllerManager
    from simkube.etcd.store import Store
    from simkube.kubelet.kubelet import Kubelet
    from simkube.runtime.cri import Container
    from simkube.runtime.network.network import Network

MANAGER = "kube-controller-manager"
CONTROL_PLANE = ("kube-scheduler", MANAGER, "kube-apiserver", "etcd")
INNER = frozenset({"event-expiry", "static-pods"})
"""What etcd's leases and the control plane's kubelet do; they are no components of their own."""
SIGKILL, SIGCONT, SIGSTOP = 9, 18, 19
_ADMISSION = frozenset(plugin.name for plugin in PLUGINS) - OWN
_OUTAGES = {"kube-apiserver": apiserver_down, "etcd": etcd_down}
_STOPPED, _CUT, _FILLED = "stopped-components", "cut-nodes", "filled-nodes"
_SLOW, _PATHS = "slow-nodes", "impaired-paths"
_PROXY = "kube-proxy"
MOST_DELAY = 60.0


class Faults:
    """The breakable side of a :class:`~simkube.cluster.cluster.Cluster`, whose parts it stops and starts.

    ``plane`` names the control plane's node ("" for none); ``changed`` hears when something was stopped or started.
    :meth:`start` begins with what was left broken.
    """

    def __init__(
        self,
        store: Store,
        gate: Gate,
        admission: Chain,
        work: WorkLoop,
        network: Network,
        manager: ControllerManager,
        programs: Mapping[str, list[Component]],
        kubelets: Mapping[str, Kubelet],
        uplinks: Mapping[str, Gate],
        plane: str,
        changed: Callable[[], None],
    ) -> None:
        self._store, self._gate, self._work, self._network = store, gate, work, network
        self._admission = admission
        self._manager, self._programs = manager, programs
        self._controllers = {official(each.name): each for each in manager.controllers}
        self._kubelets, self._uplinks, self._plane = kubelets, uplinks, plane
        self._stopped: set[str] = set(store.side.get(_STOPPED) or ())
        self._cut: dict[str, float] = store.side.get(_CUT) or {}
        self._filled: dict[str, int] = store.side.get(_FILLED) or {}
        self._impairments = network.impairments
        self._down: set[str] = set()
        self._frozen: frozenset[tuple[str, str, str]] = frozenset()
        """Containers. Not kept: a host that is started again starts their processes from the beginning."""
        self._changed = changed

    def start(self) -> None:
        """Start everything but what was stopped when the store was left."""
        plane = self._kubelets.get(self._plane)
        self._down = self._stopped | set(CONTROL_PLANE if plane is not None and not plane.power.on else ())
        self._set_trouble()
        self._set_admission()
        for node, since in self._cut.items():
            self._sever(node, since)
        for name in self._programs:
            if name not in self._down:
                self._launch(name)
        for node, kubelet in self._kubelets.items():
            if f"kubelet/{node}" not in self._down:
                kubelet.start()
            self._network.agents.halt(_PROXY, node, f"{_PROXY}/{node}" in self._down)
        for node, size in self._filled.items():
            self._kubelets[node].runtime.fill_memory(size)
        self._impairments.slow = set(self._store.side.get(_SLOW) or ())
        kept = self._store.side.get(_PATHS) or []
        self._impairments.paths = {(client, server): Path(*how) for client, server, *how in kept}

    # -- components --------------------------------------------------------------------------------------------------

    @property
    def trouble(self) -> StatusError | None:
        """What every request is to be answered with while the API server or etcd is stopped."""
        return self._gate.trouble() if self._gate.trouble is not None else None

    @property
    def reachable(self) -> bool:
        """Whether anybody listens at the API server's address."""
        return "kube-apiserver" not in self._down

    def components(self) -> dict[str, bool]:
        """Every component that can be stopped, and whether it runs; kubelets as ``kubelet/NODE``, then controllers,
        then admission plug-ins in the order of their chain.
        """
        programs = [name for name in self._programs if name not in INNER]
        running = {name: name not in self._down for name in (*programs, *_OUTAGES)}
        running |= {f"kubelet/{name}": kubelet.running for name, kubelet in self._kubelets.items()}
        running |= {name: name not in self._down for name in (f"{_PROXY}/{node}" for node in self._kubelets)}
        controllers = {name: each.running for name, each in self._controllers.items()}
        plugins = {each.name: each.name not in self._down for each in PLUGINS if each.name in _ADMISSION}
        return dict(sorted(running.items())) | dict(sorted(controllers.items())) | plugins

    def stop_component(self, name: str) -> None:
        """Stop a component by its Kubernetes name (``kubelet/NODE`` for a kubelet); a no-op when it is stopped.

        :class:`~simkube.apimachinery.errors.HostError` names the nearest ones when there is none of that name.
        """
        self._known(name)
        self._remember(self._stopped | {name})
        self._halt(name)

    def start_component(self, name: str) -> None:
        """Start a component again; a no-op when it runs."""
        self._known(name)
        self._remember(self._stopped - {name})
        self._launch(name)

    def stop_controller(self, name: str) -> None:
        """As :meth:`stop_component`, of a controller."""
        self._is_controller(name)
        self.stop_component(name)

    def start_controller(self, name: str) -> None:
        """As :meth:`start_component`, of a controller."""
        self._is_controller(name)
        self.start_component(name)

    def _is_controller(self, name: str) -> None:
        if name not in self._controllers:
            nearest = get_close_matches(name[:100], self._controllers, n=3, cutoff=0.0)
            raise HostError(f"there is no controller {name[:100]!r}; the nearest: {', '.join(nearest)}")

    def _known(self, name: str) -> None:
        known = self.components()
        if name not in known:
            nearest = get_close_matches(name[:100], known, n=3, cutoff=0.0)
            raise HostError(f"there is no component {name[:100]!r}; the nearest of {len(known)}: {', '.join(nearest)}")

    def _remember(self, names: set[str]) -> None:
        if names != self._stopped:
            self._store.side.put(_STOPPED, sorted(names))
            self._stopped = names

    def runs(self, name: str) -> bool:
        """Whether a program runs."""
        return name not in self._down

    def _halt(self, name: str) -> None:
        self._down.add(name)
        self._changed()
        if name in _OUTAGES:
            self._set_trouble()
            for component in self._programs.get(name, ()):
                component.stop()
        elif name.startswith("kubelet/"):
            node = name.removeprefix("kubelet/")
            self._kubelets[node].stop()
            self._look_at(node)
        elif name.startswith(f"{_PROXY}/"):
            self._network.agents.halt(_PROXY, name.removeprefix(f"{_PROXY}/"), True)
        elif name in self._controllers:
            self._controllers[name].stop()
        elif name in _ADMISSION:
            self._set_admission()
        else:
            for component in self._programs[name]:
                component.stop()

    def _launch(self, name: str) -> None:
        self._down.discard(name)
        self._changed()
        if name in _OUTAGES:
            self._set_trouble()
            for component in self._programs.get(name, ()):
                component.start()
            self._work.retry_now()
        elif name.startswith("kubelet/"):
            node = name.removeprefix("kubelet/")
            self._kubelets[node].start()
            self._look_at(node)
        elif name.startswith(f"{_PROXY}/"):
            self._network.agents.halt(_PROXY, name.removeprefix(f"{_PROXY}/"), False)
        elif name in self._controllers:
            if MANAGER not in self._down:
                self._controllers[name].start()
        elif name in _ADMISSION:
            self._set_admission()
        else:
            for component in self._programs[name]:
                if name != MANAGER or official(component.name) not in self._stopped:
                    component.start()

    def _set_trouble(self) -> None:
        first = next((name for name in _OUTAGES if name in self._down), None)
        self._gate.trouble = _OUTAGES[first] if first else None

    def _set_admission(self) -> None:
        self._admission.disabled = frozenset(self._down & _ADMISSION)

    # -- nodes -------------------------------------------------------------------------------------------------------

    def node_states(self) -> dict[str, list[str]]:
        """What is wrong with each node: ``stopped`` or ``paused``, ``cut off``, ``out of memory``, ``slow``."""
        states = {}
        for name, kubelet in self._kubelets.items():
            power = [] if kubelet.power.on else ["stopped" if not kubelet.powered else "paused"]
            cut = ["cut off"] if name in self._cut else []
            full = ["out of memory"] if name in self._filled else []
            states[name] = [*power, *cut, *full, *(["slow"] if name in self._impairments.slow else [])]
        return states

    def _kubelet_of(self, node: str) -> Kubelet:
        if node not in self._kubelets:
            known = ", ".join(sorted(self._kubelets)) or "none"
            raise HostError(f"there is no node {node[:100]!r}; there are: {known}")
        return self._kubelets[node]

    def _look_at(self, node: str) -> None:
        self._manager.node_lifecycle.look_at(node)

    def stop_node(self, node: str) -> None:
        """Switch a node off, with the control plane if it runs there; what ran on it is gone."""
        self._kubelet_of(node).stop_node()
        self._lost(node)

    def pause_node(self, node: str) -> None:
        """Freeze a node and all it runs."""
        self._kubelet_of(node).pause_node()
        self._lost(node)

    def cut_node(self, node: str) -> None:
        """Cut a node off from the network: its pods run on, its kubelet hears nothing and is not heard."""
        kubelet = self._kubelet_of(node)
        if node == self._plane:
            raise HostError(f"the API server is on {node}; cut off a worker")
        if node not in self._cut:
            self._cut[node] = kubelet.last_heartbeat()
            self._store.side.put(_CUT, self._cut)
            self._sever(node, self._cut[node])
            self._look_at(node)

    def _sever(self, node: str, since: float) -> None:
        self._uplinks[node].trouble = cut_off
        self._network.node(node).cut = True
        self._kubelets[node].cut_off(since)

    def fill_node(self, node: str) -> None:
        """Have something outside all pods take nearly all memory of a node."""
        kubelet = self._kubelet_of(node)
        if node not in self._filled:
            self._filled[node] = kubelet.runtime.fill_memory(0)
            self._store.side.put(_FILLED, self._filled)

    def start_node(self, node: str) -> None:
        """Undo all of these; a no-op on a node that runs."""
        kubelet = self._kubelet_of(node)
        if node == self._plane:
            for name in reversed(CONTROL_PLANE):
                if name not in self._stopped:
                    self._launch(name)
        self._join(node)
        if self._filled.pop(node, None) is not None:
            self._store.side.put(_FILLED, self._filled)
            kubelet.runtime.relieve_memory()
        self._slow(self._impairments.slow - {node})
        kubelet.start_node()
        self._look_at(node)
        self._changed()

    def _join(self, node: str) -> None:
        if self._cut.pop(node, None) is not None:
            self._store.side.put(_CUT, self._cut)
            self._uplinks[node].trouble = None
            self._network.node(node).cut = False
            self._kubelets[node].reconnect()
            self._work.retry_now()

    def _lost(self, node: str) -> None:
        self._look_at(node)
        self._changed()
        if node == self._plane:
            for name in CONTROL_PLANE:
                self._halt(name)

    def slow_node(self, node: str) -> None:
        """What runs on a node answers only in a tenth of the time (:mod:`simkube.runtime.network.impairments`)."""
        self._kubelet_of(node)
        self._slow(self._impairments.slow | {node})

    def _slow(self, nodes: set[str]) -> None:
        if nodes != self._impairments.slow:
            self._impairments.slow = nodes
            self._store.side.put(_SLOW, sorted(nodes))

    # -- paths -------------------------------------------------------------------------------------------------------

    def slow_path(self, client: str, server: str, seconds: float) -> None:
        """Answers of one pod to another (``namespace/name`` each) come so much later, 0 to :data:`MOST_DELAY`."""
        if not 0 <= seconds <= MOST_DELAY:
            raise HostError(f"a delay is 0 to {MOST_DELAY:g} seconds, not {seconds:g}")
        way, before = self._path(client, server)
        self._impair({**self._impairments.paths, way: replace(before, delay=seconds)})

    def lossy_path(self, client: str, server: str, share: float) -> None:
        """Such a share (0 to 1) of the answers of one pod to another is lost."""
        if not 0 <= share <= 1:
            raise HostError(f"a loss is 0 to 100 percent, not {share:.0%}")
        way, before = self._path(client, server)
        self._impair({**self._impairments.paths, way: replace(before, loss=share)})

    def mend_path(self, client: str, server: str) -> None:
        """Undo both; a no-op where nothing is wrong."""
        way, _ = self._path(client, server)
        self._impair({key: how for key, how in self._impairments.paths.items() if key != way})

    def _path(self, client: str, server: str) -> tuple[tuple[str, str], Path]:
        way = self._address(client), self._address(server)
        return way, self._impairments.paths.get(way, Path())

    def _address(self, pod: str) -> str:
        namespace, _, name = pod.partition("/")
        found = self._store.get("pods", namespace, name) or {}
        address = str((found.get("status") or {}).get("podIP") or "")
        if not address:
            raise HostError(f"there is no pod {pod[:200]!r} with an address; write namespace/name")
        return address

    def _impair(self, paths: dict[tuple[str, str], Path]) -> None:
        if paths != self._impairments.paths:
            self._impairments.paths = paths
            self._store.side.put(_PATHS, [[*way, how.delay, how.loss] for way, how in paths.items()])

    # -- all -----------------------------------------------------------------------------------------------------------

    def heal(self) -> None:
        """Start every node and component that is stopped or paused, mend every path, thaw every container."""
        for where in self._frozen:
            with contextlib.suppress(HostError):  # it has ended, or its pod is gone
                self._running(*where).signal(SIGCONT)
        self._frozen = frozenset()
        for node in self._kubelets:
            self.start_node(node)
        self._impair({})
        for name in [*_OUTAGES, *self.components()]:
            self.start_component(name)

    def freeze_container(self, namespace: str, pod: str, container: str, *, frozen: bool = True) -> None:
        """SIGSTOP (or SIGCONT) to a container's processes, from outside; HostError when it does not run."""
        self._running(namespace, pod, container).signal(SIGSTOP if frozen else SIGCONT)
        where = (namespace, pod, container)
        self._frozen = self._frozen | {where} if frozen else self._frozen - {where}

    def kill_container(self, namespace: str, pod: str, container: str) -> None:
        """SIGKILL to a container's first process, from outside; HostError when it does not run."""
        self._running(namespace, pod, container).signal(SIGKILL)

    def _running(self, namespace: str, pod: str, container: str) -> Container:
        found = self._store.get("pods", namespace, pod)
        node = self._kubelets.get(found["spec"].get("nodeName", "")) if found else None
        running = node.container(found["metadata"]["uid"], container) if found and node else None
        if running is None or running.state != "running":
            raise HostError(f"container {namespace}/{pod}/{container} does not run; see kubectl get pod {pod}")
        return running


__all__ = ["CONTROL_PLANE", "INNER", "MANAGER", "Faults"]
