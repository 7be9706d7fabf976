"""Roles and their bindings (``pkg/apis/rbac/validation``)."""

from __future__ import annotations

from simkube.apiserver.validation.field import Errors
from simkube.apiserver.validation.metadata import subdomain
from simkube.apiserver.validation.selector import label_selector
from simkube.client.client import Obj

_GROUP = "rbac.authorization.k8s.io"
_BAD_PATH = ("/", "%")


def path_segment(name: str) -> list[str]:
    """What is wrong with a name that only has to be one part of a path, as roles' names are."""
    if name in (".", ".."):
        return [f"may not be '{name}'"]
    return [f"may not contain '{each}'" for each in _BAD_PATH if each in name]


def role(obj: Obj, errors: Errors) -> None:
    """The rules of a namespaced role."""
    for index, rule in enumerate(obj.get("rules") or ()):
        _rule(rule, True, f"rules[{index}]", errors)


def cluster_role(obj: Obj, errors: Errors) -> None:
    """The rules of a cluster role, and what it is to be the sum of."""
    for index, rule in enumerate(obj.get("rules") or ()):
        _rule(rule, False, f"rules[{index}]", errors)
    aggregation = obj.get("aggregationRule")
    if aggregation is None:
        return
    selectors = aggregation.get("clusterRoleSelectors") or ()
    if not selectors:
        errors.required(
            "aggregationRule.clusterRoleSelectors",
            "at least one clusterRoleSelector required if aggregationRule is non-nil",
        )
    for index, selector in enumerate(selectors):
        label_selector(selector, f"aggregationRule.clusterRoleSelectors[{index}]", errors)


def _rule(rule: Obj, namespaced: bool, path: str, errors: Errors) -> None:
    if not rule.get("verbs"):
        errors.required(f"{path}.verbs", "verbs must contain at least one value")
    urls = rule.get("nonResourceURLs")
    if urls:
        if namespaced:
            errors.invalid(f"{path}.nonResourceURLs", urls, "namespaced rules cannot apply to non-resource URLs")
        if rule.get("apiGroups") or rule.get("resources") or rule.get("resourceNames"):
            errors.invalid(
                f"{path}.nonResourceURLs", urls, "rules cannot apply to both regular resources and non-resource URLs"
            )
        return
    if not rule.get("apiGroups"):
        errors.required(f"{path}.apiGroups", "resource rules must supply at least one api group")
    if not rule.get("resources"):
        errors.required(f"{path}.resources", "resource rules must supply at least one resource")


def role_binding(obj: Obj, errors: Errors) -> None:
    """What a binding in a namespace refers to and for whom."""
    _binding(obj, ("Role", "ClusterRole"), True, errors)


def cluster_role_binding(obj: Obj, errors: Errors) -> None:
    """What a cluster-wide binding refers to and for whom."""
    _binding(obj, ("ClusterRole",), False, errors)


def _binding(obj: Obj, kinds: tuple[str, ...], namespaced: bool, errors: Errors) -> None:
    ref = obj.get("roleRef") or {}
    if ref.get("apiGroup", "") != _GROUP:
        errors.not_supported("roleRef.apiGroup", ref.get("apiGroup", ""), (_GROUP,))
    if ref.get("kind", "") not in kinds:
        errors.not_supported("roleRef.kind", ref.get("kind", ""), kinds)
    if not ref.get("name"):
        errors.required("roleRef.name")
    else:
        for problem in path_segment(ref["name"]):
            errors.invalid("roleRef.name", ref["name"], problem)
    for index, subject in enumerate(obj.get("subjects") or ()):
        _subject(subject, namespaced, f"subjects[{index}]", errors)


def _subject(subject: Obj, namespaced: bool, path: str, errors: Errors) -> None:
    name, kind, group = subject.get("name", ""), subject.get("kind", ""), subject.get("apiGroup", "")
    if not name:
        errors.required(f"{path}.name")
    if kind == "ServiceAccount":
        if name:
            for problem in subdomain(name):
                errors.invalid(f"{path}.name", name, problem)
        if group:
            errors.not_supported(f"{path}.apiGroup", group, ("",))
        if not namespaced and not subject.get("namespace"):
            errors.required(f"{path}.namespace")
    elif kind in ("User", "Group"):
        if group != _GROUP:
            errors.not_supported(f"{path}.apiGroup", group, (_GROUP,))
    else:
        errors.not_supported(f"{path}.kind", kind, ("ServiceAccount", "User", "Group"))


def binding_update(new: Obj, old: Obj, errors: Errors) -> None:
    """The role of a binding never changes: whoever was given it would be given something else."""
    if new.get("roleRef") != old.get("roleRef"):
        ref = new.get("roleRef") or {}
        shown = {"APIGroup": ref.get("apiGroup", ""), "Kind": ref.get("kind", ""), "Name": ref.get("name", "")}
        errors.invalid("roleRef", shown, "cannot change roleRef")
