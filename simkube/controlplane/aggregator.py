"""APIServices: whether those who serve a group answer, and one for each version of what users define.

After ``kube-aggregator/pkg/controllers/status/{local,remote}`` and ``pkg/controlplane/controller/crdregistration``. A
server that is another program is asked for its discovery document, with whatever certificate; the metrics are built
in, and answer for the server that is registered once it is ready. It looks again each 30 s while there are others,
sooner after a failure.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable

from simkube.apimachinery.errors import StatusError
from simkube.apiserver.registry.apiextensions.definition import with_condition
from simkube.apiserver.registry.apiregistration.bootstrap import (
    ALWAYS,
    CUSTOM,
    LOCAL,
    MANAGED,
    METRICS,
    RESOURCE,
    local,
    named,
)
from simkube.apiserver.registry.served import DEFINITIONS, established
from simkube.apiserver.webhook.calling import CallFailed, Outgoing, Place
from simkube.client.client import Event, Informers, Obj, Server, copy_of
from simkube.client.workqueue import Component, WorkLoop
from simkube.runtime.cri import HTTPRequest

RESYNC_SECONDS = 30.0
CHECK_SECONDS = 5.0
FIRST_RETRY = 0.1
"""Seconds until a server that did not answer is asked again; twice as long each time."""
SERVICES, SLICES = "services", "endpointslices.discovery.k8s.io"
_SERVICE = "kubernetes.io/service-name"


class APIServiceAvailability(Component):
    """Keys are names of APIServices. ``measuring`` says whether the metrics that are built in are answered."""

    name = "apiservice-availability-controller"
    agent = "kube-apiserver"

    def __init__(
        self, server: Server, loop: WorkLoop, informers: Informers, outgoing: Outgoing, measuring: Callable[[], bool]
    ) -> None:
        super().__init__(server, loop, informers)
        self._outgoing = outgoing
        self._measuring = measuring

    def watch(self) -> None:
        """APIServices, and the Services and endpoints of those that others serve."""
        self._others: set[str] = set()
        self._tries: dict[str, int] = {}
        self._services = self.client.informer(SERVICES)
        self._slices = self.client.informer(SLICES)
        self.client.observe(SERVICES, self._perhaps)
        self.client.observe(SLICES, self._perhaps)
        self._known = self.client.observe(RESOURCE, self._changed)

    def _changed(self, event: Event) -> None:
        name = event.obj["metadata"]["name"]
        self._others.discard(name)
        if event.type == "DELETED":
            self.dequeue(name)
            self._tries.pop(name, None)
            return
        spec = event.obj["spec"]
        changed = event.old is not None and event.old["spec"] != spec
        if spec.get("service"):
            self._others.add(name)
        if spec.get("service") or changed or not (event.obj.get("status") or {}).get("conditions"):
            self.enqueue(name)

    def _perhaps(self, event: Event) -> None:
        for name in sorted(self._others) if self._others else ():
            obj = self._known.get("", name)
            given = None if obj is None else obj["spec"].get("service")
            meta = event.obj["metadata"]
            about = (meta.get("labels") or {}).get(_SERVICE, meta["name"])
            if given is not None and (meta.get("namespace"), about) == (given["namespace"], given["name"]):
                self.enqueue(name)

    def reconcile(self, key: Hashable) -> None:
        """Say how one is."""
        obj = self._known.get("", str(key))
        if obj is None:
            return
        service = obj["spec"].get("service")
        condition = dict(LOCAL) if service is None else self._checked(obj, service)
        made = with_condition(copy_of(obj), condition, self.clock.timestamp())
        if made.get("status") != obj.get("status"):
            self.client.update(RESOURCE, made, subresource="status")
        failed = condition["reason"] == "FailedDiscoveryCheck"
        tries = self._tries[str(key)] = min(self._tries.get(str(key), 0) + 1, 20) if failed else 0
        if service is not None:
            self.enqueue_after(key, min(RESYNC_SECONDS, FIRST_RETRY * 2.0**tries) if failed else RESYNC_SECONDS)

    def _checked(self, obj: Obj, given: Obj) -> Obj:
        name, namespace, port = given["name"], given["namespace"], given.get("port", 443)
        where = f'service/{name} in "{namespace}"'
        service = self._services.get(namespace, name)
        if service is None:
            return _failed("ServiceNotFound", f"{where} is not present")
        if service["spec"].get("type") == "ClusterIP":
            found = next((each for each in service["spec"].get("ports", ()) if each["port"] == port), None)
            if found is None:
                return _failed("ServicePortError", f"{where} is not listening on port {port}")
            slices = [
                each
                for each in self._slices.list(namespace)
                if (each["metadata"].get("labels") or {}).get(_SERVICE) == name
            ]
            if not slices:
                return _failed("EndpointsNotFound", f"cannot find endpointslices for {where}")
            called = found.get("name", "")
            if not any(_active(each, called) for each in slices):
                why = f'endpointslices for {where} have no addresses with port name "{called}"'
                return _failed("MissingEndpoints", why)
        return self._asked(obj["spec"], given, port)

    def _asked(self, spec: Obj, given: Obj, port: int) -> Obj:
        passed = {"type": "Available", "status": "True", "reason": "Passed", "message": "all checks passed"}
        group, version = spec.get("group", ""), spec["version"]
        if (group, version) == METRICS and self._measuring():
            return passed
        path = f"/apis/{group}/{version}"
        try:
            address = self._outgoing.address(given["name"], given["namespace"], port, "cannot be reached")
            url = f"https://{address}:{port}{path}"
            place = Place(address, port, address, url)
            asked = HTTPRequest("GET", path, {"host": f"{address}:{port}", "x-remote-user": "system:kube-aggregator"})
            answer = self._outgoing.ask(place, asked, None, "", CHECK_SECONDS, f'Get "{url}"')
        except CallFailed as error:
            return _failed("FailedDiscoveryCheck", f"failing or missing response from {path}: {error}")
        if 200 <= answer.status < 300:
            return passed
        why = f"failing or missing response from {url}: bad status from {url}: {answer.status}"
        return _failed("FailedDiscoveryCheck", why)


def _failed(reason: str, message: str) -> Obj:
    return {"type": "Available", "status": "False", "reason": reason, "message": message}


def _active(found: Obj, port: str) -> bool:
    ready = any((each.get("conditions") or {}).get("ready") is not False for each in found.get("endpoints") or ())
    return ready and any((each.get("name") or "") == port and each.get("port") for each in found.get("ports") or ())


class DefinitionRegistration(Component):
    """An APIService for each version that definitions serve. Keys are groups and versions."""

    name = "crd-registration-controller"
    agent = "kube-apiserver"

    def watch(self) -> None:
        """Definitions."""
        self.definitions = self.client.observe(DEFINITIONS, self._changed)
        self._known = self.client.informer(RESOURCE)

    def _changed(self, event: Event) -> None:
        for each in event.obj["spec"]["versions"]:
            self.enqueue((event.obj["spec"]["group"], each["name"]))

    def reconcile(self, key: Hashable) -> None:
        """Make it, or take it away."""
        assert isinstance(key, tuple)
        group, version = key
        there = self._known.get("", named(group, version))
        if any(_serves(each, group, version) for each in self.definitions.list()):
            if there is None:
                self.client.create(RESOURCE, local(group, version, CUSTOM, ALWAYS))
        elif there is not None and (there["metadata"].get("labels") or {}).get(MANAGED) == ALWAYS:
            try:
                self.client.delete(RESOURCE, named(group, version))
            except StatusError as error:
                if error.reason != "NotFound":
                    raise


def _serves(definition: Obj, group: str, version: str) -> bool:
    spec = definition["spec"]
    if spec["group"] != group or not established(definition):
        return False
    return any(each["name"] == version and each.get("served") for each in spec["versions"])
