"""``mysql`` (and ``mariadb``), ``mysqladmin`` and MariaDB's ``healthcheck.sh``.

``mysql`` takes statements of ``-e``, of standard input, or typed. Results are tabs and lines, or boxes on a terminal
and with ``-t``, as the real client has them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from simkube.clock.clock import TimedOut
from simkube.runtime.cri import NetworkError
from simkube.runtime.process import Process
from simkube.runtime.programs.databases.engine import MOST_SCRIPT, statements
from simkube.runtime.programs.databases.line_protocol import Client, why_not_connected

_LETTERS = {"h": "host", "u": "user", "P": "port", "p": "password", "e": "execute", "D": "database"}
_SWITCHES = {"N": "skip-column-names", "s": "silent", "B": "batch", "t": "table", "v": "verbose", "f": "force"}
_VALUED = {"host", "user", "port", "execute", "database", "protocol", "connect-timeout", "socket"}
WARNING = "[Warning] Using a password on the command line interface can be insecure."


@dataclass
class Asked:
    """What the command line says."""

    options: dict[str, str] = field(default_factory=dict)
    operands: list[str] = field(default_factory=list)

    def __contains__(self, name: str) -> bool:
        return name in self.options


def read(words: Sequence[str]) -> Asked:
    """Options as MySQL's programs take them; ValueError for one that is not known."""
    asked, left = Asked(), list(words)
    while left:
        word = left.pop(0)
        if word.startswith("--"):
            name, equals, value = word[2:].partition("=")
            if name in _VALUED and not equals and left:
                value = left.pop(0)
            asked.options[name] = value
        elif word.startswith("-") and len(word) > 1:
            _letters(word[1:], left, asked)
        else:
            asked.operands.append(word)
    return asked


def _letters(letters: str, left: list[str], asked: Asked) -> None:
    while letters:
        letter, letters = letters[0], letters[1:]
        if letter in _SWITCHES:
            asked.options[_SWITCHES[letter]] = ""
            continue
        if letter not in _LETTERS:
            raise ValueError(f"unknown option '-{letter}'.")
        if not letters and letter != "p" and left:
            letters = left.pop(0)
        asked.options[_LETTERS[letter]] = letters
        return


async def _connected(process: Process, name: str, asked: Asked) -> Client | None:
    """A client that was let in; None after saying why there is none."""
    options = asked.options
    if options.get("password"):
        await process.err(f"{name}: {WARNING}\n")
    password = options.get("password", process.env.get("MYSQL_PWD", ""))
    if "password" in options and not options["password"]:
        await process.out("Enter password: ")
        password = (await _line(process)).rstrip("\n")
    host, port = options.get("host", "localhost"), options.get("port", "3306")
    if not (port.isdecimal() and len(port) < 6):
        await process.err(f"{name}: Unknown port {port}\n")
        return None
    client = Client(process, "127.0.0.1" if host == "localhost" else host, int(port))
    who = {"user": options.get("user", "root"), "password": password, "database": options.get("database", "")}
    try:
        greeting = await client.greet(who)
    except (NetworkError, TimedOut) as error:
        await process.err(f"{_prefix(name)}{_no_connection(host, port, why_not_connected(error))}\n")
        return None
    if greeting.get("error"):
        await process.err(f"{_prefix(name)}ERROR {greeting['number']} ({greeting['state']}): {greeting['error']}\n")
        client.close()
        return None
    return client


def _prefix(name: str) -> str:
    return f"{name}: connect to server failed\nerror: " if name == "mysqladmin" else ""


def _no_connection(host: str, port: str, why: str) -> str:
    if why == "name":
        return f"ERROR 2005 (HY000): Unknown MySQL server host '{host}' (-2)"
    if host == "localhost":
        where = "/var/run/mysqld/mysqld.sock"
        return f"ERROR 2002 (HY000): Can't connect to local MySQL server through socket '{where}' (2)"
    number = 110 if why == "timeout" else 111
    return f"ERROR 2003 (HY000): Can't connect to MySQL server on '{host}:{port}' ({number})"


async def mysql(process: Process) -> int:
    """The exit code."""
    try:
        asked = read(process.argv[1:])
    except ValueError as error:
        await process.err(f"mysql: [ERROR] {error}\n")
        return 2
    if "version" in asked or "V" in asked:
        await process.out(f"mysql  Ver {process.container.spec.version} for Linux on x86_64 (simulated)\n")
        return 0
    if asked.operands:
        asked.options["database"] = asked.operands[0]
    client = await _connected(process, "mysql", asked)
    if client is None:
        return 1
    try:
        if "execute" in asked:
            return await _batch(process, client, asked, asked.options["execute"])
        stream = process.fds.get(0)
        if stream is not None and stream.terminal:
            return await _session(process, client, asked)
        data = bytearray()
        while (part := await process.read()) and len(data) <= MOST_SCRIPT:
            data += part
        return await _batch(process, client, asked, data.decode("utf-8", "replace"))
    except NetworkError:
        await process.err("ERROR 2013 (HY000): Lost connection to MySQL server during query\n")
        return 1
    finally:
        client.close()


async def _batch(process: Process, client: Client, asked: Asked, text: str) -> int:
    if len(text) > MOST_SCRIPT:
        await process.err(f"mysql: [ERROR] more than {MOST_SCRIPT} characters at once are not simulated\n")
        return 1
    for statement in statements(text.replace("\\G", ";")):
        answer = await client.ask(statement)
        if answer.get("error"):
            line = f"ERROR {answer['number']} ({answer['state']}) at line 1: {answer['error']}\n"
            await process.err(line)
            if "force" not in asked:
                return 1
        elif answer.get("columns"):
            names = "skip-column-names" not in asked
            await process.out(_box(answer, names=names) if "table" in asked else _tabs(answer, names=names))
    return 0


async def _session(process: Process, client: Client, asked: Asked) -> int:
    """Typed statements, answered until ``exit``."""
    await process.out(
        "Welcome to the MySQL monitor.  Commands end with ; or \\g.\nThis server is simulated.\n\n"
        "Type 'help;' or '\\h' for help. Type '\\c' to clear the current input statement.\n\n"
    )
    text = ""
    while True:
        await process.out("    -> " if text else "mysql> ")
        line = await _line(process)
        word = line.strip().rstrip(";").lower()
        if not line or (not text and word in ("exit", "quit", "\\q")):
            await process.out("Bye\n")
            return 0
        text += line
        if not line.rstrip().endswith((";", "\\g", "\\G")) and not (word.startswith("use ") and not text.strip(line)):
            text = "" if not text.strip() else text
            continue
        for statement in statements(text.replace("\\g", ";").replace("\\G", ";")):
            await process.out(_told(await client.ask(statement)))
        text = ""


async def _line(process: Process) -> str:
    """The next line of standard input, or ""."""
    data = bytearray()
    while not data.endswith(b"\n"):
        part = await process.read(0, 1)
        if not part:
            break
        data += part
    return data.decode("utf-8", "replace")


def _told(answer: dict[str, Any]) -> str:
    if answer.get("error"):
        return f"ERROR {answer['number']} ({answer['state']}): {answer['error']}\n"
    if answer.get("used"):
        return "Database changed\n"
    if answer.get("columns"):
        count = len(answer["rows"])
        if not count:
            return "Empty set (0.00 sec)\n\n"
        return f"{_box(answer)}{count} row{'s' if count != 1 else ''} in set (0.00 sec)\n\n"
    count = answer.get("changed", 0)
    return f"Query OK, {count} row{'s' if count != 1 else ''} affected (0.01 sec)\n\n"


def _cells(answer: dict[str, Any]) -> list[list[str]]:
    return [["NULL" if cell is None else str(cell) for cell in row] for row in answer["rows"]]


def _tabs(answer: dict[str, Any], *, names: bool = True) -> str:
    if not answer["rows"]:
        return ""
    rows = [*([answer["columns"]] if names else []), *_cells(answer)]
    return "".join("\t".join(row) + "\n" for row in rows)


def _box(answer: dict[str, Any], *, names: bool = True) -> str:
    rows, columns = _cells(answer), [str(name) for name in answer["columns"]]
    if not rows:
        return ""
    widths = [max(len(row[at]) for row in [columns, *rows]) for at in range(len(columns))]
    numbers = [all(isinstance(row[at], (int, float)) for row in answer["rows"]) for at in range(len(columns))]
    rule = "+" + "+".join("-" * (width + 2) for width in widths) + "+\n"
    shown = [
        "|"
        + "|".join(f" {c:>{w}} " if n else f" {c:<{w}} " for c, w, n in zip(row, widths, numbers, strict=True))
        + "|\n"
        for row in rows
    ]
    head = "|" + "|".join(f" {c:<{w}} " for c, w in zip(columns, widths, strict=True)) + "|\n"
    return rule + (head + rule if names else "") + "".join(shown) + rule


async def mysqladmin(process: Process) -> int:
    """``mysqladmin ping | status | version``; other commands are refused by name."""
    try:
        asked = read(process.argv[1:])
    except ValueError as error:
        await process.err(f"mysqladmin: [ERROR] {error}\n")
        return 1
    command = asked.operands[0] if asked.operands else ""
    if command not in ("ping", "status", "version"):
        await process.err(f"mysqladmin: Unknown command: '{command}' (ping, status and version are simulated)\n")
        return 1
    client = await _connected_or_denied(process, asked, command)
    if client is None:
        return 1
    if command == "ping":
        await process.out("mysqld is alive\n")
    else:
        await process.out("Uptime: 1  Threads: 1  Questions: 1  Slow queries: 0\n")
    client.close()
    return 0


async def _connected_or_denied(process: Process, asked: Asked, command: str) -> Client | None:
    """As :func:`_connected`; for ``ping`` a server that denies access is alive all the same."""
    if command == "ping" and "password" not in asked and "MYSQL_PWD" not in process.env:
        client = Client(process, _address(asked), int(asked.options.get("port", "3306") or 3306))
        try:
            await client.greet({"user": asked.options.get("user", "root"), "password": ""})
        except (NetworkError, TimedOut) as error:
            host, port = asked.options.get("host", "localhost"), asked.options.get("port", "3306")
            await process.err(f"{_prefix('mysqladmin')}'{_no_connection(host, port, why_not_connected(error))}'\n")
            return None
        return client
    return await _connected(process, "mysqladmin", asked)


def _address(asked: Asked) -> str:
    host = asked.options.get("host", "localhost")
    return "127.0.0.1" if host == "localhost" else host


async def healthcheck(process: Process) -> int:
    """MariaDB's ``healthcheck.sh --connect ...``: whether the server takes connections."""
    client = Client(process, "127.0.0.1", 3306)
    try:
        await client.greet({"user": "healthcheck", "password": ""})
    except (NetworkError, TimedOut):
        return 1
    client.close()
    return 0
