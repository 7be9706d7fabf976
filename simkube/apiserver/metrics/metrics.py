"""``/metrics`` of the API server: what it was asked, how long that took, what it stores. All of it was counted.

Names and labels as in ``apiserver/pkg/endpoints/metrics`` and ``apiserver/pkg/storage/etcd3/metrics``. What components
read is not counted, for they read from memory; durations are those of requests from outside, in wall time. It refuses
the figures of a process of its own (memory, goroutines), which a simulated API server has not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from simkube.apiserver.authorization.attributes import Attributes
from simkube.apiserver.discovery import discovery
from simkube.apiserver.discovery.aggregation import available
from simkube.apiserver.registry.apiregistration.bootstrap import RESOURCE as API_SERVICES
from simkube.component_helpers.metrics import Counts, Durations, Family, Series, render

if TYPE_CHECKING:
    from simkube.apiserver.registry.request import Request
    from simkube.apiserver.registry.served import Registry
    from simkube.etcd.store import Store

BOUNDS = (0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 45, 60)
_PLACE = ("dry_run", "group", "resource", "scope", "subresource", "verb", "version")
_VERBS = {"get": "GET", "list": "LIST", "watch": "WATCH", "create": "POST", "update": "PUT", "patch": "PATCH"}
_CONNECTS = frozenset({"attach", "exec", "log", "portforward", "proxy"})
_PAGES = frozenset({"", "api", "apis", "healthz", "livez", "metrics", "openapi", "readyz", "version"})
_READS = ("GET", "LIST", "WATCH")


class APIMetrics:
    """The counts of one API server, since ``started`` (cluster seconds)."""

    def __init__(self, started: float) -> None:
        self._started = started
        self._requests = Counts(("component", "code", *_PLACE))
        self._durations = Durations(("component", *_PLACE), BOUNDS)
        self._current: Counter[tuple[str, ...]] = Counter()

    def began(self, asked: Attributes, *, dry_run: bool, known: bool) -> tuple[str, ...] | None:
        """A request from outside is being answered: what to tell :meth:`ended`; None for one that nobody counts."""
        place = _place(asked, dry_run=dry_run) if known else None
        if place is not None:
            self._current[place] += 1
        return place

    def ended(self, place: tuple[str, ...] | None, code: int, seconds: float) -> None:
        """It has been answered; ``code`` is 0 when whoever asked went away before."""
        if place is None:
            return
        self._current[place] -= 1
        if not self._current[place]:
            del self._current[place]
        self._requests.add("apiserver", str(code), *place)
        if place[5] not in ("WATCH", "CONNECT"):
            self._durations.add(seconds, "apiserver", *place)

    def wrote(self, request: Request, code: int) -> None:
        """A component has written."""
        resource = request.resource
        where = (request.subresource, request.namespace, request.name)
        asked = Attributes(request.verb, resource.group, resource.version, resource.plural, *where)
        self._requests.add("apiserver", str(code), *_place(asked, dry_run=request.options.dry_run))

    def page(self, store: Store, watchers: int) -> str:
        """The page."""
        return render(self._families(store, watchers))

    def _families(self, store: Store, watchers: int) -> Iterator[Family]:
        yield Family("apiserver_request_total", "counter", "Requests by verb, place and code.", self._requests.series())
        seconds = "Seconds until a request was answered, without watches and connections."
        yield Family("apiserver_request_duration_seconds", "histogram", seconds, parts=self._durations.parts())
        yield from self._under_way(watchers)
        yield from _storage(store)
        gone = [
            ({"name": each["metadata"]["name"]}, float(not available(each))) for each in store.objects(API_SERVICES)
        ]
        yield Family("aggregator_unavailable_apiservice", "gauge", "APIServices that do not answer.", gone)
        yield build_info()
        started: list[Series] = [({}, self._started)]
        yield Family("process_start_time_seconds", "gauge", "When it started, in seconds since 1970.", started)

    def _under_way(self, watchers: int) -> Iterator[Family]:
        short = {"mutating": 0, "readOnly": 0}
        long: list[Series] = []
        for place, number in self._current.items():
            if place[5] in ("WATCH", "CONNECT"):
                long.append(({"component": "apiserver", **dict(zip(_PLACE[1:], place[1:], strict=True))}, number))
            else:
                short["readOnly" if place[5] in _READS else "mutating"] += number
        kinds: list[Series] = [({"request_kind": kind}, number) for kind, number in short.items()]
        yield Family("apiserver_current_inflight_requests", "gauge", "Requests that are being answered.", kinds)
        yield Family("apiserver_longrunning_requests", "gauge", "Watches and connections that are open.", long)
        yield Family("apiserver_registered_watchers", "gauge", "Watches that are open.", [({}, watchers)])


def build_info() -> Family:
    """``kubernetes_build_info``, of every program."""
    version = discovery.version()
    names = ("major", "minor", "gitVersion", "gitCommit", "gitTreeState", "buildDate", "goVersion", "compiler")
    labels = {"".join(f"_{c.lower()}" if c.isupper() else c for c in name): str(version[name]) for name in names}
    return Family("kubernetes_build_info", "gauge", "The version.", [({**labels, "platform": "linux/amd64"}, 1)])


def _storage(store: Store) -> Iterator[Family]:
    objects: list[Series] = []
    split: list[Series] = []
    for storage in sorted(store.resources()):
        resource, _, group = storage.partition(".")
        number = store.count(storage)
        objects.append(({"resource": storage}, number))
        split.append(({"group": group, "resource": resource}, number))
    yield Family("apiserver_storage_objects", "gauge", "Objects that are stored, by kind.", objects)
    yield Family("apiserver_resource_objects", "gauge", "Objects that are stored, by kind.", split)
    written: list[Series] = []
    for (operation, storage), number in sorted(store.operations.items()):
        resource, _, group = storage.partition(".")
        written.append(({"operation": operation, "group": group, "resource": resource}, number))
    yield Family("etcd_requests_total", "counter", "Writes to etcd; reads come from the watch cache.", written)
    size: list[Series] = [({"storage_cluster_id": "etcd-0"}, store.size)]
    yield Family("apiserver_storage_size_bytes", "gauge", "Bytes of everything that is stored.", size)


def _place(asked: Attributes, *, dry_run: bool) -> tuple[str, ...]:
    """What a request is counted under: the values of :data:`_PLACE`."""
    dry = "All" if dry_run else ""
    if asked.path:
        first = asked.path.strip("/").partition("/")[0]
        page = f"/{first}" if first in _PAGES else ""
        return (dry, "", "", "", page, asked.verb.upper(), "")
    verb = _VERBS.get(asked.verb, asked.verb.upper())
    if asked.subresource in _CONNECTS:
        verb = "CONNECT" if asked.subresource != "log" else "GET"
    scope = "resource" if asked.name else "namespace" if asked.namespace else "cluster"
    return (dry, asked.group, asked.resource, scope, asked.subresource, verb, asked.version)


def known(asked: Attributes, kinds: Registry) -> bool:
    """Whether a request is about something there is: others are nobody's, however many they are."""
    if asked.path:
        return True
    resource = kinds.by_path(asked.group, asked.version, asked.resource)
    if resource is None:
        return False
    return not asked.subresource or resource.subresource(asked.subresource) is not None
