"""The workqueue of a cluster, and what a component is: it watches, and reconciles one key at a time.

After ``client-go/util/workqueue`` and the control loops built on it, with one queue for all components of a cluster, so
that whoever drives it decides when anything happens: at once, in slices of real time, or step by step.

It refuses to run anything by itself, and to judge failures: a reconcile that fails is tried again later; an exception
that nobody foresaw goes to the clock's :class:`~simkube.apimachinery.crashes.Crashes`.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Hashable
from itertools import islice

from simkube.apimachinery.errors import StatusError
from simkube.client.client import Client, Informers, Obj, Server
from simkube.clock.clock import Clock, Timer

log = logging.getLogger(__name__)


def _unheard(what: str) -> None:
    """No trace."""


class WorkLoop:
    """The queue of everything there is to reconcile in one cluster, across components, in order of arrival.

    One item is ``(component, key)``; the same item waits only once, for the last change that asked for it. Whoever
    drives it (a live cluster, a test, whoever steps it) calls :meth:`run_one` or :meth:`run_until_quiet`; ``wakeup``
    is called when the first item comes.
    """

    MAX_DELAY = 1000.0
    """The longest back-off of a failing reconcile, in seconds."""

    def __init__(self, clock: Clock, wakeup: Callable[[], None] | None = None) -> None:
        self.clock = clock
        self._wakeup = wakeup
        self._queue: deque[tuple[Component, Hashable]] = deque()
        self._waiting: dict[tuple[Component, Hashable], int] = {}
        self.running: Component | None = None
        """Whose reconcile runs."""
        self.note: Callable[[str], None] = _unheard
        """Told what the running component does beside writing (see :mod:`simkube.trace.trace`)."""
        self._failures: dict[tuple[Component, Hashable], int] = {}
        self._crashed: set[tuple[Component, Hashable]] = set()
        self._retries: dict[tuple[Component, Hashable], Timer] = {}
        self.done = 0
        """How many reconciles there were."""

    def __len__(self) -> int:
        return len(self._queue)

    def drive(self, wakeup: Callable[[], None] | None) -> None:
        """Have ``wakeup`` called when the queue stops being empty, and now if it is not."""
        self._wakeup = wakeup
        if wakeup is not None and self._queue:
            wakeup()

    def add(self, component: Component, key: Hashable) -> None:
        """Have ``component`` reconcile ``key``."""
        item = (component, key)
        if item in self._waiting:
            self._waiting[item] = self.clock.cause or self._waiting[item]
            return
        if not self._queue:
            self.clock.hold()
        self._waiting[item] = self.clock.cause
        self._queue.append(item)
        if len(self._queue) == 1 and self._wakeup is not None:
            self._wakeup()

    def run_one(self) -> tuple[Component, Hashable] | None:
        """Reconcile the oldest item; return it, or None when there was none. A failure is retried with back-off."""
        if not self._queue:
            return None
        item = self._queue.popleft()
        cause = self._waiting.pop(item)
        self.done += 1
        component, key = item
        if not component.running:
            self._failures.pop(item, None)
            return item
        self.clock.cause, self.running = cause, component
        try:
            component.reconcile(key)
        except StatusError as error:
            if error.reason not in ("Conflict", "NotFound", "AlreadyExists"):
                log.warning("%s %s: %s", component.name, key, error)
            self._retry(item)
        except Exception as error:  # noqa: BLE001 - a fault in one reconcile must not stop the others; it is retried
            self._crashed.add(item)
            self.clock.crashes.handle(component.name, f"reconciling {key}", error, component.subject(key))
            self._retry(item)
        else:
            self._failures.pop(item, None)
            if item in self._crashed:
                self._crashed.discard(item)
                self.clock.crashes.mended(component.name, component.subject(key))
        finally:
            self.clock.cause, self.running = 0, None
        return item

    def waiting(self) -> list[tuple[str, Hashable, int]]:
        """What waits, the next first: component, key, and the change it answers to."""
        return [(item[0].name, item[1], self._waiting[item]) for item in self._queue]

    def latest(self, count: int) -> tuple[str, ...]:
        """The components of the ``count`` items that came last, each once."""
        last = islice(reversed(self._queue), count)
        return tuple(dict.fromkeys(item[0].name for item in reversed(list(last))))

    def run_until_quiet(self, most: int = 1_000_000) -> int:
        """Reconcile until nothing waits, or ``most`` items; return how many ran."""
        ran = 0
        while ran < most and self.run_one() is not None:
            ran += 1
        return ran

    def run_for(self, wall_seconds: float) -> bool:
        """Reconcile for at most about so much wall time; return whether something still waits."""
        deadline = time.perf_counter() + wall_seconds
        while self.run_one() is not None:
            if time.perf_counter() >= deadline:
                break
        return bool(self._queue)

    def retry_now(self) -> None:
        """Retry at once what failed and waits for its back-off: the cause is known to be gone."""
        for item, timer in list(self._retries.items()):
            timer.cancel()
            self._failures.pop(item, None)
            self._retry_now(item)

    def forget(self, component: Component) -> None:
        """Drop what waits or is to be retried for a component that has stopped."""
        for item in [item for item in self._retries if item[0] is component]:
            self._retries.pop(item).cancel()
        for item in [item for item in self._failures if item[0] is component]:
            del self._failures[item]
        self._crashed = {item for item in self._crashed if item[0] is not component}

    def _retry(self, item: tuple[Component, Hashable]) -> None:
        failures = self._failures[item] = self._failures.get(item, 0) + 1
        delay = min(self.MAX_DELAY, 0.005 * 2.0 ** min(failures, 20))
        if item not in self._retries or self._retries[item].cancelled:
            self._retries[item] = self.clock.call_later(delay, lambda: self._retry_now(item))

    def _retry_now(self, item: tuple[Component, Hashable]) -> None:
        self._retries.pop(item, None)
        self.add(*item)


class Component:
    """A part of the cluster that can be stopped and started: it watches, and reconciles one key at a time.

    A subclass sets ``name`` (``deployment-controller``), and ``agent`` when it is part of a program of another name;
    it subscribes in :meth:`watch` (:meth:`Client.observe`) and implements :meth:`reconcile`. It keeps no truth of its
    own: after :meth:`stop` and :meth:`start` it must be able to carry on
    from what the API server says (level-triggered).
    """

    name: str
    agent: str = ""
    resource: str = ""
    """What its keys name, ``(namespace, name)`` or a name alone; "" when they do not."""

    def __init__(self, server: Server, loop: WorkLoop, informers: Informers | None = None) -> None:
        self._server = server
        self._shared = informers
        self.loop = loop
        self.clock = loop.clock
        self.running = False
        self.client = self._connect()
        self._timers: dict[Hashable, Timer] = {}

    def _connect(self) -> Client:
        return Client(self._server, self.name, self.clock, agent=self.agent, informers=self._shared)

    def start(self) -> None:
        """Watch and work; a no-op when it runs."""
        if not self.running:
            self.running = True
            self.client = self._connect()
            self.watch()

    def stop(self) -> None:
        """Stop watching and working at once, as a killed process does; a no-op when it is stopped."""
        if self.running:
            self.running = False
            self.client.close()
            for timer in self._timers.values():
                timer.cancel()
            self._timers.clear()
            self.loop.forget(self)

    def enqueue(self, key: Hashable) -> None:
        """Reconcile ``key`` soon."""
        if self.running:
            self.loop.add(self, key)

    def enqueue_after(self, key: Hashable, seconds: float) -> None:
        """Reconcile ``key`` after ``seconds`` of cluster time; a later call for the same key replaces this one."""
        if key in self._timers:
            self._timers[key].cancel()
        self._timers[key] = self.clock.call_later(seconds, lambda: self._due(key))

    def dequeue(self, key: Hashable) -> None:
        """Forget an :meth:`enqueue_after` that is not due yet."""
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()

    def _due(self, key: Hashable) -> None:
        self._timers.pop(key, None)
        self.enqueue(key)

    def watch(self) -> None:
        """Subscribe to what it needs to see; called at each start."""
        raise NotImplementedError

    def subject(self, key: Hashable) -> Obj | None:
        """The object that a key is about; None when it is about none, or one that is not there."""
        if not self.resource:
            return None
        namespace, name = key[:2] if isinstance(key, tuple) and len(key) > 1 else ("", key)
        return self.client.informer(self.resource).get(str(namespace), str(name))

    def reconcile(self, key: Hashable) -> None:
        """Bring the world one step closer to what is desired for ``key``; safe at any time, any number of times."""
        raise NotImplementedError
