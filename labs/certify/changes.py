"""A change of what somebody has made, by an id that is the same every time: ``remove Pod/web spec.restartPolicy``.

A change does something to manifests and says nothing of whether the result is right: that is for the oracle.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from labs.certify.objects import Obj

Path = tuple[str | int, ...]
Objects = list[Obj]
Meant = Literal["near-miss", "neutral"]


class DoesNotApply(Exception):
    """What a change is about is not there (any more)."""


@dataclass(frozen=True)
class Change:
    """``id``: what it does, for people and for the catalogue. ``how``: the first word of it; ``meant``: as what it was
    made, which proves nothing. ``make`` changes manifests in place; :class:`DoesNotApply`."""

    id: str
    meant: Meant
    make: Callable[[Objects], None]

    @property
    def how(self) -> str:
        """The kind of change, by which a sample is spread."""
        return self.id.partition(" ")[0]

    def applied(self, objects: Sequence[Obj]) -> Objects:
        """Changed copies."""
        changed = copy.deepcopy(list(objects))
        self.make(changed)
        return changed


def both(first: Change, second: Change) -> Change:
    """Two changes, one after the other."""

    def make(objects: Objects) -> None:
        first.make(objects)
        second.make(objects)

    neutral = first.meant == second.meant == "neutral"
    return Change(f"{first.id} + {second.id}", "neutral" if neutral else "near-miss", make)


def ref(obj: Mapping[str, Any]) -> str:
    """``Kind/name``."""
    return f"{obj['kind']}/{obj['metadata']['name']}"


def one(objects: Objects, name: str) -> Obj:
    """The object of that ``Kind/name``."""
    found = next((each for each in objects if ref(each) == name), None)
    if found is None:
        raise DoesNotApply(name)
    return found


def text(path: Path) -> str:
    """``spec.containers[web].ports[0]``: a path as people read it."""
    said = ""
    for step in path:
        plain = isinstance(step, str) and not step.startswith("[")
        said += f".{step}" if plain else f"[{step}]" if isinstance(step, int) else str(step)
    return said.lstrip(".")


def steps(value: Any) -> Iterator[tuple[str | int, Any]]:
    """What is in a value: fields by name; items by their own name, as ``[web]``, or number."""
    if isinstance(value, dict):
        yield from value.items()
    elif isinstance(value, list):
        names = [item.get("name") if isinstance(item, dict) else None for item in value]
        for index, item in enumerate(value):
            name = names[index]
            yield (f"[{name}]" if name and names.count(name) == 1 else index), item


def at(value: Any, path: Path) -> Any:
    """What is at a path; :class:`DoesNotApply`."""
    for step in path:
        value = dict(steps(value)).get(step, ...)
        if value is ...:
            raise DoesNotApply(text(path))
    return value


def places(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every place in a value, outer ones first."""
    for step, inner in steps(value):
        yield (*path, step), inner
        yield from places(inner, (*path, step))


def put(value: Any, path: Path, new: Any) -> None:
    """Set what is at a path, which is there already or is a new field of what is."""
    holder, step = at(value, path[:-1]), path[-1]
    if isinstance(holder, list):
        holder[_index(holder, step)] = new
    elif isinstance(holder, dict):
        holder[step] = new
    else:
        raise DoesNotApply(text(path))


def take(value: Any, path: Path) -> None:
    """Remove what is at a path."""
    holder, step = at(value, path[:-1]), path[-1]
    if isinstance(holder, list):
        del holder[_index(holder, step)]
    elif isinstance(holder, dict) and step in holder:
        del holder[step]
    else:
        raise DoesNotApply(text(path))


def _index(items: list[Any], step: str | int) -> int:
    places = [each for each, _ in steps(items)]
    if step not in places:
        raise DoesNotApply(str(step))
    return places.index(step)


def spread(changes: Iterable[Change], count: int, seed: str) -> list[Change]:
    """So many of the changes, of every kind about equally many, the same for the same seed."""
    groups: dict[str, list[Change]] = {}
    for change in sorted({each.id: each for each in changes}.values(), key=lambda each: _lot(seed, each.id)):
        groups.setdefault(change.how, []).append(change)
    chosen: list[Change] = []
    while len(chosen) < count and groups:
        for how in sorted(groups):
            chosen.append(groups[how].pop(0))
            if not groups[how]:
                del groups[how]
    return chosen[:count]


def pairs(changes: Sequence[Change], count: int, seed: str) -> list[Change]:
    """So many pairs of changes of different places."""
    drawn = sorted(changes, key=lambda each: _lot(seed + "/first", each.id))
    others = sorted(changes, key=lambda each: _lot(seed + "/second", each.id))
    found = [both(first, second) for first, second in zip(drawn, others, strict=True) if first.id != second.id]
    return found[:count]


def _lot(seed: str, word: str) -> str:
    return hashlib.sha256(f"{seed}\0{word}".encode()).hexdigest()
