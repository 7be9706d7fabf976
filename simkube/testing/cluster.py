"""One cluster of a test: what is in it, and its time.

Time stands still until the test moves it (:meth:`Cluster.step`, :meth:`Cluster.until`), or lets it run for a while
beside the wall clock (:meth:`Cluster.running`). What a write sets going at that moment (a ReplicaSet's pods, their
nodes) has happened when the write returns, whoever wrote; what takes time (images, probes, back-offs) has not.

Refuses to let a condition wait for wall time: what does not come true in cluster time is an ``AssertionError``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, TypeVar

import yaml

from simkube.apimachinery.errors import HostError
from simkube.apiserver.registry import kinds
from simkube.client.client import Client as Direct
from simkube.client.client import Obj, Patch, PatchType, copy_of
from simkube.clock.pace import LONGEST_STEP, PacedClock
from simkube.cluster.cluster import Cluster as Simulated
from simkube.host.kubeconfig import kubeconfig
from simkube.host.tenants import Tenant, Tenants
from simkube.testing.duration import Duration, seconds
from simkube.trace.sentences import sentence

T = TypeVar("T")

USER = "admin"
STEP_WALL_SECONDS = 30.0
"""So long a step may take in wall time; then something goes in circles."""
MANAGER = "simkube-testing"


class Thread(Protocol):
    """What runs the clusters (:class:`simkube.testing.server.Server`)."""

    url: str
    ca: str
    tenants: Tenants

    def run(self, work: Coroutine[Any, Any, T]) -> T: ...


class Cluster:
    """See the module. ``server`` runs it, ``name`` is what it is called there."""

    def __init__(self, server: Thread, name: str) -> None:
        self._server = server
        self.name = name
        self.client = Client(self)

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    # How clients get at it.

    @property
    def kubeconfig(self) -> str:
        """A kubeconfig (YAML) of an administrator, for any client, in this process or another."""
        token = self._tenant.meta["tokens"][USER]
        return kubeconfig(f"{self._server.url}/clusters/{self.name}", self._server.ca, self.name, USER, token)

    def write_kubeconfig(self, path: Path) -> Path:
        """The same in a file; its path."""
        path.write_text(self.kubeconfig, encoding="utf-8")
        return path

    def apply(self, manifests: str | Mapping[str, Any]) -> list[Obj]:
        """Server-side apply of every object in a YAML text, or of one; what they became."""
        given = [manifests] if isinstance(manifests, Mapping) else yaml.safe_load_all(manifests)
        return [self.client.apply(self._resource(dict(obj)), dict(obj)) for obj in given if obj]

    def _resource(self, obj: Obj) -> str:
        version, kind = str(obj.get("apiVersion")), str(obj.get("kind"))
        found = kinds.by_kind(version, kind)
        if found is None:
            extra = self.call(lambda cluster: list(cluster.apiserver.registry.extra))
            found = next((one for one in extra if (one.api_version, one.kind) == (version, kind)), None)
        if found is None:
            raise ValueError(f"this cluster has no kind {kind!r} of {version!r}; apply its definition first")
        return found.qualified

    # Its time.

    @property
    def now(self) -> datetime:
        """Cluster time."""
        return datetime.fromtimestamp(self.call(lambda cluster: cluster.clock.now()), UTC)

    def step(self, duration: Duration) -> None:
        """Have so much cluster time pass, and everything that is due in it."""
        left = seconds(duration)
        while left > LONGEST_STEP:
            self._server.run(_step(self._tenant, LONGEST_STEP))
            left -= LONGEST_STEP
        self._server.run(_step(self._tenant, left))

    def until(self, condition: Callable[[], Any], *, within: Duration = "5m", every: Duration = "1s") -> float:
        """Step until the condition holds, looking ``every`` so much cluster time; how many seconds that took.

        ``AssertionError``, with what happened last, when it does not hold ``within`` that time. A condition that raises
        LookupError (an object without status yet) does not hold.
        """
        limit, pace, passed = seconds(within), max(0.001, seconds(every)), 0.0
        while not _holds(condition):
            if passed >= limit:
                raise AssertionError(f"not within {limit:g} s of cluster time; the last changes:\n{self.story(10)}")
            self.step(pace)
            passed += pace
        return passed

    @contextmanager
    def running(self, speed: float = 1.0) -> Iterator[None]:
        """Let time run by itself meanwhile, for clients that wait: exec, watches, operators. ``speed`` 1 is ours."""
        self._clock(lambda clock: clock.run_at(speed))
        try:
            yield
        finally:
            self._clock(lambda clock: clock.pause())
            self._server.run(settle(self._tenant))

    def _clock(self, change: Callable[[PacedClock], Any]) -> None:
        self.call(lambda cluster: cluster.set_clock(lambda: change(_clock_of(cluster))))

    # What happens in it.

    def story(self, most: int = 50) -> str:
        """The last changes, each with what it answers to, a line each."""

        def told(cluster: Simulated) -> list[str]:
            trace = cluster.trace
            return [sentence(entry, trace.get) for entry in trace.since(max(0, trace.last - most))]

        return "\n".join(self.call(told))

    def crashes(self) -> list[str]:
        """Exceptions within the simulation that nobody foresaw; what happened after one may not be as on a cluster."""
        return self.call(lambda cluster: [str(crash) for crash in cluster.clock.crashes.latest])

    def fault(self, fault: str, target: str) -> None:
        """Break something: ``stop-node``, ``pause-node``, ``cut-node``, ``fill-node``, ``stop-component``,
        ``kill-container`` (NAMESPACE/POD/CONTAINER); ``start-node`` and ``start-component`` undo it.

        HostError for one that is unknown.
        """

        async def broken() -> None:
            self._tenant.fault(fault, target)
            await settle(self._tenant)

        self._server.run(broken())

    def call(self, work: Callable[[Simulated], T]) -> T:
        """The result of ``work``, which is given the cluster itself (:class:`simkube.cluster.cluster.Cluster`).

        It runs in the cluster's thread: it must not wait.
        """

        async def called() -> T:
            return work(self._tenant.cluster)

        return self._server.run(called())

    def write(self, work: Callable[[Simulated], T]) -> T:
        """As :meth:`call`, and then what it sets going at this moment."""

        async def written() -> T:
            try:
                return work(self._tenant.cluster)
            finally:
                await settle(self._tenant)

        return self._server.run(written())

    def close(self) -> None:
        """Remove it."""

        async def removed() -> None:
            self._server.tenants.delete(self.name)

        self._server.run(removed())

    @property
    def _tenant(self) -> Tenant:
        return self._server.tenants.get(self.name)


class Client:
    """The API without HTTP, as an administrator: objects are JSON, and yours to change.

    ``resource`` is a plural with its group, as kubectl writes it: ``pods``, ``deployments.apps``. Every refusal is a
    :class:`~simkube.apimachinery.errors.StatusError`.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def get(self, resource: str, name: str, namespace: str = "") -> Obj:
        """The object now."""
        return copy_of(self._cluster.call(lambda one: _direct(one).get(resource, name, namespace)))

    def list(self, resource: str, namespace: str = "", *, labels: str = "", fields: str = "") -> list[Obj]:
        """All objects of the resource, of one namespace or of all; selectors in kubectl's syntax."""
        found = self._cluster.call(lambda one: _direct(one).list(resource, namespace, labels=labels, fields=fields))
        return [copy_of(each) for each in found]

    def create(self, resource: str, obj: Obj, namespace: str = "") -> Obj:
        """Create an object."""
        return copy_of(self._cluster.write(lambda one: _direct(one).create(resource, obj, namespace)))

    def update(self, resource: str, obj: Obj, *, subresource: str = "") -> Obj:
        """Replace an object."""
        return copy_of(self._cluster.write(lambda one: _direct(one).update(resource, obj, subresource=subresource)))

    def patch(self, resource: str, name: str, patch: Patch, namespace: str = "", *, type: PatchType = "merge") -> Obj:
        """Patch an object."""
        return copy_of(self._cluster.write(lambda one: _direct(one).patch(resource, name, patch, namespace, type=type)))

    def apply(self, resource: str, obj: Obj) -> Obj:
        """Server-side apply, taking over what others manage; a namespaced object without namespace goes to default."""
        meta = obj["metadata"]
        known = kinds.RESOURCES.get(resource) or self._cluster.call(lambda one: one.apiserver.registry.named(resource))
        namespace = (meta.get("namespace") or "default") if known is not None and known.namespaced else ""
        applied = self._cluster.write(
            lambda one: _direct(one).apply(resource, meta["name"], obj, namespace, manager=MANAGER)
        )
        return copy_of(applied)

    def delete(self, resource: str, name: str, namespace: str = "", **options: Any) -> None:
        """Delete an object; ``options`` as in ``DeleteOptions``. There being none is no error."""
        self._cluster.write(lambda one: _direct(one).delete(resource, name, namespace, **options))


def _direct(cluster: Simulated) -> Direct:
    return Direct(cluster.gate, MANAGER, cluster.clock, user="kubernetes-admin", agent=MANAGER)


def _holds(condition: Callable[[], Any]) -> bool:
    try:
        return bool(condition())
    except LookupError:
        return False


def _clock_of(cluster: Simulated) -> PacedClock:
    found = cluster.clock
    if not isinstance(found, PacedClock):
        raise HostError("this cluster's time cannot be moved")
    return found


async def settle(tenant: Tenant) -> None:
    """Have everything happen that is to happen at this moment of a cluster whose time stands still."""
    if _clock_of(tenant.cluster).standing:
        await _step(tenant, 0.0)


async def _step(tenant: Tenant, duration: float) -> None:
    cluster, arrived = tenant.cluster, asyncio.Event()
    cluster.set_clock(lambda: _clock_of(cluster).step_to(duration))
    cluster.when_arrived(arrived.set)
    try:
        await asyncio.wait_for(arrived.wait(), STEP_WALL_SECONDS)
    except TimeoutError:
        what = f"a step of {duration:g} s is not done after {STEP_WALL_SECONDS:g} s of wall time"
        raise TimeoutError(f"{what}; {len(cluster.work)} reconciles wait") from None
