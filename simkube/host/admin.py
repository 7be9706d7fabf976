"""The host's own API, below ``/host``: for whoever provides clusters, never for who works in one.

JSON in, JSON out; an error is ``{"error": sentence}``. Its token is in ``host.json``.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import web

from simkube.apimachinery.errors import HostError, SimkubeError, StatusError
from simkube.apiserver.http.proof import prove
from simkube.apiserver.http.reading import read_body
from simkube.host import controls
from simkube.host.tenants import ADMIN, Tenant, Tenants, UnknownCluster


class Admin:
    """Answers ``/host/...``; ``stop`` ends the process in good order."""

    def __init__(
        self, tenants: Tenants, token: str, about: Callable[[], dict[str, Any]], stop: Callable[[], None]
    ) -> None:
        self._tenants = tenants
        self._token = token
        self._about = about
        self._stop = stop

    async def handle(self, http: web.Request, path: str) -> web.Response:
        """Answer a request for ``path`` (without ``/host``)."""
        given = http.headers.get("Authorization", "").removeprefix("Bearer ")
        if not hmac.compare_digest(given.encode(), self._token.encode()):
            return _error(401, "this needs the token in host.json")
        try:
            prove(http, "/host")
            raw = await read_body(http)
            body = json.loads(raw) if raw else {}
            if not isinstance(body, dict):
                return _error(400, "a request's body is a JSON object")
            match path.strip("/").split("/"):
                case ["clusters", cluster, ("clock" | "components" | "trace") as what]:
                    tenant = self._tenants.get(cluster)
                    return web.json_response(await controls.answer(tenant, http.method, what, http.query, body))
                case ["clusters", cluster, "audit"] if http.method == "GET":
                    return web.json_response(_audit(self._tenants.get(cluster), http.query))
                case parts:
                    return web.json_response(self._answer(http.method, parts, body))
        except UnknownCluster as error:
            return _error(404, str(error))
        except controls.Pinned as error:
            return _error(409, str(error))
        except HostError as error:
            return _error(400, str(error))
        except (ValueError, KeyError, TypeError) as error:
            return _error(400, f"this request cannot be understood: {error!r}")
        except StatusError as error:
            return _error(error.code, str(error))
        except SimkubeError as error:
            return _error(500, str(error))

    def _answer(self, method: str, parts: list[str], body: dict[str, Any]) -> Any:
        match (method, parts):
            case ("GET", ["healthz"]):
                return self._about()
            case ("POST", ["stop"]):
                self._stop()
                return {}
            case ("GET", ["clusters"]):
                return {"clusters": self._tenants.ids()}
            case ("POST", ["clusters"]):
                return _shown(self._create(body))
            case ("GET", ["clusters", cluster]):
                return _shown(self._tenants.get(cluster))
            case ("DELETE", ["clusters", cluster]):
                self._tenants.delete(cluster)
                return {}
            case ("POST", ["clusters", cluster, "snapshot"]):
                self._tenants.snapshot(cluster)
                return {}
            case ("POST", ["clusters", cluster, "restore"]):
                self._tenants.restore(cluster)
                return {}
            case ("POST", ["clusters", cluster, "faults"]):
                self._tenants.fault(cluster, body["fault"], body["target"])
                return {}
            case ("POST", ["clusters", cluster, "pin"]):
                self._tenants.get(cluster).pin(float(body["seconds"]), str(body.get("why") or ""))
                return {}
            case ("POST", ["clusters", cluster, "heal"]):
                self._tenants.heal(cluster)
                return {}
        raise HostError(f"there is no {method} /host/{'/'.join(parts)}")

    def _create(self, body: dict[str, Any]) -> Tenant:
        topology, labels, images = body.get("topology") or {}, body.get("labels") or {}, body.get("images", "strict")
        if images not in ("strict", "stand-ins"):
            raise HostError(f"images is strict or stand-ins, not {images!r}")
        users = {str(who): str(user) for who, user in (body.get("users") or ADMIN).items()}
        return self._tenants.create(body["id"], topology, labels, users=users, stand_ins=images == "stand-ins")


def _audit(tenant: Tenant, query: Mapping[str, str]) -> dict[str, Any]:
    """Requests to the cluster's API server: ``after=NUMBER``, ``most=N``, ``components=1`` for their writes too."""
    after, most = int(query.get("after", "0")), int(query.get("most", "500"))
    events = tenant.cluster.apiserver.audit.events(after, most, components=query.get("components") == "1")
    return {"events": events, "last": events[-1]["number"] if events else after}


def _shown(tenant: Tenant) -> dict[str, Any]:
    cluster = tenant.cluster
    return {
        "id": cluster.id,
        "run": tenant.run,
        "labels": tenant.meta["labels"],
        "tokens": tenant.meta["tokens"],
        "components": cluster.components(),
        "nodes": list(cluster.kubelets),
        "path": f"/clusters/{cluster.id}",
    }


def _error(status: int, sentence: str) -> web.Response:
    return web.json_response({"error": sentence}, status=status)
