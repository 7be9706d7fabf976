"""How components tell people what they did: Event objects, as ``kubectl describe`` and ``kubectl events`` show them.

:class:`Recorder` writes core events the way client-go's recorder does: an event that happens again counts up the one
there is; from the tenth similar message within ten minutes on they are combined; an object can have 25 events in a
burst from one component and then one every five minutes. :class:`SeriesRecorder` writes ``events.k8s.io`` events, as
the scheduler does. :class:`EventExpiry` removes what nobody repeated for an hour, as etcd's leases do.

Events are best effort: an event that cannot be written is dropped, and nothing is ever decided by reading one.

Sources: client-go ``tools/record/events_cache.go``, ``tools/events/event_broadcaster.go``.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Generic, Literal, TypeVar

from simkube.apimachinery.errors import StatusError
from simkube.client.client import Client, Event, Key, Obj, key_of
from simkube.client.workqueue import Component
from simkube.clock.clock import Clock

log = logging.getLogger(__name__)

EventType = Literal["Normal", "Warning"]

SIMILAR_SECONDS = 600.0
"""For so long messages with the same reason about the same object count as similar."""
SIMILAR_MOST = 10
"""From so many similar messages on, they are combined."""
BURST = 25
"""So many events of one component about one object may come in a burst."""
REFILL_SECONDS = 300.0
"""After a burst, one more event is allowed every so many seconds."""
SERIES_SECONDS = 360.0
"""A repetition after so long starts a new event instead of continuing a series."""
TTL_SECONDS = 3600.0
"""How long an event is kept after it was last written (``kube-apiserver --event-ttl``)."""
MOST_EVENTS = 1000
"""So many events a cluster keeps; the oldest make room, so that a storm of them does not take it from other objects."""

V = TypeVar("V")


class _Recent(Generic[V]):
    """The most recently used values, so that a long life does not grow memory without bound."""

    MOST = 1024

    def __init__(self) -> None:
        self._values: OrderedDict[Hashable, V] = OrderedDict()

    def get(self, key: Hashable) -> V | None:
        value = self._values.get(key)
        if value is not None:
            self._values.move_to_end(key)
        return value

    def put(self, key: Hashable, value: V) -> V:
        self._values[key] = value
        self._values.move_to_end(key)
        while len(self._values) > self.MOST:
            self._values.popitem(last=False)
        return value

    def drop(self, key: Hashable) -> None:
        self._values.pop(key, None)


@dataclass(slots=True)
class _Similar:
    messages: set[str] = field(default_factory=set)
    last: float = 0.0


@dataclass(slots=True)
class _Bucket:
    tokens: float
    last: float


@dataclass(slots=True)
class _Written:
    name: str
    count: int
    at: float


def reference(obj: Obj, field_path: str = "") -> Obj:
    """An ``ObjectReference`` to ``obj``; a reference is returned as it is."""
    if "metadata" not in obj:
        return obj
    meta = obj["metadata"]
    ref = {
        "kind": obj.get("kind"),
        "namespace": meta.get("namespace"),
        "name": meta["name"],
        "uid": meta.get("uid"),
        "apiVersion": obj.get("apiVersion"),
        "resourceVersion": meta.get("resourceVersion"),
        "fieldPath": field_path,
    }
    return {key: value for key, value in ref.items() if value}


class _Names:
    """Names of events: the object's and the nanosecond, never twice the same."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last = 0

    def next(self, of: str) -> str:
        self._last = max(self._last + 1, int(self._clock.now() * 1_000_000_000))
        return f"{of}.{self._last:x}"


class Recorder:
    """Writes core/v1 events about objects for one component; ``host`` is the node a node's component runs on."""

    def __init__(self, client: Client, component: str, host: str = "") -> None:
        self._client = client
        self._clock = client.clock
        self._component = component
        self._host = host
        self._names = _Names(client.clock)
        self._similar: _Recent[_Similar] = _Recent()
        self._buckets: _Recent[_Bucket] = _Recent()
        self._written: _Recent[_Written] = _Recent()

    def event(self, obj: Obj, type: EventType, reason: str, message: str, *, field_path: str = "") -> None:
        """Tell about ``obj`` (an object or an ``ObjectReference``); ``field_path`` as ``spec.containers{web}``."""
        ref = reference(obj, field_path)
        spam = tuple(ref.get(part, "") for part in ("kind", "namespace", "name", "uid", "apiVersion"))
        group = (*spam, ref.get("fieldPath", ""), type, reason)
        message, key = self._combine(group, message[:1024])
        if not self._allowed(spam):
            return
        written = self._written.get(key)
        if written is not None and self._repeat(ref, written, message):
            return
        name = self._create(ref, type, reason, message)
        if name:
            self._written.put(key, _Written(name, 1, self._clock.now()))

    def _combine(self, group: tuple[Any, ...], message: str) -> tuple[str, Hashable]:
        now = self._clock.now()
        similar = self._similar.get(group)
        if similar is None or now - similar.last > SIMILAR_SECONDS:
            similar = self._similar.put(group, _Similar())
        similar.last = now
        if message in similar.messages or len(similar.messages) < SIMILAR_MOST - 1:
            similar.messages.add(message)
            return message, (*group, message)
        return f"(combined from similar events): {message}", group

    def _allowed(self, spam: tuple[Any, ...]) -> bool:
        now = self._clock.now()
        bucket = self._buckets.get(spam) or self._buckets.put(spam, _Bucket(BURST, now))
        bucket.tokens = min(float(BURST), bucket.tokens + (now - bucket.last) / REFILL_SECONDS)
        bucket.last = now
        if bucket.tokens < 1.0:
            return False
        bucket.tokens -= 1.0
        return True

    def _repeat(self, ref: Obj, written: _Written, message: str) -> bool:
        patch = {"count": written.count + 1, "lastTimestamp": self._clock.timestamp(), "message": message}
        try:
            self._client.patch("events", written.name, patch, ref.get("namespace", "default"), type="strategic")
        except StatusError as error:
            if error.reason != "NotFound":
                log.debug("event %s not counted: %s", written.name, error)
                return True
            return False
        written.count += 1
        return True

    def _create(self, ref: Obj, type: EventType, reason: str, message: str) -> str:
        now = self._clock.timestamp()
        namespace = ref.get("namespace", "default")
        source = {"component": self._component}
        if self._host:
            source["host"] = self._host
        event: Obj = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": self._names.next(ref["name"]), "namespace": namespace},
            "involvedObject": ref,
            "reason": reason,
            "message": message,
            "source": source,
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
            "type": type,
            "eventTime": None,
            "reportingComponent": self._component,
            "reportingInstance": self._host,
        }
        return _create(self._client, "events", event, namespace, self._names, ref["name"])


class SeriesRecorder:
    """Writes ``events.k8s.io/v1`` events: a repetition becomes a series, written when it starts."""

    def __init__(self, client: Client, controller: str, instance: str) -> None:
        self._client = client
        self._clock = client.clock
        self._controller = controller
        self._instance = instance
        self._names = _Names(client.clock)
        self._written: _Recent[_Written] = _Recent()

    def event(self, obj: Obj, type: EventType, reason: str, action: str, note: str) -> None:
        """Tell about ``obj``: which ``action`` was tried, and in ``note`` what came of it."""
        regarding = reference(obj)
        note = note[:1024]
        key = (regarding.get("kind"), regarding.get("namespace"), regarding["name"], regarding.get("uid"), reason, note)
        now = self._clock.now()
        written = self._written.get(key)
        if written is not None and now - written.at <= SERIES_SECONDS:
            written.count += 1
            written.at = now
            if written.count > 2 or self._continue(regarding, written):
                return
        event: Obj = {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {
                "name": self._names.next(regarding["name"]),
                "namespace": regarding.get("namespace", "default"),
            },
            "eventTime": self._clock.micro_timestamp(),
            "reportingController": self._controller,
            "reportingInstance": self._instance,
            "action": action,
            "reason": reason,
            "regarding": regarding,
            "note": note,
            "type": type,
        }
        namespace = event["metadata"]["namespace"]
        name = _create(self._client, "events.events.k8s.io", event, namespace, self._names, regarding["name"])
        if name:
            self._written.put(key, _Written(name, 1, now))

    def _continue(self, regarding: Obj, written: _Written) -> bool:
        patch = {"series": {"count": written.count, "lastObservedTime": self._clock.micro_timestamp()}}
        namespace = regarding.get("namespace", "default")
        try:
            self._client.patch("events.events.k8s.io", written.name, patch, namespace, type="strategic")
        except StatusError as error:
            log.debug("event series %s not continued: %s", written.name, error)
            return error.reason != "NotFound"
        return True


def _create(client: Client, resource: str, event: Obj, namespace: str, names: _Names, of: str) -> str:
    """Create the event; its name, or "" when it was not to be (a namespace that goes away, an outage)."""
    for _ in range(8):
        try:
            client.create(resource, event, namespace)
        except StatusError as error:
            if error.reason != "AlreadyExists":
                log.debug("event about %s dropped: %s", of, error)
                return ""
            event["metadata"]["name"] = names.next(of)
        else:
            return str(event["metadata"]["name"])
    return ""


class EventExpiry(Component):
    """Deletes events an hour after they were last written, and the oldest when there are too many.

    It holds one timer, for the oldest one.
    """

    name = "event-expiry"
    agent = "kube-apiserver"

    def watch(self) -> None:
        """Follow all events, in the order in which they are written."""
        self._deadlines: OrderedDict[Key, float] = OrderedDict()
        self.client.observe("events", self._seen)

    def _seen(self, event: Event) -> None:
        key = key_of(event.obj)
        self._deadlines.pop(key, None)
        if event.type != "DELETED":
            self._deadlines[key] = (last_written(event.obj) or self.clock.now()) + TTL_SECONDS
            if len(self._deadlines) == 1:
                self._wait()
            elif len(self._deadlines) > MOST_EVENTS * 1.2:
                self.enqueue("oldest")

    def _wait(self) -> None:
        if self._deadlines:
            oldest = min(self._deadlines.values())
            self.enqueue_after("oldest", max(0.0, oldest - self.clock.now()))

    def reconcile(self, key: Hashable) -> None:  # noqa: ARG002 - there is one key
        """Delete what is due and wait for the next."""
        now = self.clock.now()
        due = [where for where, deadline in self._deadlines.items() if deadline <= now]
        if len(self._deadlines) > MOST_EVENTS * 1.2:
            due += [where for where in islice(self._deadlines, len(self._deadlines) - MOST_EVENTS) if where not in due]
        for namespace, name in due:
            self.client.delete("events", name, namespace)
        self._wait()


def last_written(event: Obj) -> float | None:
    """When an event was last written, as seconds since the epoch; not when what it tells of happened."""
    meta = event["metadata"]
    stamps = [each.get("time") or "" for each in meta.get("managedFields", ())]
    stamp = max([meta.get("creationTimestamp") or "", *stamps])
    try:
        return datetime.fromisoformat(stamp).astimezone(UTC).timestamp() if stamp else None
    except ValueError:
        return None
