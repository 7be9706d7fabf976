"""Injected time, and the tasks that run on it.

Every wait in a simulated cluster goes through one :class:`Clock`, so that tests step it, a slow laptop does not change
what happens in which order, and an idle cluster costs nothing: a clock without timers does no work at all.

Simulated processes (a shell, a web server, a probe) are ordinary coroutines run by :func:`spawn`; they await
:meth:`Clock.sleep` and :class:`Future` objects of this module, never asyncio's. Everything runs in one thread.

It refuses to be a general event loop: no sockets, no threads, no thread safety.
"""

from __future__ import annotations

import contextlib
import functools
import heapq
import itertools
import time
from collections.abc import Callable, Coroutine, Generator
from datetime import UTC, datetime
from math import inf
from typing import Any, Generic, Protocol, TypeVar, cast

from simkube.apimachinery.crashes import Crashes

T = TypeVar("T")


class Wakeup(Protocol):
    """What drives a live clock: asks to be called once, ``seconds`` of wall time from now; the latest call wins."""

    def __call__(self, seconds: float | None) -> None: ...


class Timer:
    """A call in the future, with what it answers to. ``cancel()`` may be called any number of times."""

    __slots__ = ("call", "cancelled", "cause", "when")

    def __init__(self, when: float, call: Callable[[], None], cause: int = 0) -> None:
        self.when = when
        self.call = call
        self.cause = cause
        self.cancelled = False

    def cancel(self) -> None:
        """Never run it."""
        self.cancelled = True
        self.call = _nothing


@functools.lru_cache(maxsize=8)
def _stamp(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _nothing() -> None:
    return None


class Clock:
    """Cluster time in seconds since the Unix epoch, and the timers set on it.

    A clock made with ``start=None`` follows the wall clock and calls ``wakeup`` with the wall seconds until
    :meth:`run_due` is next needed (None: nothing is waiting). A clock made with a ``start`` only moves by
    :meth:`advance`: tests use it. How a live one may run otherwise than the wall clock is in
    :class:`simkube.clock.pace.PacedClock`.

    ``cause`` is the change that the running work answers to (see :mod:`simkube.trace.trace`); timers carry it on.
    ``crashes`` takes what goes wrong unexpectedly in what runs on it.
    """

    def __init__(self, start: float | None = None, wakeup: Wakeup | None = None) -> None:
        self._manual = start
        self._wakeup = wakeup
        self._heap: list[tuple[float, int, Timer]] = []
        self._order = itertools.count()
        self.cause = 0
        self.crashes = Crashes()

    def drive(self, wakeup: Wakeup | None) -> None:
        """Have ``wakeup`` called from now on, and at once for what already waits; None: nobody drives this clock."""
        self._wakeup = wakeup
        self._ask_for_wakeup()

    def now(self) -> float:
        """Seconds since the epoch, in cluster time."""
        return time.time() if self._manual is None else self._manual

    def wall(self) -> float:
        """Seconds since the epoch as the world outside counts them, whatever the cluster's time is."""
        return self.now()

    def hold(self) -> None:
        """Work has come: a clock of another speed than the wall clock's stands still until it is done."""

    def awaited(self, future: Future[Any]) -> contextlib.AbstractContextManager[None]:  # noqa: ARG002
        """While the block is entered somebody outside waits for ``future``; see :mod:`simkube.clock.pace`."""
        return contextlib.nullcontext()

    def occupied(self) -> contextlib.AbstractContextManager[None]:
        """While the block is entered something goes on outside that takes no time of the cluster's."""
        return contextlib.nullcontext()

    def timestamp(self) -> str:
        """Now as Kubernetes writes a ``metav1.Time``: ``2026-01-02T03:04:05Z``."""
        return _stamp(int(self.now()))

    def micro_timestamp(self) -> str:
        """Now as Kubernetes writes a ``metav1.MicroTime``."""
        return datetime.fromtimestamp(self.now(), UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    def call_later(self, seconds: float, call: Callable[[], None]) -> Timer:
        """Call ``call`` once, ``seconds`` from now (at the next :meth:`run_due` when not positive)."""
        timer = Timer(self.now() + max(0.0, seconds), call, self.cause)
        heapq.heappush(self._heap, (timer.when, next(self._order), timer))
        if self._heap[0][2] is timer:
            self._ask_for_wakeup()
        return timer

    def next_due(self) -> float | None:
        """When the earliest timer is due, in cluster time; None without timers."""
        while self._heap and self._heap[0][2].cancelled:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def run_due(self, until: float = inf) -> int:
        """Run every timer whose time has come, in order; return how many ran.

        Begins none after ``until`` (of :func:`time.perf_counter`): then some may be left.
        """
        ran = 0
        while (due := self.next_due()) is not None and due <= self.now():
            if ran and time.perf_counter() >= until:
                break
            self._run_first()
            ran += 1
        self._ask_for_wakeup()
        return ran

    def _run_first(self) -> None:
        timer = heapq.heappop(self._heap)[2]
        before, self.cause = self.cause, timer.cause
        try:
            timer.call()
        except Exception as error:  # noqa: BLE001 - a fault of one timer must not stop the others
            self.crashes.handle("cluster", f"answering a timer of {timer.call.__qualname__}", error)
        finally:
            self.cause = before

    def advance(self, seconds: float, settle: Callable[[], None] = _nothing) -> None:
        """Move a manual clock forward, running each timer at its own time and ``settle`` after each."""
        if self._manual is None:
            raise RuntimeError("this clock follows the wall clock; only one made with a start can be advanced")
        target = self._manual + seconds
        settle()
        while (due := self.next_due()) is not None and due <= target:
            self._manual = max(self._manual, due)
            self.run_due()
            settle()
        self._manual = target

    def sleep(self, seconds: float) -> Future[None]:
        """Await it to wait ``seconds`` of cluster time."""
        future: Future[None] = Future()
        timer = self.call_later(seconds, lambda: future.set(None))
        future.on_cancel = timer.cancel
        return future

    def _ask_for_wakeup(self) -> None:
        if self._wakeup is not None and self._manual is None:
            due = self.next_due()
            self._wakeup(None if due is None else max(0.0, due - self.now()))


class Cancelled(BaseException):
    """Thrown into a task that is cancelled; like asyncio's, not an ``Exception``."""


class Future(Generic[T]):
    """A value that is not there yet. Setting it twice is allowed; the first wins."""

    __slots__ = ("_callbacks", "_done", "_error", "_value", "on_cancel")

    def __init__(self) -> None:
        self._done = False
        self._value: T | None = None
        self._error: BaseException | None = None
        self._callbacks: list[Callable[[Future[T]], None]] = []
        self.on_cancel: Callable[[], None] = _nothing

    @property
    def done(self) -> bool:
        """Whether it has a value or an error."""
        return self._done

    def set(self, value: T) -> None:
        """Give it its value and resume whoever awaits it."""
        if not self._done:
            self._value = value
            self._finish()

    def fail(self, error: BaseException) -> None:
        """Give it an error, raised in whoever awaits it."""
        if not self._done:
            self._error = error
            self._finish()

    @property
    def error(self) -> BaseException | None:
        """What went wrong, when it is done and something did."""
        return self._error

    def result(self) -> T:
        """Its value; raises its error. Only when :attr:`done`."""
        if not self._done:
            raise RuntimeError("the future has no result yet")
        if self._error is not None:
            raise self._error
        return cast(T, self._value)

    def when_done(self, call: Callable[[Future[T]], None]) -> None:
        """Call ``call`` with this future once done, at once when it already is."""
        if self._done:
            call(self)
        else:
            self._callbacks.append(call)

    def _finish(self) -> None:
        self._done = True
        callbacks, self._callbacks = self._callbacks, []
        for call in callbacks:
            call(self)

    def __await__(self) -> Generator[Future[T], None, T]:
        if not self._done:
            yield self
        return self.result()


class Task(Future[T]):
    """A running coroutine; done when it returns or raises."""

    __slots__ = ("_cancel_requested", "_coroutine", "_running", "_waiting_for")

    def __init__(self, coroutine: Coroutine[Any, Any, T]) -> None:
        super().__init__()
        self._coroutine = coroutine
        self._waiting_for: Future[Any] | None = None
        self._running = False
        self._cancel_requested = False

    def cancel(self) -> None:
        """Throw :class:`Cancelled` into it where it waits; a no-op once done."""
        if self.done:
            return
        if self._running:
            self._cancel_requested = True
            return
        waiting, self._waiting_for = self._waiting_for, None
        if waiting is not None:
            waiting.on_cancel()
        self._step(Cancelled())

    def _step(self, error: BaseException | None = None) -> None:
        self._running = True
        try:
            waiting = self._coroutine.send(None) if error is None else self._coroutine.throw(error)
        except StopIteration as stop:
            self.set(stop.value)
            return
        except Cancelled as cancelled:
            self.fail(cancelled)
            return
        except Exception as failure:  # noqa: BLE001 - it belongs to whoever awaits the task
            self.fail(Cancelled() if _being_collected(failure) else failure)
            return
        finally:
            self._running = False
        self._waiting_for = waiting
        if self._cancel_requested:
            self._cancel_requested = False
            self.cancel()
        else:
            waiting.when_done(self._resume)

    def _resume(self, waited: Future[Any]) -> None:
        if not self.done and self._waiting_for is waited:
            self._waiting_for = None
            self._step()


def _being_collected(failure: Exception) -> bool:
    """Whether a task was resumed by its own end: its coroutine is collected as garbage, with all of its cluster."""
    return isinstance(failure, ValueError) and "already executing" in str(failure)


def spawn(coroutine: Coroutine[Any, Any, T]) -> Task[T]:
    """Run a coroutine until its first wait, and on from there as what it awaits gets done."""
    task = Task(coroutine)
    task._step()  # the one place that starts a task
    return task


def in_background(clock: Clock, coroutine: Coroutine[Any, Any, T], component: str, about: Any = None) -> Task[T]:
    """As :func:`spawn`, for work whose failure nobody awaits: ``clock.crashes`` gets it."""
    task = spawn(coroutine)

    def done(_: Future[T]) -> None:
        if isinstance(task.error, Exception):
            clock.crashes.handle(component, f"at work on {_named(about)}", task.error, about)

    task.when_done(done)
    return task


def _named(about: Any) -> str:
    meta = (about or {}).get("metadata") or {}
    return "/".join(meta[part] for part in ("namespace", "name") if meta.get(part)) or "something"


class TimedOut(Exception):
    """What :func:`within` raises when the time is over."""


async def within(clock: Clock, seconds: float, work: Coroutine[Any, Any, T]) -> T:
    """The result of ``work``, or :class:`TimedOut` after ``seconds`` of cluster time, with ``work`` cancelled."""
    first: Future[None] = Future()
    task = spawn(work)
    timer = clock.call_later(seconds, lambda: first.set(None))
    task.when_done(lambda _: first.set(None))
    try:
        await first
        if not task.done:
            raise TimedOut(f"nothing within {seconds:g} s")
        return task.result()
    finally:
        timer.cancel()
        task.cancel()


__all__ = ["Cancelled", "Clock", "Future", "Task", "TimedOut", "Timer", "in_background", "spawn", "within"]
