"""Bare pods, which nobody controls: the grader makes again itself what it had ended of them, as it was asked for.

A pod's name is free once it is gone, so one that is going is given its own grace first. It refuses to let a learner's
pod keep a check from its verdict: a grace longer than an attempt has time for is cut short, and finalizers, which
nobody may be there to deal with, go.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

from grader import limits
from grader.clock import Clock
from grader.cluster import Cluster
from grader.connection import Connection
from grader.errors import ClusterUnreachable, Missing, Refused
from grader.objects import Pod

EVERY = 0.2


class BarePods:
    """Those of the cluster's namespace."""

    def __init__(self, cluster: Cluster, clock: Clock) -> None:
        self._cluster, self._clock = cluster, clock

    def make_again(self, pods: Sequence[Pod], *, in_place: bool = False) -> None:
        """Make those again that are gone or going, ``in_place`` on the nodes that they were on; may be called twice.

        ``ClusterUnreachable`` when one does not go.
        """
        for pod in pods:
            self._let_go(pod)  # all of them, before one is waited for
        for pod in pods:
            if self._is_gone(pod):
                self._make(pod, pod.node if in_place else "")

    def _let_go(self, pod: Pod) -> None:
        now = self._going(pod)
        if now is None:
            return
        if now.metadata.get("finalizers"):
            with contextlib.suppress(Missing):
                self._cluster.connection.patch(_path(now), {"metadata": {"finalizers": None}}, "merge-patch")
        if now.grace > limits.GRACE_SECONDS:
            delete(self._cluster.connection, now, grace=int(limits.GRACE_SECONDS))

    def _is_gone(self, pod: Pod) -> bool:
        """Whether its name is free; waits while it is going."""
        now = self._going(pod)
        seconds = limits.ENDED_SECONDS + (now.grace if now else 0)
        deadline = self._clock.now() + seconds
        while True:
            look = self._clock.look()
            if self._going(pod) is None:
                break
            if not look.again(EVERY, deadline):
                raise ClusterUnreachable(f"pod {pod.name} is still being deleted after {seconds:g} s")
        return self._cluster.find("pod", pod.name) is None

    def _going(self, pod: Pod) -> Pod | None:
        """This very pod as it is now, if it is being deleted."""
        raw = self._cluster.find("pod", pod.name)
        now = Pod(raw) if raw else None
        return now if now and now.uid == pod.uid and now.terminating else None

    def _make(self, pod: Pod, node: str) -> None:
        try:
            self._cluster.connection.create(f"/api/v1/namespaces/{pod.namespace}/pods", again(pod, node))
        except Refused as error:
            if error.status != 409:
                raise  # else it is there, made by a request whose answer was lost


def delete(connection: Connection, pod: Pod, *, grace: int | None = None) -> None:
    """Delete this very pod, with its own grace unless one is given (s); a no-op when it is gone."""
    options = {} if grace is None else {"gracePeriodSeconds": grace}
    try:
        connection.delete(_path(pod), preconditions={"uid": pod.uid}, **options)
    except Missing:
        pass  # by somebody else's hand
    except Refused as error:
        if error.status != 409:  # there is another of that name by now
            raise


def again(pod: Pod, node: str = "") -> dict[str, Any]:
    """The manifest to make a deleted pod again, on ``node`` if one is given: what was asked for, without what the
    cluster added to it."""
    asked = ("name", "labels", "annotations", "finalizers")
    metadata = {key: pod.raw["metadata"][key] for key in asked if key in pod.raw["metadata"]}
    spec = {key: value for key, value in pod.spec.items() if key not in ("nodeName", "priority", "preemptionPolicy")}
    spec.update({"nodeName": node} if node else {})
    mounts = {one["name"] for one in spec.get("volumes") or [] if _automatic(one)}
    spec["volumes"] = [one for one in spec.get("volumes") or [] if one["name"] not in mounts]
    for group in ("containers", "initContainers"):
        if group in spec:
            spec[group] = [
                {**one, "volumeMounts": [m for m in one.get("volumeMounts") or [] if m["name"] not in mounts]}
                for one in spec[group]
            ]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def _automatic(volume: dict[str, Any]) -> bool:
    """Whether it is the service account's token, which admission adds to every pod."""
    name = str(volume["name"])
    return name.startswith("kube-api-access-") or ("secret" in volume and name.startswith("default-token-"))


def _path(pod: Pod) -> str:
    return f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}"
