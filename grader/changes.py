"""Before a check is graded again for :mod:`grader.what_if`: the one thing is changed that is to be different.

It undoes nothing: it is for a fork of a cluster, which ends after the check.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from grader.checks import Check
from grader.errors import CheckFailed, Ungradable
from grader.operate import Operate
from grader.waiting import poll

SETTLE_SECONDS = 120.0
"""Of the cluster's: until what was changed is rolled out."""


def make(check: Check, wanted: str, fixture: Callable[[str], Any], operate: Operate) -> None:
    """Make the change called ``wanted`` and wait until it is there. ``fixture`` gives one by its name.

    ``Ungradable`` when the check names no such change or it cannot be made: then there is nothing to compare.
    """
    change = check.what_if.get(wanted)
    if change is None:
        raise Ungradable(f"{check.name}: there is no what_if {wanted!r}; there are: {', '.join(check.what_if)}")
    try:
        if change(**{name: fixture(name) for name in inspect.signature(change).parameters}) is False:
            raise Ungradable(f"what_if {wanted!r} changes nothing here")
        for deployment in operate.touched:
            poll(lambda name=deployment: operate.rolled_out(name) is not None, SETTLE_SECONDS)  # type: ignore[misc]
    except CheckFailed as error:
        raise Ungradable(f"what_if {wanted!r} cannot be made here: {error}") from error
