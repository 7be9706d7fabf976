"""What whoever makes or changes a service is warned of (``pkg/api/service/warnings.go``)."""

from __future__ import annotations

from collections.abc import Iterator

from simkube.client.client import Obj

_EXTERNAL = "spec.externalIPs is deprecated and may no longer be implemented in some clusters"
_HINTS = "service.kubernetes.io/topology-aware-hints"


def of_service(new: Obj, _old: Obj | None) -> Iterator[str]:
    """The warnings about a new or changed service, in the order of the API server."""
    return _service(new)


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
