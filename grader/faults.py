"""The ``faults`` fixture: breaks things on purpose, and undoes all of it when the check ends, however it ends.

Pods are deleted and made to hang, dependencies taken away, through the cluster itself. What needs the machine below it
(a process, a node, a component, a path) is asked of the session, which has the provider; the grader cannot touch it.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any

from grader.bare_pods import BarePods, delete
from grader.clock import Clock
from grader.cluster import Ask, Cluster, node_ready
from grader.dependency import WORKLOADS, Dependency
from grader.errors import ClusterUnreachable, FaultUnavailable, Ungradable
from grader.evidence import Evidence
from grader.mark import Changing, unmarked
from grader.objects import Pod
from grader.placement import Placement
from grader.probe import Probe

NODE_SECONDS = 90.0
REPORT_SECONDS = 3.0
"""Until the API server says what became of a container."""
EVERY = 0.2


class _NotFound(FaultUnavailable):
    """There is no such target."""


@dataclass(frozen=True)
class Broken:
    """What was done, when (s since 1970, by the cluster's clock), and to whom. ``uid``: of the pod; ``container``: the
    id of its process."""

    fault: str
    target: str
    t: float
    uid: str = ""
    container: str = ""
    restarts: int = 0


class Faults:
    """Breaks things in the learner's cluster."""

    def __init__(
        self,
        cluster: Cluster,
        probe: Probe | None,
        ask: Ask,
        evidence: Evidence,
        clock: Clock,
        changing: Changing = unmarked,
    ) -> None:
        self._cluster, self._probe, self._ask, self._evidence = cluster, probe, ask, evidence
        self._clock, self._changing = clock, changing
        self._bare_pods = BarePods(cluster, clock)
        self._nodes: list[str] = []
        self._asked = False
        self._hung: list[tuple[Pod, str]] = []
        self._deleted: list[Pod] = []
        self._worn: list[Pod] = []
        self._placement: Placement | None = None
        self._away: list[Dependency] = []

    def kill_container(self, pod: Pod, container: str = "") -> Broken:
        """SIGKILL to the first process of a container (of the first one by default), from outside: the kubelet finds
        it dead with exit code 137."""
        found = pod.container(container) if container else pod.containers[0]
        if found is None:
            raise Ungradable(f"pod {pod.name} has no container {container}")
        self._in_container("kill-container", pod, found.name)
        return self._note("kill-container", f"{pod.name}/{found.name}", pod, found.id, found.restarts)

    def freeze_container(self, pod: Pod, container: str) -> Broken:
        """Stop every process of a container where it is, from outside; the kubelet notices nothing but its probes."""
        self._in_container("freeze-container", pod, container)
        return self._note("freeze-container", f"{pod.name}/{container}", pod)

    def thaw_container(self, pod: Pod, container: str) -> None:
        """Let them go on; also done when the check ends. One that has ended meanwhile needs nothing."""
        with contextlib.suppress(_NotFound):
            self._inject("thaw-container", f"{pod.namespace}/{pod.name}/{container}")

    def fresh(self, pod: Pod) -> None:
        """When the check ends, make a pod on its own again as it was asked for: its containers' back-off, which killing
        them made longer for the next ten minutes, goes with the old one. Of a controlled pod nothing."""
        if not pod.controller[0]:
            self._changing("delete", pod.raw, "")
            self._worn.append(pod)

    def delete_pod(self, pod: Pod) -> Broken:
        """Delete a pod with its own grace period, as ``kubectl delete pod`` does. A pod on its own is made again at
        the end."""
        if not pod.controller[0]:
            self._changing("delete", pod.raw, "")
        delete(self._cluster.connection, pod)
        if not pod.controller[0]:
            self._deleted.append(pod)
        return self._note("delete-pod", pod.name, pod)

    def hang(self, pod: Pod, port: int = 8080, container: str = "") -> Broken:
        """Make ``kindling/web`` in a pod (by default in the container that declares the port) accept connections and
        answer none, its process still running."""
        assert self._probe is not None
        found = pod.container(container) if container else None
        found = found or next((one for one in pod.containers if _listens(one.spec, port)), pod.containers[0])
        self._changing("hang", pod.raw, found.name)
        answer = self._probe.post(f"http://{pod.ip}:{port}/hang")
        if answer.status != 202:
            raise FaultUnavailable(f"pod {pod.name} did not take POST /hang on port {port}: {answer}")
        self._hung.append((pod, found.name))
        return self._note("hang", pod.name, pod, found.id, found.restarts)

    def stop_node(self, node: str) -> Broken:
        """Take a worker node away, as if its power were cut."""
        return self._take("stop-node", node)

    def pause_node(self, node: str) -> Broken:
        """Freeze a worker node with everything on it."""
        return self._take("pause-node", node)

    def cut_node(self, node: str) -> Broken:
        """Cut a worker node off from the others: what is on it runs on, and is neither heard nor reached."""
        return self._take("cut-node", node)

    def fill_node(self, node: str) -> Broken:
        """Have something outside all pods take nearly all memory of a worker node."""
        return self._take("fill-node", node)

    def slow_node(self, node: str) -> Broken:
        """Let what is on a worker node run for a tenth of the time: answers come up to half a second late."""
        return self._take("slow-node", node)

    def start_node(self, node: str) -> None:
        """Give a node back and wait until it is ready; also done when the check ends."""
        self._inject("start-node", node)
        self._await_node(node)
        if node in self._nodes:
            self._nodes.remove(node)

    def stop_component(self, component: str) -> Broken:
        """Stop ``kube-apiserver``, ``etcd``, ``kube-scheduler``, ``kube-controller-manager``, ``coredns``,
        ``kubelet/NODE`` or ``kube-proxy/NODE``. Without the first two nothing can be asked of the cluster."""
        if component.startswith("kubelet/"):
            self._nodes.append(component.removeprefix("kubelet/"))
        self._inject("stop-component", component)
        return self._note("stop-component", component)

    def start_component(self, component: str) -> None:
        """Start it again, and wait until the API server answers; also done when the check ends."""
        self._inject("start-component", component)
        self._await_api()

    def stop_controller(self, controller: str) -> Broken:
        """Stop one controller of kube-controller-manager, by its name there: ``deployment-controller``."""
        self._inject("stop-controller", controller)
        return self._note("stop-controller", controller)

    def start_controller(self, controller: str) -> None:
        """Start it again; also done when the check ends."""
        self._inject("start-controller", controller)

    def slow_path(self, client: Pod, server: Pod, seconds: float) -> Broken:
        """Have what one pod answers another come so much later, 0 to 60 s; other pods notice nothing."""
        return self._impair("slow-path", client, server, f"{round(seconds * 1000)}ms")

    def lossy_path(self, client: Pod, server: Pod, percent: int) -> Broken:
        """Lose so many of the packets that one pod answers another with; TCP sends them again, later."""
        return self._impair("lossy-path", client, server, f"{percent}%")

    def mend_path(self, client: Pod, server: Pod) -> None:
        """Undo both; also done when the check ends."""
        self._inject("mend-path", _path(client, server))

    def take_away(self, kind: str, name: str, namespace: str = "") -> Broken:
        """Make a dependency unavailable: a ``service``, which then leads nowhere, or a ``deployment``, ``statefulset``
        or ``replicaset``, whose pods are killed and not replaced. In the lab's namespace unless another is given."""
        where = namespace or self._cluster.namespace
        if kind not in (*WORKLOADS, "service"):
            raise Ungradable(f"a {kind} cannot be taken away; give a service, {', '.join(WORKLOADS)}")
        found = Cluster(self._cluster.connection, where).get(kind, name)
        self._changing("take-away", found, "")
        away = Dependency(self._cluster.connection, self._clock, found)
        self._away.append(away)
        away.take_away()
        return self._note("take-away", f"{kind} {where}/{name}")

    def give_back(self, kind: str, name: str, namespace: str = "") -> None:
        """Give it back, as it was; also done when the check ends."""
        wanted = (kind, name, namespace or self._cluster.namespace)
        for away in [one for one in self._away if (one.kind, one.name, one.namespace) == wanted]:
            away.give_back()
            self._away.remove(away)

    def take_over(self, how: str, before: dict[str, Any], container: str) -> None:
        """Undo also what somebody else did to an object that was so."""
        if how == "take-away":
            self._away.append(Dependency(self._cluster.connection, self._clock, before))
        elif how == "delete":
            self._deleted.append(Pod(before))
        else:
            self._hung.append((Pod(before), container))

    def undo(self) -> None:
        """Undo everything. Tries all of it, then raises the first trouble; what was not undone is when called again."""
        troubles: list[Exception] = []
        steps = (
            self._undo_asked,
            self._undo_hung,
            self._undo_worn,
            self._undo_deleted,
            self._undo_away,
            self._undo_placement,
        )
        for step in steps:
            try:
                step()
            except (Ungradable, LookupError) as error:
                troubles.append(error)
        if troubles:
            raise FaultUnavailable(f"a fault could not be undone: {troubles[0]}") from troubles[0]

    def _take(self, fault: str, node: str) -> Broken:
        if node not in self._cluster.workers() or (self._probe and node == self._probe.node):
            raise Ungradable(f"{fault} of {node}: only a worker node that the probe is not on may be stopped")
        self._placement = self._placement or Placement(self._cluster, self._bare_pods)
        for pod in self._cluster.pods():
            if pod.node == node and not pod.controller[0]:
                self._changing("delete", pod.raw, "")  # it may be evicted, and nobody would make it again
        self._nodes.append(node)
        self._inject(fault, node)
        return self._note(fault, node)

    def _impair(self, fault: str, client: Pod, server: Pod, how: str) -> Broken:
        target = f"{_path(client, server)} {how}"
        self._inject(fault, target)
        return self._note(fault, target)

    def _in_container(self, fault: str, pod: Pod, container: str) -> None:
        """A container that does not run can neither be killed nor frozen. When the API server says as much, that is
        the learner's, and the check fails; the kubelet may report it a moment later."""
        deadline = self._clock.now() + REPORT_SECONDS
        while True:
            try:
                self._inject(fault, f"{pod.namespace}/{pod.name}/{container}")
            except _NotFound:
                self._cluster.must_run(pod, container)
                if self._clock.now() > deadline:
                    raise
                self._clock.sleep(EVERY)
            else:
                return

    def _inject(self, fault: str, target: str) -> None:
        if fault != "kill-container":
            self._asked = True
        try:
            self._ask(fault, target)
        except LookupError as error:
            raise _NotFound(f"{fault} {target}: {error}") from error

    def _note(self, fault: str, target: str, pod: Pod | None = None, container: str = "", restarts: int = 0) -> Broken:
        broken = Broken(fault, target, self._clock.now(), pod.uid if pod else "", container, restarts)
        self._evidence.add("fault", fault=fault, target=target, at=broken.t, uid=broken.uid)
        return broken

    def _undo_asked(self) -> None:
        if self._asked:
            self._ask("heal", "")
            self._asked = False
        while self._nodes:
            self._await_node(self._nodes[-1])
            self._nodes.pop()

    def _undo_hung(self) -> None:
        """A process that still hangs is killed, so that its kubelet starts it again."""
        while self._hung:
            pod, name = self._hung[-1]
            raw = self._cluster.find("pod", pod.name)
            now = Pod(raw).container(name) if raw and raw["metadata"]["uid"] == pod.uid else None
            before = pod.container(name)
            if now and before and now.id == before.id and now.running:
                self._ask("kill-container", f"{pod.namespace}/{pod.name}/{name}")
            self._hung.pop()

    def _undo_worn(self) -> None:
        """Pods on their own whose containers were killed give way to new ones."""
        while self._worn:
            pod = self._worn[-1]
            delete(self._cluster.connection, pod, grace=1)
            self._deleted.append(pod)
            self._worn.pop()

    def _undo_placement(self) -> None:
        if self._placement is not None:
            self._placement.restore()
            self._placement = None

    def _undo_deleted(self) -> None:
        """A pod on its own that is still gone is made again, as it was asked for."""
        self._bare_pods.make_again(self._deleted)
        self._deleted.clear()

    def _undo_away(self) -> None:
        while self._away:
            self._away[-1].give_back()
            self._away.pop()

    def _await_api(self) -> None:
        deadline = self._clock.now() + NODE_SECONDS
        while True:
            try:
                self._cluster.nodes()
            except ClusterUnreachable:
                if self._clock.now() > deadline:
                    raise
                self._clock.sleep(EVERY)
            else:
                return

    def _await_node(self, node: str) -> None:
        deadline = self._clock.now() + NODE_SECONDS
        while True:
            try:
                found = next((one for one in self._cluster.nodes() if one["metadata"]["name"] == node), None)
                taints = ((found or {}).get("spec") or {}).get("taints") or []
                if found and node_ready(found) and not any(str(one.get("key")).startswith(GONE) for one in taints):
                    return
            except ClusterUnreachable:
                pass  # the API server may be catching up; the deadline decides
            if self._clock.now() > deadline:
                raise FaultUnavailable(f"node {node} did not become ready again within {NODE_SECONDS:g} s")
            self._clock.sleep(EVERY)


GONE = ("node.kubernetes.io/unreachable", "node.kubernetes.io/not-ready")


def _path(client: Pod, server: Pod) -> str:
    return f"{client.namespace}/{client.name} {server.namespace}/{server.name}"


def _listens(spec: Any, port: int) -> bool:
    return any(one.get("containerPort") == port for one in spec.get("ports") or [])
