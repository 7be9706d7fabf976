"""``python -m soak [PART...] [--table FILE]``: a part or all of them; without names all, twenty minutes.

The exit code is 1 when an invariant did not hold. Figures never fail a run.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path

from soak import beside, hand_in, kills, loads, memory
from soak.report import Report
from soak.stage import Stage

PARTS: dict[str, Callable[[Stage], None]] = {
    "hand-in": hand_in.run,
    "members": beside.run,
    "together": beside.together,
    "idle": beside.idle,
    "answers": loads.answers,
    "connections": loads.connections,
    "objects": loads.objects,
    "site": loads.site,
    "sign-in": loads.sign_ins,
    "streams": loads.streams,
    "kills": kills.run,
    "memory": memory.run,
}


def main(arguments: list[str] | None = None) -> int:
    """Run parts, each in a home of its own that is removed afterwards; print the table."""
    parser = argparse.ArgumentParser(prog="python -m soak", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--table", type=Path, metavar="FILE", help="write the table there, as Markdown")
    options = parser.parse_args(arguments)
    unknown = set(options.parts) - PARTS.keys()
    if unknown:
        parser.error(f"there is no part {', '.join(sorted(unknown))}; there are: {', '.join(PARTS)}")
    report = Report()
    for name in options.parts or PARTS:
        with tempfile.TemporaryDirectory(prefix="kindling-soak-") as home, Stage(Path(home), report) as stage:
            try:
                PARTS[name](stage)
            except Exception as error:  # noqa: BLE001 - the other parts are still worth their time
                traceback.print_exc()
                report.invariant(f"the part {name} runs to its end", False, f"{type(error).__name__}: {error}")
    print(f"\n{report.table()}")
    if options.table:
        options.table.write_text(report.table() + "\n")
    print("\nEvery invariant held." if not report.broken else "\nBROKEN:\n" + "\n".join(report.broken))
    return 1 if report.broken else 0


if __name__ == "__main__":
    sys.exit(main())
