"""The container runtime of one node: images it has, volumes, sandboxes (:class:`~simkube.runtime.cri.Runtime`).

It refuses every image that the simulated registry does not have, with containerd's words; where the cluster allows
stand-ins, those that no public registry has either.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from simkube.clock.clock import Clock
from simkube.runtime import reference, registry
from simkube.runtime.cri import Credentials, Image, ImageError, SandboxConfig
from simkube.runtime.disk import Disk
from simkube.runtime.images import ImageSpec
from simkube.runtime.machine import Machine
from simkube.runtime.network.network import Network, NodeNet
from simkube.runtime.programs.table import PROGRAMS
from simkube.runtime.sandbox import PodSandbox
from simkube.runtime.usage import SYSTEM_BYTES, SYSTEM_CORES, Processors, Sample
from simkube.runtime.volume import MemoryVolume

LEFT = 50 << 20
"""What a runaway process leaves of a node's memory: less than a kubelet wants to be free (100Mi), more than nothing."""


class Engine:
    """Keeps :class:`~simkube.runtime.cri.Runtime`. ``node`` names the node; its place on the network is made when
    missing. With ``stand_ins`` public images that are not simulated are stood in for.
    """

    def __init__(self, clock: Clock, network: Network, node: str, *, stand_ins: bool = False) -> None:
        self.stand_ins = stand_ins
        self.clock = clock
        self.network = network
        self.node: NodeNet = network.node(node)
        self.machine = Machine(clock.now())
        self.machine.memory.exhausted = self._kill_worst
        self._images: dict[str, ImageSpec] = {}
        self._sandboxes: list[PodSandbox] = []
        self.machine.sandboxes = self.sandboxes
        self.disk = Disk(clock.now, parent=network.storage, machine=self.machine)

    # -- images ----------------------------------------------------------------------------------------------------

    def pull(self, image: str, credentials: Sequence[Credentials] = ()) -> Image:
        """Fetch an image; the caller waits ``pull_seconds``. ImageError ``ErrImagePull``, ``InvalidImageName``."""
        wanted = reference.parse(image)
        registry.authorize(wanted, credentials)
        spec = registry.find(wanted, stand_ins=self.stand_ins)
        self._images[spec.reference] = spec
        return _image(spec, spec.pull_seconds)

    def preload(self, image: str) -> Image:
        """Have an image from the beginning, as with ``kind load``; its pull takes no time."""
        spec = registry.find(reference.parse(image), stand_ins=self.stand_ins)
        self._images[spec.reference] = spec
        return _image(spec)

    def image(self, image: str) -> Image | None:
        """The image when this node already has it; ImageError ``InvalidImageName``."""
        spec = self._have(image)
        return None if spec is None else _image(spec)

    def images(self) -> list[Image]:
        """Every image this node has."""
        return [_image(spec) for spec in self._images.values()]

    def _have(self, image: str) -> ImageSpec | None:
        wanted = reference.parse(image)
        for spec in self._images.values():
            digest = spec.id.removeprefix(registry.SCHEME)
            if spec.reference == wanted.local or digest == f"{wanted.repository}@{wanted.digest}":
                return spec
        return None

    def _present(self, image: str) -> ImageSpec:
        spec = self._have(image)
        if spec is None:
            raise ImageError(
                "ErrImageNeverPull", f'image "{image}" is not present on node {self.node.name}; pull it first'
            )
        return spec

    # -- sandboxes -------------------------------------------------------------------------------------------------

    def volume(self, *, limit: int | None = None, in_memory: bool = False) -> MemoryVolume:
        """A new, empty volume; one ``in_memory`` takes no more than ``limit`` bytes."""
        return MemoryVolume(
            self.clock.now,
            parent=self.network.storage,
            in_memory=in_memory,
            limit=limit if in_memory else None,
        )

    def sandbox(self, config: SandboxConfig, *, ip: str = "", state: Mapping[str, Any] | None = None) -> PodSandbox:
        """A new sandbox; with ``ip`` and ``state`` one that was there before the host's restart.

        A restored one has its containers in ``.containers`` and their volumes in ``.volumes()``.
        """
        self._sandboxes = [sandbox for sandbox in self._sandboxes if not sandbox.removed]
        if state is not None:
            for kept in state["containers"]:
                self.preload(kept["config"]["image"])
        sandbox = PodSandbox(config, self.network, self.node, self._present, self.machine, PROGRAMS, ip, self.disk)
        self._sandboxes.append(sandbox)
        if state is not None:
            sandbox.restore(state)
        return sandbox

    def sandboxes(self) -> Iterable[PodSandbox]:
        """Every sandbox that was not removed."""
        return [sandbox for sandbox in self._sandboxes if not sandbox.removed]

    # -- what it has -----------------------------------------------------------------------------------------------

    def node_sample(self) -> Sample | None:
        """What the whole node used when the metrics server last looked; None when it is just up."""
        own = Processors(self.clock, self.machine.cores).sample(self.machine.started, 0)
        if own is None:
            return None
        found = (container.sample() for sandbox in self.sandboxes() for container in sandbox.containers)
        cores = SYSTEM_CORES + sum(one.cores for one in found if one is not None)
        memory = self.machine.memory
        return Sample(own.at, own.window, min(cores, self.machine.cores), memory.capacity - max(0, memory.available))

    def node_cpu_seconds(self) -> float:
        """Processor time that the whole node has used since it was switched on."""
        own = SYSTEM_CORES * (self.clock.now() - self.machine.started)
        containers = (container for sandbox in self.sandboxes() for container in sandbox.containers)
        return own + self.machine.spent + sum(each.cpu_seconds for each in containers)

    def _kill_worst(self) -> None:
        """The kernel's OOM killer: the container with the highest badness, until there is memory again."""
        memory = self.machine.memory
        running = [one for sandbox in self.sandboxes() for one in sandbox.containers if one.state == "running"]
        running.sort(key=lambda one: one.memory * 1000 // memory.capacity + one.config.oom_score_adj)
        while memory.available < 0 and running:
            worst = running.pop()
            first = worst.first
            worst.out_of_memory()
            memory.victim(first.argv[0].rpartition("/")[2] if first is not None else worst.config.name, 1)

    # -- faults ----------------------------------------------------------------------------------------------------

    def power_off(self) -> None:
        """The machine is gone: nobody reaches it, every process dies. Sandboxes stay to be cleaned up at power-on."""
        self.node.reachable = False
        for sandbox in self.sandboxes():
            for container in sandbox.containers:
                container.signal(9)

    def power_on(self) -> None:
        """Reachable again; containers stay as they ended (the kubelet starts new ones)."""
        self.machine.started = self.clock.now()
        self.resume()

    def pause(self) -> None:
        """Every process stands still and nobody reaches the node."""
        self.node.reachable = False
        for sandbox in self.sandboxes():
            for container in sandbox.containers:
                container.freeze(True)

    def fill_memory(self, size: int) -> int:
        """A process outside all pods takes memory: ``size`` bytes, or (0) all but :data:`LEFT` of what is available."""
        memory = self.machine.memory
        taken = size or max(0, memory.available - LEFT)
        memory.reserve(SYSTEM_BYTES + taken)
        return taken

    def relieve_memory(self) -> None:
        """That process is gone."""
        self.machine.memory.reserve(SYSTEM_BYTES)

    def resume(self) -> None:
        """The end of :meth:`pause`."""
        self.node.reachable = True
        for sandbox in self.sandboxes():
            for container in sandbox.containers:
                container.freeze(False)


def _image(spec: ImageSpec, pull_seconds: float = 0.0) -> Image:
    return Image(spec.reference, spec.id, pull_seconds, spec.stand_in)
