"""What a certificate comes from beside the lab's own version: states and rulings, the grader, what is in this room.

Of the grader it is the code that the lab's checks can come to execute, as for proofs (:mod:`labs.proofs`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from labs.definition import Lab
from labs.definition.rulings import FILE
from labs.proofs import Digests


def inputs(lab: Lab, digests: Digests) -> dict[str, str]:
    """Digests by name; ``digests``: of the provider on which changes are tried. :class:`labs.errors.Malformed`."""
    found = [digests.of(lab, state) for state in lab.right_states]
    rulings = lab.folder / FILE
    own = rulings.read_bytes() if rulings.is_file() else b""
    return {
        "states": _digest([*(one.lab.encode() for one in found), own]),
        "grader": _digest(one.grader.encode() for one in found),
        "changes": _room(),
    }


@cache
def _room() -> str:
    return _digest(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))


def _digest(parts: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(hashlib.sha256(part).digest())
    return digest.hexdigest()[:16]
