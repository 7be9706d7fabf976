"""What each directive of nginx does to the configuration: one function a directive, in the table at the end.

A form of a directive that is not simulated is refused by name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from simkube.runtime.programs.nginx import variables
from simkube.runtime.programs.nginx.configuration import (
    COMBINED,
    LEVELS,
    PREFIX,
    Configuration,
    Location,
    Lookup,
    Server,
    Settings,
    Upstream,
)
from simkube.runtime.programs.nginx.syntax import Directive

MAIN, EVENTS, HTTP, SERVER, LOCATION = "main", "events", "http", "server", "location"
WEB = (HTTP, SERVER, LOCATION)
_SECONDS = {"ms": 0.001, "s": 1.0, "": 1.0, "m": 60.0, "h": 3600.0}
_PROTOCOLS = ("SSLv2", "SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")
_BYTES = {"": 1, "k": 1024, "m": 1024 * 1024, "g": 1024 * 1024 * 1024}


_NO_URI = (
    '"proxy_pass" cannot have URI part in location given by regular expression, or inside named location, '
    'or inside "if" statement, or inside "limit_except" block'
)


@dataclass
class Reading:
    """What was read so far, and the log formats there are."""

    configuration: Configuration = field(default_factory=lambda: Configuration([], Settings()))
    formats: dict[str, str] = field(default_factory=lambda: {"combined": COMBINED})


class Block:
    """A block while it is read: lists begin anew at the first directive of a level, other values may come once."""

    def __init__(self, context: str, settings: Settings, server: Server | None, location: Location | None) -> None:
        self.context = context
        self.settings = settings
        self.server = server
        self.location = location
        self._own: set[str] = set()

    def set(self, directive: Directive, field: str, value: object, *, where: object = None) -> None:
        """A value that a level may have once."""
        if field in self._own:
            raise directive.problem(f'"{directive.name}" directive is duplicate')
        self._own.add(field)
        setattr(self.settings if where is None else where, field, value)

    def has(self, field: str) -> bool:
        """Whether this level set it itself."""
        return field in self._own

    def add(self, field: str, *values: object) -> None:
        """More of a list."""
        before = getattr(self.settings, field) if field in self._own else ()
        self._own.add(field)
        setattr(self.settings, field, (*before, *values))


def daemon(reading: Reading, directive: Directive, block: Block) -> None:
    """``daemon off``; running as a daemon is refused where it would happen."""
    reading.configuration.foreground = not _flag(directive)


def pid(reading: Reading, directive: Directive, block: Block) -> None:
    """``pid FILE``"""
    (path,) = directive.words(1)
    block.set(directive, "pid_file", _absolute(path), where=reading.configuration)


def user(reading: Reading, directive: Directive, block: Block) -> None:
    """``user NAME``: workers are not told apart here; who starts nginx warns when it can have no effect."""
    if not 1 <= len(directive.arguments) <= 2:
        raise directive.wrong_number()
    block.set(directive, "user_at", f"{directive.file}:{directive.line}", where=reading.configuration)


def listen(reading: Reading, directive: Directive, block: Block) -> None:
    """``listen [ADDRESS:]PORT [default_server] [ssl]``"""
    server = block.server
    assert server is not None  # only servers listen
    server.listens = True
    if not directive.arguments:
        raise directive.wrong_number()
    where, *options = directive.arguments
    for option in options:
        if option.partition("=")[0] not in ("default_server", "reuseport", "backlog", "ipv6only", "ssl"):
            raise directive.refusal(f"listen {option}")
    found = re.fullmatch(r"(?:(\*|localhost|[\d.]+|\[[0-9a-fA-F:.]*\]):)?(\d{1,5})|(\*|localhost|[\d.]+)", where)
    if found is None:
        if where.startswith("unix:"):
            raise directive.refusal("listen unix:")
        raise directive.problem(f'host not found in "{where}" of the "listen" directive')
    address, port = found[1] or found[3] or "*", int(found[2] or 80)
    if not 0 < port < 65536:
        raise directive.problem(f'invalid port in "{where}" of the "listen" directive')
    if address.startswith("["):
        return  # the pod network has no IPv6: nobody can connect there
    if port in server.ports:
        raise directive.problem(f"a duplicate listen {where}")
    server.ports[port] = {"*": "0.0.0.0", "localhost": "127.0.0.1"}.get(address, address)  # noqa: S104 - simulated
    if "default_server" in options:
        server.default_on |= {port}
    if "ssl" in options:
        server.secure_on |= {port}


def server_name(reading: Reading, directive: Directive, block: Block) -> None:
    """``server_name NAME...``"""
    if not directive.arguments:
        raise directive.wrong_number()
    for name in directive.arguments:
        if name.startswith("~"):
            raise directive.refusal("server_name ~")
    assert block.server is not None  # only servers have names
    block.server.names += tuple(name.lower() for name in directive.arguments)


def root(reading: Reading, directive: Directive, block: Block) -> None:
    """``root PATH``"""
    (path,) = _texts(directive, 1)
    if block.has("alias"):
        raise directive.problem('"root" directive is duplicate, "alias" directive was specified earlier')
    block.set(directive, "root", _absolute(path).rstrip("/") or "/")


def alias(reading: Reading, directive: Directive, block: Block) -> None:
    """``alias PATH``"""
    (path,) = _texts(directive, 1)
    if block.has("root"):
        raise directive.problem('"alias" directive is duplicate, "root" directive was specified earlier')
    block.set(directive, "alias", _absolute(path), where=block.location)


def index(reading: Reading, directive: Directive, block: Block) -> None:
    """``index FILE...``"""
    block.add("index", *_texts(directive))


def default_type(reading: Reading, directive: Directive, block: Block) -> None:
    """``default_type TYPE``"""
    (media,) = directive.words(1)
    block.set(directive, "default_type", media)


def types(reading: Reading, directive: Directive, block: Block) -> None:
    """``types { TYPE EXTENSION...; }``"""
    directive.words(0)
    found: dict[str, str] = {}
    for each in directive.block or ():
        if each.block is not None or each.name == "include":
            raise each.refusal(f"{each.name} in types")
        found.update((extension.lower(), each.name) for extension in each.arguments)
    block.settings.types = found


def add_header(reading: Reading, directive: Directive, block: Block) -> None:
    """``add_header NAME VALUE [always]``"""
    words = _texts(directive)
    if len(words) not in (2, 3):
        raise directive.wrong_number()
    if len(words) == 3 and words[2] != "always":
        raise directive.problem(f'invalid parameter "{words[2]}"')
    block.add("headers", (words[0].lower(), words[1], len(words) == 3))


def returned(reading: Reading, directive: Directive, block: Block) -> None:
    """``return CODE [TEXT|URL]``, ``return URL``; the first of a block counts."""
    words = _texts(directive)
    if not 1 <= len(words) <= 2:
        raise directive.wrong_number()
    assert block.location is not None  # servers have one too
    if len(words) == 1 and words[0].startswith(("http://", "https://", "$scheme")):
        found = (302, words[0])
    elif not words[0].isdecimal() or int(words[0]) > 999:
        raise directive.problem(f'invalid return code "{words[0]}"')
    elif words[0] == "444":
        raise directive.refusal("return 444")
    else:
        found = (int(words[0]), words[1] if len(words) == 2 else "")
    if block.location.returns is None:
        block.location.returns = found


def try_files(reading: Reading, directive: Directive, block: Block) -> None:
    """``try_files FILE... URI|=CODE|@NAME``"""
    words = _texts(directive)
    if len(words) < 2:
        raise directive.wrong_number()
    if words[-1].startswith("=") and not words[-1][1:].isdecimal():
        raise directive.problem(f'invalid code "{words[-1]}"')
    block.set(directive, "try_files", words, where=block.location)


def error_page(reading: Reading, directive: Directive, block: Block) -> None:
    """``error_page CODE... [=[CODE]] URI``"""
    words = list(_texts(directive))
    if len(words) < 2:
        raise directive.wrong_number()
    target = words.pop()
    answer: int | None = None
    if words[-1].startswith("="):
        given = words.pop()[1:]
        if given and not given.isdecimal():
            raise directive.problem(f'invalid value "={given}"')
        answer = int(given or 0)
    for word in words:
        if not word.isdecimal() or not 300 <= int(word) <= 599:
            raise directive.problem(f'invalid value "{word}"')
    block.add("error_pages", *((int(word), target, answer) for word in words))


def server_tokens(reading: Reading, directive: Directive, block: Block) -> None:
    """``server_tokens on|off``"""
    block.set(directive, "tokens", _flag(directive))


def client_max_body_size(reading: Reading, directive: Directive, block: Block) -> None:
    """``client_max_body_size SIZE``"""
    block.set(directive, "most_body", int(_amount(directive, _BYTES)))


def log_format(reading: Reading, directive: Directive, block: Block) -> None:
    """``log_format NAME TEXT...``"""
    words = _texts(directive)
    if len(words) < 2:
        raise directive.wrong_number()
    if words[1].startswith("escape="):
        raise directive.refusal(f"log_format {words[1]}")
    if words[0] in reading.formats:
        raise directive.problem(f'duplicate "log_format" name "{words[0]}"')
    reading.formats[words[0]] = "".join(words[1:])


def access_log(reading: Reading, directive: Directive, block: Block) -> None:
    """``access_log off``, ``access_log PATH [FORMAT]``"""
    if directive.arguments == ("off",):
        block.set(directive, "access_logs", ())
        return
    if not 1 <= len(directive.arguments) <= 2:
        raise directive.refusal("access_log with parameters")
    path, name = (*directive.arguments, "combined")[:2]
    if path.startswith("syslog:") or "=" in name or "$" in path:
        raise directive.refusal(f"access_log {path} {name}")
    if name not in reading.formats:
        raise directive.problem(f'unknown log format "{name}"')
    block.add("access_logs", (_absolute(path), reading.formats[name]))


def error_log(reading: Reading, directive: Directive, block: Block) -> None:
    """``error_log PATH [LEVEL]``"""
    if not 1 <= len(directive.arguments) <= 2:
        raise directive.wrong_number()
    path, level = (*directive.arguments, "error")[:2]
    if level not in LEVELS:
        raise directive.problem(f'invalid log level "{level}"')
    if path.startswith(("syslog:", "memory:")):
        raise directive.refusal(f"error_log {path}")
    block.set(directive, "error_log", ("/dev/stderr" if path == "stderr" else _absolute(path), level))


def proxy_pass(reading: Reading, directive: Directive, block: Block) -> None:
    """``proxy_pass http://HOST[:PORT][URI]``; its host is looked up by ``main.py``."""
    (url,) = directive.words(1)
    location = block.location
    assert location is not None  # it stands in no other block
    if variables.holds_variables(url):
        raise directive.refusal("proxy_pass with variables")
    if not url.startswith("http://"):
        if url.startswith("https://"):
            raise directive.refusal("proxy_pass https://")
        raise directive.problem("invalid URL prefix")
    found = re.fullmatch(r"http://([\w.-]+)(?::(\d{1,5}))?(/.*)?", url)
    if found is None:
        raise directive.refusal(f"proxy_pass {url}")
    port = int(found[2] or 80)
    if not 0 < port < 65536:
        raise directive.problem(f'invalid port in upstream "{url.removeprefix("http://")}"')
    if found[3] and location.path.startswith("@"):
        raise directive.problem(_NO_URI)
    shown = found[1] if found[2] is None else f"{found[1]}:{port}"
    upstream = Upstream(found[1], port, shown, found[3])
    block.set(directive, "upstream", upstream, where=location)
    reading.configuration.lookups.append(Lookup(location, f"{directive.file}:{directive.line}"))


def proxy_set_header(reading: Reading, directive: Directive, block: Block) -> None:
    """``proxy_set_header NAME VALUE``"""
    name, value = _texts(directive, 2)
    block.add("proxy_headers", (name.lower(), value))


def proxy_connect_timeout(reading: Reading, directive: Directive, block: Block) -> None:
    """``proxy_connect_timeout TIME``"""
    block.set(directive, "proxy_connect", _amount(directive, _SECONDS))


def proxy_read_timeout(reading: Reading, directive: Directive, block: Block) -> None:
    """``proxy_read_timeout TIME``"""
    block.set(directive, "proxy_read", _amount(directive, _SECONDS))


def ssl_certificate(reading: Reading, directive: Directive, block: Block) -> None:
    """``ssl_certificate FILE``, ``ssl_certificate_key FILE``: read by ``certificates.py``."""
    (path,) = directive.words(1)
    name = directive.name.removeprefix("ssl_")
    if block.has(name) or variables.holds_variables(path) or path.startswith(("data:", "engine:", "store:")):
        raise directive.refusal(f"{directive.name} {path}" if not block.has(name) else f"{directive.name} twice")
    block.set(directive, name, _absolute(path))


def ssl_protocols(reading: Reading, directive: Directive, block: Block) -> None:
    """``ssl_protocols NAME...``: only looked at, since no byte is ever encrypted."""
    if not directive.arguments:
        raise directive.wrong_number()
    for word in directive.arguments:
        if word not in _PROTOCOLS:
            raise directive.problem(f'invalid value "{word}"')


def _texts(directive: Directive, number: int | None = None) -> tuple[str, ...]:
    """The arguments, with only variables that are simulated."""
    for text in directive.arguments:
        name = variables.unknown(text)
        if name is not None:
            raise directive.problem(f'variable "{name}" is not simulated here')
    return directive.arguments if number is None else directive.words(number)


def _flag(directive: Directive) -> bool:
    (word,) = directive.words(1)
    if word not in ("on", "off"):
        raise directive.problem(f'invalid value "{word}" in "{directive.name}" directive, it must be "on" or "off"')
    return word == "on"


def _amount(directive: Directive, units: Mapping[str, float]) -> float:
    (word,) = directive.words(1)
    found = re.fullmatch(r"(\d{1,9})([a-z]*)", word.lower())
    if found is None or found[2] not in units:
        raise directive.problem(f'"{directive.name}" directive invalid value')
    return int(found[1]) * units[found[2]]


def _absolute(path: str) -> str:
    return path if path.startswith(("/", "$")) else f"{PREFIX}/{path}"


DIRECTIVES: dict[str, tuple[tuple[str, ...], Callable[[Reading, Directive, Block], None]]] = {
    "access_log": (WEB, access_log),
    "add_header": (WEB, add_header),
    "alias": ((LOCATION,), alias),
    "client_max_body_size": (WEB, client_max_body_size),
    "daemon": ((MAIN,), daemon),
    "default_type": (WEB, default_type),
    "error_log": ((MAIN, *WEB), error_log),
    "error_page": (WEB, error_page),
    "index": (WEB, index),
    "listen": ((SERVER,), listen),
    "log_format": ((HTTP,), log_format),
    "pid": ((MAIN,), pid),
    "proxy_connect_timeout": (WEB, proxy_connect_timeout),
    "proxy_pass": ((LOCATION,), proxy_pass),
    "proxy_read_timeout": (WEB, proxy_read_timeout),
    "proxy_set_header": (WEB, proxy_set_header),
    "return": ((SERVER, LOCATION), returned),
    "root": (WEB, root),
    "server_name": ((SERVER,), server_name),
    "server_tokens": (WEB, server_tokens),
    "ssl_certificate": ((HTTP, SERVER), ssl_certificate),
    "ssl_certificate_key": ((HTTP, SERVER), ssl_certificate),
    "ssl_protocols": ((HTTP, SERVER), ssl_protocols),
    "try_files": ((SERVER, LOCATION), try_files),
    "types": (WEB, types),
    "user": ((MAIN,), user),
}
"""Directives without the large blocks: where each may stand, and what it does."""
