"""A Corefile as data: server blocks with the zones they are for, and the directives in them, checked by name.

The dialect is that of Caddy's first version: words, quotes, ``#`` comments, blocks in braces, ``(snippets)`` and
``import`` of them. A plugin that CoreDNS has and this program does not know is refused by name, as is one that CoreDNS
does not have; its arguments are checked where it is made (:mod:`~simkube.runtime.programs.coredns.plugins`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field


def words(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())


SIMULATED = frozenset(
    (
        "errors",
        "log",
        "health",
        "ready",
        "kubernetes",
        "prometheus",
        "forward",
        "cache",
        "loop",
        "reload",
        "loadbalance",
        "hosts",
        "rewrite",
        "debug",
    )
)
ELSEWHERE = frozenset(
    (
        "root",
        "metadata",
        "geoip",
        "cancel",
        "tls",
        "timeouts",
        "multisocket",
        "bufsize",
        "nsid",
        "bind",
        "trace",
        "pprof",
        "dnstap",
        "local",
        "dns64",
        "any",
        "chaos",
        "acl",
        "quic",
        "view",
        "dnssec",
        "autopath",
        "minimal",
        "template",
        "transfer",
        "route53",
        "azure",
        "clouddns",
        "k8s_external",
        "file",
        "auto",
        "secondary",
        "etcd",
        "grpc",
        "erratic",
        "whoami",
        "on",
        "sign",
        "nomad",
        "header",
        "grpc_server",
        "https",
        "https3",
        "import",
    )
)
"""Plugins that CoreDNS has and that are not simulated."""
MOST_BYTES, MOST_BLOCKS = 64 * 1024, 100
_TOKEN = re.compile(r'"((?:\\.|[^"\\])*)"|(\S+)')


class CorefileError(ValueError):
    """What is wrong, in CoreDNS's words, with file and line."""


@dataclass(frozen=True, slots=True)
class Directive:
    """One directive: its arguments, the lines of its block, and where it is."""

    name: str
    arguments: tuple[str, ...]
    block: tuple[tuple[str, ...], ...]
    line: int


@dataclass(frozen=True, slots=True)
class Zone:
    """A name and all below it (``.`` for every name), on a port."""

    name: str
    port: int = 53

    def covers(self, name: str) -> bool:
        """Whether a full name (without the last dot) is in it."""
        return self.name == "." or name == self.name or name.endswith(f".{self.name}")

    def __str__(self) -> str:
        return f"{self.name}{'' if self.name == '.' else '.'}:{self.port}"


@dataclass(slots=True)
class ServerBlock:
    """What is done for some zones."""

    zones: list[Zone]
    directives: list[Directive] = field(default_factory=list)

    def get(self, name: str) -> Directive | None:
        """The first directive of that name."""
        return next((each for each in self.directives if each.name == name), None)


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    line: int


def parse(text: str, path: str) -> list[ServerBlock]:
    """The server blocks of a Corefile; :class:`CorefileError`."""
    if len(text) > MOST_BYTES:
        raise CorefileError(f"{path}: a Corefile of more than {MOST_BYTES} bytes is not simulated")
    parser = _Parser(list(_tokens(text)), path)
    blocks = parser.blocks()
    seen: dict[str, None] = {}
    for zone in (zone for block in blocks for zone in block.zones):
        if str(zone) in seen:
            raise CorefileError(f"cannot serve dns://{zone} - it is already defined")
        seen[str(zone)] = None
    return blocks


def _tokens(text: str) -> Iterator[_Token]:
    for number, line in enumerate(text.splitlines(), 1):
        for found in _TOKEN.finditer(line):
            if found[0].startswith("#"):
                break
            yield _Token(found[0] if found[1] is None else re.sub(r"\\(.)", r"\1", found[1]), number)


class _Parser:
    def __init__(self, tokens: Sequence[_Token], path: str) -> None:
        self._tokens = list(tokens)
        self._path = path
        self._at = 0
        self._snippets: dict[str, list[Directive]] = {}

    def blocks(self) -> list[ServerBlock]:
        found: list[ServerBlock] = []
        while self._at < len(self._tokens):
            labels = self._labels()
            if len(found) >= MOST_BLOCKS:
                raise self._error("too many server blocks to be simulated")
            name = re.fullmatch(r"\((.+)\)", labels[0])
            directives = self._directives()
            if name:
                self._snippets[name[1]] = directives
            else:
                found.append(ServerBlock([self._zone(label) for label in labels], directives))
        return found

    def _labels(self) -> list[str]:
        labels: list[str] = []
        while True:
            token = self._next("{")
            if token.text == "{":
                if not labels:
                    raise self._error("Unexpected token '{', expecting a server block's zones")
                return labels
            if token.text == "}":
                raise self._error("Unexpected '}' because no matching opening brace")
            labels += [each for each in token.text.split(",") if each]

    def _directives(self) -> list[Directive]:
        found: list[Directive] = []
        while True:
            token = self._next("}")
            if token.text == "}":
                return found
            arguments, block = self._rest(token.line)
            if token.text == "import":
                found += self._imported(arguments, token.line)
                continue
            self._check(token)
            found.append(Directive(token.text, tuple(arguments), tuple(block), token.line))

    def _rest(self, line: int) -> tuple[list[str], list[tuple[str, ...]]]:
        arguments: list[str] = []
        while self._at < len(self._tokens) and self._tokens[self._at].line == line:
            token = self._tokens[self._at]
            if token.text == "}":
                break
            self._at += 1
            if token.text == "{":
                return arguments, self._lines()
            arguments.append(token.text)
        return arguments, []

    def _lines(self) -> list[tuple[str, ...]]:
        lines: dict[int, list[str]] = {}
        while True:
            token = self._next("}")
            if token.text == "}":
                return [tuple(line) for line in lines.values()]
            if token.text == "{":  # no plugin has blocks in its block
                raise self._error(f"unknown property '{next(iter(lines.get(token.line, ['{'])))}'")
            lines.setdefault(token.line, []).append(token.text)

    def _imported(self, arguments: Sequence[str], line: int) -> list[Directive]:
        name = arguments[0] if arguments else ""
        if name in self._snippets:
            return self._snippets[name]
        if any(each in name for each in "*?["):
            return []  # a pattern that no file matches
        raise CorefileError(
            f"{self._path}:{line} - Error during parsing: File to import not found: {name}; only snippets are simulated"
        )

    def _check(self, token: _Token) -> None:
        if token.text in SIMULATED:
            return
        why = f"Unknown directive '{token.text}'"
        if token.text in ELSEWHERE:
            why = f"the plugin '{token.text}' is not simulated here"
        raise CorefileError(f"{self._path}:{token.line} - Error during parsing: {why}")

    def _zone(self, label: str) -> Zone:
        scheme, _, rest = label.rpartition("://")
        if scheme not in ("", "dns"):
            raise self._error(f"servers of the scheme '{scheme}' are not simulated here")
        name, _, port = rest.partition(":")
        if port and not (port.isdecimal() and 0 < int(port[:6]) < 65536):
            raise self._error(f"invalid port '{port}'")
        return Zone(name.lower().strip(".") or ".", int(port or 53))

    def _next(self, expected: str) -> _Token:
        if self._at >= len(self._tokens):
            raise self._error(f"Unexpected EOF, expecting '{expected}'")
        self._at += 1
        return self._tokens[self._at - 1]

    def _error(self, what: str) -> CorefileError:
        line = self._tokens[min(self._at, len(self._tokens)) - 1].line if self._tokens else 1
        return CorefileError(f"{self._path}:{line} - Error during parsing: {what}")
