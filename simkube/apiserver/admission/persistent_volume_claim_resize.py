"""A claim grows once it is bound, and when its class allows it."""

from __future__ import annotations

from simkube.apimachinery.errors import forbidden
from simkube.apiserver.admission.attributes import Attributes
from simkube.apiserver.admission.plugin import Plugin
from simkube.apiserver.registry.storage.validate_volumes import milli_of
from simkube.client.client import Obj
from simkube.component_helpers.volumebinding import CLAIMS, CLASSES

_NO_RESIZE = (
    "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize"
)


class PersistentVolumeClaimResize(Plugin):
    """After ``plugin/pkg/admission/storage/persistentvolume/resize``."""

    name = "PersistentVolumeClaimResize"
    operations = frozenset({"UPDATE"})
    handles = frozenset({CLAIMS})

    def validate(self, attributes: Attributes) -> None:
        """403 for a claim that may not grow."""
        new, old, request = attributes.new, attributes.old or {}, attributes.request
        if request.subresource or milli_of(_requests(new)) <= milli_of(_requests(old)):
            return
        if (old.get("status") or {}).get("phase") != "Bound":
            why = "Only bound persistent volume claims can be expanded"
            raise forbidden(request.resource.plural, attributes.name, why)
        found = self.store.get(CLASSES, "", new["spec"].get("storageClassName") or "")
        if found is None or not found.get("allowVolumeExpansion"):
            raise forbidden(request.resource.plural, attributes.name, _NO_RESIZE)


def _requests(claim: Obj) -> Obj:
    found: Obj = (claim["spec"].get("resources") or {}).get("requests") or {}
    return found
