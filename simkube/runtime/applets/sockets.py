"""``netstat`` and ``ss``: who listens in the pod. Connections that are open are not shown."""

from __future__ import annotations

from dataclasses import dataclass

from simkube.runtime.applets.options import Options, parse
from simkube.runtime.process import Process


@dataclass(frozen=True, slots=True)
class Listening:
    """A port that is listened on: the address, and the process by number and name when it is of this container."""

    address: str
    port: int
    owner: str
    pid: int


def listening(process: Process) -> list[Listening]:
    """Every listener of the pod's network, lowest port first."""
    found = []
    for port, listener in sorted(process.container.sandbox.ports.listeners.items()):
        owner = listener.process
        mine = isinstance(owner, Process) and owner.container is process.container
        name = owner.argv[0].rpartition("/")[2].partition(":")[0] if isinstance(owner, Process) and mine else ""
        found.append(Listening(listener.address, port, name, owner.pid if isinstance(owner, Process) and mine else 0))
    return found


async def netstat(process: Process) -> int:
    """``netstat [-tuanlp]``, ``netstat -rn``, ``netstat -i`` is refused."""
    options = await parse(process, "tuanlprewxW46", long={"listening": "l", "tcp": "t", "udp": "u", "numeric": "n"})
    if "r" in options:
        from simkube.runtime.applets.interfaces import route

        process.argv = ["route", "-n"]
        return await route(process)
    listeners = "l" in options or "a" in options
    only = "(only servers)" if "l" in options else "(servers and established)" if "a" in options else "(w/o servers)"
    heads = ["Proto", "Recv-Q", "Send-Q", "Local Address", "Foreign Address", "State"]
    layout = "{:<5} {:>6} {:>6} {:<23} {:<23} {:<11}"
    owner = " PID/Program name" if "p" in options else ""
    head = f"{layout.format(*heads)}{owner}".rstrip()
    await process.out(f"Active Internet connections {only}\n{head}\n")
    if not listeners or ("u" in options and "t" not in options):
        return 0
    for one in listening(process):
        who = f" {one.pid}/{one.owner}" if one.pid else " -"
        row = layout.format("tcp", 0, 0, f"{one.address}:{one.port}", "0.0.0.0:*", "LISTEN")
        await process.out(f"{row}{who if owner else ''}".rstrip() + "\n")
    return 0


async def ss(process: Process) -> int:
    """``ss [-tulnpa]``"""
    options = await parse(process, "tulnpasieH4", long={"listening": "l", "tcp": "t", "udp": "u", "numeric": "n"})
    if "s" in options:
        count = len(listening(process))
        await process.out(f"Total: {count}\nTCP:   {count} (estab 0, closed 0, orphaned 0, timewait 0)\n")
        return 0
    if "H" not in options:
        await process.out(
            _line(options, "Netid", "State", "Recv-Q", "Send-Q", "Local Address:Port", "Peer Address:Port")
        )
    if not ("l" in options or "a" in options) or ("u" in options and "t" not in options):
        return 0
    for one in listening(process):
        row = _line(options, "tcp", "LISTEN", "0", "511", f"{one.address}:{one.port}", "0.0.0.0:*").rstrip("\n")
        users = f'users:(("{one.owner}",pid={one.pid},fd=3))' if one.pid and "p" in options else ""
        await process.out(f"{row}{users}".rstrip() + "\n")
    return 0


def _line(options: Options, kind: str, state: str, received: str, sent: str, local: str, peer: str) -> str:
    several = ("t" in options) == ("u" in options)
    process = "Process" if "p" in options and kind == "Netid" else ""
    first = f"{kind:<7}" if several else ""
    return f"{first}{state:<7}{received:<7}{sent:<7}{local:>20} {peer:>18} {process}\n"
