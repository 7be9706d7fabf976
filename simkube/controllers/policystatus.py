"""That a validating admission policy has been looked at: its status, as the status controller writes it.

Source: ``pkg/controller/validatingadmissionpolicystatus``. Expressions are checked when a policy is made; what the real
controller warns of beyond that (types of the kinds that are matched) is not looked for.
"""

from __future__ import annotations

from collections.abc import Hashable

from simkube.controllers.controller import Controller

_POLICIES = "validatingadmissionpolicies.admissionregistration.k8s.io"


class PolicyStatusController(Controller):
    """Keys are names of policies."""

    name = "validatingadmissionpolicy-status-controller"

    def watch(self) -> None:
        """Policies."""
        self.policies = self.client.observe(_POLICIES, lambda event: self.enqueue(event.obj["metadata"]["name"]))

    def reconcile(self, key: Hashable) -> None:
        """Say which generation has been seen."""
        policy = self.policies.get("", str(key))
        if policy is None:
            return
        generation = policy["metadata"].get("generation", 0)
        if policy.get("status", {}).get("observedGeneration") == generation:
            return
        status = {"observedGeneration": generation, "typeChecking": {}}
        head = {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy"}
        applied = {**head, "metadata": {"name": str(key)}, "status": status}
        manager = "validatingadmissionpolicy-status"
        self.client.apply(_POLICIES, str(key), applied, manager=manager, subresource="status")
