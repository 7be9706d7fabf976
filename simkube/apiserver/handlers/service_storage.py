"""Services as they are stored: with addresses and ports of their own, and the objects that show who has which.

After ``pkg/registry/core/service/storage`` (beginCreate, beginUpdate).
"""

from __future__ import annotations

from simkube.apimachinery.errors import StoreError
from simkube.apiserver.handlers.service_addresses import Addresses
from simkube.apiserver.registry.request import Request
from simkube.apiserver.registry.services.allocators import Allocators
from simkube.apiserver.settings import Settings
from simkube.apiserver.validation.field import Errors
from simkube.client.client import Obj
from simkube.clock.clock import Clock
from simkube.etcd.store import Full, Store


class ServiceStorage:
    """Keeps :class:`~simkube.apiserver.registry.writing.Storage`."""

    def __init__(self, store: Store, clock: Clock, settings: Settings) -> None:
        self._store = store
        self._settings = settings
        self._allocators = Allocators(settings)
        self._addresses = Addresses(store, clock)

    def complete(self, request: Request, obj: Obj, old: Obj | None) -> None:
        """Give a service its addresses and ports; 422 when it asks for what it cannot have."""
        if request.subresource:
            return
        resource, errors = request.resource, Errors()
        ranges = self._addresses.ranges(self._settings.service_cidr)
        held = self._addresses.taken()
        self._allocators.complete(obj, old, self._store.objects("services"), errors, ranges=ranges, held=held)
        errors.raise_for(resource.kind, resource.group, obj["metadata"]["name"])

    def put(self, request: Request, obj: Obj, expect: str | None) -> Obj:
        """Store a service and the objects that show its addresses: both or none."""
        if request.subresource:
            return self._store.put("services", obj, expect=expect)
        meta = obj["metadata"]
        old = self._store.get("services", meta["namespace"], meta["name"])
        self._addresses.claim(obj, old)
        try:
            stored = self._store.put("services", obj, expect=expect)
        except (Full, StoreError):
            self._addresses.release(old, obj)
            raise
        if old is not None:
            self._addresses.release(stored, old)
        return stored

    def delete(self, obj: Obj) -> None:
        """Take a service out of the store, and what shows its addresses."""
        self._store.delete("services", obj["metadata"]["namespace"], obj["metadata"]["name"])
        self._addresses.release(None, obj)
