"""A new node takes no pods until the node lifecycle controller finds it ready."""

from __future__ import annotations

from simkube.apiserver.admission.attributes import Attributes
from simkube.apiserver.admission.default_toleration_seconds import NOT_READY
from simkube.apiserver.admission.plugin import Plugin


class TaintNodesByCondition(Plugin):
    """After ``plugin/pkg/admission/nodetaint``."""

    name = "TaintNodesByCondition"
    operations = frozenset({"CREATE"})
    handles = frozenset({"nodes"})

    def admit(self, attributes: Attributes) -> None:
        """Taint it."""
        taints = attributes.new["spec"].setdefault("taints", [])
        if not any(each.get("key") == NOT_READY and each.get("effect") == "NoSchedule" for each in taints):
            taints.append({"key": NOT_READY, "effect": "NoSchedule"})
