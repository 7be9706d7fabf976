"""Doubles for the kubelet's tests: an API server in memory, and a runtime whose containers do as they are told.

``MemoryServer`` keeps the protocol of :class:`simkube.client.client.Server` for what a kubelet calls, and deletes pods
as the API server does. ``ScriptedRuntime`` runs images named after what they do: see :class:`Script`.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from simkube.apimachinery.errors import already_exists, conflict, not_found
from simkube.client.client import Caller, Event, Handler, Obj, Patch, PatchType
from simkube.client.workqueue import WorkLoop
from simkube.clock.clock import Clock, Future
from simkube.kubelet.kubelet import Kubelet
from simkube.kubelet.node import NodeSettings
from simkube.runtime.cri import (
    ContainerConfig,
    HTTPRequest,
    HTTPResponse,
    Image,
    ImageError,
    LogLine,
    Mount,
    NetworkError,
    PlainServer,
    SandboxConfig,
    StartError,
)
from simkube.runtime.disk import Disk
from simkube.runtime.machine import Machine
from simkube.runtime.network.ports import PortTable

START = 1_767_225_600.0
"""2026-01-01T00:00:00Z."""
NODE_IP = "172.18.0.2"


class MemoryServer:
    """Objects in dicts; status writes keep spec and metadata, deletion of a pod honours its grace period."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.objects: dict[str, dict[tuple[str, str], Obj]] = {}
        self.writes: list[tuple[str, str, str]] = []
        self.down = False
        self._handlers: dict[str, list[Handler]] = {}
        self._revision = itertools.count(1)
        self._uids = itertools.count(1)

    def _all(self, resource: str) -> dict[tuple[str, str], Obj]:
        return self.objects.setdefault(resource, {})

    def _tell(self, resource: str, event: Event) -> None:
        for handler in list(self._handlers.get(resource, [])):
            handler(event)

    def _check(self) -> None:
        if self.down:
            from simkube.apimachinery.errors import StatusError

            raise StatusError(503, "ServiceUnavailable", "the server is currently unable to handle the request")

    def get(self, caller: Caller, resource: str, name: str, namespace: str = "", *, subresource: str = "") -> Obj:
        self._check()
        obj = self._all(resource).get((namespace, name))
        if obj is None:
            raise not_found(resource, name)
        return obj

    def list(
        self, caller: Caller, resource: str, namespace: str = "", *, label_selector: str = "", field_selector: str = ""
    ) -> list[Obj]:
        return [obj for (where, _), obj in self._all(resource).items() if namespace in ("", where)]

    def create(
        self,
        caller: Caller,
        resource: str,
        obj: Obj,
        namespace: str = "",
        *,
        name: str = "",
        subresource: str = "",
        options: Mapping[str, Any] | None = None,
    ) -> Obj:
        self._check()
        if subresource == "token":
            return {"status": {"token": f"token-of-{name}"}}
        self.writes.append(("create", resource, obj["metadata"].get("name", "")))
        new = copy.deepcopy(obj)
        if namespace:
            new["metadata"]["namespace"] = namespace
        key = (new["metadata"].get("namespace", ""), new["metadata"]["name"])
        if key in self._all(resource):
            raise already_exists(resource, key[1])
        new["metadata"].setdefault("uid", f"uid-{next(self._uids)}")
        new["metadata"]["resourceVersion"] = str(next(self._revision))
        new["metadata"].setdefault("creationTimestamp", self.clock.timestamp())
        self._all(resource)[key] = new
        self._tell(resource, Event("ADDED", new))
        return new

    def update(
        self,
        caller: Caller,
        resource: str,
        obj: Obj,
        *,
        subresource: str = "",
        options: Mapping[str, Any] | None = None,
    ) -> Obj:
        self._check()
        meta = obj["metadata"]
        key = (meta.get("namespace", ""), meta["name"])
        old = self._all(resource).get(key)
        if old is None:
            raise not_found(resource, meta["name"])
        if old["metadata"]["resourceVersion"] != meta.get("resourceVersion"):
            raise conflict(resource, meta["name"], "stale")
        self.writes.append((f"update/{subresource}", resource, meta["name"]))
        new = {**old, "status": copy.deepcopy(obj["status"])} if subresource == "status" else copy.deepcopy(obj)
        return self._put(resource, key, new)

    def patch(
        self,
        caller: Caller,
        resource: str,
        name: str,
        patch: Patch,
        namespace: str = "",
        *,
        type: PatchType = "merge",
        subresource: str = "",
        options: Mapping[str, Any] | None = None,
    ) -> Obj:
        self._check()
        assert isinstance(patch, dict)
        return self._put(resource, (namespace, name), {**self.get(caller, resource, name, namespace), **patch})

    def _put(self, resource: str, key: tuple[str, str], new: Obj) -> Obj:
        old = self._all(resource)[key]
        new["metadata"] = {**new["metadata"], "resourceVersion": str(next(self._revision))}
        self._all(resource)[key] = new
        self._tell(resource, Event("MODIFIED", new, old))
        return new

    def delete(
        self, caller: Caller, resource: str, name: str, namespace: str = "", *, options: Mapping[str, Any] | None = None
    ) -> Obj:
        self._check()
        key = (namespace, name)
        old = self._all(resource).get(key)
        if old is None:
            raise not_found(resource, name)
        self.writes.append(("delete", resource, name))
        grace = (options or {}).get("gracePeriodSeconds")
        if grace is None:
            grace = old.get("spec", {}).get("terminationGracePeriodSeconds", 30)
        if resource == "pods" and grace > 0:
            meta = {**old["metadata"], "deletionGracePeriodSeconds": grace}
            meta.setdefault("deletionTimestamp", self.clock.timestamp())
            return self._put(resource, key, {**old, "metadata": meta})
        last = self._all(resource).pop(key)
        self._tell(resource, Event("DELETED", last, last))
        return last

    def subscribe(self, resource: str, handler: Handler) -> Callable[[], None]:
        for obj in list(self._all(resource).values()):
            handler(Event("ADDED", obj))
        handlers = self._handlers.setdefault(resource, [])
        handlers.append(handler)

        def end() -> None:
            if handler in handlers:
                handlers.remove(handler)

        return end


class MemoryVolume:
    """Keeps :class:`simkube.runtime.cri.Volume`."""

    def __init__(self) -> None:
        self.files: dict[str, tuple[bytes, int]] = {}

    def write(self, path: str, content: bytes, *, mode: int = 0o644) -> None:
        self.files[path] = (content, mode)

    def project(self, files: Mapping[str, tuple[bytes, int]]) -> None:
        self.files = dict(files)

    def read(self, path: str) -> bytes:
        return self.files[path][0]

    def remove(self, path: str) -> None:
        self.files.pop(path, None)

    def paths(self) -> list[str]:
        return list(self.files)


class MemoryLog:
    """Keeps :class:`simkube.runtime.cri.Log`."""

    def __init__(self) -> None:
        self.kept: list[LogLine] = []
        self.handlers: list[Callable[[LogLine], None]] = []

    def lines(self) -> list[LogLine]:
        return list(self.kept)

    def write(self, line: LogLine) -> None:
        self.kept.append(line)
        for handler in list(self.handlers):
            handler(line)

    def follow(self, handler: Callable[[LogLine], None]) -> Callable[[], None]:
        self.handlers.append(handler)
        return lambda: self.handlers.remove(handler) if handler in self.handlers else None


@dataclass
class Script:
    """What the containers of an image do.

    ``exits``: seconds after the start until it ends with ``code`` (None: never). ``stubborn``: SIGTERM does nothing.
    ``fails``: it cannot be started, with this message. ``ports``: answers HTTP there with ``answer()``, which may raise
    NetworkError or return None for "never answers". ``execs``: exit code of a command, None: it hangs.
    """

    exits: float | None = None
    code: int = 0
    stubborn: bool = False
    fails: str = ""
    ports: tuple[int, ...] = ()
    answer: Callable[[], HTTPResponse | None] = lambda: HTTPResponse(200, body=b"ok")
    execs: dict[str, int | None] = field(default_factory=dict)
    pull_seconds: float = 0.0


class ScriptedExec:
    """Keeps :class:`simkube.runtime.cri.Exec`."""

    def __init__(self) -> None:
        self.exited: Future[int] = Future()
        self.written = bytearray()
        self.stdin = self

    def write(self, data: bytes) -> None:
        self.written.extend(data)

    def close(self) -> None:
        return None

    def signal(self, number: int) -> None:
        self.exited.set(128 + number)

    def resize(self, columns: int, rows: int) -> None:
        return None


class ScriptedContainer:
    """Keeps :class:`simkube.runtime.cri.Container`."""

    def __init__(self, runtime: ScriptedRuntime, config: ContainerConfig, script: Script) -> None:
        self.id = f"c{next(runtime.ids)}"
        self.config = config
        self.uid = config.run_as_user or 0
        self.script = script
        self.image = Image(f"docker.io/library/{config.image}", "sha256:1", 0.0)
        self.state = "created"
        self.started_at = self.finished_at = 0.0
        self.reason = ""
        self.log = MemoryLog()
        self.exited: Future[int] = Future()
        self.signals: list[int] = []
        self._clock = runtime.clock
        runtime.started.append(self)

    def start(self) -> None:
        if self.script.fails:
            raise StartError(self.script.fails)
        self.state, self.started_at = "running", self._clock.now()
        self.log.write(LogLine(self._clock.now(), "stdout", "started"))
        if self.script.exits is not None:
            self._clock.call_later(self.script.exits, lambda: self.end(self.script.code))

    def end(self, code: int, reason: str = "") -> None:
        if self.state == "running":
            self.state, self.finished_at, self.reason = "exited", self._clock.now(), reason
            self.exited.set(code)

    def signal(self, number: int) -> None:
        self.signals.append(number)
        if number == 9:
            self.end(137)
        elif number == 15 and not self.script.stubborn:
            self.end(0)

    def stop(self, grace: float) -> Future[int]:
        self.signal(15)
        self._clock.call_later(grace, lambda: self.signal(9))
        return self.exited

    def exec(self, argv: Sequence[str], output: Callable[[str, bytes], None], *, tty: bool = False) -> ScriptedExec:
        if argv[0] not in self.script.execs:
            raise StartError(f'exec: "{argv[0]}": executable file not found in $PATH', 127)
        process = ScriptedExec()
        code = self.script.execs[argv[0]]
        if code is not None:
            output("stdout", f"{argv[0]} says {code}\n".encode())
            process.exited.set(code)
        return process


class ScriptedSandbox:
    """Keeps :class:`simkube.runtime.cri.Sandbox`."""

    def __init__(self, runtime: ScriptedRuntime, config: SandboxConfig, ip: str) -> None:
        self.runtime = runtime
        self.config = config
        self.ip = ip
        self.containers: list[ScriptedContainer] = []
        self.removed = False

    def create(self, config: ContainerConfig) -> ScriptedContainer:
        container = ScriptedContainer(self.runtime, config, self.runtime.script(config.image))
        self.containers.append(container)
        return container

    def forget(self, container: Any) -> None:
        self.containers.remove(container)

    def _listening(self, port: int) -> ScriptedContainer:
        for container in self.containers:
            if container.state == "running" and port in container.script.ports:
                return container
        raise NetworkError("refused", "Connection refused")

    async def http(self, port: int, request: HTTPRequest, *, secure: bool = False) -> HTTPResponse:
        if secure:
            raise PlainServer
        answer = self._listening(port).script.answer()
        if answer is None:
            await Future[None]()
            raise AssertionError("never")
        return answer

    async def connect(self, port: int) -> None:
        self._listening(port)

    def remove(self) -> None:
        self.removed = True
        for container in self.containers:
            container.signal(9)

    @property
    def version(self) -> int:
        states = ("created", "running", "exited")
        return sum(1 + states.index(one.state) + len(one.log.kept) for one in self.containers)

    def dump(self) -> dict[str, Any]:
        return {"containers": [self._dump(container) for container in self.containers]}

    def _dump(self, container: ScriptedContainer) -> dict[str, Any]:
        volumes = [
            (mount.volume.files, mount.path, mount.read_only, mount.sub_path) for mount in container.config.mounts
        ]  # type: ignore[attr-defined]
        return {
            "id": container.id,
            "config": (container.config.name, container.config.image, dict(container.config.env)),
            "volumes": copy.deepcopy(volumes),
            "state": container.state,
            "started_at": container.started_at,
            "finished_at": container.finished_at,
            "code": container.exited.result() if container.exited.done else None,
            "log": container.log.lines(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        for kept in state["containers"]:
            mounts = []
            for files, path, read_only, sub_path in kept["volumes"]:
                volume = MemoryVolume()
                volume.files = dict(files)
                mounts.append(Mount(volume, path, read_only, sub_path))
            name, image, env = kept["config"]
            container = self.create(ContainerConfig(name, image, env=env, mounts=mounts))
            container.id, container.state = kept["id"], kept["state"]
            container.started_at, container.finished_at = kept["started_at"], kept["finished_at"]
            container.log.kept = list(kept["log"])
            if kept["code"] is not None:
                container.exited.set(kept["code"])


class ScriptedRuntime:
    """Keeps the runtime of a node. ``images`` maps a name to its script; others cannot be pulled."""

    def __init__(self, clock: Clock, images: dict[str, Script]) -> None:
        self.clock = clock
        self.disk = Disk(clock.now)
        self.images = images
        self.present: set[str] = set()
        self.started: list[ScriptedContainer] = []
        self.sandboxes: list[ScriptedSandbox] = []
        self.ids = itertools.count(1)
        self.power = "on"
        self.machine = Machine(clock.now())

    def script(self, image: str) -> Script:
        return self.images[image]

    def _image(self, image: str) -> Image:
        return Image(f"docker.io/library/{image}", "sha256:1", self.script(image).pull_seconds)

    def pull(self, image: str) -> Image:
        if image.startswith("bad name"):
            raise ImageError("InvalidImageName", f'couldn\'t parse image name "{image}": invalid reference format')
        if image not in self.images:
            raise ImageError("ErrImagePull", f"{image}: not found")
        self.present.add(image)
        return self._image(image)

    def image(self, image: str) -> Image | None:
        return self._image(image) if image in self.present else None

    def volume(self) -> MemoryVolume:
        return MemoryVolume()

    def sandbox(
        self, config: SandboxConfig, *, ip: str = "", state: Mapping[str, Any] | None = None
    ) -> ScriptedSandbox:
        sandbox = ScriptedSandbox(self, config, ip or f"10.244.0.{len(self.sandboxes) + 2}")
        self.sandboxes.append(sandbox)
        if state is not None:
            sandbox.restore(state)
        return sandbox

    def power_off(self) -> None:
        self.power = "off"
        for container in self.started:
            container.end(137)

    def power_on(self) -> None:
        self.power = "on"

    def pause(self) -> None:
        self.power = "paused"

    def resume(self) -> None:
        self.power = "on"


@dataclass
class Place:
    """Where the node is."""

    address: str = NODE_IP
    pod_cidr: str = "10.244.0.0/24"
    ports: PortTable = field(default_factory=PortTable)


class QuietNetwork:
    """A network with nothing but this node."""

    def node(self, name: str) -> Place:
        return Place()

    async def request(
        self, source: str, host: str, port: int, request: HTTPRequest, *, secure: bool = False
    ) -> HTTPResponse:
        raise NetworkError("no-route", "No route to host")


class MemorySide:
    """Keeps :class:`simkube.kubelet.kubelet.SideStore`."""

    def __init__(self) -> None:
        self.kept: dict[str, Any] = {}

    def put(self, key: str, value: Any) -> None:
        self.kept[key] = copy.deepcopy(value)

    def get(self, key: str) -> Any:
        return self.kept.get(key)

    def items(self, prefix: str = "") -> Any:
        return iter([(key, value) for key, value in self.kept.items() if key.startswith(prefix)])

    def delete(self, key: str) -> None:
        self.kept.pop(key, None)


class Node:
    """A kubelet with its doubles, on a clock that the test moves."""

    made: ClassVar[list[Node]] = []
    """Those of the running test, to be stopped at its end."""

    def __init__(self, images: dict[str, Script] | None = None) -> None:
        self.clock = Clock(START)
        self.server = MemoryServer(self.clock)
        self.loop = WorkLoop(self.clock)
        self.images = images or {}
        self.runtime = ScriptedRuntime(self.clock, self.images)
        self.side = MemorySide()
        self.kubelet = self._kubelet()
        self.caller = Caller("test")
        self.made.append(self)
        self.settle()

    def _kubelet(self) -> Kubelet:
        kubelet = Kubelet(
            "node-1", self.server, self.loop, self.runtime, QuietNetwork(), self.side, settings=NodeSettings()
        )
        kubelet.start()
        return kubelet

    def settle(self) -> None:
        """Run everything that is due now."""
        self.loop.run_until_quiet(10_000)
        self.clock.run_due()
        self.loop.run_until_quiet(10_000)

    def advance(self, seconds: float) -> None:
        """Let cluster time pass."""
        self.clock.advance(seconds, lambda: self.loop.run_until_quiet(10_000) and None)
        self.settle()

    def kill_host(self) -> None:
        """The process is gone without a word, and a new one starts from what was stored."""
        old = self.kubelet
        old.running = False
        old.client.close()
        for worker in old.workers.values():
            worker.suspend()
        self.runtime = ScriptedRuntime(self.clock, self.images)
        self.runtime.ids = itertools.count(1000)
        self.loop = WorkLoop(self.clock)
        self.kubelet = self._kubelet()
        self.settle()

    def run(self, spec: Obj, name: str = "web", labels: dict[str, str] | None = None) -> None:
        """Create a pod that is bound to the node."""
        spec = {"nodeName": "node-1", "terminationGracePeriodSeconds": 30, "restartPolicy": "Always", **spec}
        meta = {"name": name, "namespace": "default", "uid": f"uid-{name}", "labels": labels or {}}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec, "status": {"phase": "Pending"}}
        self.server.create(self.caller, "pods", pod, "default")
        self.settle()

    def config_map(self, name: str, data: dict[str, str]) -> None:
        """Create or replace a config map."""
        meta = {"name": name, "namespace": "default"}
        obj = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data}
        if ("default", name) in self.server.objects.get("configmaps", {}):
            current = self.server.get(self.caller, "configmaps", name, "default")
            self.server.update(self.caller, "configmaps", {**current, "data": data})
        else:
            self.server.create(self.caller, "configmaps", obj, "default")
        self.settle()

    def delete(self, name: str = "web", grace: int | None = None) -> None:
        """Delete a pod."""
        self.server.delete(self.caller, "pods", name, "default", options={"gracePeriodSeconds": grace})
        self.settle()

    def pod(self, name: str = "web") -> Obj | None:
        """The pod as the API has it."""
        return self.server.objects["pods"].get(("default", name))

    def status(self, name: str = "web") -> dict[str, Any]:
        """The pod's status."""
        pod = self.pod(name)
        assert pod is not None, f"pod {name} is gone"
        status: dict[str, Any] = pod["status"]
        return status

    def container(self, name: str = "web", index: int = 0) -> dict[str, Any]:
        """A container's status."""
        found: dict[str, Any] = self.status(name)["containerStatuses"][index]
        return found

    def condition(self, kind: str, name: str = "web") -> str:
        """The status of one of the pod's conditions."""
        return next((one["status"] for one in self.status(name)["conditions"] if one["type"] == kind), "none")

    def events(self, kind: str = "Pod") -> list[str]:
        """Every event about pods (or nodes) as ``Type Reason xCOUNT: message``, in the order first seen."""
        return [
            f"{event['type']} {event['reason']} x{event['count']}: {event['message']}"
            for event in self.server.objects.get("events", {}).values()
            if event["involvedObject"]["kind"] == kind
        ]
