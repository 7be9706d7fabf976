"""How fast an autoscaler may follow what metrics propose: stabilization windows and policies.

What was proposed and done lately is kept in memory, as in Kubernetes; after a restart it begins anew. Source:
``normalizeDesiredReplicas`` and what it calls in ``pkg/controller/podautoscaler/horizontal.go``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

WINDOW = 300.0
"""Seconds for which a higher proposal is remembered before there are fewer replicas, where nothing else is said."""
_LIMIT_FACTOR, _LIMIT_LEAST = 2, 4
Rules = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Condition:
    """The status, reason and message of a condition."""

    status: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Decision:
    """So many replicas, and why not what was proposed."""

    replicas: int
    able: Condition
    limited: Condition


@dataclass(slots=True)
class Memory:
    """What one autoscaler remembers: ``(seconds, replicas proposed)``, ``(seconds, replicas added or removed)``."""

    proposals: list[tuple[float, int]] = field(default_factory=list)
    grown: list[tuple[float, int]] = field(default_factory=list)
    shrunk: list[tuple[float, int]] = field(default_factory=list)

    def propose(self, now: float, replicas: int, keep: float) -> None:
        """Remember a proposal, and forget those older than ``keep`` seconds."""
        self.proposals = [(at, each) for at, each in self.proposals if at >= now - keep]
        self.proposals.append((now, replicas))

    def scaled(self, now: float, before: int, after: int, behavior: Rules | None) -> None:
        """Remember a change, for as long as a policy may ask."""
        if behavior is None:
            return
        up = after > before
        longest = max((each["periodSeconds"] for each in _policies(behavior, up=up)), default=0)
        events = [each for each in (self.grown if up else self.shrunk) if each[0] >= now - longest]
        events.append((now, abs(after - before)))
        if up:
            self.grown = events
        else:
            self.shrunk = events


def decide(
    memory: Memory, behavior: Rules | None, *, current: int, proposed: int, least: int, most: int, now: float
) -> Decision:
    """What becomes of a proposal; ``memory`` takes note of it."""
    if behavior is None:
        return _without_rules(memory, current, proposed, least, most, now)
    stable, able = _stabilized(memory, behavior, current, proposed, now)
    limited, reason, message = _within_rate(memory, behavior, current, stable, least, most, now)
    return Decision(limited, able, Condition("False" if limited == stable else "True", reason, message))


_READY = Condition("True", "ReadyForNewScale", "recommended size matches current size")
_WITHIN = ("DesiredWithinRange", "the desired count is within the acceptable range")
_TOO_FAST = ("ScaleUpLimit", "the desired replica count is increasing faster than the maximum scale rate")
_TOO_MANY = ("TooManyReplicas", "the desired replica count is more than the maximum replica count")
_TOO_FEW = ("TooFewReplicas", "the desired replica count is less than the minimum replica count")
_TOO_FAST_DOWN = ("ScaleDownLimit", "the desired replica count is decreasing faster than the maximum scale rate")
_HIGHER = "recent recommendations were higher than current one, applying the highest recent recommendation"
_LOWER = "recent recommendations were lower than current one, applying the lowest recent recommendation"


def _without_rules(memory: Memory, current: int, proposed: int, least: int, most: int, now: float) -> Decision:
    stable = max([proposed, *(each for at, each in memory.proposals if at >= now - WINDOW)])
    memory.propose(now, proposed, WINDOW)
    able = _READY if stable == proposed else Condition("True", "ScaleDownStabilized", _HIGHER)
    limit = max(_LIMIT_FACTOR * current, _LIMIT_LEAST)
    highest, why = (limit, _TOO_FAST) if most > limit else (most, _TOO_MANY)
    if stable < least:
        return Decision(least, able, Condition("True", *_TOO_FEW))
    if stable > highest:
        return Decision(highest, able, Condition("True", *why))
    return Decision(stable, able, Condition("False", *_WITHIN))


def _window(behavior: Rules, *, up: bool) -> float:
    seconds = (behavior.get("scaleUp" if up else "scaleDown") or {}).get("stabilizationWindowSeconds")
    return float((0 if up else WINDOW) if seconds is None else seconds)


def _policies(behavior: Rules, *, up: bool) -> Sequence[Rules]:
    found: Sequence[Rules] = (behavior.get("scaleUp" if up else "scaleDown") or {}).get("policies") or ()
    return found


def _stabilized(memory: Memory, behavior: Rules, current: int, proposed: int, now: float) -> tuple[int, Condition]:
    up = proposed >= current
    window = _window(behavior, up=up)
    recent = [each for at, each in memory.proposals if at > now - window]
    better: Callable[[list[int]], int] = min if up else max
    stable = better([proposed, *recent])
    memory.propose(now, proposed, max(_window(behavior, up=True), _window(behavior, up=False)))
    if stable == proposed:
        return stable, _READY
    return stable, Condition("True", "ScaleUpStabilized" if up else "ScaleDownStabilized", _LOWER if up else _HIGHER)


def _within_rate(
    memory: Memory, behavior: Rules, current: int, wanted: int, least: int, most: int, now: float
) -> tuple[int, str, str]:
    if wanted > current:
        limit = max(current, _limit(behavior, current, memory.grown, now, up=True))
        highest, why = (limit, _TOO_FAST) if most > limit else (most, _TOO_MANY)
        return (highest, *why) if wanted > highest else (wanted, *_WITHIN)
    if wanted < current:
        limit = min(current, _limit(behavior, current, memory.shrunk, now, up=False))
        lowest, why = (limit, _TOO_FAST_DOWN) if least < limit else (least, _TOO_FEW)
        return (lowest, *why) if wanted < lowest else (wanted, *_WITHIN)
    return (wanted, *_WITHIN)


def _limit(behavior: Rules, current: int, events: Sequence[tuple[float, int]], now: float, *, up: bool) -> int:
    """How far the policies let the number go; the selected one decides."""
    selected = (behavior.get("scaleUp" if up else "scaleDown") or {}).get("selectPolicy", "Max")
    if selected == "Disabled":
        return current
    limits = [_of_policy(each, current, events, now, up=up) for each in _policies(behavior, up=up)]
    if not limits:
        return current
    return max(limits) if up == (selected != "Min") else min(limits)


def _of_policy(policy: Rules, current: int, events: Sequence[tuple[float, int]], now: float, *, up: bool) -> int:
    changed = sum(count for at, count in events if at > now - policy["periodSeconds"])
    start = current - changed if up else current + changed
    if policy["type"] == "Pods":
        return int(start + policy["value"] if up else start - policy["value"])
    share = start * (1 + policy["value"] / 100) if up else start * (1 - policy["value"] / 100)
    return math.ceil(round(share, 9)) if up else int(share)
