"""What the API server says about itself: versions, health, discovery, OpenAPI.

It refuses to decide who may read it; that is settled before.
"""

from __future__ import annotations

from collections.abc import Sequence

from aiohttp import web

from simkube.apimachinery.errors import StatusError
from simkube.apiserver.discovery import discovery
from simkube.apiserver.http.responses import document, pretty, text
from simkube.apiserver.openapi import documents as openapi
from simkube.apiserver.registry.resources import Resource
from simkube.apiserver.registry.served import BUILT_IN, Registry

_HEALTH = frozenset({"/healthz", "/livez", "/readyz"})
_CHECKS = frozenset({"ping", "log", "etcd", "informer-sync", "shutdown"})


def answer(http: web.Request, path: str, address: str, kinds: Registry = BUILT_IN) -> web.Response | None:
    """The document at ``path``, or None when it is none of these; ``kinds`` are those of the cluster."""
    if http.method != "GET":
        return None
    path = path.rstrip("/") or "/"
    if path in _HEALTH:
        return _health(http, path)
    if path.startswith(tuple(f"{each}/" for each in _HEALTH)):
        return text("ok") if path.rpartition("/")[2] in _CHECKS else text("404 page not found\n", 404)
    if path == "/version":
        return document(discovery.version(), indented=True)
    if path == "/":
        return document(discovery.paths(kinds.extra), indented=True)
    if path.startswith("/openapi/"):
        return _openapi(http, path, [one for one in kinds.extra if one.custom is not None])
    return _discovery(http, path, address, kinds)


def _health(http: web.Request, path: str) -> web.Response:
    if "verbose" not in http.query:
        return text("ok")
    lines = [f"[+]{check} ok" for check in sorted(_CHECKS)]
    return text("\n".join([*lines, f"{path[1:]} check passed", ""]))


def _discovery(http: web.Request, path: str, address: str, kinds: Registry) -> web.Response | None:
    parts = path[1:].split("/")
    if parts[0] not in ("api", "apis") or len(parts) > 3:
        return None
    extra, elsewhere = kinds.extra, kinds.elsewhere
    aggregated = discovery.wants_aggregated(http.headers.get("Accept", ""))
    if parts == ["api"]:
        if aggregated:
            return document(discovery.aggregated(core=True), discovery.AGGREGATED)
        return document(discovery.legacy_versions(address), indented=pretty(http))
    if parts == ["apis"]:
        if aggregated:
            return document(discovery.aggregated(core=False, extra=extra, elsewhere=elsewhere), discovery.AGGREGATED)
        return document(discovery.groups(extra, elsewhere), indented=pretty(http))
    found = None
    if parts[0] == "api" and len(parts) == 2:
        found = discovery.resources("", parts[1])
    elif parts[0] == "apis" and len(parts) == 2:
        found = discovery.group(parts[1], extra, elsewhere)
        if found is None:
            return text("404 page not found\n", 404)
    elif parts[0] == "apis" and len(parts) == 3:
        found = discovery.resources(parts[1], parts[2], extra)
    else:
        return None
    if found is None:
        raise StatusError(404, "NotFound", "the server could not find the requested resource", {})
    return document(found, indented=pretty(http))


def _openapi(http: web.Request, path: str, extra: Sequence[Resource]) -> web.Response:
    if path == "/openapi/v2":
        if openapi.wants_protobuf(http.headers.get("Accept", "")):
            return document(openapi.v2_protobuf(extra), openapi.V2_PROTOBUF)
        return document(openapi.v2(extra))
    if path == "/openapi/v3":
        return document(openapi.v3_index(extra), "text/plain; charset=utf-8")
    found = openapi.v3(path.removeprefix("/openapi/v3/"), extra)
    return text("404 page not found\n", 404) if found is None else document(found)
