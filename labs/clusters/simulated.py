"""Simulated clusters: many in one host process on this machine, each ready in a fraction of a second.

Needs only what pip installs. The host is started when it is first needed, outlives whoever started it, and comes back
with every object after it was killed. The only module of labs that knows :mod:`simkube`.
"""

from __future__ import annotations

import contextlib
import logging
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from labs.clusters.canaries import Known, measure
from labs.clusters.dynamic_client import DynamicClient
from labs.clusters.provider import (
    CannotChange,
    CannotFork,
    Capabilities,
    ClusterError,
    ClusterGone,
    ClusterSpec,
    ClusterState,
    ClusterStatus,
    Controls,
    CreateCancelled,
    Fault,
    Faults,
    Handle,
    Progress,
    Who,
    topology_file,
)
from labs.clusters.setup import add_setup, folder_of, wait_for_nodes
from simkube.apimachinery.errors import ForkGone, HostError

if TYPE_CHECKING:
    from simkube.host.launcher import HostClient

log = logging.getLogger(__name__)

KUBERNETES = (1, 36)
SIMULATOR = f"simulated {version('kindling')}"
"""What all these clusters do alike."""
TRIED = "-try"
"""What the name of a cluster ends with in which is tried out what such clusters can do."""
HOST, CLUSTER, NODES, STARTING_STATE = (
    "Starting the simulation host",
    "Creating the cluster",
    "Waiting for its nodes",
    "Applying the lab's starting state",
)
USERS = {"learner": "learner", "grader": "kindling:grader"}
"""Whose credentials there are, and who they are in the cluster."""
FORK = "fork"
"""In a handle: where a copy of its cluster is (:meth:`simkube.host.launcher.HostClient.fork`)."""
CLEANING = "Returning to the starting state"
NODES_SECONDS = 20.0
SETTLE_SECONDS = 20.0


class SimulatedProvider:
    """See :class:`labs.clusters.provider.Provider`. State lives in ``home``/simkube (host) and ``home``/simulated."""

    name = "simulated"
    privileged = False

    def __init__(self, home: Path, topologies: Path) -> None:
        self._host_home = home / "simkube"
        self._folder = home / "simulated"
        self._topologies = topologies
        self._known = Known(self._folder / "canaries.json")

    def capabilities(self) -> Capabilities:
        """Always the same, as it needs nothing that this machine may lack, and what was found when it was tried out."""
        features, why_not = self._known.features(SIMULATOR)
        return Capabilities(
            self.name, KUBERNETES, 3, frozenset(Fault), metrics=True, features=features, why_not=why_not
        )

    def create(self, spec: ClusterSpec, progress: Progress) -> Handle:
        """Bring a cluster to the lab's starting state. What was left half-done is made anew."""
        handle: Handle = {"name": spec.name}
        progress.plan([HOST, CLUSTER, NODES, STARTING_STATE])
        if self._finished(spec.name).exists() and self.status(handle).state is ClusterState.READY:
            return handle
        topology = yaml.safe_load(topology_file(self._topologies, spec.topology).read_text(encoding="utf-8"))
        with _translated(), _step(progress, HOST):
            host = self.host()
        with _translated(), _step(progress, CLUSTER):
            self._prove(host, spec)
            host.delete(spec.name)
            labels, owner = dict(spec.labels), spec.labels.get("learner", "")
            host.create(spec.name, topology, labels, users=USERS, images=spec.unknown_images, owner=owner)
        with _translated(), DynamicClient(self.credentials(handle, "grader")) as objects:
            with _step(progress, NODES):
                wait_for_nodes(objects, spec.name, NODES_SECONDS)
            host.snapshot(spec.name)
            with _step(progress, STARTING_STATE):
                add_setup(objects, spec, SETTLE_SECONDS)
        marker = self._finished(spec.name)
        marker.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        marker.touch()
        return handle

    def _prove(self, host: HostClient, spec: ClusterSpec) -> None:
        """Have what a spec needs tried out, in a cluster of its own: the lab's shall have no traces of it."""
        if spec.features:
            self._known.prove(SIMULATOR, spec.features, lambda: self._try_out(host, spec.name + TRIED))

    def _try_out(self, host: HostClient, name: str) -> dict[str, str]:
        topology = yaml.safe_load(topology_file(self._topologies, "single").read_text(encoding="utf-8"))

        def audited(wanted: str) -> bool:
            return any(one.get("objectRef", {}).get("name") == wanted for one in host.audit(name)["events"])

        try:
            host.create(name, topology, users=USERS)
            with DynamicClient(self.credentials({"name": name}, "grader")) as objects:
                wait_for_nodes(objects, name, NODES_SECONDS)
                return measure(objects, audited)
        finally:
            host.delete(name)

    def status(self, handle: Handle) -> ClusterStatus:
        """Ask the host; starting it (after a reboot, say) brings every cluster back."""
        try:
            with _translated():
                host, name = self.where(handle)
                found = host.status(name)
        except ClusterGone as error:
            return ClusterStatus(ClusterState.ABSENT, str(error))
        except ClusterError as error:
            return ClusterStatus(ClusterState.PARTIAL, str(error))
        if found is None:
            return ClusterStatus(ClusterState.ABSENT, "the host has no such cluster")
        if FORK in handle:
            return ClusterStatus(ClusterState.READY)
        if not self._finished(handle["name"]).exists():
            return ClusterStatus(ClusterState.PARTIAL, "its creation was not finished")
        return ClusterStatus(ClusterState.READY)

    def credentials(self, handle: Handle, who: Who) -> str:
        """A kubeconfig with a bearer token of its own for each."""
        with _translated():
            host, name = self.where(handle)
            config = host.kubeconfig(name, who)
        if config is None:
            raise _gone(handle)
        return config

    def reset(self, handle: Handle, spec: ClusterSpec, progress: Progress) -> Handle:
        """Back to the snapshot taken before the lab's own objects were made, then those again; else a new cluster."""
        marker = self._finished(spec.name)
        if self.status(handle).state is ClusterState.READY:
            marker.unlink()  # whoever finds it half-way makes it anew
            try:
                self._restore(handle, spec, progress)
            except CreateCancelled:
                raise
            except ClusterError as error:
                log.warning("resetting %s: %s; making it anew", spec.name, error)
            else:
                marker.touch()
                return handle
        return self.create(spec, progress)

    def _restore(self, handle: Handle, spec: ClusterSpec, progress: Progress) -> None:
        progress.plan([CLEANING, STARTING_STATE])
        with _translated():
            host = self.host()
            with _step(progress, CLEANING):
                host.heal(spec.name)
                host.restore(spec.name)
            with DynamicClient(self.credentials(handle, "grader")) as objects, _step(progress, STARTING_STATE):
                wait_for_nodes(objects, spec.name, NODES_SECONDS)
                add_setup(objects, spec, SETTLE_SECONDS)

    def faults(self, handle: Handle) -> Faults:
        """Break things in it."""
        return _SimulatedFaults(self, handle)

    def controls(self, handle: Handle) -> Controls:
        """Its clock, its components and its trace."""
        return _SimulatedControls(self, handle)

    def run_id(self, handle: Handle) -> str:
        """See :class:`labs.clusters.provider.Hosted`: the host says it of each of its clusters."""
        with _translated():
            host, name = self.where(handle)
            found = host.status(name)
        if found is None:
            raise _gone(handle)
        return str(found["run"])

    def fork(self, handle: Handle, seconds: float) -> Handle:
        """See :class:`labs.clusters.provider.Forkable`."""
        with _translated(), self.asking(handle, CannotFork) as (host, name):
            copy = host.fork(name, seconds)
        return {"name": handle["name"], FORK: copy}

    def runs(self) -> bool:
        """See :class:`labs.clusters.provider.Watched`: the host."""
        from simkube.host import launcher

        return launcher.listens(self._host_home)

    def delete(self, handle: Handle) -> None:
        """Remove the cluster and its marker. Where no host has ever run there is nothing to remove."""
        if FORK in handle:
            with contextlib.suppress(ClusterGone), _translated():
                host, name = self.where(handle)
                host.delete(name)
            return
        if self._host_home.exists():
            with _translated():
                self.host().delete(handle["name"])
                self.host().delete(handle["name"] + TRIED)  # of a creation that was killed
        shutil.rmtree(self._finished(handle["name"]).parent, ignore_errors=True)

    def shutdown(self) -> None:
        """End the host process; the next one that is needed brings every cluster back."""
        from simkube.host import launcher

        with _translated():
            launcher.shutdown(self._host_home)

    def host(self) -> HostClient:
        """The running host, started when there is none."""
        from simkube.host import launcher  # only where a simulated cluster is used

        return launcher.connect(self._host_home)

    def where(self, handle: Handle) -> tuple[HostClient, str]:
        """Whom to ask about a cluster, and under which id it is known there."""
        copy = handle.get(FORK)
        if copy is None:
            return self.host(), handle["name"]
        from simkube.host import launcher

        return launcher.ForkClient(copy), copy["id"]

    @contextmanager
    def asking(self, handle: Handle, refused: Callable[[str], Exception]) -> Iterator[tuple[HostClient, str]]:
        """As :meth:`where`, for something that may be refused: with ``refused``, made of the reason."""
        host, name = self.where(handle)
        try:
            yield host, name
        except HostError as error:
            if error.__cause__ is not None:  # it did not answer at all
                raise
            if host.status(name) is None:
                raise _gone(handle) from error
            raise refused(str(error)) from error

    def _finished(self, name: str) -> Path:
        return folder_of(self._folder, name) / "finished"


class _SimulatedFaults:
    """Faults in one cluster, through its host."""

    def __init__(self, provider: SimulatedProvider, handle: Handle) -> None:
        self._provider, self._handle = provider, handle

    def inject(self, fault: Fault, target: str) -> None:
        """Break ``target``; ``ValueError`` when there is none."""
        with _translated(), self._provider.asking(self._handle, ValueError) as (host, name):
            host.fault(name, fault.value, target)

    def heal(self) -> None:
        """Undo every stop and pause."""
        with _translated():
            host, name = self._provider.where(self._handle)
            host.heal(name)


class _SimulatedControls:
    """Clock, components and trace of one cluster, through its host."""

    def __init__(self, provider: SimulatedProvider, handle: Handle) -> None:
        self._provider, self._handle = provider, handle

    def clock(self, change: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """See :class:`labs.clusters.provider.Controls`."""
        return self._ask("clock", change)

    def components(self, change: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """See :class:`labs.clusters.provider.Controls`."""
        return self._ask("components", change)

    def trace(self, since: int = 0, *, wait: int = 0, of: int | None = None) -> dict[str, Any]:
        """See :class:`labs.clusters.provider.Controls`."""
        return self._ask("trace", None, f"since={since}&wait={wait}" + ("" if of is None else f"&of={of}"))

    def graded(self, seconds: float) -> None:
        """Pin the clock."""
        with _translated():
            host, name = self._provider.where(self._handle)
            host.pin(name, seconds, "this lab is being checked")

    def _ask(self, what: str, change: Mapping[str, Any] | None, query: str = "") -> dict[str, Any]:
        with _translated(), self._provider.asking(self._handle, CannotChange) as (host, name):
            return host.control(name, what, None if change is None else dict(change), query)


def _gone(handle: Handle) -> ClusterGone:
    what = "the copy of the cluster" if FORK in handle else "the cluster"
    return ClusterGone(f"{what} {handle['name']} is gone; start the lab again")


@contextmanager
def _step(progress: Progress, name: str) -> Iterator[None]:
    progress.step(name, done=False)
    yield
    progress.step(name, done=True)


@contextmanager
def _translated() -> Iterator[None]:
    """The host's trouble in the words of the contract."""
    try:
        yield
    except ForkGone as error:
        raise ClusterGone(str(error)) from error
    except HostError as error:
        raise ClusterError(f"the simulation host: {error}", "kindling doctor") from error
