"""``postgres``, as its official image starts it: roles, databases, and the statements of a first tutorial.

The environment is that of the image's documentation (``POSTGRES_PASSWORD``, ``POSTGRES_USER``, ``POSTGRES_DB``,
``POSTGRES_HOST_AUTH_METHOD``, ``PGDATA``; each also as ``..._FILE``), and ``/docker-entrypoint-initdb.d`` is read when
the data directory is new. Privileges are accepted and not enforced; schemas, replication and types beyond SQLite's are
refused as syntax errors.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from simkube.runtime.nodes import FileError
from simkube.runtime.process import Process
from simkube.runtime.programs.databases.engine import MOST_TEXT, Rows, SQLError, outside_quotes, statements
from simkube.runtime.programs.databases.line_protocol import converse
from simkube.runtime.programs.databases.store import Store
from simkube.runtime.programs.serving import stop_request

PORT = 5432
FOLDER = "/var/lib/postgresql/data"
_NAME = r"\"?([A-Za-z0-9_$-]{1,63})\"?"
_READS = re.compile(r"\s*(select|show|with|explain|values)\b(?!.*\b(insert|update|delete)\b)", re.I | re.S)
_ROLE = re.compile(
    rf"(create|alter|drop)\s+(?:user|role)\s+(?:if\s+exists\s+)?{_NAME}(?:.*password\s+'([^']*)')?", re.I | re.S
)


class Server:
    """Keeps :class:`~simkube.runtime.programs.databases.line_protocol.Dialect`."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self.version = process.container.spec.version or "17.0"
        self._client: Mapping[str, Any] = {}
        clock = process.container.clock
        functions = {
            "version": lambda: f"PostgreSQL {self.version} on x86_64-pc-linux-gnu (simulated), 64-bit",
            "now": lambda: datetime.fromtimestamp(clock.now(), UTC).strftime("%Y-%m-%d %H:%M:%S+00"),
            "current_database": lambda: self._client.get("database", ""),
            "inet_server_addr": lambda: process.container.sandbox.ip,
            "pg_is_in_recovery": lambda: "f",
        }
        folder = process.env.get("PGDATA", FOLDER)
        self.store = Store(process, folder, functions)
        self.trusting = process.env.get("POSTGRES_HOST_AUTH_METHOD") == "trust"

    def greet(self, asked: Mapping[str, Any], peer: str) -> dict[str, Any]:
        """Check role, password and database; whoever is in the same pod is trusted, as the image's pg_hba.conf says."""
        user, database = str(asked.get("user", "")), str(asked.get("database", ""))
        local = peer.startswith("127.") or peer == self._process.container.sandbox.ip
        known = user in self.store.users and self.store.users[user] == str(asked.get("password", ""))
        if not (local or self.trusting or known):
            if not asked.get("password"):
                return {"error": "fe_sendauth: no password supplied", "client": True}
            return {"error": f'password authentication failed for user "{user}"'}
        if user not in self.store.users:
            return {"error": f'role "{user}" does not exist'}
        if database not in self.store.databases and database not in ("template0", "template1"):
            return {"error": f'database "{database}" does not exist'}
        return {"version": self.version}

    def answer(self, statement: str, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Carry out one statement, or one of psql's own questions (``\\l``)."""
        self._client = asked
        current = str(asked.get("database", ""))
        if len(statement) > MOST_TEXT:
            return {"error": "out of memory", "database": current}
        try:
            answer = self._answer(statement, current)
        except SQLError as error:
            return {"error": str(error), "database": current}
        except FileError as error:
            text = f"could not create file: {error.strerror} (at most 8 databases are simulated)"
            return {"error": text, "database": current}
        if not _READS.match(statement) and not statement.startswith("\\"):
            why = self.store.save()
            if why:
                return {"error": f"could not write to file: {why}", "database": current}
        return {"database": current, **answer}

    def _answer(self, statement: str, current: str) -> dict[str, Any]:
        for pattern, does in _STATEMENTS:
            found = re.match(pattern, statement, re.I | re.S)
            if found:
                answer: dict[str, Any] = does(self, found, current)
                return answer
        filled = outside_quotes(statement, _translated)
        try:
            rows = self.store.databases[current].run(filled)
        except SQLError as error:
            raise SQLError(_worded(str(error), statement)) from None
        return {"columns": [_named(name) for name in rows.columns], "rows": rows.rows, "tag": _tag(statement, rows)}

    # -- statements that are not SQLite's --------------------------------------------------------------------------

    def create_database(self, found: re.Match[str], current: str) -> dict[str, Any]:
        """``CREATE DATABASE name``"""
        name = found[1].lower() if '"' not in found[0] else found[1]
        if name in self.store.databases:
            raise SQLError(f'database "{name}" already exists')
        self.store.create(name)
        return {"tag": "CREATE DATABASE"}

    def drop_database(self, found: re.Match[str], current: str) -> dict[str, Any]:
        """``DROP DATABASE [IF EXISTS] name``"""
        name = found[2]
        if name == current:
            raise SQLError("cannot drop the currently open database")
        if name in self.store.databases:
            self.store.drop(name)
        elif not found[1]:
            raise SQLError(f'database "{name}" does not exist')
        return {"tag": "DROP DATABASE"}

    def change_role(self, found: re.Match[str], current: str) -> dict[str, Any]:
        """``CREATE``, ``ALTER`` and ``DROP ROLE`` (or ``USER``)"""
        role = _ROLE.match(found[0][:500])
        if role is None:
            raise SQLError("syntax error at end of input")
        what, name = role[1].lower(), role[2]
        if what == "create" and name in self.store.users:
            raise SQLError(f'role "{name}" already exists')
        if what != "create" and name not in self.store.users:
            raise SQLError(f'role "{name}" does not exist')
        if what == "drop":
            del self.store.users[name]
        elif what == "create" or role[3] is not None:
            self.store.users[name] = role[3] or ""
        return {"tag": f"{what.upper()} ROLE"}

    def accepted(self, found: re.Match[str], current: str) -> dict[str, Any]:
        """What is accepted and has no effect here."""
        return {"tag": found[1].upper()}

    def databases(self, found: re.Match[str], current: str) -> dict[str, Any]:
        """``\\l``, and ``SELECT datname FROM pg_database``"""
        names = sorted([*self.store.databases, "template0", "template1"])
        if found[0].startswith("\\"):
            owner = next(iter(self.store.users), "postgres")
            rows = [[name, owner, "UTF8", "en_US.utf8", "en_US.utf8"] for name in names]
            columns = ["Name", "Owner", "Encoding", "Collate", "Ctype"]
            return {"columns": columns, "rows": rows, "title": "List of databases"}
        return {"columns": ["datname"], "rows": [[name] for name in names]}

    def tables(self, found: re.Match[str], current: str) -> dict[str, Any]:
        """``\\dt``"""
        owner = next(iter(self.store.users), "postgres")
        rows = [["public", name, "table", owner] for name in self.store.databases[current].tables()]
        if not rows:
            return {"note": "Did not find any relations."}
        return {"columns": ["Schema", "Name", "Type", "Owner"], "rows": rows, "title": "List of relations"}

    def roles(self, found: re.Match[str], current: str) -> dict[str, Any]:
        """``\\du``"""
        first = next(iter(self.store.users), "")
        rows = [[name, "Superuser, Create role, Create DB" if name == first else ""] for name in self.store.users]
        return {"columns": ["Role name", "Attributes"], "rows": rows, "title": "List of roles"}

    def describe(self, found: re.Match[str], current: str) -> dict[str, Any]:
        """``\\d table``"""
        columns = self.store.databases[current].columns(found[1])
        if not columns:
            return {"note": f'Did not find any relation named "{found[1]}".'}
        rows = [
            [n, kind.lower(), "", "not null" if needed or key else "", default]
            for n, kind, needed, default, key in columns
        ]
        names = ["Column", "Type", "Collation", "Nullable", "Default"]
        return {"columns": names, "rows": rows, "title": f'Table "public.{found[1]}"'}

    def connect(self, found: re.Match[str], current: str) -> dict[str, Any]:
        """``\\c name``"""
        if found[1] not in self.store.databases:
            raise SQLError(f'database "{found[1]}" does not exist')
        user = self._client.get("user", "")
        return {"database": found[1], "note": f'You are now connected to database "{found[1]}" as user "{user}".'}

    def shown(self, found: re.Match[str], current: str) -> dict[str, Any]:
        """``SHOW server_version`` and a few more settings."""
        known = {"server_version": self.version, "port": str(PORT), "max_connections": "100", "wal_level": "replica"}
        if found[1].lower() not in known:
            raise SQLError(f'unrecognized configuration parameter "{found[1]}"')
        return {"columns": [found[1].lower()], "rows": [[known[found[1].lower()]]], "tag": "SHOW"}


_STATEMENTS: tuple[tuple[str, Any], ...] = (
    (rf"create\s+database\s+{_NAME}", Server.create_database),
    (rf"drop\s+database\s+(if\s+exists\s+)?{_NAME}\s*$", Server.drop_database),
    (r"(?:create|alter|drop)\s+(?:user|role)\b.*", Server.change_role),
    (r"(grant|revoke|set|comment|alter database|create extension)\b", Server.accepted),
    (r"(?:\\l\+?|\\list)\s*$", Server.databases),
    (r"select\s+datname\s+from\s+pg_database\s*$", Server.databases),
    (r"\\dt\+?\s*$", Server.tables),
    (r"\\d\s*$", Server.tables),
    (r"\\du\+?\s*$", Server.roles),
    (rf"\\d\+?\s+{_NAME}\s*$", Server.describe),
    (rf"\\(?:c|connect)\s+{_NAME}\s*$", Server.connect),
    (r"show\s+([a-z_]+)\s*$", Server.shown),
)


def _translated(part: str) -> str:
    part = re.sub(r"\s+", " ", part)
    part = re.sub(r"\b(big|small)?serial\b", "INTEGER", part, flags=re.I)
    part = re.sub(r"\bpublic\.(?=\w)", "", part)
    part = re.sub(r"\bcurrent_user\b(?!\()", "'postgres'", part, flags=re.I)
    part = re.sub(r"^\s*truncate\s+(table\s+)?", "DELETE FROM ", part, flags=re.I)
    return re.sub(r"\btrue\b", "1", re.sub(r"\bfalse\b", "0", part, flags=re.I), flags=re.I)


def _named(column: str) -> str:
    """The name of a result's column: of a column, of a function, or none."""
    if re.fullmatch(r"\w*[A-Za-z_]\w*", column):
        return column
    function = re.match(r"(\w+)\s*\(", column)
    return function[1].lower() if function else "?column?"


def _tag(statement: str, rows: Rows) -> str:
    words = statement.split(None, 2)
    verb = words[0].upper()
    if verb == "INSERT":
        return f"INSERT 0 {rows.changed}"
    if verb in ("UPDATE", "DELETE", "TRUNCATE"):
        return f"{verb} {rows.changed}" if verb != "TRUNCATE" else "TRUNCATE TABLE"
    if verb in ("CREATE", "DROP", "ALTER") and len(words) > 1:
        return f"{verb} {words[1].upper()}"
    return verb


def _worded(text: str, statement: str) -> str:
    """SQLite's words in PostgreSQL's."""
    for pattern, words in (
        (r"no such table: (?:main\.)?(.*)", 'relation "{}" does not exist'),
        (r"no such column: (.*)", 'column "{}" does not exist'),
        (r"table \"?(.*?)\"? already exists", 'relation "{}" already exists'),
        (r"UNIQUE constraint failed: (.*)", 'duplicate key value violates unique constraint on "{}"'),
        (r"NOT NULL constraint failed: \w+\.(.*)", 'null value in column "{}" violates not-null constraint'),
        (r"no such function: (.*)", "function {}() does not exist"),
        (r'near "(.*)": syntax error', 'syntax error at or near "{}"'),
        (r"(interrupted|database or disk is full|string or blob too big|an? (?:answer|statement) has.*)",
         "this is more than the simulation carries out ({})"),
    ):  # fmt: skip
        found = re.match(pattern, text)
        if found:
            return words.format(found[1])
    return f'syntax error at or near "{statement.split(None, 1)[0][:40]}" ({text})'


async def postgres(process: Process) -> int:
    """The image's entry point and the server after it; the exit code."""
    server = Server(process)
    if not server.store.load():
        code = await _initialize(process, server)
        if code:
            return code
    else:
        await process.out("\nPostgreSQL Database directory appears to contain a database; Skipping initialization\n\n")

    async def accept(socket: Any) -> None:
        await converse(process, socket, server)

    try:
        process.container.sandbox.ports.listen(process, PORT, accept=accept)
    except FileError as error:
        await _log(process, f'could not bind IPv4 address "0.0.0.0": {error.strerror}')
        return 1
    await _log(process, f"starting PostgreSQL {server.version} (simulated)")
    await _log(process, f'listening on IPv4 address "0.0.0.0", port {PORT}')
    await _log(process, "database system is ready to accept connections")
    await stop_request(process)
    server.store.save()
    await _log(process, "received smart shutdown request")
    await _log(process, "database system is shut down")
    return 0


async def _log(process: Process, text: str) -> None:
    when = datetime.fromtimestamp(process.container.clock.now(), UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
    await process.err(f"{when} UTC [{process.pid}] LOG:  {text}\n")


async def _initialize(process: Process, server: Server) -> int:
    """A new data directory: the superuser and its database; an exit code when no password is given."""
    password = _variable(process, "POSTGRES_PASSWORD")
    if not (password or server.trusting):
        await process.err(
            "Error: Database is uninitialized and superuser password is not specified.\n"
            "       You must specify POSTGRES_PASSWORD to a non-empty value for the superuser, or\n"
            '       "POSTGRES_HOST_AUTH_METHOD=trust" to allow all connections without a password.\n'
        )
        return 1
    user = _variable(process, "POSTGRES_USER") or "postgres"
    database = _variable(process, "POSTGRES_DB") or user
    server.store.users[user] = password
    for name in dict.fromkeys(("postgres", database)):
        server.store.create(name)
    files, folder = process.container.files, "/docker-entrypoint-initdb.d"
    for name in sorted(files.entries(folder)) if files.is_directory(folder) else ():
        if name.startswith("."):
            continue
        if not name.endswith(".sql"):
            await process.err(f"ignoring {folder}/{name}: only .sql files are carried out here\n")
            continue
        await process.out(f"running {folder}/{name}\n")
        asked = {"user": user, "database": database}
        for statement in statements(files.read(f"{folder}/{name}").decode("utf-8", "replace")):
            answer = server.answer(statement, asked)
            asked["database"] = str(answer.get("database") or asked["database"])
            if answer.get("error"):
                await process.err(f"psql:{folder}/{name}: ERROR:  {answer['error']}\n")
                return 3
    why = server.store.save()
    if why:
        await process.err(f"initdb: error: could not write to the data directory: {why}\n")
        return 1
    await process.out("PostgreSQL init process complete; ready for start up.\n")
    return 0


def _variable(process: Process, name: str) -> str:
    file = process.env.get(f"{name}_FILE", "")
    if file:
        return process.container.files.read(file).decode("utf-8", "replace").rstrip("\n")
    return process.env.get(name, "")
