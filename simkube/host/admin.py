"""The host's own API, below ``/host``: for whoever provides clusters, never for who works in one.

JSON in, JSON out; an error is ``{"error": sentence}``. Its token is in ``host.json``.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from aiohttp import web

from simkube.apimachinery.errors import HostError, SimkubeError, StatusError
from simkube.apiserver.http.proof import prove
from simkube.apiserver.http.reading import read_body
from simkube.host import controls
from simkube.host.tenants import ADMIN, Tenant, Tenants, UnknownCluster

if TYPE_CHECKING:
    from simkube.host.fork import Forks

Answer = Callable[[web.Request, list[str], dict[str, Any]], Awaitable[web.Response]]
"""Answers a request for a path below ``/host``, in its parts, with that body."""


async def guarded(http: web.Request, token: str, answer: Answer) -> web.Response:
    """The answer to a request of whoever has the token."""
    given = http.headers.get("Authorization", "").removeprefix("Bearer ")
    if not hmac.compare_digest(given.encode(), token.encode()):
        return error(401, "this needs the token in host.json")
    try:
        prove(http, "/host")
        raw = await read_body(http)
        body = json.loads(raw) if raw else {}
        if not isinstance(body, dict):
            return error(400, "a request's body is a JSON object")
        return await answer(http, http.path.removeprefix("/host").strip("/").split("/"), body)
    except UnknownCluster as unknown:
        return error(404, str(unknown))
    except controls.Pinned as pinned:
        return error(409, str(pinned))
    except HostError as refused:
        return error(400, str(refused))
    except (ValueError, KeyError, TypeError) as strange:
        return error(400, f"this request cannot be understood: {strange!r}")
    except StatusError as refused:
        return error(refused.code, str(refused))
    except SimkubeError as failed:
        return error(500, str(failed))


class Admin:
    """Answers ``/host/clusters/ID...`` for the clusters of one worker, whose ``number`` is told when one is made.

    ``forks`` makes copies of them; None where that is not possible.
    """

    def __init__(self, tenants: Tenants, token: str, number: int = 0, forks: Forks | None = None) -> None:
        self._tenants = tenants
        self._forks = forks
        self._token = token
        self._number = number

    async def handle(self, http: web.Request) -> web.Response:
        """Answer a request."""
        return await guarded(http, self._token, self._answer)

    async def _answer(self, http: web.Request, parts: list[str], body: dict[str, Any]) -> web.Response:
        match parts:
            case ["clusters", cluster, ("clock" | "components" | "trace") as what]:
                tenant = self._tenants.get(cluster)
                return web.json_response(await controls.answer(tenant, http.method, what, http.query, body))
            case ["clusters", cluster, "audit"] if http.method == "GET":
                return web.json_response(_audit(self._tenants.get(cluster), http.query))
            case ["clusters", cluster, "fork"] if http.method == "POST" and self._forks is not None:
                tenant = self._tenants.get(cluster)
                return web.json_response((await self._forks.make(tenant, float(body["seconds"]))).encode())
            case ["clusters", cluster]:
                return web.json_response(self._whole(http, cluster, body))
            case ["clusters", cluster, what] if http.method == "POST":
                self._change(cluster, what, body)
                return web.json_response({})
        raise HostError(f"there is no {http.method} /host/{'/'.join(parts)}")

    def _whole(self, http: web.Request, cluster: str, body: dict[str, Any]) -> dict[str, Any]:
        match http.method:
            case "PUT":
                made = self._create(cluster, http.query.get("owner", ""), body)
                tokens = self._tenants.tokens(cluster)
                _tell(http, {"made": cluster, "worker": self._number, "tokens": tokens})
                return _shown(cluster, made)
            case "GET":
                return _shown(cluster, self._tenants.get(cluster))
            case "DELETE":
                self._tenants.delete(cluster)
                _tell(http, {"removed": cluster})
                return {}
        raise HostError(f"there is no {http.method} /host/clusters/{cluster}")

    def _change(self, cluster: str, what: str, body: dict[str, Any]) -> None:
        match what:
            case "snapshot":
                self._tenants.snapshot(cluster)
            case "restore":
                self._tenants.restore(cluster)
            case "faults":
                self._tenants.fault(cluster, body["fault"], body["target"])
            case "pin":
                self._tenants.get(cluster).pin(float(body["seconds"]), str(body.get("why") or ""))
            case "heal":
                self._tenants.heal(cluster)
            case _:
                raise HostError(f"there is no POST /host/clusters/{cluster}/{what}")

    def _create(self, cluster: str, owner: str, body: dict[str, Any]) -> Tenant:
        topology, labels, images = body.get("topology") or {}, body.get("labels") or {}, body.get("images", "strict")
        if images not in ("strict", "stand-ins"):
            raise HostError(f"images is strict or stand-ins, not {images!r}")
        users = {str(who): str(user) for who, user in (body.get("users") or ADMIN).items()}
        return self._tenants.create(
            cluster, topology, labels, users=users, stand_ins=images == "stand-ins", owner=owner
        )


def _audit(tenant: Tenant, query: Mapping[str, str]) -> dict[str, Any]:
    """Requests to the cluster's API server: ``after=NUMBER``, ``most=N``, ``components=1`` for their writes too."""
    after, most = int(query.get("after", "0")), int(query.get("most", "500"))
    events = tenant.cluster.apiserver.audit.events(after, most, components=query.get("components") == "1")
    return {"events": events, "last": events[-1]["number"] if events else after}


def _shown(known_as: str, tenant: Tenant) -> dict[str, Any]:
    cluster = tenant.cluster
    return {
        "id": known_as,
        "run": tenant.run,
        "labels": tenant.meta["labels"],
        "tokens": tenant.meta["tokens"],
        "components": cluster.components(),
        "nodes": list(cluster.kubelets),
        "path": f"/clusters/{known_as}",
    }


def _tell(http: web.Request, note: dict[str, Any]) -> None:
    """Tell control, which hears it before whoever asked has the answer."""
    tell = getattr(http.protocol, "tell", None)
    if tell is not None:
        tell(note)


def error(status: int, sentence: str) -> web.Response:
    """An answer that says why not."""
    return web.json_response({"error": sentence}, status=status)
