"""The name server that a Corefile makes: one chain of plugins for each zone, its log, and what it counts.

Questions are answered at once; caches and their age are not simulated, nor is TCP: there is nothing to be seen of it.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from simkube.runtime.cri import NetworkError
from simkube.runtime.programs.coredns.answer import NOERROR, REFUSED, SERVFAIL, Answer
from simkube.runtime.programs.coredns.corefile import ServerBlock, Zone, parse
from simkube.runtime.programs.coredns.plugins import Ask, World, chain

DEEPEST = 5
"""So many servers may ask each other about one name."""
_depth = Counter[str]()


class Configuration:
    """What a Corefile says, ready to be asked; :class:`~simkube.runtime.programs.coredns.corefile.CorefileError`."""

    def __init__(self, text: str, path: str, world: World) -> None:
        self.blocks = parse(text, path)
        self.digest = hashlib.sha512(text.encode()).hexdigest()
        self._chains: list[tuple[Zone, Ask, ServerBlock]] = []
        for block in self.blocks:
            ask = chain(block, world, path)
            self._chains += [(zone, ask, block) for zone in block.zones if zone.port == 53]
        self._chains.sort(key=lambda each: -len(each[0].name))

    def has(self, plugin: str) -> bool:
        """Whether any server block has a plugin."""
        return any(block.get(plugin) for block in self.blocks)

    def zones(self) -> list[str]:
        """What it prints of its servers when it starts."""
        return [str(zone) for block in self.blocks for zone in block.zones]

    def answer(self, name: str, kind: str) -> tuple[Answer, ServerBlock | None]:
        """The answer of the server block that is nearest to the name, and which that is."""
        for zone, ask, block in self._chains:
            if zone.covers(name):
                return ask(name, kind), block
        return Answer(REFUSED), None


class Server:
    """Answers by the configuration of the moment; ``log`` writes a line, ``where`` is how policies see it."""

    def __init__(self, configuration: Configuration, log: Callable[[str], None], where: Callable[[], Any]) -> None:
        self.configuration = configuration
        self.requests: Counter[tuple[str, str]] = Counter()
        self._log = log
        self.place = where

    def asked_by(self, source: str) -> Asked:
        """The server as a client at an address has it."""
        return Asked(self, source)

    def answer(self, name: str, kind: str, source: str) -> Answer:
        """One question of a client."""
        if len(_depth) >= DEEPEST:
            return Answer(SERVFAIL, error="read udp: i/o timeout")
        token = f"{id(self)}/{name}/{len(_depth)}"
        _depth[token] += 1
        try:
            found, block = self.configuration.answer(name, kind)
        finally:
            del _depth[token]
        self.requests[kind, found.code] += 1
        if block is not None and block.get("log"):
            self._log(self._line(name, kind, source, found))
        if found.error and block is not None and block.get("errors"):
            self._log(f"[ERROR] plugin/errors: 2 {name}. {kind}: {found.error}")
        return found

    def _line(self, name: str, kind: str, source: str, found: Answer) -> str:
        number = self.requests.total()
        size = len(name) + 18
        answered = size + sum(len(each.data) + 12 for each in found.records)
        flags = "qr,aa,rd" if found.authoritative else "qr,rd,ra"
        port, serial = 32768 + number * 7919 % 28000, number * 40503 % 65536
        question = f'{source}:{port} - {serial} "{kind} IN {name}. udp {size} false 512"'
        return f"[INFO] {question} {found.code} {flags} {answered} 0.000{100 + number * 37 % 400}s"


class Asked:
    """Keeps :class:`simkube.runtime.network.network.Resolver` for one client."""

    def __init__(self, server: Server, source: str) -> None:
        self._server = server
        self._source = source

    def answer(self, name: str, kind: str) -> Answer:
        """One question, with its code."""
        return self._server.answer(name.lower().rstrip("."), kind, self._source)

    def records(self, name: str, type: str) -> Sequence[Any]:
        """The records of an answer."""
        return self.answer(name, type).records

    def place(self) -> Any:
        """Where the server is."""
        return self._server.place()

    def candidates(self, name: str, searches: Sequence[str], ndots: int = 5) -> list[str]:
        """The full names that are tried for a name, in order."""
        if len(name) > 253 or not all(0 < len(label) < 64 for label in name.rstrip(".").split(".")):
            return []
        if name.endswith("."):
            return [name]
        searched = [f"{name}.{search}" for search in searches[:32]]
        return [*searched, name] if name.count(".") < ndots else [name, *searched]

    def canonical(self, name: str, searches: Sequence[str], ndots: int = 5) -> str:
        """The full name that has addresses, or the name itself."""
        return next((each for each in self.candidates(name, searches, ndots) if self.records(each, "A")), name)

    def resolve(self, name: str, searches: Sequence[str], ndots: int = 5) -> list[str]:
        """The addresses as a pod's resolver finds them; NetworkError ``name``, for now where no server could say."""
        worst = NOERROR
        for candidate in self.candidates(name, searches, ndots):
            found = self.answer(candidate, "A")
            addresses = [each.data for each in found.records if each.type == "A"]
            if found.code in (NOERROR,):
                self.answer(candidate, "AAAA")
            if addresses:
                return addresses
            if found.code in (SERVFAIL, REFUSED):
                worst = found.code
        text = "Name or service not known" if worst == NOERROR else "Temporary failure in name resolution"
        raise NetworkError("name", text)
