"""Fills in the rules of cluster roles that are the sum of others, chosen by their labels.

Source: ``pkg/controller/clusterroleaggregation``. The rules are applied, each once, in the order of the roles' names.
"""

from __future__ import annotations

from collections.abc import Hashable

from simkube.apimachinery.labels import matches
from simkube.client.client import Event, Obj
from simkube.controllers.controller import Controller

RESOURCE = "clusterroles.rbac.authorization.k8s.io"
_MANAGER = "clusterrole-aggregation-controller"


class ClusterRoleAggregationController(Controller):
    """Keys are names of cluster roles with an aggregation rule."""

    name = _MANAGER

    def watch(self) -> None:
        """Cluster roles."""
        self._sums: dict[str, None] = {}
        self.roles = self.client.observe(RESOURCE, self._changed)

    def _changed(self, event: Event) -> None:
        name = event.obj["metadata"]["name"]
        if event.type != "DELETED" and "aggregationRule" in event.obj:
            self._sums[name] = None
        else:
            self._sums.pop(name, None)
        if event.old is None and event.obj["metadata"]["resourceVersion"] == "1":
            return  # a role every cluster has: what is the sum of such roles is written as a sum
        for each in self._sums:
            self.enqueue(each)

    def reconcile(self, key: Hashable) -> None:
        """Apply the rules of the chosen roles, unless they are there already."""
        role = self.roles.get("", str(key))
        if role is None or "aggregationRule" not in role:
            return
        rules: list[Obj] = []
        selectors = role["aggregationRule"].get("clusterRoleSelectors") or ()
        others = sorted(self.roles.list(), key=lambda each: str(each["metadata"]["name"]))
        for selector in selectors:
            for other in others:
                if other is role or not matches(selector, other["metadata"].get("labels") or {}):
                    continue
                rules += [rule for rule in other.get("rules") or () if rule not in rules]
        if rules == (role.get("rules") or []):
            return
        applied = {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": {"name": str(key)},
            "rules": rules,
        }
        self.client.apply(RESOURCE, str(key), applied, manager=_MANAGER)
