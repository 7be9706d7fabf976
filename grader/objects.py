"""Kubernetes objects as a check's author wants to ask about them, made from the API server's JSON.

Views, not models: what is missing is empty, nothing is validated, and ``raw`` is always there for the rest.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from grader.shapes import fields, rows, whole


@dataclass(frozen=True)
class Container:
    """One container of a pod: spec and status together. ``sidecar``: an init container that stays beside the others.

    ``image`` is what its spec asks for; ``reported`` and ``image_id`` are what its kubelet says that it runs.
    """

    name: str
    image: str
    ready: bool
    restarts: int
    id: str
    state: Mapping[str, Any]
    last: Mapping[str, Any]
    spec: Mapping[str, Any] = field(repr=False)
    sidecar: bool = False
    reported: str = ""
    image_id: str = ""

    @property
    def running(self) -> bool:
        """Whether its process runs."""
        return "running" in self.state

    @property
    def started(self) -> float:
        """When its process started (s since 1970); 0 when it does not run."""
        return seconds_of(str(fields(self.state.get("running")).get("startedAt") or ""))

    @property
    def waiting(self) -> str:
        """Why it does not run yet (``CrashLoopBackOff``); "" otherwise."""
        return str(fields(self.state.get("waiting")).get("reason") or "")

    @property
    def ended(self) -> Mapping[str, Any]:
        """How it ended last (``exitCode``, ``reason``, ``finishedAt``); empty when it never did."""
        return fields(self.state.get("terminated")) or fields(self.last.get("terminated"))

    @property
    def environment(self) -> dict[str, str]:
        """Variables given as plain values."""
        return {str(one.get("name")): str(one.get("value", "")) for one in rows(self.spec.get("env"))}


@dataclass(frozen=True)
class Pod:
    """A pod as it was when it was asked for."""

    raw: Mapping[str, Any] = field(repr=False)

    @property
    def metadata(self) -> Mapping[str, Any]:
        return fields(self.raw.get("metadata"))

    @property
    def name(self) -> str:
        return str(self.metadata.get("name", ""))

    @property
    def namespace(self) -> str:
        return str(self.metadata.get("namespace", ""))

    @property
    def uid(self) -> str:
        return str(self.metadata.get("uid", ""))

    @property
    def labels(self) -> dict[str, str]:
        return {str(key): str(value) for key, value in fields(self.metadata.get("labels")).items()}

    @property
    def spec(self) -> Mapping[str, Any]:
        return fields(self.raw.get("spec"))

    @property
    def status(self) -> Mapping[str, Any]:
        return fields(self.raw.get("status"))

    @property
    def phase(self) -> str:
        return str(self.status.get("phase", "Unknown"))

    @property
    def ip(self) -> str:
        """Its address; "" when it has none yet."""
        return str(self.status.get("podIP") or "")

    @property
    def node(self) -> str:
        """The node it is bound to; "" when it is bound to none."""
        return str(self.spec.get("nodeName") or "")

    @property
    def terminating(self) -> bool:
        """Whether it is being deleted."""
        return bool(self.metadata.get("deletionTimestamp"))

    @property
    def grace(self) -> int:
        """The seconds that its kubelet gives it to end: those it was deleted with, or else those of its spec."""
        asked = self.spec.get("terminationGracePeriodSeconds")
        return whole(self.metadata.get("deletionGracePeriodSeconds", asked))

    @property
    def over(self) -> bool:
        """Whether it has ended for good."""
        return self.phase in ("Succeeded", "Failed")

    @property
    def ready(self) -> bool:
        """Whether it is ready and not on its way out."""
        return not self.terminating and self.condition("Ready").get("status") == "True"

    @property
    def restarts(self) -> int:
        """Restarts of all its containers together."""
        return sum(one.restarts for one in self.containers)

    @property
    def controller(self) -> tuple[str, str]:
        """Kind and name of the controller that owns it; ("", "") for a pod on its own."""
        for owner in rows(self.metadata.get("ownerReferences")):
            if owner.get("controller"):
                return str(owner.get("kind")), str(owner.get("name"))
        return "", ""

    @property
    def containers(self) -> list[Container]:
        """Its containers that run beside each other: those of ``containers``, then its sidecars; each in the order of
        its spec. Sidecars are the init containers with ``restartPolicy: Always`` (Kubernetes 1.28 and later); init
        containers that end are left out."""
        sidecars = [one for one in rows(self.spec.get("initContainers")) if one.get("restartPolicy") == "Always"]
        beside, before = self._statuses("containerStatuses"), self._statuses("initContainerStatuses")
        return [
            *(_container(one, beside.get(str(one.get("name")), {})) for one in rows(self.spec.get("containers"))),
            *(_container(one, before.get(str(one.get("name")), {}), sidecar=True) for one in sidecars),
        ]

    def _statuses(self, key: str) -> dict[str, Mapping[str, Any]]:
        return {str(one.get("name")): one for one in rows(self.status.get(key))}

    def container(self, name: str) -> Container | None:
        """The container of that name."""
        return next((one for one in self.containers if one.name == name), None)

    def condition(self, name: str) -> Mapping[str, Any]:
        """A condition; empty when it is not set."""
        return next((one for one in rows(self.status.get("conditions")) if one.get("type") == name), {})


def _container(spec: Mapping[str, Any], status: Mapping[str, Any], *, sidecar: bool = False) -> Container:
    return Container(
        name=str(spec.get("name", "")),
        image=str(spec.get("image", "")),
        ready=bool(status.get("ready")),
        restarts=whole(status.get("restartCount")),
        id=str(status.get("containerID") or ""),
        state=fields(status.get("state")),
        last=fields(status.get("lastState")),
        spec=spec,
        sidecar=sidecar,
        reported=str(status.get("image") or ""),
        image_id=str(status.get("imageID") or ""),
    )


@dataclass(frozen=True)
class Endpoint:
    """One address behind a Service. ``pod`` is the name of the pod it belongs to, "" when it belongs to none."""

    ip: str
    port: int
    pod: str
    ready: bool


@dataclass(frozen=True)
class Endpoints:
    """The addresses behind a Service, as its clients are sent to them."""

    addresses: tuple[Endpoint, ...] = ()

    @property
    def ready(self) -> list[Endpoint]:
        """Those that get traffic."""
        return [one for one in self.addresses if one.ready]

    @property
    def not_ready(self) -> list[Endpoint]:
        """Those that are kept out."""
        return [one for one in self.addresses if not one.ready]


def endpoints(raw: Mapping[str, Any]) -> Iterator[Endpoint]:
    """The addresses of a core/v1 Endpoints object."""
    for subset in rows(raw.get("subsets")):
        ports = [whole(one.get("port")) for one in rows(subset.get("ports"))] or [0]
        for key, ready in (("addresses", True), ("notReadyAddresses", False)):
            for address in rows(subset.get(key)):
                target = fields(address.get("targetRef"))
                pod = str(target.get("name", "")) if target.get("kind") == "Pod" else ""
                yield from (Endpoint(str(address.get("ip", "")), port, pod, ready) for port in ports)


def image_name(image: str) -> str:
    """An image's name as short as it goes: ``docker.io/library/busybox`` is ``busybox:latest``."""
    name = image.partition("@")[0]
    for registry in ("docker.io/", "index.docker.io/", "library/"):
        name = name.removeprefix(registry)
    return name if ":" in name.rpartition("/")[2] else f"{name}:latest"


def seconds_of(timestamp: str) -> float:
    """Kubernetes' time (``2026-11-23T02:00:00Z``) as seconds since 1970; 0 for what is none."""
    try:
        return datetime.datetime.fromisoformat(timestamp).timestamp()
    except ValueError:
        return 0.0
