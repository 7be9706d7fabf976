"""What whoever starts a host can set, read once from its environment; docs/operating.md explains each.

It refuses (HostError) a value that it does not understand, with the variable's name.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from simkube.apimachinery.errors import HostError
from simkube.apiserver.http.responses import HOST_BYTES

WORKERS, ANSWERS = "SIMKUBE_WORKERS", "SIMKUBE_ANSWERS_MIB"
MOST_WORKERS = 64
USUAL_WORKERS = 4
"""At most so many where nothing is set, however many processors there are."""


@dataclass(frozen=True)
class Settings:
    """``workers``: processes that clusters run in; ``answer_bytes``: what large answers may keep, in all."""

    workers: int
    answer_bytes: int


def load(environ: Mapping[str, str] | None = None) -> Settings:
    """The settings of this process."""
    env = os.environ if environ is None else environ
    return Settings(
        workers=_whole(env, WORKERS, min(USUAL_WORKERS, _processors()), MOST_WORKERS),
        answer_bytes=_whole(env, ANSWERS, HOST_BYTES >> 20, 1 << 24, " of MiB") << 20,
    )


def _whole(env: Mapping[str, str], name: str, usual: int, most: int, what: str = "") -> int:
    given = env.get(name, "")
    if not given:
        return usual
    if not (given.isascii() and given.isdigit() and len(given) < 10 and 1 <= int(given) <= most):
        raise HostError(f"{name} is a number{what} from 1 to {most}, not {given[:40]!r}")
    return int(given)


def _processors() -> int:
    """How many this process may use."""
    allowed = getattr(os, "sched_getaffinity", None)  # not everywhere
    return len(allowed(0)) if allowed else os.cpu_count() or 1
