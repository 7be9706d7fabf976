"""Questions that are answered and never stored."""

from __future__ import annotations

from simkube.apiserver.registry.kind import Kind
from simkube.apiserver.registry.resources import REVIEW, Resource

KINDS = (
    Kind(
        Resource(
            "authentication.k8s.io",
            "v1",
            "selfsubjectreviews",
            "selfsubjectreview",
            "SelfSubjectReview",
            False,
            verbs=REVIEW,
            review=True,
        )
    ),
    Kind(
        Resource(
            "authentication.k8s.io",
            "v1",
            "tokenreviews",
            "tokenreview",
            "TokenReview",
            False,
            verbs=REVIEW,
            review=True,
        )
    ),
    Kind(
        Resource(
            "authorization.k8s.io",
            "v1",
            "localsubjectaccessreviews",
            "localsubjectaccessreview",
            "LocalSubjectAccessReview",
            True,
            verbs=REVIEW,
            review=True,
        )
    ),
    Kind(
        Resource(
            "authorization.k8s.io",
            "v1",
            "selfsubjectaccessreviews",
            "selfsubjectaccessreview",
            "SelfSubjectAccessReview",
            False,
            verbs=REVIEW,
            review=True,
        )
    ),
    Kind(
        Resource(
            "authorization.k8s.io",
            "v1",
            "selfsubjectrulesreviews",
            "selfsubjectrulesreview",
            "SelfSubjectRulesReview",
            False,
            verbs=REVIEW,
            review=True,
        )
    ),
    Kind(
        Resource(
            "authorization.k8s.io",
            "v1",
            "subjectaccessreviews",
            "subjectaccessreview",
            "SubjectAccessReview",
            False,
            verbs=REVIEW,
            review=True,
        )
    ),
)
