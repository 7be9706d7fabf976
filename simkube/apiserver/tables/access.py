"""The rows of bindings, quotas and certificate signing requests."""

from __future__ import annotations

from typing import Any

from simkube.apiserver.tables.ages import human
from simkube.apiserver.tables.cells import age_of, name_of
from simkube.apiserver.tables.columns import AGE, NAME, Cells, Column, Layout

Obj = dict[str, Any]

_CSR = "certificates.v1.CertificateSigningRequestSpec"
_SIGNER = (
    "Requested signer for the request. It is a qualified name in the form: `scope-hostname.io/name`. If empty, it will "
    "be defaulted:\n 1. If it's a kubelet client certificate, it is assigned\n"
    '    "kubernetes.io/kube-apiserver-client-kubelet".\n'
    " 2. If it's a kubelet serving certificate, it is assigned\n"
    '    "kubernetes.io/kubelet-serving".\n'
    ' 3. Otherwise, it is assigned "kubernetes.io/legacy-unknown".\n'
    "Distribution of trust for signers happens out of band. You can select on this field using `spec.signerName`."
)
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


def _quota(obj: Obj, now: float) -> Cells:
    status = obj.get("status") or {}
    used = status.get("used") or {}
    requests: list[str] = []
    limits: list[str] = []
    for name, hard in sorted((status.get("hard") or {}).items()):
        column = limits if name.startswith("limits.") else requests
        column.append(f"{name}: {used.get(name, '0')}/{hard}")
    return [name_of(obj), ", ".join(requests), ", ".join(limits), age_of(obj, now)]


def _signing_request(obj: Obj, now: float) -> Cells:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    seconds = spec.get("expirationSeconds")
    asked = "<none>" if seconds is None else human(seconds)
    return [
        name_of(obj),
        age_of(obj, now),
        spec.get("signerName", ""),
        spec.get("username", ""),
        asked,
        _signing_status(status),
    ]


def _signing_status(status: Obj) -> str:
    types = [each.get("type") for each in status.get("conditions") or ()]
    words = ["Denied" if "Denied" in types else "Approved" if "Approved" in types else "Pending"]
    if "Failed" in types:
        words.append("Failed")
    if status.get("certificate"):
        words.append("Issued")
    return ",".join(words)


CLUSTER_ROLE_BINDINGS = Layout(_binding_columns(_CLUSTER_ROLE, "clusterRoleBinding"), _binding)
ROLE_BINDINGS = Layout(_binding_columns(_ROLE, "roleBinding"), _binding)
QUOTAS = Layout(
    (
        NAME,
        Column("Request", "Request represents a minimum amount of cpu/memory that a container may consume."),
        Column(
            "Limit",
            "Limits control the maximum amount of cpu/memory that a container may use independent of contention on the "
            "node.",
        ),
        AGE,
    ),
    _quota,
)
SIGNING_REQUESTS = Layout(
    (
        NAME,
        AGE,
        Column("SignerName", _SIGNER),
        Column("Requestor", "Base64-encoded PKCS#10 CSR data"),
        Column("RequestedDuration", field=f"{_CSR}.expirationSeconds"),
        Column("Condition", "Conditions applied to the request, such as approval or denial."),
    ),
    _signing_request,
)
LAYOUTS = {
    "certificatesigningrequests.certificates.k8s.io": SIGNING_REQUESTS,
    "clusterrolebindings.rbac.authorization.k8s.io": CLUSTER_ROLE_BINDINGS,
    "resourcequotas": QUOTAS,
    "rolebindings.rbac.authorization.k8s.io": ROLE_BINDINGS,
}
"""How each of these kinds is shown."""
