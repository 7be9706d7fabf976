"""Keeps the provider contract with kind: one cluster per learner and lab, each node a Docker container.

What it must remember of a cluster beyond Docker (kubeconfigs, baseline, whether its creation was finished) is a folder
of its own, ``HOME/kind/NAME``, readable by its owner only. A cluster without the finished mark is PARTIAL: ``create``
removes what there is of it and begins again, ``delete`` removes it.
"""

from __future__ import annotations

import gzip
import json
import logging
import os
import re
import shutil
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path

import docker.errors
from requests.exceptions import RequestException

from labs.clusters import canaries
from labs.clusters.canaries import Known, measure
from labs.clusters.dynamic_client import APIError, DynamicClient, Obj
from labs.clusters.kind import baseline, credentials, images, metrics
from labs.clusters.kind.command import Kind
from labs.clusters.kind.faults import FAULTS, WHY_NOT, NodeFaults
from labs.clusters.kind.nodes import Nodes, clusters, connect
from labs.clusters.provider import (
    Capabilities,
    ClusterError,
    ClusterGone,
    ClusterSpec,
    ClusterState,
    ClusterStatus,
    CreateCancelled,
    Fault,
    Faults,
    Handle,
    Progress,
    Who,
    topology_file,
)
from labs.clusters.setup import add_setup, folder_of, wait_for_dns, wait_for_nodes

log = logging.getLogger(__name__)

OLDEST_DEFAULT = (1, 27)
"""What kind's own node image is at least, for every kind release of the last years; a named image says it itself."""

IMAGES, NODES, CONTROL_PLANE, LOAD, STARTING_STATE = STEPS = (
    "Getting the images",
    "Starting the nodes",
    "Starting the control plane",
    "Loading the images into the nodes",
    "Preparing the lab",
)
(CLEANING,) = RESET_STEPS = ("Undoing what changed",)


class KindProvider:
    """Clusters of kind. ``home``: where its folders go. ``node_image``: "" for kind's default."""

    name = "kind"
    privileged = True  # a node is a privileged container: root in it is root on the machine's kernel
    RESET_SECONDS = 20.0
    """How long a reset may take to prove itself before the cluster is created anew."""
    SETTLE_SECONDS = 30.0
    """How long the controllers may take to see the lab's own objects (a leader election takes 15)."""
    DNS_SECONDS = 120.0
    """How long CoreDNS may take until it answers: its pods start last."""

    def __init__(
        self,
        home: Path,
        topologies: Path,
        image_sources: Path,
        *,
        node_image: str = "",
        image_base: str = "python:3.13-slim",
        binary: str = "kind",
    ) -> None:
        self._home = home / "kind"
        self._topologies = topologies
        self._image_sources = image_sources
        self._image_base = image_base
        self._node_image = node_image
        self._kind = Kind(binary, node_image)
        self._known = Known(self._home / "canaries.json")

    def capabilities(self) -> Capabilities:
        """What kind can give on this machine now."""
        self._kind.find()
        features, why_not = self._known.features(self._image_id())
        version = re.search(r":v?(\d+)\.(\d+)", self._node_image)
        kubernetes = (int(version[1]), int(version[2])) if version else OLDEST_DEFAULT
        return Capabilities(
            self.name,
            kubernetes,
            max_nodes=3,
            faults=FAULTS,
            metrics=True,
            features=features,
            why_not={**WHY_NOT, **why_not},
        )

    def create(self, spec: ClusterSpec, progress: Progress) -> Handle:
        """Bring a cluster to the lab's starting state; about as long as kind itself takes."""
        handle: Handle = {"name": spec.name}
        progress.plan(STEPS)
        if self.status(handle).state is ClusterState.READY:
            return handle
        with _translated():
            if self._revive(handle):
                return handle
            self.delete(handle)
            try:
                self._create(spec, progress)
            except BaseException:
                self.delete(handle)  # a failed, cancelled or interrupted creation leaves nothing
                raise
        return handle

    def status(self, handle: Handle) -> ClusterStatus:
        """Look at the nodes and ask the API server whether it is ready."""
        name = handle["name"]
        try:
            nodes = self._nodes(name).all()
        except (ClusterError, docker.errors.DockerException, RequestException) as error:
            return ClusterStatus(ClusterState.PARTIAL, str(error))
        if not nodes:
            here = self._folder(name).exists()
            return ClusterStatus(ClusterState.PARTIAL if here else ClusterState.ABSENT, "it has no nodes")
        if not self._finished(name).exists():
            return ClusterStatus(ClusterState.PARTIAL, "its creation was not finished")
        down = [str(node.name) for node in nodes if node.status != "running"]
        if nodes[0].name in down:
            return ClusterStatus(ClusterState.PARTIAL, "its control plane is stopped")
        try:
            with DynamicClient(self.credentials(handle, "grader")) as objects:
                objects.request("GET", "/api/v1/namespaces/default")
        except APIError as error:
            return ClusterStatus(ClusterState.PARTIAL, f"its API server does not answer: {error}")
        return ClusterStatus(ClusterState.READY, f"stopped nodes: {', '.join(down)}" if down else "")

    def credentials(self, handle: Handle, who: Who) -> str:
        """The kubeconfig that was made for ``who`` when the cluster was created."""
        try:
            return (self._folder(handle["name"]) / f"{who}.kubeconfig").read_text()
        except FileNotFoundError:
            raise ClusterGone(f"the cluster {handle['name']} is gone; start the lab again") from None

    def reset(self, handle: Handle, spec: ClusterSpec, progress: Progress) -> Handle:
        """Undo every difference from the starting state; create anew when that cannot be proven.

        ``spec`` may be another lab's: a cluster of the same topology then becomes that lab's.
        """
        progress.plan(RESET_STEPS)
        with _translated():
            try:
                progress.step(CLEANING, done=False)
                left = self._restore(handle, spec)
                progress.step(CLEANING, done=True)
                if not left:
                    return handle
                log.warning("%s is made anew: %s", handle["name"], "; ".join(left[:10]))
            except CreateCancelled:
                raise
            except ClusterError as error:  # whatever stands in the way, a new cluster does not have it
                log.warning("%s is made anew: %s", handle["name"], error)
            self.delete(handle)
        return self.create(spec, progress)

    def faults(self, handle: Handle) -> Faults:
        """Break things in it."""
        return _KindFaults(self, handle)

    def run_id(self, handle: Handle) -> str:  # noqa: ARG002 - one engine runs all clusters
        """See :class:`labs.clusters.provider.Hosted`: of the Docker engine. Its nodes' own starts do not count, since
        learners are administrators there and can have a node start again."""
        with _translated():
            engine = connect()
            try:
                return str(engine.networks.get("bridge").attrs["Created"])  # made anew whenever the engine starts
            except docker.errors.NotFound:
                return ""  # an engine without its usual network: its starts cannot be told apart
            finally:
                engine.close()

    def delete(self, handle: Handle) -> None:
        """Remove its nodes and its folder."""
        name = handle["name"]
        with _translated():
            for node in self._nodes(name).all():
                node.remove(force=True, v=True)
        shutil.rmtree(self._folder(name), ignore_errors=True)

    def leftovers(self, known: set[str], prefix: str) -> list[str]:
        """Names of clusters whose name begins with ``prefix`` and that are not among ``known``."""
        engine = connect()
        try:
            return sorted(clusters(engine, prefix) - known)
        finally:
            engine.close()

    def _create(self, spec: ClusterSpec, progress: Progress) -> None:
        folder = self._folder(spec.name)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        topology = topology_file(self._topologies, spec.topology)
        self._kind.find()
        engine = connect()
        try:
            progress.step(IMAGES, done=False)
            images.ensure(engine, _images(spec), self._image_sources, self._image_base)
            progress.step(IMAGES, done=True)
            with ThreadPoolExecutor(1) as loader:
                self._bring_up(spec, topology, progress, loader)
        finally:
            engine.close()
        progress.step(STARTING_STATE, done=False)
        self._prepare(spec)
        self._finished(spec.name).touch()
        progress.step(STARTING_STATE, done=True)

    def _bring_up(self, spec: ClusterSpec, topology: Path, progress: Progress, loader: ThreadPoolExecutor) -> None:
        """Run kind; load the images while the control plane starts, which leaves a core idle most of the time."""
        loading: Future[None] | None = None
        progress.step(NODES, done=False)
        admin = self._folder(spec.name) / "admin.kubeconfig"
        with closing(self._kind.create(spec.name, topology, admin)) as phases:
            for phase in phases:
                if phase == "Writing configuration":
                    progress.step(NODES, done=True)
                    loading = loader.submit(self._kind.load, spec.name, _images(spec))
                progress.step(NODES if loading is None else CONTROL_PLANE, done=False)
        progress.step(CONTROL_PLANE, done=True)
        progress.step(LOAD, done=False)
        if loading is not None:
            loading.result()
        progress.step(LOAD, done=True)

    def _prepare(self, spec: ClusterSpec) -> None:
        """Identities, a settled cluster, the lab's own objects, and the baseline of it all."""
        folder = self._folder(spec.name)
        admin = (folder / "admin.kubeconfig").read_text()
        ca_key = self._nodes(spec.name).read("/etc/kubernetes/pki/ca.key")
        for who in credentials.USERS:
            _write_private(folder / f"{who}.kubeconfig", credentials.kubeconfig(who, admin, ca_key).encode())
        (folder / "admin.kubeconfig").unlink()
        with DynamicClient(self.credentials({"name": spec.name}, "grader")) as objects:
            wait_for_nodes(objects, spec.name, 120)
            self._prove(objects, spec)
            kept = json.dumps(baseline.take(objects)).encode()
            _write_private(folder / "baseline.json.gz", gzip.compress(kept))
            self._begin(objects, spec)

    def _restore(self, handle: Handle, spec: ClusterSpec) -> list[str]:
        """Undo everything, then add the lab's own objects; what could not be undone, in words."""
        self.faults(handle).heal()
        kept = json.loads(gzip.decompress((self._folder(handle["name"]) / "baseline.json.gz").read_bytes()))
        with DynamicClient(self.credentials(handle, "grader")) as objects:
            left = baseline.restore(objects, kept, self.RESET_SECONDS)
            if not left:
                self._have(spec)
                wait_for_nodes(objects, spec.name, self.RESET_SECONDS)
                self._prove(objects, spec)
                self._begin(objects, spec)
            return left

    def _begin(self, objects: DynamicClient, spec: ClusterSpec) -> None:
        """Add the lab's own objects; ready is a cluster in which names are known."""
        add_setup(objects, spec, self.SETTLE_SECONDS)
        wait_for_dns(objects, spec.name, self.DNS_SECONDS)

    def _prove(self, objects: DynamicClient, spec: ClusterSpec) -> None:
        """Have what a spec asks of its cluster; :class:`CapabilityMissing`."""
        if spec.metrics:
            metrics.install(objects)
        if spec.features:
            self._known.prove(self._image_id(), spec.features, lambda: measure(objects, None))

    def _image_id(self) -> str:
        """What tells clusters apart that may do different things: the node image, as far as it is here."""
        engine = connect()
        try:
            return str(engine.images.get(self._node_image).id) if self._node_image else self._kind.version()
        except docker.errors.ImageNotFound:
            return self._node_image
        finally:
            engine.close()

    def _have(self, spec: ClusterSpec) -> None:
        """Have the images of a spec, another lab's perhaps, in the nodes."""
        engine = connect()
        try:
            images.ensure(engine, _images(spec), self._image_sources, self._image_base)
        finally:
            engine.close()
        self._kind.load(spec.name, _images(spec))

    def _revive(self, handle: Handle) -> bool:
        """Start a finished cluster whose nodes were stopped (the machine was rebooted); whether it came back."""
        name = handle["name"]
        if not self._finished(name).exists() or not self._nodes(name).all():
            return False
        try:
            self.faults(handle).heal()
            with DynamicClient(self.credentials(handle, "grader")) as objects:
                wait_for_nodes(objects, name, 60)
                with suppress(ClusterError):  # the learner may have stopped it: their cluster is as they left it
                    wait_for_dns(objects, name, self.RESET_SECONDS)
        except ClusterError:
            return False
        return True

    def _nodes(self, name: str) -> Nodes:
        return Nodes(connect(), name)

    def _folder(self, name: str) -> Path:
        return folder_of(self._home, name)

    def _finished(self, name: str) -> Path:
        return self._folder(name) / "finished"


def _images(spec: ClusterSpec) -> list[str]:
    more = [metrics.IMAGE] * spec.metrics + [canaries.IMAGE] * bool(spec.features)
    return list(dict.fromkeys([*spec.images, *more]))


class _KindFaults:
    """Faults in one cluster, through Docker."""

    def __init__(self, provider: KindProvider, handle: Handle) -> None:
        self._provider = provider
        self._handle = handle

    def inject(self, fault: Fault, target: str) -> None:
        """Break ``target``."""
        with _translated():
            self._nodes().inject(fault, target)
            if fault in (Fault.START_COMPONENT, Fault.BACKUP_ETCD, Fault.RESTORE_ETCD):
                self._wait_for_api()

    def heal(self) -> None:
        """Undo everything, and wait until the API server answers again."""
        with _translated():
            self._nodes().heal(self._wait_for_api)

    def _nodes(self) -> NodeFaults:
        return NodeFaults(Nodes(connect(), self._handle["name"]), self._pod)

    def _pod(self, target: str) -> Obj:
        namespace, _, pod = target.partition("/")
        with DynamicClient(self._provider.credentials(self._handle, "grader")) as objects:
            try:
                return objects.request("GET", f"/api/v1/namespaces/{namespace}/pods/{pod}")
            except APIError as error:
                if error.status == 404:
                    raise ValueError(f"there is no pod {namespace}/{pod}") from error
                raise

    def _wait_for_api(self) -> None:
        deadline = time.monotonic() + 60
        while self._provider.status(self._handle).state is not ClusterState.READY:
            if time.monotonic() > deadline:
                raise ClusterError("the API server did not come back within a minute; reset the lab")
            time.sleep(0.25)  # between two questions to the API server


class _translated:  # noqa: N801 - read as `with _translated():`
    """Docker's own errors leave as :class:`ClusterError`."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, _type: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, docker.errors.DockerException | RequestException):
            raise ClusterError(f"Docker refused: {error}") from error


def _write_private(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
