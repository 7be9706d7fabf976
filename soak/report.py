"""What was measured, beside what it was before and what it should reach; and whether every invariant held.

A row is a figure, which a busy machine spoils. An invariant holds on any machine: one that does not is named, and the
run fails.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Row:
    """``before``: the same, measured from outside before there was a bound, where it was; ``good``: whether it reaches.

    None where there is nothing to reach.
    """

    what: str
    before: str
    now: str
    reach: str
    good: bool | None = None


@dataclass
class Report:
    """Everything of one run; ``quiet`` prints nothing meanwhile."""

    quiet: bool = False
    rows: list[Row] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    def part(self, title: str) -> None:
        """Begin a part."""
        self._say(f"\n{title}\n{'-' * len(title)}")

    def row(self, what: str, now: str, *, reach: str = "", before: str = "", good: bool | None = None) -> None:
        """Note a figure."""
        self.rows.append(Row(what, before, now, reach, good))
        mark = {True: "", False: "  <-- does not reach it", None: ""}[good]
        self._say(f"{what:<66} {now:<34} {f'reach: {reach}' if reach else ''}{mark}")

    def invariant(self, what: str, held: object, found: object = "") -> None:
        """Note whether something that must always hold did; ``found`` is what there was instead."""
        if not held:
            self.broken.append(f"{what}: {found}" if found != "" else what)
            self._say(f"BROKEN: {self.broken[-1]}")

    def table(self) -> str:
        """All rows as Markdown."""
        head = ["| what | before | now | to reach |", "|---|---|---|---|"]
        return "\n".join([*head, *(_line((row.what, row.before, row.now, row.reach)) for row in self.rows)])

    def _say(self, text: str) -> None:
        if not self.quiet:
            print(text, flush=True)


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
