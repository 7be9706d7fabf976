"""How components see the cluster: get, list, watch, write.

The scheduler, the controllers, the kubelets and the proxy use nothing else of the API server, so that each of them
could be taken out and run against another one. Calls are synchronous and in-process, but pass through the same
request path (admission, validation, conflict detection) as a user's kubectl. Objects handed out are shared:
**never change one in place**, copy it first (:func:`copy_of`).

It refuses to retry conflicts for its callers: a reconcile loop (:mod:`simkube.client.workqueue`) runs again, which is
how Kubernetes does it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from simkube.apimachinery.errors import StatusError
from simkube.clock.clock import Clock

Obj = dict[str, Any]
"""A Kubernetes object as JSON."""

Key = tuple[str, str]
"""``(namespace, name)``; the namespace is "" for cluster-scoped objects."""


def copy_of(obj: Obj) -> Obj:
    """A deep copy that may be changed and written back."""
    return {key: _copied(value) for key, value in obj.items()}


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copied(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_copied(each) for each in value]
    return value


def key_of(obj: Obj) -> Key:
    """The object's ``(namespace, name)``."""
    meta = obj["metadata"]
    return (meta.get("namespace", ""), meta["name"])


@dataclass(frozen=True, slots=True)
class Caller:
    """Who makes a request. ``agent`` is the first word of the User-Agent: the field manager when none is named.

    ``uid`` and ``extra`` (a name and its values) are what an authenticator has to say about the user beside that.
    """

    user: str
    groups: tuple[str, ...] = ()
    agent: str = "unknown"
    uid: str = ""
    extra: tuple[tuple[str, tuple[str, ...]], ...] = ()


@dataclass(frozen=True, slots=True)
class Event:
    """One change. ``old`` is the object before it (None when ADDED); ``obj`` of DELETED is its last state."""

    type: Literal["ADDED", "MODIFIED", "DELETED"]
    obj: Obj
    old: Obj | None = None


Handler = Callable[[Event], None]
Patch = dict[str, Any] | list[dict[str, Any]]
PatchType = Literal["json", "merge", "strategic", "apply"]


class Server(Protocol):
    """The API server as called in-process (kept by ``simkube.apiserver.server.APIServer``).

    ``resource`` is a plural with its group, as kubectl writes it: ``pods``, ``deployments.apps``,
    ``endpointslices.discovery.k8s.io``. ``subresource`` is "" or ``status``, ``scale``, ``binding``, ``eviction``...
    Every failure is a :class:`~simkube.apimachinery.errors.StatusError`. Objects returned are shared and must not be
    changed. ``options`` are the query parameters and ``DeleteOptions`` of the HTTP API under their own names
    (``dryRun``, ``fieldManager``, ``fieldValidation``, ``force``, ``gracePeriodSeconds``, ``propagationPolicy``,
    ``preconditions``).
    """

    def get(self, caller: Caller, resource: str, name: str, namespace: str = "", *, subresource: str = "") -> Obj: ...

    def list(
        self,
        caller: Caller,
        resource: str,
        namespace: str = "",
        *,
        label_selector: str = "",
        field_selector: str = "",
    ) -> list[Obj]: ...

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
    ) -> Obj: ...

    def update(
        self,
        caller: Caller,
        resource: str,
        obj: Obj,
        *,
        subresource: str = "",
        options: Mapping[str, Any] | None = None,
    ) -> Obj: ...

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
    ) -> Obj: ...

    def delete(
        self, caller: Caller, resource: str, name: str, namespace: str = "", *, options: Mapping[str, Any] | None = None
    ) -> Obj: ...

    def subscribe(self, resource: str, handler: Handler) -> Callable[[], None]:
        """Call ``handler`` with ADDED for every object there is, then synchronously after each committed change.

        Returns a call that ends it. A handler must only note what changed (enqueue a key); it must not write.
        """


class Client:
    """One component's access to one cluster, as the user Kubernetes gives that component.

    ``agent`` is the program it is part of (``kube-controller-manager``), which is who its writes are attributed to.
    Components of one program share their informers: they are given the same ``informers``, and whoever made that
    closes it.
    """

    def __init__(
        self,
        server: Server,
        component: str,
        clock: Clock,
        *,
        user: str | None = None,
        agent: str = "",
        informers: Informers | None = None,
    ) -> None:
        self._server = server
        self.component = component
        self.clock = clock
        groups = ("system:authenticated", "system:masters")
        self.caller = Caller(user or f"system:{component}", groups, agent or component)
        self._owns_informers = informers is None
        self._informers = informers if informers is not None else Informers(server)
        self._ears: list[_Ear] = []

    def get(self, resource: str, name: str, namespace: str = "", *, subresource: str = "") -> Obj:
        """The object now; StatusError NotFound when there is none."""
        return self._server.get(self.caller, resource, name, namespace, subresource=subresource)

    def list(self, resource: str, namespace: str = "", *, labels: str = "", fields: str = "") -> list[Obj]:
        """All objects of the resource, of one namespace or of all; selectors in kubectl's syntax."""
        return self._server.list(self.caller, resource, namespace, label_selector=labels, field_selector=fields)

    def create(self, resource: str, obj: Obj, namespace: str = "", *, name: str = "", subresource: str = "") -> Obj:
        """Create an object (or POST to a subresource of ``name``)."""
        return self._server.create(self.caller, resource, obj, namespace, name=name, subresource=subresource)

    def update(self, resource: str, obj: Obj, *, subresource: str = "") -> Obj:
        """Replace an object; Conflict when its ``resourceVersion`` is no longer the current one."""
        return self._server.update(self.caller, resource, obj, subresource=subresource)

    def patch(
        self,
        resource: str,
        name: str,
        patch: Patch,
        namespace: str = "",
        *,
        type: PatchType = "merge",
        subresource: str = "",
    ) -> Obj:
        """Patch an object."""
        return self._server.patch(self.caller, resource, name, patch, namespace, type=type, subresource=subresource)

    def apply(
        self, resource: str, name: str, applied: Obj, namespace: str = "", *, manager: str, subresource: str = ""
    ) -> Obj:
        """Server-side apply, taking over what others manage."""
        options = {"fieldManager": manager, "force": True}
        return self._server.patch(
            self.caller, resource, name, applied, namespace, type="apply", subresource=subresource, options=options
        )

    def delete(self, resource: str, name: str, namespace: str = "", **options: Any) -> None:
        """Delete an object; ``options`` as in ``DeleteOptions``. NotFound is not an error: it is what was wanted."""
        try:
            self._server.delete(self.caller, resource, name, namespace, options=options)
        except StatusError as error:
            if error.reason != "NotFound":
                raise

    def informer(self, resource: str) -> Informer:
        """The shared, always current view of one resource."""
        return self._informers.get(resource)

    def observe(self, resource: str, handler: Handler) -> Informer:
        """The view of a resource, with ``handler`` told of what there is and of every change until :meth:`close`."""
        informer = self.informer(resource)
        ear = _Ear(self, informer, handler)
        self._ears.append(ear)
        informer.add(ear)
        return informer

    def forget(self, resource: str) -> None:
        """Hear no more of a resource that is gone, and let go of its view; a no-op when there is none."""
        for ear in self._ears:
            if ear.informer.resource == resource:
                ear.informer.remove(ear)
        self._ears = [ear for ear in self._ears if ear.informer.resource != resource]
        self._informers.drop(resource)

    def close(self) -> None:
        """Hear nothing more."""
        for ear in self._ears:
            ear.informer.remove(ear)
        self._ears.clear()
        if self._owns_informers:
            self._informers.close()


class _Ear:
    """A component's handler at an informer. There are hundreds in each cluster: it is small."""

    __slots__ = ("_client", "_handler", "informer")

    def __init__(self, client: Client, informer: Informer, handler: Handler) -> None:
        self._client, self.informer, self._handler = client, informer, handler

    def __call__(self, event: Event) -> None:
        try:
            self._handler(event)
        except Exception as error:  # noqa: BLE001 - whoever wrote the object has nothing to do with it
            what = f"hearing of {self.informer.resource}"
            self._client.clock.crashes.handle(self._client.component, what, error, event.obj)


class Informers:
    """One informer per resource, shared by whoever holds this."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._informers: dict[str, Informer] = {}

    def get(self, resource: str) -> Informer:
        """The informer of ``resource``, made when first asked for."""
        informer = self._informers.get(resource)
        if informer is None:
            informer = self._informers[resource] = Informer(self._server, resource)
        return informer

    def drop(self, resource: str) -> None:
        """End the watch of one resource; a no-op when there is none."""
        informer = self._informers.pop(resource, None)
        if informer is not None:
            informer.close()

    def close(self) -> None:
        """End every watch; asked again, it watches anew."""
        for informer in self._informers.values():
            informer.close()
        self._informers.clear()


IndexOf = Callable[[Obj], Iterable[Hashable]]
"""Under which values an object is found in an index."""


def _namespace_of(obj: Obj) -> Iterable[Hashable]:
    return (obj["metadata"].get("namespace", ""),)


class Informer:
    """All objects of one resource, kept current, with handlers told of each change after the view has it."""

    def __init__(self, server: Server, resource: str) -> None:
        self.resource = resource
        self._objects: dict[Key, Obj] = {}
        self._indexes: dict[str, _Index] = {"namespace": _Index(_namespace_of)}
        self._handlers: list[Handler] = []
        self._unsubscribe = server.subscribe(resource, self._apply)

    def _apply(self, event: Event) -> None:
        key = key_of(event.obj)
        if event.type == "DELETED":
            self._objects.pop(key, None)
            for index in self._indexes.values():
                index.remove(key)
        else:
            self._objects[key] = event.obj
            for index in self._indexes.values():
                index.put(key, event.obj)
        for handler in list(self._handlers):
            handler(event)

    def get(self, namespace: str, name: str) -> Obj | None:
        """The object, or None."""
        return self._objects.get((namespace, name))

    def add_index(self, name: str, index_of: IndexOf) -> None:
        """Keep an index; ``index_of`` gives the values an object is found under. A no-op when ``name`` is taken."""
        if name not in self._indexes:
            index = self._indexes[name] = _Index(index_of)
            for key, obj in self._objects.items():
                index.put(key, obj)

    def indexed(self, name: str, value: Hashable) -> list[Obj]:
        """The objects found under ``value`` in an index, in the order they got there."""
        return [self._objects[key] for key in self._indexes[name].keys.get(value, ())]

    def list(self, namespace: str | None = None) -> list[Obj]:
        """Every object, or those of one namespace, in the order they were first seen."""
        if namespace is None:
            return list(self._objects.values())
        return self.indexed("namespace", namespace)

    def on_change(self, handler: Handler) -> Callable[[], None]:
        """Tell ``handler`` of every object there is (as ADDED) and of every change, until the returned call is made."""
        self.add(handler)
        return lambda: self.remove(handler)

    def add(self, handler: Handler) -> None:
        """As :meth:`on_change`, until :meth:`remove`."""
        self._handlers.append(handler)
        for obj in list(self._objects.values()):
            handler(Event("ADDED", obj))

    def remove(self, handler: Handler) -> None:
        """Tell ``handler`` no more; a no-op when it is not told."""
        if handler in self._handlers:
            self._handlers.remove(handler)

    def close(self) -> None:
        """End the watch."""
        self._unsubscribe()
        self._handlers.clear()


class _Index:
    """Value -> keys of the objects found under it (a dict for its order), and back."""

    def __init__(self, index_of: IndexOf) -> None:
        self._index_of = index_of
        self.keys: dict[Hashable, dict[Key, None]] = {}
        self._values: dict[Key, tuple[Hashable, ...]] = {}

    def put(self, key: Key, obj: Obj) -> None:
        values = tuple(self._index_of(obj))
        if self._values.get(key, ()) == values:
            return
        self.remove(key)
        if values:
            self._values[key] = values
        for value in values:
            self.keys.setdefault(value, {})[key] = None

    def remove(self, key: Key) -> None:
        for value in self._values.pop(key, ()):
            keys = self.keys[value]
            keys.pop(key, None)
            if not keys:
                del self.keys[value]
