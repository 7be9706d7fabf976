"""The file system of a node: what it is installed with, and what of it is live.

The installed tree is that of :file:`behaviours/node`, shared by all nodes, with the files that a node's kubelet adds to
it (:attr:`~simkube.runtime.machine.Machine.files`). Live are the processes of the node and the logs of its pods; they
are read-only, and so are the manifests of static pods, for no kubelet here acts upon a changed one.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from simkube.runtime import catalogue, images
from simkube.runtime.cri import LogLine
from simkube.runtime.files import MountPoint
from simkube.runtime.nodes import Directory, File, Node, Quota, Symlink, private_copy, share

if TYPE_CHECKING:
    from simkube.runtime.container import SimContainer
    from simkube.runtime.machine import Machine

MANIFESTS = "/etc/kubernetes/manifests"


@functools.cache
def installed() -> Directory:
    """What every node is installed with."""
    (spec,) = catalogue.read("node")["node"]
    return images.build("node", "node", spec, "").root


def tree(files: Mapping[str, str]) -> Directory:
    """The installed tree with further files (path -> text); shared, like an image's."""
    root = Directory()
    root.entries = dict(installed().entries)
    for path, text in files.items():
        folder, _, name = path.strip("/").rpartition("/")
        here = root
        for part in folder.split("/") if folder else ():
            below = here.entries.get(part)
            here.entries[part] = own = private_copy(below) if isinstance(below, Directory) else Directory()
            assert isinstance(own, Directory)
            here = own
        here.entries[name] = File(text.encode())
    share(root)
    root.shared = False
    return root


class LiveDirectory(Directory):
    """A directory whose entries are made when somebody looks."""

    __slots__ = ("_look",)

    def __init__(self, look: Callable[[], Mapping[str, Node]]) -> None:
        self._look = look
        super().__init__(0o755)

    @property
    def entries(self) -> dict[str, Node]:
        return dict(self._look())

    @entries.setter
    def entries(self, value: object) -> None:
        return


class LiveFile(File):
    """A file whose content is made when somebody reads it."""

    __slots__ = ("_read",)

    def __init__(self, read: Callable[[], bytes], mtime: float) -> None:
        self._read = read
        super().__init__(mode=0o640, mtime=mtime)

    @property
    def data(self) -> bytearray:
        return bytearray(self._read())

    @data.setter
    def data(self, value: object) -> None:
        return


def cri_line(line: LogLine) -> str:
    """A line of a log as containerd writes it to a file."""
    whole = int(line.when)
    moment = datetime.fromtimestamp(whole, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{moment}.{int((line.when - whole) * 1e9):09d}Z {line.stream} F {line.text}\n"


def _log(container: SimContainer) -> LiveFile:
    return LiveFile(
        lambda: "".join(cri_line(line) for line in container.log.lines()).encode("utf-8", "surrogateescape"),
        container.finished_at or container.started_at,
    )


def _logged(machine: Machine) -> list[tuple[str, SimContainer]]:
    """Every container that was started, with the folder of its pod below ``/var/log/pods``."""
    return [
        (f"{sandbox.config.namespace}_{sandbox.config.name}_{sandbox.config.uid}", container)
        for sandbox in machine.sandboxes()
        for container in sandbox.containers
        if container.state != "created"
    ]


def pod_logs(machine: Machine) -> dict[str, Node]:
    """``NAMESPACE_POD_UID/CONTAINER/RESTARTS.log``."""
    found: dict[str, Node] = {}
    for pod, container in _logged(machine):
        of_pod = found.setdefault(pod, Directory())
        assert isinstance(of_pod, Directory)
        of_container = of_pod.entries.setdefault(container.config.name, Directory())
        assert isinstance(of_container, Directory)
        of_container.entries[f"{container.config.attempt}.log"] = _log(container)
    return found


def container_logs(machine: Machine) -> dict[str, Node]:
    """Links ``POD_NAMESPACE_CONTAINER-ID.log`` to the logs of pods."""
    found: dict[str, Node] = {}
    for pod, container in _logged(machine):
        config, name = container.sandbox.config, container.config.name
        target = f"/var/log/pods/{pod}/{name}/{container.config.attempt}.log"
        found[f"{config.name}_{config.namespace}_{name}-{container.id}.log"] = Symlink(target)
    return found


def live(machine: Machine, root: Directory) -> dict[str, MountPoint]:
    """What is mounted in a node's tree but the kernel's files, by path."""
    logs = {"/var/log/pods": pod_logs, "/var/log/containers": container_logs}
    found = {path: _read_only(LiveDirectory(functools.partial(look, machine))) for path, look in logs.items()}
    here: Node = root
    for part in MANIFESTS.strip("/").split("/"):
        assert isinstance(here, Directory)
        here = here.entries[part]
    return {**found, MANIFESTS: _read_only(here)}


def _read_only(root: Node) -> MountPoint:
    return MountPoint(root, Quota(0), read_only=True)
