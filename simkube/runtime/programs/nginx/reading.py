"""From nginx's configuration files to :mod:`~simkube.runtime.programs.nginx.configuration`, refused as nginx refuses.

Here are files, blocks and where a directive may stand; what each does is in
:mod:`~simkube.runtime.programs.nginx.directives`. A directive in no table is refused by name; those that only tune
performance are accepted and have no effect.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Iterator
from copy import copy

from simkube.runtime.files import FileSystem
from simkube.runtime.nodes import FileError
from simkube.runtime.programs.nginx import syntax
from simkube.runtime.programs.nginx.configuration import PREFIX, Configuration, Location, Server
from simkube.runtime.programs.nginx.directives import (
    DIRECTIVES,
    EVENTS,
    HTTP,
    LOCATION,
    MAIN,
    SERVER,
    WEB,
    Block,
    Reading,
)
from simkube.runtime.programs.nginx.syntax import Directive, Problem

MOST_FILES = 100
MOST_DIRECTIVES = 10_000
_BLOCKS = {"events": MAIN, "http": MAIN, "server": HTTP, "location": SERVER}
_TLS_TUNING = (
    "ssl_buffer_size", "ssl_ciphers", "ssl_ecdh_curve", "ssl_prefer_server_ciphers", "ssl_session_cache",
    "ssl_session_tickets", "ssl_session_timeout",
)  # fmt: skip
_TUNING = {
    MAIN: ("worker_processes", "worker_rlimit_nofile", "worker_cpu_affinity", "worker_priority", "pcre_jit"),
    EVENTS: ("worker_connections", "multi_accept", "use"),
    HTTP: ("server_names_hash_bucket_size", "server_names_hash_max_size", *_TLS_TUNING),
    SERVER: _TLS_TUNING,
    "web": (
        "sendfile", "tcp_nopush", "tcp_nodelay", "keepalive_timeout", "keepalive_requests", "types_hash_max_size",
        "types_hash_bucket_size", "client_body_buffer_size", "client_header_buffer_size", "client_body_timeout",
        "client_header_timeout",
        "large_client_header_buffers", "proxy_http_version", "proxy_buffering", "proxy_buffers",
        "proxy_buffer_size", "proxy_busy_buffers_size", "proxy_send_timeout", "reset_timedout_connection",
        "send_timeout",
    ),
}  # fmt: skip
_ONLY = ("autoindex", "gzip", "gzip_static", "proxy_redirect", "proxy_intercept_errors", "ssi", "http2", "etag")
"""Simulated only in the state that is also nginx's default; see :func:`_only_default`."""
_DEFAULTS = {"etag": ("on",), "proxy_redirect": ("default",)}


def read(files: FileSystem, path: str, extra: str = "") -> Configuration:
    """The configuration at ``path`` with the directives of ``-g``; :class:`Problem`."""
    return _Reader(files).read(path, extra)


class _Reader:
    def __init__(self, files: FileSystem) -> None:
        self._files = files
        self._opened = 0
        self._seen = 0
        self._sections: set[str] = set()
        self.reading = Reading()

    def read(self, path: str, extra: str) -> Configuration:
        """See :func:`read`."""
        configuration = self.reading.configuration
        block = Block(MAIN, configuration.main, None, None)
        self._run(syntax.parse(extra, "command line"), block)
        self._run(self._flat(self._open(path, None)), block)
        if EVENTS not in self._sections:
            raise Problem('no "events" section in configuration')
        return configuration

    # -- files -----------------------------------------------------------------------------------------------------

    def _open(self, path: str, by: Directive | None) -> tuple[Directive, ...]:
        self._opened += 1
        if self._opened > MOST_FILES:
            raise Problem(f"more than {MOST_FILES} files of configuration are not simulated here in {path}:1")
        try:
            text = self._files.read(path).decode("utf-8", "replace")
        except FileError as error:
            message = f'open() "{path}" failed ({error.number}: {error.strerror})'
            raise (Problem(message) if by is None else by.problem(message)) from None
        self.reading.configuration.files.append(path)
        return syntax.parse(text, path)

    def _flat(self, directives: Iterable[Directive]) -> Iterator[Directive]:
        """The directives with every ``include`` replaced by what it includes."""
        for each in directives:
            self._seen += 1
            if self._seen > MOST_DIRECTIVES:
                raise each.problem(f"more than {MOST_DIRECTIVES} directives are not simulated here")
            if each.name == "include":
                for path in self._matching(each):
                    yield from self._flat(self._open(path, each))
            else:
                yield each

    def _matching(self, directive: Directive) -> list[str]:
        (pattern,) = directive.words(1)
        path = pattern if pattern.startswith("/") else f"{PREFIX}/{pattern}"
        folder, _, name = path.rpartition("/")
        if not re.search(r"[*?\[]", path):
            return [path]
        if re.search(r"[*?\[]", folder):
            raise directive.refusal(f"include {pattern}")
        try:
            names = sorted(each for each in self._files.entries(folder) if fnmatch.fnmatchcase(each, name))
        except FileError:
            return []
        return [f"{folder}/{each}" for each in names if not each.startswith(".")]

    # -- blocks ----------------------------------------------------------------------------------------------------

    def _run(self, directives: Iterable[Directive], block: Block) -> None:
        for directive in directives:
            self._one(directive, block)

    def _one(self, directive: Directive, block: Block) -> None:
        name, context = directive.name, block.context
        if name in _TUNING.get(context, ()) or (context in WEB and name in _TUNING["web"]):
            _no_block(directive)
        elif context in WEB and name in _ONLY:
            _only_default(directive)
        elif name in _BLOCKS:
            self._block(directive, block)
        elif name in DIRECTIVES:
            allowed, apply = DIRECTIVES[name]
            if context not in allowed:
                raise _misplaced(directive)
            if name != "types":
                _no_block(directive)
            apply(self.reading, directive, block)
        elif name in _ONLY or any(name in names for names in _TUNING.values()):
            raise _misplaced(directive)
        else:
            raise directive.refusal()

    def _block(self, directive: Directive, outer: Block) -> None:
        name = directive.name
        if (name, outer.context) == (LOCATION, LOCATION):
            raise directive.refusal("location in location")
        if outer.context != _BLOCKS[name]:
            raise _misplaced(directive)
        if directive.block is None:
            raise directive.problem(f'directive "{name}" has no opening "{{"')
        if name != LOCATION:
            directive.words(0)
        if name in (EVENTS, HTTP) and name in self._sections:
            raise directive.problem(f'"{name}" directive is duplicate')
        self._sections.add(name)
        if name == SERVER:
            self._server(directive, outer)
        elif name == LOCATION:
            self._location(directive, outer)
        else:
            self._inside(directive, Block(name, copy(outer.settings), None, None))

    def _inside(self, directive: Directive, block: Block) -> None:
        """What a block holds; inner blocks last, because what stands after them holds in them too."""
        held = list(self._flat(directive.block or ()))
        self._run((each for each in held if each.name not in _BLOCKS), block)
        self._run((each for each in held if each.name in _BLOCKS), block)

    def _server(self, directive: Directive, outer: Block) -> None:
        base = Location("", exact=False, settings=copy(outer.settings))
        server = Server(base, place=f"{directive.file}:{directive.line}")
        self.reading.configuration.servers.append(server)
        self._inside(directive, Block(SERVER, base.settings, server, base))
        if not server.listens:
            server.ports[80] = "0.0.0.0"  # noqa: S104 - simulated
        self._check_others(directive, server)

    def _check_others(self, directive: Directive, server: Server) -> None:
        """nginx's complaints about servers that get in each other's way."""
        configuration = self.reading.configuration
        for other in configuration.servers[:-1]:
            for port in server.ports.keys() & other.ports.keys():
                if port in server.default_on & other.default_on:
                    raise directive.problem(f"a duplicate default server for 0.0.0.0:{port}")
                for name in set(server.names or ("",)) & set(other.names or ("",)):
                    configuration.warnings.append(f'conflicting server name "{name}" on 0.0.0.0:{port}, ignored')

    def _location(self, directive: Directive, outer: Block) -> None:
        server = outer.server
        assert server is not None  # only servers hold locations
        modifier, path = _location_words(directive)
        exact = modifier == "=" or path.startswith("@")
        if any(each.exact == exact and each.path == path for each in server.locations):
            raise directive.problem(f'duplicate location "{path}"')
        found = Location(path, exact, copy(outer.settings))
        server.locations.append(found)
        self._inside(directive, Block(LOCATION, found.settings, server, found))


def _misplaced(directive: Directive) -> Problem:
    return directive.problem(f'"{directive.name}" directive is not allowed here')


def _location_words(directive: Directive) -> tuple[str, str]:
    words = directive.arguments
    if len(words) == 1:
        found = re.fullmatch(r"(=|\^~|~\*|~)?(.+)", words[0])
        modifier, path = (found[1] or "", found[2]) if found else ("", words[0])
    elif len(words) == 2:
        modifier, path = words
    else:
        raise directive.wrong_number()
    if modifier in ("~", "~*"):
        raise directive.refusal(f"location {modifier}")
    if modifier not in ("", "=", "^~"):
        raise directive.problem(f'invalid location modifier "{modifier}"')
    return modifier, path


def _no_block(directive: Directive) -> None:
    if directive.block is not None:
        raise directive.problem(f'directive "{directive.name}" is not terminated by ";"')


def _only_default(directive: Directive) -> None:
    _no_block(directive)
    if directive.arguments[:1] not in [(word,) for word in _DEFAULTS.get(directive.name, ("off",))]:
        raise directive.refusal(" ".join((directive.name, *directive.arguments)))
