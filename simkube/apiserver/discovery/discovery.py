"""What the API server says it serves: ``/api``, ``/apis``, their resources, and the aggregated form of both.

All of it is read from :mod:`simkube.apiserver.registry.kinds`, so that a kind which is not simulated is not advertised.
The aggregated form (``apidiscovery.k8s.io/v2``) is what kubectl 1.27 and newer ask for first. The answers are the same
for every cluster that serves nothing ``extra``, and must not be changed by who gets them.
"""

from __future__ import annotations

import base64
import functools
import hashlib
from collections.abc import Sequence
from typing import Any

from simkube.apiserver.registry.kinds import ALL, GROUPS, RESOURCES
from simkube.apiserver.registry.resources import Resource, Subresource

Document = dict[str, Any]
Extra = Sequence[Resource]
"""What one cluster serves beside what all clusters do."""
Elsewhere = Sequence[tuple[str, str]]
"""Groups with their versions that are said to be served by others, who do not answer."""

VERSION = "v1.36.2"
"""The version of Kubernetes that is presented."""

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
"""The content type of the aggregated form."""


def version() -> Document:
    """``/version``."""
    major, minor = VERSION.removeprefix("v").split(".")[:2]
    return {
        "major": major,
        "minor": minor,
        "emulationMajor": major,
        "emulationMinor": minor,
        "minCompatibilityMajor": major,
        "minCompatibilityMinor": str(int(minor) - 1),
        "gitVersion": VERSION,
        "gitCommit": "",
        "gitTreeState": "",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": "",
        "platform": "linux/amd64",
    }


def wants_aggregated(accept: str) -> bool:
    """Whether an ``Accept`` header asks for the aggregated form in a version that is served."""
    for choice in accept.split(","):
        media, *given = (part.strip() for part in choice.split(";"))
        parameters = dict(part.partition("=")[::2] for part in given)
        if media == "application/json" and parameters.get("as") == "APIGroupDiscoveryList":
            if (parameters.get("g"), parameters.get("v")) == ("apidiscovery.k8s.io", "v2"):
                return True
        elif media in ("application/json", "*/*"):
            return False
    return False


def paths(extra: Extra = ()) -> Document:
    """``/``: the paths that are served."""
    found = {"/api", "/api/v1", "/apis", "/apis/", "/healthz", "/livez", "/openapi/v2", "/openapi/v3", "/readyz"}
    found |= {"/openapi/v3/", "/version"}
    for group, group_version in _groups(extra):
        found |= {f"/apis/{group}", f"/apis/{group}/{group_version}"}
    return {"paths": sorted(found)}


def legacy_versions(address: str) -> Document:
    """``/api``; ``address`` is the server's ``host:port``."""
    return {
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}],
    }


def groups(extra: Extra = (), elsewhere: Elsewhere = ()) -> Document:
    """``/apis``: every named group."""
    known = [*_groups(extra), *elsewhere]
    names = dict.fromkeys(name for name, _ in known)
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(name, known) for name in names]}


def _groups(extra: Extra) -> list[tuple[str, str]]:
    """The named groups with their versions: what a cluster has beside those of all comes last."""
    return list(dict.fromkeys([*GROUPS, *((one.group, one.version) for one in extra)]))


def group(name: str, extra: Extra = (), elsewhere: Elsewhere = ()) -> Document | None:
    """``/apis/GROUP``, or None when there is no such group."""
    groups = [*_groups(extra), *elsewhere]
    if all(name != known for known, _ in groups):
        return None
    return {"kind": "APIGroup", "apiVersion": "v1", **_group(name, groups)}


def _group(name: str, groups: Sequence[tuple[str, str]]) -> Document:
    versions = [
        {"groupVersion": f"{name}/{group_version}", "version": group_version}
        for known, group_version in groups
        if known == name
    ]
    return {"name": name, "versions": versions, "preferredVersion": versions[0]}


def resources(group: str, version: str, extra: Extra = ()) -> Document | None:
    """``/api/v1`` and ``/apis/GROUP/VERSION``: the resources of one version; None when it is not served."""
    beside = [one for one in extra if (one.group, one.version) == (group, version)]
    if not beside:
        return _built_in_resources(group, version)
    return _resources(group, version, [*_served(group, version), *beside])


@functools.cache
def _built_in_resources(group: str, version: str) -> Document | None:
    return _resources(group, version, _served(group, version))


def _resources(group: str, version: str, served: list[Resource]) -> Document | None:
    if not served:
        return None
    found = [entry for resource in served for entry in _entries(resource)]
    found.sort(key=lambda entry: entry["name"])
    named: Document = {"kind": "APIResourceList"}
    if group:
        named["apiVersion"] = "v1"
    return {**named, "groupVersion": f"{group}/{version}" if group else version, "resources": found}


def _served(group: str, version: str) -> list[Resource]:
    return [one for one in ALL if (one.group, one.version) == (group, version)]


def _entries(resource: Resource) -> list[Document]:
    entry: Document = {
        "name": resource.plural,
        "singularName": resource.singular,
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": sorted(resource.verbs),
    }
    if resource.short_names:
        entry["shortNames"] = list(resource.short_names)
    if resource.categories:
        entry["categories"] = list(resource.categories)
    if not resource.review and not resource.computed:
        entry["storageVersionHash"] = _storage_hash(resource)
    return [entry, *(_subresource_entry(resource, one) for one in resource.subresources)]


def _subresource_entry(resource: Resource, subresource: Subresource) -> Document:
    entry: Document = {
        "name": f"{resource.plural}/{subresource.name}",
        "singularName": "",
        "namespaced": resource.namespaced,
    }
    if subresource.group:
        entry |= {"group": subresource.group, "version": subresource.version}
    return {**entry, "kind": subresource.kind, "verbs": sorted(subresource.verbs)}


_SAID_TO_BE_BETA = ("CustomResourceDefinition", "MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding")
"""What the API server itself says of these, whatever it stores."""


def _storage_hash(resource: Resource) -> str:
    """``storageVersionHash``: says in which version objects are stored (``discovery.StorageVersionHash``)."""
    stored = RESOURCES.get(resource.storage, resource)
    version = stored.version if resource.custom is None else resource.custom.stored_version
    if stored.kind in _SAID_TO_BE_BETA:
        version = "v1beta1"
    text = f"{stored.group}/{version}/{stored.kind}"
    return base64.b64encode(hashlib.sha256(text.encode()).digest()[:8]).decode()


def aggregated(core: bool, extra: Extra = (), elsewhere: Elsewhere = ()) -> Document:
    """The aggregated form of ``/api`` (``core``) or of ``/apis``."""
    found = _aggregated(core, extra)
    if core or not elsewhere:
        return found
    versions: dict[str, list[Document]] = {}
    for name, one in elsewhere:
        versions.setdefault(name, []).append({"version": one, "freshness": "Stale"})
    items = [
        {**each, "versions": [*each["versions"], *versions.pop(each["metadata"].get("name", ""), ())]}
        for each in found["items"]
    ]
    return {
        **found,
        "items": [*items, *({"metadata": {"name": name}, "versions": of} for name, of in versions.items())],
    }


def _aggregated(core: bool, extra: Extra) -> Document:
    document = _built_in_aggregated(core)
    if core or not extra:
        return document
    groups = _groups(extra)[len(GROUPS) :]
    beside = [_aggregated_group(name, extra) for name in dict.fromkeys(name for name, _ in groups)]
    names = {one["metadata"]["name"] for one in beside}
    kept = [one for one in document["items"] if one["metadata"]["name"] not in names]
    return {**document, "items": [*kept, *beside]}


@functools.cache
def _built_in_aggregated(core: bool) -> Document:
    names = [""] if core else list(dict.fromkeys(name for name, _ in GROUPS))
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": [_aggregated_group(name) for name in names],
    }


def _aggregated_group(name: str, extra: Extra = ()) -> Document:
    served = ["v1"] if not name else [version for known, version in _groups(extra) if known == name]
    return {
        "metadata": {"name": name} if name else {},
        "versions": [
            {"version": one, "resources": _aggregated_resources(name, one, extra), "freshness": "Current"}
            for one in served
        ],
    }


def _aggregated_resources(group: str, version: str, extra: Extra) -> list[Document]:
    beside = [one for one in extra if (one.group, one.version) == (group, version)]
    found = sorted([*_served(group, version), *beside], key=lambda one: one.plural)
    return [_aggregated_resource(one) for one in found]


def _aggregated_resource(resource: Resource) -> Document:
    entry: Document = {
        "resource": resource.plural,
        "responseKind": {"group": "", "version": "", "kind": resource.kind},
        "scope": "Namespaced" if resource.namespaced else "Cluster",
        "singularResource": resource.singular,
        "verbs": sorted(resource.verbs),
    }
    if resource.short_names:
        entry["shortNames"] = list(resource.short_names)
    if resource.categories:
        entry["categories"] = list(resource.categories)
    if resource.subresources:
        entry["subresources"] = [
            {
                "subresource": one.name,
                "responseKind": {"group": one.group, "version": one.version, "kind": one.kind},
                "verbs": sorted(one.verbs),
            }
            for one in sorted(resource.subresources, key=lambda one: one.name)
        ]
    return entry
