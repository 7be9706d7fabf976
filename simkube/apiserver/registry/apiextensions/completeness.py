"""What is restricted must be there: fields named below ``allOf`` and its like are fields of the structure.

After ``apiextensions-apiserver/pkg/apiserver/schema/complete.go``.
"""

from __future__ import annotations

from typing import Any

from simkube.apiserver.validation.field import Errors
from simkube.client.client import Obj

_DEEPEST = 50


def complete(schema: Obj, path: str, errors: Errors) -> None:
    """Note the fields that are only restricted. As on a real server only restrictions at the root are looked at."""
    _restrictions(schema, schema, path, path, errors, 0)


def _restrictions(given: Obj, structure: Any, path: str, where: str, errors: Errors, depth: int) -> None:
    several = [(name, given.get(name)) for name in ("allOf", "anyOf", "oneOf")]
    found = [
        (f"{where}.{name}[{at}]", one)
        for name, some in several
        for at, one in enumerate(some or ())
        if some is not None
    ]
    for at, one in [(f"{where}.not", given.get("not")), *found]:
        if isinstance(one, dict) and depth < _DEEPEST:
            _nested(one, structure, path, at, errors, depth + 1)


def _nested(given: Obj, structure: Any, path: str, where: str, errors: Errors, depth: int) -> None:
    if not isinstance(structure, dict):
        errors.required(path, f"because it is defined in {where}")
        return
    if depth >= _DEEPEST:
        return
    _restrictions(given, structure, path, where, errors, depth)
    if isinstance(given.get("items"), dict):
        _nested(given["items"], structure.get("items"), f"{path}.items", f"{where}.items", errors, depth + 1)
    known = structure.get("properties") or {}
    for key, one in sorted((given.get("properties") or {}).items()):
        if isinstance(one, dict):
            here = f".properties[{key}]"
            _nested(one, known.get(key), path + here, where + here, errors, depth + 1)
