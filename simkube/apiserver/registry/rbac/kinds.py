"""Roles and who has them."""

from __future__ import annotations

from simkube.apiserver.registry.kind import Kind
from simkube.apiserver.registry.rbac import defaults, tables, validation
from simkube.apiserver.registry.resources import Resource
from simkube.apiserver.registry.strategy import Strategy

KINDS = (
    Kind(
        Resource(
            "rbac.authorization.k8s.io", "v1", "clusterrolebindings", "clusterrolebinding", "ClusterRoleBinding", False
        ),
        Strategy(
            name=validation.path_segment,
            defaults=defaults.binding,
            validate=validation.cluster_role_binding,
            validate_update=validation.binding_update,
        ),
        layout=tables.CLUSTER_ROLE_BINDINGS,
    ),
    Kind(
        Resource("rbac.authorization.k8s.io", "v1", "clusterroles", "clusterrole", "ClusterRole", False),
        Strategy(name=validation.path_segment, defaults=defaults.role, validate=validation.cluster_role),
    ),
    Kind(
        Resource("rbac.authorization.k8s.io", "v1", "rolebindings", "rolebinding", "RoleBinding", True),
        Strategy(
            name=validation.path_segment,
            defaults=defaults.binding,
            validate=validation.role_binding,
            validate_update=validation.binding_update,
        ),
        layout=tables.ROLE_BINDINGS,
    ),
    Kind(
        Resource("rbac.authorization.k8s.io", "v1", "roles", "role", "Role", True),
        Strategy(name=validation.path_segment, defaults=defaults.role, validate=validation.role),
    ),
)
