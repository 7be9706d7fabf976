"""What the kubelet knows of one container of a pod: the running one, the one before, and why it waits.

It is rebuilt from the pod's status and the runtime after a restart, so it holds no truth of its own but the back-off.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from simkube.client.client import Obj
from simkube.kubelet.backoff import Backoff
from simkube.kubelet.probes import Prober
from simkube.runtime.cri import Container, Volume

Role = Literal["init", "sidecar", "app", "ephemeral"]

_FIELDS: dict[Role, str] = {
    "init": "initContainers",
    "sidecar": "initContainers",
    "app": "containers",
    "ephemeral": "ephemeralContainers",
}
SIGKILL = 9
NEVER = "1970-01-01T00:00:00Z"
"""When a container started that never did, as containerd has it."""
MESSAGE_BYTES = 4096
"""The longest termination message kept (``MaxContainerTerminationMessageLength``)."""
LOG_MESSAGE = (2048, 80)
"""Bytes and lines of the log that ``FallbackToLogsOnError`` keeps."""


def stamp(when: float) -> str | None:
    """A time of the API, or None for "never" (0.0)."""
    return datetime.fromtimestamp(when, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if when else None


@dataclass(slots=True)
class Run:
    """One container of a pod's spec over its restarts.

    ``ended`` is the ``terminated`` state of the current container, ``last`` that of the one before it (both as the API
    has them); ``waiting`` is ``(reason, message)`` while it is not running. ``hooking``: its postStart hook has not
    ended, so it does not count as started yet.
    """

    spec: Obj
    role: Role
    waiting: tuple[str, str] = ("ContainerCreating", "")
    container: Container | None = None
    previous: Container | None = None
    ended: dict[str, Any] | None = None
    last: dict[str, Any] | None = None
    restarts: int = 0
    hooking: bool = False
    started: bool = False
    ready: bool = False
    held: bool = False
    again: bool = False
    """Its definition changed while it ran: it is started once more whatever its restart policy says."""
    backoff: Backoff = field(default_factory=Backoff)
    pulls: Backoff = field(default_factory=Backoff)
    retry_at: float = 0.0
    image_id: str = ""
    message_volume: Volume | None = None
    held_resources: Obj = field(default_factory=dict)
    """The requests and limits that are in force, as in its spec; these of the spec may be wanted and not granted."""
    probers: list[Prober] = field(default_factory=list)
    probed: Counter[tuple[str, str]] = field(default_factory=Counter)
    """How often it was probed, by kind and result (``successful``, ``failed``, ``unknown``)."""

    @property
    def name(self) -> str:
        """The container's name in the pod."""
        return str(self.spec["name"])

    @property
    def field_path(self) -> str:
        """Where it is in the pod, as events name it: ``spec.containers{web}``."""
        return f"spec.{_FIELDS[self.role]}{{{self.name}}}"

    @property
    def running(self) -> bool:
        """Whether its first process runs."""
        return self.container is not None and self.container.state == "running"

    @property
    def done(self) -> bool:
        """Whether it ended and nothing newer was begun."""
        return self.ended is not None

    @property
    def exit_code(self) -> int | None:
        """Of the ended container."""
        return None if self.ended is None else int(self.ended["exitCode"])

    @property
    def unreported(self) -> bool:
        """Whether the kubelet is busy with starting it anew, and reports the pod as it was until that is done."""
        return (self.again and self.done) or (self.hooking and self.restarts > 0)

    def hold(self, reason: str, message: str, until: float) -> None:
        """It could not be started: why it waits, and when that is worth another try (cluster seconds)."""
        self.waiting = (reason, message)
        self.held, self.again = True, False
        self.retry_at = until

    def stop_probing(self) -> None:
        """No probe of it runs any more."""
        for prober in self.probers:
            prober.stop()
        self.probers.clear()

    def observe_exit(self) -> None:
        """Take over how the current container ended."""
        container = self.container
        if container is None or self.ended is not None:
            return
        code = container.exited.result() if container.exited.done else 255
        self.ended = self._terminated(container, code)
        self.started = self.ready = self.hooking = False
        self.stop_probing()

    def _terminated(self, container: Container, code: int) -> dict[str, Any]:
        state: dict[str, Any] = {"exitCode": code, "reason": container.reason or ("Error" if code else "Completed")}
        message = self._message(container, code)
        if message:
            state["message"] = message
        state["startedAt"] = stamp(container.started_at)
        state["finishedAt"] = stamp(container.finished_at)
        state["containerID"] = f"containerd://{container.id}"
        return state

    def _message(self, container: Container, code: int) -> str:
        if self.message_volume is not None and "termination-log" in self.message_volume.paths():
            written = self.message_volume.read("termination-log")[-MESSAGE_BYTES:].decode("utf-8", "replace")
            if written:
                return written
        if code and self.spec.get("terminationMessagePolicy") == "FallbackToLogsOnError":
            most, lines = LOG_MESSAGE
            return "\n".join(line.text for line in container.log.lines()[-lines:])[-most:]
        return ""

    def ended_without_container(self, code: int, reason: str, message: str, now: float, container_id: str = "") -> None:
        """Note an end that the runtime has no container for (never started, lost with its node)."""
        self.stop_probing()
        self.started = self.ready = self.hooking = False
        began = stamp(self.container.started_at) if self.container is not None else None
        self.ended = {"exitCode": code, "reason": reason, "startedAt": began or NEVER, "finishedAt": stamp(now)}
        if message:
            self.ended["message"] = message
        if container_id:
            self.ended["containerID"] = f"containerd://{container_id}"


def runs_of(spec: Obj) -> dict[str, Run]:
    """A fresh :class:`Run` for every container of a pod spec, init containers first."""
    found: dict[str, Run] = {}
    for container in spec.get("initContainers") or []:
        role: Role = "sidecar" if container.get("restartPolicy") == "Always" else "init"
        found[container["name"]] = Run(container, role)
    for container in spec["containers"]:
        found[container["name"]] = Run(container, "app")
    for container in spec.get("ephemeralContainers") or []:
        found[container["name"]] = Run(container, "ephemeral")
    return found
