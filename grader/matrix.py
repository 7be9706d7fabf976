"""Who reaches whom: sources, targets, and what became of a connection from each to each.

It looks at connections alone, which is what a network policy decides about. What is said over them is for requests.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from grader.answers import MEANING
from grader.checks import fail
from grader.errors import ProbeUnavailable
from grader.objects import Pod
from grader.shapes import rows

SHOWN = 6
"""Wrong pairs in one message."""
LOOK = "kubectl get networkpolicies --all-namespaces; kubectl describe networkpolicy"


@dataclass(frozen=True)
class Source:
    """A pod of the grader's, made for the purpose: it carries exactly these labels, and runs as ``account``.

    ``namespace``: the lab's unless another is given. With ``namespace_labels`` it lives in a namespace of its own that
    carries those (and no others), as a stranger or a new tenant does.
    """

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    namespace: str = ""
    account: str = "default"
    namespace_labels: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Target:
    """An address (or a DNS name, which the source then has to look up) and a port. ``protocol``: TCP, or UDP for port
    53, where a name server is asked."""

    name: str
    host: str
    port: int
    protocol: str = "TCP"

    @staticmethod
    def pod(name: str, pod: Pod, port: int) -> Target:
        """A port of a pod, by its address."""
        return Target(name, pod.ip, port)


@dataclass(frozen=True)
class Reach:
    """What became of one connection. ``error``: "" when it came about, else the probe's word (:data:`MEANING`)."""

    source: str
    target: str
    port: int
    protocol: str
    error: str
    ms: float

    @property
    def reached(self) -> bool:
        """Whether the other side answered."""
        return not self.error

    def __str__(self) -> str:
        """For a message: ``cart reaches db on port 80``, ``cart does not reach db on port 80 (no answer in time)``."""
        where = f"{self.target} on port {self.port}" + (f"/{self.protocol}" if self.protocol != "TCP" else "")
        if self.reached:
            return f"{self.source} reaches {where}"
        return f"{self.source} does not reach {where} ({MEANING.get(self.error, self.error)})"


class Matrix:
    """Every source with every target."""

    def __init__(self, pairs: Sequence[Reach]) -> None:
        self.pairs = tuple(pairs)
        self._by_names = {(one.source, one.target): one for one in pairs}

    def __getitem__(self, names: tuple[str, str]) -> Reach:
        return self._by_names[names]

    def __iter__(self) -> Iterator[Reach]:
        return iter(self.pairs)

    def reached(self, source: str, target: str) -> bool:
        """Whether the one reaches the other, by their names."""
        return self[source, target].reached

    def wrong(self, allowed: Collection[tuple[str, str]]) -> list[Reach]:
        """Pairs of names that are ``allowed`` and do not come through, and all others that do."""
        return [one for one in self.pairs if one.reached != ((one.source, one.target) in allowed)]

    def must_be(self, allowed: Collection[tuple[str, str]], look: str = LOOK) -> None:
        """The check fails unless just the ``allowed`` pairs of names come through. Meant for ``poll`` as well."""
        wrong = self.wrong(allowed)
        if wrong:
            said = "; ".join(str(one) for one in wrong[:SHOWN])
            more = f"; and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
            asked = ", ".join(f"{source} to {target}" for source, target in sorted(allowed)[:SHOWN]) or "none at all"
            fail(
                expected=f"of {len(self.pairs)} connections just those asked for to come through ({asked}"
                + (", ...)" if len(allowed) > SHOWN else ")"),
                observed=f"{len(wrong)} of them are otherwise: {said}{more}",
                look=look,
            )

    def record(self) -> dict[str, Any]:
        """For evidence."""
        pairs = [
            {
                "source": one.source,
                "target": one.target,
                "port": f"{one.port}/{one.protocol}",
                "reached": one.reached,
                "error": one.error,
                "ms": one.ms,
            }
            for one in self.pairs
        ]
        return {"pairs": pairs}

    def __str__(self) -> str:
        """For a message: ``4 of 9 connections come through``."""
        return f"{sum(one.reached for one in self.pairs)} of {len(self.pairs)} connections come through"


def reaches(source: Source, targets: Sequence[Target], told: object) -> list[Reach]:
    """From what a probe says, in the order of the targets. ``ProbeUnavailable`` when it is not that."""
    records = rows(told)
    if len(records) != len(targets):
        raise ProbeUnavailable(f"the probe's record of {len(targets)} targets is none: {str(told)[:300]}")
    return [
        Reach(source.name, to.name, to.port, to.protocol, str(one.get("error", "?")), float(one.get("ms") or 0.0))
        for to, one in zip(targets, records, strict=True)
    ]
