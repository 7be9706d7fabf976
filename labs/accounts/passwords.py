"""Passwords, kept as argon2id hashes and nothing else.

A hash costs memory and a moment of a whole processor on purpose, so only so many are made at a time by all processes of
a home: as many as there are processors, each a lock of the operating system. Refuses to wait for long: a site at which
hundreds sign in at once says that it is busy.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from labs.accounts.password_rules import check
from labs.errors import Unavailable
from labs.locks import Locks
from labs.settings import processors

if TYPE_CHECKING:
    from argon2 import PasswordHasher

MEMORY_KIB, PASSES = 19456, 2
"""For each hash; the first that OWASP's cheat sheet on storing passwords names for argon2id with one lane: a fifth of
the time and a third of the memory of the library's own, which are meant for who hashes seldom."""
LOOK_SECONDS = 0.005  # between two looks for a free place
PATIENCE_SECONDS = 20.0


def hashed(password: str, home: Path, *about: str) -> str:
    """The hash of a new password of an account that is called ``about``.

    ``Refused`` when it is one that others would guess, ``Unavailable`` when too many are made.
    """
    check(password, *about)
    return hashed_anew(password, home)


def hashed_anew(password: str, home: Path) -> str:
    """The hash of a password that is one already; ``Unavailable``."""
    with place(home):
        return _threads().submit(_hasher().hash, password).result()


def matches(kept: str | None, password: str, home: Path) -> bool:
    """Whether this is the password, after the same work also where there is none; ``Unavailable``."""
    from argon2.exceptions import InvalidHashError, VerificationError

    with place(home):
        try:
            _threads().submit(_hasher().verify, kept or _nobody(), password[:2000]).result()
        except (VerificationError, InvalidHashError):
            return False
    return bool(kept)


def outdated(kept: str | None) -> bool:
    """Whether a hash was made with other costs than new ones are."""
    return kept is not None and _hasher().check_needs_rehash(kept)


@contextmanager
def place(
    home: Path, now: Callable[[], float] = time.monotonic, pause: Callable[[float], None] = time.sleep
) -> Iterator[None]:
    """Hold one of the places of a home while entered."""
    locks, until = Locks(home / "locks" / "passwords"), now() + PATIENCE_SECONDS
    with ExitStack() as held:
        while not any(held.enter_context(locks.hold(str(number))) for number in range(processors())):
            if now() >= until:
                raise Unavailable("Too many people sign in at this moment; nothing was changed. Try again soon.")
            pause(LOOK_SECONDS)
        yield


@cache
def _hasher() -> PasswordHasher:
    from argon2 import PasswordHasher  # only where a password is looked at

    return PasswordHasher(time_cost=PASSES, memory_cost=MEMORY_KIB, parallelism=1)


@cache
def _threads() -> ThreadPoolExecutor:
    """Those that hash, few and always the same: the system's allocator keeps for each thread the memory of a hash."""
    return ThreadPoolExecutor(processors(), thread_name_prefix="password")


@cache
def _nobody() -> str:
    """A hash that nothing matches, so that an unknown name costs as much as a wrong password."""
    return _hasher().hash(secrets.token_hex(16))
