"""Which kinds one cluster has: those of Kubernetes, which all clusters share, and those its users have defined.

Definitions are read from the store as they are committed, so that a kind is served from the moment its definition is
established until the definition is gone. A cluster without definitions holds nothing here. It refuses to judge
definitions; that is :mod:`simkube.apiserver.registry.apiextensions.definition`.
"""

from __future__ import annotations

from collections.abc import Container, Sequence

from simkube.apiserver.registry import kinds
from simkube.apiserver.registry.apiregistration import bootstrap as apiregistration
from simkube.apiserver.registry.customresources.kind import Converter, CustomKind, priority, versions_of
from simkube.apiserver.registry.resources import CHANGE, SCALE, Resource, Subresource
from simkube.client.client import Event, Obj
from simkube.etcd.store import Store

DEFINITIONS = "customresourcedefinitions.apiextensions.k8s.io"


class Registry:
    """The kinds of one cluster; without a store, those of every cluster.

    ``computed`` are the qualified plurals of those computed resources that the cluster has.
    """

    def __init__(self, store: Store | None = None, computed: Container[str] = ()) -> None:
        self.revision = 0
        """Changes with every change of what is served."""
        self._store = store
        self._computed = computed
        self.convert: Converter | None = None
        """Who converts objects of kinds whose definitions name a program for it."""
        self._kinds: dict[str, list[CustomKind]] = {}
        self._by_path: dict[tuple[str, str, str], Resource] = {}
        self._by_name: dict[str, Resource] = {}
        if store is not None:
            for definition in store.objects(DEFINITIONS):
                self._take(definition)
            self._index()
            store.subscribe(DEFINITIONS, self._changed)
            store.subscribe(apiregistration.RESOURCE, self._registered)

    def by_path(self, group: str, version: str, plural: str) -> Resource | None:
        """The resource behind ``/apis/GROUP/VERSION/PLURAL``, or None."""
        return kinds.by_path(group, version, plural) or self._by_path.get((group, version, plural))

    def named(self, qualified: str) -> Resource | None:
        """The resource of a qualified plural, a custom one in the version that is stored or preferred; or None."""
        return kinds.RESOURCES.get(qualified) or self._by_name.get(qualified)

    def meant(self, name: str) -> str:
        """The qualified plural of the one resource with this plural in whatever group; "" for none, or several."""
        plural = name.partition(".")[0]
        found = [one.qualified for one in (*kinds.RESOURCES.values(), *self._by_name.values()) if one.plural == plural]
        return found[0] if len(found) == 1 else ""

    @property
    def extra(self) -> list[Resource]:
        """What is served here and not everywhere, by group and version: the preferred one first."""
        return [*(one for one in kinds.METRICS if self.serves(one)), *self._by_path.values()]

    def serves(self, resource: Resource) -> bool:
        """Whether a computed resource is answered here: metrics are while somebody has registered them."""
        if resource.qualified not in self._computed:
            return False
        return not resource.group or self.api_service(resource.group, resource.version) is not None

    def api_service(self, group: str, version: str) -> Obj | None:
        """The APIService of a group and version, or None."""
        if self._store is None:
            return None
        return self._store.get(apiregistration.RESOURCE, "", apiregistration.named(group, version))

    @property
    def elsewhere(self) -> list[tuple[str, str]]:
        """Groups with their versions that APIServices say others serve, the most important first."""
        if self._store is None:
            return []
        here = {(one.group, one.version) for one in (*kinds.ALL, *self.extra)}
        specs = [each["spec"] for each in self._store.objects(apiregistration.RESOURCE) if each["spec"].get("service")]
        specs.sort(key=lambda spec: (-spec["groupPriorityMinimum"], spec.get("group", ""), -spec["versionPriority"]))
        found = [(spec.get("group", ""), spec["version"]) for spec in specs]
        return [each for each in found if each not in here]

    def _registered(self, event: Event) -> None:
        if event.old is None or event.type == "DELETED" or event.old["spec"] != event.obj["spec"]:
            self.revision += 1

    def _changed(self, event: Event) -> None:
        name = event.obj["metadata"]["name"]
        before = self._kinds.get(name, [])
        if event.type != "DELETED" and event.old is not None and before and _same(event.old, event.obj):
            for kind in before:
                kind.definition = event.obj
            return
        self._kinds.pop(name, None)
        if event.type != "DELETED":
            self._take(event.obj)
        if before or name in self._kinds:
            self.revision += 1
            self._index()
        for kind in before:
            for end in list(kind.ends):
                end()

    def _take(self, definition: Obj) -> None:
        if not established(definition):
            return
        since = self._store.revision if self._store is not None else 0
        versions = versions_of(definition)
        for kind in versions:
            kind.since = since
            if (definition["spec"].get("conversion") or {}).get("strategy") == "Webhook":
                kind.converter = self._converted
        self._kinds[definition["metadata"]["name"]] = versions

    def _converted(self, definition: Obj, objects: Sequence[Obj], version: str) -> list[Obj]:
        assert self.convert is not None  # set before anybody asks
        return self.convert(definition, objects, version)

    def _index(self) -> None:
        found = [resource_of(kind) for each in self._kinds.values() for kind in each if kind.version.get("served")]
        found.sort(key=lambda one: (one.group, priority(one.version), one.plural))
        self._by_path = {(one.group, one.version, one.plural): one for one in found}
        self._by_name = {}
        for each in self._kinds.values():
            stored = (kind for kind in each if kind.version.get("storage"))
            chosen = resource_of(next(stored, each[0]))
            self._by_name[chosen.qualified] = chosen


def resource_of(custom: CustomKind) -> Resource:
    """One version of a defined kind, as the request path knows kinds."""
    subresources: list[Subresource] = []
    if custom.has_status:
        subresources.append(Subresource("status", custom.kind, CHANGE))
    if custom.scale is not None:
        subresources.append(SCALE)
    names = custom.names
    return Resource(
        custom.group,
        custom.version_name,
        custom.plural,
        names.get("singular") or custom.kind.lower(),
        custom.kind,
        custom.definition["spec"]["scope"] == "Namespaced",
        short_names=tuple(names.get("shortNames") or ()),
        categories=tuple(names.get("categories") or ()),
        subresources=tuple(subresources),
        custom=custom,
    )


def established(definition: Obj) -> bool:
    """Whether what it defines is served."""
    conditions = definition.get("status", {}).get("conditions") or ()
    return any(one.get("type") == "Established" and one.get("status") == "True" for one in conditions)


def _same(old: Obj, new: Obj) -> bool:
    names = "acceptedNames"
    return bool(
        old["spec"] == new["spec"]
        and (old.get("status") or {}).get(names) == (new.get("status") or {}).get(names)
        and established(old) == established(new)
    )


BUILT_IN = Registry()
"""What a cluster without definitions has."""
