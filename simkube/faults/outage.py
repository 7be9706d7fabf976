"""What components get to feel when the API server or etcd is stopped: every request fails, no change is heard of.

It stands between components and the API server of one cluster. Watches need no help: without writes there is nothing to
be told of. It refuses to fail only some requests: an outage is total.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from simkube.apimachinery.errors import StatusError
from simkube.client.client import Caller, Handler, Obj, Patch, PatchType, Server


def apiserver_down() -> StatusError:
    """What a client sees when nobody listens at the API server's address."""
    return StatusError(
        503,
        "ServiceUnavailable",
        "The connection to the server was refused: kube-apiserver is stopped; start it to go on",
    )


def etcd_down() -> StatusError:
    """What the API server answers when it cannot reach etcd: the error as it came, without a reason of its own."""
    where = "dial tcp 127.0.0.1:2379: connect: connection refused"
    message = f'rpc error: code = Unavailable desc = connection error: desc = "transport: Error while dialing: {where}"'
    return StatusError(500, "", message)


def needs_etcd(path: str) -> bool:
    """Whether what is asked of the API server lies in etcd; versions, discovery and schemas it has itself."""
    parts = path.strip("/").split("/")
    return len(parts) > {"api": 2, "apis": 3}.get(parts[0], len(parts))


def unhealthy(path: str) -> str | None:
    """What the API server says of its health without etcd; None when ``path`` asks for something else."""
    what, _, check = path.strip("/").partition("/")
    if what not in ("healthz", "livez", "readyz") or check not in ("", "etcd"):
        return None
    lines = ["[+]ping ok", "[+]log ok", "[-]etcd failed: reason withheld", f"{what} check failed"]
    return "\n".join([*lines, ""]) if not check else "internal server error: etcd failed: reason withheld\n"


def cut_off() -> StatusError:
    """What a kubelet gets whose node has no network: nothing, until it gives up waiting."""
    return StatusError(503, "ServiceUnavailable", "dial tcp: i/o timeout: this node is cut off from the network")


_EVENTS = ("events", "events.events.k8s.io")


class Gate:
    """Keeps :class:`simkube.client.client.Server`; ``trouble`` makes what every request fails with; None while all is
    well.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self.trouble: Callable[[], StatusError] | None = None
        self.eventless = False
        """Whether events are not taken: of what is to pass for having happened long ago."""

    def _reach(self) -> Server:
        if self.trouble is not None:
            raise self.trouble()
        return self._server

    def get(self, caller: Caller, resource: str, name: str, namespace: str = "", *, subresource: str = "") -> Obj:
        """As the API server's."""
        return self._reach().get(caller, resource, name, namespace, subresource=subresource)

    def list(
        self,
        caller: Caller,
        resource: str,
        namespace: str = "",
        *,
        label_selector: str = "",
        field_selector: str = "",
    ) -> list[Obj]:
        """As the API server's."""
        return self._reach().list(
            caller, resource, namespace, label_selector=label_selector, field_selector=field_selector
        )

    def create(
        self,
        caller: Caller,
        resource: str,
        obj: Obj,
        namespace: str = "",
        *,
        name: str = "",
        subresource: str = "",
        options: Mapping[str, Any] | None = None,
    ) -> Obj:
        """As the API server's."""
        if self.eventless and resource in _EVENTS:
            raise StatusError(404, "NotFound", "events of what happened so long ago are gone")
        return self._reach().create(
            caller, resource, obj, namespace, name=name, subresource=subresource, options=options
        )

    def update(
        self,
        caller: Caller,
        resource: str,
        obj: Obj,
        *,
        subresource: str = "",
        options: Mapping[str, Any] | None = None,
    ) -> Obj:
        """As the API server's."""
        return self._reach().update(caller, resource, obj, subresource=subresource, options=options)

    def patch(
        self,
        caller: Caller,
        resource: str,
        name: str,
        patch: Patch,
        namespace: str = "",
        *,
        type: PatchType = "merge",
        subresource: str = "",
        options: Mapping[str, Any] | None = None,
    ) -> Obj:
        """As the API server's."""
        return self._reach().patch(
            caller, resource, name, patch, namespace, type=type, subresource=subresource, options=options
        )

    def delete(
        self, caller: Caller, resource: str, name: str, namespace: str = "", *, options: Mapping[str, Any] | None = None
    ) -> Obj:
        """As the API server's."""
        return self._reach().delete(caller, resource, name, namespace, options=options)

    def subscribe(self, resource: str, handler: Handler) -> Callable[[], None]:
        """As the API server's; always possible."""
        return self._server.subscribe(resource, handler)
