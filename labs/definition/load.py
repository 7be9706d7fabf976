"""From a folder to a lab, with complaints that name file, line and what was expected."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from labs import yamlfile
from labs.definition.lab import Lab, LabFile
from labs.definition.validation import validated
from labs.errors import Malformed

_NAME = re.compile(r"^[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?$")


def load_lab(folder: Path) -> Lab:
    """The lab in a folder; :class:`Malformed`. Checks and states are read when they are first asked for."""
    path = folder / "lab.yaml"
    if not _NAME.match(folder.name):
        raise Malformed(path, 1, "expected a folder named with at most 40 lower-case letters, digits and dashes")
    file = validated(LabFile, yamlfile.read(path), path)
    for name in ("instructions.md", "checks.py"):
        if not (folder / name).is_file():
            raise Malformed(folder / name, 1, "expected this file beside lab.yaml")
    return Lab(folder.name, folder, file, version_of(folder))


def version_of(folder: Path) -> str:
    """A hash of everything a verdict depends on: definition, checks and starting state."""
    digest = hashlib.sha256()
    files = [folder / "lab.yaml", *sorted(folder.glob("*.py")), *sorted((folder / "setup").glob("*"))]
    for path in files:
        if path.is_file():
            digest.update(f"{path.relative_to(folder)}\0".encode())
            digest.update(path.read_bytes())
            digest.update(b"\0")
    return digest.hexdigest()[:16]
