"""The API server of one cluster, as components call it in-process and as HTTP does: one request, one synchronous call.

Because one thread runs everything, a request is atomic by construction. The steps of a write are in
:mod:`~simkube.apiserver.registry.writing`, of a delete in :mod:`~simkube.apiserver.registry.deletion`, subresources in
:mod:`~simkube.apiserver.registry.subresources`. It refuses kinds and subresources that
:mod:`~simkube.apiserver.registry.kinds` does not list.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from simkube.apimachinery.errors import StatusError, bad_request, not_found, not_simulated
from simkube.apiserver.audit.log import Audit
from simkube.apiserver.authentication.tokens import Credentials
from simkube.apiserver.authorization import bootstrap, rbac
from simkube.apiserver.authorization.rbac import Authorizer
from simkube.apiserver.fields import apply, decoding
from simkube.apiserver.handlers import cost, reviews
from simkube.apiserver.handlers.deletion import Deleter
from simkube.apiserver.handlers.paging import Page, check_version, page
from simkube.apiserver.handlers.subresources import Subresources
from simkube.apiserver.handlers.writing import Writer
from simkube.apiserver.metrics.metrics import APIMetrics
from simkube.apiserver.registry import conversion, selectors
from simkube.apiserver.registry.apiextensions.requests import no_strategic_merge, refuse_terminating
from simkube.apiserver.registry.apiregistration import bootstrap as apiservices
from simkube.apiserver.registry.kinds import strategy_of
from simkube.apiserver.registry.request import Request, options_of
from simkube.apiserver.registry.resources import Resource
from simkube.apiserver.registry.served import Registry
from simkube.apiserver.settings import Settings
from simkube.apiserver.webhook.conversion import Conversions
from simkube.client.client import Caller, Event, Handler, Obj, Patch, PatchType
from simkube.clock.clock import Clock
from simkube.etcd.store import Store

_OF_OBJECT = ("approval", "status", "ephemeralcontainers", "resize")
"""Subresources that are read and written as the object itself."""


class APIServer:
    """Keeps :class:`simkube.client.client.Server`. ``do_*`` take a :class:`Request`, for callers that need its
    warnings.
    """

    def __init__(self, store: Store, clock: Clock, settings: Settings | None = None) -> None:
        self.store = store
        self.clock = clock
        self.settings = settings or Settings()
        self.readings: dict[str, Callable[[Obj], Obj]] = {}
        """By stored resource: what fills in, whenever one is read by get or list, what is not worth a write."""
        self.computed: dict[str, Callable[[str, str], Sequence[Obj]]] = {}
        """By computed resource: what answers its reads, ``(namespace, name or "")`` -> objects, StatusError 404."""
        self.authorizer = Authorizer(store)
        self.credentials = Credentials(store, clock)
        self.audit = Audit()
        self.metrics = APIMetrics(clock.now())
        self.registry = Registry(store, self.computed)
        self._writer = Writer(store, clock, self.settings, self.authorizer)
        self.admission = self._writer.admission
        self.trace = self._writer.trace
        self.outgoing = self._writer.outgoing
        self.registry.convert = Conversions(self.outgoing).convert
        self._deleter = Deleter(self._writer, clock)
        self._subresources = Subresources(self, self._writer)

    def seed(self) -> None:
        """Have the roles, bindings and priority classes that every cluster has; called at each start of a cluster."""
        shared = bootstrap.shared()
        me = Caller("system:apiserver", ("system:masters",), "kube-apiserver")
        for storage, obj in self.store.seed(shared):
            meta = obj["metadata"]
            mended = bootstrap.mended(obj, shared[storage][meta.get("namespace", ""), meta["name"]])
            if mended is not None:
                self.update(me, storage, mended)
        for storage in shared:
            self.readings[storage] = self._dressed

    def mend_roles(self) -> None:
        """What an API server does with roles and with its APIServices at its start: make what was deleted, mend what
        lacks something."""
        me = Caller("system:apiserver", ("system:masters",), "kube-apiserver")
        for storage, objects in bootstrap.shared().items():
            if rbac.GROUP not in storage and storage != apiservices.RESOURCE:
                continue
            for (namespace, name), wanted in objects.items():
                current = self.store.get(storage, namespace, name)
                if current is None:
                    self.create(me, storage, bootstrap.anew(wanted), namespace)
                    continue
                mended = None if current is wanted else bootstrap.mended(current, wanted)
                if mended is not None:
                    self.update(me, storage, mended)

    def _dressed(self, obj: Obj) -> Obj:
        if not bootstrap.is_shared(obj):
            return obj
        system = self.store.get("namespaces", "", "kube-system")
        return bootstrap.dressed(obj, system["metadata"]["creationTimestamp"] if system else self.clock.timestamp())

    # the protocol of components

    def get(self, caller: Caller, resource: str, name: str, namespace: str = "", *, subresource: str = "") -> Obj:
        """The object now; see :class:`simkube.client.client.Server`."""
        return self.do_get(Request(caller, "get", self._resource(resource), namespace, name, subresource))

    def list(
        self,
        caller: Caller,  # noqa: ARG002  everyone who gets here may list
        resource: str,
        namespace: str = "",
        *,
        label_selector: str = "",
        field_selector: str = "",
    ) -> list[Obj]:
        """All objects that match; see :class:`simkube.client.client.Server`."""
        found = self._resource(resource)
        return list(self._select(found, namespace, label_selector, field_selector))

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
        """Create an object, or POST to a subresource; see :class:`simkube.client.client.Server`."""
        found = self._resource(resource)
        where = (namespace or obj.get("metadata", {}).get("namespace", "")) if found.namespaced else ""
        chosen = options_of("create", options)
        request = Request(caller, "create", found, where, name, subresource, chosen)
        return self._audited(request, lambda: self.do_create(request, obj))

    def update(
        self,
        caller: Caller,
        resource: str,
        obj: Obj,
        *,
        subresource: str = "",
        options: Mapping[str, Any] | None = None,
    ) -> Obj:
        """Replace an object; see :class:`simkube.client.client.Server`."""
        meta = obj["metadata"]
        where, name = meta.get("namespace", ""), meta["name"]
        chosen = options_of("update", options)
        request = Request(caller, "update", self._resource(resource), where, name, subresource, chosen)
        return self._audited(request, lambda: self.do_update(request, obj))

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
        """Patch an object; see :class:`simkube.client.client.Server`."""
        chosen = options_of("patch", options)
        request = Request(caller, "patch", self._resource(resource), namespace, name, subresource, chosen)
        return self._audited(request, lambda: self.do_patch(request, patch, type))

    def delete(
        self, caller: Caller, resource: str, name: str, namespace: str = "", *, options: Mapping[str, Any] | None = None
    ) -> Obj:
        """Delete an object; see :class:`simkube.client.client.Server`."""
        chosen = options_of("delete", options)
        request = Request(caller, "delete", self._resource(resource), namespace, name, options=chosen)
        return self._audited(request, lambda: self.do_delete(request))

    def _audited(self, request: Request, work: Callable[[], Obj]) -> Obj:
        """Do what a component asks for, and note how it ended."""
        code, reason = 201 if request.verb == "create" else 200, ""
        try:
            return work()
        except StatusError as error:
            code, reason = error.code, error.reason
            raise
        finally:
            self.audit.write(self.clock.wall(), request, code, reason)
            self.metrics.wrote(request, code)

    def subscribe(self, resource: str, handler: Handler) -> Callable[[], None]:
        """Watch a resource; see :class:`simkube.client.client.Server`."""
        found = self._resource(resource)
        for obj in self.store.objects(found.storage):
            handler(Event("ADDED", conversion.shown(found, obj)))
        if not found.stored_as and found.custom is None:
            return self.store.subscribe(found.storage, handler)

        def converted(event: Event) -> None:
            try:
                old = None if event.old is None else conversion.shown(found, event.old)
                shown = Event(event.type, conversion.shown(found, event.obj), old)
            except StatusError:  # who converts them does not answer; that they changed is to be heard of all the same
                shown = event
            handler(shown)

        return self.store.subscribe(found.storage, converted)

    # requests

    def do_get(self, request: Request) -> Obj:
        """One object, or a subresource of it."""
        obj = self.find(request)
        if request.subresource:
            return self._subresources.get(request, obj)
        reading = self.readings.get(request.resource.storage)
        return conversion.shown(request.resource, obj if reading is None else reading(obj))

    def do_list(self, request: Request, query: Mapping[str, str]) -> Page:
        """A page of objects; ``query`` holds selectors, limit, continue and version under their HTTP names."""
        check_version(query, self.store.revision)
        labels, fields = query.get("labelSelector", ""), query.get("fieldSelector", "")
        found = self._select(request.resource, request.namespace, labels, fields)
        if request.resource.computed:
            return Page(found, "")  # of no version: nobody keeps them
        return page(found, query, self.store.revision, selected=bool(labels or fields))

    def do_create(self, request: Request, body: Obj) -> Obj:
        """Create an object, answer a review, or POST to a subresource."""
        resource = request.resource
        if request.subresource:
            return self._subresources.create(request, body)
        refuse_terminating(request)
        obj = decoding.decode(request, body, resource.gvk)
        if resource.qualified == "bindings":  # a way to the pod's own binding
            pods, name = self._resource("pods"), obj.get("metadata", {}).get("name", "")
            return self._subresources.create(request.about(resource=pods, name=name, subresource="binding"), body)
        if resource.review:
            return reviews.answer(request, obj, self)
        return conversion.shown(resource, self._writer.create(request, conversion.stored(resource, obj)))

    def do_update(self, request: Request, body: Obj) -> Obj:
        """Replace an object or a subresource of it; some kinds are created when they are missing."""
        resource = request.resource
        if request.subresource and request.subresource not in (*_OF_OBJECT, "finalize"):
            return self._subresources.update(request, body)
        new = conversion.stored(resource, decoding.decode(request, body, resource.gvk))
        _check_name(request, new)
        old = self.store.get(resource.storage, request.namespace, request.name)
        if old is None and strategy_of(resource).created_by_put and not request.subresource:
            request.created = True
            return conversion.shown(resource, self._writer.create(request, new))
        return conversion.shown(resource, self._writer.replace(request, self._worked(request), new))

    def do_patch(self, request: Request, change: Any, type: PatchType) -> Obj:
        """Patch an object or a subresource of it; an apply creates what is missing."""
        resource = request.resource
        if request.subresource and request.subresource not in _OF_OBJECT:
            return self._subresources.patch(request, change, type)
        if type == "strategic" and resource.custom is not None:
            raise no_strategic_merge()
        if type == "apply":
            return conversion.shown(resource, self._apply(request, change))
        old = self._worked(request)
        shown = conversion.shown(resource, old)
        new = conversion.stored(resource, decoding.decode_patched(request, shown, change, type, resource.gvk))
        cost.refuse(request, new)
        _check_name(request, new)
        return conversion.shown(resource, self._writer.replace(request, old, new))

    def _apply(self, request: Request, applied: Any) -> Obj:
        resource = request.resource
        applied = decoding.decode_applied(applied)
        _check_name(request, applied)
        live = self.store.get(resource.storage, request.namespace, request.name)
        live = live and self._dressed(live)
        if live is None and request.subresource:
            raise not_found(resource.plural, request.name, resource.group)
        merged = apply.server_side_apply(
            None if live is None else conversion.shown(resource, live),
            applied,
            resource.gvk,
            request.options.manager,  # an apply must name its manager
            request.options.force,
            subresource=request.subresource,
            time=self.clock.timestamp(),
            custom=resource.custom,
        )
        cost.refuse(request, merged)
        new = conversion.stored(resource, decoding.canonical_of(resource, merged))
        if live is not None:
            return self._writer.replace(request, conversion.worked(resource, live), new, managed=merged)
        request.created = True
        new["metadata"].setdefault("name", request.name)
        return self._writer.create(request, new, managed=merged)

    def _worked(self, request: Request) -> Obj:
        return conversion.worked(request.resource, self.find(request))

    def do_delete(self, request: Request) -> Obj:
        """Delete an object, or mark it for deletion."""
        obj = self._deleter.delete(request, self.find(request))
        if obj.get("kind") == "Status":
            return obj
        with self.outgoing.patient(None):  # it is done: the request cannot begin anew
            return conversion.shown(request.resource, obj)

    def do_delete_each(self, request: Request, found: Iterable[Obj]) -> None:
        """Delete those of a list that are still there: a collection, or a piece of one."""
        for obj in found:
            meta = obj["metadata"]
            one = request.about(verb="delete", name=meta["name"], namespace=meta.get("namespace", ""))
            try:
                self.do_delete(one)
            except StatusError as error:
                if error.reason != "NotFound":
                    raise

    # reading

    def _resource(self, qualified: str) -> Resource:
        found = self.registry.named(qualified)
        if found is None and (meant := self.registry.meant(qualified)):
            raise bad_request(f"there is no kind {qualified}; did you mean {meant}?")
        if found is None:
            raise not_simulated(f"the kind {qualified}")
        return found

    def find(self, request: Request) -> Obj:
        """The stored object a request is about; 404 when there is none."""
        resource = request.resource
        if resource.computed:
            return self._compute(resource, request.namespace, request.name)[0]
        obj = self.store.get(resource.storage, request.namespace, request.name)
        if obj is None:
            raise not_found(resource.plural, request.name, resource.group)
        return self._dressed(obj)

    def _compute(self, resource: Resource, namespace: str, name: str = "") -> Sequence[Obj]:
        computed = self.computed.get(resource.qualified)
        if computed is None:
            # as client-go words a request to a group that is not served
            message = f"the server could not find the requested resource (get {resource.qualified})"
            raise StatusError(404, "NotFound", message, {})
        return computed(namespace, name)

    def _select(self, resource: Resource, namespace: str, labels: str, fields: str) -> Sequence[Obj]:
        matches = selectors.matcher(resource, labels, fields)
        found: Sequence[Obj]
        if resource.computed:
            found = self._compute(resource, namespace)
        else:
            found = self.store.objects(resource.storage, namespace)
        reading = self.readings.get(resource.storage)
        if reading is not None:
            found = [reading(obj) for obj in found]
        if resource.stored_as or resource.custom is not None:
            found = conversion.shown_all(resource, found)
        return found if matches is None else [obj for obj in found if matches(obj)]


def _check_name(request: Request, new: Obj) -> None:
    given = new.setdefault("metadata", {}).setdefault("name", request.name)
    if given != request.name:
        raise bad_request(f"the name of the object ({given}) does not match the name on the URL ({request.name})")
