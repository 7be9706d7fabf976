"""The eviction of a pod: a delete that a disruption budget may refuse, for now.

After ``pkg/registry/core/pod/storage/eviction.go``. A pod that runs for nobody (pending, ended, on its way out) is
deleted without asking; one that is not ready may go where its budget is met anyhow, or where its policy says so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from simkube.apimachinery.errors import StatusError, bad_request, forbidden
from simkube.apimachinery.labels import matches
from simkube.apiserver.fields import decoding
from simkube.apiserver.handlers.deletion import check_preconditions
from simkube.apiserver.handlers.writing import Writer
from simkube.apiserver.registry.kinds import RESOURCES
from simkube.apiserver.registry.request import Request, options_of
from simkube.client.client import Obj
from simkube.clock.clock import Clock
from simkube.etcd.store import Store

_EVICTION = ("policy", "v1", "Eviction")
_BUDGETS = RESOURCES["poddisruptionbudgets.policy"]
_REFUSED = "Cannot evict pod as it would violate the pod's disruption budget."
_MOST_PENDING = 2000
"""So many evictions may wait for the budget's controller to confirm them."""


class Evictor:
    """Evicts pods of one cluster; ``find`` and ``delete`` are the API server's own."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        writer: Writer,
        find: Callable[[Request], Obj],
        delete: Callable[[Request], Obj],
    ) -> None:
        self._store = store
        self._clock = clock
        self._writer = writer
        self._find = find
        self._delete = delete

    def evict(self, request: Request, body: Obj) -> Obj:
        """Delete the pod, if its budget allows it: a ``Status``, or 429 with what is in the way."""
        eviction = decoding.decode(request, body, _EVICTION)
        name = eviction.get("metadata", {}).get("name", request.name)
        if name != request.name:
            raise bad_request(f"name in URL does not match name in Eviction object: {request.name} != {name}")
        options = options_of("delete", eviction.get("deleteOptions"))
        dry_run = options.dry_run or request.options.dry_run
        pod = self._find(request)
        deletion = request.about(verb="delete", subresource="", options=options)
        check_preconditions(deletion, pod)
        if not _runs_for_nobody(pod):
            self._ask(request, pod, dry_run=dry_run)
        if not dry_run:
            if pod["spec"].get("nodeName") and not pod["metadata"].get("deletionTimestamp"):
                self._mark(request, pod)
            seen = {key: value for key, value in options.preconditions.items() if key != "resourceVersion"}
            self._delete(deletion.about(options=replace(options, preconditions=seen)))
        return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}

    def _ask(self, request: Request, pod: Obj, *, dry_run: bool) -> None:
        """Take one of the disruptions that the pod's budget allows; refuse when there is none."""
        namespace, labels = pod["metadata"]["namespace"], pod["metadata"].get("labels")
        every = self._store.objects(_BUDGETS.storage, namespace)
        budgets = [each for each in every if matches(each["spec"].get("selector"), labels)]
        if not budgets:
            return
        if len(budgets) > 1:
            message = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
            raise StatusError(500, "", message)
        (budget,) = budgets
        if not (_is_ready(pod) or not _may_go_unready(budget)):
            return
        _refuse(budget)
        if not dry_run:
            self._note(request, budget, pod["metadata"]["name"])

    def _note(self, request: Request, budget: Obj, pod: str) -> None:
        """Write down whom the budget was spent on, until its controller sees the end of the pod."""
        status = dict(budget["status"])
        status["disruptionsAllowed"] -= 1
        now = self._clock.timestamp()
        status["disruptedPods"] = {**status.get("disruptedPods", {}), pod: now}
        if not status["disruptionsAllowed"]:
            status["conditions"] = [
                {**each, "status": "False", "reason": "InsufficientPods", "lastTransitionTime": now}
                if each["type"] == "DisruptionAllowed"
                else each
                for each in status.get("conditions", ())
            ]
        meta = dict(budget["metadata"])
        about = request.about(resource=_BUDGETS, name=meta["name"], subresource="status")
        self._writer.commit(about, {**budget, "metadata": meta, "status": status}, expect=meta["resourceVersion"])

    def _mark(self, request: Request, pod: Obj) -> None:
        condition = {
            "type": "DisruptionTarget",
            "status": "True",
            "lastProbeTime": None,
            "lastTransitionTime": self._clock.timestamp(),
            "reason": "EvictionByEvictionAPI",
            "message": "Eviction API: evicting",
        }
        kept = [each for each in pod["status"].get("conditions", ()) if each["type"] != "DisruptionTarget"]
        new = {**pod, "metadata": dict(pod["metadata"]), "status": {**pod["status"], "conditions": [*kept, condition]}}
        self._writer.commit(request, new, expect=pod["metadata"]["resourceVersion"])


def _runs_for_nobody(pod: Obj) -> bool:
    ended = pod.get("status", {}).get("phase") in ("Pending", "Succeeded", "Failed")
    return ended or bool(pod["metadata"].get("deletionTimestamp"))


def _is_ready(pod: Obj) -> bool:
    conditions = pod.get("status", {}).get("conditions", ())
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def _may_go_unready(budget: Obj) -> bool:
    if budget["spec"].get("unhealthyPodEvictionPolicy") == "AlwaysAllow":
        return True
    status = budget.get("status", {})
    needed = int(status.get("desiredHealthy", 0))
    return needed > 0 and int(status.get("currentHealthy", 0)) >= needed


def _refuse(budget: Obj) -> None:
    """429 unless the budget allows a disruption and has been looked at since it was changed."""
    name, status = budget["metadata"]["name"], budget.get("status", {})
    if status.get("observedGeneration", 0) < budget["metadata"].get("generation", 0):
        raise _too_many(f"The disruption budget {name} is still being processed by the server.", 10)
    allowed = int(status.get("disruptionsAllowed", 0))
    if allowed < 0:
        raise forbidden(_BUDGETS.plural, name, "pdb disruptions allowed is negative", _BUDGETS.group)
    if len(status.get("disruptedPods", {})) > _MOST_PENDING:
        why = "DisruptedPods map too big - too many evictions not confirmed by PDB controller"
        raise forbidden(_BUDGETS.plural, name, why, _BUDGETS.group)
    if allowed:
        return
    for condition in status.get("conditions", ()):
        if condition["type"] == "DisruptionAllowed" and condition.get("reason") == "SyncFailed":
            why = f"does not allow evicting pods currently because it failed sync: {condition.get('message', '')}"
            raise _too_many(f"The disruption budget {name} {why}", 0)
    needed, current = status.get("desiredHealthy", 0), status.get("currentHealthy", 0)
    raise _too_many(f"The disruption budget {name} needs {needed} healthy pods and has {current} currently", 0)


def _too_many(cause: str, seconds: int) -> StatusError:
    details: Obj = {"causes": [{"reason": "DisruptionBudget", "message": cause}]}
    if seconds:
        details["retryAfterSeconds"] = seconds
    return StatusError(429, "TooManyRequests", _REFUSED, details)
