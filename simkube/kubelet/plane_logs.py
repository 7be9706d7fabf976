"""What the programs of a control plane have logged: their start, and what they would have said of what happened since.

The lines are made when somebody reads them, from the cluster's trace and the status of the mirror pod; nothing is kept.
They are those of a program without ``-v``, as far as it says anything of what can happen here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime

from simkube.client.client import Obj
from simkube.clock.clock import Future
from simkube.kubelet.node import VERSION
from simkube.runtime import klog
from simkube.runtime.cri import LogLine
from simkube.trace.entry import Entry
from simkube.trace.trace import Trace

Lookup = Callable[[str, str, str], Obj | None]
"""An object by resource, namespace and name."""
Said = Iterator[tuple[float, str]]

COMPACTION_SECONDS, MOST_COMPACTIONS = 300.0, 50
_CONTROLLERS = (
    "serviceaccount-token-controller",
    "namespace-controller",
    "deployment-controller",
    "replicaset-controller",
    "job-controller",
    "cronjob-controller",
    "daemonset-controller",
    "statefulset-controller",
    "endpointslice-controller",
    "garbage-collector-controller",
    "node-lifecycle-controller",
    "persistentvolume-binder-controller",
    "horizontal-pod-autoscaler-controller",
)


def _apiserver(started: float, entries: Iterable[Entry], lookup: Lookup) -> Said:
    for source, text in (
        ("options.go:263", "external host was not specified, using the node's address"),
        ("server.go:150", f"Version: {VERSION}"),
        ("shared_informer.go:349", '"Waiting for caches to sync" controller="node_authorizer"'),
        ("secure_serving.go:211", "Serving securely on [::]:6443"),
        ("system_namespaces_controller.go:66", "Starting system namespaces controller"),
        ("default_servicecidr_controller.go:110", "Starting kubernetes-service-cidr-controller"),
        ("cluster_authentication_trust_controller.go:459", "Starting cluster_authentication_trust controller"),
        ("apf_controller.go:377", "Starting API Priority and Fairness config controller"),
        ("controller.go:667", "quota admission added evaluator for: leases.coordination.k8s.io"),
        ("storage_scheduling.go:111", "all system priority classes are created successfully or already exist."),
    ):
        yield started, klog.line(started, source, text)
    seen = {"leases.coordination.k8s.io"}
    for entry in entries:
        if entry.did != "created":
            continue
        if entry.resource not in seen and entry.namespace:
            seen.add(entry.resource)
            text = f"quota admission added evaluator for: {entry.resource}"
            yield entry.at, klog.line(entry.at, "controller.go:667", text)
        found = lookup(entry.resource, entry.namespace, entry.name)
        if entry.resource == "services" and found is not None and found["spec"].get("clusterIP") not in (None, "None"):
            addresses = json.dumps({"IPv4": found["spec"]["clusterIP"]}, separators=(",", ":"))
            text = f'"allocated clusterIPs" service="{entry.namespace}/{entry.name}" clusterIPs={addresses}'
            yield entry.at, klog.line(entry.at, "alloc.go:328", text)
        elif entry.resource == "customresourcedefinitions.apiextensions.k8s.io" and found is not None:
            for version in found["spec"].get("versions") or ():
                text = f"Adding GroupVersion {found['spec']['group']} {version['name']} to ResourceManager"
                yield entry.at, klog.line(entry.at, "handler.go:288", text)


def _manager(started: float, entries: Iterable[Entry], lookup: Lookup) -> Said:  # noqa: ARG001 - as the others
    lease = "kube-system/kube-controller-manager"
    for source, text in (
        ("controllermanager.go:188", klog.quoted("Starting", version=VERSION)),
        ("secure_serving.go:211", "Serving securely on 127.0.0.1:10257"),
        ("leaderelection.go:257", f"attempting to acquire leader lease {lease}..."),
        ("leaderelection.go:271", f"successfully acquired lease {lease}"),
        *(("controllermanager.go:739", klog.quoted("Started controller", controller=name)) for name in _CONTROLLERS),
        ("shared_informer.go:356", '"Caches are synced" controller="garbage collector"'),
    ):
        yield started, klog.line(started, source, text)
    for entry in entries:
        if entry.by == "replicaset-controller" and entry.resource == "replicasets.apps":
            values = {"logger": entry.by, "kind": "ReplicaSet", "key": f"{entry.namespace}/{entry.name}"}
            yield entry.at, klog.line(entry.at, "replica_set.go:711", klog.quoted("Finished syncing", **values))


def _scheduler(started: float, entries: Iterable[Entry], lookup: Lookup) -> Said:
    lease = "kube-system/kube-scheduler"
    for source, text in (
        ("serving.go:392", "Generated self-signed cert in-memory"),
        ("server.go:175", klog.quoted("Starting Kubernetes Scheduler", version=VERSION)),
        ("secure_serving.go:211", "Serving securely on 127.0.0.1:10259"),
        ("leaderelection.go:257", f"attempting to acquire leader lease {lease}..."),
        ("leaderelection.go:271", f"successfully acquired lease {lease}"),
    ):
        yield started, klog.line(started, source, text)
    for entry in entries:
        if entry.by != "kube-scheduler" or entry.resource != "pods" or entry.verb != "patch/status":
            continue
        pod = lookup("pods", entry.namespace, entry.name) or {}
        for one in (pod.get("status") or {}).get("conditions") or ():
            if one["type"] == "PodScheduled" and one.get("reason") == "SchedulerError":
                why = str(one.get("message", "")).replace('"', '\\"')
                text = f'"Error scheduling pod; retrying" err="{why}" pod="{entry.namespace}/{entry.name}"'
                yield entry.at, klog.line(entry.at, "schedule_one.go:1096", text, "E")


def _etcd(started: float, entries: Iterable[Entry], lookup: Lookup) -> Said:  # noqa: ARG001 - as the others
    def said(when: float, caller: str, msg: str, **more: object) -> tuple[float, str]:
        stamp = datetime.fromtimestamp(when, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        return when, json.dumps({"level": "info", "ts": stamp, "caller": caller, "msg": msg, **more})

    yield said(started, "embed/etcd.go:138", "configuring peer listeners")
    yield said(started, "embed/etcd.go:640", "starting an etcd server")
    yield said(started, "etcdserver/server.go:1804", "published local member to cluster through raft")
    yield said(started, "embed/serve.go:283", "serving client traffic securely", address="127.0.0.1:2379")
    revision, due = 0, started + COMPACTION_SECONDS
    made = 0
    for entry in entries:
        while revision and entry.at >= due and made < MOST_COMPACTIONS:
            what = {"compact-revision": revision}
            yield said(due, "mvcc/kvstore_compaction.go:72", "finished scheduled compaction", **what)
            due, made = due + COMPACTION_SECONDS, made + 1
        revision = entry.revision or revision


_PROGRAMS: Mapping[str, Callable[[float, Iterable[Entry], Lookup], Said]] = {
    "etcd": _etcd,
    "kube-apiserver": _apiserver,
    "kube-controller-manager": _manager,
    "kube-scheduler": _scheduler,
}


class PlaneLog:
    """Keeps :class:`simkube.runtime.cri.Log`."""

    def __init__(self, program: str, started: float, trace: Trace, lookup: Lookup) -> None:
        self._program, self._started, self._trace, self._lookup = program, started, trace, lookup

    def lines(self) -> list[LogLine]:
        """Every line there is to be made."""
        entries = [entry for entry in self._trace.since(0) if entry.at >= self._started]
        made = _PROGRAMS[self._program](self._started, entries, self._lookup)
        return [LogLine(when, "stderr", text) for when, text in made]

    def follow(self, handler: Callable[[LogLine], None]) -> Callable[[], None]:
        """Call ``handler`` for each new line until the returned call is made."""
        told, going = len(self.lines()), True
        forget = self._trace.when_more(lambda: more())

        def more() -> None:
            nonlocal told, forget
            if not going:
                return
            lines = self.lines()
            for line in lines[told:]:
                handler(line)
            told = max(told, len(lines))
            forget = self._trace.when_more(more)

        def end() -> None:
            nonlocal going
            going = False
            forget()

        return end


class PlaneContainer:
    """What can be asked of the container of a mirror pod: its log. ``id`` is that of its status."""

    def __init__(self, id: str, log: PlaneLog) -> None:
        self.id = id
        self.log = log
        self.exited: Future[int] = Future()


def container(pod: Obj, identity: str, trace: Trace, lookup: Lookup) -> PlaneContainer | None:
    """The container of a mirror pod with that ``containerID``; None for any other."""
    program = pod["metadata"].get("labels", {}).get("component", "")
    for status in (pod.get("status") or {}).get("containerStatuses") or ():
        running = (status.get("state") or {}).get("running")
        if status.get("containerID") == identity and running and program in _PROGRAMS:
            started = datetime.fromisoformat(running["startedAt"]).timestamp()
            return PlaneContainer(identity.partition("://")[2], PlaneLog(program, started, trace, lookup))
    return None
