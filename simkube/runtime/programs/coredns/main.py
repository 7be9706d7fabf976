"""``/coredns -conf FILE``: reads its Corefile, serves, reads it again when it changes, ends when it is told to.

A Corefile that cannot be understood ends it with exit code 1 when it starts; when it changes later, the old one stays
in force and the log says why. What it knows of the cluster it may only know with the rights of its service account.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Any

from simkube.clock.clock import Timer
from simkube.runtime import httptext
from simkube.runtime.cri import CLUSTER_DNS, NODE_DNS, HTTPRequest, HTTPResponse
from simkube.runtime.network.agents import ANYWHERE
from simkube.runtime.network.sockets import Socket
from simkube.runtime.nodes import FileError
from simkube.runtime.process import Process
from simkube.runtime.programs.cluster_access import denied
from simkube.runtime.programs.coredns.answer import NXDOMAIN, SERVFAIL, Answer
from simkube.runtime.programs.coredns.corefile import CorefileError
from simkube.runtime.programs.coredns.plugins import World
from simkube.runtime.programs.coredns.server import Configuration, Server
from simkube.runtime.programs.serving import listen, stop_request
from simkube.runtime.volume import MemoryVolume

PROGRAM = "coredns"
RELOAD_SECONDS = 30.0
LAMEDUCK_SECONDS = 5.0
RETRY_SECONDS = 30.0
"""How often it asks again whether it may read what it needs, while it may not."""
_NEEDS = (("discovery.k8s.io", "endpointslices"), ("", "services"), ("", "namespaces"))


async def coredns(process: Process) -> int:
    """Serve until told to stop; the exit code."""
    words = process.argv[1:]
    path = next((words[at + 1] for at, word in enumerate(words[:-1]) if word.lstrip("-") == "conf"), "Corefile")
    daemon = Daemon(process, process.resolve(path))
    try:
        daemon.start()
    except FileError as error:
        await process.err(f"listen tcp: {path}: {error.strerror}\n")
        return 1
    except CorefileError as error:
        await process.err(f"{error}\n")
        return 1
    problem = daemon.loop()
    if problem:
        await process.out(f"[FATAL] {problem}\n")
        return 1
    await stop_request(process)
    await process.out("[INFO] SIGTERM: Shutting down servers then terminating\n")
    if daemon.server.configuration.has("health"):
        await process.out(f"[INFO] plugin/health: Going into lameduck mode for {int(LAMEDUCK_SECONDS)}s\n")
        await process.sleep(LAMEDUCK_SECONDS)
    return 0


async def _over_tcp(socket: Socket) -> None:
    """A client that looks whether port 53 is open finds it so; questions over TCP are not answered."""
    await socket.read()


class Daemon:
    """One process of CoreDNS."""

    def __init__(self, process: Process, path: str) -> None:
        self._process, self._path = process, path
        self._sandbox = process.container.sandbox
        self._network = self._sandbox.network
        self._world = World(self._names, self._upstream, self._read)
        self._timer: Timer | None = None
        self._denied: tuple[str, ...] = ()
        self.server: Server

    def start(self) -> None:
        """Begin to serve; CorefileError, FileError."""
        text = self._read(self._path)
        configuration = Configuration(text, self._path, self._world)
        self._text = text
        self.server = Server(configuration, self._say, lambda: self._network.place_of(self._sandbox.ip))
        listen(self._process, 8080, self._health)
        listen(self._process, 8181, self._ready)
        listen(self._process, 9153, self._metrics)
        self._process.container.sandbox.ports.listen(self._process, 53, accept=_over_tcp)
        for zone in configuration.zones():
            self._say(zone)
        if configuration.has("reload"):
            self._say(f"[INFO] plugin/reload: Running configuration SHA512 = {configuration.digest}")
        self._say(f"CoreDNS-{self._version()}\nlinux/amd64, go1.25.5")
        self._look_at_rights()
        self._network.serve_names(self._sandbox.ip, self.server)
        leave = self._network.agents.join(PROGRAM, ANYWHERE)
        self._process.on_end += [lambda: self._network.serve_names(self._sandbox.ip, None), leave, self._forget]
        for mount in self._process.container.config.mounts:
            inside = self._path.startswith(f"{mount.path.rstrip('/')}/") or self._path == mount.path
            if inside and isinstance(mount.volume, MemoryVolume):
                self._process.on_end.append(mount.volume.follow(self._changed))

    def _version(self) -> str:
        return self._process.container.config.image.rpartition(":")[2].removeprefix("v")

    def _say(self, text: str) -> None:
        self._process.complain(text)

    def _read(self, path: str) -> str:
        return self._process.container.files.read(path).decode("utf-8", "replace")

    def _forget(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def loop(self) -> str:
        """What the plugin ``loop`` finds when it starts: a server that asks itself; "" for none."""
        own = {"127.0.0.1", self._sandbox.ip, self._network.dns_address}
        for block in self.server.configuration.blocks:
            forward = block.get("forward")
            if block.get("loop") and forward is not None and forward.arguments[0] == ".":
                asked = own & set(forward.arguments[1:])
                if asked:
                    here = f"{min(asked)}:53 -> :53"
                    return f'plugin/loop: Loop ({here}) detected for zone ".", see https://coredns.io/plugins/loop'
        return ""

    # -- the configuration -------------------------------------------------------------------------------------------

    def _changed(self) -> None:
        """Its files were written: look at them when it would next."""
        if self.server.configuration.has("reload") and self._timer is None:
            self._timer = self._process.container.clock.call_later(RELOAD_SECONDS, self._reload)

    def _reload(self) -> None:
        self._timer = None
        if self._process.exited.done:
            return
        try:
            text = self._read(self._path)
            if text == self._text:
                return
            self._say("[INFO] Reloading")
            configuration = Configuration(text, self._path, self._world)
        except (CorefileError, FileError) as error:
            self._say(f"[ERROR] Restart failed: {error}")
            self._say(f"[ERROR] plugin/reload: Corefile changed but reload failed: {error}")
            return
        self._text, self.server.configuration = text, configuration
        if configuration.has("reload"):
            self._say(f"[INFO] plugin/reload: Running configuration SHA512 = {configuration.digest}")
        self._say("[INFO] Reloading complete")

    # -- what it knows -----------------------------------------------------------------------------------------------

    def _look_at_rights(self) -> None:
        """What it may not read it does not know; while that is so, it asks again."""
        if not self.server.configuration.has("kubernetes"):
            return
        found = denied(self._process, PROGRAM, _NEEDS)
        for resource, why in found:
            kind = {"endpointslices": "EndpointSlice", "services": "Service"}.get(resource, "Namespace")
            self._say(f"[ERROR] plugin/kubernetes: Failed to watch: failed to list *v1.{kind}: {why}")
        self._denied = tuple(resource for resource, _ in found)
        if found:
            later = self._process.container.clock.call_later(RETRY_SECONDS, self._look_at_rights)
            self._process.on_end.append(later.cancel)

    def _names(self, name: str, kind: str) -> tuple[bool, Sequence[Any]] | None:
        cluster = self._network.resolver
        if cluster is None or self._denied:
            return None
        records = [each for each in cluster.records(name, kind) if each.type in (kind, "CNAME")]
        return bool(records or cluster.records(name, "A")), records

    def _upstream(self, address: str, name: str, kind: str) -> Answer:
        """Another server's answer: the node's knows no names but those of the internet, of which there are none."""
        if address.startswith("/"):
            servers = self._sandbox.config.dns_servers
            address = next(iter(servers), NODE_DNS)
        if address == CLUSTER_DNS:
            address = self._network.dns_address
        if address == NODE_DNS or ipaddress.ip_address(address).is_global:
            return Answer(NXDOMAIN)
        answer = self._network.asks(self._sandbox.ip, address, name, kind)
        if answer is None:
            return Answer(SERVFAIL, error=f"read udp {self._sandbox.ip}:41234->{address}:53: i/o timeout")
        return answer  # type: ignore[no-any-return]  # whatever serves names answers so

    # -- its other servers -------------------------------------------------------------------------------------------

    async def _health(self, request: HTTPRequest, peer: str) -> HTTPResponse:
        if not self.server.configuration.has("health"):
            return httptext.text(404, "404 page not found\n")
        return httptext.text(200 if request.path == "/health" else 404, "OK")

    async def _ready(self, request: HTTPRequest, peer: str) -> HTTPResponse:
        if request.path != "/ready" or not self.server.configuration.has("ready"):
            return httptext.text(404, "404 page not found\n")
        waits = self.server.configuration.has("kubernetes") and (self._denied or self._network.resolver is None)
        return httptext.text(503, "kubernetes") if waits else httptext.text(200, "OK")

    async def _metrics(self, request: HTTPRequest, peer: str) -> HTTPResponse:
        if request.path != "/metrics" or not self.server.configuration.has("prometheus"):
            return httptext.text(404, "404 page not found\n")
        lines = ["# TYPE coredns_build_info gauge", f'coredns_build_info{{version="{self._version()}"}} 1']
        lines += ["# TYPE coredns_dns_requests_total counter"]
        totals: dict[str, int] = {}
        for (kind, _), count in self.server.requests.items():
            totals[kind] = totals.get(kind, 0) + count
        labels = 'family="1",proto="udp",server="dns://:53"'
        lines += [f'coredns_dns_requests_total{{{labels},type="{kind}"}} {count}' for kind, count in totals.items()]
        lines += ["# TYPE coredns_dns_responses_total counter"]
        codes: dict[str, int] = {}
        for (_, code), count in self.server.requests.items():
            codes[code] = codes.get(code, 0) + count
        server = 'plugin="",server="dns://:53"'
        lines += [f'coredns_dns_responses_total{{{server},rcode="{code}"}} {count}' for code, count in codes.items()]
        return httptext.text(200, "\n".join(lines) + "\n")
