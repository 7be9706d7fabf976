"""``mysqld`` (and ``mariadbd``), as its official image starts it: users, databases, the statements of a first tutorial.

The environment is that of the images' documentation (``MYSQL_ROOT_PASSWORD``, ``MYSQL_DATABASE``, ...; MariaDB's also
as ``MARIADB_...``; each also as ``..._FILE``), and ``/docker-entrypoint-initdb.d`` is read when the data directory is
new. Privileges are accepted and not enforced; replication is a syntax error.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from simkube.runtime.nodes import FileError
from simkube.runtime.process import Process
from simkube.runtime.programs.databases.engine import (
    MOST_TEXT,
    Database,
    Rows,
    SQLError,
    outside_quotes,
    statements,
)
from simkube.runtime.programs.databases.line_protocol import converse
from simkube.runtime.programs.databases.store import Store
from simkube.runtime.programs.flags import flags
from simkube.runtime.programs.serving import stop_request

PORT = 3306
FOLDER = "/var/lib/mysql"
OWN = ("information_schema", "mysql", "performance_schema", "sys")
_NAME = r"[`\"']?([A-Za-z0-9_$-]{1,64})[`\"']?"
_WRITES = re.compile(
    r"(insert|update|delete|replace|create|drop|alter|truncate|grant|revoke|flush|set|begin|start|commit)\b", re.I
)
_USER = re.compile(
    rf"(create|alter|drop)\s+user\s+(?:if\s+(?:not\s+)?exists\s+)?{_NAME}(?:@\S+)?(?:.*identified\s.*?by\s+'([^']*)')?",
    re.I | re.S,
)
_IGNORED = re.compile(
    r"\b(engine|(default\s+)?charset|(default\s+)?character\s+set|collate|auto_increment)\s*=?\s*[A-Za-z0-9_]+|\bunsigned\b",
    re.I,
)
_COUNTED = re.compile(
    r"\b(tinyint|smallint|mediumint|bigint|integer|int)(\s*\(\d+\))?((?:\s+unsigned)?(?:\s+not\s+null)?)\s+auto_increment\b",
    re.I,
)


class Refused(Exception):
    """An error as clients show it: number, state and text."""

    def __init__(self, number: int, state: str, text: str) -> None:
        super().__init__(text)
        self.number, self.state = number, state


class Server:
    """Keeps :class:`~simkube.runtime.programs.databases.line_protocol.Dialect`."""

    def __init__(self, process: Process, maria: bool) -> None:
        self._process = process
        version = process.container.spec.version or "8.4.0"
        self.version = f"{version}-MariaDB" if maria else version
        self._client: Mapping[str, Any] = {}
        clock = process.container.clock
        functions = {
            "version": lambda: self.version,
            "now": lambda: datetime.fromtimestamp(clock.now(), UTC).strftime("%Y-%m-%d %H:%M:%S"),
            "database": lambda: self._client.get("database") or None,
            "user": lambda: f"{self._client.get('user', '')}@{self._client.get('peer', '')}",
            "current_user": lambda: f"{self._client.get('user', '')}@%",
        }
        self.store = Store(process, FOLDER, functions)
        self._variables = {
            "version": self.version,
            "hostname": process.container.sandbox.config.hostname,
            "port": str(PORT),
            "datadir": f"{FOLDER}/",
            "server_id": "1",
            "max_connections": "151",
        }
        self.given = flags(process.argv[1:])
        self._variables.update({name.replace("-", "_"): value for name, value in self.given.items()})

    def greet(self, asked: Mapping[str, Any], peer: str) -> dict[str, Any]:
        """Check name, password and database."""
        user, password, database = (str(asked.get(key, "")) for key in ("user", "password", "database"))
        local = peer.startswith("127.") or peer == self._process.container.sandbox.ip
        if user not in self.store.users or self.store.users[user] != password:
            where = "localhost" if local else peer
            using = "YES" if password else "NO"
            return _error(1045, "28000", f"Access denied for user '{user}'@'{where}' (using password: {using})")
        if database and database not in self.store.databases and database not in OWN:
            return _error(1049, "42000", f"Unknown database '{database}'")
        return {"version": self.version}

    def answer(self, statement: str, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Carry out one statement."""
        self._client = asked
        if len(statement) > MOST_TEXT:
            return _error(1153, "08S01", "Got a packet bigger than 'max_allowed_packet' bytes")
        try:
            answer = self._answer(statement, str(asked.get("database", "")))
        except Refused as error:
            return _error(error.number, error.state, str(error))
        except FileError as error:
            return _error(1021, "HY000", f"Disk full ({error.strerror.lower()}); at most 8 databases are simulated")
        if _WRITES.match(statement):
            why = self.store.save()
            if why:
                return _error(1114, "HY000", f"The table is full ({why.lower()})")
        return answer

    def _answer(self, statement: str, current: str) -> dict[str, Any]:
        for pattern, does in _STATEMENTS:
            found = re.match(pattern, statement, re.I | re.S)
            if found:
                answer: dict[str, Any] = does(self, found, current)
                return answer
        filled = outside_quotes(statement, self._translated)
        if not re.match(
            r"(select|with|insert|update|delete|replace|create|drop|alter|values|explain|begin|commit|rollback)\b",
            filled,
            re.I,
        ):
            raise _syntax(statement)
        name, filled = self._meant(filled, current)
        database = self.store.databases.get(name)
        if database is None:
            if not re.match(r"select\b(?!.*\bfrom\b)", filled, re.I | re.S):
                raise Refused(1046, "3D000", "No database selected")
            database = self._scratch()
        try:
            return _rows(database.run(filled), name if name == current else current)
        except SQLError as error:
            raise _worded(str(error), statement, name) from None

    def _translated(self, part: str) -> str:
        part = re.sub(r"\s+", " ", part)
        part = re.sub(r"@@(?:global\.|session\.)?([a-z_]+)", self._variable, part, flags=re.I)
        part = _COUNTED.sub(lambda found: f"INTEGER{found[3]}", part)
        part = re.sub(r"^\s*truncate\s+(table\s+)?", "DELETE FROM ", part, flags=re.I)
        part = re.sub(r"^\s*start\s+transaction", "BEGIN", part, flags=re.I)
        return _IGNORED.sub("", part)

    def _variable(self, found: re.Match[str]) -> str:
        value = self._variables.get(found[1].lower(), "")
        quoted = "'" + value.replace("'", "''") + "'"
        return f'{quoted} AS "@@{found[1]}"' if _alone(found) else quoted

    def _meant(self, statement: str, current: str) -> tuple[str, str]:
        """The database whose tables the statement names (``test.t``), and the statement without its name."""
        named: set[str] = set()

        def strip(part: str) -> str:
            def one(found: re.Match[str]) -> str:
                if found[1] not in self.store.databases:
                    return found[0]
                named.add(found[1])
                return ""

            return re.sub(r"\b([A-Za-z0-9_$]+)\.(?=[A-Za-z_`])", one, part)

        stripped = outside_quotes(statement.replace("`", '"') if "`." in statement else statement, strip)
        if len(named) > 1:
            raise Refused(1235, "42000", "This simulation doesn't yet support 'statements across databases'")
        return (named.pop() if named else current), stripped

    def _scratch(self) -> Database:
        if "" not in self.store.databases:
            self.store.create("")
        return self.store.databases[""]

    # -- statements that are not SQLite's --------------------------------------------------------------------------

    def show_databases(self, found: re.Match[str], current: str) -> dict[str, Any]:
        """``SHOW DATABASES``"""
        names = sorted([*OWN, *(name for name in self.store.databases if name)])
        return _rows(Rows(["Database"], [[name] for name in names]), current)

    def create_database(self, found: re.Match[str], current: str) -> dict[str, Any]:
        """``CREATE DATABASE [IF NOT EXISTS] name``"""
        name = found[2]
        if name in self.store.databases or name in OWN:
            if found[1]:
                return {"changed": 1, "database": current}
            raise Refused(1007, "HY000", f"Can't create database '{name}'; database exists")
        self.store.create(name)
        return {"changed": 1, "database": current}

    def drop_database(self, found: re.Match[str], current: str) -> dict[str, Any]:
        """``DROP DATABASE [IF EXISTS] name``"""
        name = found[2]
        if name not in self.store.databases:
            if found[1]:
                return {"changed": 0, "database": current}
            raise Refused(1008, "HY000", f"Can't drop database '{name}'; database doesn't exist")
        self.store.drop(name)
        return {"changed": 0, "database": "" if name == current else current}

    def use(self, found: re.Match[str], current: str) -> dict[str, Any]:
        """``USE name``"""
        if found[1] not in self.store.databases and found[1] not in OWN:
            raise Refused(1049, "42000", f"Unknown database '{found[1]}'")
        return {"database": found[1], "used": True}

    def show_tables(self, found: re.Match[str], current: str) -> dict[str, Any]:
        """``SHOW TABLES [FROM name]``"""
        name = found[1] or current
        if not name:
            raise Refused(1046, "3D000", "No database selected")
        base = self.store.databases.get(name)
        tables = base.tables() if base is not None else []
        return _rows(Rows([f"Tables_in_{name}"], [[one] for one in tables]), current)

    def describe(self, found: re.Match[str], current: str) -> dict[str, Any]:
        """``DESCRIBE table``"""
        name, table = found[1] or current, found[2]
        base = self.store.databases.get(name)
        columns = base.columns(table) if base is not None else []
        if not columns:
            raise Refused(1146, "42S02", f"Table '{name}.{table}' doesn't exist")
        rows = [
            [column, kind.lower(), "NO" if needed or key else "YES", "PRI" if key else "", default, ""]
            for column, kind, needed, default, key in columns
        ]
        return _rows(Rows(["Field", "Type", "Null", "Key", "Default", "Extra"], rows), current)

    def show_variables(self, found: re.Match[str], current: str) -> dict[str, Any]:
        """``SHOW VARIABLES [LIKE 'pattern']``, for the few there are."""
        pattern = re.escape((found[1] or "%").lower()).replace("%", ".*").replace("_", ".")
        rows = [[name, value] for name, value in sorted(self._variables.items()) if re.fullmatch(pattern, name)]
        return _rows(Rows(["Variable_name", "Value"], rows), current)

    def users(self, found: re.Match[str], current: str) -> dict[str, Any]:
        """``SELECT user, host FROM mysql.user``"""
        rows = [[name, "%"] for name in self.store.users]
        return _rows(Rows(["user", "host"], rows), current)

    def change_user(self, found: re.Match[str], current: str) -> dict[str, Any]:
        """``CREATE``, ``ALTER`` and ``DROP USER``"""
        user = _USER.match(found[0][:500])
        if user is None:
            raise _syntax(found[0])
        what, name = user[1].lower(), user[2]
        if (what == "create") == (name in self.store.users):
            raise Refused(1396, "HY000", f"Operation {what.upper()} USER failed for '{name}'@'%'")
        if what == "drop":
            del self.store.users[name]
        else:
            self.store.users[name] = user[3] or ""
        return {"changed": 0, "database": current}

    def nothing(self, found: re.Match[str], current: str) -> dict[str, Any]:
        """What is accepted and has no effect here."""
        return {"changed": 0, "database": current}


_STATEMENTS: tuple[tuple[str, Any], ...] = (
    (r"show\s+(?:databases|schemas)\s*$", Server.show_databases),
    (rf"create\s+(?:database|schema)\s+(if\s+not\s+exists\s+)?{_NAME}", Server.create_database),
    (rf"drop\s+(?:database|schema)\s+(if\s+exists\s+)?{_NAME}\s*$", Server.drop_database),
    (rf"use\s+{_NAME}\s*$", Server.use),
    (rf"show\s+tables(?:\s+(?:from|in)\s+{_NAME})?\s*$", Server.show_tables),
    (rf"(?:desc|describe|show\s+columns\s+from)\s+(?:{_NAME}\.)?{_NAME}\s*$", Server.describe),
    (r"show\s+(?:global\s+|session\s+)?variables(?:\s+like\s+'([^']*)')?\s*$", Server.show_variables),
    (r"select\s+user\s*,\s*host\s+from\s+mysql\.user\s*$", Server.users),
    (r"(?:create|alter|drop)\s+user\b.*", Server.change_user),
    (r"(?:grant|revoke|flush|set)\b", Server.nothing),
)


def _alone(found: re.Match[str]) -> bool:
    """Whether a variable is a column of its own, which then has its name."""
    before, after = found.string[: found.start()].rstrip(), found.string[found.end() :].lstrip()
    return before.lower().endswith(("select", ",")) and after[:1] in ("", ",")


def _rows(found: Rows, database: str) -> dict[str, Any]:
    return {"columns": found.columns, "rows": found.rows, "changed": found.changed, "database": database}


def _error(number: int, state: str, text: str) -> dict[str, Any]:
    return {"error": text, "number": number, "state": state}


def _syntax(statement: str) -> Refused:
    near = statement[:80]
    return Refused(
        1064,
        "42000",
        "You have an error in your SQL syntax; check the manual that corresponds to your MySQL server version for the "
        f"right syntax to use near '{near}' at line 1",
    )


def _worded(text: str, statement: str, database: str) -> Refused:
    """SQLite's words in MySQL's."""
    for pattern, number, state, words in (
        (r"no such table: (.*)", 1146, "42S02", f"Table '{database}.{{}}' doesn't exist"),
        (r"no such column: (.*)", 1054, "42S22", "Unknown column '{}' in 'field list'"),
        (r"table \"?(.*?)\"? already exists", 1050, "42S01", "Table '{}' already exists"),
        (r"UNIQUE constraint failed: (.*)", 1062, "23000", "Duplicate entry for key '{}'"),
        (r"NOT NULL constraint failed: \w+\.(.*)", 1048, "23000", "Column '{}' cannot be null"),
        (r"no such function: (.*)", 1305, "42000", "FUNCTION {} does not exist"),
        (r"(interrupted|database or disk is full|string or blob too big|an? (?:answer|statement) has).*", 1041, "HY000",
         "Out of memory: this is more than the simulation carries out ({})"),
    ):  # fmt: skip
        found = re.match(pattern, text)
        if found and number == 1146 and "." in found[1]:
            return Refused(1049, "42000", f"Unknown database '{found[1].partition('.')[0]}'")
        if found:
            return Refused(number, state, words.format(found[1]))
    return _syntax(statement)


async def mysqld(process: Process) -> int:
    """The image's entry point and the server after it; the exit code."""
    maria = "mariadb" in process.container.spec.reference
    server = Server(process, maria)
    product = "MariaDB" if maria else "MySQL"
    await _note(process, f"Entrypoint script for {product} Server {process.container.spec.version} started.")
    if not server.store.load():
        said = await _initialize(process, server, maria)
        if said:
            return said
    port = server.given.get("port", "")
    number = int(port) if port.isdecimal() and len(port) < 6 else PORT

    async def accept(socket: Any) -> None:
        await converse(process, socket, server)

    try:
        process.container.sandbox.ports.listen(process, number, accept=accept)
    except FileError as error:
        await process.err(f"[ERROR] [Server] Can't start server: Bind on TCP/IP port: {error.strerror}\n")
        return 1
    name = "mariadbd" if maria else "/usr/sbin/mysqld"
    stamp = process.container.clock.timestamp()
    await process.err(
        f"{stamp} 0 [System] [MY-010931] [Server] {name}: ready for connections. Version: '{server.version}'  socket: "
        f"'/var/run/mysqld/mysqld.sock'  port: {number}  (simulated).\n"
    )
    await stop_request(process)
    server.store.save()
    await process.err(
        f"{process.container.clock.timestamp()} 0 [System] [MY-010910] [Server] {name}: Shutdown complete\n"
    )
    return 0


async def _note(process: Process, text: str, kind: str = "Note") -> None:
    when = datetime.fromtimestamp(process.container.clock.now(), UTC).strftime("%Y-%m-%d %H:%M:%S+00:00")
    await process.err(f"{when} [{kind}] [Entrypoint]: {text}\n")


async def _initialize(process: Process, server: Server, maria: bool) -> int:
    """A new data directory: the root user, and what the variables ask for; an exit code when they ask for nothing."""
    given = _Variables(process, ("MARIADB", "MYSQL") if maria else ("MYSQL",))
    empty, random = (
        given.get("ALLOW_EMPTY_PASSWORD") or given.get("ALLOW_EMPTY_ROOT_PASSWORD"),
        given.get("RANDOM_ROOT_PASSWORD"),
    )
    password = given.get("ROOT_PASSWORD")
    if not (password or empty or random):
        await _note(process, "Database is uninitialized and password option is not specified", "ERROR")
        wanted = given.names(
            "ROOT_PASSWORD", "ALLOW_EMPTY_ROOT_PASSWORD" if maria else "ALLOW_EMPTY_PASSWORD", "RANDOM_ROOT_PASSWORD"
        )
        await process.err("    You need to specify one of the following as an environment variable:\n")
        await process.err("".join(f"    - {name}\n" for name in wanted))
        return 1
    if random and not password:
        password = secrets.token_urlsafe(16)
        await _note(process, f"GENERATED ROOT PASSWORD: {password}")
    server.store.users["root"] = password
    database, user = given.get("DATABASE"), given.get("USER")
    if database:
        await _note(process, f"Creating database {database}")
        server.store.create(database)
    if user:
        await _note(process, f"Creating user {user}")
        server.store.users[user] = given.get("PASSWORD")
    await _scripts(process, server, database)
    why = server.store.save()
    if why:
        await _note(process, f"cannot write to {FOLDER}: {why}", "ERROR")
        return 1
    return 0


async def _scripts(process: Process, server: Server, database: str) -> None:
    """SQL below ``/docker-entrypoint-initdb.d``, in the order of names; scripts of other kinds are refused by name."""
    files, folder = process.container.files, "/docker-entrypoint-initdb.d"
    for name in sorted(files.entries(folder)) if files.is_directory(folder) else ():
        if name.startswith("."):
            continue
        if not name.endswith(".sql"):
            await _note(process, f"ignoring {folder}/{name}: only .sql files are carried out here", "Warn")
            continue
        await _note(process, f"running {folder}/{name}")
        current = database
        for statement in statements(files.read(f"{folder}/{name}").decode("utf-8", "replace")):
            answer = server.answer(statement, {"user": "root", "database": current, "peer": "localhost"})
            current = str(answer.get("database", current))
            if answer.get("error"):
                await process.err(f"ERROR {answer['number']} ({answer['state']}): {answer['error']}\n")


class _Variables:
    """The image's variables, with any of its prefixes, each also as the name of a file."""

    def __init__(self, process: Process, prefixes: tuple[str, ...]) -> None:
        self._process = process
        self._prefixes = prefixes

    def names(self, *names: str) -> list[str]:
        """In full, as the first prefix has them."""
        return [f"{self._prefixes[0]}_{name}" for name in names]

    def get(self, name: str) -> str:
        """Its value, or ""."""
        for prefix in self._prefixes:
            value = self._process.env.get(f"{prefix}_{name}", "")
            file = self._process.env.get(f"{prefix}_{name}_FILE", "")
            if file:
                value = self._process.container.files.read(file).decode("utf-8", "replace").rstrip("\n")
            if value:
                return value
        return ""
