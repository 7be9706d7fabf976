"""Where a pod may go: affinity, topology spread, tolerations, gates (``validateAffinity`` and its neighbours)."""

from __future__ import annotations

from collections.abc import Sequence

from simkube.apiserver.registry.pods.internal_types import printed
from simkube.apiserver.validation.field import Errors
from simkube.apiserver.validation.metadata import dns_label, label_value, qualified_name
from simkube.apiserver.validation.node_selector import node_selector, node_term
from simkube.apiserver.validation.selector import label_selector
from simkube.client.client import Obj

_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_OPERATORS = ("Equal", "Exists")
_POLICIES = ("Honor", "Ignore")
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
_WEIGHT = "must be in the range 1-100"
_POSITIVE = "must be greater than zero"


def placement(spec: Obj, path: str, errors: Errors) -> None:
    """Affinity of a pod to nodes, to pods and away from pods."""
    affinity = spec.get("affinity", {})
    nodes, where = affinity.get("nodeAffinity", {}), f"{path}.affinity.nodeAffinity"
    if nodes.get(_REQUIRED) is not None:
        node_selector(nodes[_REQUIRED], f"{where}.{_REQUIRED}", errors)
    for index, each in enumerate(nodes.get(_PREFERRED, ())):
        at = f"{where}.{_PREFERRED}[{index}]"
        _weight(each, at, errors)
        node_term(each.get("preference", {}), f"{at}.preference", errors)
    for kind in ("podAffinity", "podAntiAffinity"):
        terms, where = affinity.get(kind, {}), f"{path}.affinity.{kind}"
        for index, term in enumerate(terms.get(_REQUIRED, ())):
            _pod_term(term, f"{where}.{_REQUIRED}[{index}]", errors)
        for index, each in enumerate(terms.get(_PREFERRED, ())):
            at = f"{where}.{_PREFERRED}[{index}]"
            _weight(each, at, errors)
            _pod_term(each.get("podAffinityTerm", {}), f"{at}.podAffinityTerm", errors)


def _weight(each: Obj, path: str, errors: Errors) -> None:
    weight = each.get("weight", 0)
    if not 0 < weight <= 100:
        errors.invalid(f"{path}.weight", weight, _WEIGHT)


def _pod_term(term: Obj, path: str, errors: Errors) -> None:
    for name in ("labelSelector", "namespaceSelector"):
        if term.get(name) is not None:
            label_selector(term[name], f"{path}.{name}", errors)
    for name in term.get("namespaces", ()):
        for problem in dns_label(name):
            errors.invalid(f"{path}.namespace", name, problem)
    for name in ("matchLabelKeys", "mismatchLabelKeys"):
        _keys(term.get(name, ()), term.get("labelSelector"), f"{path}.{name}", errors)
    for index, key in enumerate(term.get("matchLabelKeys", ())):
        if key in term.get("mismatchLabelKeys", ()):
            errors.invalid(
                f"{path}.matchLabelKeys[{index}]", key, "exists in both matchLabelKeys and mismatchLabelKeys"
            )
    topology = term.get("topologyKey", "")
    if not topology:
        errors.required(f"{path}.topologyKey", "can not be empty")
    for problem in qualified_name(topology):
        errors.invalid(f"{path}.topologyKey", topology, problem)


def _keys(keys: Sequence[str], selector: Obj | None, path: str, errors: Errors) -> None:
    if keys and selector is None:
        errors.forbidden(path, "must not be specified when labelSelector is not set")
    for index, key in enumerate(keys):
        for problem in qualified_name(key):
            errors.invalid(f"{path}[{index}]", key, problem)


def spread(constraints: Sequence[Obj], path: str, errors: Errors) -> None:
    """Topology spread constraints, no two of them alike."""
    seen = set()
    for index, each in enumerate(constraints):
        where = f"{path}[{index}]"
        skew, key, when = each.get("maxSkew", 0), each.get("topologyKey", ""), each.get("whenUnsatisfiable", "")
        if skew <= 0:
            errors.invalid(f"{where}.maxSkew", skew, _POSITIVE)
        if not key:
            errors.required(f"{where}.topologyKey", "can not be empty")
        for problem in qualified_name(key) if key else ():
            errors.invalid(f"{where}.topologyKey", key, problem)
        if when not in ("DoNotSchedule", "ScheduleAnyway"):
            errors.not_supported(f"{where}.whenUnsatisfiable", when, ("DoNotSchedule", "ScheduleAnyway"))
        if (key, when) in seen:
            errors.duplicate(f"{where}.{{topologyKey, whenUnsatisfiable}}", f"{{{key}, {when}}}")
        seen.add((key, when))
        _spread_options(each, where, errors)


def _spread_options(each: Obj, path: str, errors: Errors) -> None:
    domains, when = each.get("minDomains"), each.get("whenUnsatisfiable", "")
    if domains is not None and domains <= 0:
        errors.invalid(f"{path}.minDomains", domains, _POSITIVE)
    if domains is not None and when != "DoNotSchedule":
        detail = f"can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {when}"
        errors.invalid(f"{path}.minDomains", domains, detail)
    for name in ("nodeAffinityPolicy", "nodeTaintsPolicy"):
        policy = each.get(name)
        if policy is not None and policy not in _POLICIES:
            errors.not_supported(f"{path}.{name}", policy, _POLICIES)
    selector = each.get("labelSelector")
    _keys(each.get("matchLabelKeys", ()), selector, f"{path}.matchLabelKeys", errors)
    if selector is not None:
        label_selector(selector, f"{path}.labelSelector", errors)


def gates(spec: Obj, path: str, errors: Errors) -> None:
    """Readiness gates and scheduling gates."""
    for index, gate in enumerate(spec.get("readinessGates", ())):
        for problem in qualified_name(gate.get("conditionType", "")):
            errors.invalid(f"{path}.readinessGates[{index}].conditionType", gate.get("conditionType", ""), problem)
    seen = set()
    for index, gate in enumerate(spec.get("schedulingGates", ())):
        name, where = gate.get("name", ""), f"{path}.schedulingGates[{index}]"
        for problem in qualified_name(name):
            errors.invalid(where, name, problem)
        if name in seen:
            errors.duplicate(where, name)
        seen.add(name)


def tolerations(given: Sequence[Obj], path: str, errors: Errors) -> None:
    """What each operator and effect of a toleration goes with."""
    for index, each in enumerate(given):
        where = f"{path}[{index}]"
        key, operator = each.get("key", ""), each.get("operator", "")
        for problem in qualified_name(key) if key else ():
            errors.invalid(f"{where}.key", key, problem)
        if not key and operator != "Exists":
            detail = 'operator must be Exists when `key` is empty, which means "match all values and all keys"'
            errors.invalid(f"{where}.operator", operator, detail)
        if each.get("tolerationSeconds") is not None and each.get("effect") != "NoExecute":
            detail = "effect must be 'NoExecute' when `tolerationSeconds` is set"
            errors.invalid(f"{where}.effect", each.get("effect", ""), detail)
        if operator in ("", "Equal"):
            problems = label_value(each.get("value", ""))
            if problems:
                errors.invalid(f"{where}.operator", each.get("value", ""), ";".join(problems))
        elif operator == "Exists":
            if each.get("value"):
                shown = printed(each, "Toleration")
                errors.invalid(f"{where}.operator", shown, "value must be empty when `operator` is 'Exists'")
        else:
            errors.not_supported(f"{where}.operator", operator, _OPERATORS)
        effect = each.get("effect", "")
        if effect and effect not in _EFFECTS:
            errors.not_supported(f"{where}.effect", effect, _EFFECTS)
