"""``less``, ``more``, ``rev``, ``watch``, ``envsubst``: tools of a terminal and of templates.

``less`` and ``more`` show everything at once, as they do where the output is no terminal: a full screen with keys is
not simulated.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from simkube.runtime import signals
from simkube.runtime.applets.options import name_of, parse, seconds_of
from simkube.runtime.applets.paths import run_command
from simkube.runtime.applets.reading import chunks, content, lines, open_operand
from simkube.runtime.process import Process

_VARIABLE = re.compile(r"\$(?:\{([A-Za-z_][A-Za-z0-9_]*)\}|([A-Za-z_][A-Za-z0-9_]*))", re.ASCII)


async def pager(process: Process) -> int:
    """``less [FILE]...``, ``more [FILE]...``"""
    options = await parse(process, "NSRFXiIeEMmsdcpu", "")
    status = 0
    if not options.operands and getattr(process.fds.get(0), "terminal", False):
        hint = 'Missing filename ("less --help" for help)' if name_of(process) == "less" else "more: bad usage"
        await process.err(f"{hint}\n")
        return 1
    for path in options.operands or ["-"]:
        stream = await open_operand(process, path, verb="")
        if stream is None:
            status = 1
            continue
        async for data in chunks(process, stream):
            await process.out(data)
    return status


async def rev(process: Process) -> int:
    """``rev [FILE]...``"""
    options = await parse(process)
    status = 0
    for path in options.operands or ["-"]:
        stream = await open_operand(process, path, verb="")
        if stream is None:
            status = 1
            continue
        async for line in lines(process, stream):
            await process.out(line[::-1] + "\n")
    return status


async def watch(process: Process) -> int:
    """``watch [-n SECONDS] [-t] COMMAND...``: until it is interrupted."""
    options = await parse(process, "tdegcxb", "n", stop_early=True, long={"interval": "n", "no-title": "t"})
    pause = max(0.1, seconds_of(options.values.get("n", "2")) or 2.0)
    if not options.operands:
        await process.err("watch: usage: watch [-n SECONDS] [-t] PROG ARGS\n")
        return 1
    command = options.operands if "x" in options else ["sh", "-c", " ".join(options.operands)]
    process.handlers[signals.INT] = lambda _: process.end(0)
    while True:
        when = datetime.fromtimestamp(process.container.clock.now(), UTC).strftime("%a %b %e %H:%M:%S %Y")
        title = f"Every {pause:.1f}s: {' '.join(options.operands)}"
        host = process.container.sandbox.config.hostname
        busybox = process.container.spec.flavour == "busybox"
        head = f"{title:<40} {when if busybox else f'{host}: {when}'}\n\n"
        await process.out("\x1b[H\x1b[J" + ("" if "t" in options else head))
        await run_command(process, list(command))
        await process.sleep(pause)


async def envsubst(process: Process) -> int:
    """``envsubst [SHELL-FORMAT]``, ``-v``: the variables of the environment put into standard input."""
    words = process.argv[1:]
    if words[:1] in (["-v"], ["--variables"]):
        names = [match[1] or match[2] for match in _VARIABLE.finditer(" ".join(words[1:]))]
        await process.out("".join(f"{name}\n" for name in names))
        return 0
    if words and words[0].startswith("-"):
        await process.err(f"envsubst: option {words[0]} is not simulated\n")
        return 1
    allowed = {match[1] or match[2] for match in _VARIABLE.finditer(words[0])} if words else None
    stream = await open_operand(process, "-")
    data = await content(process, stream) if stream is not None else b""

    def value(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        return match[0] if allowed is not None and name not in allowed else process.env.get(name, "")

    await process.out(_VARIABLE.sub(value, data.decode("utf-8", "surrogateescape")))
    return 0
