"""One process of an installation, for tests that kill it: ``python worker.py HOME CATALOG CLUSTERS COMMAND``.

Its provider stays in the first step, and its grader in the first check, for as long as a file ``hold`` is there; each
says so with a file ``reached``.
"""

from __future__ import annotations

import dataclasses
import sys
import time
from pathlib import Path

from labs.bootstrap import Kindling, bootstrap
from labs.clusters.provider import ClusterSpec
from labs.clusters.registry import Providers
from labs.settings import load
from tests.doubles.providers import MemoryProvider, ScriptedGrader

DEADLINE = 30.0


def held(folder: Path) -> None:
    """Wait while the test holds us."""
    until = time.monotonic() + DEADLINE
    if (folder / "hold").exists():
        (folder / "reached").touch()
    while (folder / "hold").exists() and time.monotonic() < until:
        time.sleep(0.01)  # polling what another process does


class HeldProvider(MemoryProvider):
    """Makes clusters, when it is let."""

    def during(self, step: str, spec: ClusterSpec) -> None:
        with (self.folder.parent / "made").open("a") as made:
            made.write(f"{spec.name} {step}\n")
        held(self.folder.parent)


def services(home: Path, catalog: Path, clusters: Path) -> Kindling:
    """An installation as each of these processes sees it."""
    base = load({"KINDLING_HOME": str(home)})
    settings = dataclasses.replace(base, catalogs=(catalog,), provider="memory", providers=("memory",))
    grader = ScriptedGrader()
    grader.during = lambda _: held(clusters.parent)
    providers = Providers(settings, {"memory": lambda _: HeldProvider(clusters)})
    return bootstrap(settings, grader=grader, providers=providers)


def main(home: str, catalog: str, clusters: str, command: str) -> None:
    """start, check, stop, or reconcile, for ada."""
    kindling = services(Path(home), Path(catalog), Path(clusters))
    kindling.accounts.ensure("ada")
    sessions = kindling.sessions
    if command == "reconcile":
        sessions.reconcile()
    elif command == "start":
        sys.stdout.write(sessions.wait(sessions.start("ada", "first").id).state)
    else:
        current = sessions.current("ada", "first")
        assert current is not None
        if command == "check":
            sys.stdout.write(str(sessions.follow(sessions.check(current.id, "ada").id, "ada").outcome))
        else:
            sys.stdout.write(sessions.wait(sessions.stop(current.id, "ada").id).state)
    kindling.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
