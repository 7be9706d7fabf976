"""What whoever makes a service or an ingress is warned of (``pkg/api/service/warnings.go``, the ingress strategy)."""

from __future__ import annotations

from collections.abc import Iterator

from simkube.apiserver.registry.networking.validation import CLASS_ANNOTATION
from simkube.client.client import Obj

_CLASS = f"annotation \"{CLASS_ANNOTATION}\" is deprecated, please use 'spec.ingressClassName' instead"
_EXTERNAL = "spec.externalIPs is deprecated and may no longer be implemented in some clusters"
_HINTS = "service.kubernetes.io/topology-aware-hints"


def warnings_of(storage: str, new: Obj, old: Obj | None) -> list[str]:
    """The warnings about a new object (``old`` is None) or a changed one, in the order of the API server."""
    if storage == "services":
        return list(_service(new))
    annotated = CLASS_ANNOTATION in new["metadata"].get("annotations", {})
    return [_CLASS] if storage == "ingresses.networking.k8s.io" and old is None and annotated else []


def _service(service: Obj) -> Iterator[str]:
    spec = service["spec"]
    if _HINTS in service["metadata"].get("annotations", {}):
        yield f"annotation {_HINTS} is deprecated, please use service.kubernetes.io/topology-mode instead"
    alias = spec.get("type") == "ExternalName"
    if spec.get("type") == "ClusterIP" and spec.get("clusterIP") == "None":
        for name in ("loadBalancerIP", "externalIPs"):
            if spec.get(name):
                yield f"spec.{name} is ignored for headless services"
        if spec.get("sessionAffinity") != "None":
            yield "spec.SessionAffinity is ignored for headless services"
    elif spec.get("externalIPs") and not alias:
        yield _EXTERNAL
    if alias and spec.get("externalIPs"):
        yield 'spec.externalIPs is ignored when spec.type is "ExternalName"'
    if not alias and spec.get("externalName"):
        yield 'spec.externalName is ignored when spec.type is not "ExternalName"'
    if spec.get("trafficDistribution") == "PreferClose":
        yield 'spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"'
