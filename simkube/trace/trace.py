"""Who changed what in answer to what: one small tuple for every change of a cluster, the latest :data:`MOST` of them.

A change that is told to watchers becomes the cause of the reconciles they queue
(:class:`simkube.client.workqueue.WorkLoop`) and of the timers set by those, so that each write inside knows the change
it answers to: one ``kubectl apply`` is the root of everything that follows from it. What a component does beside
writing (kube-proxy's rules) is noted by itself.

Reads and refused requests are no changes: they are in the audit log. After a restart the trace begins anew.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from simkube.clock.clock import Clock
from simkube.trace.entry import Entry
from simkube.trace.sentences import difference, report

MOST = 2000
"""How many changes are kept."""

NOTE = "simkube/change"
"""Under this the audit of a request names the (first) change that it made."""
_NODE = "node:"

Obj = dict[str, Any]


class Worker(Protocol):
    """Who works: a component of :mod:`simkube.client.workqueue`."""

    name: str


class Work(Protocol):
    """The queue that changes are told to (:class:`simkube.client.workqueue.WorkLoop`)."""

    @property
    def running(self) -> Worker | None: ...

    def __len__(self) -> int: ...

    def latest(self, count: int) -> tuple[str, ...]: ...


class Asked(Protocol):
    """What a trace takes from a request (:class:`simkube.apiserver.registry.request.Request`)."""

    caller: Any
    verb: str
    resource: Any
    namespace: str
    subresource: str
    checked: bool
    notes: dict[str, str]


class Trace:
    """The ring of one cluster."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ring: deque[tuple[Any, ...]] = deque(maxlen=MOST)
        self._names: dict[tuple[str, ...], tuple[str, ...]] = {}
        self._waiting: list[Callable[[], None]] = []
        self.work: Work | None = None
        self.last = 0
        """The id of the latest entry."""
        self._silent = False

    # -- writing -----------------------------------------------------------------------------------------------------

    def change(self, request: Asked, did: str, old: Obj | None, write: Callable[[], Obj]) -> Obj:
        """Have ``write`` commit a change, and note it with what it set going; a failure leaves no entry."""
        clock, work = self._clock, self.work
        if self._silent:
            return write()
        before, waited = clock.cause, len(work) if work is not None else 0
        clock.cause = self.last + 1
        try:
            new = write()
        finally:
            clock.cause = before
        told: tuple[str, ...] = ()
        if work is not None and len(work) > waited:
            told = work.latest(len(work) - waited)
            if len(self._names) < MOST:
                told = self._names.setdefault(told, told)
        what = "" if did == "deleted" else difference(old, new) if old is not None else report(new)
        self._add(request, did, new, what, told)
        return new

    def _add(self, request: Asked, did: str, obj: Obj, what: str, told: tuple[str, ...]) -> None:
        meta, caller, resource = obj["metadata"], request.caller, request.resource
        by, node = self._actor()
        if not by and not request.checked:
            by = caller.user.removeprefix("system:")
            if by.startswith(_NODE):
                by, node = "kubelet", by.removeprefix(_NODE)
        if request.checked:
            request.notes.setdefault(NOTE, str(self.last + 1))
        verb = f"{request.verb}/{request.subresource}" if request.subresource else request.verb
        self.last += 1
        self._ring.append(
            (
                self.last,
                self._clock.now(),
                did,
                resource.qualified,
                resource.kind,
                meta.get("namespace", ""),
                meta["name"],
                int(meta.get("resourceVersion") or 0),
                by,
                node,
                caller.user,
                caller.agent,
                verb,
                what,
                self._clock.cause,
                told,
            )
        )
        if self._waiting:
            self._tell()

    def note(self, what: str) -> None:
        """Note what the running component did beside writing."""
        if self._silent:
            return
        by, node = self._actor()
        self.last += 1
        entry = (self.last, self._clock.now(), "did", "", "", "", "", 0, by, node, "", "", "", what)
        self._ring.append((*entry, self._clock.cause, ()))
        if self._waiting:
            self._tell()

    @contextmanager
    def silence(self) -> Iterator[None]:
        """What happens now is to be taken for what was there before: nothing of it is noted."""
        self._silent = True
        try:
            yield
        finally:
            self._silent = False

    def _actor(self) -> tuple[str, str]:
        running = self.work.running if self.work is not None else None
        return ("", "") if running is None else (running.name, getattr(running, "node_name", ""))

    # -- reading -----------------------------------------------------------------------------------------------------

    @property
    def oldest(self) -> int:
        """The id of the oldest entry that is kept; 1 more than the latest when there is none."""
        return self._ring[0][0] if self._ring else self.last + 1

    def get(self, id: int) -> Entry | None:
        """One entry, while it is kept."""
        place = id - self.oldest
        return Entry._make(self._ring[place]) if 0 <= place < len(self._ring) else None

    def since(self, id: int, most: int = MOST) -> list[Entry]:
        """The entries after ``id``, oldest first."""
        first = max(0, id + 1 - self.oldest)
        return [Entry._make(self._ring[place]) for place in range(first, min(first + most, len(self._ring)))]

    def following(self, root: int) -> Iterator[Entry]:
        """An entry and everything that followed from it, in order."""
        found = {root}
        for raw in list(self._ring):
            if raw[0] == root or raw[-2] in found:
                found.add(raw[0])
                yield Entry._make(raw)

    def when_more(self, call: Callable[[], None]) -> Callable[[], None]:
        """Call ``call`` once, at the next entry; returns a call that takes that back."""
        self._waiting.append(call)

        def back() -> None:
            if call in self._waiting:
                self._waiting.remove(call)

        return back

    def _tell(self) -> None:
        waiting, self._waiting = self._waiting, []
        for call in waiting:
            call()


__all__ = ["MOST", "NOTE", "Entry", "Trace"]
