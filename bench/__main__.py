"""``python -m bench [PART...]``: simulated, kind, load, alternatives, forks; by name also site, interruptions."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from bench import alternatives, forks, interruptions, kind, load, simulated, site
from simkube.host import launcher

PARTS = {
    "simulated": simulated.run,
    "kind": kind.run,
    "load": load.run,
    "alternatives": alternatives.run,
    "forks": forks.run,
    "site": site.run,
    "interruptions": interruptions.run,
}
USUAL = ("simulated", "kind", "load", "alternatives", "forks")
"""Without what takes minutes."""


def main(names: list[str]) -> None:
    """Run the parts in a home that is removed afterwards."""
    unknown = set(names) - PARTS.keys()
    if unknown:
        sys.exit(f"there is no part {', '.join(sorted(unknown))}; there are: {', '.join(PARTS)}")
    with tempfile.TemporaryDirectory(prefix="kindling-bench-") as home:
        try:
            for name in names or USUAL:
                PARTS[name](Path(home))
        finally:
            launcher.shutdown(Path(home) / "simkube")


if __name__ == "__main__":
    main(sys.argv[1:])
