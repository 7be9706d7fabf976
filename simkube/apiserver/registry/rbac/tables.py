"""The rows of bindings."""

from __future__ import annotations

from typing import Any

from simkube.apiserver.tables.cells import age_of, name_of
from simkube.apiserver.tables.columns import AGE, NAME, Cells, Column, Layout

Obj = dict[str, Any]

_ROLE = (
    "RoleRef can reference a Role in the current namespace or a ClusterRole in the global namespace. If the RoleRef "
    "cannot be resolved, the Authorizer must return an error."
)
_CLUSTER_ROLE = (
    "RoleRef can only reference a ClusterRole in the global namespace. If the RoleRef cannot be resolved, the "
    "Authorizer must return an error."
)


def _binding(obj: Obj, now: float) -> Cells:
    ref = obj.get("roleRef") or {}
    named: dict[str, list[str]] = {"User": [], "Group": [], "ServiceAccount": []}
    for subject in obj.get("subjects") or ():
        name = subject.get("name", "")
        if subject.get("kind") == "ServiceAccount":
            name = f"{subject.get('namespace', '')}/{name}"
        named.get(subject.get("kind", ""), []).append(name)
    role = f"{ref.get('kind', '')}/{ref.get('name', '')}"
    return [name_of(obj), role, age_of(obj, now), *(", ".join(found) for found in named.values())]


def _binding_columns(role: str, text: str) -> tuple[Column, ...]:
    return (
        NAME,
        Column("Role", role),
        AGE,
        Column("Users", f"Users in the {text}", wide=True),
        Column("Groups", f"Groups in the {text}", wide=True),
        Column("ServiceAccounts", f"ServiceAccounts in the {text}", wide=True),
    )


CLUSTER_ROLE_BINDINGS = Layout(_binding_columns(_CLUSTER_ROLE, "clusterRoleBinding"), _binding)
ROLE_BINDINGS = Layout(_binding_columns(_ROLE, "roleBinding"), _binding)
