"""A container: an image's files and environment, a process table, and the first process that its life hangs on.

Bounded: :data:`MAX_PROCESSES` processes, :data:`ROOT_BYTES` of files of its own, a log of fixed size, a CPU bucket.
Users other than by number, capabilities, cgroups and namespaces beyond these are not simulated.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from simkube.clock.clock import Future, Timer
from simkube.runtime import signals
from simkube.runtime.cpu import CPU
from simkube.runtime.cri import ContainerConfig, Image, ImageError, StartError
from simkube.runtime.executables import load, which
from simkube.runtime.files import FileSystem
from simkube.runtime.host_processes import HostProcesses
from simkube.runtime.images import ImageSpec
from simkube.runtime.log import ContainerLog
from simkube.runtime.nodes import Directory, FileError, Quota
from simkube.runtime.process import Process, Program
from simkube.runtime.procfs import mount_kernel_files
from simkube.runtime.session import Attached, Session
from simkube.runtime.stdin import MOST_WAITING, Keyboard, PipeInput
from simkube.runtime.streams import NullStream, OutputStream, Pipe, Stream
from simkube.runtime.terminal import Terminal
from simkube.runtime.usage import Processors, Sample
from simkube.runtime.volume import MemoryVolume, dump_tree, private_size, restore_tree

if TYPE_CHECKING:
    from simkube.runtime.sandbox import PodSandbox

MAX_PROCESSES = 64
NOT_FOUND = 127
"""How a shell ends that does not find a program."""
PROCESS_BYTES = 256 * 1024
"""Memory of a process that holds nothing to speak of."""
ROOT_BYTES = 8 * 1024 * 1024
CONTAINER_STEPS = (1_500.0, 12_000.0)
"""Steps a second and at most at once for one container."""

_SHIM = "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: "


class PidSpace:
    """Process numbers and what has them: of one container, or of several."""

    __slots__ = ("last", "processes")

    def __init__(self) -> None:
        self.processes: dict[int, Process] = {}
        self.last = 0

    def number(self) -> int:
        """The next number."""
        self.last += 1
        return self.last


class HostSpace(PidSpace):
    """The node's own: everything that runs there is in it."""

    __slots__ = ("_pids",)

    def __init__(self, viewer: SimContainer) -> None:
        super().__init__()
        self.processes = HostProcesses(viewer)
        self._pids = viewer.sandbox.machine.pids

    def number(self) -> int:
        """The next number on the node."""
        return self._pids.next()


class SimContainer:
    """Keeps :class:`~simkube.runtime.cri.Container`.

    ``durable`` is what its programs want to find again after the host was killed (JSON).
    """

    def __init__(
        self,
        sandbox: PodSandbox,
        config: ContainerConfig,
        spec: ImageSpec,
        id: str,
        kept: Mapping[str, Any] | None = None,
    ) -> None:
        """``kept`` is what :meth:`dump` gave of it, which :meth:`restore` then has to be called with."""
        self.sandbox = sandbox
        self.config = config
        self.spec = spec
        self.id = id
        self.clock = sandbox.clock
        self.queue = sandbox.network.queue
        self.programs = sandbox.programs
        self.image = Image(spec.reference, spec.id, spec.pull_seconds, spec.stand_in)
        self.state = "created"
        self.started_at = 0.0
        self.finished_at = 0.0
        self.reason = ""
        self.durable: dict[str, Any] = {}
        self.exited: Future[int] = Future()
        self.log = ContainerLog(self.clock, sandbox.touch)
        self.cpu = CPU(self.clock, *CONTAINER_STEPS, parent=sandbox.network.cpu)
        self.processors = Processors(self.clock, self._cores(config.cores), spec.cores)
        self.memory = 0
        """Bytes its processes hold."""
        self.memory_limit = config.memory
        self.uid = config_user(config, spec)
        self.env = {**spec.env, "HOSTNAME": sandbox.config.hostname, **config.env}
        self.space = self._space()
        self.processes = self.space.processes
        self.own: dict[int, Process] = {}
        """Its own processes; :attr:`processes` has those of others too, where their number space is shared."""
        self.first: Process | None = None
        self.stdin: PipeInput | Keyboard | None = None
        self._grace: Timer | None = None
        self.quota = Quota(ROOT_BYTES, sandbox.network.storage)
        self.root = spec.root
        try:
            self.files = self._mount(self._private_root(kept))
        except FileError:
            self.quota.close()
            raise

    def _private_root(self, kept: Mapping[str, Any] | None) -> Directory:
        """What of its root is its own: nothing yet, or what was kept of it."""
        root = Directory()
        if kept is not None:
            root.entries = restore_tree(kept["root"], self.root)
            self.quota.charge(private_size(root))
        return root

    def _mount(self, root: Directory) -> FileSystem:
        """The container's file system: a private root over the image's tree, kernel files, volumes."""
        root.entries = root.entries or dict(self.root.entries)
        files = FileSystem(root, self.quota, self.clock.now)
        mount_kernel_files(self, files)
        for mount in sorted(self.config.mounts, key=lambda mount: len(mount.path)):
            volume = mount.volume
            if isinstance(volume, MemoryVolume):
                if volume.in_memory:
                    volume.on_write(lambda: self.sandbox.hold_files())
                files.mount(mount.path, volume.mount_point(read_only=mount.read_only, sub_path=mount.sub_path))
                for below, point in volume.mounts_below(mount.sub_path, self).items():
                    files.mount(mount.path.rstrip("/") + below or "/", point)
        files.mounts["/"].read_only = self.config.read_only_root
        return files

    # -- life ------------------------------------------------------------------------------------------------------

    def command(self) -> list[str]:
        """What its first process is started with, after Kubernetes' rule for ``command`` and ``args``."""
        if self.config.command:
            return [*self.config.command, *(self.config.args or ())]
        if self.config.args:
            return [*self.spec.entrypoint, *self.config.args]
        return [*self.spec.entrypoint, *self.spec.cmd]

    def start(self) -> None:
        """Run its first process; StartError with the words of runc."""
        if self.state != "created":
            raise StartError(f"container {self.id} has already been started")
        self.started_at = self.clock.now()
        try:
            self._run_first()
        except StartError:
            self.started_at = 0.0
            raise
        self.sandbox.touch()

    def _run_first(self) -> None:
        argv = self.command()
        cwd = self.config.working_dir or self.spec.working_dir
        try:
            if not self.files.is_directory(cwd):
                self.files.make_directories(cwd)
            program, arguments = self.load(self._executable(argv[0], cwd), argv, self.env)
        except FileError as error:
            raise start_error(argv[0], error, _SHIM) from None
        self.sandbox.share(self)
        self._begin(program, arguments, cwd)
        self.hold(self.spec.memory)

    def _begin(self, program: Program, arguments: list[str], cwd: str) -> None:
        process = self.add_process(None, arguments, {**self.env, **self._home()}, cwd, self._standard_streams())
        self.state = "running"
        self.first = process
        process.exited.when_done(lambda future: self._ended(future.result()))
        process.run(program)

    def load(self, path: str, argv: Sequence[str], env: Mapping[str, str]) -> tuple[Program, list[str]]:
        """The program behind an executable file of it and the arguments it gets; FileError ENOENT, ENOEXEC."""
        return load(self.files, path, argv, env, self.programs)

    def _executable(self, name: str, cwd: str) -> str:
        """Where the first process's program is; what a stand-in does not have it stands in for as well."""
        try:
            return which(self.files, name, self.env, cwd)
        except FileError:
            if not self.spec.stand_in:
                raise
            return self.spec.entrypoint[0]

    def _home(self) -> dict[str, str]:
        return {} if "HOME" in self.env else {"HOME": "/root" if self.uid == 0 else "/"}

    def _standard_streams(self) -> dict[int, Stream]:
        if self.config.tty:
            terminal = Terminal(self, self.log.write)
            self.stdin = Keyboard(terminal)
            return {0: terminal, 1: terminal.hold(), 2: terminal.hold()}
        out, err = OutputStream("stdout", self.log.write), OutputStream("stderr", self.log.write)
        if self.config.stdin:
            pipe = Pipe(MOST_WAITING)
            self.stdin = PipeInput(pipe)
            return {0: pipe.reader, 1: out, 2: err}
        return {0: NullStream(), 1: out, 2: err}

    def _ended(self, code: int) -> None:
        mine = self.processes if self.first is not None and self.first.pid == 1 else self.own
        for process in list(mine.values()):
            process.end(128 + signals.KILL)
        if self.spec.stand_in and code == NOT_FOUND:
            self._stand_in()
            return
        if self._grace is not None:
            self._grace.cancel()
        self.log.flush()
        self.state = "exited"
        self.finished_at = self.clock.now()
        self.reason = self.reason or ("Completed" if code == 0 else "Error")
        self.sandbox.machine.memory.hold(-self.memory)
        self.memory = 0
        self.sandbox.touch()
        self.exited.set(code)

    def _stand_in(self) -> None:
        """Its pod's own command (a script, say) wants a program that is not there: what stands in for the image does
        so for the command as well."""
        path = self.spec.entrypoint[0]
        program, arguments = self.load(path, [path], self.env)
        self._begin(program, arguments, self.spec.working_dir)

    def signal(self, number: int) -> None:
        """From outside: SIGKILL always ends it, SIGSTOP freezes all of it, others reach its first process."""
        if number in (signals.STOP, signals.CONT):
            for process in list(self.own.values()):
                process.signal(number, outside=True)
        elif self.first is not None:
            self.first.signal(number, outside=True)

    def stop(self, grace: float) -> Future[int]:
        """The image's stop signal (SIGTERM), then SIGKILL after ``grace`` seconds; :attr:`exited`."""
        if self.state == "created":
            self.state, self.finished_at = "exited", self.clock.now()
            self.exited.set(128 + signals.KILL)
        elif self.state == "running":
            if self._grace is not None:
                self._grace.cancel()
            if grace > 0:
                self._grace = self.clock.call_later(grace, lambda: self.signal(signals.KILL))
                self.signal(signals.number_of(self.config.stop_signal) or self.spec.stop_signal)
            else:
                self.signal(signals.KILL)
        return self.exited

    def freeze(self, frozen: bool) -> None:
        """Stop or resume every process: a paused node."""
        self.signal(signals.STOP if frozen else signals.CONT)

    def _space(self) -> PidSpace:
        """Where its processes are numbered: in one of its own, with the container it looks at, or with all of its pod.

        ImageError stands for what the kubelet reports when that container does not run.
        """
        if self.sandbox.config.host_pid:
            return HostSpace(self)
        target = self.config.pid_of
        if target:
            for other in reversed(self.sandbox.containers):
                if other.config.name == target and other.state == "running":
                    return other.space
            raise ImageError("CreateContainerError", f"unable to find target container {target}")
        return self.sandbox.space if self.sandbox.space is not None else PidSpace()

    # -- processes -------------------------------------------------------------------------------------------------

    def add_process(
        self, parent: Process | None, argv: list[str], env: dict[str, str], cwd: str, fds: dict[int, Stream]
    ) -> Process:
        """A process in the table, not yet running; FileError EAGAIN when there are too many."""
        if len(self.own) >= MAX_PROCESSES:
            raise FileError(errno.EAGAIN)
        process = Process(self, self.space.number(), parent, argv, env, cwd, fds)
        self.own[process.pid] = self.processes[process.pid] = process
        self.hold(PROCESS_BYTES)
        return process

    def forget(self, process: Process) -> None:
        """Take an ended process out of the table; its children become the first process's."""
        self.processes.pop(process.pid, None)
        if self.own.pop(process.pid, None) is not None:
            self.hold(-PROCESS_BYTES - process.memory)
        first = self.processes.get(1)
        for other in self.processes.values():
            if other.parent is process:
                other.parent = first

    def exec(self, argv: Sequence[str], output: Callable[[str, bytes], None], *, tty: bool = False) -> Session:
        """Run a command in it; StartError as runc words it (127 not found, 126 not executable)."""
        if self.state != "running":
            raise StartError(f"container {self.id} is not running", 128, "ContainerNotRunning")
        cwd = self.config.working_dir or self.spec.working_dir
        if not argv:
            raise StartError("process args cannot be empty", 126)
        try:
            program, arguments = self.load(which(self.files, argv[0], self.env, cwd), argv, self.env)
            session = Session(self, arguments, {**self.env, **self._home()}, cwd, output, tty=tty)
        except FileError as error:
            raise start_error(argv[0], error, "OCI runtime exec failed: exec failed: ") from None
        session.process.run(program)
        return session

    def attach(self, output: Callable[[str, bytes], None]) -> Attached:
        """Have what its first process writes from now on; ``stdin`` is None when the container has none."""
        return Attached(self, output)

    # -- what it takes of its node ---------------------------------------------------------------------------------

    def _cores(self, limit: float | None) -> float:
        have = self.sandbox.machine.cores
        return have if limit is None else min(limit, have)

    def limit(self, cores: float | None, memory: int | None) -> None:
        """Other limits from now on; what it holds beyond the new one kills it, as the kernel would."""
        self.processors.limit(self._cores(cores))
        self.memory_limit = memory
        self.config = replace(self.config, cores=cores, memory=memory)
        self.sandbox.touch()
        self.hold(0)

    @property
    def written(self) -> int:
        """Bytes of files of its own."""
        return self.quota.used

    def on_write(self, call: Callable[[], None]) -> None:
        """Call ``call`` after each write to its own files."""
        self.quota.grown = call

    @property
    def working_set(self) -> int:
        """The memory it uses, its files in memory included."""
        volumes = (mount.volume for mount in self.config.mounts)
        return self.memory + sum(one.quota.used for one in volumes if isinstance(one, MemoryVolume) and one.in_memory)

    @property
    def cpu_seconds(self) -> float:
        """Processor time that its processes have used, in seconds; none is used once it has ended."""
        return self.processors.total

    def hold(self, size: int) -> None:
        """Its processes hold so much more memory; the kernel kills all of them when that is more than they may."""
        self.memory += size
        self.sandbox.machine.memory.hold(size)
        if size >= 0 and self.memory_limit is not None and self.working_set > self.memory_limit:
            self.out_of_memory()

    def out_of_memory(self) -> None:
        """End every process as the kernel's OOM killer does (``memory.oom.group``)."""
        if self.state == "running":
            self.reason = "OOMKilled"
            self.signal(signals.KILL)

    def sample(self) -> Sample | None:
        """What it used when the metrics server last looked; None when it does not run or had not for long enough."""
        if self.state != "running":
            return None
        return self.processors.sample(self.started_at, self.working_set)

    # -- a restart of the host -------------------------------------------------------------------------------------

    def dump(self, volumes: Mapping[int, int]) -> dict[str, Any]:
        """State, log and own files as JSON; ``volumes`` maps ``id(volume)`` to its number in the sandbox's dump."""
        config = self.config
        root = self.files.mounts["/"].root
        assert isinstance(root, Directory)
        return {
            "id": self.id,
            "config": {
                "name": config.name,
                "image": config.image,
                "command": list(config.command) if config.command is not None else None,
                "args": list(config.args) if config.args is not None else None,
                "env": dict(config.env),
                "working_dir": config.working_dir,
                "stdin": config.stdin,
                "tty": config.tty,
                "run_as_user": config.run_as_user,
                "run_as_group": config.run_as_group,
                "groups": list(config.groups),
                "read_only_root": config.read_only_root,
                "pid_of": config.pid_of,
                "stop_signal": config.stop_signal,
                "cores": config.cores,
                "memory": config.memory,
                "oom_score_adj": config.oom_score_adj,
                "attempt": config.attempt,
                "expected_ports": [list(one) for one in config.expected_ports],
                "expected_to_end": config.expected_to_end,
            },
            "mounts": [[volumes[id(m.volume)], m.path, m.read_only, m.sub_path] for m in config.mounts],
            "state": self.state,
            "started_at": self.started_at,
            "finished_at": self.finished_at,
            "reason": self.reason,
            "exit_code": self.exited.result() if self.exited.done else None,
            "durable": self.durable,
            "log": self.log.dump(),
            "root": dump_tree(root),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take back what :meth:`dump` gave; what ran starts from its beginning, with times and id unchanged.

        Its files it has had from the beginning (``kept``).
        """
        self.log.restore(state["log"])
        self.durable = dict(state["durable"])
        self.started_at, self.finished_at = state["started_at"], state["finished_at"]
        self.reason = state["reason"]
        if state["state"] == "exited":
            self.state = "exited"
            self.exited.set(state["exit_code"])
        elif state["state"] == "running":
            self._run_first()


def config_user(config: ContainerConfig, spec: ImageSpec) -> int:
    """The uid its processes run as: of the pod (``run_as_user``), else the image's."""
    return spec.user if config.run_as_user is None else config.run_as_user


def start_error(name: str, error: FileError, prefix: str) -> StartError:
    """runc's words for a command that cannot be started."""
    if error.number == errno.ENOENT and "/" not in name:
        why, code = f'exec: "{name}": executable file not found in $PATH', 127
    elif error.number == errno.ENOENT:
        why, code = f'exec: "{name}": stat {name}: no such file or directory', 127
    elif error.number == errno.ENOEXEC:
        why, code = f"exec {name}: exec format error", 126
    else:
        why, code = f'exec: "{name}": {error.strerror.lower()}', 126
    return StartError(f"{prefix}unable to start container process: {why}: unknown", 128 if "create" in prefix else code)
