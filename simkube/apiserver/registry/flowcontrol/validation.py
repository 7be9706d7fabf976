"""Flow schemas and priority levels (``pkg/apis/flowcontrol/validation``)."""

from __future__ import annotations

from simkube.apiserver.validation.field import Errors
from simkube.apiserver.validation.metadata import dns_label, subdomain
from simkube.apiserver.validation.numbers import not_negative
from simkube.client.client import Obj

_KINDS = {"User": "user", "Group": "group", "ServiceAccount": "serviceAccount"}
_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "proxy", "update", "watch")
_OTHERS = {
    "verbs": "verbs",
    "apiGroups": "api groups",
    "resources": "resources",
    "namespaces": "namespaces",
    "nonResourceURLs": "non-resource URLs",
}
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
    level = spec.get("priorityLevelConfiguration", {}).get("name")
    if not level:
        errors.required("spec.priorityLevelConfiguration.name", "must reference a priority level")
    for problem in subdomain(level) if level else ():
        errors.invalid("spec.priorityLevelConfiguration.name", level, problem)
    for index, rule in enumerate(spec.get("rules", ())):
        _rule(rule, f"spec.rules[{index}]", errors)


def _rule(rule: Obj, path: str, errors: Errors) -> None:
    if not rule.get("subjects"):
        errors.required(f"{path}.subjects", "subjects must contain at least one value")
    for index, subject in enumerate(rule.get("subjects", ())):
        kind, where = subject.get("kind", ""), f"{path}.subjects[{index}]"
        if kind not in _KINDS:
            errors.not_supported(f"{where}.kind", kind, sorted(_KINDS))
        else:
            _subject(subject, kind, where, errors)
    if not rule.get("resourceRules") and not rule.get("nonResourceRules"):
        detail = "at least one of resourceRules and nonResourceRules has to be non-empty"
        errors.required(path, detail)

    for index, each in enumerate(rule.get("resourceRules", ())):
        _resources(each, f"{path}.resourceRules[{index}]", errors)
    for index, each in enumerate(rule.get("nonResourceRules", ())):
        _urls(each, f"{path}.nonResourceRules[{index}]", errors)


def _subject(subject: Obj, kind: str, path: str, errors: Errors) -> None:
    """Of its kind alone."""
    name = _KINDS[kind]
    given, where = subject.get(name), f"{path}.{name}"
    if given is None:
        errors.required(where, f"{name} is required when subject kind is '{kind}'")
    else:
        if not given.get("name"):
            errors.required(f"{where}.name")
        account = kind == "ServiceAccount"
        for problem in subdomain(given["name"]) if account and given.get("name", "*") not in ("", "*") else ():
            errors.invalid(f"{where}.name", given["name"], problem)
        if account and not given.get("namespace"):
            errors.required(f"{where}.namespace", "must specify namespace for service account")
        for problem in dns_label(given["namespace"]) if account and given.get("namespace") else ():
            errors.invalid(f"{where}.namespace", given["namespace"], problem)
    for other, field in _KINDS.items():
        if other != kind and subject.get(field) is not None:
            errors.forbidden(f"{path}.{field}", f"{field} is forbidden when subject kind is not '{other}'")


def _all_or_some(rule: Obj, name: str, empty: str, path: str, errors: Errors) -> list[str]:
    """The members of a list that has ``*`` alone or not at all; none of a list that has it."""
    given, others = rule.get(name, []), _OTHERS[name]
    if not given and empty:
        errors.required(f"{path}.{name}", empty)
    if "*" not in given:
        return list(given)
    if len(given) > 1:
        errors.invalid(f"{path}.{name}", given, f"if '*' is present, must not specify other {others}")
    return []


def _verbs(rule: Obj, path: str, errors: Errors) -> None:
    given = _all_or_some(rule, "verbs", "verbs must contain at least one value", path, errors)
    if not set(given) <= set(_VERBS):
        errors.not_supported(f"{path}.verbs", given, _VERBS)


def _resources(rule: Obj, path: str, errors: Errors) -> None:
    _verbs(rule, path, errors)
    _all_or_some(rule, "apiGroups", "resource rules must supply at least one api group", path, errors)
    _all_or_some(rule, "resources", "resource rules must supply at least one resource", path, errors)
    needed = "resource rules that are not cluster scoped must supply at least one namespace"
    given = _all_or_some(rule, "namespaces", "" if rule.get("clusterScope") else needed, path, errors)
    for index, name in enumerate(given):
        for problem in dns_label(name):
            detail = f"each member of this list must be '*' or a DNS-1123 label; {problem}"
            errors.invalid(f"{path}.namespaces[{index}]", name, detail)


def _urls(rule: Obj, path: str, errors: Errors) -> None:
    _verbs(rule, path, errors)
    given = _all_or_some(rule, "nonResourceURLs", "nonResourceURLs must contain at least one value", path, errors)
    for index, url in enumerate(given):
        problem = _bad_url(url)
        if problem:
            errors.invalid(f"{path}.nonResourceURLs[{index}]", url, problem)


def _bad_url(url: str) -> str:
    if not url:
        return "must not be empty"
    if not url.startswith("/"):
        return "must start with slash"
    if " " in url:
        return "must not contain white-space"
    if "//" in url:
        return "must not contain double slash"
    stars = url.count("*")
    return "wildcard can only do suffix matching" if stars > 1 or (stars and not url.endswith("/*")) else ""


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
    borrowed = limited.get("borrowingLimitPercent")
    if borrowed is not None and borrowed < 0:
        errors.invalid("spec.limited.borrowingLimitPercent", borrowed, "if specified, must be a non-negative integer")
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


def conditions(new: Obj, _old: Obj, errors: Errors) -> None:
    """What the status of either kind says: each type of condition once, and named."""
    seen = set()
    for index, each in enumerate(new.get("status", {}).get("conditions", ())):
        where, kind = f"status.conditions[{index}].type", each.get("type", "")
        if kind in seen:
            errors.duplicate(where, kind)
        seen.add(kind)
        if not kind:
            errors.required(where, "must not be empty")
