"""A PostgreSQL server for tests: of its own, in a temporary folder, at a socket that is a file; nothing listens.

Its programs are looked for where Debian puts them, and on PATH. They refuse to run as root, so they run as another user
where tests are root's.
"""

from __future__ import annotations

import importlib.util
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests import other_user

OPTIONS = {
    "listen_addresses": "",
    "fsync": "off",  # nothing of it is to outlive the test
    "max_connections": "100",
}
START_SECONDS = 30.0


def missing() -> str:
    """Why there can be no server here; "" when there can."""
    if _program("initdb") is None:
        return "PostgreSQL's programs are not here; apt-get install postgresql"
    if importlib.util.find_spec("psycopg") is None:
        return "its driver is not here; pip install 'kindling[postgres]'"
    return ""


@contextmanager
def server() -> Iterator[str]:
    """A running server with an empty database, as an SQLAlchemy URL."""
    with tempfile.TemporaryDirectory(prefix="pg-") as folder:  # a socket's path may not be long
        base, data = Path(folder), Path(folder) / "data"
        data.mkdir(mode=0o700)
        other_user.give(base, data)
        _run("initdb", ["--pgdata", data, "--username", "kindling", "--auth", "trust", "--no-sync"])
        options = [part for name, value in OPTIONS.items() for part in ("-c", f"{name}={value}")]
        command = [_found("postgres"), "-D", data, "-k", base, *options]
        with (base / "log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, **other_user.given())
        try:
            _run("pg_isready", ["--host", base], until=START_SECONDS)
            _run("createdb", ["--host", base, "--username", "kindling", "kindling"])
            yield f"postgresql+psycopg://kindling@/kindling?host={base}"
        except RuntimeError as error:
            raise RuntimeError(f"{error}{(base / 'log').read_text()}") from error
        finally:
            process.send_signal(signal.SIGINT)  # ends connections as well
            process.wait(timeout=60)


def _run(program: str, arguments: list[object], until: float = 0.0) -> None:
    """Run one of its programs; again until it succeeds, for so many seconds."""
    deadline = time.monotonic() + until
    while True:
        command = [_found(program), *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd="/", **other_user.given())
        if not done.returncode:
            return
        if time.monotonic() > deadline:
            raise RuntimeError(f"{program}: {done.stdout}{done.stderr}")
        time.sleep(0.1)


def _program(name: str) -> Path | None:
    newest_first = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: -int(path.parts[4]))
    found = shutil.which(name)
    return newest_first[0] if newest_first else Path(found) if found else None


def _found(name: str) -> str:
    found = _program(name)
    assert found is not None, missing()
    return str(found)
