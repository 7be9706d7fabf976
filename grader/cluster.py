"""The ``cluster`` fixture: the learner's cluster as a check sees it.

Helpers answer the questions checks ask again and again (which pods, are they ready and if not why, who is behind this
Service, what does the log say) in the learner's namespace. For everything else there is the official client:
``cluster.core``, ``cluster.apps`` and ``cluster.client``. It changes nothing, but for ``restore``; what breaks things
is ``faults``.
"""

from __future__ import annotations

import functools
import math
import urllib.parse
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from grader import explain, limits
from grader.checks import fail
from grader.connection import Connection
from grader.errors import FaultUnavailable, Missing, Refused
from grader.objects import Endpoint, Endpoints, Pod, endpoints, seconds_of
from grader.shapes import fields, rows, whole
from grader.shapes import objects as objects_of
from grader.text import plain
from grader.waiting import poll

Selector = str | Mapping[str, str]
Ask = Callable[[str, str], None]
"""Have the session inject a fault (name, target). ``FaultUnavailable``; ``LookupError`` for an unknown target."""
HOMES = {
    "deployment": "/apis/apps/v1",
    "replicaset": "/apis/apps/v1",
    "statefulset": "/apis/apps/v1",
    "daemonset": "/apis/apps/v1",
    "pod": "/api/v1",
    "service": "/api/v1",
    "endpoints": "/api/v1",
    "configmap": "/api/v1",
    "secret": "/api/v1",
    "serviceaccount": "/api/v1",
}


class Cluster:
    """One learner's namespace in one cluster. ``core``, ``apps``, ``client``: the official Python client."""

    def __init__(self, connection: Connection, namespace: str, ask: Ask | None = None) -> None:
        """``ask``: whom to ask for what needs the machine below the cluster."""
        self.connection = connection
        self.namespace = namespace
        self._ask = ask

    # -- the official client -----------------------------------------------------------------------------------------

    @functools.cached_property
    def client(self) -> Any:
        """``kubernetes.client.ApiClient`` for this cluster (imported when first asked for: it takes 0.3 s)."""
        import kubernetes.client
        import kubernetes.config
        import yaml

        self.connection.activity.uncounted = True
        given = yaml.safe_load(self.connection.kubeconfig)
        make: Any = kubernetes.config.new_client_from_config_dict
        return make(given)

    @functools.cached_property
    def core(self) -> Any:
        """``kubernetes.client.CoreV1Api``."""
        import kubernetes.client

        return kubernetes.client.CoreV1Api(self.client)

    @functools.cached_property
    def apps(self) -> Any:
        """``kubernetes.client.AppsV1Api``."""
        import kubernetes.client

        return kubernetes.client.AppsV1Api(self.client)

    # -- etcd --------------------------------------------------------------------------------------------------------

    def backup(self, name: str = "backup") -> None:
        """Back up etcd: every object of the cluster, and nothing of what is on nodes and in volumes. On kind the API
        server is away for some seconds meanwhile."""
        self._asked("backup-etcd", name)

    def restore(self, name: str = "backup") -> None:
        """Go back to a backup: what was made since is gone, its pods too; what was deleted is back. Is not undone."""
        self._asked("restore-etcd", name)

    def _asked(self, what: str, name: str) -> None:
        if self._ask is None:
            raise FaultUnavailable(f"{what}: nobody to ask")
        try:
            self._ask(what, name)
        except LookupError as error:
            raise FaultUnavailable(f"{what} {name}: {error}") from error

    # -- objects -----------------------------------------------------------------------------------------------------

    def find(self, kind: str, name: str) -> dict[str, Any] | None:
        """The object as JSON, None when there is none. ``kind`` is the singular: deployment, service, pod, ..."""
        try:
            return self.connection.get(f"{self._path(kind)}/{urllib.parse.quote(name, safe='')}")
        except Missing:
            return None

    def get(self, kind: str, name: str) -> dict[str, Any]:
        """The object as JSON; the check fails, saying so, when the learner has none of that name."""
        found = self.find(kind, name)
        if found is None:
            fail(
                expected=f"a {kind} named {name} in namespace {self.namespace}",
                observed="there is none",
                look=f"kubectl get {kind} --namespace {self.namespace}",
            )
        return found

    def objects(self, kind: str, selector: Selector = "") -> list[dict[str, Any]]:
        """Objects as JSON. Of more than any lab needs, a check would see only some: it fails, saying so."""
        answer = self.connection.get(self._path(kind), labelSelector=selector_text(selector), limit=limits.LISTED)
        if fields(answer.get("metadata")).get("continue"):
            fail(
                expected=f"at most {limits.LISTED} of {kind}s in namespace {self.namespace}",
                observed="there are more",
                look=f"kubectl get {kind}s --namespace {self.namespace}",
                final=True,
            )
        return objects_of(answer)

    def _path(self, kind: str) -> str:
        plural = kind if kind.endswith("s") else kind + "s"
        return f"{HOMES[kind]}/namespaces/{self.namespace}/{plural}"

    # -- pods --------------------------------------------------------------------------------------------------------

    def pod(self, name: str) -> Pod:
        """The pod of that name; the check fails when there is none."""
        return Pod(self.get("pod", name))

    def pods(self, selector: Selector = "", *, terminating: bool = False) -> list[Pod]:
        """Pods that match, oldest first; those being deleted or over only with ``terminating``."""
        found = [Pod(one) for one in self.objects("pod", selector)]
        found.sort(key=lambda one: (str(one.metadata.get("creationTimestamp")), one.name))
        return [one for one in found if terminating or not (one.terminating or one.over)]

    def pods_of(self, kind: str, name: str, *, ending: bool = False) -> list[Pod]:
        """Pods that the workload controls, whatever their labels: directly, or through its replica sets. Those being
        deleted only with ``ending``."""
        uid = str(fields(self.get(kind, name).get("metadata")).get("uid"))
        owners = {uid}
        if kind == "deployment":
            owners |= {str(one["metadata"].get("uid")) for one in self.objects("replicaset") if _owned(one, {uid})}
        return [pod for pod in self.pods(terminating=ending) if _owned(pod.raw, owners) and not pod.over]

    def pods_behind(self, service: str) -> list[Pod]:
        """Ready pods that the Service sends its clients to."""
        names = {one.pod for one in self.endpoints(service).ready if one.pod}
        return [one for one in self.pods() if one.name in names]

    def ready_pods(self, selector: Selector, count: int, seconds: float, look: str = "") -> list[Pod]:
        """Wait until exactly ``count`` pods match and all are ready; the check fails saying which is not and why."""
        shown = selector_text(selector)

        def all_ready() -> list[Pod]:
            pods = self.pods(selector)
            if len(pods) != count or not all(one.ready for one in pods):
                extra = f" ({len(pods)} pods match)" if len(pods) > count else ""
                fail(
                    expected=f"{count} ready pods labelled {shown}",
                    observed=self.explain_all(pods, count) + extra,
                    look=look or f"kubectl get pods --namespace {self.namespace} --selector {shown}",
                )
            return pods

        return poll(all_ready, seconds)

    def ready_pod(self, name: str, seconds: float) -> Pod:
        """Wait until the pod of that name is ready; the check fails saying why it is not, at once when there is none or
        when waiting is no use."""
        self.pod(name)

        def ready() -> Pod:
            pod = self.pod(name)
            if not pod.ready:
                fail(
                    expected=f"pod {name} to be ready",
                    observed=self.explain(pod),
                    look=f"kubectl describe pod {name}; kubectl logs {name} --all-containers",
                    final=explain.stuck(pod),
                )
            return pod

        return poll(ready, seconds)

    def must_run(self, pod: Pod, container: str) -> None:
        """A container of the same pod runs, now; the check fails saying what became of it otherwise."""
        raw = self.find("pod", pod.name)
        now = Pod(raw) if raw and raw["metadata"]["uid"] == pod.uid else None
        found = now.container(container) if now else None
        if now is None or found is None or not found.running:
            fail(
                expected=f"container {container} of pod {pod.name} to be running",
                observed=self.explain(now) if now else "the pod is gone",
                look=f"kubectl describe pod {pod.name}; kubectl logs {pod.name} --container {container} --previous",
            )

    def explain(self, pod: Pod) -> str:
        """One sentence on the state of a pod, with its last log line or event where that says more."""
        return explain.explain(pod, self._last_line, self.last_warning)

    def explain_all(self, pods: Iterable[Pod], wanted: int) -> str:
        """``1 of 3 ready: pod a is ...``."""
        return explain.explain_all(list(pods), wanted, self.explain)

    def logs(self, pod: Pod, container: str, *, lines: int = 100, previous: bool = False) -> str:
        """The end of a container's log; "" when it has none."""
        path = f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}/log"
        query = {"container": container, "tailLines": lines, "limitBytes": limits.LOG_BYTES}
        try:
            return self.connection.text(path, **query, **({"previous": "true"} if previous else {}))
        except Refused:
            return ""  # no process has run yet, or the kubelet has let its log go

    def _last_line(self, pod: Pod, container: str, previous: bool) -> str:
        lines = self.logs(pod, container, lines=5, previous=previous).strip().splitlines()
        return plain(lines[-1], 200) if lines else ""

    def last_warning(self, pod: Pod) -> str:
        """The message of the pod's last warning event."""
        path = f"/api/v1/namespaces/{pod.namespace}/events"
        events = self.connection.get(
            path, fieldSelector=f"involvedObject.name={pod.name},type=Warning", limit=limits.EVENTS_LISTED
        )
        mine = [one for one in objects_of(events) if fields(one.get("involvedObject")).get("uid") == pod.uid]
        latest: Mapping[str, Any] = max(mine, key=_when, default={})
        return plain(latest.get("message", ""), 400)

    # -- services and nodes ------------------------------------------------------------------------------------------

    def endpoints(self, service: str) -> Endpoints:
        """The addresses behind a Service; none when it has none or does not exist."""
        found = self.find("endpoints", service)
        if found is not None:
            return Endpoints(tuple(endpoints(found)))
        try:
            path = f"/apis/discovery.k8s.io/v1/namespaces/{self.namespace}/endpointslices"
            slices = self.connection.get(path, labelSelector=f"kubernetes.io/service-name={service}")
        except Refused:
            return Endpoints()  # before Kubernetes 1.21
        return Endpoints(tuple(address for one in objects_of(slices) for address in _of_slice(one)))

    def url(self, service: str, port: int = 80, path: str = "/") -> str:
        """The URL of a Service by its DNS name, for the probe."""
        return f"http://{service}.{self.namespace}.svc.cluster.local:{port}{path}"

    def nodes(self) -> list[dict[str, Any]]:
        """The cluster's nodes as JSON."""
        return objects_of(self.connection.get("/api/v1/nodes", limit=limits.LISTED))

    def workers(self) -> list[str]:
        """Names of the nodes that are not part of the control plane."""
        return [one["metadata"]["name"] for one in self.nodes() if not is_control_plane(one)]


def is_control_plane(node: Mapping[str, Any]) -> bool:
    """By the labels of kubeadm, before and after Kubernetes 1.24."""
    labels = fields(fields(node.get("metadata")).get("labels"))
    return any(f"node-role.kubernetes.io/{role}" in labels for role in ("control-plane", "master"))


def node_ready(node: Mapping[str, Any]) -> bool:
    """Whether its kubelet says, and the node controller believes, that it is ready."""
    conditions = rows(fields(node.get("status")).get("conditions"))
    return any(one.get("type") == "Ready" and one.get("status") == "True" for one in conditions)


def selector_text(selector: Selector) -> str:
    return selector if isinstance(selector, str) else ",".join(f"{key}={value}" for key, value in selector.items())


def _owned(raw: Mapping[str, Any], uids: set[str]) -> bool:
    return any(
        one.get("controller") and one.get("uid") in uids
        for one in rows(fields(raw.get("metadata")).get("ownerReferences"))
    )


def _when(event: Mapping[str, Any]) -> float:
    for key in ("lastTimestamp", "eventTime", "firstTimestamp"):
        if event.get(key):
            return seconds_of(str(event[key]))
    return seconds_of(str(event["metadata"].get("creationTimestamp") or "")) or math.inf  # just now


def _of_slice(raw: Mapping[str, Any]) -> list[Endpoint]:
    ports = [whole(one.get("port")) for one in rows(raw.get("ports"))] or [0]
    made = []
    for one in rows(raw.get("endpoints")):
        target = fields(one.get("targetRef"))
        ready = fields(one.get("conditions")).get("ready") is not False
        addresses = one.get("addresses")
        for ip in addresses if isinstance(addresses, list) else []:
            made += [Endpoint(str(ip), port, str(target.get("name", "")), ready) for port in ports]
    return made
