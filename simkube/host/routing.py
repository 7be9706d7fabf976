"""Which cluster a request is for, and who answers it: its API, its controls, nobody while its API server is stopped."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from aiohttp import web

from simkube.apimachinery.errors import StatusError
from simkube.apiserver.http.responses import refuse, text
from simkube.faults.outage import needs_etcd, unhealthy
from simkube.host import controls
from simkube.host.admin import Admin
from simkube.host.tenants import Tenants, UnknownCluster

log = logging.getLogger(__name__)

CLUSTERS = "/clusters/"
CONTROLS = "/simkube/"
HOST = "/host/"


class Router:
    """Answers ``/clusters/ID/...``, and ``/host/...`` where there is an ``admin`` for it.

    ``log_name`` is where a fault of ours is written to.
    """

    def __init__(self, tenants: Tenants, log_name: str, admin: Admin | None = None) -> None:
        self._tenants = tenants
        self._log_name = log_name
        self._admin = admin

    async def handle(self, http: Any) -> web.StreamResponse:
        """The answer to any request, whatever goes wrong."""
        path = http.path
        try:
            return await self.answer(http, path)
        except UnknownCluster as error:
            return refuse(StatusError(404, "NotFound", str(error)))
        except (ConnectionError, asyncio.CancelledError):
            raise
        except Exception:
            # The last line of defence: a mistake of ours is a 500 for one request, with the trace in the log only.
            log.exception("%s %r failed", http.method, path)
            return self._failed()

    def _failed(self) -> web.Response:
        message = f"Internal error occurred: this is a fault of the simulator; see {self._log_name}"
        return refuse(StatusError(500, "InternalError", message))

    async def answer(self, http: Any, path: str) -> web.StreamResponse:
        """The answer to a request for ``path``; UnknownCluster."""
        if self._admin is not None and path.startswith(HOST):
            return await self._admin.handle(http)
        if path.startswith(CLUSTERS):
            cluster, _, rest = path.removeprefix(CLUSTERS).partition("/")
            return await self.cluster(http, cluster, "/" + rest)
        # Older kubectl drops the path of the server's URL (get --raw): the token says which cluster is meant.
        meant = self._tenants.of_token(http.headers.get("Authorization", "").removeprefix("Bearer "))
        if meant is not None:
            return await self.cluster(http, meant, path)
        return text("404 page not found\n", 404)

    async def cluster(self, http: Any, cluster: str, path: str) -> web.StreamResponse:
        """The answer of one cluster to a request for ``path`` in it."""
        tenant = self._tenants.get(cluster)
        account = tenant.frontend.share.stranger(http.remote or "")  # until it is known whose the request is
        if path.startswith(CONTROLS):
            return await account.metered(controls.serve(tenant, http, path.removeprefix(CONTROLS)))
        trouble = tenant.cluster.trouble
        if trouble is not None:
            if not tenant.cluster.reachable:
                if http.transport is not None:
                    http.transport.abort()
                return refuse(trouble)
            unwell = unhealthy(path)
            if unwell is not None:
                return text(unwell, 500)
            if needs_etcd(path):
                return refuse(trouble)
        tenant.cluster.visit(path)
        try:
            return await account.metered(tenant.frontend.handle(http, path))
        except (ConnectionError, asyncio.CancelledError):
            raise
        except Exception as error:  # noqa: BLE001 - the cluster tells of it itself
            tenant.cluster.clock.crashes.handle("kube-apiserver", f"answering {http.method} {path}", error)
            return self._failed()
