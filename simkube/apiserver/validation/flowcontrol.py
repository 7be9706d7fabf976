"""Flow schemas and priority levels (``pkg/apis/flowcontrol/validation``)."""

from __future__ import annotations

from simkube.apiserver.field import Errors
from simkube.apiserver.validation.numbers import not_negative
from simkube.client import Obj

_KINDS = {"User": "user", "Group": "group", "ServiceAccount": "serviceAccount"}
_MOST_PRECEDENCE = 10000
_MOST_QUEUES = 10_000_000


def flow_schema(obj: Obj, errors: Errors) -> None:
    """Whose requests, which of them, before which other schemas."""
    spec = obj["spec"]
    precedence, method = spec.get("matchingPrecedence", 0), spec.get("distinguisherMethod")
    if precedence <= 0:
        errors.invalid("spec.matchingPrecedence", precedence, "must be a positive value")
    if precedence > _MOST_PRECEDENCE:
        errors.invalid("spec.matchingPrecedence", precedence, f"must not be greater than {_MOST_PRECEDENCE}")
    if precedence == 1 and obj["metadata"].get("name") != "exempt":
        errors.invalid(
            "spec.matchingPrecedence", precedence, "only the schema named 'exempt' may have matchingPrecedence 1"
        )
    if method is not None and method.get("type") not in ("ByNamespace", "ByUser"):
        errors.not_supported("spec.distinguisherMethod", method.get("type", ""), ("ByNamespace", "ByUser"))
    if not spec.get("priorityLevelConfiguration", {}).get("name"):
        errors.required("spec.priorityLevelConfiguration.name", "must reference a priority level")
    for index, rule in enumerate(spec.get("rules", ())):
        _rule(rule, f"spec.rules[{index}]", errors)


def _rule(rule: Obj, path: str, errors: Errors) -> None:
    if not rule.get("subjects"):
        errors.required(f"{path}.subjects", "subjects must contain at least one value")
    for index, subject in enumerate(rule.get("subjects", ())):
        kind, where = subject.get("kind", ""), f"{path}.subjects[{index}]"
        if kind not in _KINDS:
            errors.not_supported(f"{where}.kind", kind, sorted(_KINDS))
        elif subject.get(_KINDS[kind]) is None:
            errors.required(f"{where}.{_KINDS[kind]}", f"{_KINDS[kind]} is required when subject kind is '{kind}'")
    if not rule.get("resourceRules") and not rule.get("nonResourceRules"):
        detail = "at least one of resourceRules and nonResourceRules has to be non-empty"
        errors.required(path, detail)


def priority_level(obj: Obj, errors: Errors) -> None:
    """Of one kind, with what that kind says."""
    spec = obj["spec"]
    kind, limited = spec.get("type", ""), spec.get("limited")
    if kind not in ("Exempt", "Limited"):
        errors.not_supported("spec.type", kind, ("Exempt", "Limited"))
        return
    if kind == "Exempt":
        if limited is not None:
            errors.forbidden("spec.limited", "must be nil if the type is not Limited")
        return
    if spec.get("exempt") is not None:
        errors.forbidden("spec.exempt", "must be nil if the type is Limited")
    if limited is None:
        errors.required("spec.limited", "must not be empty when type is Limited")
        return
    not_negative(limited.get("nominalConcurrencyShares"), "spec.limited.nominalConcurrencyShares", errors)
    lent = limited.get("lendablePercent", 0)
    if not 0 <= lent <= 100:
        errors.invalid("spec.limited.lendablePercent", lent, "must be between 0 and 100, inclusive")
    _response(limited.get("limitResponse", {}), "spec.limited.limitResponse", errors)


def _response(response: Obj, path: str, errors: Errors) -> None:
    kind, queuing = response.get("type", ""), response.get("queuing")
    if kind not in ("Queue", "Reject"):
        errors.not_supported(f"{path}.type", kind, ("Queue", "Reject"))
    elif kind == "Reject" and queuing is not None:
        errors.forbidden(f"{path}.queuing", "must be nil if limited.limitResponse.type is not Limited")
    elif kind == "Queue" and queuing is None:
        errors.required(f"{path}.queuing", "must not be empty if limited.limitResponse.type is Limited")
    elif queuing is not None:
        for name in ("queues", "handSize", "queueLengthLimit"):
            if queuing.get(name, 0) <= 0:
                errors.invalid(f"{path}.queuing.{name}", queuing.get(name, 0), "must be positive")
        if queuing.get("queues", 0) > _MOST_QUEUES:
            errors.invalid(f"{path}.queuing.queues", queuing["queues"], f"must not be greater than {_MOST_QUEUES}")
        if queuing.get("handSize", 0) > queuing.get("queues", 0):
            detail = f"should not be greater than queues ({queuing.get('queues', 0)})"
            errors.invalid(f"{path}.queuing.handSize", queuing["handSize"], detail)
