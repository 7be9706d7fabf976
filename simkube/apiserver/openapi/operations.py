"""What operations are called and how they are described: by verb, kind and subresource.

After ``apiserver/pkg/endpoints/installer.go`` and ``endpoints/openapi``. Clients are generated from the ids, so no two
operations have the same; people read the descriptions.
"""

from __future__ import annotations

_WATCH = "deprecated: use the 'watch' parameter with a list operation instead"
_DESCRIPTIONS = {
    "get": "read the specified {kind}",
    "list": "list or watch objects of kind {kind}",
    "update": "replace the specified {kind}",
    "patch": "partially update the specified {kind}",
    "create": "create {a} {kind}",
    "delete": "delete {a} {kind}",
    "deletecollection": "delete collection of {kind}",
    "watch": f"watch changes to an object of kind {{kind}}. {_WATCH}, filtered to a single item with the "
    "'fieldSelector' parameter.",
    "watchlist": f"watch individual changes to a list of {{kind}}. {_WATCH}.",
}
_OF_SUBRESOURCES = {
    "get": "read {part} of the specified {kind}",
    "update": "replace {part} of the specified {kind}",
    "patch": "partially update {part} of the specified {kind}",
    "create": "create {part} of {a} {kind}",
    "delete": "delete {part} of {a} {kind}",
}
DOCUMENTS = {
    "APIResourceList": "get available resources",
    "APIGroup": "get information of a group",
    "APIVersions": "get available API versions",
    "APIGroupList": "get available API versions",
}
"""What is said of the answers about the API itself, by their kind."""
_VERBS = {"get": "read", "about": "get", "update": "replace", "deletecollection": "delete", "watchlist": "watch"}


def description(verb: str, kind: str, part: str = "", *, watched: bool = True) -> str:
    """``description("create", "Ingress")`` is ``create an Ingress``; ``part`` is a subresource."""
    text = (_OF_SUBRESOURCES if part else _DESCRIPTIONS)[verb]
    if verb == "list" and not watched:
        text = "list objects of kind {kind}"
    return text.format(kind=kind, part=part, a="an" if kind[:1] in "AEIOU" else "a")


def connection(method: str, kind: str, part: str) -> str:
    """``connect GET requests to exec of Pod``."""
    return f"connect {method.upper()} requests to {part} of {kind}"


def group_name(group: str) -> str:
    """``RbacAuthorization`` of ``rbac.authorization.k8s.io``, ``Core`` of the group without a name."""
    return "".join(part.capitalize() for part in group.removesuffix(".k8s.io").split(".")) if group else "Core"


def operation_id(verb: str, group: str, version: str, path: str, name: str, method: str = "") -> str:
    """The id of an operation on ``name`` (a kind, and a subresource or a list behind it) at ``path``.

    Operations that connect to something say by which HTTP ``method``.
    """
    namespaced = "Namespaced" if "{namespace}" in path else ""
    how = "Collection" if verb == "deletecollection" else method.capitalize()
    api = f"{group_name(group)}{version[:1].upper()}{version[1:]}"
    return f"{_VERBS.get(verb, verb)}{api}{how}{namespaced}{name}"


def tag(group: str, version: str) -> str:
    """Under what an operation is found: ``core_v1``, ``rbacAuthorization_v1``."""
    name = group_name(group)
    return f"{name[:1].lower()}{name[1:]}_{version}"
