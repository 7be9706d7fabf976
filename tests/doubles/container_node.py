"""A node with containers on a manual clock, for the tests of this folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from simkube.clock.clock import Clock
from simkube.runtime.container import SimContainer
from simkube.runtime.cri import ContainerConfig, Mount, SandboxConfig
from simkube.runtime.engine import Engine
from simkube.runtime.network.network import Network
from simkube.runtime.sandbox import PodSandbox

START = 1_700_000_000.0
SEARCHES = ("default.svc.cluster.local", "svc.cluster.local", "cluster.local")


@dataclass
class Bench:
    """One node; pods are made with :meth:`pod`, commands run with :meth:`run`."""

    clock: Clock = field(default_factory=lambda: Clock(START))
    network: Network = field(init=False)
    engine: Engine = field(init=False)

    def __post_init__(self) -> None:
        self.network = Network(self.clock)
        self.engine = Engine(self.clock, self.network, "node-1")

    def sandbox(self, name: str = "pod") -> PodSandbox:
        return self.engine.sandbox(SandboxConfig(f"uid-{name}", "default", name, name, "node-1", dns_searches=SEARCHES))

    def container(
        self,
        image: str = "busybox:1.36",
        command: Sequence[str] | None = None,
        *,
        args: Sequence[str] | None = None,
        env: Mapping[str, str] | None = None,
        mounts: Sequence[Mount] = (),
        sandbox: PodSandbox | None = None,
        **more: Any,
    ) -> SimContainer:
        self.engine.preload(image)
        config = ContainerConfig("main", image, command, args, env or {}, mounts=mounts, **more)
        return (sandbox or self.sandbox()).create(config)

    def started(self, image: str = "busybox:1.36", command: Sequence[str] | None = None, **more: Any) -> SimContainer:
        container = self.container(image, command, **more)
        container.start()
        return container

    def idle(self, image: str = "busybox:1.36", **more: Any) -> SimContainer:
        """A running container that does nothing."""
        return self.started(image, ["sleep", "1000000"], **more)

    def run(
        self, script: str, container: SimContainer | None = None, *, seconds: float = 60.0, stdin: bytes = b""
    ) -> Result:
        """What a shell script does in a container, within ``seconds`` of cluster time."""
        return self.exec(["sh", "-c", script], container, seconds=seconds, stdin=stdin)

    def exec(
        self, argv: Sequence[str], container: SimContainer | None = None, *, seconds: float = 60.0, stdin: bytes = b""
    ) -> Result:
        """What a command does."""
        parts: dict[str, list[bytes]] = {"stdout": [], "stderr": []}
        session = (container or self.idle()).exec(argv, lambda name, data: parts[name].append(data))
        session.stdin.write(stdin)
        session.stdin.close()
        waited = 0.0
        while not session.exited.done and waited < seconds:
            self.clock.advance(min(0.5, seconds))
            waited += 0.5
        code = session.exited.result() if session.exited.done else None
        session.signal(9)
        return Result(code, *(b"".join(parts[name]).decode("utf-8", "replace") for name in ("stdout", "stderr")))


@dataclass(frozen=True)
class Result:
    """An exit code (None: still running), and both outputs."""

    code: int | None
    out: str
    err: str
