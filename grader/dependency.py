"""A dependency taken away and given back: a workload that has no pods any more, or a Service that leads nowhere.

A workload is scaled to nothing and its pods are killed, without grace, so that open connections break too. A Service
keeps its address and has no endpoints: new connections are refused, open ones live on. It refuses a Service without a
selector, whose endpoints are somebody's own.
"""

from __future__ import annotations

import urllib.parse
from collections.abc import Callable, Mapping
from typing import Any

from grader.clock import Clock
from grader.connection import Connection
from grader.errors import FaultUnavailable, Missing, Refused
from grader.objects import Pod
from grader.shapes import fields, objects, rows, whole

WORKLOADS = ("deployment", "statefulset", "replicaset")
NOBODY = {"kindling.example/taken-away": "true"}
GONE_SECONDS, BACK_SECONDS, EVERY = 30.0, 60.0, 0.2


class Dependency:
    """One object: ``kind`` is ``service`` or one of :data:`WORKLOADS`."""

    def __init__(self, connection: Connection, clock: Clock, before: dict[str, Any]) -> None:
        """``before``: the object as it was."""
        self._connection, self._clock, self.before = connection, clock, before
        self.kind = str(before["kind"]).lower()
        self.name, self.namespace = str(before["metadata"]["name"]), str(before["metadata"]["namespace"])

    def take_away(self) -> None:
        """Return when it is gone for whoever asks; a no-op when it is."""
        if self.kind == "service":
            self._select(NOBODY)
            self._until(self._empty, GONE_SECONDS, f"Service {self.name} still has endpoints")
        else:
            self._scale(0)
            self._until(self._killed, GONE_SECONDS, f"{self.kind} {self.name} still has pods")

    def give_back(self) -> None:
        """As it was, and as ready as it was, if that takes no longer than a minute; one that was replaced is left."""
        now = self._now()
        if now is None or now["metadata"]["uid"] != self.before["metadata"]["uid"]:
            return
        if self.kind == "service":
            if fields(now["spec"].get("selector")) == NOBODY:
                self._select(dict(self.before["spec"]["selector"]))
            return
        if now["spec"].get("replicas") == 0:
            self._scale(whole(self.before["spec"].get("replicas", 1)))
        self._wait(self._as_ready, BACK_SECONDS)

    def _path(self) -> str:
        group = "/api/v1" if self.kind == "service" else "/apis/apps/v1"
        return f"{group}/namespaces/{self.namespace}/{self.kind}s/{urllib.parse.quote(self.name, safe='')}"

    def _now(self) -> dict[str, Any] | None:
        try:
            return self._connection.get(self._path())
        except Missing:
            return None

    def _scale(self, replicas: int) -> None:
        self._connection.patch(self._path(), {"spec": {"replicas": replicas}}, "merge-patch")

    def _select(self, selector: dict[str, str]) -> None:
        if not self.before["spec"].get("selector"):
            raise FaultUnavailable(f"Service {self.name} has no selector: its endpoints cannot be taken away")
        self._connection.patch(
            self._path(), [{"op": "replace", "path": "/spec/selector", "value": selector}], "json-patch"
        )

    def _empty(self) -> bool:
        try:
            found = self._connection.get(f"/api/v1/namespaces/{self.namespace}/endpoints/{self.name}")
        except Missing:
            return True
        return not any(one.get("addresses") for one in rows(found.get("subsets")))

    def _killed(self) -> bool:
        """Whether no pod of it is left; kills those that there are."""
        pods = f"/api/v1/namespaces/{self.namespace}/pods"
        left = [pod for pod in map(Pod, objects(self._connection.get(pods))) if self._owns(pod)]
        for pod in left:
            try:
                self._connection.delete(f"{pods}/{pod.name}", gracePeriodSeconds=0, preconditions={"uid": pod.uid})
            except Refused:
                continue  # gone, or another of that name by now
        return not left

    def _owns(self, pod: Pod) -> bool:
        owners = self._owners()
        return any(one.get("controller") and one.get("uid") in owners for one in _owners_of(pod.raw))

    def _owners(self) -> set[str]:
        uid = str(self.before["metadata"]["uid"])
        if self.kind != "deployment":
            return {uid}
        sets = objects(self._connection.get(f"/apis/apps/v1/namespaces/{self.namespace}/replicasets"))
        mine = [one for one in sets if any(owner.get("uid") == uid for owner in _owners_of(one))]
        return {str(one["metadata"]["uid"]) for one in mine}

    def _as_ready(self) -> bool:
        had = whole(fields(self.before.get("status")).get("readyReplicas"))
        now = self._now()
        return now is None or whole(fields(now.get("status")).get("readyReplicas")) >= had

    def _until(self, done: Callable[[], bool], seconds: float, trouble: str) -> None:
        if not self._wait(done, seconds):
            raise FaultUnavailable(f"{trouble} after {seconds:g} s")

    def _wait(self, done: Callable[[], bool], seconds: float) -> bool:
        deadline = self._clock.now() + seconds
        while not done():
            if self._clock.now() > deadline:
                return False
            self._clock.sleep(EVERY)
        return True


def _owners_of(raw: Mapping[str, Any]) -> list[dict[str, Any]]:
    return rows(fields(raw.get("metadata")).get("ownerReferences"))
