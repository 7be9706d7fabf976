"""Limits on how often something may be tried, held by rows: one for all processes of the site, also after a restart.

A limit is a bucket that every try fills and that drains with time, so that it says when to try again. Rows that have
drained are removed as new ones come, and there are never many more than :data:`MOST_ROWS`.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session as Transaction

from labs.errors import TooMany
from labs.records.database import Database
from labs.records.models import Allowance

MOST_ROWS = 50_000


@dataclass(frozen=True)
class Limit:
    """``burst`` tries at once, and one more every ``seconds``. ``said``: what is too much, for whoever tries."""

    burst: int
    seconds: float
    said: str


Use = tuple[str, Limit]
"""What is counted (any text; only its hash is kept), and against which limit."""


@dataclass(frozen=True)
class Allowances:
    """Takes from and gives back to limits."""

    records: Database
    now: Callable[[], datetime]

    def take(self, *uses: Use) -> None:
        """Count one try against each of these, or none: ``TooMany``, with the seconds to wait."""
        try:
            refused = self._add(uses, 1.0)
        except IntegrityError:  # somebody else made a row a moment ago, which is there now
            refused = self._add(uses, 1.0)
        if refused is not None:
            raise refused

    def give_back(self, *uses: Use) -> None:
        """Take back what :meth:`take` counted: it was no guess."""
        self._add(uses, -1.0)

    def _add(self, uses: tuple[Use, ...], more: float) -> TooMany | None:
        with self.records.begin(lasting=False) as tx:
            rows = [(self._drained(tx, key, limit), limit) for key, limit in sorted(map(_hashed, uses), key=_first)]
            waits = [((row.level + more - limit.burst) * limit.seconds, limit) for row, limit in rows]
            longest, why = max(waits, key=_first)
            if longest > 0 and more > 0:
                return TooMany(why.said, longest)
            for row, limit in rows:
                self._set(row, limit, row.level + more)
                if more > 0 and row not in tx:
                    self._clean(tx, row.key, [used.key for used, _ in rows])
                    tx.add(row)
        return None

    def _drained(self, tx: Transaction, key: str, limit: Limit) -> Allowance:
        """The row with the level of this moment, or a new one, not kept yet. A clock gone back drains nothing."""
        row = tx.get(Allowance, key, with_for_update=True) or Allowance(key=key, level=0.0, at=self.now())
        passed = max(0.0, (self.now() - row.at).total_seconds())
        self._set(row, limit, row.level - passed / limit.seconds)
        return row

    def _set(self, row: Allowance, limit: Limit, level: float) -> None:
        row.level, row.at = max(0.0, level), self.now()
        row.empty_at = self.now() + timedelta(seconds=row.level * limit.seconds)

    def _clean(self, tx: Transaction, key: str, used: list[str]) -> None:
        """Remove what has drained, but for what is ``used`` at this moment and about to be filled."""
        others = Allowance.key.not_in(used)
        tx.execute(delete(Allowance).where(others, Allowance.empty_at < self.now()))
        if key.startswith("00"):  # of every 256th
            over = (tx.scalar(select(func.count()).select_from(Allowance)) or 0) - MOST_ROWS
            if over > 0:
                soonest = select(Allowance.key).where(others).order_by(Allowance.empty_at).limit(over)
                tx.execute(delete(Allowance).where(Allowance.key.in_(soonest)))


def network_of(address: str | None) -> str:
    """Whose limits an address counts against: IPv4 as it is, of IPv6 the /64 that one customer has."""
    try:
        parsed = ipaddress.ip_address(address or "")
    except ValueError:
        return "?"
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    mapped = parsed.ipv4_mapped
    return str(mapped) if mapped else str(ipaddress.ip_network((parsed, 64), strict=False).network_address)


def _hashed(use: Use) -> Use:
    return hashlib.sha256(use[0].encode("utf-8", "replace")).hexdigest(), use[1]


def _first(pair: tuple[Any, Limit]) -> Any:
    return pair[0]
