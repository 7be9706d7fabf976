"""What a configuration of nginx says, as data: servers, their locations, and what holds in each.

Reading it is :mod:`~simkube.runtime.programs.nginx.reading`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from simkube.runtime.network.ports import Certificate

COMBINED = (
    '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent"'
)
PREFIX = "/etc/nginx"
LEVELS = ("debug", "info", "notice", "warn", "error", "crit", "alert", "emerg")


@dataclass(frozen=True, slots=True)
class Upstream:
    """Where ``proxy_pass`` leads: host and port as written, their addresses, the URI that replaces the location's."""

    host: str
    port: int
    shown: str
    uri: str | None
    addresses: tuple[str, ...] = ()


@dataclass(slots=True)
class Settings:
    """What holds in one block; inner blocks begin with a copy of the outer's."""

    root: str = f"{PREFIX}/html"
    index: tuple[str, ...] = ("index.html",)
    default_type: str = "text/plain"
    types: Mapping[str, str] = field(
        default_factory=lambda: {"html": "text/html", "gif": "image/gif", "jpg": "image/jpeg"}
    )
    headers: tuple[tuple[str, str, bool], ...] = ()
    error_pages: tuple[tuple[int, str, int | None], ...] = ()
    access_logs: tuple[tuple[str, str], ...] = (("/var/log/nginx/access.log", COMBINED),)
    error_log: tuple[str, str] = ("/var/log/nginx/error.log", "error")
    proxy_headers: tuple[tuple[str, str], ...] = ()
    proxy_connect: float = 60.0
    proxy_read: float = 60.0
    most_body: int = 1024 * 1024
    tokens: bool = True
    certificate: str = ""
    """The file of the certificate, "" for none."""
    certificate_key: str = ""


@dataclass(slots=True)
class Location:
    """One ``location``, or what a server does outside of all (``path`` ``""``)."""

    path: str
    exact: bool
    settings: Settings
    alias: str | None = None
    returns: tuple[int, str] | None = None
    try_files: tuple[str, ...] = ()
    upstream: Upstream | None = None


@dataclass(slots=True)
class Server:
    """One ``server``."""

    base: Location
    ports: dict[int, str] = field(default_factory=dict)
    """Port -> the address listened on."""
    listens: bool = False
    """Whether it says itself where it listens."""
    default_on: frozenset[int] = frozenset()
    secure_on: frozenset[int] = frozenset()
    """The ports that it wants TLS on."""
    place: str = ""
    """Where it stands in the files."""
    shown: Certificate | None = None
    """What it shows to who asks for TLS."""
    names: tuple[str, ...] = ()
    locations: list[Location] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Its first name, "" for none."""
        return self.names[0] if self.names else ""

    def matches(self, host: str) -> int:
        """How well a host fits its names: 3 the name itself, 2 ``*.name``, 1 ``name.*``, 0 not at all."""
        best = 0
        for name in self.names:
            if name == host or (name.startswith(".") and name[1:] == host):
                return 3
            if name.startswith(("*.", ".")) and host.endswith(name.lstrip("*")):
                best = 2
            elif name.endswith(".*") and host.startswith(name[:-1]):
                best = max(best, 1)
        return best

    def location(self, uri: str) -> Location:
        """The location of a URI: the exact one, else the one with the longest prefix, else the server itself."""
        best = self.base
        for each in self.locations:
            if each.exact:
                if each.path == uri:
                    return each
            elif uri.startswith(each.path) and len(each.path) >= len(best.path):
                best = each
        return best

    def named(self, name: str) -> Location | None:
        """The location ``@name``."""
        return next((each for each in self.locations if each.exact and each.path == name), None)


@dataclass(frozen=True, slots=True)
class Lookup:
    """A location whose upstream's addresses are still to be found, and where it says so."""

    location: Location
    place: str


@dataclass(slots=True)
class Configuration:
    """All of it."""

    servers: list[Server]
    main: Settings
    pid_file: str = "/run/nginx.pid"
    user_at: str = ""
    """Where ``user`` stands, "" when it does not."""
    foreground: bool = False
    files: list[str] = field(default_factory=list)
    """Every file that it was read from."""
    lookups: list[Lookup] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def ports(self) -> dict[int, str]:
        """Every port listened on, with its address."""
        found: dict[int, str] = {}
        for server in self.servers:
            for port, address in server.ports.items():
                found[port] = address if found.get(port, address) == address else "0.0.0.0"  # noqa: S104 - simulated
        return found

    def secure(self, port: int) -> bool:
        """Whether a port is for TLS: one server that says so says it for all."""
        return any(port in server.secure_on for server in self.servers)

    def server(self, port: int, host: str) -> Server:
        """The server that answers on a port for a host: by name, else the port's default."""
        there = [server for server in self.servers if port in server.ports]
        default = next((server for server in there if port in server.default_on), there[0])
        best = max(there, key=lambda server: server.matches(host))
        return best if best.matches(host) else default
