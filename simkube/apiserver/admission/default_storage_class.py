"""A claim of no class gets the default one."""

from __future__ import annotations

from simkube.apiserver.admission.attributes import Attributes
from simkube.apiserver.admission.plugin import Plugin
from simkube.component_helpers.volumebinding import CLAIMS, CLASSES, default_class, has_class


class DefaultStorageClass(Plugin):
    """After ``plugin/pkg/admission/storage/storageclass/setdefault``."""

    name = "DefaultStorageClass"
    operations = frozenset({"CREATE"})
    handles = frozenset({CLAIMS})

    def admit(self, attributes: Attributes) -> None:
        """Name the class."""
        if not has_class(attributes.new):
            name = default_class(self.store.objects(CLASSES))
            if name:
                attributes.new["spec"]["storageClassName"] = name
