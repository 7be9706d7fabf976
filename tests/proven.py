"""Which proofs are looked at again on a real cluster: those of what has changed, and a part of the others in turn.

The turn is the number of commits, so that the same commit always tries the same ones and ten that follow one another
try all. Outside of a checkout it is 0.
"""

from __future__ import annotations

import os
import subprocess
from functools import cache
from pathlib import Path

from labs import settings
from labs.library import Library
from labs.proofs import Digests, Standing, read, rotating, stand

PROVIDER = "kind"
SHOWN = 12
SETTINGS = settings.load({**os.environ, "KINDLING_HOME": os.devnull})
LIBRARY = Library(SETTINGS.catalogs[:1])
DIGESTS = Digests(PROVIDER, SETTINGS.topologies, SETTINGS.images)


@cache
def turn() -> int:
    """How many commits there are."""
    command = ["git", "rev-list", "--count", "HEAD"]
    ran = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=False)
    return int(ran.stdout) if ran.returncode == 0 else 0


@cache
def standings() -> list[Standing]:
    """How every state of every lab stands with its proof, in an order that stays."""
    image = SETTINGS.node_image(PROVIDER)
    return [
        stand(lab, state, read(lab, PROVIDER), DIGESTS.of(lab, state), image, PROVIDER)
        for lab in LIBRARY.all()
        for state in lab.states
    ]


@cache
def again() -> list[Standing]:
    """What is tried again."""
    due = [one for one in standings() if one.due]
    return due + [one for one in rotating(standings(), turn()) if not one.due]


def report() -> str:
    """One line of it."""
    changed = sum(one.due for one in again())
    names = [str(one) for one in again()]
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    counts = f"{changed} of {len(standings())} changed"
    return f"proofs on {PROVIDER}: {counts}; turn {turn()} tries {', '.join(names[:SHOWN])}{more}"
