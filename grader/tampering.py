"""Whether a pod of the grader's is the one that was made, as it was asked for, all the time.

An administrator of the cluster can delete it and put another in its place, have a webhook change it, give it another
image, add a container, or lead the API server to another address; what then answers in its stead could say anything.
So nothing it says counts before its object was looked at afterwards: a pod that is deleted never comes back with its
uid, and every version that its object has had since the last look is read.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

from grader.connection import Connection
from grader.errors import Missing, Obstructed, ProbeUnavailable, Refused
from grader.shapes import Fields, fields, rows
from grader.text import quoted

POD = "probe"
NAME_SERVERS = "/apis/apps/v1/namespaces/kube-system/deployments/coredns"
EVENTS = "kubectl get events --all-namespaces; kubectl get pods --all-namespaces"
FOREIGN = (
    *("initContainers", "ephemeralContainers", "volumes", "hostAliases", "runtimeClassName", "shareProcessNamespace"),
    *("hostNetwork", "hostPID", "hostIPC"),
)
"""What the pod's spec must not have."""
FOREIGN_IN_CONTAINER = (
    *("command", "envFrom", "volumeMounts", "volumeDevices", "workingDir", "lifecycle", "resources", "restartPolicy"),
    *("livenessProbe", "readinessProbe", "startupProbe"),
)
ADMITTED = ("resources",)
"""What a namespace's LimitRange gives to every container."""
MAY_DIFFER = ("activeDeadlineSeconds", "tolerations", "containers")
"""What may be added to or lowered; it harms only if the pod ends early, which is seen."""
STARVED = ("OutOfpods", "OutOfcpu", "OutOfmemory", "OutOfephemeral-storage", "Preempting", "DeadlineExceeded")
"""Why a kubelet ends a pod when the cluster was filled by whoever owns it, or its deadline was lowered."""


class Watch:
    """Looks after the grader's pod in ``namespace``; ``asked`` is the manifest it was made from, ``uid`` the one that
    it was made with: no other counts, from the first look on.

    ``guest``: it lives among the learner's, whose rules may give its container resources; it must have its labels, and
    no others.
    """

    def __init__(
        self, connection: Connection, namespace: str, asked: Fields, uid: str, *, name: str = POD, guest: bool = False
    ) -> None:
        self._connection, self._asked, self._uid, self._name, self._guest = connection, asked, uid, name, guest
        self._path = f"/api/v1/namespaces/{namespace}/pods"
        self._marks: tuple[str, ...] = ()
        self._version = ""

    def pod(self) -> dict[str, Any]:
        """The pod as it is, found to be what was asked for; ``Obstructed``."""
        try:
            raw = self._connection.get(f"{self._path}/{self._name}")
        except Missing as error:
            raise _deleted() from error
        self._hold(raw)
        return raw

    def begin(self, raw: Fields) -> None:
        """Take it as it is now for what it is to remain."""
        self._marks, self._version = marks(raw), _version(raw)

    def look(self) -> None:
        """``Obstructed`` when it is not, or for a moment was not, what it was at the beginning."""
        raw = self.pod()
        if _version(raw) != self._version:
            for one in self._since():
                self._hold(one)
            self._version = _version(raw)

    def _hold(self, raw: Fields) -> None:
        what = differs(raw, self._asked, ADMITTED if self._guest else ())
        if self._guest and _labels(raw) != _labels(self._asked):
            what = "labels"
        if what:
            raise Obstructed(
                f"the grader's probe pod was changed: {what} is not what it was made with",
                "kubectl get mutatingwebhookconfigurations; kubectl get limitranges --all-namespaces",
            )
        metadata = fields(raw.get("metadata"))
        if metadata.get("deletionTimestamp") or metadata.get("uid") != self._uid:
            raise _deleted()
        if self._marks and marks(raw) != self._marks:
            why_it_ended(raw)
            if _out_of_memory(raw):
                raise ProbeUnavailable("the probe ran out of memory, of which it has no limit: its node has none left")
            raise Obstructed("the grader's probe pod was replaced or restarted while it was at work", EVENTS)

    def _since(self) -> list[Fields]:
        """Every version of the pod since the one that was looked at last."""
        query = {"watch": "true", "resourceVersion": self._version, "timeoutSeconds": 1}
        try:
            lines = self._connection.text(self._path, fieldSelector=f"metadata.name={self._name}", **query).splitlines()
            events = [fields(json.loads(line)) for line in lines]
        except (Refused, ValueError, RecursionError) as error:
            raise Obstructed("what became of the grader's probe pod cannot be read", EVENTS) from error
        if any(one.get("type") in ("DELETED", "ERROR") for one in events):
            raise _deleted()
        return [fields(one.get("object")) for one in events if one.get("type") != "BOOKMARK"]


def differs(raw: Fields, asked: Fields, admitted: Collection[str] = ()) -> str:
    """The first field in which a pod is not as it was asked for; "" when it is. ``admitted``: fields of its container
    that a namespace's own rules may have filled in."""
    spec, wanted = fields(raw.get("spec")), fields(asked.get("spec"))
    if spec.get("dnsPolicy", "ClusterFirst") != "ClusterFirst":
        return "dnsPolicy"
    for key in FOREIGN:
        if spec.get(key):
            return key
    for key in wanted:
        if key not in MAY_DIFFER and spec.get(key) != wanted[key]:
            return key
    containers = rows(spec.get("containers"))
    if len(containers) != 1:
        return "containers"
    return _container_differs(containers[0], rows(wanted.get("containers"))[0], admitted)


def _container_differs(container: Fields, asked: Fields, admitted: Collection[str]) -> str:
    for key in FOREIGN_IN_CONTAINER:
        if container.get(key) and key not in admitted:
            return key
    for key in asked:
        if key != "ports" and container.get(key) != asked[key]:
            return key
    ports = [one.get("containerPort") for one in rows(container.get("ports"))]
    return "" if ports == [one["containerPort"] for one in asked["ports"]] else "ports"


def marks(raw: Fields) -> tuple[str, ...]:
    """By what a pod and its one process are known."""
    status = fields(raw.get("status"))
    process = [(one.get("containerID"), one.get("restartCount")) for one in rows(status.get("containerStatuses"))]
    uid = fields(raw.get("metadata")).get("uid")
    return tuple(str(one) for one in (uid, status.get("phase"), status.get("podIP"), process))


def why_it_ended(raw: Fields) -> None:
    """``Obstructed`` when the reason for which the kubelet ended a pod is the learner's."""
    status = fields(raw.get("status"))
    reason = str(status.get("reason") or "")
    if reason in STARVED:
        raise Obstructed(
            f"the grader's probe pod was not let run ({reason}): {quoted(status.get('message') or '')}",
            "kubectl describe nodes; kubectl get pods --all-namespaces --output wide",
        )


def _out_of_memory(raw: Fields) -> bool:
    ends = [fields(one.get("lastState")) for one in rows(fields(raw.get("status")).get("containerStatuses"))]
    return any(fields(one.get("terminated")).get("reason") == "OOMKilled" for one in ends)


def missing_name_servers(connection: Connection) -> str:
    """Why the cluster has no name servers, when its owner did away with them; "" when they are wanted."""
    try:
        found = connection.get(NAME_SERVERS)
    except Missing:
        return "the cluster has no name server: there is no Deployment coredns in kube-system"
    if fields(found.get("spec")).get("replicas") == 0:
        return "the cluster has no name server: the Deployment coredns in kube-system is scaled to 0"
    return ""


def _labels(raw: Fields) -> Fields:
    return fields(fields(raw.get("metadata")).get("labels"))


def _deleted() -> Obstructed:
    return Obstructed("the grader's probe pod was deleted while it was at work", EVENTS)


def _version(raw: Fields) -> str:
    return str(fields(raw.get("metadata")).get("resourceVersion"))
