"""Variables out of files that containers wrote into an emptyDir (``fileKeyRef``; ``pkg/kubelet/util/env``).

A file has lines ``NAME='value'``: the value in single quotes, over several lines if need be, taken as it stands; empty
lines and those that begin with ``#`` are skipped. It is read when the container that wants the variable starts, which
need not mount the volume. Anything else in a file is a mistake that the container does not start with.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from simkube.runtime.nodes import FileError

ReadFile = Callable[[str, str], bytes]
"""``(volume, path) -> content``; KeyError or FileError where there is none."""

MOST_BYTES = 64 * 1024
_ENTRY = re.compile(r"[ \t]*(?P<name>[A-Za-z_][A-Za-z0-9_.-]*)='(?P<value>[^']*)'[ \t]*(?:#[^\n]*)?(?:\n|\Z)")
_NOTHING = re.compile(r"[ \t]*(?:#[^\n]*)?(?:\n|\Z)")


class EnvFileError(ValueError):
    """A file that is not of this form, or has not what is wanted of it; the text says where."""


def parse(text: str) -> dict[str, str]:
    """Every variable of a file; of two with one name the later. EnvFileError with the number of a line."""
    found: dict[str, str] = {}
    at = 0
    while at < len(text):
        entry = _ENTRY.match(text, at)
        passed = entry or _NOTHING.match(text, at)
        if passed is None:
            line = text.count("\n", 0, at) + 1
            raise EnvFileError(f"invalid environment variable format at line {line}: it is to be NAME='value'")
        if entry is not None:
            found[entry["name"]] = entry["value"]
        at = passed.end()
    return found


def variable(reference: dict[str, Any], read: ReadFile) -> str | None:
    """The value that a ``fileKeyRef`` names; None where there is none and it may be missing. EnvFileError."""
    volume, path, key = reference["volumeName"], reference["path"], reference["key"]
    try:
        content = read(volume, path)
    except (KeyError, FileError):
        if reference.get("optional"):
            return None
        raise EnvFileError(f"failed to open file {path!r} of volume {volume!r}: no such file") from None
    if len(content) > MOST_BYTES:
        raise EnvFileError(f"file {path!r} of volume {volume!r} is larger than {MOST_BYTES} bytes")
    value = parse(content.decode("utf-8", "replace")).get(key)
    if value is None and not reference.get("optional"):
        raise EnvFileError(f"environment variable key {key!r} is not in file {path!r} of volume {volume!r}")
    return value
