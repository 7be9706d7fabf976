"""PodDisruptionBudget: how many of an application's pods may be evicted now.

It counts; the eviction subresource asks, and notes whom it evicted until the pod's end is seen. Source:
``pkg/controller/disruption/disruption.go``.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from simkube.apimachinery.errors import StatusError
from simkube.apimachinery.labels import matches
from simkube.apiserver.registry.kinds import RESOURCES
from simkube.client.client import Event, Obj, key_of
from simkube.component_helpers import pods as podstate
from simkube.component_helpers.owners import controller_of
from simkube.controllers.controller import Controller
from simkube.controllers.rollout import scaled_value

BUDGETS = "poddisruptionbudgets.policy"
PATIENCE = 120.0
"""So many seconds an evicted pod may take to be deleted before it counts again."""
_STALE = "stale disruption"


class Unscalable(Exception):
    """A pod whose controller does not say how many there should be; the message is what people are told."""


class DisruptionController(Controller):
    """Keys are ``(namespace, name)`` of budgets, or a pod's whose announced disruption may not have come."""

    name = "disruption-controller"
    resource = "poddisruptionbudgets.policy"
    reporter = "controllermanager"

    def watch(self) -> None:
        """Budgets and the pods they are for."""
        self.pods = self.client.informer("pods")
        self.budgets = self.client.observe(BUDGETS, self._budget_changed)
        self.client.observe("pods", self._pod_changed)

    def _budget_changed(self, event: Event) -> None:
        if event.type == "DELETED":
            self.dequeue(key_of(event.obj))
        else:
            self.enqueue(key_of(event.obj))

    def _pod_changed(self, event: Event) -> None:
        namespace = event.obj["metadata"]["namespace"]
        for budget in self.budgets.list(namespace):
            selector = budget["spec"].get("selector")
            if any(matches(selector, pod["metadata"].get("labels")) for pod in (event.obj, event.old) if pod):
                self.enqueue(key_of(budget))
        if event.type != "DELETED" and _is_announced(event.obj):
            key = (_STALE, *key_of(event.obj))
            if key not in self._timers:
                self.enqueue_after(key, PATIENCE)

    def reconcile(self, key: Hashable) -> None:
        """Count, and write what may be disrupted; nothing may while that cannot be known."""
        assert isinstance(key, tuple)
        if key[0] == _STALE:
            self._withdraw(key[1], key[2])
            return
        budget = self.budgets.get(*key)
        if budget is None:
            return
        pods = [pod for pod in self.pods.list(key[0]) if _selects(budget, pod)]
        if not pods:
            self.recorder.event(budget, "Normal", "NoPods", "No matching pods found")
        try:
            expected, healthy = self._expected(budget, pods)
        except Unscalable as error:
            message = f"Failed to calculate the number of expected pods: {error}"
            self.recorder.event(budget, "Warning", "CalculateExpectedPodCountFailed", message)
            self._fail_safe(budget, str(error))
            return
        evicted = self._evicted(budget, pods)
        current = sum(self._is_healthy(pod, evicted) for pod in pods)
        self._write(budget, expected, healthy, current, evicted)

    # How many there should be.

    def _expected(self, budget: Obj, pods: Sequence[Obj]) -> tuple[int, int]:
        """How many pods there should be, and how many of them healthy at least."""
        spec = budget["spec"]
        most, least = spec.get("maxUnavailable"), spec.get("minAvailable")
        if most is not None:
            expected = self._scale(budget, pods)
            return expected, max(0, expected - scaled_value(most, expected, up=True))
        if isinstance(least, str):
            expected = self._scale(budget, pods)
            return expected, scaled_value(least, expected, up=True)
        return len(pods), int(least or 0)

    def _scale(self, budget: Obj, pods: Sequence[Obj]) -> int:
        """The sum of what the pods' controllers want; pods without one are told of and left out."""
        wanted: dict[str, int] = {}
        unmanaged: list[str] = []
        seen: set[str] = set()
        for pod in pods:
            ref = controller_of(pod)
            if ref is None:
                unmanaged.append(pod["metadata"]["name"])
            elif ref["uid"] not in seen:
                seen.add(ref["uid"])
                uid, number = self._wanted_by(pod, ref)
                wanted[uid] = number
        if unmanaged:
            selector = ",".join(f"{key}={value}" for key, value in _labels(budget).items())
            message = (
                f"Pods selected by this PodDisruptionBudget (selector: {selector}) were found to be unmanaged. As a "
                "result, the status of the PDB cannot be calculated correctly, which may result in undefined behavior. "
                'To account for these pods please set ".spec.minAvailable" field of the PDB to an integer value.'
            )
            self.recorder.event(budget, "Warning", "UnmanagedPods", message)
        return sum(wanted.values())

    def _wanted_by(self, pod: Obj, ref: Obj) -> tuple[str, int]:
        """The uid of a pod's controller, or of that one's (a deployment), and how many it wants."""
        namespace = pod["metadata"]["namespace"]
        group = ref["apiVersion"].rpartition("/")[0]
        resource = next(
            (each for each in RESOURCES.values() if (each.group, each.kind) == (group, ref["kind"])),
            None,
        )
        if resource is None:
            raise Unscalable(f'found no controllers for pod "{pod["metadata"]["name"]}"')
        try:
            owner = self.client.get(resource.qualified, ref["name"], namespace)
        except StatusError:
            raise Unscalable(f'found no controllers for pod "{pod["metadata"]["name"]}"') from None
        if resource.subresource("scale") is None:
            raise Unscalable(f"{resource.qualified} does not implement the scale subresource")
        above = controller_of(owner)
        if ref["kind"] == "ReplicaSet" and above is not None and above["kind"] == "Deployment":
            return self._wanted_by(pod, above)
        return owner["metadata"]["uid"], int(owner["spec"].get("replicas", 1))

    # How many there are.

    def _evicted(self, budget: Obj, pods: Sequence[Obj]) -> dict[str, str]:
        """Pods that were evicted and are not deleted yet; one that takes too long counts again."""
        noted = (budget.get("status") or {}).get("disruptedPods") or {}
        left: dict[str, str] = {}
        soonest: float | None = None
        for pod in pods:
            name = pod["metadata"]["name"]
            if name not in noted or "deletionTimestamp" in pod["metadata"]:
                continue
            remaining = podstate.seconds_of(noted[name]) + PATIENCE - self.clock.now()
            if remaining > 0:
                left[name] = noted[name]
                soonest = remaining if soonest is None else min(soonest, remaining)
            else:
                where = f"{budget['metadata']['namespace']}/{budget['metadata']['name']}"
                message = f"Pod was expected by PDB {where} to be deleted but it wasn't"
                self.recorder.event(pod, "Warning", "NotDeleted", message)
        if soonest is not None:
            self.enqueue_after(key_of(budget), soonest)
        return left

    def _is_healthy(self, pod: Obj, evicted: dict[str, str]) -> bool:
        meta = pod["metadata"]
        return "deletionTimestamp" not in meta and meta["name"] not in evicted and podstate.is_ready(pod)

    # The status.

    def _write(self, budget: Obj, expected: int, healthy: int, current: int, evicted: dict[str, str]) -> None:
        allowed = max(0, current - healthy) if expected > 0 else 0
        reason = "SufficientPods" if allowed else "InsufficientPods"
        status: Obj = {
            "observedGeneration": budget["metadata"].get("generation", 0),
            "currentHealthy": current,
            "desiredHealthy": healthy,
            "expectedPods": expected,
            "disruptionsAllowed": allowed,
        }
        if evicted:
            status["disruptedPods"] = evicted
        self._finish(budget, status, "True" if allowed else "False", reason, "")

    def _fail_safe(self, budget: Obj, message: str) -> None:
        status = dict(budget.get("status") or {})
        for name in ("currentHealthy", "desiredHealthy", "expectedPods"):
            status.setdefault(name, 0)
        status["disruptionsAllowed"] = 0
        status["observedGeneration"] = budget["metadata"].get("generation", 0)
        self._finish(budget, status, "False", "SyncFailed", message)

    def _finish(self, budget: Obj, status: Obj, value: str, reason: str, message: str) -> None:
        old = podstate.condition(budget, "DisruptionAllowed")
        same = old is not None and old["status"] == value
        made = {
            "type": "DisruptionAllowed",
            "status": value,
            "observedGeneration": budget["metadata"].get("generation", 0),
            "lastTransitionTime": old["lastTransitionTime"] if old is not None and same else self.clock.timestamp(),
            "reason": reason,
            "message": message,
        }
        others = (budget.get("status") or {}).get("conditions") or ()
        status["conditions"] = [*(each for each in others if each["type"] != "DisruptionAllowed"), made]
        if status != (budget.get("status") or {}):
            self.client.update(BUDGETS, {**budget, "status": status}, subresource="status")

    def _withdraw(self, namespace: str, name: str) -> None:
        """A disruption that was announced and did not come is not announced any more."""
        pod = self.pods.get(namespace, name)
        if pod is None or not _is_announced(pod):
            return
        condition = podstate.condition(pod, "DisruptionTarget") or {}
        left = podstate.seconds_of(condition.get("lastTransitionTime")) + PATIENCE - self.clock.now()
        if left > 0:
            self.enqueue_after((_STALE, namespace, name), left)
            return
        gone = {"type": "DisruptionTarget", "status": "False", "lastTransitionTime": self.clock.timestamp()}
        patch = {"metadata": {"uid": pod["metadata"]["uid"]}, "status": {"conditions": [gone]}}
        self.client.patch("pods", name, patch, namespace, type="strategic", subresource="status")


def _labels(budget: Obj) -> dict[str, str]:
    found: dict[str, str] = (budget["spec"].get("selector") or {}).get("matchLabels") or {}
    return found


def _selects(budget: Obj, pod: Obj) -> bool:
    return matches(budget["spec"].get("selector"), pod["metadata"].get("labels"))


def _is_announced(pod: Obj) -> bool:
    """Whether a disruption is said to come, and has not."""
    condition = podstate.condition(pod, "DisruptionTarget")
    announced = condition is not None and condition.get("status") == "True"
    return announced and "deletionTimestamp" not in pod["metadata"] and podstate.phase(pod) not in podstate.FINISHED
