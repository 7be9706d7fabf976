"""What whoever makes an ingress is warned of (``pkg/registry/networking/ingress/strategy.go``)."""

from __future__ import annotations

from collections.abc import Iterator

from simkube.apiserver.registry.networking.validation import CLASS_ANNOTATION
from simkube.client.client import Obj


def of_ingress(new: Obj, old: Obj | None) -> Iterator[str]:
    """The warnings about a new ingress."""
    if old is None and CLASS_ANNOTATION in new["metadata"].get("annotations", {}):
        yield f"annotation \"{CLASS_ANNOTATION}\" is deprecated, please use 'spec.ingressClassName' instead"
