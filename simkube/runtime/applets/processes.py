"""Applets about processes and time: ps, kill, killall, pidof, sleep, timeout, nohup, env, xargs, top."""

from __future__ import annotations

from simkube.clock.clock import Future
from simkube.runtime import signals
from simkube.runtime.applets import procps
from simkube.runtime.applets.listing import owner
from simkube.runtime.applets.options import integer, name_of, parse, seconds_of
from simkube.runtime.applets.paths import run_command
from simkube.runtime.applets.reading import content, open_operand
from simkube.runtime.executables import which
from simkube.runtime.nodes import FileError
from simkube.runtime.process import Process, Replace
from simkube.runtime.regex import Regex

MAX_SLEEP = 10 * 365 * 86400.0


async def sleep(process: Process) -> int:
    """``sleep N[smhd]...``"""
    words = process.argv[1:]
    total = 0.0
    if not words:
        await process.err("sleep: missing operand\n")
        return 1
    for word in words:
        seconds = MAX_SLEEP if word in ("infinity", "inf") else seconds_of(word)
        if seconds is None:
            gnu = process.container.spec.flavour == "debian"
            await process.err(
                f"sleep: invalid time interval ‘{word}’\n" if gnu else f"sleep: invalid number '{word}'\n"
            )
            return 1
        total += seconds
    await process.sleep(min(total, MAX_SLEEP))
    return 0


async def usleep(process: Process) -> int:
    """``usleep N`` microseconds."""
    number = integer(process.argv[1]) if len(process.argv) > 1 else None
    if number is None or number < 0:
        await process.err("usleep: invalid number\n")
        return 1
    await process.sleep(number / 1e6)
    return 0


async def ps(process: Process) -> int:
    """``ps [-o pid,ppid,user,stat,args,comm] [aux|-ef]`` as busybox shows it, or procps where it is no busybox."""
    words = process.argv[1:]
    columns = ["pid", "user", "time", "args"]
    if "-o" in words:
        columns = words[words.index("-o") + 1 : words.index("-o") + 2][0].split(",") if words[-1] != "-o" else []
    elif process.container.spec.flavour != "busybox":
        return await procps.ps(process, _column)
    columns = [_SAME.get(column, column) for column in columns]
    if not columns or any(column not in _TITLES for column in columns):
        await process.err("ps: bad -o argument; pid, ppid, user, time, stat, args and comm are simulated\n")
        return 1
    rows = [
        [_column(process, other, column) for column in columns] for other in list(process.container.processes.values())
    ]
    await process.out(_row([_TITLES[column] for column in columns], columns))
    for row in rows:
        await process.out(_row(row, columns))
    return 0


_TITLES = {"pid": "PID", "ppid": "PPID", "user": "USER", "time": "TIME", "args": "COMMAND", "comm": "COMMAND",
           "stat": "STAT"}  # fmt: skip
_SAME = {"cmd": "args", "command": "args", "ucmd": "comm", "s": "stat", "state": "stat", "euser": "user"}


def _row(cells: list[str], columns: list[str]) -> str:
    widths = {"pid": 5, "ppid": 5, "user": 8, "time": 5, "stat": 4, "comm": 16, "args": 0}
    shown = [
        f"{cell:>5}" if column in ("pid", "ppid", "time") else f"{cell:<{widths[column]}}"
        for cell, column in zip(cells, columns, strict=True)
    ]
    return " ".join(shown).rstrip() + "\n"


def _column(process: Process, other: Process, column: str) -> str:
    if column == "pid":
        return str(other.pid)
    if column == "ppid":
        return str(other.parent.pid if other.parent is not None else 0)
    if column == "user":
        return owner(process, other.uid)[:8]
    if column == "time":
        minutes, seconds = divmod(int(other.processor_seconds), 60)
        return f"{minutes}:{seconds:02d}"
    if column == "stat":
        return "T" if other.frozen else "R" if other.computing or other is process else "S"
    if column == "comm":
        return other.argv[0].rpartition("/")[2][:15]
    return (other.title or " ".join(other.argv)).replace("\n", " ")


async def kill_command(process: Process, words: list[str]) -> int:
    """``kill [-SIGNAL | -s SIGNAL] PID...``, ``kill -l``"""
    arguments = words[1:]
    number: int | None = signals.TERM
    if arguments[:1] == ["-l"]:
        await process.out("".join(f"{value:2d}) {name}\n" for value, name in signals.NAMES.items()))
        return 0
    if arguments[:1] == ["-s"] and len(arguments) > 1:
        number, arguments = signals.number_of(arguments[1]), arguments[2:]
    elif arguments and arguments[0].startswith("-") and arguments[0] != "--":
        number, arguments = signals.number_of(arguments[0][1:]), arguments[1:]
    if number is None:
        await process.err(f"kill: bad signal name '{words[1].lstrip('-')}'\n")
        return 1
    if not [word for word in arguments if word != "--"]:
        await process.err("kill: you need to specify whom to kill\n")
        return 1
    status = 0
    for word in arguments:
        if word != "--":
            status |= await _kill_one(process, word, number)
    return status


async def _kill_one(process: Process, word: str, number: int) -> int:
    pid = integer(word)
    if pid is None:
        await process.err(
            f"kill: invalid number '{word}'\n"
            if process.container.spec.flavour == "busybox"
            else f"kill: Illegal number: {word}\n"
        )
        return 1
    if pid == -1 or pid < -1 or pid == 0:
        targets = [other for other in process.container.processes.values() if other.pid != 1 and other is not process]
        for other in targets:
            other.signal(number)
        return 0
    target = process.container.processes.get(pid)
    if target is None:
        await process.err(f"kill: can't kill pid {word}: No such process\n")
        return 1
    if process.uid not in (0, target.uid):
        await process.err(f"kill: can't kill pid {word}: Operation not permitted\n")
        return 1
    target.signal(number)
    return 0


async def kill(process: Process) -> int:
    """The program ``kill``."""
    return await kill_command(process, process.argv)


def _named(process: Process, name: str) -> list[Process]:
    return [other for other in process.container.processes.values() if other.argv[0].rpartition("/")[2] == name]


async def killall(process: Process) -> int:
    """``killall [-SIGNAL] NAME...``"""
    words = process.argv[1:]
    number: int | None = signals.TERM
    if words and words[0].startswith("-"):
        number = signals.number_of(words.pop(0)[1:])
    if number is None or not words:
        await process.err("killall: you need to specify whom to kill\n")
        return 1
    status = 0
    for name in words:
        found = _named(process, name)
        for other in found:
            other.signal(number)
        if not found:
            await process.err(f"killall: {name}: no process killed\n")
            status = 1
    return status


async def pgrep(process: Process) -> int:
    """``pgrep [-flaxo] PATTERN``, ``pkill [-SIGNAL] [-fxo] PATTERN``: processes by a regular expression."""
    killing = name_of(process) == "pkill"
    number: int | None = signals.TERM
    words = process.argv[1:]
    if killing and words and words[0].startswith("-") and signals.number_of(words[0][1:]):
        number = signals.number_of(words[0][1:])
        process.argv = [process.argv[0], *words[1:]]
    options = await parse(process, "flaxonvce", "us", long={"full": "f", "signal": "s", "exact": "x"})
    if "s" in options:
        number = signals.number_of(options.values["s"])
    if len(options.operands) != 1 or number is None:
        await process.err(f"{name_of(process)}: no matching criteria specified\n")
        return 2
    regex = Regex(f"^({options.operands[0]})$" if "x" in options else options.operands[0], extended=True)
    found = []
    for other in list(process.container.processes.values()):
        text = " ".join(other.argv) if "f" in options else _column(process, other, "comm")
        if other is not process and regex.search(text) is not None:
            found.append(other)
    for other in found[:1] if "o" in options else found:
        if killing:
            other.signal(number)
        else:
            shown = " ".join(other.argv) if "a" in options else _column(process, other, "comm")
            await process.out(f"{other.pid} {shown}\n" if "l" in options or "a" in options else f"{other.pid}\n")
    return int(not found)


async def pidof(process: Process) -> int:
    """``pidof NAME...``"""
    found = [str(other.pid) for name in process.argv[1:] for other in reversed(_named(process, name))]
    if found:
        await process.out(" ".join(found) + "\n")
    return 0 if found else 1


async def timeout(process: Process) -> int:
    """``timeout [-s SIGNAL] [-k S] SECONDS COMMAND...``"""
    options = await parse(process, "", "sk", stop_early=True, long={"signal": "s", "kill-after": "k"})
    words = options.operands
    if words[:1] == ["-t"]:
        words = words[1:]
    seconds = seconds_of(words[0]) if words else None
    number = signals.number_of(options.values.get("s", "TERM"))
    if seconds is None or len(words) < 2 or number is None:
        await process.err("timeout: usage: timeout [-s SIG] [-k SECS] SECS PROG ARGS\n")
        return 1
    try:
        path = which(process.container.files, words[1], process.env, process.cwd)
        program, arguments = process.container.load(path, words[1:], process.env)
        child = process.child(arguments)
    except FileError as error:
        await process.err(f"timeout: can't execute '{words[1]}': {error.strerror}\n")
        return 127
    child.run(program)
    return await _supervise(process, child, seconds, number, seconds_of(options.values.get("k", "")))


async def _supervise(process: Process, child: Process, seconds: float, number: int, kill_after: float | None) -> int:
    first: Future[None] = Future()
    timer = process.container.clock.call_later(seconds, lambda: first.set(None))
    child.exited.when_done(lambda _: first.set(None))
    process.handlers[signals.TERM] = lambda number: child.signal(number)
    await first
    timer.cancel()
    if child.exited.done:
        return child.exited.result()
    child.signal(number)
    if kill_after is not None:
        process.container.clock.call_later(kill_after, lambda: child.signal(signals.KILL))
    code = await child.exited
    return 128 + number if process.container.spec.flavour == "busybox" else 124 if code >= 128 else code


async def nohup(process: Process) -> int:
    """``nohup COMMAND...``"""
    process.handlers[signals.HUP] = None
    return await _become(process, process.argv[1:], process.env)


async def env(process: Process) -> int:
    """``env [-i] [-u NAME] [NAME=VALUE]... [COMMAND...]``, ``printenv [NAME]``"""
    options = await parse(process, "i0", "u", stop_early=True)
    environment = {} if "i" in options else dict(process.env)
    environment.pop(options.values.get("u", ""), None)
    words = list(options.operands)
    while words and "=" in words[0]:
        name, _, value = words.pop(0).partition("=")
        environment[name] = value
    if words:
        return await _become(process, words, environment)
    await process.out("".join(f"{name}={value}\n" for name, value in environment.items()))
    return 0


async def _become(process: Process, words: list[str], environment: dict[str, str]) -> int:
    if not words:
        await process.err(f"{name_of(process)}: missing operand\n")
        return 1
    try:
        path = which(process.container.files, words[0], environment, process.cwd)
        program, arguments = process.container.load(path, words, environment)
    except FileError as error:
        quoted = f"'{words[0]}'" if process.container.spec.flavour == "busybox" else f"‘{words[0]}’"
        can = "can't execute " if process.container.spec.flavour == "busybox" else ""
        await process.err(f"{name_of(process)}: {can}{quoted}: {error.strerror}\n")
        return 127 if error.strerror == "No such file or directory" else 126
    process.argv, process.env = arguments, environment
    raise Replace(program)


async def printenv(process: Process) -> int:
    """``printenv [NAME]...``"""
    words = process.argv[1:]
    if not words:
        await process.out("".join(f"{name}={value}\n" for name, value in process.env.items()))
        return 0
    for name in words:
        if name in process.env:
            await process.out(f"{process.env[name]}\n")
    return 0 if all(name in process.env for name in words) else 1


async def xargs(process: Process) -> int:
    """``xargs [-n N] [-I R] [-r] [-t] [-0] COMMAND...``"""
    options = await parse(process, "rt0", "nI", stop_early=True)
    stream = await open_operand(process, "-")
    data = await content(process, stream, 1 << 20) if stream is not None else b""
    text = data.decode("utf-8", "surrogateescape")
    marker = options.values.get("I")
    items = text.split("\0") if "0" in options else text.splitlines() if marker else text.split()
    items = [item.strip() for item in items if item.strip()]
    command = options.operands or ["echo"]
    size = 1 if marker else (integer(options.values.get("n", "")) or 5000)
    groups = [items[at : at + size] for at in range(0, len(items), max(1, size))] or (
        [] if "r" in options or marker else [[]]
    )
    status = 0
    for group in groups:
        argv = [word.replace(marker, group[0]) for word in command] if marker else [*command, *group]
        if "t" in options:
            await process.err(" ".join(argv) + "\n")
        code = await run_command(process, argv)
        if code:
            status = code if code in (126, 127) else 123
    return status


async def time(process: Process) -> int:
    """``time COMMAND...``: what it took, told on standard error."""
    if len(process.argv) < 2:
        await process.err("time: usage: time PROG ARGS\n")
        return 1
    began = process.container.clock.now()
    code = await run_command(process, process.argv[1:])
    minutes, seconds = divmod(process.container.clock.now() - began, 60)
    await process.err(f"real\t{int(minutes)}m {seconds:.2f}s\nuser\t0m 0.00s\nsys\t0m 0.00s\n")
    return code


async def refused(process: Process) -> int:
    """A program that can be had, but needs what is not simulated: a full screen, the kernel, a compiler."""
    await process.err(f"{name_of(process)}: not simulated here\n")
    return 1
