"""What processes hold, read from /proc: memory, files, children. Linux only, as the figures are."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Usage:
    """Of a process and all below it: bytes of memory (proportional), open files, processes."""

    memory: int
    files: int
    processes: int


def below(pid: int) -> list[int]:
    """A process and all of its descendants."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, ValueError, IndexError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                parents.setdefault(int(fields[1]), []).append(int(entry.name))
    found, waiting = [], [pid]
    while waiting:
        one = waiting.pop()
        found.append(one)
        waiting += parents.get(one, [])
    return found


def command_line(pid: int) -> str:
    """Its program and arguments; "" when it is gone."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return ""


def memory(pid: int) -> int:
    """Bytes that one process holds, what it shares counted in parts; 0 when it is gone."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


def usage(pid: int) -> Usage:
    """Of a process and all below it."""
    pids = below(pid)
    files = 0
    for one in pids:
        with contextlib.suppress(OSError):
            files += len(os.listdir(f"/proc/{one}/fd"))
    return Usage(sum(map(memory, pids)), files, len(pids))


def cpu_seconds(pid: int) -> float:
    """Seconds of processor time of a process and all below it that are still there."""
    ticks = 0
    for one in below(pid):
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def ran(pids: list[int]) -> float:
    """Seconds that the main threads of processes (their loops) have been running; waits for a processor not counted."""
    nanoseconds = 0
    for pid in pids:
        with contextlib.suppress(OSError, IndexError):
            nanoseconds += int(Path(f"/proc/{pid}/schedstat").read_text().split()[0])
    return nanoseconds / 1e9
