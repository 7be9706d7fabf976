"""``echo``, ``printf``, ``yes``, ``seq``."""

from __future__ import annotations

from simkube.runtime.applets.options import integer, name_of
from simkube.runtime.process import Process

MAX_OUTPUT = 256 * 1024
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v", "\\": "\\", "e": "\x1b"}


def unescape(text: str, *, octal_needs_zero: bool) -> tuple[str, bool]:
    """Text with its backslash escapes replaced; True when ``\\c`` ended it."""
    found: list[str] = []
    at = 0
    while at < len(text):
        char = text[at]
        at += 1
        if char != "\\" or at >= len(text):
            found.append(char)
            continue
        code = text[at]
        at += 1
        if code == "c":
            return "".join(found), True
        if code in _ESCAPES:
            found.append(_ESCAPES[code])
        elif code == "x" and text[at : at + 1] in "0123456789abcdefABCDEF" and at < len(text):
            digits = _digits(text, at, 2, "0123456789abcdefABCDEF")
            found.append(_byte(int(digits, 16)))
            at += len(digits)
        elif code in "01234567" and (code == "0" or not octal_needs_zero):
            start = at if octal_needs_zero else at - 1
            digits = _digits(text, start, 3, "01234567")
            found.append(_byte(int(digits or "0", 8) & 255))
            at = start + len(digits)
        else:
            found.append("\\" + code)
    return "".join(found), False


def _digits(text: str, at: int, most: int, allowed: str) -> str:
    end = at
    while end < len(text) and end - at < most and text[end] in allowed:
        end += 1
    return text[at:end]


def _byte(value: int) -> str:
    return bytes([value]).decode("utf-8", "surrogateescape")


def echo_text(words: list[str], *, escapes: bool) -> str:
    """What ``echo`` writes; ``escapes``: dash's echo, which always replaces them and knows only ``-n``."""
    newline = True
    words = list(words)
    while words and len(words[0]) > 1 and words[0][0] == "-" and set(words[0][1:]) <= set("n" if escapes else "neE"):
        option = words.pop(0)
        newline = newline and "n" not in option
        if not escapes:
            escapes = escapes or "e" in option
        elif option != "-n":
            words.insert(0, option)
            break
    text = " ".join(words)
    if escapes and "\\" in text:
        text, ended = unescape(text, octal_needs_zero=True)
        newline = newline and not ended
    return text + "\n" if newline else text


async def echo(process: Process) -> int:
    """The program ``echo``."""
    await process.out(echo_text(process.argv[1:], escapes=False))
    return 0


def printf_text(template: str, arguments: list[str], *, once: bool = False) -> tuple[str, str]:
    """What ``printf`` writes, and what was wrong; ``once``: arguments that are left over are left out."""
    pending = list(arguments)
    found: list[str] = []
    problem = ""
    size = 0
    while True:
        before = len(pending)
        text, why, ended = _printf_once(template, pending)
        problem = problem or why
        found.append(text)
        size += len(text)
        if ended or once or not pending or len(pending) == before or size > MAX_OUTPUT:
            return "".join(found)[:MAX_OUTPUT], problem


def _printf_once(template: str, pending: list[str]) -> tuple[str, str, bool]:
    found: list[str] = []
    problem = ""
    at = 0
    while at < len(template):
        char = template[at]
        if char == "\\":
            end = at + 1
            while end < len(template) and template[end] != "%" and end - at < 5:
                end += 1
            piece = template[at:end]
            size = _escape_size(piece)
            text, ended = unescape(piece[:size], octal_needs_zero=False)
            found.append(text)
            if ended:
                return "".join(found), problem, True
            at += size
        elif char == "%":
            end = at + 1
            while end < len(template) and template[end] in "-+ #0123456789.*":
                end += 1
            kind = template[end : end + 1]
            text, why, ended = _conversion(template[at + 1 : end], kind, pending)
            found.append(text)
            problem = problem or why
            if ended or (why and not kind):
                return "".join(found), problem, True
            at = end + 1
        else:
            found.append(char)
            at += 1
    return "".join(found), problem, False


def _escape_size(piece: str) -> int:
    if len(piece) < 2:
        return len(piece)
    if piece[1] == "x":
        return 2 + len(_digits(piece, 2, 2, "0123456789abcdefABCDEF"))
    if piece[1] in "01234567":
        return 1 + len(_digits(piece, 1, 3, "01234567"))
    return 2


def _conversion(flags: str, kind: str, pending: list[str]) -> tuple[str, str, bool]:
    if kind == "%" and not flags:
        return "%", "", False
    while "*" in flags:
        width = integer(pending.pop(0)) if pending else 0
        flags = flags.replace("*", str(width or 0), 1)
    if any(len(part) > 4 for part in flags.strip("-+ #").split(".")):
        return "", f"%{flags}{kind}: width not simulated", False
    argument = pending.pop(0) if pending else None
    if kind == "s":
        return f"%{flags}s" % (argument or ""), "", False
    if kind == "b":
        text, ended = unescape(argument or "", octal_needs_zero=True)
        return f"%{flags}s" % text, "", ended
    if kind == "q":
        return _quoted(argument or ""), "", False
    if kind == "c":
        return f"%{flags}s" % (argument or "")[:1], "", False
    if kind and kind in "diouxX":
        value, why = _number(argument or "0")
        if value < 0 and kind in "ouxX":
            value += 1 << 64
        return f"%{flags}{'d' if kind in 'iu' else kind}" % value, why, False
    if kind and kind in "eEfgG":
        try:
            return f"%{flags}{kind}" % float((argument or "0")[:40]), "", False
        except ValueError:
            return f"%{flags}{kind}" % 0.0, f"{argument}: invalid number", False
    return "", f"%{flags}{kind}: invalid format", False


def _quoted(text: str) -> str:
    """A text as bash writes it to be read again."""
    if not text:
        return "''"
    return "".join(char if char.isalnum() or char in "_-./:@%+=," else f"\\{char}" for char in text)


def _number(text: str) -> tuple[int, str]:
    if text[:1] in ("'", '"') and len(text) > 1:
        return ord(text[1]), ""
    value = integer(text.strip())
    if value is None and text[:2].lower() == "0x" and len(text) < 18:
        try:
            return int(text, 16), ""
        except ValueError:
            return 0, f"invalid number '{text}'"
    if value is not None and len(text) > 1 and text[0] == "0" and all(char in "01234567" for char in text):
        return int(text, 8), ""
    return (0, f"invalid number '{text}'") if value is None else (value, "")


async def printf(process: Process) -> int:
    """The program ``printf``."""
    if len(process.argv) < 2:
        await process.err("printf: usage: printf FORMAT [ARG]...\n")
        return 1
    text, problem = printf_text(process.argv[1], process.argv[2:])
    await process.out(text)
    if problem:
        await process.err(f"printf: {problem}\n")
    return 1 if problem else 0


async def yes(process: Process) -> int:
    """The program ``yes``: until its reader is gone."""
    line = " ".join(process.argv[1:] or ["y"]) + "\n"
    block = line * max(1, 4096 // len(line))
    while True:
        await process.out(block)
        await process.work(20)


async def seq(process: Process) -> int:
    """The program ``seq`` with whole numbers."""
    arguments = process.argv[1:]
    separator = "\n"
    if arguments[:1] == ["-s"] and len(arguments) > 2:
        separator, arguments = arguments[1], arguments[2:]
    numbers = [integer(argument) for argument in arguments]
    if not 1 <= len(numbers) <= 3 or None in numbers:
        await process.err(f"{name_of(process)}: only whole numbers, FIRST STEP LAST, and -s are simulated\n")
        return 1
    values = [number or 0 for number in numbers]
    first, step, last = (
        (1, 1, values[0]) if len(values) == 1 else (values[0], 1, values[1]) if len(values) == 2 else values
    )
    if step == 0:
        await process.err("seq: zero increment\n")
        return 1
    count = max(0, (last - first) // step + 1)
    for start in range(0, count, 500):
        block = [str(first + step * index) for index in range(start, min(count, start + 500))]
        await process.out(separator.join(block) + ("\n" if start + 500 >= count else separator))
    return 0
