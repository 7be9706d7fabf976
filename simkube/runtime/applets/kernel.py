"""``sysctl``: the kernel's parameters that tutorials look at, read-only as in a container without privileges."""

from __future__ import annotations

from simkube.runtime.applets.options import parse
from simkube.runtime.process import Process
from simkube.runtime.procfs import KERNEL

PARAMETERS = {
    "fs.file-max": "9223372036854775807",
    "fs.inotify.max_user_instances": "128",
    "fs.inotify.max_user_watches": "65536",
    "kernel.msgmax": "8192",
    "kernel.ostype": "Linux",
    "kernel.osrelease": KERNEL,
    "kernel.pid_max": "4194304",
    "kernel.sem": "32000\t1024000000\t500\t32000",
    "kernel.shm_rmid_forced": "0",
    "kernel.shmmax": "18446744073692774399",
    "net.core.somaxconn": "4096",
    "net.ipv4.ip_forward": "1",
    "net.ipv4.ip_local_port_range": "32768\t60999",
    "net.ipv4.ip_unprivileged_port_start": "0",
    "net.ipv4.ping_group_range": "0\t2147483647",
    "net.ipv4.tcp_fin_timeout": "60",
    "net.ipv4.tcp_keepalive_time": "7200",
    "net.ipv4.tcp_syncookies": "1",
    "net.ipv4.tcp_rmem": "4096\t131072\t6291456",
    "vm.max_map_count": "65530",
    "vm.overcommit_memory": "1",
    "vm.swappiness": "60",
}


async def sysctl(process: Process) -> int:
    """``sysctl [-n] NAME...``, ``sysctl -a``, ``sysctl -w NAME=VALUE`` (refused as for a read-only file system)."""
    options = await parse(process, "naewqN", "p")
    known = {**PARAMETERS, "kernel.hostname": process.container.sandbox.config.hostname}
    if "a" in options:
        await process.out("".join(f"{name} = {value}\n" for name, value in sorted(known.items())))
        return 0
    status = 0
    for operand in options.operands:
        name, equals, _ = operand.replace("/", ".").partition("=")
        path = f"/proc/sys/{name.strip().replace('.', '/')}"
        if name.strip() not in known:
            words = f"cannot stat {path}: No such file or directory"
            busybox = process.container.spec.flavour == "busybox"
            await process.err(f"sysctl: {f'error: {name.strip()!r} is an unknown key' if busybox else words}\n")
            status = 1
        elif equals:
            busybox = process.container.spec.flavour == "busybox"
            words = f"error setting key '{name.strip()}': Read-only file system"
            await process.err(
                f"sysctl: {words if busybox else words.replace('error ', '').replace(chr(39), chr(34))}\n"
            )
            status = 1
        else:
            value = known[name.strip()]
            await process.out(f"{value}\n" if "n" in options else f"{name.strip()} = {value}\n")
    return status
