"""The ``operate`` fixture: does with a learner's Deployment what its owner would do, and puts it back afterwards.

Scale it, roll out another image, undo the rollout: the way to see whether it was prepared for that. What the learner
had (replicas and pod template) is put back when the attempt ends, so that a check may build on what an earlier one did.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Mapping
from typing import Any

from grader.checks import fail
from grader.cluster import Cluster
from grader.errors import Missing, Refused
from grader.evidence import Evidence
from grader.mark import Changing, unmarked
from grader.objects import Pod
from grader.shapes import fields, objects

HASH = "pod-template-hash"
SCALER = "HorizontalPodAutoscaler"
REVISION = "deployment.kubernetes.io/revision"


class Operate:
    """Acts on Deployments of the learner's namespace."""

    def __init__(self, cluster: Cluster, evidence: Evidence, changing: Changing = unmarked) -> None:
        self._cluster, self._evidence, self._changing = cluster, evidence, changing
        self._before: dict[str, dict[str, Any]] = {}
        self._scalers: dict[str, dict[str, Any]] = {}

    def scale(self, deployment: str, replicas: int) -> None:
        """``kubectl scale``; where a HorizontalPodAutoscaler holds the count, its limits as well, so that it agrees.
        Returns at once."""
        self._remember(deployment)
        scaler = self._scaler(deployment)
        if scaler is not None:
            if scaler["metadata"]["name"] not in self._scalers:
                self._changing("operate", scaler, "")
                self._scalers[scaler["metadata"]["name"]] = scaler
            self._limit(scaler, replicas, replicas)
        self._patch(deployment, {"spec": {"replicas": replicas}})
        self._evidence.add("scale", deployment=deployment, replicas=replicas)

    def set_image(self, deployment: str, image: str, container: str = "") -> None:
        """``kubectl set image`` for a container (by default the first that runs another version of ``image``); returns
        at once."""
        containers = self._remember(deployment)["spec"]["template"]["spec"]["containers"]
        repository = image.rpartition(":")[0]
        chosen = next((one for one in containers if str(one.get("image", "")).startswith(repository)), containers[0])
        name = container or chosen["name"]
        change = {"containers": [{"name": name, "image": image}]}
        self._patch(deployment, {"spec": {"template": {"spec": change}}})
        self._evidence.add("set image", deployment=deployment, container=name, image=image)

    def patch(self, deployment: str, change: Mapping[str, Any]) -> None:
        """``kubectl patch`` (a strategic merge); returns at once."""
        self._remember(deployment)
        self._patch(deployment, dict(change))
        self._evidence.add("patch", deployment=deployment, change=change)

    @property
    def touched(self) -> list[str]:
        """The Deployments that are to be put back."""
        return list(self._before)

    def undo(self, deployment: str) -> None:
        """``kubectl rollout undo``: back to the revision before; the check fails when none was kept."""
        now = self._remember(deployment)
        current = _revision(now)
        owned = [one for one in self._cluster.objects("replicaset") if _controls(now, one) and _revision(one) < current]
        if not owned:
            fail(
                expected="an earlier revision to go back to",
                observed=f"the Deployment {deployment} keeps no earlier revision",
                look=f"kubectl rollout history deployment/{deployment}",
            )
        template = copy.deepcopy(max(owned, key=_revision)["spec"]["template"])
        (template["metadata"].get("labels") or {}).pop(HASH, None)
        self._replace_template(deployment, template)
        self._evidence.add("rollout undo", deployment=deployment, revision=current)

    def rolled_out(self, deployment: str) -> list[Pod]:
        """Its pods, when a rollout has come to its end; the check fails, saying what it waits for, otherwise. Meant for
        ``poll``."""
        return self._complete(deployment, "available")

    def scaled(self, deployment: str) -> list[Pod]:
        """As :meth:`rolled_out`, when it has been scaled: all replicas are ready, whether or not for long enough
        (``minReadySeconds``) to count as available."""
        return self._complete(deployment, "ready")

    def _complete(self, deployment: str, how: str) -> list[Pod]:
        found = self._cluster.get("deployment", deployment)
        wanted = int(found["spec"].get("replicas", 1))
        status = found.get("status") or {}
        seen = status.get("observedGeneration", 0) >= found["metadata"].get("generation", 0)
        counts = [int(status.get(name) or 0) for name in ("replicas", "updatedReplicas", f"{how}Replicas")]
        if not seen or counts != [wanted] * 3:
            fail(
                expected=f"the Deployment {deployment} to have {wanted} replicas, all up to date and {how}",
                observed=lambda: f"{counts[1]} up to date, {counts[2]} {how}{self._troubled(deployment)}",
                look=f"kubectl rollout status deployment/{deployment}; kubectl describe deployment {deployment}",
            )
        return self._cluster.pods_of("deployment", deployment)

    def _troubled(self, deployment: str) -> str:
        """What is the matter with a pod that is not ready."""
        pods = self._cluster.pods_of("deployment", deployment)
        return next((f"; {self._cluster.explain(pod)}" for pod in pods if not pod.ready), "")

    def take_over(self, before: dict[str, Any]) -> None:
        """Put back also what somebody else changed, of a Deployment (or what holds its count) that was so."""
        kept = self._scalers if before.get("kind") == SCALER else self._before
        kept.setdefault(str(before["metadata"]["name"]), before)

    def restore(self) -> None:
        """Put every Deployment back as it was; one that is gone is left alone. May be called twice."""
        while self._scalers:
            name, scaler = next(iter(self._scalers.items()))
            with contextlib.suppress(Missing):
                self._limit(scaler, scaler["spec"].get("minReplicas", 1), scaler["spec"]["maxReplicas"])
            del self._scalers[name]
        while self._before:
            name = next(iter(self._before))
            with contextlib.suppress(Missing):
                self._restore(name, self._before[name])
            del self._before[name]

    def _restore(self, name: str, before: dict[str, Any]) -> None:
        now = self._cluster.find("deployment", name)
        if now is None or now["metadata"]["uid"] != before["metadata"]["uid"]:
            return
        if now["spec"]["template"] != before["spec"]["template"]:
            self._replace_template(name, before["spec"]["template"])
        if now["spec"].get("replicas") != before["spec"].get("replicas"):
            self._patch(name, {"spec": {"replicas": before["spec"].get("replicas", 1)}})

    def _scaler(self, deployment: str) -> dict[str, Any] | None:
        """What holds the Deployment's count; ``v1`` since every version of Kubernetes has it."""
        try:
            found = objects(self._cluster.connection.get(self._scalers_path()))
        except Refused as error:
            if error.status == 404:
                return None  # a cluster without that kind
            raise
        for one in found:
            target = fields(fields(one.get("spec")).get("scaleTargetRef"))
            if (target.get("kind"), target.get("name")) == ("Deployment", deployment):
                return {**one, "kind": SCALER}
        return None

    def _scalers_path(self) -> str:
        return f"/apis/autoscaling/v1/namespaces/{self._cluster.namespace}/horizontalpodautoscalers"

    def _limit(self, scaler: Mapping[str, Any], least: int, most: int) -> None:
        path = f"{self._scalers_path()}/{scaler['metadata']['name']}"
        body = {"spec": {"minReplicas": least, "maxReplicas": most}}
        self._cluster.connection.patch(path, body, "merge-patch")

    def _remember(self, deployment: str) -> dict[str, Any]:
        found = self._cluster.get("deployment", deployment)
        if deployment not in self._before:
            self._changing("operate", found, "")
            self._before[deployment] = found
        return found

    def _replace_template(self, deployment: str, template: dict[str, Any]) -> None:
        self._send(deployment, [{"op": "replace", "path": "/spec/template", "value": template}], "json-patch")

    def _patch(self, deployment: str, body: dict[str, Any]) -> None:
        self._send(deployment, body, "strategic-merge-patch")

    def _send(self, deployment: str, body: object, kind: str) -> None:
        path = f"/apis/apps/v1/namespaces/{self._cluster.namespace}/deployments/{deployment}"
        self._cluster.connection.patch(path, body, kind)


def _revision(raw: dict[str, Any]) -> int:
    text = str((raw["metadata"].get("annotations") or {}).get(REVISION, "0"))
    return int(text) if text.isdigit() else 0


def _controls(deployment: dict[str, Any], raw: dict[str, Any]) -> bool:
    uid = deployment["metadata"]["uid"]
    return any(one.get("controller") and one.get("uid") == uid for one in raw["metadata"].get("ownerReferences") or [])
