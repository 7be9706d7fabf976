"""Semantic versions: ``semver("1.2.3").isLessThan(semver("2.0.0"))`` (``cel/library/semverlib.go``, version 1)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, ClassVar

from simkube.apiserver.cel import types as t
from simkube.apiserver.cel.errors import EvaluationError
from simkube.apiserver.cel.library.model import Library, function, method, of_any, of_class
from simkube.apiserver.cel.types import Kind

_IDENTIFIER = re.compile(r"[0-9A-Za-z-]+", re.ASCII)
_LONGEST = 256


@dataclass(frozen=True)
class Semver:
    """A version; what it was built from does not count when two are compared."""

    kind: ClassVar[Kind] = t.SEMVER
    major: int
    minor: int
    patch: int
    before: tuple[str, ...] = ()
    build: tuple[str, ...] = field(default=(), compare=False)

    def key(self) -> Any:
        """What versions are sorted by: a pre-release comes before its release, numbers before names."""
        named = [(0, int(one), "") if one.isdigit() else (1, 0, one) for one in self.before]
        return (self.major, self.minor, self.patch, not self.before, named)


def _number(text: str, name: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise EvaluationError(f'Invalid character(s) found in {name.lower()} number "{text}"')
    if len(text) > 1 and text[0] == "0":
        raise EvaluationError(f'{name} number must not contain leading zeroes "{text}"')
    return int(text[:20])


def _identifiers(text: str, what: str, *, numbers: bool) -> tuple[str, ...]:
    found = tuple(text.split("."))
    for one in found:
        if not _IDENTIFIER.fullmatch(one):
            raise EvaluationError(f'Invalid character(s) found in {what} "{one}"' if one else f"{what} is empty")
        if numbers and one.isdigit() and len(one) > 1 and one[0] == "0":
            raise EvaluationError(f'Numeric PreRelease version must not contain leading zeroes "{one}"')
    return found


def _of(text: str, normalize: bool = False) -> Semver:
    if len(text) > _LONGEST:
        raise EvaluationError("Invalid character(s) found in version")
    text = _normalized(text) if normalize else text
    if not text:
        raise EvaluationError("Version string empty")
    parts = text.split(".", 2)
    if len(parts) != 3:
        raise EvaluationError("No Major.Minor.Patch elements found")
    patch, plus, build = parts[2].partition("+")
    patch, dash, before = patch.partition("-")
    return Semver(
        _number(parts[0], "Major"),
        _number(parts[1], "Minor"),
        _number(patch, "Patch"),
        _identifiers(before, "prerelease", numbers=True) if dash else (),
        _identifiers(build, "build meta data", numbers=False) if plus else (),
    )


def _normalized(text: str) -> str:
    parts = [_without_zeros(part) for part in text.removeprefix("v").split(".", 2)]
    if len(parts) < 3 and re.search(r"[+-]", parts[-1]):
        raise EvaluationError("short version cannot contain PreRelease/Build meta data")
    return ".".join((*parts, "0", "0")[:3])


def _without_zeros(part: str) -> str:
    if len(part) < 2:
        return part
    short = part.lstrip("0")
    return short if short[:1].isdigit() else f"0{short}"


def _is(text: str, normalize: bool = False) -> bool:
    try:
        _of(text, normalize)
    except EvaluationError:
        return False
    return True


_V = t.SEMVER

LIBRARY = Library(
    {
        "semver": [function(t.STRING, gives=_V), function(t.STRING, t.BOOL, gives=_V)],
        "isSemver": [function(t.STRING, gives=t.BOOL), function(t.STRING, t.BOOL, gives=t.BOOL)],
        **{name: [method(_V, gives=t.INT)] for name in ("major", "minor", "patch")},
        "isGreaterThan": [method(_V, _V, gives=t.BOOL)],
        "isLessThan": [method(_V, _V, gives=t.BOOL)],
        "compareTo": [method(_V, _V, gives=t.INT)],
    },
    {
        **of_any({"semver": _of, "isSemver": _is}),
        **of_class(
            Semver,
            {
                "major": lambda given: given.major,
                "minor": lambda given: given.minor,
                "patch": lambda given: given.patch,
                "isGreaterThan": lambda one, other: one.key() > other.key(),
                "isLessThan": lambda one, other: one.key() < other.key(),
                "compareTo": lambda one, other: (one.key() > other.key()) - (one.key() < other.key()),
            },
        ),
    },
)
