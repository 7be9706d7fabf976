"""Validating admission policies: expressions that every matching write must satisfy, where a binding says so.

After ``apiserver/pkg/admission/plugin/policy/validating``. Actions are Deny, Warn and Audit (which shows nowhere here).
"""

from __future__ import annotations

from typing import Any

from simkube.apimachinery.errors import StatusError, forbidden
from simkube.apimachinery.labels import matches
from simkube.apiserver.admission import expressions
from simkube.apiserver.admission.attributes import Attributes
from simkube.apiserver.admission.matching import concerns
from simkube.apiserver.admission.plugin import Plugin
from simkube.apiserver.cel.evaluation import Budget
from simkube.apiserver.registry.kinds import by_kind
from simkube.apiserver.registry.request import Request
from simkube.client.client import Obj
from simkube.etcd.store import Store

POLICIES = "validatingadmissionpolicies.admissionregistration.k8s.io"
BINDINGS = "validatingadmissionpolicybindings.admissionregistration.k8s.io"
_CODES = {"Unauthorized": 401, "Forbidden": 403, "Invalid": 422, "RequestEntityTooLarge": 413}


class ValidatingAdmissionPolicy(Plugin):
    """After ``apiserver/pkg/admission/plugin/policy/validating``."""

    name = "ValidatingAdmissionPolicy"

    def validate(self, attributes: Attributes) -> None:
        """Hold the request to the policies that are bound."""
        check(attributes.request, attributes.given, attributes.old, self.store)


def check(request: Request, new: Obj | None, old: Obj | None, store: Store) -> None:
    """Refuse what a bound policy denies, warn of what it warns of."""
    for binding in store.objects(BINDINGS):
        policy = store.get(POLICIES, "", binding["spec"].get("policyName", ""))
        if policy is None:
            continue
        spec, chosen = policy["spec"], binding["spec"].get("matchResources", {})
        limits = spec.get("matchConstraints", {})
        rules = limits.get("resourceRules", ())
        if not concerns(limits, rules, request, new, old, store):
            continue
        if not concerns(chosen, chosen.get("resourceRules", rules), request, new, old, store):
            continue
        names = expressions.names_for(request, new, old, store)
        for problem, reason in _problems(policy, binding, names, request, store):
            _act(request, names["request"]["name"], policy, binding, problem, reason)


def _problems(policy: Obj, binding: Obj, names: Obj, request: Request, store: Store) -> list[tuple[str, str]]:
    spec, budget = policy["spec"], request.budget
    strict = spec.get("failurePolicy", "Fail") == "Fail"
    try:
        if not expressions.conditions(spec.get("matchConditions", ()), names, budget):
            return []
    except expressions.Wrong as error:
        return [(f"failed to evaluate match conditions: {error}", "")] if strict else []
    found: list[tuple[str, str]] = []
    parameters, problem = _parameters(policy, binding, request, store)
    if problem:
        return [(problem, "")] if strict else []
    for each in parameters:
        given = {**names, "params": each, "variables": {}}
        for variable in spec.get("variables", ()):
            try:
                given["variables"][variable["name"]] = expressions.value(variable["expression"], given, budget)
            except expressions.Wrong:
                continue  # whatever names it then fails for want of it
        for rule in spec.get("validations", ()):
            said = _broken(rule, given, budget, strict=strict)
            if said:
                found.append((said, rule.get("reason", "")))
    return found


def _broken(rule: Obj, names: Obj, budget: Budget, *, strict: bool) -> str:
    text = rule["expression"]
    try:
        if expressions.value(text, names, budget) is True:
            return ""
    except expressions.Wrong as error:
        return f"expression '{text}' resulted in error: {error}" if strict else ""
    said = rule.get("message", "").strip() or f"failed expression: {' '.join(text.split())}"
    if rule.get("messageExpression"):
        try:
            made = expressions.value(rule["messageExpression"], names, budget)
        except expressions.Wrong:
            return str(said)
        if isinstance(made, str) and made.strip():
            return made.strip()
    return str(said)


def _parameters(policy: Obj, binding: Obj, request: Request, store: Store) -> tuple[list[Any], str]:
    """The objects a binding hands to its policy, one evaluation each; or why there are none."""
    kind, wanted = policy["spec"].get("paramKind"), binding["spec"].get("paramRef")
    if kind is None:
        return [None], ""
    if wanted is None:
        return [None], ""
    resource = by_kind(kind.get("apiVersion", ""), kind.get("kind", ""))
    if resource is None:
        return [], f"failed to configure policy: failed to find resource referenced by paramKind: '{kind}'"
    where = (wanted.get("namespace") or request.namespace) if resource.namespaced else ""
    name = wanted.get("name")
    found = [each for each in store.objects(resource.storage, where) if not name or each["metadata"]["name"] == name]
    if not name:
        found = [each for each in found if _selected(wanted.get("selector"), each)]
    if found or wanted.get("parameterNotFoundAction") == "Allow":
        return list(found), ""
    return [], "failed to configure binding: no params found for policy binding with `Deny` parameterNotFoundAction"


def _selected(selector: Obj | None, obj: Obj) -> bool:
    return matches(selector, obj["metadata"].get("labels"))


def _act(request: Request, name: str, policy: Obj, binding: Obj, problem: str, reason: str) -> None:
    actions = binding["spec"].get("validationActions", ())
    who = f"ValidatingAdmissionPolicy '{policy['metadata']['name']}' with binding '{binding['metadata']['name']}'"
    if "Warn" in actions:
        request.warnings.append(f"Validation failed for {who}: {problem}")
    if "Deny" not in actions:
        return
    message = f"{who} denied request: {problem}"
    error = forbidden(request.resource.plural, name, message, request.resource.group)
    reason = reason or "Invalid"
    details = {**(error.details or {}), "causes": [{"message": message}]}
    raise StatusError(_CODES.get(reason, 422), reason, error.message, details)
