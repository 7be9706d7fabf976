"""The static pods of a control plane, as its kubelet mirrors them into the API: the simulated components themselves.

A component that runs has its mirror pod in ``kube-system``; one that is stopped by name has none, as when its manifest
is taken away. A mirror pod that somebody deletes comes back, because the manifest is still there. There are no
containers behind it: it takes no exec, and its log is made when it is read (:mod:`~simkube.kubelet.plane_logs`). A
control plane without a node has no static pods.

Sources: kubeadm's ``phases/controlplane/manifests.go`` and ``pkg/kubelet/pod/mirror_client.go``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING

from simkube.client.client import Client, Event, Informers, Obj, Server, copy_of
from simkube.client.workqueue import Component, WorkLoop
from simkube.component_helpers.pods import is_ready
from simkube.kubelet.node import VERSION

if TYPE_CHECKING:
    from simkube.kubelet.kubelet import Kubelet

NAMESPACE = "kube-system"
MIRROR = "kubernetes.io/config.mirror"
ETCD_IMAGE = "registry.k8s.io/etcd:3.6.8-0"
CONFIG = "/etc/kubernetes"
COMPONENTS: dict[str, tuple[str, dict[str, str], list[str]]] = {
    "etcd": (
        ETCD_IMAGE,
        {"cpu": "100m", "memory": "100Mi"},
        ["etcd", "--data-dir=/var/lib/etcd", "--listen-client-urls=https://127.0.0.1:2379"],
    ),
    "kube-apiserver": (
        f"registry.k8s.io/kube-apiserver:{VERSION}",
        {"cpu": "250m"},
        [
            "kube-apiserver",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            "--etcd-servers=https://127.0.0.1:2379",
            "--secure-port=6443",
            "--service-cluster-ip-range=10.96.0.0/16",
        ],
    ),
    "kube-controller-manager": (
        f"registry.k8s.io/kube-controller-manager:{VERSION}",
        {"cpu": "200m"},
        [
            "kube-controller-manager",
            "--allocate-node-cidrs=true",
            "--cluster-cidr=10.244.0.0/16",
            "--controllers=*,bootstrapsigner,tokencleaner",
            f"--kubeconfig={CONFIG}/controller-manager.conf",
            "--leader-elect=true",
        ],
    ),
    "kube-scheduler": (
        f"registry.k8s.io/kube-scheduler:{VERSION}",
        {"cpu": "100m"},
        ["kube-scheduler", f"--kubeconfig={CONFIG}/scheduler.conf", "--leader-elect=true"],
    ),
}
"""Image, requests and command of each."""


def is_mirror(pod: Obj) -> bool:
    """Whether a pod only shows what runs from a manifest on its node."""
    return MIRROR in (pod["metadata"].get("annotations") or {})


def manifest(component: str, node: Obj, now: str) -> Obj:
    """The mirror pod of a component on a node."""
    image, requests, command = COMPONENTS[component]
    digest = hashlib.md5(f"{component} {node['metadata']['name']}".encode(), usedforsecurity=False).hexdigest()
    owner = {"apiVersion": "v1", "kind": "Node", "name": node["metadata"]["name"], "uid": node["metadata"]["uid"]}
    container = {
        "name": component,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": list(command),
        "resources": {"requests": dict(requests)},
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"{component}-{node['metadata']['name']}",
            "namespace": NAMESPACE,
            "labels": {"component": component, "tier": "control-plane"},
            "annotations": {
                "kubernetes.io/config.hash": digest,
                MIRROR: digest,
                "kubernetes.io/config.seen": now,
                "kubernetes.io/config.source": "file",
            },
            "ownerReferences": [{**owner, "controller": True}],
        },
        "spec": {
            "containers": [container],
            "hostNetwork": True,
            "nodeName": node["metadata"]["name"],
            "priorityClassName": "system-node-critical",
            "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
            "tolerations": [{"effect": "NoExecute", "operator": "Exists"}],
        },
    }


def running(pod: Obj, address: str, now: str) -> Obj:
    """The status of a mirror pod whose component runs; one that was not ready before has been started again."""
    before = (pod.get("status") or {}).get("containerStatuses") or []
    restarts = before[0]["restartCount"] + 1 if before else 0
    container = pod["spec"]["containers"][0]
    name = container["name"]
    digest = hashlib.sha256(f"{pod['metadata']['uid']} {name} {restarts}".encode()).hexdigest()
    status = {
        "name": name,
        "image": container["image"],
        "imageID": f"{container['image'].rpartition(':')[0]}@sha256:{hashlib.sha256(name.encode()).hexdigest()}",
        "containerID": f"containerd://{digest}",
        "ready": True,
        "started": True,
        "restartCount": restarts,
        "state": {"running": {"startedAt": now}},
        "lastState": {},
    }
    kinds = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")
    ips = {"hostIP": address, "hostIPs": [{"ip": address}], "podIP": address, "podIPs": [{"ip": address}]}
    return {
        **(pod.get("status") or {}),
        **ips,
        "phase": "Running",
        "startTime": now,
        "conditions": [{"type": kind, "status": "True", "lastTransitionTime": now} for kind in kinds],
        "containerStatuses": [status],
    }


class StaticPods(Component):
    """Keys are names of components; ``runs`` says whether one runs. It works while ``kubelet`` is heard."""

    name = "kubelet"
    agent = "kubelet"

    def __init__(
        self, server: Server, loop: WorkLoop, informers: Informers, kubelet: Kubelet, runs: Callable[[str], bool]
    ) -> None:
        self.node_name = kubelet.node_name
        super().__init__(server, loop, informers)
        self._kubelet, self._runs = kubelet, runs
        self._ended: set[str] = set()
        """Components that have ended without anybody being able to say so."""

    def _connect(self) -> Client:
        user = f"system:node:{self.node_name}"
        return Client(self._server, self.name, self.clock, user=user, agent=self.agent, informers=self._shared)

    def watch(self) -> None:
        """The mirror pods, and the node that they are of."""
        self._names = {f"{each}-{self.node_name}": each for each in COMPONENTS}
        self._pods = self.client.observe("pods", self._pod_changed)
        self._nodes = self.client.observe("nodes", self._node_changed)
        self.look()

    def look(self) -> None:
        """Something was stopped or started."""
        for component in COMPONENTS:
            self.enqueue(component)

    def _pod_changed(self, event: Event) -> None:
        meta = event.obj["metadata"]
        if meta["name"] in self._names and meta["namespace"] == NAMESPACE:
            self.enqueue(self._names[meta["name"]])

    def _node_changed(self, event: Event) -> None:
        if event.type == "ADDED" and event.obj["metadata"]["name"] == self.node_name:
            self.look()

    def reconcile(self, key: Hashable) -> None:
        """Bring one mirror pod in line with its component."""
        component = str(key)
        node = self._nodes.get("", self.node_name)
        if not (self._kubelet.powered and self._runs(component)):
            self._ended.add(component)
        if node is None or not (self._kubelet.heard and self._runs("kube-apiserver") and self._runs("etcd")):
            return  # whoever starts what is missing has this looked at again
        name = f"{component}-{self.node_name}"
        pod = self._pods.get(NAMESPACE, name)
        if pod is not None and ("deletionTimestamp" in pod["metadata"] or not self._runs(component)):
            if is_mirror(pod):
                self.client.delete("pods", name, NAMESPACE, gracePeriodSeconds=0)
                self._ended.discard(component)
            return  # this comes by again when it is gone
        if pod is None and self._runs(component):
            pod = self.client.create("pods", manifest(component, node, self.clock.timestamp()), NAMESPACE)
        if pod is not None and is_mirror(pod) and (component in self._ended or not is_ready(pod)):
            changed = copy_of(pod)
            changed["status"] = running(pod, self._kubelet.settings.ip, self.clock.timestamp())
            self.client.update("pods", changed, subresource="status")
            self._ended.discard(component)


__all__ = ["COMPONENTS", "StaticPods", "is_mirror"]
