"""The ``collateral`` fixture: what was healthy before and was touched, by whoever put the rest right.

Two looks are compared (:mod:`grader.inventory`). What was not healthy may be changed at will; of what was, everything
that was deleted, replaced or changed is told, and what is no longer healthy. What is new is nobody's loss.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

from grader import inventory
from grader.connection import Connection
from grader.errors import Ungradable
from grader.evidence import Evidence
from grader.inventory import HEALTHY, PARTS, UID, Inventory
from grader.text import quoted


@dataclass(frozen=True)
class Touched:
    """One thing: ``Kind namespace/name``, and what became of it."""

    what: str
    how: str

    def __str__(self) -> str:
        return f"{quoted(self.what)} {self.how}"


class Collateral:
    """Looks at the learner's cluster. ``start``: what there was when the lab began; empty where it is not known."""

    def __init__(self, connection: Connection, start: Inventory, evidence: Evidence, ready: Callable[[], None]) -> None:
        self._connection, self._start, self._evidence, self._ready = connection, start, evidence, ready

    def look(self) -> Inventory:
        """How everything stands now, to be compared with later."""
        self._ready()
        return inventory.take(self._connection)

    def __call__(self, since: Inventory | None = None, but: Iterable[str] = ()) -> list[Touched]:
        """What was healthy in a look, by default when the lab began, and was touched since then.

        ``but``: what may be, as patterns of ``Kind namespace/name`` (``Deployment shop/*``).
        """
        before = self._start if since is None else since
        if not before:
            raise Ungradable("what there was when the lab began is not known; does lab.yaml say collateral: true?")
        found = list(touched(before, self.look(), tuple(but)))
        self._evidence.add("collateral", touched=[str(one) for one in found])
        return found


def touched(before: Inventory, now: Inventory, but: tuple[str, ...] = ()) -> Iterator[Touched]:
    """The comparison."""
    for what, was in before.items():
        if not was[HEALTHY] or any(fnmatchcase(what, pattern) for pattern in but):
            continue
        found = now.get(what)
        if found is None:
            yield Touched(what, "was deleted")
        elif found[UID] != was[UID]:
            yield Touched(what, "was deleted and made again")
        elif changed := sorted(name for name in {*was[PARTS], *found[PARTS]} if _differs(was, found, name)):
            yield Touched(what, f"was changed: {quoted(', '.join(changed))}")
        elif not found[HEALTHY]:
            yield Touched(what, "is no longer healthy")


def _differs(was: dict[str, dict[str, str]], found: dict[str, dict[str, str]], name: str) -> bool:
    return was[PARTS].get(name) != found[PARTS].get(name)
