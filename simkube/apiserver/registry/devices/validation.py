"""Runtime classes (``pkg/apis/node/validation``)."""

from __future__ import annotations

from simkube.apiserver.registry.pods.validate_placement import tolerations
from simkube.apiserver.validation.amounts import resources
from simkube.apiserver.validation.field import Errors
from simkube.apiserver.validation.metadata import dns_label, labels
from simkube.apiserver.validation.numbers import immutable
from simkube.client.client import Obj


def runtime_class(obj: Obj, errors: Errors) -> None:
    """A runtime class names its handler."""
    handler = obj.get("handler", "")
    for problem in dns_label(handler):
        errors.invalid("handler", handler, problem)
    resources({"limits": obj.get("overhead", {}).get("podFixed", {})}, "overhead", errors)
    labels(obj.get("scheduling", {}).get("nodeSelector", {}), "scheduling.nodeSelector", errors)
    tolerations(obj.get("scheduling", {}).get("tolerations", ()), "scheduling.tolerations", errors)


def runtime_class_update(new: Obj, old: Obj, errors: Errors) -> None:
    """The handler never changes."""
    immutable(new.get("handler"), old.get("handler"), "handler", errors)
