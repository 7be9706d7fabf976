"""Rules of the cluster's own about what may be written: policies in expressions, and webhooks."""

from simkube.apiserver.resources.model import Resource, status

_GROUP = "admissionregistration.k8s.io"
_CATEGORY = ("api-extensions",)


def _kind(plural: str, singular: str, kind: str, *, has_status: bool = False) -> Resource:
    parts = (status(kind),) if has_status else ()
    return Resource(_GROUP, "v1", plural, singular, kind, False, categories=_CATEGORY, subresources=parts)


ADMISSION = (
    _kind("mutatingadmissionpolicies", "mutatingadmissionpolicy", "MutatingAdmissionPolicy"),
    _kind("mutatingadmissionpolicybindings", "mutatingadmissionpolicybinding", "MutatingAdmissionPolicyBinding"),
    _kind("mutatingwebhookconfigurations", "mutatingwebhookconfiguration", "MutatingWebhookConfiguration"),
    _kind("validatingadmissionpolicies", "validatingadmissionpolicy", "ValidatingAdmissionPolicy", has_status=True),
    _kind("validatingadmissionpolicybindings", "validatingadmissionpolicybinding", "ValidatingAdmissionPolicyBinding"),
    _kind("validatingwebhookconfigurations", "validatingwebhookconfiguration", "ValidatingWebhookConfiguration"),
)
