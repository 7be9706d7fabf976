"""Applets about the system: date, hostname, id, whoami, uname, uptime, free, nproc, sync, tty, clear, true, false."""

from __future__ import annotations

from datetime import UTC, datetime

from simkube.runtime import accounts
from simkube.runtime.applets.options import integer, name_of, parse
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
    """``hostname [-i|-f|-s]``"""
    options = await parse(process, "ifsdI")
    sandbox = process.container.sandbox
    if options.operands:
        await process.err("hostname: sethostname: Operation not permitted\n")
        return 1
    await process.out((sandbox.ip if "i" in options or "I" in options else sandbox.config.hostname) + "\n")
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
    """``free``: a node of 8 GiB with little in use."""
    await parse(process, "hmkb")
    await process.out("              total        used        free      shared  buff/cache   available\n")
    await process.out("Mem:        8388608      262144     7864320           0      262144     8126464\n")
    await process.out("Swap:             0           0           0\n")
    return 0
