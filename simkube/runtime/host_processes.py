"""The processes of a node as its own process namespace numbers them: its daemons, and those of every container.

A pod with ``hostPID`` is in that namespace; so is ``/proc`` of the node's file system. Daemons are there to be seen: no
signal reaches them. Processes of containers can be signalled as by root on the node.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

from simkube.runtime.machine import HostPids
from simkube.runtime.nodes import FileError
from simkube.runtime.process import Process

if TYPE_CHECKING:
    from simkube.runtime.container import SimContainer


class Daemon(Process):
    """A program of the node itself."""

    def signal(self, number: int, *, outside: bool = False) -> None:
        """Refused: stopping parts of a node is another matter."""
        del number, outside
        raise FileError(errno.EPERM, self.argv[0])


class Seen:
    """A process of another container under its number of the node."""

    def __init__(self, process: Process, pid: int, parent: Any) -> None:
        self._process = process
        self.pid = pid
        self.parent = parent

    def __getattr__(self, name: str) -> Any:
        return getattr(self._process, name)

    def signal(self, number: int, *, outside: bool = False) -> None:
        """As root of the node sends it."""
        del outside
        self._process.signal(number, outside=True)


class HostProcesses(dict[int, Process]):
    """The processes of a node by number, looked up each time; ``viewer`` is the container that looks."""

    def __init__(self, viewer: SimContainer) -> None:
        super().__init__()
        self._viewer = viewer

    def _now(self) -> dict[int, Process]:
        machine = self._viewer.sandbox.machine
        pids = machine.pids
        found: dict[int, Process] = {}
        for argv in machine.daemons():
            pid = pids.of_daemon(argv)
            parent = found.get(1)
            found[pid] = daemon = Daemon(self._viewer, pid, parent, list(argv), {}, "/", {})
            daemon.uid, daemon.started_at = 0, machine.started
        above = next((one for one in found.values() if one.argv[0].endswith("containerd")), None)
        for sandbox in machine.sandboxes():
            for container in sandbox.containers:
                for process in container.own.values():
                    self._add(found, process, above, pids)
        return dict(sorted(found.items()))

    def _add(self, found: dict[int, Process], process: Process, above: Process | None, pids: HostPids) -> None:
        pid = pids.of(process)
        parent = above if process.parent is None else found.get(pids.of(process.parent), above)
        found[pid] = process if process.container.sandbox.config.host_pid else cast(Process, Seen(process, pid, parent))

    def __getitem__(self, pid: int) -> Process:
        return self._now()[pid]

    def __iter__(self) -> Iterator[int]:
        return iter(self._now())

    def __len__(self) -> int:
        return len(self._now())

    def __contains__(self, pid: object) -> bool:
        return pid in self._now()

    def get(self, pid: int, default: Any = None) -> Any:
        """The process of that number."""
        return self._now().get(pid, default)

    def values(self) -> Any:
        """Every process, in the order of their numbers."""
        return self._now().values()

    def items(self) -> Any:
        """Numbers and processes."""
        return self._now().items()

    def keys(self) -> Any:
        """The numbers."""
        return self._now().keys()

    def __setitem__(self, pid: int, process: Process) -> None:
        """A process is found where its container has it."""

    def pop(self, pid: int, default: Any = None) -> Any:
        """A process that has ended leaves of itself."""
        return default
