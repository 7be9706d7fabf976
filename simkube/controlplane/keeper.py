"""A loop that sees to it that some objects are there, and are what they should be.

Upstream these loops look every so many seconds. Here they are told of a change and look at the next of these moments,
so that it takes as long, and nothing is done while nothing changes. It refuses to touch what is being deleted.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass

from simkube.apimachinery.errors import StatusError
from simkube.client.client import Event, Informers, Obj, Server, copy_of, key_of
from simkube.client.workqueue import Component, WorkLoop

Mend = Callable[[Obj, Obj], Obj | None]
"""From an object as it is and as it should be: the one to be written, or None when it may stay."""


def stays(current: Obj, wanted: Obj) -> Obj | None:  # noqa: ARG001 - a Mend
    """Whatever somebody makes of it."""
    return None


@dataclass(frozen=True, slots=True)
class Kept:
    """One object that is kept."""

    resource: str
    wanted: Obj
    mend: Mend = stays


class Keeper(Component):
    """One such loop of the API server, under its upstream ``name``; ``every`` seconds it looks, 0: at once.

    Keys are ``(resource, namespace, name)``.
    """

    agent = "kube-apiserver"

    def __init__(
        self, name: str, every: float, kept: Iterable[Kept], server: Server, loop: WorkLoop, informers: Informers
    ) -> None:
        self.name = name
        super().__init__(server, loop, informers)
        self._every = every
        self._kept = {(each.resource, *key_of(each.wanted)): each for each in kept}
        self._started = 0.0

    def watch(self) -> None:
        """The resources of what is kept; at a start everything is looked at."""
        self._started = self.clock.now()
        for resource in dict.fromkeys(key[0] for key in self._kept):
            self.client.observe(resource, self._changed_of(resource))
        for key in self._kept:
            if self._problem(key) is not None:
                self.enqueue(key)

    def _changed_of(self, resource: str) -> Callable[[Event], None]:
        def changed(event: Event) -> None:
            key = (resource, *key_of(event.obj))
            if key not in self._kept or key in self._timers:
                return
            if event.type != "ADDED" and self._problem(key) is not None:
                left = self._every - (self.clock.now() - self._started) % self._every if self._every else 0.0
                self.enqueue_after(key, left) if left else self.enqueue(key)

        return changed

    def _problem(self, key: tuple[str, str, str]) -> Obj | None:
        """What is to be written; None when all is well. Without a resourceVersion it is to be created."""
        kept = self._kept[key]
        current = self.client.informer(key[0]).get(*key[1:])
        if current is None:
            return copy_of(kept.wanted)
        return None if "deletionTimestamp" in current["metadata"] else kept.mend(current, kept.wanted)

    def reconcile(self, key: Hashable) -> None:
        """Make it, or make it what it should be."""
        assert isinstance(key, tuple)
        problem = self._problem((key[0], key[1], key[2]))
        if problem is None:
            return
        if "resourceVersion" in problem["metadata"]:
            self.client.update(key[0], problem)
            return
        try:
            self.client.create(key[0], problem, key[1])
        except StatusError as error:
            if error.reason != "NotFound" and not _ends(error):
                raise
            self.enqueue_after(key, self._every or 1.0)  # its namespace has to come back first


def _ends(error: StatusError) -> bool:
    return error.reason == "Forbidden" and "being terminated" in error.message
