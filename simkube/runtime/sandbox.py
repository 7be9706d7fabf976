"""A pod's shared environment: its address, its listening ports, its containers, and what of them outlives the host
process.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from typing import Any

from simkube.clock.clock import Clock, Future
from simkube.runtime import signals
from simkube.runtime.container import PidSpace, SimContainer
from simkube.runtime.cri import (
    ContainerConfig,
    HTTPRequest,
    HTTPResponse,
    ImageError,
    Mount,
    NetworkError,
    SandboxConfig,
)
from simkube.runtime.images import ImageSpec
from simkube.runtime.machine import Machine
from simkube.runtime.network.network import Connection, Network, NodeNet
from simkube.runtime.network.ports import PortTable
from simkube.runtime.process import Process, Program
from simkube.runtime.volume import MemoryVolume

PAUSE_USER = 65535


class PodSandbox:
    """Keeps :class:`~simkube.runtime.cri.Sandbox`.

    ``containers`` are all it ever had and that were not forgotten, in order of creation; ``version`` grows with every
    change that :meth:`dump` would show, so that its keeper can tell whether to store it again.
    """

    def __init__(
        self,
        config: SandboxConfig,
        network: Network,
        node: NodeNet,
        image: Callable[[str], ImageSpec],
        machine: Machine,
        programs: Mapping[str, Program],
        ip: str = "",
        disk: MemoryVolume | None = None,
    ) -> None:
        self.config = config
        self.network = network
        self.node = node
        self.clock: Clock = network.clock
        self.machine = machine
        self.programs = programs
        self.space = PidSpace() if config.share_processes else None
        self.containers: list[SimContainer] = []
        self.removed = False
        self._image = image
        self._disk = disk
        self._touched = 0
        self.ports = node.ports if config.host_network else PortTable()
        self.ip = node.address if config.host_network else network.attach(self, node, ip)

    def touch(self) -> None:
        """Something changed that :meth:`dump` would show."""
        self._touched += 1

    @property
    def version(self) -> int:
        """Grows with every change of state, log, own files or volumes."""
        files = sum(container.quota.version for container in self.containers)
        own = sum(volume.quota.version for volume in self.volumes() if not volume.lasting)
        return self._touched + files + own

    def volumes(self) -> list[MemoryVolume]:
        """Every volume that its containers mount, each once."""
        found: dict[int, MemoryVolume] = {}
        for container in self.containers:
            for mount in container.config.mounts:
                if isinstance(mount.volume, MemoryVolume):
                    found[id(mount.volume)] = mount.volume
        return list(found.values())

    def share(self, container: SimContainer) -> None:
        """The pause container's process comes first where all share their numbers."""
        if self.space is not None and container.space is self.space and 1 not in self.space.processes:
            self.space.processes[self.space.number()] = pause = Process(container, 1, None, ["/pause"], {}, "/", {})
            pause.uid = PAUSE_USER

    def hold_files(self) -> None:
        """A file in memory has grown: it counts as memory of whoever mounts it."""
        for container in self.containers:
            container.hold(0)

    def create(self, config: ContainerConfig) -> SimContainer:
        """A new container, not yet started; ImageError when this node does not have its image."""
        container = SimContainer(self, config, self._image(config.image), secrets.token_hex(32))
        if not container.command():
            what = f'failed to generate container "{container.id}" spec: failed to generate spec: no command specified'
            raise ImageError("CreateContainerError", what)
        self.containers.append(container)
        self.touch()
        return container

    def forget(self, container: SimContainer) -> None:
        """Drop an ended container with its log and files."""
        if container in self.containers and container.state == "exited":
            self.containers.remove(container)
            self.machine.spent += container.cpu_seconds
            container.quota.close()
            self.touch()

    async def http(self, port: int, request: HTTPRequest, *, secure: bool = False) -> HTTPResponse:
        """Ask a server in this pod, from its node; NetworkError when nobody answers. Never times out by itself."""
        connection = await self._open(port)
        try:
            return await connection.exchange(request, secure=secure)
        finally:
            connection.close()

    async def connect(self, port: int) -> None:
        """Open and close a TCP connection to this pod; NetworkError when nobody listens."""
        connection = await self._open(port)
        if connection.listener.accept is not None:
            await connection.stream()
        connection.close()

    async def grpc_health(self, port: int, service: str) -> str | None:
        """What a gRPC server says of a service's health; NetworkError, of kind ``protocol`` without gRPC."""
        connection = await self._open(port)
        connection.close()
        if connection.listener.health is None:
            raise NetworkError("protocol", "error reading server preface: EOF")
        return connection.listener.health(service)

    async def _open(self, port: int) -> Connection:
        if self.removed:
            raise NetworkError("no-route", "No route to host")
        if not self.node.reachable:
            await Future[None]()
        return Connection(self.network, self.ports.find(port, loopback=False), self.node, self.node.address)

    def remove(self) -> None:
        """Kill what runs and give the address back; a no-op when removed."""
        if self.removed:
            return
        self.removed = True
        for container in self.containers:
            container.signal(signals.KILL)
            self.machine.spent += container.cpu_seconds
            container.quota.close()
        for volume in self.volumes():
            if not volume.lasting:
                volume.quota.close()
        self.network.detach(self)

    def dump(self) -> Mapping[str, Any]:
        """Volumes and containers (state, log, own files) as JSON."""
        volumes = self.volumes()
        numbers = {id(volume): number for number, volume in enumerate(volumes)}
        return {
            "volumes": [None if volume.lasting else volume.dump() for volume in volumes],
            "containers": [container.dump(numbers) for container in self.containers],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take back what :meth:`dump` gave; containers that ran run again, from the beginning of their programs."""
        volumes = [self._restored(kept) for kept in state["volumes"]]
        for kept in state["containers"]:
            mounts = [Mount(volumes[number], path, ro, sub) for number, path, ro, sub in kept["mounts"]]
            config = ContainerConfig(**kept["config"], mounts=mounts)
            container = SimContainer(self, config, self._image(config.image), kept["id"], kept)
            self.containers.append(container)
            container.restore(kept)

    def _restored(self, kept: Mapping[str, Any] | None) -> MemoryVolume:
        """A volume of the pod as it was dumped, or the node's disk, which is kept elsewhere."""
        if kept is None and self._disk is not None:
            return self._disk
        kept = kept or {"label": "", "tree": {}}
        in_memory, limit = bool(kept.get("in_memory")), kept.get("limit")
        volume = MemoryVolume(self.clock.now, parent=self.network.storage, in_memory=in_memory, limit=limit)
        volume.restore(kept)
        return volume
