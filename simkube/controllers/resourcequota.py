"""Counts what namespaces use of their resource quotas: when a quota is new or changed, and when something goes.

Source: ``pkg/controller/resourcequota``. What is created is counted by admission at once. There is no resync every five
minutes: every change that could matter is heard of.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

from simkube.apimachinery import quantity
from simkube.client.client import Event, Informers, Obj, Server
from simkube.client.workqueue import WorkLoop
from simkube.component_helpers import quota_usage as usage
from simkube.controllers.controller import Controller
from simkube.controllers.definitions import DEFINITIONS, defined

_COUNT = "count/"


class ResourceQuotaController(Controller):
    """Keys are ``(namespace, name)`` of quotas. ``namespaced`` are the kinds that can be counted."""

    name = "resourcequota-controller"
    resource = "resourcequotas"

    def __init__(
        self, server: Server, loop: WorkLoop, informers: Informers | None = None, namespaced: Sequence[str] = ()
    ) -> None:
        super().__init__(server, loop, informers)
        self._built_in = self._namespaced = frozenset(namespaced)

    def watch(self) -> None:
        """Quotas, and every kind that one may count."""
        self._namespaced = self._built_in
        self.quotas = self.client.observe("resourcequotas", self._quota_changed)
        for resource in sorted(self._namespaced - {"resourcequotas", "events"}):
            self.client.observe(resource, self._handler(resource))
        self.client.observe(DEFINITIONS, self._definition_changed)

    def _definition_changed(self, event: Event) -> None:
        """Kinds that a cluster's users define come and go."""
        name = event.obj["metadata"]["name"]
        served = event.type != "DELETED" and bool(defined(event.obj))
        if served and event.obj["spec"]["scope"] == "Namespaced" and name not in self._namespaced:
            self._namespaced |= {name}
            self.client.observe(name, self._handler(name))
            for quota in self.quotas.list():  # its count could not be told until now
                self._recount(quota["metadata"]["namespace"], name)
        elif not served and name in self._namespaced:
            self._namespaced -= {name}
            self.client.forget(name)

    def _quota_changed(self, event: Event) -> None:
        if event.type == "DELETED":
            self._recount(event.obj["metadata"]["namespace"], "resourcequotas")
        elif event.old is None or event.old.get("spec") != event.obj.get("spec"):
            meta = event.obj["metadata"]
            self.enqueue((meta["namespace"], meta["name"]))

    def _handler(self, resource: str) -> Callable[[Event], None]:
        def changed(event: Event) -> None:
            if event.type == "ADDED" or (event.type == "MODIFIED" and not _frees(resource, event)):
                return
            self._recount(event.obj["metadata"]["namespace"], resource)

        return changed

    def _recount(self, namespace: str, resource: str) -> None:
        for quota in self.quotas.list(namespace):
            if any(usage.concerns(resource, name) for name in (quota.get("spec") or {}).get("hard") or {}):
                self.enqueue((namespace, quota["metadata"]["name"]))

    def reconcile(self, key: Hashable) -> None:
        """Write hard limits and use as they are, when the status says anything else."""
        assert isinstance(key, tuple)
        quota = self.quotas.get(*key)
        if quota is None:
            return
        hard = dict((quota.get("spec") or {}).get("hard") or {})
        status = {"hard": hard, "used": self._used(quota, hard)}
        if status != quota.get("status"):
            changed = {**quota, "metadata": dict(quota["metadata"]), "status": status}
            self.client.update("resourcequotas", changed, subresource="status")

    def _used(self, quota: Obj, hard: dict[str, str]) -> dict[str, str]:
        namespace = quota["metadata"]["namespace"]
        used = {name: "0" for name in hard if not name.startswith(_COUNT)}
        used |= {name: "0" for name in hard if name.removeprefix(_COUNT) in self._namespaced}
        for resource in self._namespaced:
            names = [name for name in hard if usage.concerns(resource, name)]
            if not names:
                continue
            for obj in self.client.informer(resource).list(namespace):
                if usage.selects(quota, resource, obj):
                    taken = usage.of(resource, obj)
                    for name in names:
                        if name in taken:
                            used[name] = quantity.add(used[name], taken[name])
        return dict(sorted(used.items()))


def _frees(resource: str, event: Event) -> bool:
    """Whether a change, which admission did not count, makes room: a pod has ended, a service is of another type."""
    if event.old is None:
        return False
    if resource == "pods":
        return usage.ended(event.obj) and not usage.ended(event.old)
    return False
