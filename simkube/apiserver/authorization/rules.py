"""RBAC rules: whether one allows a request, whether some cover others, how missing ones are shown.

After ``pkg/apis/rbac/v1/evaluation_helpers.go`` and ``component-helpers/auth/rbac/validation/policy_comparator.go``.
A rule is the JSON of a ``PolicyRule``. Comparing is bounded: parts times rules are at most :data:`MOST_COMPARED`.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import product
from typing import Any

from simkube.apimachinery.errors import bad_request
from simkube.apiserver.authorization.attributes import Attributes

Rule = dict[str, Any]
MOST_COMPARED = 100_000
"""So many combinations of verb, group, resource and name, times rules that somebody holds, are compared."""


def allows(rule: Rule, asked: Attributes) -> bool:
    """Whether a rule allows a request."""
    verbs = rule.get("verbs", ())
    if asked.verb not in verbs and "*" not in verbs:
        return False
    if asked.path:
        return any(_url_fits(each, asked.path) for each in rule.get("nonResourceURLs", ()))
    groups, names = rule.get("apiGroups", ()), rule.get("resourceNames", ())
    if asked.group not in groups and "*" not in groups:
        return False
    if names and asked.name not in names:
        return False
    return _resource_fits(rule.get("resources", ()), asked.combined, asked.subresource)


def _resource_fits(resources: Collection[str], combined: str, subresource: str) -> bool:
    if combined in resources or "*" in resources:
        return True
    return bool(subresource) and f"*/{subresource}" in resources


def _url_fits(url: str, path: str) -> bool:
    if url in ("*", path):
        return True
    return url.endswith("*") and path.startswith(url.rstrip("*"))


def missing(held: Sequence[Rule], wanted: Iterable[Rule]) -> list[Rule]:
    """The parts of ``wanted`` that no held rule covers, put together again by resource."""
    found: list[Rule] = []
    sets = [_Sets(rule) for rule in {id(rule): rule for rule in held}.values()]
    most = MOST_COMPARED // (10 + sum(1 + len(each.prefixes) for each in sets))
    for index, part in enumerate(_parts(wanted)):
        if index >= most:
            raise bad_request(f"these rules name more than {most} combinations; write fewer or use *")
        if not any(each.covers(part) for each in sets):
            found.append(part)
    return _compact(found)


def _parts(rules: Iterable[Rule]) -> Iterator[Rule]:
    """Every rule as rules of one verb on one resource or URL."""
    for rule in rules:
        verbs = rule.get("verbs", ())
        for group, resource, verb in product(rule.get("apiGroups", ()), rule.get("resources", ()), verbs):
            part: Rule = {"apiGroups": [group], "resources": [resource], "verbs": [verb]}
            names = rule.get("resourceNames", ())
            if not names:
                yield part
            for name in names:
                yield {**part, "resourceNames": [name]}
        for url, verb in product(rule.get("nonResourceURLs", ()), verbs):
            yield {"nonResourceURLs": [url], "verbs": [verb]}


class _Sets:
    """A held rule, ready to be compared with many parts."""

    def __init__(self, rule: Rule) -> None:
        self.verbs, self.groups, self.resources, self.names, self.urls = (
            frozenset(rule.get(key) or ())
            for key in ("verbs", "apiGroups", "resources", "resourceNames", "nonResourceURLs")
        )
        self.prefixes = [url for url in self.urls if url.endswith("*")]

    def covers(self, part: Rule) -> bool:
        """Whether the rule allows all that a part does."""
        if "*" not in self.verbs and part["verbs"][0] not in self.verbs:
            return False
        if "nonResourceURLs" in part:
            url = part["nonResourceURLs"][0]
            return url in self.urls or any(_url_fits(each, url) for each in self.prefixes)
        if "*" not in self.groups and part["apiGroups"][0] not in self.groups:
            return False
        if self.names and not self.names.issuperset(part.get("resourceNames", ("",))):
            return False
        resource = part["resources"][0]
        return _resource_fits(self.resources, resource, resource.partition("/")[2])


def _compact(parts: list[Rule]) -> list[Rule]:
    made: dict[tuple[str, ...], Rule] = {}
    for part in parts:
        if "nonResourceURLs" in part:
            key: tuple[str, ...] = (part["nonResourceURLs"][0], part["verbs"][0])
        else:
            key = (part["apiGroups"][0], part["resources"][0], *part.get("resourceNames", ()), "")
        if key in made:
            made[key]["verbs"].append(part["verbs"][0])
        else:
            made[key] = {**part, "verbs": list(part["verbs"])}
    return list(made.values())


_SHOWN = {
    "apiGroups": "APIGroups",
    "resources": "Resources",
    "nonResourceURLs": "NonResourceURLs",
    "resourceNames": "ResourceNames",
    "verbs": "Verbs",
}


def shown(rule: Rule) -> str:
    """A rule as a refusal shows it: ``{APIGroups:[""], Resources:["pods"], Verbs:["get" "list"]}``."""
    return "{" + ", ".join(f"{name}:{quoted(rule[key])}" for key, name in _SHOWN.items() if rule.get(key)) + "}"


def quoted(values: Iterable[str]) -> str:
    """A list of texts as Go's ``%q`` shows it."""
    return "[" + " ".join(json.dumps(each, ensure_ascii=False) for each in values) + "]"
