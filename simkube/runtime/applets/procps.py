"""``ps`` of procps, as Debian and Fedora have it: ``ps``, ``ps aux``, ``ps -ef``."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from simkube.runtime.process import Process

Column = Callable[[Process, Process, str], str]


async def ps(process: Process, column: Column) -> int:
    """``ps [aux|-ef|-e|-A|ax]``; the processes of this user's terminal only without a selection."""
    words = [word.lstrip("-") for word in process.argv[1:]]
    if any(set(word) - set("auxefAlwjf") for word in words):
        await process.err(f"error: unsupported option of ps: {' '.join(process.argv[1:])} (not simulated)\n")
        return 1
    letters = "".join(words)
    others = list(process.container.processes.values())
    if "u" in letters:
        await process.out("USER         PID %CPU %MEM    VSZ   RSS TTY      STAT START   TIME COMMAND\n")
        await process.out("".join(_user_row(process, other, column) for other in others))
    elif "f" in letters:
        await process.out("UID          PID    PPID  C STIME TTY          TIME CMD\n")
        await process.out("".join(_full_row(process, other, column) for other in others))
    else:
        every = bool(set(letters) & set("aeAx"))
        await process.out("    PID TTY          TIME CMD\n")
        for other in others:
            if every or _terminal(other) == _terminal(process):
                name = column(process, other, "comm")
                await process.out(f"{other.pid:7d} {_terminal(other):<8} {_time(other)} {name}\n")
    return 0


def _user_row(process: Process, other: Process, column: Column) -> str:
    capacity = process.container.sandbox.machine.memory.capacity
    size = other.memory + (process.container.spec.memory if other.pid == 1 else 1 << 20)
    state = column(process, other, "stat") + ("s" if other.pid == 1 else "")
    minutes, seconds = divmod(int(other.processor_seconds), 60)
    alive = max(1.0, process.container.clock.now() - other.started_at)
    return (
        f"{column(process, other, 'user'):<8} {other.pid:7d} {other.processor_seconds / alive * 100:4.1f} "
        f"{size / capacity * 100:4.1f} {size * 4 >> 10:6d} {size >> 10:5d} {_terminal(other):<8} {state:<4} "
        f"{_began(other)} {minutes:4d}:{seconds:02d} {column(process, other, 'args')}\n"
    )


def _full_row(process: Process, other: Process, column: Column) -> str:
    parent = column(process, other, "ppid")
    return (
        f"{column(process, other, 'user'):<8} {other.pid:7d} {parent:>7}  0 {_began(other)} {_terminal(other):<8} "
        f"{_time(other)} {column(process, other, 'args')}\n"
    )


def _terminal(other: Process) -> str:
    stream = other.fds.get(0)
    return "pts/0" if stream is not None and stream.terminal else "?"


def _began(other: Process) -> str:
    return datetime.fromtimestamp(other.started_at, UTC).strftime("%H:%M")


def _time(other: Process) -> str:
    minutes, seconds = divmod(int(other.processor_seconds), 60)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{seconds:02d}"
