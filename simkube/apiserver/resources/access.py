"""Who may do what: roles, bindings, certificate requests, and the reviews that are answered and never stored."""

from simkube.apiserver.resources.model import CHANGE, REVIEW, Resource, Subresource, status

ACCESS = (
    Resource(
        "authentication.k8s.io",
        "v1",
        "selfsubjectreviews",
        "selfsubjectreview",
        "SelfSubjectReview",
        False,
        verbs=REVIEW,
        review=True,
    ),
    Resource(
        "authentication.k8s.io", "v1", "tokenreviews", "tokenreview", "TokenReview", False, verbs=REVIEW, review=True
    ),
    Resource(
        "authorization.k8s.io",
        "v1",
        "localsubjectaccessreviews",
        "localsubjectaccessreview",
        "LocalSubjectAccessReview",
        True,
        verbs=REVIEW,
        review=True,
    ),
    Resource(
        "authorization.k8s.io",
        "v1",
        "selfsubjectaccessreviews",
        "selfsubjectaccessreview",
        "SelfSubjectAccessReview",
        False,
        verbs=REVIEW,
        review=True,
    ),
    Resource(
        "authorization.k8s.io",
        "v1",
        "selfsubjectrulesreviews",
        "selfsubjectrulesreview",
        "SelfSubjectRulesReview",
        False,
        verbs=REVIEW,
        review=True,
    ),
    Resource(
        "authorization.k8s.io",
        "v1",
        "subjectaccessreviews",
        "subjectaccessreview",
        "SubjectAccessReview",
        False,
        verbs=REVIEW,
        review=True,
    ),
    Resource(
        "certificates.k8s.io",
        "v1",
        "certificatesigningrequests",
        "certificatesigningrequest",
        "CertificateSigningRequest",
        False,
        short_names=("csr",),
        subresources=(
            Subresource("approval", "CertificateSigningRequest", CHANGE),
            status("CertificateSigningRequest"),
        ),
    ),
    Resource(
        "rbac.authorization.k8s.io", "v1", "clusterrolebindings", "clusterrolebinding", "ClusterRoleBinding", False
    ),
    Resource("rbac.authorization.k8s.io", "v1", "clusterroles", "clusterrole", "ClusterRole", False),
    Resource("rbac.authorization.k8s.io", "v1", "rolebindings", "rolebinding", "RoleBinding", True),
    Resource("rbac.authorization.k8s.io", "v1", "roles", "role", "Role", True),
)
