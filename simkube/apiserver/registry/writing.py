"""Creates and updates: from a decoded body to a stored object, step by step.

After ``pkg/registry/rest`` (BeforeCreate, BeforeUpdate) and ``pkg/registry/generic/registry/store.go``. Each step may
refuse; nothing is visible before the last one, the commit.
"""

from __future__ import annotations

from simkube.apimachinery.errors import STALE, StatusError, StoreError, already_exists, bad_request, conflict
from simkube.apiserver.admission import (
    claims,
    ingress_class,
    limits,
    pod_security,
    quota,
    signing_requests,
    validating,
)
from simkube.apiserver.admission import objects as admission
from simkube.apiserver.admission.webhooks import Webhooks
from simkube.apiserver.authorization import escalation
from simkube.apiserver.authorization.rbac import Authorizer
from simkube.apiserver.fields import ownership
from simkube.apiserver.registry import naming
from simkube.apiserver.registry.apiextensions.limits import confirm as confirm_definitions
from simkube.apiserver.registry.core import validation as core
from simkube.apiserver.registry.kinds import RESOURCES, strategy_of
from simkube.apiserver.registry.pods import label_keys
from simkube.apiserver.registry.pods import warnings as pod_warnings
from simkube.apiserver.registry.preparation import prepare_create, prepare_update
from simkube.apiserver.registry.served import DEFINITIONS
from simkube.apiserver.registry.services import warnings as network_warnings
from simkube.apiserver.registry.services.addresses import Addresses
from simkube.apiserver.registry.services.allocators import Allocators
from simkube.apiserver.registry.strategy import Strategy
from simkube.apiserver.request import Options, Request
from simkube.apiserver.settings import Settings
from simkube.apiserver.validation import metadata
from simkube.apiserver.validation.field import Errors, invalid
from simkube.apiserver.webhook.calling import Outgoing
from simkube.client.client import Caller, Obj
from simkube.clock.clock import Clock
from simkube.etcd.store import Full, Store
from simkube.trace.trace import Trace

_WITH_PODS = frozenset({"pods", *pod_warnings.TEMPLATES})
_MYSELF = Caller("system:apiserver", ("system:masters",), "kube-apiserver")
_OTHER_NAMESPACE = "the namespace of the provided object does not match the namespace sent on the request"


class Writer:
    """The writing half of one cluster's API server."""

    def __init__(self, store: Store, clock: Clock, settings: Settings, authorizer: Authorizer) -> None:
        self._authorizer = authorizer
        self._store = store
        self._clock = clock
        self._settings = settings
        self._allocators = Allocators(settings)
        self.trace = Trace(clock)
        self._addresses = Addresses(store, clock)
        self.outgoing = Outgoing(store, clock)
        self._webhooks = Webhooks(store, self.outgoing)

    # create

    def create(self, request: Request, obj: Obj, *, managed: Obj | None = None) -> Obj:
        """Store a new object (``obj`` is taken over). ``managed`` is it with its managed fields, from an apply."""
        kind = strategy_of(request.resource)
        meta = obj.setdefault("metadata", {})
        self.settle_namespace(request, meta)
        if meta.get("resourceVersion"):
            raise StatusError(500, "", "resourceVersion should not be set on objects to be created")
        kind.defaults(obj)
        ownership.record(request, None, obj, self._clock.timestamp(), managed)
        meta = obj["metadata"]
        admission.namespace_exists(request, self._store, meta.get("name", ""))
        if not meta.get("name") and meta.get("generateName"):
            meta["name"] = naming.generate(meta["generateName"])
        self._admit_new(request, obj)
        obj = self._webhooks.mutate(request, obj, None, lambda each: self._admit_new(request, each)) or obj
        meta = obj["metadata"]
        escalation.confirm(request, self._authorizer, obj, None)
        naming.born(meta, self._clock.timestamp())
        prepare_create(request.resource.storage, kind, obj)
        self._note(request, obj, None)
        self._validate_new(request, kind, obj)
        self._warn(request, obj, None)
        charges = self._hold_to_policies(request, obj, None)
        self._refuse_unsimulated(request, obj)
        self._refuse_taken(request, meta["name"])
        self._allocate(request, obj, None)
        self._charge(request, charges)
        return self.commit(request, obj, expect=None)

    def _hold_to_policies(self, request: Request, new: Obj, old: Obj | None) -> list[tuple[Obj, Obj]]:
        """What validating admission plugins refuse; the quotas that count the object, as they are and will be."""
        if request.resource.storage == signing_requests.STORAGE:
            if old is None:
                signing_requests.restrict(request, new)
            else:
                signing_requests.permit(request, self._authorizer, new, old)
        if old is None or request.subresource == "resize" or request.resource.storage == "persistentvolumeclaims":
            limits.check(request, new, self._store)
        self._webhooks.validate(request, new, old)
        validating.check(request, new, old, self._store)
        pod_security.check(request, new, old, self._store)
        return quota.charges(request, new, old, self._store)

    def _warn(self, request: Request, new: Obj, old: Obj | None) -> None:
        if request.checked and not request.subresource:
            request.warnings += pod_warnings.warnings_of(request.resource.storage, new, old)
            request.warnings += network_warnings.warnings_of(request.resource.storage, new, old)

    def _refuse_unsimulated(self, request: Request, obj: Obj) -> None:
        if request.resource.storage in _WITH_PODS and request.checked and not request.subresource:
            admission.simulated(request, obj)

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

    def _admit_new(self, request: Request, obj: Obj) -> None:
        if request.resource.storage == "pods":
            admission.new_pod(request, obj, self._store, self._settings)
        elif request.resource.storage == "nodes":
            admission.new_node(obj)
        elif request.resource.storage == "priorityclasses.scheduling.k8s.io":
            admission.new_priority_class(request, obj, self._store)
        elif request.resource.storage == signing_requests.STORAGE:
            signing_requests.stamp(request, obj)
        elif request.resource.storage in claims.PROTECTION:
            claims.admit_new(request.resource.storage, obj, self._store)
        elif request.resource.storage == "ingresses.networking.k8s.io":
            ingress_class.default_class(obj, self._store)

    def _admit_changed(self, request: Request, obj: Obj) -> None:
        if request.resource.storage == "pods" and not request.subresource:
            admission.tolerations(obj, self._settings)

    def _note(self, request: Request, obj: Obj, old: Obj | None) -> None:
        """What only the server adds: times, and a new pod's own labels in its selectors."""
        if request.resource.storage == claims.VOLUMES:
            claims.note_phase(obj, old, self._clock.timestamp())
        elif request.resource.storage == "pods" and old is None:
            claims.note_gates(obj, self._clock.timestamp())
            label_keys.merge(obj)

    def _validate_new(self, request: Request, kind: Strategy, obj: Obj) -> None:
        resource = request.resource
        errors = Errors()
        metadata.object_meta(obj["metadata"], namespaced=resource.namespaced, name=kind.name, errors=errors)
        kind.validate(obj, errors)
        event = resource.group == "events.k8s.io"
        if event:
            core.new_event(obj, errors)
        group = "" if event else resource.group
        errors.raise_for(resource.kind, group, obj["metadata"].get("name", ""))
        if resource.storage == DEFINITIONS:
            confirm_definitions(obj, self._store, DEFINITIONS)

    def _allocate(self, request: Request, obj: Obj, old: Obj | None) -> None:
        resource = request.resource
        if resource.storage != "services" or request.subresource:
            return
        errors = Errors()
        ranges = self._addresses.ranges(self._settings.service_cidr)
        held = self._addresses.taken()
        self._allocators.complete(obj, old, self._store.objects("services"), errors, ranges=ranges, held=held)
        errors.raise_for(resource.kind, resource.group, obj["metadata"]["name"])

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
        resource = request.resource
        kind = strategy_of(resource)
        meta, before = new.setdefault("metadata", {}), old["metadata"]
        self.settle_namespace(request, meta)
        self._match(request, kind, meta, before)
        _keep_identity(meta, before)
        kind.defaults(new)
        ownership.record(request, old, new, self._clock.timestamp(), managed)
        self._admit_changed(request, new)
        new = self._webhooks.mutate(request, new, old, lambda each: self._admit_changed(request, each)) or new
        meta = new["metadata"]
        if request.resource.storage == signing_requests.STORAGE:
            signing_requests.prepare_update(new, old, request.subresource, self._clock.timestamp())
        else:
            prepare_update(request.resource.storage, kind, new, old, request.subresource)
        escalation.confirm(request, self._authorizer, new, old)
        self._note(request, new, old)
        self._validate_changed(request, kind, new, old)
        if _same(new, old):
            return old
        if request.resource.storage == "priorityclasses.scheduling.k8s.io":
            admission.new_priority_class(request, new, self._store)
        self._warn(request, new, old)
        charges = self._hold_to_policies(request, new, old)
        self._refuse_unsimulated(request, new)
        self._charge(request, charges)
        if before.get("deletionTimestamp") and _may_go(new):
            return self.remove(request, new)
        return self.commit(request, new, expect=before["resourceVersion"])

    def _match(self, request: Request, kind: Strategy, meta: Obj, before: Obj) -> None:
        resource, name = request.resource, before["name"]
        uid, version = meta.get("uid"), meta.get("resourceVersion")
        if version in (None, "", "0"):
            if not kind.blind_update:
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

    def _validate_changed(self, request: Request, kind: Strategy, new: Obj, old: Obj) -> None:
        resource = request.resource
        errors = Errors()
        metadata.object_meta_update(new["metadata"], old["metadata"], errors)
        if request.subresource == "status":
            kind.validate_status(new, old, errors)
        elif new.get("spec") is not old.get("spec") or "spec" not in new:
            if not kind.ratchets:
                kind.validate(new, errors)
            kind.parts.get(request.subresource, kind.validate_update)(new, old, errors)
        errors.raise_for(resource.kind, resource.group, old["metadata"]["name"])
        if resource.storage == DEFINITIONS and new["spec"] != old["spec"]:
            confirm_definitions(new, self._store, DEFINITIONS)
        if resource.storage == claims.CLAIMS and not request.subresource:
            claims.may_grow(request, new, old, self._store)
        elif resource.storage == claims.VOLUMES:
            claims.reclaimable(new)
        self._allocate(request, new, old)

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

        def write() -> Obj:
            if storage == "services" and not request.subresource:
                return self._put_service(obj, expect)
            return self._store.put(storage, obj, expect=expect)

        try:
            return self.trace.change(request, "created" if old is None else "changed", old, write)
        except Full as error:
            raise StatusError(507, "InsufficientStorage", str(error)) from None
        except StoreError as error:
            raise _not_stored(error) from error

    def _put_service(self, obj: Obj, expect: str | None) -> Obj:
        """A service and the objects that show its addresses: both or none."""
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

    def hold_deletion(self, request: Request, old: Obj) -> None:
        """What webhooks and policies refuse of a delete."""
        self._webhooks.mutate(request, None, old, lambda _: None)
        self._webhooks.validate(request, None, old)
        validating.check(request, None, old, self._store)

    def remove(self, request: Request, obj: Obj) -> Obj:
        """Take an object out of the store, unless this is a dry run; return its last state."""
        meta = obj["metadata"]
        if request.options.dry_run:
            return obj
        where = (request.resource.storage, meta.get("namespace", ""), meta["name"])
        try:
            self.trace.change(request, "deleted", obj, lambda: self._store.delete(*where) or obj)
            if request.resource.storage == "services":
                self._addresses.release(None, obj)
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
