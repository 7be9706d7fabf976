"""Creates and updates: from a decoded body to a stored object, step by step.

After ``pkg/registry/rest`` (BeforeCreate, BeforeUpdate) and ``pkg/registry/generic/registry/store.go``. Each step may
refuse; nothing is visible before the last one, the commit.
"""

from __future__ import annotations

from typing import Protocol

from simkube.apimachinery.errors import STALE, StatusError, StoreError, already_exists, bad_request, conflict
from simkube.apiserver.admission.attributes import Attributes
from simkube.apiserver.admission.chain import Chain
from simkube.apiserver.admission.plugin import Dependencies
from simkube.apiserver.admission.webhooks import Webhooks
from simkube.apiserver.authorization import escalation
from simkube.apiserver.authorization.rbac import Authorizer
from simkube.apiserver.fields import ownership
from simkube.apiserver.handlers.preparation import prepare_create, prepare_update
from simkube.apiserver.handlers.service_storage import ServiceStorage
from simkube.apiserver.registry import conversion, naming
from simkube.apiserver.registry.kinds import RESOURCES, strategy_of
from simkube.apiserver.registry.request import Options, Request
from simkube.apiserver.registry.strategy import Strategy
from simkube.apiserver.settings import Settings
from simkube.apiserver.validation import metadata
from simkube.apiserver.validation.field import Errors, invalid
from simkube.apiserver.webhook.calling import Outgoing
from simkube.client.client import Caller, Obj
from simkube.clock.clock import Clock
from simkube.etcd.store import Full, Store
from simkube.trace.trace import Trace

_MYSELF = Caller("system:apiserver", ("system:masters",), "kube-apiserver")
_OTHER_NAMESPACE = "the namespace of the provided object does not match the namespace sent on the request"


class Storage(Protocol):
    """How a kind is stored that is more than one object."""

    def complete(self, request: Request, obj: Obj, old: Obj | None) -> None:
        """Fill in what only the storage knows, before the object is stored."""

    def put(self, request: Request, obj: Obj, expect: str | None) -> Obj:
        """Store an object and what belongs to it: all or nothing."""

    def delete(self, obj: Obj) -> None:
        """Take it out of the store, with what belongs to it."""


class Writer:
    """The writing half of one cluster's API server."""

    def __init__(self, store: Store, clock: Clock, settings: Settings, authorizer: Authorizer) -> None:
        self._authorizer = authorizer
        self._store = store
        self._clock = clock
        self._storages: dict[str, Storage] = {"services": ServiceStorage(store, clock, settings)}
        self.trace = Trace(clock)
        self.outgoing = Outgoing(store, clock)
        self.admission = Chain(Dependencies(store, settings, authorizer, Webhooks(store, self.outgoing)))

    # create

    def create(self, request: Request, obj: Obj, *, managed: Obj | None = None) -> Obj:
        """Store a new object (``obj`` is taken over). ``managed`` is it with its managed fields, from an apply."""
        strategy = strategy_of(request.resource)
        meta = obj.setdefault("metadata", {})
        self.settle_namespace(request, meta)
        if meta.get("resourceVersion"):
            raise StatusError(500, "", "resourceVersion should not be set on objects to be created")
        strategy.defaults(obj)
        ownership.record(request, None, obj, self._clock.timestamp(), managed)
        if not obj["metadata"].get("name") and obj["metadata"].get("generateName"):
            obj["metadata"]["name"] = naming.generate(obj["metadata"]["generateName"])
        asked = Attributes(request, obj, None)
        self.admission.admit(asked)
        obj = asked.new
        escalation.confirm(request, self._authorizer, obj, None)
        naming.born(obj["metadata"], self._clock.timestamp())
        prepare_create(strategy, obj, self._clock.timestamp(), request.caller)
        self._validate_new(request, strategy, obj)
        self._warn(request, strategy, obj, None)
        self.admission.validate(asked)
        self._refuse_taken(request, obj["metadata"]["name"])
        self._complete(request, obj, None)
        self._charge(request, asked.charges)
        return self.commit(request, obj, expect=None)

    def _warn(self, request: Request, strategy: Strategy, new: Obj, old: Obj | None) -> None:
        if request.checked and not request.subresource:
            request.warnings += strategy.warnings(new, old)

    def _charge(self, request: Request, charges: list[tuple[Obj, Obj]]) -> None:
        """Store the new usage of quotas, as the API server itself."""
        for old, new in charges:
            resource = RESOURCES["resourcequotas"]
            where, name = old["metadata"]["namespace"], old["metadata"]["name"]
            own = Request(_MYSELF, "update", resource, where, name, "status", Options(dry_run=request.options.dry_run))
            ownership.record(own, old, new, self._clock.timestamp(), None)
            self.commit(own, new, expect=old["metadata"]["resourceVersion"])

    def settle_namespace(self, request: Request, meta: Obj) -> None:
        """The body's namespace must be that of the path; it is filled in where it is missing."""
        if not request.resource.namespaced:
            if meta.get("namespace"):
                raise bad_request(_OTHER_NAMESPACE)
            return
        if meta.setdefault("namespace", request.namespace) != request.namespace:
            raise bad_request(_OTHER_NAMESPACE)

    def _validate_new(self, request: Request, strategy: Strategy, obj: Obj) -> None:
        resource, errors = request.resource, Errors()
        metadata.object_meta(obj["metadata"], namespaced=resource.namespaced, name=strategy.name, errors=errors)
        strategy.validate(obj, errors)
        group = resource.storage.partition(".")[2]  # in the words of the group that stores it
        errors.raise_for(resource.kind, group, obj["metadata"].get("name", ""))

    def _complete(self, request: Request, obj: Obj, old: Obj | None) -> None:
        storage = self._storages.get(request.resource.storage)
        if storage is not None:
            storage.complete(request, obj, old)

    def _refuse_taken(self, request: Request, name: str) -> None:
        resource = request.resource
        there = self._store.get(resource.storage, request.namespace, name)
        if there is None:
            return
        error = already_exists(resource.plural, name, resource.group)
        if there["metadata"].get("deletionTimestamp"):
            error = StatusError(409, "AlreadyExists", f"object is being deleted: {error.message}", error.details)
        raise error

    # update

    def replace(self, request: Request, old: Obj, new: Obj, *, managed: Obj | None = None) -> Obj:
        """Store ``new`` (taken over) in the place of ``old``; ``old`` itself when that would change nothing."""
        strategy = strategy_of(request.resource)
        meta, before = new.setdefault("metadata", {}), old["metadata"]
        self.settle_namespace(request, meta)
        self._match(request, strategy, meta, before)
        _keep_identity(meta, before)
        strategy.defaults(new)
        ownership.record(request, old, new, self._clock.timestamp(), managed)
        asked = Attributes(request, new, old)
        self.admission.admit(asked)
        new = asked.new
        prepare_update(strategy, new, old, request.subresource, self._clock.timestamp())
        escalation.confirm(request, self._authorizer, new, old)
        self._validate_changed(request, strategy, new, old)
        self._complete(request, new, old)
        if _same(new, old):
            return old
        self._warn(request, strategy, new, old)
        self.admission.validate(asked)
        self._charge(request, asked.charges)
        if before.get("deletionTimestamp") and _may_go(new):
            return self.remove(request, new)
        return self.commit(request, new, expect=before["resourceVersion"])

    def _match(self, request: Request, strategy: Strategy, meta: Obj, before: Obj) -> None:
        resource, name = request.resource, before["name"]
        uid, version = meta.get("uid"), meta.get("resourceVersion")
        if version in (None, "", "0"):
            if not strategy.blind_update:
                detail = "Invalid value: 0: must be specified for an update"
                found = [("FieldValueInvalid", "metadata.resourceVersion", detail)]
                raise invalid(resource.plural, resource.group, name, found)
        elif not str(version).isdigit():
            raise StatusError(500, "", f'strconv.ParseUint: parsing "{version}": invalid syntax')
        if uid and uid != before["uid"]:
            path = f"/registry/{resource.plural}/{before.get('namespace', '')}/{name}".replace("//", "/")
            why = (
                f"StorageError: invalid object, Code: 4, Key: {path}, ResourceVersion: 0, AdditionalErrorMsg: "
                f"Precondition failed: UID in precondition: {uid}, UID in object meta: {before['uid']}"
            )
            raise conflict(resource.plural, name, why, resource.group)
        if version not in (None, "", "0", before["resourceVersion"]):
            raise conflict(resource.plural, name, STALE, resource.group)

    def _validate_changed(self, request: Request, strategy: Strategy, new: Obj, old: Obj) -> None:
        resource, errors = request.resource, Errors()
        metadata.object_meta_update(new["metadata"], old["metadata"], errors)
        if request.subresource == "status":
            strategy.validate_status(new, old, errors)
        elif new.get("spec") is not old.get("spec") or "spec" not in new:
            if not strategy.ratchets:
                strategy.validate(new, errors)
            strategy.parts.get(request.subresource, strategy.validate_update)(new, old, errors)
        errors.raise_for(resource.kind, resource.group, old["metadata"]["name"])

    # storing

    def commit(self, request: Request, obj: Obj, *, expect: str | None) -> Obj:
        """Store it, unless this is a dry run."""
        if request.options.dry_run:
            obj["metadata"].pop("resourceVersion", None)
            if expect is not None:
                obj["metadata"]["resourceVersion"] = expect
            return obj
        storage, meta = request.resource.storage, obj["metadata"]
        old = None if expect is None else self._store.get(storage, meta.get("namespace", ""), meta["name"])
        kept = conversion.kept(request.resource, obj)

        apart = self._storages.get(storage)

        def write() -> Obj:
            if apart is not None:
                return apart.put(request, obj, expect)
            return self._store.put(storage, kept, expect=expect)

        try:
            with self.outgoing.patient(None):  # who hears of it cannot make the request begin anew
                stored = self.trace.change(request, "created" if old is None else "changed", old, write)
            if kept is obj:
                return stored
            return {**obj, "metadata": {**meta, "resourceVersion": stored["metadata"]["resourceVersion"]}}
        except Full as error:
            raise StatusError(507, "InsufficientStorage", str(error)) from None
        except StoreError as error:
            raise _not_stored(error) from error

    def hold_deletion(self, request: Request, old: Obj) -> None:
        """What admission refuses of a delete."""
        asked = Attributes(request, None, old)
        self.admission.admit(asked)
        self.admission.validate(asked)

    def remove(self, request: Request, obj: Obj) -> Obj:
        """Take an object out of the store, unless this is a dry run; return its last state."""
        if request.options.dry_run:
            return obj
        storage, meta = request.resource.storage, obj["metadata"]
        apart = self._storages.get(storage)

        def write() -> Obj:
            if apart is not None:
                apart.delete(obj)
            else:
                self._store.delete(storage, meta.get("namespace", ""), meta["name"])
            return obj

        try:
            self.trace.change(request, "deleted", obj, write)
        except StoreError as error:
            raise _not_stored(error) from error
        return obj


def _not_stored(error: StoreError) -> StatusError:
    details = {"causes": [{"message": str(error)}]}
    return StatusError(500, "InternalError", f"Internal error occurred: {error}; nothing was changed", details)


def _keep_identity(meta: Obj, before: Obj) -> None:
    for name in ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation"):
        if name in before:
            meta[name] = before[name]
        else:
            meta.pop(name, None)
    if before.get("generateName"):
        meta.setdefault("generateName", before["generateName"])
    meta["name"] = before["name"]
    meta["resourceVersion"] = before["resourceVersion"]


def _same(new: Obj, old: Obj) -> bool:
    return new == old


def _may_go(obj: Obj) -> bool:
    meta = obj["metadata"]
    if meta.get("finalizers") or (obj.get("kind") == "Namespace" and obj.get("spec", {}).get("finalizers")):
        return False
    return not meta.get("deletionGracePeriodSeconds")
