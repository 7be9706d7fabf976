"""A pod tolerates a lost node for a while unless it says how long itself; so also after a change."""

from __future__ import annotations

from simkube.apiserver.admission.attributes import Attributes
from simkube.apiserver.admission.plugin import Plugin
from simkube.client.client import Obj

NOT_READY = "node.kubernetes.io/not-ready"
_UNREACHABLE = "node.kubernetes.io/unreachable"


class DefaultTolerationSeconds(Plugin):
    """After ``plugin/pkg/admission/defaulttolerationseconds``."""

    name = "DefaultTolerationSeconds"
    operations = frozenset({"CREATE", "UPDATE"})
    handles = frozenset({"pods"})

    def admit(self, attributes: Attributes) -> None:
        """Add the tolerations that are missing."""
        if attributes.request.subresource:
            return
        spec = attributes.new["spec"]
        given = spec.get("tolerations", [])
        wanted = (
            (NOT_READY, self.settings.not_ready_toleration),
            (_UNREACHABLE, self.settings.unreachable_toleration),
        )
        missing = [
            {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": seconds}
            for key, seconds in wanted
            if not any(_tolerates(each, key) for each in given)
        ]
        if missing:
            spec["tolerations"] = [*given, *missing]


def _tolerates(toleration: Obj, key: str) -> bool:
    return toleration.get("key", "") in ("", key) and toleration.get("effect", "") in ("", "NoExecute")
