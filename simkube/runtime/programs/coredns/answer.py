"""A question to a name server and its answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

NOERROR, SERVFAIL, NXDOMAIN, REFUSED = "NOERROR", "SERVFAIL", "NXDOMAIN", "REFUSED"


class Record(Protocol):
    """One record of an answer; ``port`` is of an SRV record."""

    @property
    def name(self) -> str: ...

    @property
    def type(self) -> str: ...

    @property
    def data(self) -> str: ...

    @property
    def port(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Given:
    """A record that a plugin makes."""

    name: str
    type: str
    data: str
    port: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a question; ``error`` says what went wrong where the code is SERVFAIL."""

    code: str
    records: Sequence[Record] = ()
    error: str = ""
    authoritative: bool = False

    def named(self, old: str, new: str) -> Answer:
        """The same answer to a question for another name."""
        named = [(new if each.name == old else each.name, each) for each in self.records]
        return replace(self, records=[Given(name, each.type, each.data, each.port) for name, each in named])
