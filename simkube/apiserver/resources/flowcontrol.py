"""Whose requests wait for whose: kept and shown; requests of a simulated cluster never wait for one another."""

from simkube.apiserver.resources.model import Resource, status

_GROUP = "flowcontrol.apiserver.k8s.io"

FLOWCONTROL = (
    Resource(_GROUP, "v1", "flowschemas", "flowschema", "FlowSchema", False, subresources=(status("FlowSchema"),)),
    Resource(
        _GROUP,
        "v1",
        "prioritylevelconfigurations",
        "prioritylevelconfiguration",
        "PriorityLevelConfiguration",
        False,
        subresources=(status("PriorityLevelConfiguration"),),
    ),
)
