"""What probes and lifecycle hooks do: run a command, ask over HTTP or gRPC, open a connection, sleep.

Outcomes are worded as the real kubelet's probers word them (``pkg/probe``): the text ends up in Unhealthy events.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import urljoin, urlsplit

from simkube.client.client import Obj
from simkube.clock.clock import Clock, Future, TimedOut, within
from simkube.runtime.cri import (
    Container,
    HTTPRequest,
    HTTPResponse,
    NetworkError,
    Sandbox,
    StartError,
)
from simkube.runtime.network.ports import PortTable

SIGKILL = 9
NOT_FOUND = 127
"""How a command ends that is not in the image."""
OUTPUT_BYTES = 10 * 1024
"""How much of a probe command's output is kept."""
REDIRECTS = 10


class NodePlace(Protocol):
    """Where a node is on the network."""

    address: str
    pod_cidr: str
    ports: PortTable


class Network(Protocol):
    """What the kubelet needs of the cluster's network: its own place, and requests to hosts other than its pods."""

    def node(self, name: str) -> NodePlace: ...

    async def request(
        self, source: str, host: str, port: int, request: HTTPRequest, *, secure: bool = False
    ) -> HTTPResponse: ...


class ActionError(Exception):
    """An action that could not be tried: a named port that is not there."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an action went. ``ok`` None: it could not be tried, which a probe counts neither way."""

    ok: bool | None
    text: str = ""


@dataclass(frozen=True, slots=True)
class Target:
    """What an action is run against: one container of one pod."""

    clock: Clock
    network: Network
    node_ip: str
    sandbox: Sandbox
    container: Container
    spec: Obj
    facts: Mapping[str, str] = field(default_factory=dict)


def port_of(port: int | str, container: Obj) -> int:
    """A port number, looked up among the container's ports when it is a name."""
    if isinstance(port, int):
        return port
    for one in container.get("ports") or []:
        if one.get("name") == port:
            return int(one["containerPort"])
    if port.isdigit():
        return int(port)
    raise ActionError(
        f"couldn't find port {port!r} among the ports of container {container['name']!r}".replace("'", '"')
    )


async def act(action: Obj, target: Target, timeout: float) -> Outcome:
    """Do what a probe or a hook says, for at most ``timeout`` cluster seconds."""
    try:
        if action.get("exec") is not None:
            return await _exec(list(action["exec"].get("command") or []), target, timeout)
        if action.get("httpGet") is not None:
            return await _http(action["httpGet"], target, timeout)
        if action.get("tcpSocket") is not None:
            return await _tcp(action["tcpSocket"], target, timeout)
        if action.get("grpc") is not None:
            return await _grpc(action["grpc"], target, timeout)
        if action.get("sleep") is not None:
            await target.clock.sleep(float(action["sleep"]["seconds"]))
            return Outcome(True)
    except ActionError as error:
        return Outcome(None, str(error))
    return Outcome(None, "no handler that is simulated here")


async def _exec(argv: list[str], target: Target, timeout: float) -> Outcome:
    output = bytearray()

    def collect(_stream: str, data: bytes) -> None:
        output.extend(data[: OUTPUT_BYTES - len(output)])

    try:
        process = target.container.exec(argv, collect)
    except StartError as error:
        if target.container.image.stand_in and error.exit_code == NOT_FOUND:
            return Outcome(True, "a stand-in does not have this command; it is taken to succeed")
        return Outcome(
            None,
            "rpc error: code = Unknown desc = failed to exec in container: "
            f'failed to start exec "{target.container.id}": {error}',
        )
    process.stdin.close()

    async def exit_code() -> int:
        return await process.exited

    try:
        code = await within(target.clock, timeout, exit_code())
    except TimedOut:
        process.signal(SIGKILL)
        return Outcome(False, f'command timed out: "{" ".join(argv)}" timed out after {timeout:g}s')
    finally:
        if not process.exited.done:
            process.signal(SIGKILL)
    if target.container.image.stand_in and code == NOT_FOUND:
        code = 0  # a shell that does not find it
    return Outcome(code == 0, output.decode("utf-8", "replace"))


async def _tcp(action: dict[str, Any], target: Target, timeout: float) -> Outcome:
    port = port_of(action["port"], target.spec)
    host = action.get("host") or target.sandbox.ip
    if host != target.sandbox.ip:
        raise ActionError(f"a TCP probe of another host ({host}) is not simulated here")
    try:
        await within(target.clock, timeout, target.sandbox.connect(port))
    except NetworkError as error:
        return Outcome(False, error.in_go(host, port))
    except TimedOut:
        return Outcome(False, f"dial tcp {host}:{port}: i/o timeout")
    return Outcome(True)


async def _grpc(action: dict[str, Any], target: Target, timeout: float) -> Outcome:
    """Who does not listen, or does not speak gRPC, is tried until the time is over (``pkg/probe/grpc``)."""
    port, service = int(action["port"]), str(action.get("service") or "")

    async def check() -> str | None:
        try:
            return await target.sandbox.grpc_health(port, service)
        except NetworkError:
            await Future[None]()
            raise

    try:
        status = await within(target.clock, timeout, check())
    except TimedOut:
        where, why = f"{target.sandbox.ip}:{port}", "context deadline exceeded"
        return Outcome(False, f'timeout: failed to connect service "{where}" within {timeout:g}s: {why}')
    if status is None:
        why = "rpc error: code = NotFound desc = unknown service"
        return Outcome(False, f"error: health rpc probe failed: {why}")
    if status != "SERVING":
        return Outcome(False, f'service unhealthy (responded with "{status}")')
    return Outcome(True, "service healthy")


async def _http(action: dict[str, Any], target: Target, timeout: float) -> Outcome:
    port = port_of(action["port"], target.spec)
    host = str(action.get("host") or target.sandbox.ip)
    scheme = str(action.get("scheme") or "HTTP").lower()
    path = str(action.get("path") or "/")
    path = path if path.startswith("/") else f"/{path}"
    url = f"{scheme}://{host}:{port}{path}"
    headers = {"user-agent": "kube-probe/1.36", "accept": "*/*", "host": f"{host}:{port}", "connection": "close"}
    headers.update({str(one["name"]).lower(): str(one.get("value", "")) for one in action.get("httpHeaders") or []})
    try:
        return await within(target.clock, timeout, _get(target, scheme, host, port, path, headers))
    except NetworkError as error:
        return Outcome(False, f'Get "{url}": {error.in_go(host, port)}')
    except TimedOut:
        return Outcome(
            False, f'Get "{url}": context deadline exceeded (Client.Timeout exceeded while awaiting headers)'
        )


async def _get(target: Target, scheme: str, host: str, port: int, path: str, headers: dict[str, str]) -> Outcome:
    """A request and those it is redirected to; no certificate is looked at."""
    for _ in range(REDIRECTS):
        request, secure = HTTPRequest("GET", path, headers), scheme == "https"
        if host == target.sandbox.ip:
            response = await target.sandbox.http(port, request, secure=secure)
        else:
            response = await target.network.request(target.node_ip, host, port, request, secure=secure)
        if not 300 <= response.status < 400 or "location" not in response.headers:
            break
        where = urlsplit(urljoin(f"{scheme}://{host}:{port}{path}", response.headers["location"]))
        if where.hostname != host:
            return Outcome(
                True, f"Probe terminated redirects, Response body: {response.body[:200].decode('utf-8', 'replace')}"
            )
        scheme = where.scheme
        port = where.port or (443 if scheme == "https" else 80)
        path = (where.path or "/") + (f"?{where.query}" if where.query else "")
    else:
        return Outcome(False, f"stopped after {REDIRECTS} redirects")
    if 200 <= response.status < 400:
        return Outcome(True, response.body[:OUTPUT_BYTES].decode("utf-8", "replace"))
    return Outcome(False, f"HTTP probe failed with statuscode: {response.status}")
