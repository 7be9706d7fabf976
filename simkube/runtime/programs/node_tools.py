"""Programs of a node: ``chroot`` into its files, and there ``crictl``, ``systemctl`` and ``journalctl``.

They look at the node and change nothing of it; what they do not do they refuse by name. ``crictl`` shows what
containerd would, in the columns of cri-tools; units are the kubelet and containerd, and the journal holds the latest
lines of these.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from simkube.runtime.chroot import rooted
from simkube.runtime.executables import which
from simkube.runtime.nodes import FileError
from simkube.runtime.process import Process, Replace
from simkube.runtime.programs.flags import flags

if TYPE_CHECKING:
    from simkube.runtime.container import SimContainer
    from simkube.runtime.machine import Machine

_UNITS = {
    "kubelet": ("kubelet: The Kubernetes Node Agent", "/etc/systemd/system/kubelet.service"),
    "containerd": ("containerd container runtime", "/etc/systemd/system/containerd.service"),
}
_SHORT = 13
"""Characters of an identifier that ``crictl`` shows."""


async def chroot(process: Process) -> int:
    """``chroot DIRECTORY [COMMAND [ARGUMENT...]]``; without a command a shell. Only root may."""
    words = [word for word in process.argv[1:] if word != "--"]
    if not words or words[0].startswith("-"):
        await process.err("chroot: usage: chroot NEWROOT [PROG ARGS]; options are not simulated\n")
        return 125
    if process.uid != 0:
        await process.err(f"chroot: can't change root directory to '{words[0]}': Operation not permitted\n")
        return 1
    command = words[1:] or ["/bin/sh", "-i"]
    try:
        container = rooted(process.container, process.resolve(words[0]))
    except FileError as error:
        await process.err(f"chroot: can't change root directory to '{words[0]}': {error.strerror}\n")
        return 1
    try:
        path = which(container.files, command[0], process.env)
        program, arguments = container.load(path, command, process.env)
    except FileError as error:
        await process.err(f"chroot: can't execute '{command[0]}': {error.strerror}\n")
        return 127
    process.container, process.cwd, process.argv = container, "/", arguments
    raise Replace(program)


def _machine(process: Process) -> Machine:
    return process.container.sandbox.machine


async def _no_socket(process: Process, name: str, path: str) -> bool:
    """Says so where what the tool talks to cannot be reached: it is run outside of the node's files."""
    if process.container.files.exists(path):
        return False
    await process.err(f"{name}: {path}: no such file or directory\n")
    return True


# -- crictl ----------------------------------------------------------------------------------------------------------


async def crictl(process: Process) -> int:
    """``crictl ps [-a] | pods | images | logs ID``."""
    words = process.argv[1:]
    command, rest = (words[0] if words else ""), words[1:]
    if await _no_socket(process, "crictl", "/run/containerd/containerd.sock"):
        return 1
    if command == "ps":
        return await _ps(process, everything="-a" in rest or "--all" in rest)
    if command == "pods":
        return await _pods(process)
    if command in ("images", "img"):
        return await _images(process)
    if command == "logs" and rest and not rest[-1].startswith("-"):
        return await _logs(process, rest[-1])
    await process.err(f"crictl: {command or 'no command'} is not simulated; these are: images, logs, pods, ps\n")
    return 1


def _ago(process: Process, when: float) -> str:
    seconds = max(0.0, process.container.clock.now() - when)
    for size, word in ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second")):
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {word}{'s' if count != 1 else ''} ago"
    return "Less than a second ago"


def _containers(process: Process) -> list[SimContainer]:
    """Newest first."""
    found = [one for sandbox in _machine(process).sandboxes() for one in sandbox.containers if one.state != "created"]
    return sorted(found, key=lambda one: one.started_at, reverse=True)


def _columns(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[index]) for row in rows) + 4 for index in range(len(rows[0]))]
    return "".join(
        "".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() + "\n" for row in rows
    )


async def _ps(process: Process, *, everything: bool) -> int:
    rows = [["CONTAINER", "IMAGE", "CREATED", "STATE", "NAME", "ATTEMPT", "POD ID", "POD", "NAMESPACE"]]
    for one in _containers(process):
        if everything or one.state == "running":
            config, pod = one.config, one.sandbox.config
            shown = [one.id[:_SHORT], one.image.id.partition("sha256:")[2][:_SHORT], _ago(process, one.started_at)]
            state = "Running" if one.state == "running" else "Exited"
            rows.append([*shown, state, config.name, str(config.attempt), pod_id(pod.uid), pod.name, pod.namespace])
    await process.out(_columns(rows))
    return 0


def pod_id(uid: str) -> str:
    """What the runtime calls a pod's sandbox, cut short."""
    return (uid.replace("-", "") + "0" * _SHORT)[:_SHORT]


async def _pods(process: Process) -> int:
    rows = [["POD ID", "CREATED", "STATE", "NAME", "NAMESPACE", "ATTEMPT", "RUNTIME"]]
    for sandbox in _machine(process).sandboxes():
        config = sandbox.config
        began = min((one.started_at for one in sandbox.containers if one.started_at), default=0.0)
        state = "NotReady" if sandbox.removed else "Ready"
        when = _ago(process, began) if began else "Less than a second ago"
        rows.append([pod_id(config.uid), when, state, config.name, config.namespace, "0", "(default)"])
    await process.out(_columns(rows))
    return 0


async def _images(process: Process) -> int:
    rows = [["IMAGE", "TAG", "IMAGE ID"]]
    for reference, identity in sorted({(one.image.reference, one.image.id) for one in _containers(process)}):
        name, _, tag = reference.rpartition(":")
        rows.append([name, tag, identity.partition("sha256:")[2][:_SHORT]])
    await process.out(_columns(rows))
    return 0


async def _logs(process: Process, wanted: str) -> int:
    found = [one for one in _containers(process) if one.id.startswith(wanted)]
    if len(found) != 1:
        await process.err(f'crictl: could not find container "{wanted}": ID does not exist or is not unique\n')
        return 1
    for line in found[0].log.lines():
        write = process.out if line.stream == "stdout" else process.err
        await write(f"{line.text}\n")
    return 0


# -- systemd ---------------------------------------------------------------------------------------------------------


def _running(process: Process, unit: str) -> int:
    """The number of the unit's process; 0 when it does not run."""
    machine = _machine(process)
    argv = next((one for one in machine.daemons() if one[0].rpartition("/")[2] == unit), None)
    return 0 if argv is None else machine.pids.of_daemon(argv)


def _stamp(when: float) -> str:
    return datetime.fromtimestamp(when, UTC).strftime("%a %Y-%m-%d %H:%M:%S UTC")


async def systemctl(process: Process) -> int:
    """``systemctl status|is-active kubelet|containerd``; 3 when the unit does not run."""
    words = [word for word in process.argv[1:] if not word.startswith("-")]
    command, units = (words[0] if words else ""), [word.removesuffix(".service") for word in words[1:]]
    if await _no_socket(process, "systemctl", "/run/systemd"):
        return 1
    if command not in ("status", "is-active") or not units:
        await process.err(
            f"systemctl: {command or 'no command'} is not simulated; status and is-active are. "
            "Stop and start parts of a simulated cluster from outside of it.\n"
        )
        return 1
    status = 0
    for unit in units:
        if unit not in _UNITS:
            await process.err(f"Unit {unit}.service could not be found.\n")
            return 4
        pid = _running(process, unit)
        status = status if pid else 3
        await process.out(
            f"{'active' if pid else 'inactive'}\n" if command == "is-active" else _status(process, unit, pid)
        )
    return status


def _status(process: Process, unit: str, pid: int) -> str:
    title, path = _UNITS[unit]
    since = max((when for when, of, text in _machine(process).journal if of == unit and "Started" in text), default=0.0)
    when = _stamp(since or _machine(process).started)
    state = f"active (running) since {when}" if pid else "inactive (dead)"
    lines = [f"● {unit}.service - {title}", f"     Loaded: loaded ({path}; enabled)", f"     Active: {state}"]
    lines += [f"   Main PID: {pid} ({unit})"] if pid else []
    return "\n".join([*lines, "", *_journal(process, unit)[-10:]]) + "\n"


def _journal(process: Process, unit: str) -> list[str]:
    host = process.container.sandbox.config.node
    return [
        f"{datetime.fromtimestamp(when, UTC).strftime('%b %d %H:%M:%S')} {host} {of}: {text}"
        for when, of, text in _machine(process).journal
        if unit in ("", of)
    ]


async def journalctl(process: Process) -> int:
    """``journalctl [-u UNIT] [-n COUNT] [--no-pager]``."""
    options = flags(process.argv[1:])
    if await _no_socket(process, "journalctl", "/var/log/journal"):
        return 1
    known = {"u", "unit", "n", "lines", "no-pager", "r", "reverse", "e", "pager-end", "x"}
    strange = [name for name in options if name not in known]
    if strange:
        await process.err(f"journalctl: the option {strange[0]} is not simulated; -u, -n, -r and --no-pager are\n")
        return 1
    unit = (options.get("u") or options.get("unit") or "").removesuffix(".service")
    lines = _journal(process, unit)
    count = options.get("n") or options.get("lines") or ""
    lines = lines[-int(count) :] if count.isdecimal() and int(count) else lines
    if "r" in options or "reverse" in options:
        lines.reverse()
    await process.out("\n".join(lines or ["-- No entries --"]) + "\n")
    return 0


__all__ = ["chroot", "crictl", "journalctl", "systemctl"]
