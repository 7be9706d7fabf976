"""``pods/[SCHEME:]NAME[:PORT]/proxy/PATH``, and the same for services: a request to a program in the cluster.

All methods and bodies, over HTTPS too (no certificate is looked at, as by the API server's proxy); answers are read
whole (a program here never streams). Upgrades are refused. Failures are worded as the API server's proxy words them,
and every request is bounded in time.
"""

from __future__ import annotations

import random
from urllib.parse import urlsplit

from aiohttp import web

from simkube.apimachinery.errors import StatusError, bad_request, not_simulated
from simkube.apiserver.streams.bridge import run
from simkube.apiserver.streams.limits import BODY, slot
from simkube.apiserver.streams.target import ADMIN, NODE_PORT, StreamCluster, find_pod, kubelet_at, unavailable
from simkube.client.client import Obj
from simkube.runtime.cri import HTTPRequest, HTTPResponse, NetworkError

SECONDS = 30.0
"""Wall-clock seconds until the program must have answered (the API server's transport gives up dialing after 30)."""
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_HOP = {
    "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer", "transfer-encoding",
    "upgrade", "authorization", "cookie", "host", "content-length",
}  # fmt: skip
_BACK = _HOP - {"authorization", "cookie", "host"} | {"date", "server", "set-cookie"}


def parse_name(given: str) -> tuple[str, str, str]:
    """``[SCHEME:]NAME[:PORT]`` as (scheme, name, port); StatusError 400 otherwise (``utilnet.SplitSchemeNamePort``)."""
    parts = given.split(":")
    scheme, name, port = "", "", ""
    if len(parts) == 1:
        name = parts[0]
    elif len(parts) == 2:
        name, port = parts
    elif len(parts) == 3:
        scheme, name, port = parts
    if not name or scheme not in ("", "http", "https"):
        raise bad_request(f'invalid service request "{given}"')
    return scheme, name, port


async def proxy_pod(
    cluster: StreamCluster, request: web.Request, namespace: str, given: str, rest: str
) -> web.Response:
    """Pass the request on to a port of the pod, by default its first one."""
    scheme, name, port_name = parse_name(given)
    pod = find_pod(cluster, namespace, name)
    port = int(port_name) if _is_number(port_name) else _pod_port(pod, port_name)
    address = (pod.get("status") or {}).get("podIP")
    if not address:
        raise bad_request("address not allowed")
    return await _pass_on(cluster, request, scheme, address, port, rest)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 5


def _pod_port(pod: Obj, wanted: str) -> int:
    for container in pod["spec"]["containers"]:
        for port in container.get("ports") or []:
            if not wanted or port.get("name") == wanted:
                return int(port["containerPort"])
    if wanted:
        raise bad_request(f'invalid port name "{wanted}" for pod "{pod["metadata"]["name"]}"')
    return 80


def proxy_node(cluster: StreamCluster, request: web.Request, given: str, rest: str) -> web.Response:
    """A page of the kubelet of a node; its port may be named, no other is open."""
    scheme, name, port = parse_name(given)
    cluster.apiserver.get(ADMIN, "nodes", name)
    kubelet = kubelet_at(cluster, name, f"/{rest}")
    where = f"{kubelet.settings.ip}:{port or NODE_PORT}"
    if port not in ("", str(NODE_PORT)):
        raise unavailable(f"error trying to reach service: dial tcp {where}: connect: connection refused")
    if scheme == "http" and port:
        return web.Response(status=400, text="Client sent an HTTP request to an HTTPS server.\n")
    if request.method not in ("GET", "HEAD"):
        return web.Response(status=405, text="405: Method Not Allowed")
    return _answer(request, kubelet.page(rest))


async def proxy_service(
    cluster: StreamCluster, request: web.Request, namespace: str, given: str, rest: str
) -> web.Response:
    """Pass the request on to a ready endpoint of the service."""
    scheme, name, port_name = parse_name(given)
    service = cluster.apiserver.get(ADMIN, "services", name, namespace)
    address, port = _endpoint(cluster, service, port_name)
    return await _pass_on(cluster, request, scheme, address, port, rest)


def _endpoint(cluster: StreamCluster, service: Obj, port_name: str) -> tuple[str, int]:
    name, namespace = service["metadata"]["name"], service["metadata"]["namespace"]
    if _is_number(port_name):
        found = [port for port in service["spec"].get("ports") or [] if port["port"] == int(port_name)]
        if not found:
            raise unavailable(f'no service port {port_name} found for service "{name}"')
        port_name = str(found[0].get("name") or "")
    none = unavailable(f'no endpoints available for service "{name}"')
    try:
        endpoints = cluster.apiserver.get(ADMIN, "endpoints", name, namespace)
    except StatusError as error:
        raise none from error
    choices = [
        (address["ip"], int(port["port"]))
        for subset in endpoints.get("subsets") or []
        for port in subset.get("ports") or []
        if (port.get("name") or "") == port_name
        for address in subset.get("addresses") or []
    ]
    if not choices:
        raise none
    return random.choice(choices)  # noqa: S311 - load balancing, not secrets


async def _pass_on(
    cluster: StreamCluster, request: web.Request, scheme: str, address: str, port: int, rest: str
) -> web.Response:
    if "Upgrade" in request.headers:
        raise not_simulated("proxying an upgraded connection")
    if request.method not in METHODS:
        raise bad_request(f"the method {request.method} cannot be proxied")
    with slot(cluster, "proxy"):
        body = await request.content.read(BODY + 1) if request.can_read_body else b""
        while request.can_read_body and len(body) <= BODY and not request.content.at_eof():
            body += await request.content.read(BODY + 1 - len(body))
        if len(body) > BODY:
            raise StatusError(413, "RequestEntityTooLarge", f"Request entity too large: limit is {BODY}")
        passed = HTTPRequest(request.method, _path(request, rest), _headers(request, address, port), body)
        try:
            network, secure = cluster.network, scheme == "https"
            asking = network.request(network.control_plane, address, port, passed, secure=secure)
            answer = await run(asking, cluster.clock, SECONDS)
        except NetworkError as error:
            raise unavailable(f"error trying to reach service: {error.in_go(address, port)}") from error
        except TimeoutError as error:
            raise unavailable(f"error trying to reach service: dial tcp {address}:{port}: i/o timeout") from error
    return _answer(request, answer)


def _path(request: web.Request, rest: str) -> str:
    query = urlsplit(request.raw_path).query
    path = "/" + rest.lstrip("/")
    return f"{path}?{query}" if query else path


def _headers(request: web.Request, address: str, port: int) -> dict[str, str]:
    headers = {name.lower(): value for name, value in request.headers.items() if name.lower() not in _HOP}
    headers["host"] = f"{address}:{port}"
    headers["x-forwarded-for"] = request.remote or "127.0.0.1"
    headers["x-forwarded-uri"] = request.path
    return headers


def _answer(request: web.Request, answer: HTTPResponse) -> web.Response:
    headers = {
        name: value
        for name, value in answer.headers.items()
        if name.lower() not in _BACK and value.isprintable() and name.isprintable()
    }
    location = headers.get("location")
    if location is not None and location.startswith("/"):
        base = request.path.partition("/proxy")[0] + "/proxy"
        headers["location"] = base + location
    body = b"" if request.method == "HEAD" else answer.body
    return web.Response(status=answer.status, headers=headers, body=body)
