"""``mongosh`` and the older ``mongo``: lines of ``--eval``, of standard input, or typed, sent to the server."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from simkube.clock.clock import TimedOut
from simkube.runtime.cri import NetworkError
from simkube.runtime.process import Process
from simkube.runtime.programs.databases.line_protocol import Client, why_not_connected

_VALUED = {"host", "port", "username", "password", "authenticationDatabase", "eval", "u", "p"}


@dataclass
class Asked:
    """What the command line says."""

    host: str = "127.0.0.1"
    port: str = "27017"
    user: str = ""
    password: str = ""
    database: str = "test"
    text: str | None = None
    quiet: bool = False


def read(words: list[str]) -> Asked:
    """Options, and a URI or a database's name; ValueError for a port that is none."""
    asked, left = Asked(), list(words)
    while left:
        word = left.pop(0)
        name, equals, value = word.lstrip("-").partition("=")
        if not word.startswith("-"):
            _place(asked, word)
            continue
        if name in _VALUED and not equals:
            value = left.pop(0) if left else ""
        if name == "eval":
            asked.text = value
        elif name == "quiet":
            asked.quiet = True
        elif name in ("host", "port"):
            setattr(asked, name, value)
        elif name in ("u", "username"):
            asked.user = value
        elif name in ("p", "password"):
            asked.password = value
    host, colon, port = asked.host.rpartition(":")
    if colon:
        asked.host, asked.port = host, port
    if not (asked.port.isdecimal() and 0 < len(asked.port) < 6):
        raise ValueError(f"Invalid port {asked.port}")
    return asked


def _place(asked: Asked, word: str) -> None:
    if "://" not in word and "/" not in word and ":" not in word and "." not in word:
        asked.database = word
        return
    parts = urlsplit(word if "://" in word else f"mongodb://{word}")
    asked.host, asked.port = parts.hostname or asked.host, str(parts.port or asked.port)
    asked.user, asked.password = unquote(parts.username or asked.user), unquote(parts.password or asked.password)
    asked.database = parts.path.lstrip("/") or asked.database


async def mongosh(process: Process) -> int:
    """The exit code."""
    try:
        asked = read(process.argv[1:])
    except ValueError as error:
        await process.err(f"MongoshInvalidInputError: {error}\n")
        return 1
    client = Client(process, asked.host, int(asked.port))
    who = {"user": asked.user, "password": asked.password, "database": asked.database}
    try:
        greeting = await client.greet(who)
        if greeting.get("error"):
            await process.err(f"{greeting['error']}\n")
            return 1
        return await _run(process, client, asked)
    except (NetworkError, TimedOut) as error:
        where = f"{asked.host}:{asked.port}"
        why = {"name": f"getaddrinfo ENOTFOUND {asked.host}", "refused": f"connect ECONNREFUSED {where}"}
        text = why.get(why_not_connected(error), f"connection timed out to {where}")
        await process.err(f"MongoNetworkError: {text}\n")
        return 1
    finally:
        client.close()


async def _run(process: Process, client: Client, asked: Asked) -> int:
    if asked.text is not None:
        return max([0, *[await _line(process, client, line) for line in _lines(asked.text)]])
    stream = process.fds.get(0)
    typed = stream is not None and stream.terminal
    if typed:
        await process.out(f"Connecting to: mongodb://{asked.host}:{asked.port}/\nThis server is simulated.\n\n")
    while True:
        if typed:
            await process.out(f"{asked.database}> ")
        line = bytearray()
        while not line.endswith(b"\n"):
            part = await process.read(0, 1)
            if not part:
                break
            line += part
        text = line.decode("utf-8", "replace").strip()
        if not line or text in ("exit", "quit", "quit()"):
            return 0
        if text:
            await _line(process, client, text)
            if text.startswith("use "):
                asked.database = text.split()[1]


def _lines(text: str) -> list[str]:
    """Statements of a text, split at semicolons and line ends outside of brackets and quotes."""
    found, depth, quote, start = [], 0, "", 0
    for at, one in enumerate(text):
        if quote:
            quote = "" if one == quote else quote
        elif one in "'\"":
            quote = one
        elif one in "({[":
            depth += 1
        elif one in ")}]":
            depth -= 1
        elif one in ";\n" and depth <= 0:
            found.append(text[start:at])
            start = at + 1
    return [line.strip() for line in [*found, text[start:]] if line.strip()]


async def _line(process: Process, client: Client, text: str) -> int:
    answer = await client.ask(text)
    if answer.get("error"):
        await process.err(f"{answer['error']}\n")
        return 1
    if answer.get("out"):
        await process.out(f"{answer['out']}\n")
    return 0
