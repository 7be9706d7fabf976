"""A simulated process: a program running as a coroutine, with file descriptors, signals and an exit code.

Signals follow Linux: the first process of a container ignores every signal from inside that it has no handler for, and
from outside all but SIGKILL and SIGSTOP; a stopped process runs on at SIGCONT; one ended by signal N has exit code
128+N. Threads, sessions and job control are not simulated.
"""

from __future__ import annotations

import errno
from collections import deque
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from simkube.apimachinery.errors import SimkubeError
from simkube.clock.clock import Cancelled, Future, Task
from simkube.runtime import signals
from simkube.runtime.accounts import primary_group
from simkube.runtime.files import join, normal
from simkube.runtime.nodes import Device, Directory, FileError, Node, Symlink
from simkube.runtime.regex import RegexError
from simkube.runtime.streams import BrokenPipe, NullStream, Stream, open_node

if TYPE_CHECKING:
    from simkube.runtime.container import SimContainer

T = TypeVar("T")

_FORESEEN = (SimkubeError, BrokenPipe, RegexError)
"""What a task of a program may end with: somebody awaits it, or it does not matter."""
Program = Callable[["Process"], Coroutine[Any, Any, int]]
"""What an executable does; returns the exit code."""

Handler = Callable[[int], None]


class Exit(Exception):
    """Ends the process that raises it, with ``code``."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Replace(Exception):
    """The process becomes another program (execve); raised by whoever has set its arguments and environment."""

    def __init__(self, program: Program) -> None:
        super().__init__("exec")
        self.program = program


class RunQueue:
    """Who runs next. Resuming goes through here, so that processes waking each other never nest on the host's stack."""

    __slots__ = ("_ready", "_running")

    def __init__(self) -> None:
        self._ready: deque[Callable[[], None]] = deque()
        self._running = False

    def add(self, call: Callable[[], None]) -> None:
        """Run ``call`` after what is already waiting; at once when nothing runs."""
        self._ready.append(call)
        if self._running:
            return
        self._running = True
        try:
            while self._ready:
                self._ready.popleft()()
        finally:
            self._running = False


class ProcessTask(Task[T]):
    """A coroutine of a process: goes through the run queue, and holds still while the process is stopped."""

    __slots__ = ("_process",)

    def __init__(self, process: Process, coroutine: Coroutine[Any, Any, T]) -> None:
        super().__init__(coroutine)
        self._process = process

    def begin(self) -> None:
        """Run it until its first wait, soon."""
        self._process.container.queue.add(self._first)

    def _first(self) -> None:
        if self.done:
            self._coroutine.close()
        elif self._process.frozen:
            self._process.held.append(self._first)
        else:
            self._step()

    def _resume(self, waited: Future[Any]) -> None:
        if not self.done and self._waiting_for is waited:
            self._process.container.queue.add(lambda: self._continue(waited))

    def _continue(self, waited: Future[Any]) -> None:
        if self.done or self._waiting_for is not waited:
            return
        if self._process.frozen:
            self._process.held.append(lambda: self._continue(waited))
            return
        self._waiting_for = None
        self._step()


class Process:
    """One process of a container."""

    def __init__(
        self,
        container: SimContainer,
        pid: int,
        parent: Process | None,
        argv: list[str],
        env: dict[str, str],
        cwd: str,
        fds: dict[int, Stream],
    ) -> None:
        self.container = container
        self.pid = pid
        self.parent = parent
        self.argv = argv
        self.env = env
        self.cwd = cwd
        self.fds = fds
        self.uid: int = parent.uid if parent is not None else container.uid
        self.handlers: dict[int, Handler | None] = {}
        self.exited: Future[int] = Future()
        self.frozen = False
        self.held: list[Callable[[], None]] = []
        self.started_at = container.clock.now()
        self.background = False
        self.title = ""
        """What ``ps`` shows of it when it has changed that."""
        self.memory = 0
        self.computing = 0
        """How many of its tasks are computing right now."""
        self._had = 0.0
        self._tasks: set[Task[Any]] = set()
        self._main: ProcessTask[int] | None = None
        self.on_end: list[Callable[[], None]] = []

    # -- life ------------------------------------------------------------------------------------------------------

    def run(self, program: Program) -> None:
        """Start the program, as the process's main task."""
        self._main = ProcessTask(self, self._programs(program))
        self._main.when_done(lambda task: self._main_done(task))
        self._main.begin()

    async def _programs(self, program: Program) -> int:
        while True:
            try:
                return await program(self)
            except Replace as replaced:
                program = replaced.program

    def spawn(self, work: Coroutine[Any, Any, T]) -> Task[T]:
        """Another task of this process (a connection being served); it dies with the process."""
        task = ProcessTask(self, work)
        self._tasks.add(task)
        task.when_done(self._tasks.discard)
        task.when_done(self._task_done)
        task.begin()
        return task

    def _task_done(self, task: Future[Any]) -> None:
        if isinstance(task.error, Exception) and not isinstance(task.error, (*_FORESEEN, Exit)):
            self._crashed(task.error)

    def _crashed(self, error: BaseException) -> None:
        """A fault of a simulated program: told of its pod."""
        config = self.container.sandbox.config
        about = {"apiVersion": "v1", "kind": "Pod", "namespace": config.namespace, "name": config.name}
        command = " ".join(self.argv)[:100]
        self.container.clock.crashes.handle("containerd", f"running {command!r}", error, {**about, "uid": config.uid})

    def _main_done(self, task: Future[int]) -> None:
        try:
            code = task.result()
        except Exit as end:
            code = end.code
        except BrokenPipe:
            code = 128 + signals.PIPE
        except RegexError as error:
            self.complain(f"{self.argv[0]}: {error}")
            code = 2
        except FileError as error:
            self.complain(f"{self.argv[0]}: {error.path + ': ' if error.path else ''}{error.strerror}")
            code = 1
        except Cancelled:
            code = 128 + signals.KILL
        except (Exception, RecursionError) as error:  # noqa: BLE001 - must not take the cluster down
            self._crashed(error)
            self.complain(f"{self.argv[0]}: this use of it is not simulated (internal error of the simulation)")
            code = 70
        self.end(code & 0xFF)

    def end(self, code: int) -> None:
        """The process is over; its file descriptors and tasks go with it. A no-op when it already is."""
        if self.exited.done:
            return
        self.container.forget(self)
        for call in self.on_end:
            call()
        self.exited.set(code)
        for task in [*self._tasks, *([self._main] if self._main is not None else [])]:
            task.cancel()
        for stream in self.fds.values():
            stream.release()
        self.fds = {}
        self.held.clear()

    # -- signals ---------------------------------------------------------------------------------------------------

    def signal(self, number: int, *, outside: bool = False) -> None:
        """Deliver a signal; ``outside`` when it does not come from a process of the same container."""
        if self.exited.done or number == 0:
            return
        first = self.pid == 1
        if number == signals.KILL:
            if outside or not first:
                self.end(128 + number)
        elif number == signals.CONT:
            self._thaw()
        elif number == signals.STOP:
            if outside or not first:
                self.frozen = True
        elif number in self.handlers:
            handler = self.handlers[number]
            if handler is not None:
                self._handle(handler, number)
        elif first or number in signals.IGNORED_BY_DEFAULT:
            return
        elif number in signals.STOPPING:
            self.frozen = True
        else:
            self.end(128 + number)

    def _handle(self, handler: Handler, number: int) -> None:
        if self.frozen:
            self.held.append(lambda: self._handle(handler, number))
        elif not self.exited.done:
            handler(number)

    def _thaw(self) -> None:
        self.frozen = False
        held, self.held = self.held, []
        for call in held:
            self.container.queue.add(call)

    # -- what programs use -----------------------------------------------------------------------------------------

    async def work(self, steps: float) -> None:
        """Note ``steps`` of work done; waits when the budget is used up."""
        wait = self.container.cpu.charge(steps)
        if wait > 0.0:
            await self.burn(wait)

    async def burn(self, seconds: float) -> None:
        """Use so much processor time, which takes longer where it has to be shared or is limited."""
        processors = self.container.processors
        self.computing += 1
        self._had -= processors.served
        try:
            await processors.run(seconds)
        finally:
            self.computing -= 1
            self._had += processors.served

    @property
    def processor_seconds(self) -> float:
        """What it has computed so far."""
        return self._had + self.computing * self.container.processors.served

    async def allocate(self, size: int) -> None:
        """Hold ``size`` bytes of memory more (give back when negative); never returns when that is too much."""
        self.memory += size
        self.container.hold(size)
        if self.exited.done:
            await Future[None]()

    async def sleep(self, seconds: float) -> None:
        """Wait in cluster time."""
        await self.container.clock.sleep(seconds)

    def resolve(self, path: str) -> str:
        """A path seen from the working directory, made absolute."""
        return join(self.cwd, path)

    async def out(self, text: str | bytes) -> None:
        """Write to standard output."""
        await self.write(1, text)

    async def err(self, text: str | bytes) -> None:
        """Write a line to standard error, without failing when that is closed."""
        try:
            await self.write(2, text)
        except (FileError, BrokenPipe):
            return

    async def write(self, fd: int, text: str | bytes) -> None:
        """Write to a file descriptor; FileError EBADF."""
        data = text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
        stream = self.fds.get(fd)
        if stream is None:
            raise FileError(errno.EBADF)
        await self.work(1 + len(data) / 256)
        await stream.write(data)

    def complain(self, text: str) -> None:
        """Write to standard error without waiting: the last words of a process."""
        stream = self.fds.get(2)
        if stream is not None:
            coroutine = stream.write(f"{text}\n".encode())
            try:
                coroutine.send(None)
            except (StopIteration, FileError, BrokenPipe):
                return
            coroutine.close()

    async def read(self, fd: int = 0, most: int = 32 * 1024) -> bytes:
        """Read from a file descriptor; b"" at its end."""
        stream = self.fds.get(fd)
        if stream is None:
            raise FileError(errno.EBADF)
        data = await stream.read(most)
        await self.work(0.5 + len(data) / 256)
        return data

    def open_read(self, path: str) -> Stream:
        """Open a file for reading; FileError ENOENT, EISDIR."""
        full = self.fd_path(self.resolve(path))
        if isinstance(full, Stream):
            return full.hold()
        files = self.container.files
        place = files.find(full)
        if place.node is None:
            raise FileError(errno.ENOENT, path)
        if not self.may(place.node, 4):
            raise FileError(errno.EACCES, path)
        return open_node(place.node, place.mount.quota, self.container.clock.now)

    def open_write(self, path: str, *, append: bool = False) -> Stream:
        """Open a file for writing, made when missing; FileError EISDIR, EROFS, ENOENT, EACCES."""
        full = self.fd_path(self.resolve(path))
        if isinstance(full, Stream):
            return full.hold()
        self.check_writable(full)
        files = self.container.files
        new = not files.exists(full)
        node, quota = files.open_file(full, create=True, truncate=not append)
        if new:
            self.own(node, files.find(full).parent)
        return open_node(node, quota, self.container.clock.now, append=append)

    def check_writable(self, path: str) -> None:
        """FileError EACCES when this process's user may not write at ``path`` (root may); EROFS, which comes first,
        when nobody may, as Linux looks at the mount before it looks at modes.
        """
        if self.uid == 0:
            return
        place = self.container.files.find(path)
        if place.mount.read_only and not isinstance(place.node, Device):
            raise FileError(errno.EROFS, path)
        node = place.node if place.node is not None else place.parent
        if not isinstance(node, Device) and not self.may(node, 2):
            raise FileError(errno.EACCES, path)

    @property
    def groups(self) -> frozenset[int]:
        """The groups it is in, its primary one included."""
        config = self.container.config
        return frozenset((primary_group(self.container.files, config, self.uid), *config.groups))

    def may(self, node: Node, bit: int) -> bool:
        """Whether its user may read (4) or write (2) a file; root may always."""
        if self.uid == 0:
            return True
        if node.uid == self.uid:
            return bool(node.mode >> 6 & bit)
        if node.gid and node.gid in self.groups:
            return bool(node.mode >> 3 & bit)
        return bool(node.mode & bit)

    def own(self, node: Node, folder: Node) -> None:
        """What was just made belongs to its user, and to the folder's group where that is passed on (setgid)."""
        node.uid = self.uid
        if folder.mode & 0o2000:
            node.gid = folder.gid
            if isinstance(node, Directory):
                node.mode |= 0o2000
        else:
            node.gid = primary_group(self.container.files, self.container.config, self.uid)

    def fd_path(self, path: str) -> str | Stream:
        """The stream behind ``/dev/stdout``, ``/proc/self/fd/1`` and the like, or the path itself."""
        clean = normal(path)
        for _ in range(8):
            if clean.startswith(("/dev/std", "/dev/fd/", "/proc/")):
                break
            try:
                node = self.container.files.find(clean, follow=False).node
            except FileError:
                return path
            if not isinstance(node, Symlink):
                return path
            clean = normal(join(clean.rpartition("/")[0], node.target))
        name = _FD_NAMES.get(clean)
        if name is None:
            head, _, tail = clean.rpartition("/")
            owner = head.removeprefix("/proc/").removesuffix("/fd")
            if head in ("/dev/fd", "/proc/self/fd") and tail.isdigit():
                name = int(tail) if len(tail) < 4 else -1
            elif head == f"/proc/{owner}/fd" and owner.isdigit() and tail.isdigit():
                process = self.container.processes.get(int(owner) if len(owner) < 9 else -1)
                stream = process.fds.get(int(tail) if len(tail) < 4 else -1) if process is not None else None
                if stream is None:
                    raise FileError(errno.ENOENT, path)
                return stream
            else:
                return path
        stream = self.fds.get(name)
        if stream is None:
            raise FileError(errno.ENOENT, path)
        return stream

    def child(self, argv: list[str], *, env: dict[str, str] | None = None) -> Process:
        """A new process with the same file descriptors; FileError EAGAIN when the container has too many."""
        fds = {number: stream.hold() for number, stream in self.fds.items()}
        try:
            child = self.container.add_process(self, argv, dict(self.env) if env is None else env, self.cwd, fds)
        except FileError:
            for stream in fds.values():
                stream.release()
            raise
        child.handlers = {number: None for number, handler in self.handlers.items() if handler is None}
        return child

    def set_fd(self, number: int, stream: Stream | None) -> None:
        """Replace a file descriptor (None closes it); the stream given is now this process's."""
        old = self.fds.pop(number, None)
        if stream is not None:
            self.fds[number] = stream
        if old is not None:
            old.release()

    def detach_input(self) -> None:
        """Standard input from /dev/null: a background command of a script."""
        self.set_fd(0, NullStream())


_FD_NAMES = {"/dev/stdin": 0, "/dev/stdout": 1, "/dev/stderr": 2}
