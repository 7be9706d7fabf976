"""``mongod``: collections of documents, and the calls of a first tutorial in its shell.

The shell's text is read here, not carried out as JavaScript: ``db.NAME.METHOD(...)`` with documents written as JSON or
as JavaScript writes them, ``show dbs``, ``use NAME``. Replication, aggregation, indexes, scripts are refused by name.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from simkube.runtime.nodes import FileError
from simkube.runtime.process import Process
from simkube.runtime.programs.databases.line_protocol import converse
from simkube.runtime.programs.flags import flags
from simkube.runtime.programs.serving import stop_request

PORT = 27017
MOST_BYTES = 1 << 20
MOST_DOCUMENTS = 5000
LONGEST = 16 * 1024
"""Characters of one statement."""
_FOLDER = "/data/db"
_TOKENS = re.compile(
    r"""\s*(?:("(?:[^"\\]|\\.)*+")|'((?:[^'\\]|\\.)*+)'|(["'].*)|(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)|([A-Za-z_$][\w$.]*)|([{}\[\]:,])|(.))""",
    re.S,
)
_CALL = re.compile(
    r"db(?:\.([A-Za-z_][\w-]*))?\.([A-Za-z]+)\((.*?)\)(?:\.(toArray|pretty|count|limit|ok)(?:\((\d*)\))?)?\s*$", re.S
)

Document = dict[str, Any]


class MongoError(Exception):
    """What the shell shows as an error."""


def documents(text: str) -> list[Any]:
    """The arguments of a call: documents, lists, numbers and strings; MongoError."""
    found: list[str] = []
    for double, single, open_, number, word, mark, other in _TOKENS.findall(text):
        if open_:
            raise MongoError("SyntaxError: Unterminated string constant.")
        if double or number or mark:
            found.append(double or number or mark)
        elif word in ("true", "false", "null"):
            found.append(word)
        elif word:
            found.append(json.dumps(word))
        elif other.strip():
            raise MongoError(f"SyntaxError: unexpected {other!r}; calls of functions in documents are not simulated")
        elif single or other == "":
            found.append(json.dumps(single))
    try:
        value = json.loads("[" + re.sub(r",(?=[}\]])", "", "".join(found)) + "]")
    except (ValueError, RecursionError):
        raise MongoError("SyntaxError: Unexpected token; documents are read as JSON here") from None
    return list(value)


def matches(document: Document, wanted: Document) -> bool:
    """Whether a document has the wanted fields; values may be ``{$gt: 1}`` and the like."""
    for name, value in wanted.items():
        have = document.get(name)
        if isinstance(value, dict) and any(key.startswith("$") for key in value):
            if not all(_compares(have, key, limit) for key, limit in value.items()):
                return False
        elif have != value:
            return False
    return True


def _compares(have: Any, operator: str, limit: Any) -> bool:
    tests: dict[str, Callable[[], bool]] = {
        "$eq": lambda: bool(have == limit),
        "$ne": lambda: bool(have != limit),
        "$gt": lambda: bool(have > limit),
        "$gte": lambda: bool(have >= limit),
        "$lt": lambda: bool(have < limit),
        "$lte": lambda: bool(have <= limit),
        "$in": lambda: have in limit,
        "$exists": lambda: (have is not None) == bool(limit),
    }
    if operator not in tests:
        raise MongoError(f"MongoServerError: unknown operator: {operator} (not simulated)")
    try:
        return tests[operator]()
    except TypeError:
        return False


class Server:
    """Keeps :class:`~simkube.runtime.programs.databases.line_protocol.Dialect`."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._made = 0
        self.version = process.container.spec.version or "8.0.0"
        self.users: dict[str, str] = {}
        self.bases: dict[str, dict[str, list[Document]]] = {}

    def load(self) -> bool:
        """Take back what was kept; False when this is a new server."""
        try:
            kept = json.loads(self._process.container.files.read(f"{_FOLDER}/collections.json"))
            self.users, self.bases, self._made = dict(kept["users"]), dict(kept["bases"]), int(kept["made"])
        except (FileError, ValueError, KeyError, TypeError, RecursionError):
            return False
        return True

    def save(self) -> None:
        """Keep everything; MongoError when there is no room."""
        text = json.dumps({"users": self.users, "bases": self.bases, "made": self._made})
        if len(text) > MOST_BYTES:
            raise MongoError(f"MongoServerError: at most {MOST_BYTES >> 20} MiB are simulated")
        files = self._process.container.files
        try:
            files.make_directories(_FOLDER)
            files.write(f"{_FOLDER}/collections.json", text.encode())
        except FileError as error:
            raise MongoError(f"MongoServerError: {error.strerror}") from None

    def greet(self, asked: Mapping[str, Any], peer: str) -> dict[str, Any]:
        """Check name and password where they are given; without them only ``ping`` and ``hello`` are answered."""
        user = str(asked.get("user", ""))
        if user and self.users.get(user) != str(asked.get("password", "")):
            return {"error": "MongoServerError: Authentication failed."}
        return {"version": self.version}

    def answer(self, statement: str, asked: Mapping[str, Any]) -> dict[str, Any]:
        """``{"out": text}`` or ``{"error": text}`` for one line of the shell."""
        database = str(asked.get("database") or "test")
        if len(statement) > LONGEST:
            return {"error": f"at most {LONGEST} characters are simulated", "database": database}
        try:
            return {"database": database, **self._answer(statement.strip().rstrip(";"), database, asked)}
        except MongoError as error:
            return {"error": str(error), "database": database}

    def _answer(self, text: str, database: str, asked: Mapping[str, Any]) -> dict[str, Any]:
        words = text.split()
        printed = re.fullmatch(r"(?:print|printjson)\((.*)\)", text, re.S)
        if printed:
            return self._answer(printed[1].strip(), database, asked)
        if not words:
            return {"out": ""}
        if words[0] == "use" and len(words) == 2:
            return {"out": f"switched to db {words[1]}", "database": words[1]}
        if text == "db":
            return {"out": database}
        call = _CALL.match(text + "()" if text in ("db.hello", "db.version") else text)
        if self.users and not asked.get("user") and not (call and call[2] in ("hello", "runCommand", "adminCommand")):
            raise MongoError("MongoServerError: command requires authentication")
        if words[:2] in (["show", "dbs"], ["show", "databases"]):
            names = sorted({"admin", "config", "local", *(name for name, one in self.bases.items() if one)})
            return {"out": "\n".join(f"{name:<8} 40.00 KiB" for name in names)}
        if words[:2] in (["show", "collections"], ["show", "tables"]):
            return {"out": "\n".join(sorted(self.bases.get(database, {})))}
        if call is None:
            raise MongoError(f"{text[:60]} is not simulated: JavaScript is not carried out here")
        shown = self._command(call, database) if call[1] is None else self._collection(call, database)
        if call[4] == "ok" and isinstance(shown, dict):
            shown = shown.get("ok")
        return {"out": shown if isinstance(shown, str) else written(shown)}

    def _command(self, call: re.Match[str], database: str) -> Any:
        name, arguments = call[2], documents(call[3])
        if name in ("runCommand", "adminCommand"):
            asked = arguments[0] if arguments else {}
            command = asked if isinstance(asked, str) else next(iter(asked), "")
            if command == "ping":
                return {"ok": 1}
            if command in ("hello", "isMaster", "ismaster"):
                return {"isWritablePrimary": True, "ismaster": True, "ok": 1}
            raise MongoError(f"MongoServerError: no such command: '{command}' (not simulated)")
        if name == "hello":
            return {"isWritablePrimary": True, "ok": 1}
        if name == "version":
            return self.version
        if name == "getName":
            return database
        if name == "getCollectionNames":
            return sorted(self.bases.get(database, {}))
        if name == "createCollection":
            self.bases.setdefault(database, {}).setdefault(str(arguments[0]), [])
            self.save()
            return {"ok": 1}
        if name == "createUser":
            self.users[str(arguments[0].get("user"))] = str(arguments[0].get("pwd"))
            self.save()
            return {"ok": 1}
        if name == "dropDatabase":
            self.bases.pop(database, None)
            self.save()
            return {"ok": 1, "dropped": database}
        raise MongoError(f"TypeError: db.{name} is not a function (or is not simulated)")

    def _collection(self, call: re.Match[str], database: str) -> Any:
        found = self.bases.get(database, {}).get(call[1], [])
        name, arguments = call[2], documents(call[3])
        wanted = arguments[0] if arguments and isinstance(arguments[0], dict) else {}
        if name in ("insertOne", "insertMany", "insert"):
            return self._insert(database, call[1], arguments)
        chosen = [one for one in found if matches(one, wanted)]
        if name == "find":
            chosen = chosen[: int(call[5])] if call[4] == "limit" and call[5] and len(call[5]) < 6 else chosen[:20]
            return len(chosen) if call[4] == "count" else chosen
        if name == "findOne":
            return chosen[0] if chosen else None
        if name in ("countDocuments", "count", "estimatedDocumentCount"):
            return len(chosen)
        changed = self._change(name, found, chosen, arguments)
        if name == "drop":
            changed = self.bases.get(database, {}).pop(call[1], None) is not None
        self.save()
        return changed

    def _change(self, name: str, found: list[Document], chosen: list[Document], arguments: list[Any]) -> Any:
        if name in ("deleteOne", "deleteMany"):
            gone = chosen[:1] if name == "deleteOne" else chosen
            found[:] = [one for one in found if not any(one is other for other in gone)]
            return {"acknowledged": True, "deletedCount": len(gone)}
        if name in ("updateOne", "updateMany"):
            change = arguments[1] if len(arguments) > 1 and isinstance(arguments[1], dict) else {}
            if set(change) - {"$set", "$unset", "$inc"}:
                raise MongoError("MongoServerError: only $set, $unset and $inc are simulated")
            for one in chosen[:1] if name == "updateOne" else chosen:
                one.update(change.get("$set", {}))
                for key, amount in change.get("$inc", {}).items():
                    one[key] = one.get(key, 0) + amount if isinstance(one.get(key, 0), (int, float)) else amount
                for key in change.get("$unset", {}):
                    one.pop(key, None)
            count = min(len(chosen), 1) if name == "updateOne" else len(chosen)
            return {
                "acknowledged": True,
                "insertedId": None,
                "matchedCount": count,
                "modifiedCount": count,
                "upsertedCount": 0,
            }
        if name != "drop":
            raise MongoError(f"TypeError: {name} is not a function (or is not simulated)")
        return False

    def _insert(self, database: str, collection: str, arguments: list[Any]) -> Any:
        given = arguments[0] if arguments and isinstance(arguments[0], list) else arguments[:1]
        base = self.bases.setdefault(database, {}).setdefault(collection, [])
        if not given or not all(isinstance(one, dict) for one in given):
            raise MongoError("MongoInvalidArgumentError: Document must be a valid JS object")
        if sum(len(one) for each in self.bases.values() for one in each.values()) + len(given) > MOST_DOCUMENTS:
            raise MongoError(f"MongoServerError: at most {MOST_DOCUMENTS} documents are simulated")
        keys = []
        for one in given:
            self._made += 1
            number = hashlib.sha256(f"{self._process.container.id}{self._made}".encode()).hexdigest()[:24]
            base.append({"_id": one.pop("_id", f"ObjectId('{number}')"), **one})
            keys.append(base[-1]["_id"])
        self.save()
        if len(keys) == 1 and not isinstance(arguments[0], list):
            return {"acknowledged": True, "insertedId": keys[0]}
        return {"acknowledged": True, "insertedIds": {str(at): key for at, key in enumerate(keys)}}


def written(value: Any, indent: int = 0) -> str:
    """A value as the shell prints it."""
    if isinstance(value, dict):
        inner = ", ".join(f"{key}: {written(one)}" for key, one in value.items())
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(value, list):
        if not value:
            return "[]" if indent else ""
        return "[\n  " + ",\n  ".join(written(one, 1) for one in value) + "\n]"
    if isinstance(value, str):
        return value if value.startswith("ObjectId('") else "'" + value.replace("'", "\\'") + "'"
    return json.dumps(value)


async def mongod(process: Process) -> int:
    """The image's entry point and the server after it; the exit code."""
    server = Server(process)
    user, password = (_variable(process, f"MONGO_INITDB_ROOT_{name}") for name in ("USERNAME", "PASSWORD"))
    if not server.load():
        if bool(user) != bool(password):
            await process.err(
                "error: missing 'MONGO_INITDB_ROOT_USERNAME' or 'MONGO_INITDB_ROOT_PASSWORD'\n"
                "       both must be specified for a user to be created\n"
            )
            return 1
        if user:
            server.users[user] = password
    port = flags(process.argv[1:]).get("port", "")
    number = int(port) if port.isdecimal() and 0 < len(port) < 6 else PORT

    async def accept(socket: Any) -> None:
        await converse(process, socket, server)

    try:
        server.save()
        process.container.sandbox.ports.listen(process, number, accept=accept)
    except (FileError, MongoError) as error:
        await process.out(_log(process, f"Failed to start: {error}"))
        return 48
    await process.out(_log(process, f"Waiting for connections (simulated), port {number}"))
    await stop_request(process)
    await process.out(_log(process, "Now exiting"))
    return 0


def _log(process: Process, text: str) -> str:
    stamp = process.container.clock.timestamp()
    return json.dumps({"t": {"$date": stamp}, "s": "I", "c": "NETWORK", "ctx": "listener", "msg": text}) + "\n"


def _variable(process: Process, name: str) -> str:
    file = process.env.get(f"{name}_FILE", "")
    if file:
        return process.container.files.read(file).decode("utf-8", "replace").rstrip("\n")
    return process.env.get(name, "")
