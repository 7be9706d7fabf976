"""Where a request goes: the hosts and paths of Ingress objects, in the order in which ingress-nginx tries them.

An exact path goes before a prefix, a longer one before a shorter one; of equal ones the older Ingress has it. A host
goes before a wildcard, and that before no host. Without a rule that matches, the default backend of an Ingress without
rules answers. Source: https://kubernetes.io/docs/concepts/services-networking/ingress/#path-types.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from simkube.runtime.regex import Regex, RegexError

Obj = dict[str, Any]
PREFIX = "nginx.ingress.kubernetes.io/"
SIMULATED = frozenset({"rewrite-target", "ssl-redirect", "force-ssl-redirect", "permanent-redirect", "use-regex"})
"""Annotations that are simulated; an Ingress with any other is refused by name."""


@dataclass(frozen=True, slots=True)
class Backend:
    """A service's port, by name or number."""

    namespace: str
    service: str
    port: str | int


@dataclass(frozen=True, slots=True)
class Route:
    """One path of one host. ``pattern`` is set when the path is a regular expression; ``backend`` None: none is known.

    ``refused`` names the annotations that are not simulated.
    """

    path: str
    exact: bool
    backend: Backend | None
    ingress: tuple[str, str]
    pattern: Regex | None = None
    rewrite: str = ""
    redirect: str = ""
    secure: bool = False
    refused: tuple[str, ...] = ()

    def matches(self, path: str) -> list[tuple[int, int]] | None:
        """The parts of a path that the groups of the pattern match; None when the route is not for it."""
        if self.pattern is not None:
            try:
                return self.pattern.search(path)
            except RegexError:
                return None
        if self.exact:
            return [] if path == self.path else None
        base = self.path.rstrip("/")
        return [] if path == base or path.startswith(f"{base}/") or not base else None


@dataclass(slots=True)
class Table:
    """Every route, and the secrets of TLS, by host ("" for any)."""

    hosts: dict[str, list[Route]] = field(default_factory=dict)
    secrets: dict[str, tuple[str, str]] = field(default_factory=dict)
    default: Route | None = None

    def find(self, host: str, path: str) -> tuple[Route, list[tuple[int, int]]] | None:
        """The route of a request, with what its pattern matched."""
        wildcard = f"*.{host.partition('.')[2]}"
        for name in (host, wildcard, ""):
            for route in self.hosts.get(name, ()):
                found = route.matches(path)
                if found is not None:
                    return route, found
        return None if self.default is None else (self.default, [])

    def secret(self, host: str) -> tuple[str, str] | None:
        """The namespace and name of the secret for a host."""
        return self.secrets.get(host) or self.secrets.get(f"*.{host.partition('.')[2]}")


def table(ingresses: Iterable[Obj]) -> Table:
    """The routes of the Ingress objects, oldest first."""
    made = Table()
    ordered = sorted(ingresses, key=lambda one: (one["metadata"]["creationTimestamp"], _key(one)))
    for ingress in ordered:
        _add(made, ingress)
    for routes in made.hosts.values():
        routes.sort(key=lambda route: (-len(route.path), not route.exact))
    return made


def _key(ingress: Obj) -> tuple[str, str]:
    return ingress["metadata"]["namespace"], ingress["metadata"]["name"]


def unknown(ingress: Obj) -> tuple[str, ...]:
    """The annotations of an Ingress that would change how it is served, and are not simulated."""
    annotations = ingress["metadata"].get("annotations") or {}
    return tuple(sorted(key for key in annotations if key.startswith(PREFIX) and key[len(PREFIX) :] not in SIMULATED))


def _add(made: Table, ingress: Obj) -> None:
    spec = ingress["spec"]
    for tls in spec.get("tls") or []:
        for host in tls.get("hosts") or []:
            if tls.get("secretName"):
                made.secrets.setdefault(host, (ingress["metadata"]["namespace"], tls["secretName"]))
    secured = {host for tls in spec.get("tls") or [] for host in tls.get("hosts") or []}
    default = spec.get("defaultBackend")
    for rule in spec.get("rules") or []:
        host = rule.get("host", "")
        routes = made.hosts.setdefault(host, [])
        paths: Sequence[Obj] = (rule.get("http") or {}).get("paths") or ()
        given = [*paths] or ([{"path": "/", "pathType": "Prefix", "backend": default}] if default else [])
        for path in given:
            route = _route(ingress, path, host in secured)
            if not any((one.path, one.exact) == (route.path, route.exact) for one in routes):
                routes.append(route)
    if default and made.default is None and not spec.get("rules"):
        made.default = _route(ingress, {"path": "/", "pathType": "Prefix", "backend": default}, secure=False)


def _route(ingress: Obj, path: Obj, secure: bool) -> Route:
    annotations = ingress["metadata"].get("annotations") or {}
    notes = {key[len(PREFIX) :]: value for key, value in annotations.items() if key.startswith(PREFIX)}
    namespace = ingress["metadata"]["namespace"]
    service = (path.get("backend") or {}).get("service")
    port = (service or {}).get("port") or {}
    backend = Backend(namespace, service["name"], port.get("name") or port.get("number") or 0) if service else None
    text = path.get("path") or "/"
    refused = list(unknown(ingress))
    pattern = None
    if notes.get("use-regex") == "true" or ("rewrite-target" in notes and "$" in notes["rewrite-target"]):
        try:
            pattern = Regex(f"^{text}", extended=True, ignore_case=True)
        except RegexError as error:
            refused.append(f"the path {text[:80]!r} ({error})")
    forced = notes.get("force-ssl-redirect") == "true"
    return Route(
        text,
        path.get("pathType") == "Exact" and pattern is None,
        backend,
        _key(ingress),
        pattern,
        notes.get("rewrite-target", ""),
        notes.get("permanent-redirect", ""),
        forced or (secure and notes.get("ssl-redirect") != "false"),
        tuple(refused),
    )


def rewritten(route: Route, path: str, groups: list[tuple[int, int]]) -> str:
    """The path that the backend is asked for."""
    if not route.rewrite:
        return path
    made = route.rewrite
    for number in range(9, 0, -1):
        if f"${number}" in made:
            start, end = groups[number] if number < len(groups) else (-1, -1)
            made = made.replace(f"${number}", path[start:end] if start >= 0 else "")
    return made if made.startswith("/") else f"/{made}"
