"""What a URL path of the API means: a document, a resource, an object, a part of an object.

It refuses as the API server does: 404 in plain text for a group nobody knows, a ``Status`` for an unknown resource of a
known group, and 501 with its name for a kind that Kubernetes has and that is not simulated.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from simkube.apimachinery.errors import StatusError, not_found, not_simulated
from simkube.apiserver.registry.kinds import GROUPS
from simkube.apiserver.registry.resources import Resource
from simkube.apiserver.registry.served import BUILT_IN, Registry
from simkube.apiserver.schema.schema import definitions


class PageNotFound(Exception):
    """404 in plain text: not even a path of the API."""


@dataclass(frozen=True, slots=True)
class Target:
    """What is asked for. ``rest`` is what follows a subresource (``proxy/a/b``: ``a/b``, with its leading slash)."""

    resource: Resource
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    rest: str = ""
    watch: bool = False


def missing() -> StatusError:
    """404 as the API server words it for a path below a known group."""
    return StatusError(404, "NotFound", "the server could not find the requested resource", {})


def parse(path: str, kinds: Registry = BUILT_IN) -> Target:
    """The target of ``/api/v1/...`` or ``/apis/GROUP/VERSION/...``; the path is decoded and begins with a slash.

    ``kinds`` are those of the cluster that is asked.
    """
    parts = path.strip("/").split("/")
    if parts[0] == "api" and len(parts) >= 3:
        group, version, rest = "", parts[1], parts[2:]
    elif parts[0] == "apis" and len(parts) >= 4:
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        raise PageNotFound
    watch = rest[0] == "watch" and len(rest) > 1
    rest = rest[1:] if watch else rest
    if (
        rest[0] == "namespaces"
        and len(rest) > 2
        and not (rest[2] in ("status", "finalize") and kinds.by_path(group, version, rest[2]) is None)
    ):
        return _namespaced(_resource(kinds, group, version, rest[2]), rest[1], rest[2:], path, watch)
    resource = _resource(kinds, group, version, rest[0])
    name, subresource = (rest[1] if len(rest) > 1 else ""), (rest[2] if len(rest) > 2 else "")
    if resource.namespaced and name:
        raise _missing_of(resource)
    return _target(resource, "", name, subresource, rest[3:], path, watch)


def _missing_of(resource: Resource) -> Exception:
    """What a path that does not fit the scope of a resource is answered with."""
    return missing() if resource.custom is None else PageNotFound()


def _namespaced(resource: Resource, namespace: str, rest: list[str], path: str, watch: bool) -> Target:
    if not resource.namespaced:
        raise _missing_of(resource)
    name, subresource = (rest[1] if len(rest) > 1 else ""), (rest[2] if len(rest) > 2 else "")
    return _target(resource, namespace, name, subresource, rest[3:], path, watch)


def _target(
    resource: Resource, namespace: str, name: str, subresource: str, rest: list[str], path: str, watch: bool
) -> Target:
    if subresource:
        if resource.subresource(subresource) is None:
            if (resource.plural, subresource) in _KNOWN_SUBRESOURCES:
                raise not_simulated(f"the subresource {resource.plural}/{subresource}")
            if resource.custom is not None:
                raise not_found(resource.plural, name, resource.group)
            raise missing()
        if rest and subresource != "proxy":
            raise missing()
    if resource.review and name:
        raise missing()
    tail = ""
    if subresource == "proxy":
        _, _, tail = path.partition("/proxy")
    return Target(resource, namespace, name, subresource, tail, watch)


_KNOWN_SUBRESOURCES = frozenset({("nodes", "proxy"), ("services", "status")})


def _resource(kinds: Registry, group: str, version: str, plural: str) -> Resource:
    found = kinds.by_path(group, version, plural)
    if found is not None:
        return found
    if plural in _plurals().get((group, version), frozenset()):
        raise not_simulated(f"the kind {plural}.{group}" if group else f"the kind {plural}")
    if group and group not in {name for name, _ in GROUPS} and (group, version) not in _plurals():
        raise PageNotFound
    raise missing()


@cache
def _plurals() -> dict[tuple[str, str], frozenset[str]]:
    """The plurals of every kind Kubernetes has, by group and version."""
    kinds = definitions().kinds()
    found: dict[tuple[str, str], set[str]] = {}
    for group, version, kind in kinds:
        if (group, version, f"{kind}List") in kinds or kind.endswith("Review") or kind == "Binding":
            found.setdefault((group, version), set()).add(_plural(kind.lower()))
    return {key: frozenset(value) for key, value in found.items()}


def _plural(kind: str) -> str:
    if kind.endswith("s") and kind != "endpoints":
        return kind + "es"
    if kind == "endpoints":
        return kind
    return kind[:-1] + "ies" if kind.endswith("y") else kind + "s"
