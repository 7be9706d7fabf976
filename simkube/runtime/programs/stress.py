"""``stress``: keeps processors busy and memory taken, as the programs of that name that the Kubernetes tasks use.

The classic one (``--cpu 2 --vm 1 --vm-bytes 150M --vm-hang 1 --timeout 60s``), also as ``stress-ng``; and
``vish/stress`` (``-cpus 2 -mem-total 150Mi``). Disks are not worked: ``--io`` and ``--hdd`` are refused by name.
"""

from __future__ import annotations

import re

from simkube.apimachinery.quantity import milli
from simkube.clock.clock import Future
from simkube.runtime.process import Process
from simkube.runtime.programs.flags import flags
from simkube.runtime.programs.serving import stop_request
from simkube.runtime.usage import EVER

MOST_HOGS = 32
"""Processes it may start."""
_BYTES = {"b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
_TIMES = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_LONG = {"c": "cpu", "m": "vm", "t": "timeout", "i": "io", "d": "hdd", "q": "quiet", "v": "verbose", "n": "dry-run"}
_VALUED = ("cpu", "vm", "vm-bytes", "vm-hang", "vm-stride", "timeout", "io", "hdd", "hdd-bytes", "backoff")
_FLAGS = ("quiet", "verbose", "vm-keep", "dry-run", "metrics-brief", "metrics")


class Unknown(Exception):
    """An option or value that is not understood; the message is the program's."""


async def stress(process: Process) -> int:
    """The classic ``stress``: one process for each hog; its end is theirs."""
    try:
        options = _parse(process.argv[1:])
    except Unknown as problem:
        await process.err(f"{_head(process, 'FAIL')} (440) {problem}\n")
        return 1
    hogs = {name: _number(options.get(name, "0")) for name in ("cpu", "vm", "io", "hdd")}
    if hogs["io"] or hogs["hdd"]:
        await process.err("stress: working disks (--io, --hdd) is not simulated here; --cpu and --vm are\n")
        return 1
    if not any(hogs.values()):
        await process.out(_USAGE)
        return 0
    if sum(hogs.values()) > MOST_HOGS:
        await process.err(f"stress: at most {MOST_HOGS} workers are simulated\n")
        return 1
    if "quiet" not in options:
        told = ", ".join(f"{count} {name}" for name, count in hogs.items())
        if _is_ng(process):
            told = ", ".join(f"{count} {name}" for name, count in hogs.items() if count)
        await process.out(f"{_head(process, 'info')} dispatching hogs: {told}\n")
    return await _dispatch(process, options, hogs)


async def _dispatch(process: Process, options: dict[str, str], hogs: dict[str, int]) -> int:
    began = process.container.clock.now()
    children = [_hog(process, _burn) for _ in range(hogs["cpu"])]
    size = _bytes(options.get("vm-bytes", "256m"))
    hang = options.get("vm-hang")
    children += [_hog(process, lambda child: _fill(child, size, hang)) for _ in range(hogs["vm"])]
    first: Future[int] = Future()
    stop_request(process).when_done(lambda number: first.set(128 + number.result()))
    for child in children:
        child.exited.when_done(lambda code: first.set(code.result() or 1))
    seconds = _seconds(options["timeout"]) if "timeout" in options else None
    if seconds:
        process.container.clock.call_later(seconds, lambda: first.set(0))
    code = await first
    for child in children:
        child.signal(9)
    if code == 0 and "quiet" not in options:
        took = round(process.container.clock.now() - began)
        shown = f"{took:.2f} secs" if _is_ng(process) else f"{took}s"
        await process.out(f"{_head(process, 'info')} successful run completed in {shown}\n")
    elif 0 < code < 128 or code > 128 + 15:
        await process.err(f"{_head(process, 'FAIL')} (415) <-- worker got signal {max(0, code - 128)}\n")
        code = 1
    return code


def _is_ng(process: Process) -> bool:
    return process.argv[0].rpartition("/")[2] == "stress-ng"


def _head(process: Process, level: str) -> str:
    return f"stress-ng: {level}:  [{process.pid}]" if _is_ng(process) else f"stress: {level}: [{process.pid}]"


def _hog(process: Process, work: object) -> Process:
    child = process.child([process.argv[0], *process.argv[1:]])
    child.run(work)  # type: ignore[arg-type]  # a program
    return child


async def _burn(process: Process) -> int:
    await process.burn(EVER)
    return 0


async def _fill(process: Process, size: int, hang: str | None) -> int:
    """malloc, touch every page (about a gigabyte a second), then hold it or do it over and over."""
    taken = 0
    while taken < size:
        step = min(16 << 20, size - taken)
        await process.burn(step / (1 << 30))
        await process.allocate(step)
        taken += step
    if hang is None:
        await process.burn(EVER)  # it frees and fills without a pause; what it holds stays about the same
    await Future[None]()
    return 0


async def consumer(process: Process) -> int:
    """``vish/stress -cpus N -mem-total SIZE -mem-alloc-size SIZE -mem-alloc-sleep TIME``."""
    given = flags(process.argv[1:])
    try:
        total, step = _quantity(given.pop("mem-total", "0")), _quantity(given.pop("mem-alloc-size", "4Ki"))
        pause, cpus = _seconds(given.pop("mem-alloc-sleep", "1ms")), _number(given.pop("cpus", "0"))
    except (Unknown, ValueError) as problem:
        await process.err(f"{problem}\n")
        return 2
    given.pop("logtostderr", None)
    if given or cpus > MOST_HOGS:
        name = next(iter(given), "cpus")
        await process.err(f"flag provided but not defined (or too much of it): -{name}\n")
        return 2
    await process.err(f'main.go:26] Allocating "{total}" memory, in "{step}" chunks, with a {pause:g}s sleep\n')
    for _ in range(cpus):
        await process.err("main.go:39] Spawning a thread to consume CPU\n")
        process.spawn(_burn(process))
    await _grow(process, total, step, pause)
    await process.err(f'main.go:29] Allocated "{total}" memory\n')
    return 128 + await stop_request(process)


async def _grow(process: Process, total: int, step: int, pause: float) -> None:
    """As many small steps at a time as there are in a twentieth of a second."""
    taken = 0
    together = max(1, int(0.05 / pause)) if pause > 0 else 1 << 20
    while taken < total:
        size = min(max(1, step) * together, total - taken)
        await process.sleep(pause * max(1, size // max(1, step)) or 0.001)
        await process.allocate(size)
        taken += size


def _parse(words: list[str]) -> dict[str, str]:
    options: dict[str, str] = {}
    left = list(words)
    while left:
        word = left.pop(0)
        name, equals, value = word.lstrip("-").partition("=")
        if not word.startswith("--"):
            name, value, equals = _LONG.get(word[1:2], word), word[2:], "=" if word[2:] else ""
        if name in _FLAGS:
            options[name] = ""
        elif name in _VALUED and (equals or left):
            options[name] = value if equals else left.pop(0)
        elif name in _VALUED:
            raise Unknown(f"missing argument to option '{word}'")
        else:
            raise Unknown(f"unrecognized option: {word}")
    return options


def _number(text: str) -> int:
    if not text.isdecimal() or len(text) > 9:
        raise Unknown(f"invalid number: {text[:40]}")
    return int(text)


def _scaled(text: str, units: dict[str, int], what: str) -> int:
    match = re.fullmatch(r"([0-9]{1,12})([a-zA-Z]?)", text)
    if match is None or (match[2] and match[2].lower() not in units):
        raise Unknown(f"unrecognized {what}: {text[:40]}")
    return int(match[1]) * units.get(match[2].lower(), 1)


def _bytes(text: str) -> int:
    return _scaled(text, _BYTES, "size")


def _seconds(text: str) -> float:
    if text.endswith("ms") and text[:-2].isdecimal():
        return int(text[:-2][:9]) / 1000
    return float(_scaled(text, _TIMES, "time"))


def _quantity(text: str) -> int:
    return min(milli(text) // 1000, 1 << 44)


_USAGE = """`stress' imposes certain types of compute stress on your system

Usage: stress [OPTION [ARG]] ...
 -c, --cpu N        spawn N workers spinning on sqrt()
 -m, --vm N         spawn N workers spinning on malloc()/free()
     --vm-bytes B   malloc B bytes per vm worker (default is 256MB)
     --vm-hang N    sleep N secs before free (default none, 0 is inf)
 -t, --timeout N    timeout after N seconds
"""
