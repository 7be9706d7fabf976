"""What the rooms of the request path see of the server that chains them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from simkube.apiserver.authentication.tokens import Credentials
from simkube.apiserver.authorization.rbac import Authorizer
from simkube.apiserver.registry.request import Request
from simkube.client.client import Obj
from simkube.clock.clock import Clock
from simkube.etcd.store import Store


class Backend(Protocol):
    """Kept by :class:`~simkube.apiserver.server.APIServer`."""

    @property
    def store(self) -> Store: ...

    @property
    def clock(self) -> Clock: ...

    @property
    def credentials(self) -> Credentials: ...

    @property
    def authorizer(self) -> Authorizer: ...

    @property
    def readings(self) -> Mapping[str, Callable[[Obj], Obj]]: ...

    def find(self, request: Request) -> Obj:
        """The stored object a request is about; StatusError 404."""

    def do_delete(self, request: Request) -> Obj:
        """Delete an object, or mark it for deletion."""
