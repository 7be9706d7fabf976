"""Waiting for something to come true, and making sure that it stays so. There is no other way to wait in a check.

Seconds are the cluster's (:mod:`grader.clock`): on a fork they pass as fast as the processor can.

Trouble with the API server in between is waited out as long as the deadline allows, and then ends as ungradable: a
cluster that does not answer says nothing about the learner.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from grader import clock
from grader.checks import fail
from grader.errors import CheckFailedForGood, ClusterUnreachable

T = TypeVar("T")
EVERY = 0.15


def poll(until: Callable[[], T], seconds: float, *, expected: str = "", look: str = "", every: float = EVERY) -> T:
    """Ask ``until`` again and again; its first true value.

    ``until`` may return something false, or fail (``fail(...)`` or ``assert``): both mean *not yet*. After ``seconds``
    its last failure is the check's; one that returned false fails with ``expected``. A failure that is ``final`` ends
    the waiting.
    """
    time = clock.current()
    deadline = time.now() + seconds
    while True:
        look_now = time.look()
        trouble: Exception | None = None
        try:
            value = until()
            if value:
                return value
        except CheckFailedForGood:
            raise
        except (AssertionError, ClusterUnreachable) as error:
            trouble = error
        if not look_now.again(every, deadline):
            if trouble is not None:
                str(trouble)  # what it says of the cluster is of now
                raise trouble
            fail(expected=expected or "this to happen", observed=f"it did not within {seconds:g} s", look=look)


def hold(
    condition: Callable[[], object], seconds: float, *, expected: str = "", look: str = "", every: float = EVERY
) -> None:
    """Ask ``condition`` for ``seconds``: every answer must be true, and none may fail. A state that was right for one
    instant is not right."""
    time = clock.current()
    start = time.now()
    while True:
        look_now = time.look()
        if not condition():
            after = time.now() - start
            fail(
                expected=expected or f"this to hold for {seconds:g} s",
                observed=f"it broke after {after:.1f} s",
                look=look,
            )
        if not look_now.again(every, start + seconds):
            return
