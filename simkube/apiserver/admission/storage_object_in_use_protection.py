"""A new volume or claim is protected while it is in use."""

from __future__ import annotations

from simkube.apiserver.admission.attributes import Attributes
from simkube.apiserver.admission.plugin import Plugin
from simkube.component_helpers.volumebinding import PROTECTION


class StorageObjectInUseProtection(Plugin):
    """After ``plugin/pkg/admission/storage/storageobjectinuseprotection``."""

    name = "StorageObjectInUseProtection"
    operations = frozenset({"CREATE"})
    handles = frozenset(PROTECTION)

    def admit(self, attributes: Attributes) -> None:
        """Add the finalizer that its controller takes away."""
        finalizer = PROTECTION[attributes.request.resource.storage]
        finalizers = attributes.new["metadata"].setdefault("finalizers", [])
        if finalizer not in finalizers:
            finalizers.append(finalizer)
