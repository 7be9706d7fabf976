"""What is decided about an ingress with a look at its class (the admission plugin DefaultIngressClass)."""

from __future__ import annotations

from simkube.apiserver.registry.networking.validation import CLASS_ANNOTATION
from simkube.client.client import Obj
from simkube.etcd.store import Store

CLASSES = "ingressclasses.networking.k8s.io"
DEFAULT = "ingressclass.kubernetes.io/is-default-class"


def default_class(ingress: Obj, store: Store) -> None:
    """An ingress without a class gets the default one: of several the newest, then the first by name."""
    if "ingressClassName" in ingress["spec"] or CLASS_ANNOTATION in ingress["metadata"].get("annotations", {}):
        return
    marked = [each for each in store.objects(CLASSES) if each["metadata"].get("annotations", {}).get(DEFAULT) == "true"]
    if marked:
        names = sorted(each["metadata"]["name"] for each in marked)
        newest = max(marked, key=lambda each: (each["metadata"]["creationTimestamp"], -names.index(_name(each))))
        ingress["spec"]["ingressClassName"] = _name(newest)


def _name(obj: Obj) -> str:
    return str(obj["metadata"]["name"])
