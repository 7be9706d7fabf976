"""Defaults of policies and webhooks (``pkg/apis/admissionregistration/v1/defaults.go``)."""

from __future__ import annotations

from simkube.client.client import Obj


def policy(obj: Obj) -> None:
    """A policy: what it cannot decide it refuses."""
    spec = obj.setdefault("spec", {})
    spec.setdefault("failurePolicy", "Fail")
    if spec.get("matchConstraints") is not None:
        _match(spec["matchConstraints"])
    obj.setdefault("status", {})


def binding(obj: Obj) -> None:
    """A binding: for everything its policy is about."""
    spec = obj.setdefault("spec", {})
    if spec.get("matchResources") is not None:
        _match(spec["matchResources"])


def _match(match: Obj) -> None:
    match.setdefault("matchPolicy", "Equivalent")
    match.setdefault("namespaceSelector", {})
    match.setdefault("objectSelector", {})
    for name in ("resourceRules", "excludeResourceRules"):
        for rule in match.get(name, ()):
            rule.setdefault("scope", "*")


def webhooks(obj: Obj) -> None:
    """Webhooks: ten seconds each, of what they do not answer nothing is let pass; mutating ones are called once."""
    for hook in obj.get("webhooks", ()):
        hook.setdefault("failurePolicy", "Fail")
        hook.setdefault("matchPolicy", "Equivalent")
        hook.setdefault("namespaceSelector", {})
        hook.setdefault("objectSelector", {})
        hook.setdefault("timeoutSeconds", 10)
        service = hook.get("clientConfig", {}).get("service")
        if service is not None:
            service.setdefault("port", 443)
        for rule in hook.get("rules", ()):
            rule.setdefault("scope", "*")
        if obj.get("kind") == "MutatingWebhookConfiguration":
            hook.setdefault("reinvocationPolicy", "Never")
