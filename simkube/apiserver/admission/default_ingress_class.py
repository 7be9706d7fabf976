"""An ingress without a class gets the default one."""

from __future__ import annotations

from simkube.apiserver.admission.attributes import Attributes
from simkube.apiserver.admission.plugin import Plugin
from simkube.apiserver.registry.networking.validation import CLASS_ANNOTATION
from simkube.client.client import Obj

CLASSES = "ingressclasses.networking.k8s.io"
DEFAULT = "ingressclass.kubernetes.io/is-default-class"


class DefaultIngressClass(Plugin):
    """After ``plugin/pkg/admission/network/defaultingressclass``."""

    name = "DefaultIngressClass"
    operations = frozenset({"CREATE"})
    handles = frozenset({"ingresses.networking.k8s.io"})

    def admit(self, attributes: Attributes) -> None:
        """Name the class: of several the newest, then the first by name."""
        ingress = attributes.new
        if "ingressClassName" in ingress["spec"] or CLASS_ANNOTATION in ingress["metadata"].get("annotations", {}):
            return
        classes = self.store.objects(CLASSES)
        marked = [each for each in classes if each["metadata"].get("annotations", {}).get(DEFAULT) == "true"]
        if marked:
            names = sorted(_name(each) for each in marked)
            newest = max(marked, key=lambda each: (each["metadata"]["creationTimestamp"], -names.index(_name(each))))
            ingress["spec"]["ingressClassName"] = _name(newest)


def _name(obj: Obj) -> str:
    return str(obj["metadata"]["name"])
