"""What each plugin of CoreDNS does with a question, in the order in which CoreDNS asks them, whatever the file's is.

A plugin answers, or has the next one answer. Arguments that are not simulated are refused by name; those without an
effect here (ages, limits, sizes) are let pass.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import re2  # type: ignore[import-untyped]  # it has no stubs

from simkube.runtime.programs.coredns.answer import NOERROR, NXDOMAIN, SERVFAIL, Answer, Given
from simkube.runtime.programs.coredns.corefile import CorefileError, Directive, ServerBlock, Zone, words

Ask = Callable[[str, str], Answer]
"""A full name in lower case without its last dot, and a type of records, to what is answered."""
MOST_RULES, MOST_HOSTS = 100, 1000


@dataclass(frozen=True, slots=True)
class World:
    """What plugins need of the cluster: ``names(name, type)`` are the records it has and whether the name is there,
    None while it may not be read; ``upstream(address, name, type)`` asks another server; ``read`` reads a file."""

    names: Callable[[str, str], tuple[bool, Sequence[Any]] | None]
    upstream: Callable[[str, str, str], Answer]
    read: Callable[[str], str]


def chain(block: ServerBlock, world: World, path: str) -> Ask:
    """The plugins of one server block, each asking the next; :class:`CorefileError`."""
    ask: Ask = _nobody
    for make in (_forward, _kubernetes, _hosts):
        for each in reversed([one for one in block.directives if one.name == make.__name__[1:]]):
            with _placed(path, each):
                ask = make(each, block, world, ask)
    rules = []
    for each in [one for one in block.directives if one.name == "rewrite"][:MOST_RULES]:
        with _placed(path, each):
            rules.append(_rule(each))
    return _rewriting(rules, ask) if rules else ask


@contextmanager
def _placed(path: str, directive: Directive) -> Iterator[None]:
    try:
        yield
    except CorefileError as error:
        raise CorefileError(f"{path}:{directive.line} - Error during parsing: {error}") from None


def _nobody(name: str, kind: str) -> Answer:
    return Answer("REFUSED")


def _zones(directive: Directive, block: ServerBlock) -> list[Zone]:
    return [Zone(each.lower().strip(".") or ".") for each in directive.arguments] or block.zones


def _covered(zones: Sequence[Zone], name: str) -> bool:
    return any(zone.covers(name) for zone in zones)


def _fallthrough(directive: Directive, zones: Sequence[Zone]) -> list[Zone]:
    """The zones for which the next plugin is asked about what this one does not know."""
    for option, *values in directive.block:
        if option == "fallthrough":
            return [Zone(each.lower().strip(".") or ".") for each in values] or list(zones)
    return []


# -- kubernetes ------------------------------------------------------------------------------------------------------

_KUBERNETES = words("pods fallthrough ttl endpoint_pod_names ignore noendpoints startup_timeout")


def _kubernetes(directive: Directive, block: ServerBlock, world: World, following: Ask) -> Ask:
    zones, domain = _zones(directive, block), "cluster.local"
    below = _fallthrough(directive, zones)
    pods = "disabled"
    for option, *values in directive.block:
        if option not in _KUBERNETES:
            raise CorefileError(f"the option '{option}' of the plugin 'kubernetes' is not simulated here")
        if option == "pods":
            pods = values[0] if values else ""
            if pods not in ("disabled", "insecure", "verified"):
                raise CorefileError(f"wrong value for pods: {pods},  must be one of: disabled, verified, insecure")

    def ask(name: str, kind: str) -> Answer:
        zone = next((each for each in sorted(zones, key=lambda one: -len(one.name)) if each.covers(name)), None)
        if zone is None:
            return following(name, kind)
        reverse = zone.name.endswith(".arpa") or name.endswith(".arpa")
        inner = name if reverse else f"{name[: len(name) - len(zone.name)]}{domain}"
        found = world.names(inner, kind)
        if found is None:
            return Answer(SERVFAIL, error="plugin/kubernetes: the Kubernetes API is not synchronized")
        there, records = found
        if inner.endswith(f".pod.{domain}") and pods == "disabled":
            there, records = False, ()
        if records or there:
            named = [_of_zone(each, domain, zone.name) for each in records] if zone.name != domain else records
            return Answer(NOERROR, named, authoritative=True)
        return following(name, kind) if _covered(below, name) else Answer(NXDOMAIN, authoritative=True)

    return ask


def _of_zone(record: Any, domain: str, zone: str) -> Given:
    def named(text: str) -> str:
        return f"{text.removesuffix(domain)}{zone}" if text.endswith(f".{domain}") else text

    return Given(named(record.name), record.type, named(record.data), record.port)


# -- hosts -----------------------------------------------------------------------------------------------------------

_HOSTS_OPTIONS = words("fallthrough ttl no_reverse reload")


def _hosts(directive: Directive, block: ServerBlock, world: World, following: Ask) -> Ask:
    table: dict[str, list[str]] = {}
    arguments = list(directive.arguments)
    file = arguments.pop(0) if arguments and "/" in arguments[0] else ""
    zones = [Zone(each.lower().strip(".") or ".") for each in arguments] or block.zones
    lines = [tuple(line.split()) for line in (world.read(file).splitlines() if file else ())]
    lines += [line for line in directive.block if line[0] not in _HOSTS_OPTIONS]
    for line in [line for line in lines if line][:MOST_HOSTS]:
        try:
            ipaddress.ip_address(line[0])
        except ValueError:
            if line in directive.block:
                raise CorefileError(f"plugin/hosts: unknown property '{line[0]}'") from None
            continue
        for name in line[1:]:
            table.setdefault(name.lower().strip("."), []).append(line[0])
    below = _fallthrough(directive, zones)

    def ask(name: str, kind: str) -> Answer:
        if not _covered(zones, name):
            return following(name, kind)
        if name in table:
            wanted = {"A": 4, "AAAA": 6}.get(kind)
            found = [each for each in table[name] if ipaddress.ip_address(each).version == wanted]
            return Answer(NOERROR, [Given(name, kind, each) for each in found], authoritative=True)
        return following(name, kind) if _covered(below, name) else Answer(NXDOMAIN, authoritative=True)

    return ask


# -- rewrite ---------------------------------------------------------------------------------------------------------

_MATCHES = ("exact", "prefix", "suffix", "substring", "regex")


_Rule = tuple[Callable[[str], str | None], bool]
"""How a name is changed, and whether later rules are looked at when it was."""


def _rule(directive: Directive) -> _Rule:
    given = list(directive.arguments)
    goes_on = False
    if given and given[0] in ("stop", "continue"):
        goes_on = given.pop(0) == "continue"
    if not given and directive.block:
        given = list(directive.block[0])
    if not given or given.pop(0) != "name":
        raise CorefileError("only 'rewrite name' is simulated here")
    match = given.pop(0) if given and given[0] in _MATCHES else "exact"
    if len(given) < 2:
        raise CorefileError("too few arguments for a name rule")
    return _change(match, given[0], given[1]), goes_on


def _rewriting(rules: Sequence[_Rule], following: Ask) -> Ask:
    def ask(name: str, kind: str) -> Answer:
        new = name
        for change, goes_on in rules:
            changed = change(new)
            if changed is not None:
                new = changed
                if not goes_on:
                    break
        return following(name, kind) if new == name else following(new, kind).named(new, name)

    return ask


def _change(match: str, old: str, new: str) -> Callable[[str], str | None]:
    old_name, new_name = old.lower().strip("."), new.lower().strip(".")
    if match == "regex":
        return _by_pattern(old, new_name)
    if match == "exact":
        return lambda name: new_name if name == old_name else None
    if match == "prefix":
        return lambda name: f"{new.lower()}{name.removeprefix(old.lower())}" if name.startswith(old.lower()) else None
    if match == "suffix":
        return lambda name: f"{name.removesuffix(old_name)}{new_name}" if name.endswith(old_name) else None
    return lambda name: name.replace(old.lower(), new.lower()) if old.lower() in name else None


def _by_pattern(pattern: str, new: str) -> Callable[[str], str | None]:
    options = re2.Options()
    options.log_errors, options.max_mem = False, 1 << 20
    try:
        compiled = re2.compile(pattern, options)
    except re2.error:
        raise CorefileError(f"invalid regex pattern in a name rule: {pattern}") from None

    def change(name: str) -> str | None:
        found = compiled.search(f"{name}.") or compiled.search(name)
        if found is None:
            return None
        made = new
        for number, group in enumerate(found.groups() or (), 1):
            made = made.replace(f"{{{number}}}", group or "")
        return made.strip(".")

    return change


# -- forward ---------------------------------------------------------------------------------------------------------

_FORWARD = frozenset(
    (
        "except",
        "force_tcp",
        "prefer_udp",
        "expire",
        "max_fails",
        "tls",
        "tls_servername",
        "policy",
        "health_check",
        "max_concurrent",
        "next",
        "failfast_all_unhealthy_upstreams",
        "max_connect_attempts",
        "failover",
        "max_age",
    )
)


def _forward(directive: Directive, block: ServerBlock, world: World, following: Ask) -> Ask:
    if len(directive.arguments) < 2:
        raise CorefileError("Wrong argument count or unexpected line ending after 'forward'")
    zone = Zone(directive.arguments[0].lower().strip(".") or ".")
    servers = [_server(each) for each in directive.arguments[1:]]
    spared: list[Zone] = []
    for option, *values in directive.block:
        if option not in _FORWARD:
            raise CorefileError(f"unknown property '{option}'")
        if option == "except":
            spared = [Zone(each.lower().strip(".")) for each in values]

    def ask(name: str, kind: str) -> Answer:
        if not zone.covers(name) or _covered(spared, name):
            return following(name, kind)
        answer = Answer(SERVFAIL)
        for server in servers[:3]:
            answer = world.upstream(server, name, kind)
            if answer.code != SERVFAIL:
                break
        return answer

    return ask


def _server(text: str) -> str:
    """The address of a server, or the file that names some."""
    if text.startswith("/"):
        return text
    host, _, port = text.removeprefix("dns://").partition(":")
    try:
        ipaddress.ip_address(host)
    except ValueError:
        raise CorefileError(f'not an IP address or file: "{text}"') from None
    if "://" in text.removeprefix("dns://") or (port and port != "53"):
        raise CorefileError(f"a server at another port than 53, or over TLS, is not simulated here: {text}")
    return host
