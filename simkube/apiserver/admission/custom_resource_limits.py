"""How much a cluster's definitions may be: each of them costs memory in the process that serves all clusters.

No plug-in of Kubernetes.
"""

from __future__ import annotations

from simkube.apimachinery.errors import StatusError
from simkube.apiserver.admission.attributes import Attributes
from simkube.apiserver.admission.plugin import Plugin
from simkube.apiserver.registry.served import DEFINITIONS
from simkube.etcd.journal import dumps

MOST_DEFINITIONS = 200
MOST_BYTES = 4 * 1024 * 1024


class CustomResourceLimits(Plugin):
    """507 when there would be more, or more of them, than a cluster may have."""

    name = "CustomResourceLimits"
    operations = frozenset({"CREATE", "UPDATE"})
    handles = frozenset({DEFINITIONS})

    def validate(self, attributes: Attributes) -> None:
        """Count them, and their bytes."""
        obj = attributes.new
        if attributes.old is not None and obj["spec"] == attributes.old["spec"]:
            return
        stored = self.store.objects(DEFINITIONS)
        others = [one for one in stored if one["metadata"]["name"] != obj["metadata"]["name"]]
        if len(others) >= MOST_DEFINITIONS:
            raise _refused(f"a cluster may have {MOST_DEFINITIONS} definitions of custom resources here")
        if sum(len(dumps(one["spec"])) for one in (*others, obj)) > MOST_BYTES:
            size = MOST_BYTES // 1024 // 1024
            raise _refused(f"a cluster's definitions of custom resources may fill {size} MiB here")


def _refused(why: str) -> StatusError:
    return StatusError(507, "InsufficientStorage", f"{why}; delete some first")
