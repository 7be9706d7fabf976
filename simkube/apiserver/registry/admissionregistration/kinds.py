"""Policies and webhooks that judge requests."""

from __future__ import annotations

from simkube.apiserver.registry.admissionregistration import defaults, tables, validation
from simkube.apiserver.registry.kind import Kind
from simkube.apiserver.registry.resources import Resource, status
from simkube.apiserver.registry.strategy import Strategy


def _resource(plural: str, singular: str, kind: str, *, has_status: bool = False) -> Resource:
    parts = (status(kind),) if has_status else ()
    group = "admissionregistration.k8s.io"
    return Resource(group, "v1", plural, singular, kind, False, categories=("api-extensions",), subresources=parts)


KINDS = (
    Kind(
        _resource("mutatingadmissionpolicies", "mutatingadmissionpolicy", "MutatingAdmissionPolicy"),
        Strategy(validate=validation.mutating),
        layout=tables.MUTATING_POLICIES,
    ),
    Kind(
        _resource(
            "mutatingadmissionpolicybindings", "mutatingadmissionpolicybinding", "MutatingAdmissionPolicyBinding"
        ),
        Strategy(validate=validation.mutating),
        layout=tables.BINDINGS,
    ),
    Kind(
        _resource("mutatingwebhookconfigurations", "mutatingwebhookconfiguration", "MutatingWebhookConfiguration"),
        Strategy(defaults=defaults.webhooks, validate=validation.webhooks, generation=True),
        layout=tables.WEBHOOKS,
    ),
    Kind(
        _resource(
            "validatingadmissionpolicies", "validatingadmissionpolicy", "ValidatingAdmissionPolicy", has_status=True
        ),
        Strategy(
            defaults=defaults.policy,
            validate=validation.policy,
            validate_status=validation.policy_status,
            generation=True,
            keeps_status=True,
            first_status={},
        ),
        layout=tables.VALIDATING_POLICIES,
    ),
    Kind(
        _resource(
            "validatingadmissionpolicybindings", "validatingadmissionpolicybinding", "ValidatingAdmissionPolicyBinding"
        ),
        Strategy(defaults=defaults.binding, validate=validation.binding, generation=True),
        layout=tables.BINDINGS,
    ),
    Kind(
        _resource(
            "validatingwebhookconfigurations", "validatingwebhookconfiguration", "ValidatingWebhookConfiguration"
        ),
        Strategy(defaults=defaults.webhooks, validate=validation.webhooks, generation=True),
        layout=tables.WEBHOOKS,
    ),
)
