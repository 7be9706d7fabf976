"""Core kinds without a folder of their own: from config maps and nodes to quotas and accounts."""

from __future__ import annotations

from simkube.apiserver.registry.core import defaults, preparation, tables, validate_nodes, validate_quotas, validation
from simkube.apiserver.registry.kind import Kind
from simkube.apiserver.registry.resources import PROXY, REVIEW, Resource, Subresource, status
from simkube.apiserver.registry.strategy import Strategy
from simkube.apiserver.validation import metadata

KINDS = (
    Kind(
        Resource(
            "",
            "v1",
            "componentstatuses",
            "componentstatus",
            "ComponentStatus",
            False,
            verbs=("get", "list"),
            short_names=("cs",),
            computed=True,
        ),
        layout=tables.COMPONENT_STATUSES,
    ),
    Kind(
        Resource("", "v1", "configmaps", "configmap", "ConfigMap", True, short_names=("cm",)),
        Strategy(validate=validation.config_map, validate_update=validation.config_map_update),
        layout=tables.CONFIG_MAPS,
    ),
    Kind(
        Resource("", "v1", "events", "event", "Event", True, short_names=("ev",)),
        Strategy(defaults=defaults.event, validate=validation.event, created_by_put=True),
        layout=tables.EVENTS,
    ),
    Kind(
        Resource("", "v1", "limitranges", "limitrange", "LimitRange", True, short_names=("limits",)),
        Strategy(defaults=defaults.limit_range, validate=validate_quotas.limit_range),
    ),
    Kind(
        Resource(
            "",
            "v1",
            "namespaces",
            "namespace",
            "Namespace",
            False,
            verbs=(
                "create",
                "delete",
                "get",
                "list",
                "patch",
                "update",
                "watch",
            ),
            short_names=("ns",),
            subresources=(
                Subresource("finalize", "Namespace", ("update",)),
                status("Namespace"),
            ),
        ),
        Strategy(
            name=metadata.label,
            defaults=defaults.namespace,
            prepare_create=preparation.new_namespace,
            prepare_update=preparation.changed_namespace,
            keeps_status=True,
            answers_deleted=True,
            first_status={"phase": "Active"},
        ),
        layout=tables.NAMESPACES,
    ),
    Kind(
        Resource(
            "",
            "v1",
            "nodes",
            "node",
            "Node",
            False,
            short_names=("no",),
            subresources=(Subresource("proxy", "NodeProxyOptions", PROXY), status("Node")),
        ),
        Strategy(
            defaults=defaults.node,
            validate=validate_nodes.node,
            validate_update=validate_nodes.node_update,
            keeps_status=True,
        ),
        layout=tables.NODES,
    ),
    Kind(
        Resource(
            "",
            "v1",
            "resourcequotas",
            "resourcequota",
            "ResourceQuota",
            True,
            short_names=("quota",),
            subresources=(status("ResourceQuota"),),
        ),
        Strategy(
            defaults=defaults.resource_quota,
            validate=validate_quotas.quota,
            validate_update=validate_quotas.quota_update,
            validate_status=validate_quotas.quota_status,
            keeps_status=True,
            answers_deleted=True,
            first_status={},
        ),
        layout=tables.QUOTAS,
    ),
    Kind(
        Resource("", "v1", "secrets", "secret", "Secret", True),
        Strategy(defaults=defaults.secret, validate=validation.secret, validate_update=validation.secret_update),
        layout=tables.SECRETS,
    ),
    Kind(
        Resource(
            "",
            "v1",
            "serviceaccounts",
            "serviceaccount",
            "ServiceAccount",
            True,
            short_names=("sa",),
            subresources=(Subresource("token", "TokenRequest", REVIEW, "authentication.k8s.io", "v1"),),
        ),
        Strategy(answers_deleted=True),
        layout=tables.SERVICE_ACCOUNTS,
    ),
    Kind(
        Resource("events.k8s.io", "v1", "events", "event", "Event", True, short_names=("ev",), stored_as="events"),
        Strategy(
            defaults=defaults.event,
            validate=validation.new_event,
            validate_update=validation.changed_event,
            created_by_put=True,
            ratchets=True,
        ),
        layout=tables.EVENTS,
    ),
    Kind(
        Resource("coordination.k8s.io", "v1", "leases", "lease", "Lease", True),
        Strategy(validate=validation.lease, blind_update=False, created_by_put=True),
        layout=tables.LEASES,
    ),
)
