"""What MySQL and PostgreSQL servers keep: users and databases.

All of it is written to a file of the data directory after each change, so that a volume keeps it as it would; the file
is of this simulation's own form.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from simkube.runtime.nodes import FileError, Quota
from simkube.runtime.process import Process
from simkube.runtime.programs.databases.engine import BYTES, MOST_DATABASES, Database

_FILE = "databases.json"


class Store:
    """Users with their passwords and databases of one server."""

    def __init__(self, process: Process, folder: str, functions: Mapping[str, Callable[[], Any]]) -> None:
        self._process = process
        self._path = f"{folder}/{_FILE}"
        self._functions = functions
        self._quota = Quota(BYTES * MOST_DATABASES, process.container.sandbox.network.storage)
        process.on_end.append(self._quota.close)
        self.users: dict[str, str] = {}
        self.databases: dict[str, Database] = {}

    def load(self) -> bool:
        """Take back what was kept; False when this is a new server."""
        try:
            kept = json.loads(self._process.container.files.read(self._path))
            self.users = {str(name): str(word) for name, word in kept["users"].items()}
            for name, made_by in kept["databases"].items():
                self.create(str(name)).load([str(one) for one in made_by])
        except (FileError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return bool(self.users)
        return True

    def save(self) -> str:
        """Keep everything; "" or why not."""
        state = {"users": self.users, "databases": {name: one.dump() for name, one in self.databases.items()}}
        files = self._process.container.files
        try:
            if not files.is_directory(self._path.rpartition("/")[0]):
                files.make_directories(self._path.rpartition("/")[0])
            files.write(self._path, json.dumps(state).encode())
        except FileError as error:
            return error.strerror
        return ""

    def create(self, name: str) -> Database:
        """A new database; FileError ENOSPC when there are too many."""
        self.databases[name] = made = Database(self._quota, self._functions)
        return made

    def drop(self, name: str) -> None:
        """Remove one; KeyError."""
        self.databases.pop(name).close()
