"""The subresources that are not objects: log, exec, attach, ports and proxy of pods, proxy of services.

In a real cluster the API server connects these to the kubelet of the pod's node, or to the pod itself; here it asks the
kubelet's runtime and the pod network directly, with the same answers. exec and attach speak the WebSocket protocols
``v5.channel.k8s.io`` and ``v4.channel.k8s.io`` (kubectl since 1.31, the Python client) and SPDY (kubectl before that),
port forwarding what ``forwarding.py`` says. Everything is bounded per cluster, see ``limits.py``.
"""

from __future__ import annotations

from aiohttp import web

from simkube.apimachinery.errors import not_simulated
from simkube.apiserver.streams.bridge import settled
from simkube.apiserver.streams.exec import attach, execute
from simkube.apiserver.streams.forwarding import forward
from simkube.apiserver.streams.log import serve_log
from simkube.apiserver.streams.proxy import proxy_node, proxy_pod, proxy_service
from simkube.apiserver.streams.target import StreamCluster
from simkube.client.client import Caller

HANDLED = {
    "pods": frozenset({"log", "exec", "attach", "proxy", "portforward"}),
    "services": frozenset({"proxy"}),
    "nodes": frozenset({"proxy"}),
}
"""Which subresources of which resources come here."""


async def handle(
    cluster: StreamCluster,
    request: web.Request,
    caller: Caller,
    namespace: str,
    name: str,
    subresource: str,
    rest: str,
    resource: str = "pods",
) -> web.StreamResponse:
    """Answer one request; ``rest`` is the path behind the subresource, without its leading slash.

    Raises :class:`~simkube.apimachinery.errors.StatusError` while nothing has been sent yet.
    """
    if resource == "services" and subresource == "proxy":
        return await proxy_service(cluster, request, namespace, name, rest)
    if resource == "nodes" and subresource == "proxy":
        return proxy_node(cluster, request, name, rest)
    if resource != "pods":
        raise not_simulated(f"the subresource {subresource} of {resource}")
    if subresource == "log":
        return await serve_log(cluster, request, namespace, name)
    if subresource == "exec":
        return await execute(cluster, request, caller, namespace, name)
    if subresource == "attach":
        return await attach(cluster, request, caller, namespace, name)
    if subresource == "proxy":
        return await proxy_pod(cluster, request, namespace, name, rest)
    if subresource == "portforward":
        return await forward(cluster, request, namespace, name)
    raise not_simulated(f"the subresource {subresource} of pods")


__all__ = ["HANDLED", "StreamCluster", "handle", "settled"]
