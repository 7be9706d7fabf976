"""Interpreters and compilers, which carry no programs out here: they say their version, and refuse the rest by name.

What courses ask of them all the same: one line that prints one literal (``node -e``, ``ruby -e``, ``php -r``, ``perl
-e``), the digits of pi that the documentation's Job computes with perl, ``python -m http.server``, and small programs
of Python (:mod:`simkube.runtime.programs.small_python`).
"""

from __future__ import annotations

import re
from itertools import pairwise

from simkube.clock.clock import Future
from simkube.runtime.process import Process
from simkube.runtime.programs import small_python
from simkube.runtime.programs.python_values import NotSimulated
from simkube.runtime.programs.static_site import serve_folder

_LITERAL = r"""("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|-?\d{1,30}(?:\.\d{1,30})?)"""
_PRINTED = re.compile(rf"\s*(?:print|puts|echo|say|console\.log)\s*\(?\s*{_LITERAL}\s*\)?\s*;?\s*\Z")
_PI = re.compile(r"\s*print\s+bpi\(\s*(\d{1,4})\s*\)\s*;?\s*\Z")
_CODE = {"-c", "-e", "-r", "-E", "-le", "-wle", "-lwe", "-we"}
_VERSION = {"--version", "-version", "-V", "-v", "version"}
_TALKATIVE = {"-i", "-a", "-de0"}
"""Flags of those who want to be typed to."""
_SECONDS_FOR_PI = 2.0
"""What 2000 digits cost perl's bignum."""


async def interpreter(process: Process) -> int:
    """The exit code; 127 for what is not simulated."""
    name = process.argv[0].rpartition("/")[2]
    words = process.argv[1:]
    versions: dict[str, str] = process.container.spec.behaviour.get("versions", {})
    if words[:1] and words[0] in _VERSION:
        said = str(versions.get(name, "")).replace("${version}", process.container.spec.version)
        await process.out(f"{said}\n")
        return 0
    if words[:2] == ["-m", "http.server"]:
        return await _http_server(process, words[2:])
    code = next((after for flag, after in pairwise(words) if flag in _CODE), None)
    snake = name.startswith(("python", "pypy"))
    printed = _PRINTED.match(code) if code is not None and not snake else None
    if printed:
        newline = "" if name in ("php",) or (name == "perl" and "-l" not in "".join(words)) else "\n"
        await process.out(_value(printed[1]) + newline)
        return 0
    digits = _PI.match(code) if code is not None else None
    if digits and "-Mbignum=bpi" in words:
        return await _print_pi(process, int(digits[1]))
    if snake:
        refused = await _python(process, words, code)
        if isinstance(refused, int):
            return refused
    else:
        refused = f"programs of {name}"
    stream = process.fds.get(0)
    if set(words) <= _TALKATIVE and stream is not None and not stream.terminal and not await process.read():
        return 0  # nobody types
    simulated = "small programs of plain Python" if snake else "a line that prints"
    await process.err(f"{name}: not simulated here: {refused} (--version and {simulated} are)\n")
    return 127


async def _python(process: Process, words: list[str], code: str | None) -> int | str:
    """The exit code of a program of ``-c`` or of a file, as far as it is simulated; else what is not."""
    argv = ["-c"]
    if code is None:
        files = [word for word in words if not word.startswith("-")]
        path = process.resolve(files[0]) if files else ""
        if not files:
            return "programs of python"
        if not process.container.files.exists(path):
            await process.err(f"python: can't open file '{path}': [Errno 2] No such file or directory\n")
            return 2
        code, argv = process.container.files.read(path).decode("utf-8", "replace"), files
    try:
        return await small_python.run(process, code, argv)
    except NotSimulated as what:
        return str(what)


def _value(literal: str) -> str:
    if literal[0] not in "\"'":
        return literal
    return re.sub(r"\\(.)", lambda found: {"n": "\n", "t": "\t"}.get(found[1], found[1]), literal[1:-1])


async def _print_pi(process: Process, digits: int) -> int:
    await process.burn(_SECONDS_FOR_PI * (digits / 2000) ** 2)
    await process.out(f"{pi(digits)}\n")
    return 0


def pi(digits: int) -> str:
    """So many significant digits, after John Machin."""
    unit = 10 ** (digits + 10)

    def arctan(inverse: int) -> int:
        total: int = 0
        term: int = 0
        total = term = unit // inverse
        square, divisor, sign = inverse * inverse, 3, -1
        while term:
            term //= square
            total += sign * (term // divisor)
            divisor, sign = divisor + 2, -sign
        return total

    text = str(4 * (4 * arctan(5) - arctan(239)))
    rounded = str(int(text[: digits + 1]) + 5)[:digits] if digits else ""
    return f"{rounded[0]}.{rounded[1:]}" if digits > 1 else "3"


async def _http_server(process: Process, words: list[str]) -> int:
    """``python -m http.server [PORT] [--directory DIR] [--bind ADDRESS]``"""
    operands, folder = [], process.cwd
    left = list(words)
    while left:
        word = left.pop(0)
        if word in ("-d", "--directory", "-b", "--bind", "-p", "--protocol"):
            value = left.pop(0) if left else ""
            folder = process.resolve(value) if word in ("-d", "--directory") else folder
        elif not word.startswith("-"):
            operands.append(word)
    port = operands[0] if operands else "8000"
    if not (port.isdecimal() and len(port) < 6):
        await process.err(f"server.py: error: argument port: invalid int value: '{port[:40]}'\n")
        return 2
    await serve_folder(process, int(port), folder, listing=True, logs=True)
    await process.out(f"Serving HTTP on 0.0.0.0 port {port} (http://0.0.0.0:{port}/) ...\n")
    return await Future[int]()  # without a handler: the first process of a container ignores SIGTERM
