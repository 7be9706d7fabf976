"""``psql`` and ``pg_isready``: statements of ``-c``, of standard input, or typed, shown aligned as psql does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

from simkube.clock.clock import TimedOut
from simkube.runtime.cri import NetworkError
from simkube.runtime.process import Process
from simkube.runtime.programs.databases.engine import MOST_SCRIPT, statements
from simkube.runtime.programs.databases.line_protocol import Client, why_not_connected

_VALUED = {"h": "host", "p": "port", "U": "username", "d": "dbname", "c": "command", "f": "file", "t": "timeout"}
_LONG = {"host", "port", "username", "dbname", "command", "file"}
SOCKET = "/var/run/postgresql/.s.PGSQL.5432"


@dataclass
class Asked:
    """What the command line and the environment say."""

    host: str = ""
    port: str = "5432"
    user: str = ""
    database: str = ""
    password: str = ""
    commands: list[str] = field(default_factory=list)
    file: str = ""
    switches: set[str] = field(default_factory=set)


def read(process: Process, words: Sequence[str], *, timeout: bool = False) -> Asked:
    """Options as psql takes them; ``-t`` has a value for pg_isready alone."""
    env = process.env
    asked = Asked(env.get("PGHOST", ""), env.get("PGPORT", "5432"), env.get("PGUSER", ""), env.get("PGDATABASE", ""))
    asked.password = env.get("PGPASSWORD", "")
    given: dict[str, str] = {}
    left, operands = list(words), []
    while left:
        word = left.pop(0)
        if word.startswith("--"):
            name, equals, value = word[2:].partition("=")
            if name in _LONG and not equals and left:
                value = left.pop(0)
            _take(asked, given, name, value)
        elif word.startswith("-") and len(word) > 1:
            letters = word[1:]
            while letters:
                letter, letters = letters[0], letters[1:]
                if letter in _VALUED and (letter != "t" or timeout):
                    _take(asked, given, _VALUED[letter], letters or (left.pop(0) if left else ""))
                    break
                asked.switches.add(letter)
        else:
            operands.append(word)
    for name, value in zip(("dbname", "username"), operands, strict=False):
        given.setdefault(name, value)
    asked.host, asked.port = given.get("host", asked.host), given.get("port", asked.port)
    asked.user = given.get("username", asked.user)
    _database(asked, given.get("dbname", asked.database))
    asked.user = asked.user or ("root" if process.uid == 0 else "postgres")
    asked.database = asked.database or asked.user
    return asked


def _take(asked: Asked, given: dict[str, str], name: str, value: str) -> None:
    if name == "command":
        asked.commands.append(value)
    elif name == "file":
        asked.file = value
    elif name in _LONG:
        given[name] = value
    else:
        asked.switches.add({"tuples-only": "t", "no-align": "A", "quiet": "q", "version": "V"}.get(name, name))


def _database(asked: Asked, text: str) -> None:
    """A name, or ``postgresql://USER:PASSWORD@HOST:PORT/NAME``."""
    if not text.startswith(("postgresql://", "postgres://")):
        asked.database = text
        return
    try:
        parts = urlsplit(text)
        asked.host, asked.port = parts.hostname or asked.host, str(parts.port or asked.port)
    except ValueError:
        return
    asked.user, asked.password = unquote(parts.username or asked.user), unquote(parts.password or asked.password)
    asked.database = parts.path.lstrip("/")


async def _connected(process: Process, asked: Asked) -> Client | None:
    """A client that was let in; None after saying why there is none."""
    if not (asked.port.isdecimal() and len(asked.port) < 6):
        await process.err(f'psql: error: invalid integer value "{asked.port}" for connection option "port"\n')
        return None
    client = Client(
        process, asked.host if asked.host and not asked.host.startswith("/") else "127.0.0.1", int(asked.port)
    )
    local = not asked.host or asked.host.startswith("/")
    where = f'on socket "{SOCKET}"' if local else f'at "{asked.host}", port {asked.port}'
    try:
        who = {"user": asked.user, "password": asked.password, "database": asked.database}
        greeting = await client.greet(who)
    except (NetworkError, TimedOut) as error:
        why = why_not_connected(error)
        if why == "name":
            await process.err(
                f'psql: error: could not translate host name "{asked.host}" to address: Name or service not known\n'
            )
            return None
        words = {"timeout": "Connection timed out", "refused": "Connection refused"}.get(why, str(error))
        if local:
            words = "No such file or directory"
        server = (
            "locally and accepting connections on that socket"
            if local
            else "on that host and accepting TCP/IP connections"
        )
        await process.err(
            f"psql: error: connection to server {where} failed: {words}\n\tIs the server running {server}?\n"
        )
        return None
    if greeting.get("error"):
        fatal = "" if greeting.get("client") else "FATAL:  "
        await process.err(f"psql: error: connection to server {where} failed: {fatal}{greeting['error']}\n")
        client.close()
        return None
    return client


async def psql(process: Process) -> int:
    """The exit code: 1 for a statement that failed, 2 for no connection."""
    asked = read(process, process.argv[1:])
    if "V" in asked.switches:
        await process.out(f"psql (PostgreSQL) {process.container.spec.version}\n")
        return 0
    if "l" in asked.switches:
        asked.commands.append("\\l")
        asked.database = asked.database if asked.database != asked.user else "postgres"
    client = await _connected(process, asked)
    if client is None:
        return 2
    try:
        return await _run(process, client, asked)
    except NetworkError:
        await process.err("server closed the connection unexpectedly\n")
        return 2
    finally:
        client.close()


async def _run(process: Process, client: Client, asked: Asked) -> int:
    if asked.commands or asked.file:
        texts = list(asked.commands)
        if asked.file:
            texts.append(process.container.files.read(process.resolve(asked.file)).decode("utf-8", "replace"))
        return max([await _batch(process, client, asked, text) for text in texts])
    stream = process.fds.get(0)
    if stream is not None and stream.terminal:
        return await _session(process, client, asked)
    data = bytearray()
    while (part := await process.read()) and len(data) <= MOST_SCRIPT:
        data += part
    await _batch(process, client, asked, data.decode("utf-8", "replace"))
    return 0


def _parts(text: str) -> list[str]:
    """Statements, and psql's own commands, each on a line of its own."""
    found: list[str] = []
    rest = ""
    for line in text.splitlines():
        if line.lstrip().startswith("\\") and not rest.strip():
            found.append(line.strip().rstrip(";"))
        else:
            rest += line + "\n"
            if line.rstrip().endswith(";"):
                found += statements(rest)
                rest = ""
    return [*found, *statements(rest)]


async def _batch(process: Process, client: Client, asked: Asked, text: str) -> int:
    code = 0
    if len(text) > MOST_SCRIPT:
        await process.err(f"psql: error: more than {MOST_SCRIPT} characters at once are not simulated\n")
        return 1
    for statement in _parts(text):
        if statement in ("\\q", "\\quit"):
            break
        answer = await client.ask(statement)
        if answer.get("error"):
            await process.err(f"ERROR:  {answer['error']}\n")
            code = 1
        else:
            await process.out(_shown(answer, asked.switches))
    return code


async def _session(process: Process, client: Client, asked: Asked) -> int:
    await process.out(f'psql ({process.container.spec.version})\nThis server is simulated. Type "help" for help.\n\n')
    database, text = asked.database, ""
    while True:
        await process.out(f"{database}{'-' if text else '='}# ")
        line = bytearray()
        while not line.endswith(b"\n"):
            part = await process.read(0, 1)
            if not part:
                break
            line += part
        typed = line.decode("utf-8", "replace")
        if not typed or (not text and typed.strip() in ("\\q", "exit", "quit")):
            return 0
        text += typed
        if not text.strip():
            text = ""
        elif text.lstrip().startswith("\\") or text.rstrip().endswith(";"):
            for statement in _parts(text):
                answer = await client.ask(statement)
                database = str(answer.get("database") or database)
                await process.out(
                    f"ERROR:  {answer['error']}\n" if answer.get("error") else _shown(answer, asked.switches)
                )
            text = ""


def _shown(answer: dict[str, Any], switches: set[str]) -> str:
    if answer.get("note"):
        return f"{answer['note']}\n"
    if not answer.get("columns"):
        return "" if "q" in switches else f"{answer.get('tag', '')}\n"
    rows = [["" if cell is None else str(cell) for cell in row] for row in answer["rows"]]
    columns = [str(name) for name in answer["columns"]]
    if "A" in switches:
        lines = ["|".join(row) for row in rows]
        if "t" not in switches:
            lines = ["|".join(columns), *lines, _count(rows)]
        return "".join(f"{line}\n" for line in lines)
    widths = [max(len(row[at]) for row in [columns, *rows]) for at in range(len(columns))]
    numbers = [all(isinstance(row[at], (int, float)) for row in answer["rows"]) for at in range(len(columns))]
    lines = [
        "|".join(f" {c:>{w}} " if n else f" {c:<{w}} " for c, w, n in zip(row, widths, numbers, strict=True)).rstrip(
            " "
        )
        for row in rows
    ]
    if "t" in switches:
        return "".join(f"{line}\n" for line in lines) + "\n"
    head = "|".join(f" {name:^{width}} " for name, width in zip(columns, widths, strict=True))
    rule = "+".join("-" * (width + 2) for width in widths)
    title = [f"{answer['title']:^{len(rule)}}".rstrip()] if answer.get("title") else []
    return "\n".join([*title, head, rule, *lines, _count(rows)]) + "\n\n"


def _count(rows: Sequence[Any]) -> str:
    return f"({len(rows)} row{'s' if len(rows) != 1 else ''})"


async def pg_isready(process: Process) -> int:
    """0 when the server takes connections, 2 when nobody answers."""
    asked = read(process, process.argv[1:], timeout=True)
    where = f"{asked.host or '/var/run/postgresql'}:{asked.port}"
    port = int(asked.port) if asked.port.isdecimal() and len(asked.port) < 6 else 0
    client = Client(process, asked.host if asked.host and not asked.host.startswith("/") else "127.0.0.1", port)
    try:
        await client.greet({"user": asked.user, "database": asked.database})
    except (NetworkError, TimedOut):
        await process.out(f"{where} - no response\n")
        return 2
    client.close()
    await process.out("" if "q" in asked.switches else f"{where} - accepting connections\n")
    return 0
