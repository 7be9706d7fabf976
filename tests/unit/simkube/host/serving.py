"""A host's HTTP side within a test: clusters behind the router, on loopback and without TLS."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import aiohttp
from aiohttp import web

from simkube.apiserver.http.encoding import Encodings
from simkube.apiserver.http.responses import HOST_BYTES
from simkube.etcd.journal import Journal
from simkube.host.protocol import Server
from simkube.host.routing import Router
from simkube.host.tenants import Tenants

TOPOLOGY: dict[str, Any] = {"kind": "Cluster", "nodes": [{"role": "control-plane"}]}
CLIENT = partial(aiohttp.ClientSession, auto_decompress=False, skip_auto_headers=["Accept-Encoding"])
Handler = Callable[[Any], Awaitable[web.StreamResponse]]
MAPS = "/api/v1/namespaces/default/configmaps"


class Serving:
    """``tenants`` and a client; requests name their cluster."""

    def __init__(self, tenants: Tenants, server: Server, url: str, client: aiohttp.ClientSession) -> None:
        self.tenants = tenants
        self.server = server
        self.url = url
        self.client = client

    def create(self, cluster: str) -> None:
        """A cluster without nodes that work."""
        self.tenants.create(cluster, TOPOLOGY, {})

    def ask(self, cluster: str, method: str, path: str, *, token: str | None = None, **more: Any) -> Any:
        """A request of the cluster's administrator, or with another token ("" for none)."""
        token = self.tenants.get(cluster).meta["tokens"]["admin"] if token is None else token
        headers = {**more.pop("headers", {}), **({"Authorization": f"Bearer {token}"} if token else {})}
        return self.client.request(method, f"{self.url}/clusters/{cluster}{path}", headers=headers, **more)


@asynccontextmanager
async def listening(
    handler: Callable[[Any], Awaitable[web.StreamResponse]], **more: Any
) -> AsyncIterator[tuple[Server, str]]:
    """The host's server with a handler of the test's; the server and its URL."""
    server = Server(handler, access_log=None, **more)
    runner = web.ServerRunner(server, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield server, f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def serving(kept: int = HOST_BYTES) -> AsyncIterator[Serving]:
    """A host with no clusters yet; ``kept`` is what large answers may keep in all."""
    tenants = Tenants(Journal(), Encodings(), address="127.0.0.1:1", ca="", answer_bytes=kept)
    router = Router(tenants, "host.log")
    async with listening(router.handle) as (server, url), CLIENT() as client:
        try:
            yield Serving(tenants, server, url, client)
        finally:
            tenants.stop()
