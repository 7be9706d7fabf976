"""The contract between kubelet and container runtime, after the Container Runtime Interface.

The kubelet knows pods, probes and restarts; the runtime knows images, processes and files. Neither knows the other
beyond this file. Calls return at once; what takes cluster time is a :class:`~simkube.clock.clock.Future` or happens on
the clock. Nothing here touches the host: no process, file or socket of the machine is ever opened for a container.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from simkube.apimachinery.errors import SimkubeError
from simkube.clock.clock import Future
from simkube.runtime.usage import Sample

CLUSTER_DNS = ""
"""Stands for the address of the cluster's name server in a sandbox's configuration."""
NODE_DNS = "172.18.0.1"
"""The name server of the nodes themselves: the Docker network's, which knows no names of the cluster."""


class ImageError(SimkubeError):
    """An image that cannot be had. ``reason`` is the waiting reason: ``ErrImagePull``, ``InvalidImageName``, ..."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class StartError(SimkubeError):
    """A container that cannot be started (``exec: "foo": executable file not found in $PATH``)."""

    def __init__(self, message: str, exit_code: int = 128, reason: str = "StartError") -> None:
        super().__init__(message)
        self.exit_code = exit_code
        self.reason = reason


_IN_GO = {
    "refused": "dial tcp {where}: connect: connection refused",
    "timeout": "dial tcp {where}: i/o timeout",
    "no-route": "dial tcp {where}: connect: no route to host",
    "reset": "read tcp {where}: read: connection reset by peer",
    "name": "dial tcp: lookup {host}: no such host",
}


class NetworkError(SimkubeError):
    """A connection that did not come about. ``kind``: ``refused``, ``timeout``, ``no-route``, ``name``, ``reset``."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind

    def in_go(self, host: str, port: int) -> str:
        """In the words of Go's HTTP client, as kubelet and API server report it."""
        template = _IN_GO.get(self.kind)
        return template.format(where=f"{host}:{port}", host=host) if template else str(self)


class PlainServer(NetworkError):
    """A server that does not speak TLS was asked over TLS."""

    def __init__(self) -> None:
        super().__init__("tls", "http: server gave HTTP response to HTTPS client")


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who pulls, for a registry: a host, or a host with the beginning of a path."""

    registry: str
    username: str
    password: str


@dataclass(frozen=True, slots=True)
class Image:
    """A pulled image: its id (``docker.io/library/nginx@sha256:...``) and the cluster seconds its pull took."""

    reference: str
    id: str
    pull_seconds: float
    stand_in: bool = False
    """Whether it stands in for an image that is not simulated."""


class Volume(Protocol):
    """A directory tree that containers of one pod share; made by the kubelet, filled by it or by processes."""

    def write(self, path: str, content: bytes, *, mode: int = 0o644) -> None: ...

    def project(self, files: Mapping[str, tuple[bytes, int]]) -> None:
        """Hold these files (path -> content and mode) alone, all of them from one moment to the next."""

    def read(self, path: str) -> bytes: ...

    def remove(self, path: str) -> None: ...

    def paths(self) -> list[str]: ...

    @property
    def size(self) -> int:
        """Bytes that it holds."""

    def on_write(self, call: Callable[[], None]) -> None:
        """Call ``call`` after each write."""

    def give(self, group: int, *, read_only: bool) -> None:
        """Everything in it, and what is made in it from now on, belongs to a group that may read it, or change it."""


class NodeDisk(Volume, Protocol):
    """The node's own file system, of which pods mount parts; it outlives them."""

    def make(self, path: str, mode: int = 0o755) -> None:
        """A directory and those above it; one that is there stays as it is. FileError."""

    def touch(self, path: str) -> None:
        """An empty file where there is nothing; FileError when there is no directory for it."""

    def kind(self, path: str) -> str:
        """``directory``, ``file``, ``socket``, ``char``, ``block``, ``other``, or "" for nothing."""

    def on_change(self, changed: Callable[[], None]) -> None:
        """Have ``changed`` called after each write from now on."""

    def dump(self) -> dict[str, Any]:
        """The content as JSON."""

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take back what :meth:`dump` gave."""


@dataclass(frozen=True, slots=True)
class Mount:
    """A volume at an absolute path of a container."""

    volume: Volume
    path: str
    read_only: bool = False
    sub_path: str = ""


@dataclass(frozen=True, slots=True)
class ContainerConfig:
    """What a container is made from; ``command``/``args`` None means the image's own entrypoint/cmd.

    ``attempt`` is how many of its name were there before.
    ``run_as_user`` is a uid, None means the image's own user; ``run_as_group`` a gid, None means the user's own group;
    ``groups`` are further gids (``fsGroup``, ``supplementalGroups``). ``pid_of`` names a running container of the pod
    whose processes it shares. ``stop_signal`` ("SIGUSR1") is instead of the image's. ``cores`` and ``memory`` (bytes)
    are limits, None means what the node has; the node's own memory used up, the kernel kills where ``oom_score_adj`` is
    highest. What the pod lets expect of the container is for stand-ins alone: ports, each with ``http``, ``https``,
    ``grpc`` or ``tcp``, and whether it comes to an end by itself.
    """

    name: str
    image: str
    command: Sequence[str] | None = None
    args: Sequence[str] | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    working_dir: str = ""
    mounts: Sequence[Mount] = ()
    stdin: bool = False
    tty: bool = False
    run_as_user: int | None = None
    run_as_group: int | None = None
    groups: Sequence[int] = ()
    read_only_root: bool = False
    pid_of: str = ""
    stop_signal: str = ""
    cores: float | None = None
    memory: int | None = None
    oom_score_adj: int = 1000
    attempt: int = 0
    expected_ports: Sequence[tuple[int, str]] = ()
    expected_to_end: bool = False


@dataclass(frozen=True, slots=True)
class SandboxConfig:
    """What a pod's containers share: identity, address, host name, and how names are looked up.

    ``dns_servers`` may hold :data:`CLUSTER_DNS`; ``hosts`` are addresses and names for ``/etc/hosts``,
    ``fqdn`` is the full name of a pod that has a subdomain.
    """

    uid: str
    namespace: str
    name: str
    hostname: str
    node: str
    host_network: bool = False
    host_pid: bool = False
    share_processes: bool = False
    dns_searches: Sequence[str] = ()
    dns_servers: Sequence[str] = (CLUSTER_DNS,)
    dns_options: Sequence[str] = ("ndots:5",)
    hosts: Sequence[tuple[str, tuple[str, ...]]] = ()
    fqdn: str = ""

    @property
    def ndots(self) -> int:
        """From how many dots on a name is first tried as it is; the resolver's own default is 1, its most 15."""
        given = [one.removeprefix("ndots:") for one in self.dns_options if one.startswith("ndots:")]
        return min(int(given[-1]), 15) if given and given[-1].isdecimal() and len(given[-1]) < 9 else 1


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line a container wrote: when (seconds since the epoch), ``stdout`` or ``stderr``, text without newline."""

    when: float
    stream: str
    text: str


class Log(Protocol):
    """What a container wrote, bounded in size; the oldest lines go first."""

    def lines(self) -> list[LogLine]: ...

    def follow(self, handler: Callable[[LogLine], None]) -> Callable[[], None]:
        """Call ``handler`` for each new line until the returned call is made."""


class Stdin(Protocol):
    """The write end of a process's standard input."""

    def write(self, data: bytes) -> None: ...

    def close(self) -> None: ...


class Exec(Protocol):
    """A command running in a container. ``exited`` gives its exit code."""

    exited: Future[int]

    @property
    def stdin(self) -> Stdin: ...

    def signal(self, number: int) -> None: ...

    def resize(self, columns: int, rows: int) -> None: ...


class Attachment(Protocol):
    """A client's hold on the first process of a container; ``stdin`` is None when the container has none."""

    @property
    def stdin(self) -> Stdin | None: ...

    def resize(self, columns: int, rows: int) -> None: ...

    def detach(self) -> None:
        """Hear nothing more; the process goes on."""


class Container(Protocol):
    """A container of a sandbox. ``exited`` gives the exit code of its first process once that has ended.

    ``state`` is ``created``, ``running`` or ``exited``; times are cluster seconds, 0.0 when not yet. ``uid`` is the
    number of the user that its processes run as.
    """

    id: str
    uid: int
    config: ContainerConfig
    image: Image
    state: str
    started_at: float
    finished_at: float
    reason: str
    exited: Future[int]

    @property
    def log(self) -> Log: ...

    def start(self) -> None:
        """Run its first process; raises :class:`StartError`."""

    def signal(self, number: int) -> None:
        """Send a signal to its first process from outside (SIGKILL always ends it, SIGSTOP freezes all of it)."""

    def stop(self, grace: float) -> Future[int]:
        """SIGTERM, then SIGKILL after ``grace`` seconds; :attr:`exited`."""

    @property
    def written(self) -> int:
        """Bytes of files of its own."""

    def on_write(self, call: Callable[[], None]) -> None:
        """Call ``call`` after each write to its own files."""

    @property
    def working_set(self) -> int:
        """Bytes of memory it uses."""

    @property
    def cpu_seconds(self) -> float:
        """Processor time that it has used, in seconds."""

    def sample(self) -> Sample | None:
        """What it used when the metrics server last looked; None when it does not run or had not for long enough."""

    def limit(self, cores: float | None, memory: int | None) -> None:
        """Other limits from now on, without a restart."""

    def attach(self, output: Callable[[str, bytes], None]) -> Attachment:
        """Have what its first process writes from now on, as it is written: (``stdout``/``stderr``, bytes)."""

    def exec(self, argv: Sequence[str], output: Callable[[str, bytes], None], *, tty: bool = False) -> Exec:
        """Run a command in it. ``output`` gets (``stdout``/``stderr``, bytes). Raises :class:`StartError`."""


@dataclass(frozen=True, slots=True)
class HTTPRequest:
    """A request on the simulated network. Header names are lower case."""

    method: str = "GET"
    path: str = "/"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class HTTPResponse:
    """An answer on the simulated network. Header names are lower case."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


class Sandbox(Protocol):
    """A pod's shared environment: an address of its own and containers."""

    config: SandboxConfig
    ip: str

    def create(self, config: ContainerConfig) -> Container:
        """A new container, not yet started. Its image must have been pulled: :class:`ImageError` otherwise."""

    @property
    def containers(self) -> Sequence[Container]:
        """Every container made here and not forgotten, oldest first; after a restart those of the dumped state, running
        ones running again without a :meth:`Container.start`."""

    @property
    def version(self) -> int:
        """Grows with every change that :meth:`dump` would show."""

    def forget(self, container: Any) -> None:
        """Drop an exited container: nobody will ask for its log any more."""

    async def http(self, port: int, request: HTTPRequest, *, secure: bool = False) -> HTTPResponse:
        """Ask a server listening in this pod, over TLS with any certificate when ``secure``; :class:`NetworkError` when
        nobody answers, :class:`PlainServer`. Never times out by itself."""

    async def connect(self, port: int) -> None:
        """Open and close a TCP connection to this pod; :class:`NetworkError` when nobody listens."""

    async def grpc_health(self, port: int, service: str) -> str | None:
        """What a gRPC server in this pod says of the health of a service, None when it does not know it.

        :class:`NetworkError` when nobody answers, of kind ``protocol`` when whoever listens does not speak gRPC.
        """

    def remove(self) -> None:
        """Kill what runs and give the address back. Its exited containers and their logs can still be read."""

    def dump(self) -> Mapping[str, Any]:
        """What must outlive the host process (volumes, logs, container states), as JSON."""


class Runtime(Protocol):
    """The container runtime of one node."""

    @property
    def disk(self) -> NodeDisk: ...

    def pull(self, image: str, credentials: Sequence[Credentials] = ()) -> Image:
        """Fetch an image from the simulated registry, at once: the caller waits ``pull_seconds``.
        :class:`ImageError`.
        """

    def image(self, image: str) -> Image | None:
        """The image when this node already has it."""

    def volume(self, *, limit: int | None = None, in_memory: bool = False) -> Volume:
        """A new, empty volume; one ``in_memory`` takes no more than ``limit`` bytes."""

    def sandbox(self, config: SandboxConfig, *, ip: str = "", state: Mapping[str, Any] | None = None) -> Sandbox:
        """A new sandbox; with ``ip`` and ``state`` (of :meth:`Sandbox.dump`) one that was there before a restart."""
