"""Which requests a policy or a webhook is about: rules, and selectors of namespaces and objects.

After ``apiserver/pkg/admission/plugin/webhook/predicates``. Requests about policies and webhooks themselves are
nobody's.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from simkube.apimachinery.labels import matches as selects
from simkube.apiserver.admission.attributes import operation_of
from simkube.apiserver.registry.kinds import ALL
from simkube.apiserver.registry.request import Request
from simkube.client.client import Obj
from simkube.etcd.store import Store

GROUP = "admissionregistration.k8s.io"


def concerns(
    match: Obj, rules: Iterable[Obj], request: Request, new: Obj | None, old: Obj | None, store: Store
) -> bool:
    """Whether ``match`` (selectors, exceptions, ``matchPolicy``) with these rules is about a request."""
    if request.resource.group == GROUP or request.resource.review:
        return False
    operation = operation_of(new, old)
    if not any(_rule(rule, match, request, operation) for rule in rules):
        return False
    if any(_rule(rule, match, request, operation) for rule in match.get("excludeResourceRules", ())):
        return False
    objects = [each for each in (new, old) if each is not None]
    chosen = match.get("objectSelector", {})
    if chosen and not any(selects(chosen, each["metadata"].get("labels")) for each in objects):
        return False
    return _namespace(match.get("namespaceSelector", {}), request, objects, store)


def _namespace(selector: Obj, request: Request, objects: list[Obj], store: Store) -> bool:
    if not selector:
        return True
    if request.resource.qualified == "namespaces":
        return selects(selector, objects[0]["metadata"].get("labels"))
    if not request.resource.namespaced:
        return True
    namespace = store.get("namespaces", "", request.namespace)
    return namespace is not None and selects(selector, namespace["metadata"].get("labels"))


def _rule(rule: Obj, match: Obj, request: Request, operation: str) -> bool:
    if not {"*", operation} & set(rule.get("operations", ())):
        return False
    scope = rule.get("scope", "*")
    if scope != "*" and (scope == "Namespaced") != request.resource.namespaced:
        return False
    names = rule.get("resourceNames", ())
    if names and request.name not in names:
        return False
    resource = request.resource
    seen = {(resource.group, resource.version, resource.plural)}
    if match.get("matchPolicy", "Equivalent") == "Equivalent":
        seen |= _equivalent().get(resource.storage, set())
    return any(_named(rule, *each, request.subresource) for each in seen)


def _named(rule: Obj, group: str, version: str, plural: str, subresource: str) -> bool:
    if not {"*", group} & set(rule.get("apiGroups", ())) or not {"*", version} & set(rule.get("apiVersions", ())):
        return False
    wanted = {f"{plural}/{subresource}", f"{plural}/*", f"*/{subresource}", "*/*"}
    if not subresource:
        wanted = {plural, "*", "*/*"}
    return bool(wanted & set(rule.get("resources", ())))


@cache
def _equivalent() -> dict[str, set[tuple[str, str, str]]]:
    """By stored resource: the groups, versions and plurals it is seen under."""
    found: dict[str, set[tuple[str, str, str]]] = {}
    for one in ALL:
        found.setdefault(one.storage, set()).add((one.group, one.version, one.plural))
    return found
