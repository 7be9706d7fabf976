"""Who may have how much of the API server."""

from __future__ import annotations

from simkube.apiserver.registry.flowcontrol import defaults, tables, validation
from simkube.apiserver.registry.kind import Kind
from simkube.apiserver.registry.resources import Resource, status
from simkube.apiserver.registry.strategy import Strategy

KINDS = (
    Kind(
        Resource(
            "flowcontrol.apiserver.k8s.io",
            "v1",
            "flowschemas",
            "flowschema",
            "FlowSchema",
            False,
            subresources=(status("FlowSchema"),),
        ),
        Strategy(
            defaults=defaults.flow_schema,
            validate=validation.flow_schema,
            validate_status=validation.conditions,
            generation=True,
            keeps_status=True,
            first_status={},
        ),
        layout=tables.FLOW_SCHEMAS,
    ),
    Kind(
        Resource(
            "flowcontrol.apiserver.k8s.io",
            "v1",
            "prioritylevelconfigurations",
            "prioritylevelconfiguration",
            "PriorityLevelConfiguration",
            False,
            subresources=(status("PriorityLevelConfiguration"),),
        ),
        Strategy(
            defaults=defaults.priority_level,
            validate=validation.priority_level,
            validate_status=validation.conditions,
            generation=True,
            keeps_status=True,
            first_status={},
        ),
        layout=tables.PRIORITY_LEVELS,
    ),
)
