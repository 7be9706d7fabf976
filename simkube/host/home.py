"""What a host keeps in its folder, and what of that tells others where it is.

``host.json`` (0600) is there while a host runs or was killed; ``host.lock`` is held by the living one and released by
the operating system at its death, which is how a stale ``host.json`` is told from a true one. Standard library only:
the launcher must be quick to import.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
from pathlib import Path
from typing import IO, Any

from simkube.apimachinery.errors import HostError

VERSION = "2"
"""Of what host and launcher say to each other, and of what is stored; a host of another version is replaced."""

SLOW_END = os.EX_TEMPFAIL
"""How a host exits that had to cut connections which would not end; nothing is lost by it."""
DAMAGED = os.EX_DATAERR
"""How a host exits that cannot read what it has stored; its log says which file."""
NO_SPACE = os.EX_IOERR
"""How a host exits that cannot write in its folder; its log may be empty for the same reason."""


def fingerprint() -> str:
    """The version a host announces: of the protocol, and of the installed package's files."""
    package = Path(__file__).resolve().parent.parent
    return f"{VERSION}-{hashlib.sha256(str(package).encode()).hexdigest()[:8]}"


_ID = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_SHARD = re.compile(r"clusters(?:-([1-9][0-9]{0,3}))?\.db")


class Home:
    """The folder of one host."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.info_file = folder / "host.json"
        self.log = folder / "host.log"
        self.certificates = folder / "certificates"
        self.port_file = folder / "port"

    def shard(self, number: int) -> Path:
        """One of the files that clusters are kept in."""
        return self.folder / (f"clusters-{number}.db" if number else "clusters.db")

    def shards(self) -> list[Path]:
        """Those that are there."""
        return sorted(path for path in self.folder.glob("clusters*.db") if _SHARD.fullmatch(path.name))

    def number(self, shard: Path) -> int:
        """The number of one of them."""
        found = _SHARD.fullmatch(shard.name)
        return int(found[1] or 0) if found else 0

    def make(self) -> None:
        """Create the folder, for its owner alone."""
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise HostError(f"cannot make the folder {self.folder}: {error.strerror}; choose another home") from error

    def info(self) -> dict[str, Any] | None:
        """What the host says of itself; None when there is nothing to read."""
        try:
            found = json.loads(self.info_file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) else None

    def announce(self, info: dict[str, Any]) -> None:
        """Write ``host.json`` at once or not at all, readable by its owner alone."""
        write_private(self.info_file, json.dumps(info, indent=2) + "\n")

    def lock(self, name: str, *, wait: bool) -> IO[str] | None:
        """An exclusive lock, held while the returned file is open; None when another process has it."""
        file = (self.folder / name).open("a", encoding="utf-8")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except OSError:
            file.close()
            return None
        return file


def check_id(cluster_id: str) -> None:
    """HostError for what no cluster may be called."""
    if not _ID.fullmatch(cluster_id):
        raise HostError(f"a cluster's id is a DNS label, not {cluster_id!r}")


def write_private(path: Path, text: str) -> None:
    """Replace a file as a whole; its owner alone may read it."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    temporary.replace(path)
