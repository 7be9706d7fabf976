"""What whoever starts a host can set, read once from its environment; docs/operating.md explains each.

It refuses (HostError) a value that it does not understand, with the variable's name.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from simkube.apimachinery.errors import HostError
from simkube.apiserver.http.responses import HOST_BYTES

WORKERS, ANSWERS, MEMORY = "SIMKUBE_WORKERS", "SIMKUBE_ANSWERS_MIB", "SIMKUBE_MEMORY_MIB"
MOST_WORKERS = 64
USUAL_WORKERS = 4
"""At most so many where nothing is set, however many processors there are."""
LEAST_MEMORY = 128
"""MiB that each worker has at least."""
MEMORY_PART = 0.5
"""The part of the machine's memory that a host may have where nothing is set."""


@dataclass(frozen=True)
class Settings:
    """``workers``: processes that clusters run in; ``answer_bytes``: what large answers may keep, in all;
    ``memory``: bytes that all workers may have, together.
    """

    workers: int
    answer_bytes: int
    memory: int


def load(environ: Mapping[str, str] | None = None) -> Settings:
    """The settings of this process."""
    env = os.environ if environ is None else environ
    workers = _whole(env, WORKERS, min(USUAL_WORKERS, _processors()), (1, MOST_WORKERS))
    least = LEAST_MEMORY * workers
    return Settings(
        workers=workers,
        answer_bytes=_whole(env, ANSWERS, HOST_BYTES >> 20, (1, 1 << 24), " of MiB") << 20,
        memory=_whole(env, MEMORY, max(least, int(_machine() * MEMORY_PART)), (least, 1 << 24), " of MiB") << 20,
    )


def _whole(env: Mapping[str, str], name: str, usual: int, limits: tuple[int, int], what: str = "") -> int:
    given = env.get(name, "")
    if not given:
        return usual
    least, most = limits
    if not (given.isascii() and given.isdigit() and len(given) < 10 and least <= int(given) <= most):
        raise HostError(f"{name} is a number{what} from {least} to {most}, not {given[:40]!r}")
    return int(given)


def _machine() -> int:
    """MiB of memory that this machine has."""
    return (os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")) >> 20


def _processors() -> int:
    """How many this process may use."""
    allowed = getattr(os, "sched_getaffinity", None)  # not everywhere
    return len(allowed(0)) if allowed else os.cpu_count() or 1
