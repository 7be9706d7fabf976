"""One node as those on it find it: its hardware, the numbers of its processes, and what its kubelet tells it.

The kubelet sets what only it knows (which daemons run, which pods there are, what is in ``/etc/kubernetes``); without
one there are the daemons that every node is booted with.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from simkube.runtime.usage import NODE_BYTES, NODE_CORES, SYSTEM_BYTES, Memory

if TYPE_CHECKING:
    from simkube.runtime.process import Process
    from simkube.runtime.sandbox import PodSandbox

INIT = ("/sbin/init",)
BOOTED: tuple[tuple[str, ...], ...] = (INIT, ("/usr/lib/systemd/systemd-journald",), ("/usr/local/bin/containerd",))
"""What runs on a node before any kubelet does."""
FIRST = 1000
"""Numbers of containers' processes begin here."""
JOURNAL = 200
"""So many lines the journal keeps."""


class HostPids:
    """Who has which number in the process namespace of one node."""

    def __init__(self) -> None:
        self.last = FIRST
        self._of_processes: WeakKeyDictionary[Process, int] = WeakKeyDictionary()
        self._of_daemons: dict[tuple[str, ...], int] = {INIT: 1}

    def next(self) -> int:
        """A new number."""
        self.last += 1
        return self.last

    def of(self, process: Process) -> int:
        """The number of a container's process, which is its own when it is in this namespace."""
        if process not in self._of_processes:
            own = process.container.sandbox.config.host_pid
            self._of_processes[process] = process.pid if own else self.next()
        return self._of_processes[process]

    def of_daemon(self, argv: Sequence[str]) -> int:
        """The number of a daemon, the same for as long as it is started alike."""
        return self._of_daemons.setdefault(tuple(argv), 100 + 20 * len(self._of_daemons))


class Machine:
    """See the module. ``started`` is when the node was switched on, in cluster seconds.

    ``daemons`` are the command lines of what runs beside containers, ``sandboxes`` the pods that are known, ``files``
    what is added to what a node is installed with (path -> text); ``journal`` is what units said of late: when, which,
    and the line.
    """

    def __init__(self, started: float, cores: float = NODE_CORES, memory: int = NODE_BYTES) -> None:
        self.started = started
        self.cores = cores
        self.spent = 0.0
        """Processor seconds of containers that are gone."""
        self.memory = Memory(memory, SYSTEM_BYTES)
        self.pids = HostPids()
        self.daemons: Callable[[], Sequence[Sequence[str]]] = lambda: BOOTED
        self.sandboxes: Callable[[], Iterable[PodSandbox]] = tuple
        self.files: Callable[[], Mapping[str, str]] = dict
        self.journal: deque[tuple[float, str, str]] = deque(maxlen=JOURNAL)
