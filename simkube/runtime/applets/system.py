"""Applets about the system: date, hostname, id, whoami, uname, uptime, free, nproc, sync, tty, clear, true, false."""

from __future__ import annotations

from datetime import UTC, datetime

from simkube.runtime import accounts
from simkube.runtime.applets.options import Options, integer, name_of, parse, seconds_of
from simkube.runtime.process import Process
from simkube.runtime.procfs import KERNEL

_FORMATS = frozenset("YmdHMSjyBbAaeFTDuwZzpIkl%nstRcsNhUVG")


async def true(process: Process) -> int:
    """``true``, ``sync``"""
    return 0


async def false(process: Process) -> int:
    """``false``"""
    return 1


async def date(process: Process) -> int:
    """``date [-u] [-d @SECONDS] [-I[seconds]] [+FORMAT]``"""
    options = await parse(process, "uRI", "ds", long={"utc": "u", "date": "d"})
    now = process.container.clock.now()
    if "s" in options:
        await process.err("date: can't set date: Operation not permitted\n")
        return 1
    if "d" in options:
        number = integer(options.values["d"].removeprefix("@"))
        if number is None or not 0 <= number < 1 << 40 or not options.values["d"].startswith("@"):
            await process.err(f"date: invalid date '{options.values['d']}' (only @SECONDS is simulated)\n")
            return 1
        now = float(number)
    when = datetime.fromtimestamp(now, UTC)
    template = options.operands[0] if options.operands else ""
    if template and not template.startswith("+"):
        await process.err(f"date: invalid date '{template}'\n")
        return 1
    if not template:
        template = (
            "+%Y-%m-%d"
            if "I" in options
            else "+%a, %d %b %Y %H:%M:%S +0000"
            if "R" in options
            else "+%a %b %e %H:%M:%S UTC %Y"
        )
    await process.out(_format(template[1:], when, now) + "\n")
    return 0


def _format(template: str, when: datetime, now: float) -> str:
    found: list[str] = []
    at = 0
    while at < len(template):
        char = template[at]
        at += 1
        if char != "%" or at >= len(template):
            found.append(char)
            continue
        code = template[at]
        at += 1
        if code == "N":
            found.append(f"{int(now % 1 * 1e9):09d}")
        elif code == "s":
            found.append(str(int(now)))
        else:
            found.append(when.strftime(f"%{code}") if code in _FORMATS else f"%{code}")
    return "".join(found)


async def hostname(process: Process) -> int:
    """``hostname [-i|-f|-s|-d]``"""
    options = await parse(process, "ifsdI")
    sandbox = process.container.sandbox
    if options.operands:
        await process.err("hostname: sethostname: Operation not permitted\n")
        return 1
    config = sandbox.config
    if "i" in options or "I" in options:
        await process.out(f"{sandbox.ip}\n")
    elif "d" in options:
        await process.out(config.fqdn.partition(".")[2] + "\n")
    else:
        await process.out(f"{config.fqdn if 'f' in options and config.fqdn else config.hostname}\n")
    return 0


async def identity(process: Process) -> int:
    """``id [-u|-g|-G] [-n]``"""
    options = await parse(process, "ugnG")
    files, config = process.container.files, process.container.config
    primary = accounts.primary_group(files, config, process.uid)
    user = (process.uid, accounts.user_name(files, process.uid))
    groups = [(gid, accounts.group_name(files, gid)) for gid in sorted({primary, *config.groups})]
    group = (primary, accounts.group_name(files, primary))
    chosen = {"u": [user], "g": [group], "G": groups}
    for option, found in chosen.items():
        if option in options:
            await process.out(" ".join(name if "n" in options else str(number) for number, name in found) + "\n")
            return 0
    parts = {"uid": [user], "gid": [group], "groups": groups}
    shown = (f"{word}={','.join(_labelled(*each) for each in found)}" for word, found in parts.items())
    await process.out(" ".join(shown) + "\n")
    return 0


def _labelled(number: int, name: str) -> str:
    return str(number) if name == str(number) else f"{number}({name})"


async def whoami(process: Process) -> int:
    """``whoami``"""
    name = accounts.user_name(process.container.files, process.uid)
    if name == str(process.uid):
        gnu = process.container.spec.flavour == "debian"
        await process.err(f"whoami: {'cannot find name for user ID' if gnu else 'unknown uid'} {process.uid}\n")
        return 1
    await process.out(f"{name}\n")
    return 0


async def uname(process: Process) -> int:
    """``uname [-asnrmv]``"""
    options = await parse(process, "asnrmvo")
    host = process.container.sandbox.config.hostname
    parts = {"s": "Linux", "n": host, "r": KERNEL, "v": "#1 SMP simulated", "m": "x86_64", "o": "GNU/Linux"}
    shown = [text for letter, text in parts.items() if "a" in options or letter in options] or ["Linux"]
    await process.out(" ".join(shown) + "\n")
    return 0


async def uptime(process: Process) -> int:
    """``uptime`` of the node."""
    now = process.container.clock.now()
    minutes = int(now - process.container.sandbox.machine.started) // 60
    length = f"{minutes} min" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02d}"
    when = datetime.fromtimestamp(now, UTC).strftime("%H:%M:%S")
    await process.out(f" {when} up {length},  0 users,  load average: 0.00, 0.00, 0.00\n")
    return 0


async def nproc(process: Process) -> int:
    """``nproc``"""
    await process.out("4\n")
    return 0


async def tty(process: Process) -> int:
    """``tty``"""
    stream = process.fds.get(0)
    terminal = stream is not None and stream.terminal
    await process.out("/dev/pts/0\n" if terminal else "not a tty\n")
    return 0 if terminal else 1


async def stty(process: Process) -> int:
    """``stty size``, ``stty -a``; changing anything is accepted where it would only change the look."""
    stream = process.fds.get(0)
    if stream is None or not stream.terminal:
        await process.err("stty: standard input: Inappropriate ioctl for device\n")
        return 1
    await process.out("24 80\n" if process.argv[1:] == ["size"] else "")
    if process.argv[1:] not in (["size"], ["sane"], ["echo"], ["-echo"]):
        await process.err("stty: only size, sane and echo are simulated\n")
        return 1
    return 0


async def clear(process: Process) -> int:
    """``clear``"""
    await process.out("\x1b[H\x1b[J")
    return 0


async def expr(process: Process) -> int:
    """``expr A OP B`` with + - * / % and comparisons; ``expr length S``. Regular expressions are refused."""
    words = process.argv[1:]
    if len(words) == 2 and words[0] == "length":
        await process.out(f"{len(words[1])}\n")
        return 0 if words[1] else 1
    if len(words) == 1:
        await process.out(f"{words[0]}\n")
        return 0 if words[0] not in ("", "0") else 1
    if len(words) != 3 or words[1] not in _EXPR:
        await process.err(f"{name_of(process)}: only A OP B with {' '.join(_EXPR)} is simulated\n")
        return 2
    left, right = integer(words[0]), integer(words[2])
    if words[1] in "+-*/%" and (left is None or right is None):
        await process.err("expr: non-integer argument\n")
        return 2
    if words[1] in "/%" and right == 0:
        await process.err("expr: division by zero\n")
        return 2
    pair = (left, right) if left is not None and right is not None else (words[0], words[2])
    result = _EXPR[words[1]](*pair)
    text = str(int(result))
    await process.out(f"{text}\n")
    return 0 if text != "0" else 1


_EXPR = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1),
    "%": lambda a, b: a - b * (abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)),
    "=": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


async def free(process: Process) -> int:
    """``free [-b|-k|-m|-g]``: of the node, whatever the container may use of it."""
    options = await parse(process, "hmkbg")
    unit = next((size for letter, size in _UNITS.items() if letter in options), 1024)
    memory = process.container.sandbox.machine.memory
    cached = memory.capacity // 32
    used = min(memory.capacity, memory.reserved + memory.held)
    free_ = max(0, memory.capacity - used - cached)
    amounts = [memory.capacity, used, free_, 0, cached, max(0, memory.available)]
    titles = ("total", "used", "free", "shared", "buff/cache", "available")
    await process.out(f"{'':7}" + "".join(f"{title:>12}" for title in titles) + "\n")
    await process.out("Mem:   " + "".join(f"{_amount(size, unit, options):>12}" for size in amounts) + "\n")
    await process.out("Swap:  " + "".join(f"{_amount(0, unit, options):>12}" for _ in range(3)) + "\n")
    return 0


_UNITS = {"b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


def _amount(size: int, unit: int, options: Options) -> str:
    if "h" not in options:
        return str(size // unit)
    for suffix, factor in (("G", 1 << 30), ("M", 1 << 20), ("K", 1 << 10)):
        if size >= factor:
            return f"{size / factor:.1f}{suffix}"
    return str(size)


async def top(process: Process) -> int:
    """``top [-b] [-n N] [-d SECONDS]``: again and again until it is interrupted; keys are not simulated."""
    options = await parse(process, "b", "nd")
    rounds = integer(options.values.get("n", "")) if "n" in options else None
    pause = seconds_of(options.values.get("d", "5")) or 5.0
    if rounds is not None and rounds < 1:
        await process.err("top: invalid number\n")
        return 1
    while True:
        await process.out(("" if "b" in options else "\x1b[H\x1b[J") + _screen(process))
        if rounds is not None:
            rounds -= 1
            if not rounds:
                return 0
        await process.sleep(pause)


def _screen(process: Process) -> str:
    container = process.container
    memory, cores = container.sandbox.machine.memory, container.sandbox.machine.cores
    used = min(memory.capacity, memory.reserved + memory.held)
    busy = min(container.processors.cores, container.processors.busy) / cores * 100
    cached = memory.capacity // 32
    lines = [
        f"Mem: {used >> 10}K used, {(memory.capacity - used) >> 10}K free, 0K shrd, 0K buff, {cached >> 10}K cached",
        f"CPU: {busy:3.0f}% usr   0% sys   0% nic {100 - busy:3.0f}% idle   0% io   0% irq   0% sirq",
        f"Load average: {busy / 100 * cores:.2f} 0.00 0.00 1/{len(container.processes)} {process.pid}",
        "  PID  PPID USER     STAT   VSZ %VSZ CPU %CPU COMMAND",
    ]
    for other in list(container.processes.values()):
        parent = other.parent.pid if other.parent is not None else 0
        state = "T" if other.frozen else "R" if other.computing or other is process else "S"
        size = (other.memory + (container.spec.memory if other.pid == 1 else 1 << 20)) >> 10
        share = other.computing * container.processors.speed / cores * 100
        lines.append(
            f"{other.pid:5d} {parent:5d} {accounts.user_name(container.files, other.uid)[:8]:8} {state:4} {size:5d}"
            f" {size * 102400 // memory.capacity:3d}%   0 {share:3.0f}% {(other.title or ' '.join(other.argv))[:60]}"
        )
    return "\n".join(lines) + "\n"
