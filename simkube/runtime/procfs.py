"""The kernel's files in a container: /proc, /dev, and what the container runtime puts into /etc.

Only what tutorials look at is there; a path of /proc that is not simulated does not exist.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from simkube.runtime.files import FileSystem, MountPoint
from simkube.runtime.host_processes import HostProcesses
from simkube.runtime.nodes import Device, Directory, File, Quota, Symlink

if TYPE_CHECKING:
    from simkube.runtime.container import SimContainer
    from simkube.runtime.process import Process

KERNEL = "6.12.0-simkube"
"""The version of the Linux kernel that containers see."""


def mount_kernel_files(container: SimContainer, files: FileSystem) -> None:
    """Mount /proc, /dev, /sys, and write /etc/hosts, /etc/hostname and /etc/resolv.conf."""
    files.mount("/proc", MountPoint(_proc(container), Quota(0), read_only=True, source="proc", kind="proc"))
    files.mount("/dev", MountPoint(_dev(), Quota(64 * 1024), source="tmpfs", kind="tmpfs"))
    files.mount("/sys", MountPoint(_sys(container), Quota(0), read_only=True, source="sysfs", kind="sysfs"))
    for name, text in etc_files(container).items():
        files.write(f"/etc/{name}", text.encode())


def etc_files(container: SimContainer) -> dict[str, str]:
    """What the kubelet and the container runtime write into /etc."""
    config = container.sandbox.config
    searches = " ".join(config.dns_searches)
    resolv = f"search {searches}\n" if searches else ""
    own = container.sandbox.network.dns_address
    resolv += "".join(f"nameserver {server or own}\n" for server in config.dns_servers)
    if config.dns_options:
        resolv += f"options {' '.join(config.dns_options)}\n"
    hosts = "# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"
    hosts += "fe00::0\tip6-localnet\nfe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n"
    names = f"{config.fqdn}\t{config.hostname}" if config.fqdn else config.hostname
    hosts += f"{container.sandbox.ip}\t{names}\n"
    if config.hosts:
        lines = "".join(f"{address}\t{chr(9).join(names)}\n" for address, names in config.hosts)
        hosts += f"\n# Entries added by HostAliases.\n{lines}"
    return {"hostname": f"{config.hostname}\n", "hosts": hosts, "resolv.conf": resolv}


def _text(text: str) -> Device:
    return Device("text", lambda: text.encode(), 0o444)


def host_mounts(viewer: SimContainer) -> dict[str, MountPoint]:
    """The kernel's files of the node that a container runs on, as its root sees them."""
    proc = _proc(viewer, HostProcesses(viewer))
    return {
        "/proc": MountPoint(proc, Quota(0), read_only=True, source="proc", kind="proc"),
        "/sys": MountPoint(_sys(viewer), Quota(0), read_only=True, source="sysfs", kind="sysfs"),
        "/dev": MountPoint(_dev(), Quota(64 * 1024), source="devtmpfs", kind="devtmpfs"),
    }


def _proc(container: SimContainer, processes: Mapping[int, Process] | None = None) -> Directory:
    proc = _ProcessDirectory(container, container.processes if processes is None else processes)
    clock = container.clock
    proc.fixed = {
        "uptime": Device(
            "text", lambda: f"{clock.now() - container.sandbox.machine.started:.2f} 0.00\n".encode(), 0o444
        ),
        "loadavg": Device("text", lambda: f"{container.processors.busy:.2f} 0.00 0.00 1/1 1\n".encode(), 0o444),
        "meminfo": Device("text", lambda: _meminfo(container).encode(), 0o444),
        "cpuinfo": Device("text", lambda: _cpuinfo(container).encode(), 0o444),
        "version": _text(f"Linux version {KERNEL} (simulated)\n"),
        "mounts": Device("text", lambda: mounts_text(container).encode(), 0o444),
        "self": Symlink("1"),
    }
    return proc


def _meminfo(container: SimContainer) -> str:
    memory = container.sandbox.machine.memory
    free = max(0, memory.available)
    amounts = {"MemTotal": memory.capacity, "MemFree": free, "MemAvailable": free, "SwapTotal": 0, "SwapFree": 0}
    return "".join(f"{name + ':':<16}{size >> 10:>8} kB\n" for name, size in amounts.items())


def _cpuinfo(container: SimContainer) -> str:
    count = int(container.sandbox.machine.cores)
    return "".join(f"processor\t: {number}\nmodel name\t: simulated\n\n" for number in range(count))


def _sys(container: SimContainer) -> Directory:
    """Only the control group of the container: its limits and what it uses of them (cgroup v2)."""

    def limit() -> str:
        return "max" if container.memory_limit is None else str(container.memory_limit)

    def quota() -> str:
        cores = container.config.cores
        return "max 100000" if cores is None else f"{round(cores * 100_000)} 100000"

    def used() -> str:
        micro = round(container.processors.total * 1e6)
        return f"usage_usec {micro}\nuser_usec {micro}\nsystem_usec 0"

    shown = {
        "memory.max": limit,
        "memory.current": lambda: str(container.working_set),
        "cpu.max": quota,
        "cpu.stat": used,
        "pids.current": lambda: str(len(container.own)),
    }
    group = Directory(0o555)
    group.entries = {name: _shown(read) for name, read in shown.items()}
    folder, top = Directory(0o555), Directory(0o555)
    folder.entries = {"cgroup": group}
    top.entries = {"fs": folder}
    return top


def _shown(read: Callable[[], str]) -> Device:
    return Device("text", lambda: f"{read()}\n".encode(), 0o444)


def mounts_text(container: SimContainer) -> str:
    """The lines of /proc/mounts."""
    lines = []
    for path, mount in container.files.mounts.items():
        options = "ro" if mount.read_only else "rw"
        lines.append(f"{mount.source} {path} {mount.kind} {options},relatime 0 0\n")
    own = container.files.mounts["/"].kind == "overlay"  # and not the root of a node
    named = [path for path in _FROM_THE_NODE if own and path not in container.files.mounts]
    return "".join(lines) + "".join(f"/dev/vda1 {path} ext4 rw,relatime 0 0\n" for path in named)


_FROM_THE_NODE = ("/etc/hosts", "/dev/termination-log", "/etc/hostname", "/etc/resolv.conf")
"""Files that the kubelet and the container runtime mount into every container."""


class _ProcessDirectory(Directory):
    """/proc: its entries are the processes there are right now."""

    __slots__ = ("_container", "_processes", "fixed")

    def __init__(self, container: SimContainer, processes: Mapping[int, Process]) -> None:
        self._container = container
        self._processes = processes
        self.fixed: dict[str, Device | Symlink] = {}
        super().__init__(0o555)

    @property  # type: ignore[override] # computed instead of stored
    def entries(self) -> dict[str, Directory | Device | Symlink]:
        found: dict[str, Directory | Device | Symlink] = dict(self.fixed)
        for pid, process in self._processes.items():
            found[str(pid)] = self._process(pid, process)
        return found

    @entries.setter
    def entries(self, value: object) -> None:
        return

    def _process(self, pid: int, process: Process) -> Directory:
        name = process.argv[0].rpartition("/")[2][:15]
        parent = process.parent.pid if process.parent is not None else 0
        state = "T (stopped)" if process.frozen else "S (sleeping)"
        directory = Directory(0o555)
        directory.entries = {
            "cmdline": _text("".join(f"{argument}\0" for argument in process.argv)),
            "comm": _text(f"{name}\n"),
            "environ": _text("".join(f"{key}={value}\0" for key, value in process.env.items())),
            "status": _text(f"Name:\t{name}\nState:\t{state}\nPid:\t{pid}\nPPid:\t{parent}\nUid:\t{process.uid}\n"),
            "mounts": Device("text", lambda: mounts_text(process.container).encode(), 0o444),
            "cgroup": _text("0::/\n"),
            "cwd": Symlink(process.cwd),
            "root": Symlink("/"),
        }
        if process.container is not self._container:  # another container's files, as whoever debugs it sees them
            directory.entries["root"] = process.container.files.mounts["/"].root
        return directory


def _dev() -> Directory:
    dev = Directory()
    dev.entries = {
        "null": Device("null"),
        "zero": Device("zero"),
        "full": Device("full"),
        "random": Device("random", _pseudo_random),
        "urandom": Device("random", _pseudo_random),
        "stdin": Symlink("/proc/self/fd/0"),
        "stdout": Symlink("/proc/self/fd/1"),
        "stderr": Symlink("/proc/self/fd/2"),
        "fd": Symlink("/proc/self/fd"),
        "shm": Directory(0o1777),
        "termination-log": File(b"", 0o666),
    }
    return dev


def _pseudo_random() -> bytes:
    import secrets

    return secrets.token_bytes(4096)
