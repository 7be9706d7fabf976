"""The thread that runs the clusters of a test session, and serves them over HTTPS on a port of loopback.

Everything is in memory: nothing is left when it closes. All that touches a cluster runs in its thread, because a
cluster knows no other; :meth:`Server.run` is the way there.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Coroutine, Mapping
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from aiohttp import web

from simkube.apiserver.http.encoding import Encodings
from simkube.clock.pace import Beginning
from simkube.etcd.journal import Journal
from simkube.host import certificates
from simkube.host.protocol import Server as Protocol
from simkube.host.routing import CLUSTERS, Router
from simkube.host.tenants import Tenants, UnknownCluster
from simkube.testing.cluster import Cluster, settle

T = TypeVar("T")

WALL_SECONDS = 60.0
"""The longest that one call into the thread may take."""
_WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})


class Server:
    """See the module. Close it, or use it in a ``with`` statement; its clusters end with it."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="simkube-testing-"))
        self._certificates = certificates.load(self._folder)
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=512)
        self._loop = asyncio.new_event_loop()
        self._made = 0
        address = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self.url, self.ca = f"https://{address}", self._certificates.ca
        self._journal = Journal()
        self.tenants = Tenants(
            self._journal, Encodings(), address=address, ca=self.ca, signer=self._certificates.signer
        )
        self._router = Router(self.tenants, "the log of these tests")
        self._thread = threading.Thread(target=self._serve, name="simkube", daemon=True)
        self._thread.start()
        self._runner: web.ServerRunner = self.run(self._listen())

    def __enter__(self) -> Server:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def cluster(
        self,
        nodes: int = 1,
        *,
        topology: Mapping[str, Any] | None = None,
        start: datetime | None = None,
        images: str = "stand-ins",
    ) -> Cluster:
        """A new cluster whose time stands still.

        ``nodes``: a control plane, which takes pods when it is alone, and workers; or ``topology``, a parsed kind
        configuration. ``start``: what time it is in it, now when None. ``images``: ``strict`` to have images that are
        not simulated fail to be pulled, as those of a registry that has none; else they run as stand-ins.
        """
        self._made += 1
        name = f"test-{self._made}"
        at = time.time() if start is None else start.timestamp()
        shape = topology or {"nodes": [{"role": "worker" if number else "control-plane"} for number in range(nodes)]}

        async def make() -> None:
            beginning = Beginning(at, paused=True)
            stand_ins = images != "strict"
            await settle(self.tenants.create(name, shape, {}, stand_ins=stand_ins, clock=beginning))

        self.run(make())
        return Cluster(self, name)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of a coroutine run in the thread of the clusters; not to be called from there."""
        if threading.current_thread() is self._thread:
            work.close()
            raise RuntimeError("this runs in the clusters' own thread already: use what the call was given")
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(WALL_SECONDS)

    def close(self) -> None:
        """End every cluster and the thread; a no-op when that is done."""
        if not self._loop.is_closed():
            self.run(self._end())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(WALL_SECONDS)
            self._loop.close()
            self._journal.close()
            shutil.rmtree(self._folder, ignore_errors=True)

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    async def _listen(self) -> web.ServerRunner:
        runner = web.ServerRunner(Protocol(self._handle, access_log=None), shutdown_timeout=1.0)
        await runner.setup()
        await web.SockSite(runner, self._socket, ssl_context=self._certificates.context).start()
        return runner

    async def _end(self) -> None:
        self.tenants.stop()
        await self._runner.cleanup()

    async def _handle(self, http: Any) -> web.StreamResponse:
        """As a host answers; what a write sets going at this moment of cluster time has happened before its answer."""
        response = await self._router.handle(http)
        cluster = http.path.removeprefix(CLUSTERS).partition("/")[0]
        if http.method in _WRITES and response.status < 300:
            with contextlib.suppress(UnknownCluster):  # it was removed meanwhile, or this was no request to one
                await settle(self.tenants.get(cluster))
        return response
