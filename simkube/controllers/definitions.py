"""What controllers that look after every kind need to know of the kinds that a cluster's users define."""

from __future__ import annotations

from simkube.client.client import Obj

DEFINITIONS = "customresourcedefinitions.apiextensions.k8s.io"


def defined(definition: Obj) -> list[tuple[str, str]]:
    """The ``(apiVersion, kind)`` of each version of a definition; [] as long as it is not established."""
    spec, status = definition["spec"], definition.get("status") or {}
    conditions = status.get("conditions") or ()
    if not any(one.get("type") == "Established" and one.get("status") == "True" for one in conditions):
        return []
    kind = (status.get("acceptedNames") or {}).get("kind") or spec["names"]["kind"]
    return [(f"{spec['group']}/{version['name']}", kind) for version in spec["versions"]]
