"""Tags of a repository, written compactly: ``1.{24.0,25.{0..5}}`` and a few rules that public repositories share.

A repository has *versions*; each is a tag, and each of its shorter forms (``1.25``, ``1``) is a tag of the newest
version that begins so. *Suffixes* (``-alpine``) are other builds of each version (``since`` one, ``until`` one);
*aliases* (``latest``, ``stable``) are names of one version, and the alias ``latest`` with a suffix is that suffix alone
(``alpine``), as in Docker's official library. What follows no rule is listed as it is.
"""

from __future__ import annotations

import difflib
import itertools
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

MOST = 50_000
"""So many words one pattern may stand for."""
_RANGE = re.compile(r"([0-9]+)\.\.([0-9]+)\Z")
_NUMBERS = re.compile(r"[0-9]+")
_SHORTENED = re.compile(r"v?[0-9]+(?:\.[0-9]+)*\Z")


@dataclass(frozen=True, slots=True)
class Build:
    """What a tag stands for: ``name`` is the same for every tag of one image."""

    name: str
    version: str
    more: Mapping[str, Any] = field(default_factory=dict)


def expand(pattern: str) -> Iterator[str]:
    """The words of a pattern with braces, as bash expands them: lists and ranges of numbers. ValueError."""
    opened = pattern.find("{")
    if opened < 0:
        yield pattern
        return
    depth, parts, start, at = 0, [], opened + 1, opened
    for at in range(opened, len(pattern)):
        one = pattern[at]
        if one == "{":
            depth += 1
        elif (one == "," and depth == 1) or (one == "}" and depth == 1):
            parts.append(pattern[start:at])
            start = at + 1
        if one == "}":
            depth -= 1
            if depth == 0:
                break
    if depth:
        raise ValueError(f"a brace is not closed in {pattern!r}")
    rest = list(expand(pattern[at + 1 :]))
    for middle in _alternatives(parts):
        for word in expand(middle):
            for end in rest:
                yield pattern[:opened] + word + end


def _alternatives(parts: list[str]) -> Iterable[str]:
    between = _RANGE.match(parts[0]) if len(parts) == 1 else None
    if between is None:
        return parts
    first, last = int(between[1]), int(between[2])
    if not first <= last < first + MOST:
        raise ValueError(f"{parts[0]!r} is not a range")
    width = len(between[1]) if between[1].startswith("0") else 0
    return (str(number).zfill(width) for number in range(first, last + 1))


def order(version: str) -> tuple[int, ...]:
    """The numbers of a version, to compare by."""
    return tuple(int(number[:9]) for number in _NUMBERS.findall(version))


def tags_of(entry: Mapping[str, Any]) -> dict[str, Build]:
    """Every tag of an entry: ``versions`` (patterns), ``short`` (false: no shorter forms), ``aliases`` (name: version),
    ``suffixes`` (pattern: what differs), ``tags`` (patterns, or tag: what differs). ValueError for an alias of nothing.
    """
    found: dict[str, Build] = {}
    versions = [word for pattern in entry.get("versions", ()) for word in expand(str(pattern))]
    suffixes = entry.get("suffixes") or {"": {}}
    names = _names(versions, short=bool(entry.get("short", True)))
    for alias, version in (entry.get("aliases") or {}).items():
        if str(version) not in names:
            raise ValueError(f"the alias {alias} is of a version {version} that is not there")
        names[str(alias)] = names[str(version)]
    places = {version: order(version) for version in versions}
    for pattern, more in suffixes.items():
        since, until = order(str((more or {}).get("since", "0"))), (*order(str((more or {}).get("until", MOST))), MOST)
        for suffix in expand(str(pattern)):
            for name, version in names.items():
                if since <= places[version] <= until:
                    tag = suffix.removeprefix("-") if name == "latest" and suffix else name + suffix
                    found[tag] = Build(version + suffix, version, more or {})
    listed = entry.get("tags") or {}
    for tag, more in listed.items() if isinstance(listed, Mapping) else ((tag, {}) for tag in listed):
        for word in expand(str(tag)):
            found[word] = Build(word, _version_in(word) or str(entry.get("current", "")), more or {})
    return found


def _names(versions: Iterable[str], *, short: bool) -> dict[str, str]:
    names: dict[str, str] = {}
    for version in sorted(versions, key=order):
        parts = version.split(".")
        if short and _SHORTENED.match(version):
            names.update({".".join(parts[:size]): version for size in range(1, len(parts))})
    names.update({version: version for version in versions})
    return names


def _version_in(tag: str) -> str:
    found = re.match(r"v?([0-9]+(?:\.[0-9]+)*)", tag)
    return found[1] if found else ""


def nearest(wanted: str, names: Iterable[str], most: int = 3) -> list[str]:
    """The names that are most like the wanted one, best first: by spelling, and for versions by their numbers."""
    all_names = list(dict.fromkeys(names))
    numbers, build = order(wanted.partition("-")[0]), wanted.partition("-")[2]
    if numbers:
        alike = [one for one in all_names if one.partition("-")[2] == build and order(one.partition("-")[0])]
        alike.sort(key=lambda one: _distance(numbers, order(one.partition("-")[0])))
        if alike:
            return alike[:most]
    spelt_alike = (one for one in all_names if one[:1] == wanted[:1] and abs(len(one) - len(wanted)) < 4)
    return (
        close(wanted, itertools.islice(spelt_alike, 400), most)
        or [one for one in ("latest", *all_names) if one in all_names][:most]
    )


def close(wanted: str, names: Iterable[str], most: int = 3) -> list[str]:
    """The names that are spelt most like the wanted one, best first; [] when none is."""
    return difflib.get_close_matches(wanted[:128], list(names)[:1000], most, 0.6)


def _distance(one: tuple[int, ...], other: tuple[int, ...]) -> tuple[int, ...]:
    size = max(len(one), len(other))
    pairs = zip((*one, *(0,) * (size - len(one))), (*other, *(0,) * (size - len(other))), strict=True)
    return (*(abs(a - b) for a, b in pairs), abs(len(one) - len(other)))
