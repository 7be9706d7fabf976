"""The map is held to the code: every room is on it, and whatever is on it is there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
ROOMS = ("labs", "grader", "webapp", "simkube", "simkube/apiserver")
TABLE = re.compile(r"^\| room of `([\w/]+)/` \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", re.MULTILINE)
PLACE = re.compile(r"`([\w.-]+(?:/[\w.-]+)*/?)`")
NOT_ROOMS = {"__init__.py", "__main__.py", "__pycache__"}
TABLES = {base: [line.split("|")[1:3] for line in rows.splitlines()] for base, rows in TABLE.findall(PAGE)}


def named(base: str) -> set[str]:
    """What the first column of a table names."""
    return {place for first, _ in TABLES[base] for place in PLACE.findall(first)}


def there(base: str) -> Iterator[str]:
    """The rooms of a folder: its folders that hold anything, its modules."""
    for path in (ROOT / base).iterdir():
        if path.name in NOT_ROOMS or path.name.startswith((".", "_")):
            continue
        if path.is_dir() and any(each.suffix != ".pyc" for each in path.rglob("*") if each.is_file()):
            yield path.name + "/"
        elif path.suffix == ".py":
            yield path.name


def test_every_package_has_its_table() -> None:
    assert set(TABLES) == set(ROOMS)


@pytest.mark.parametrize("base", ROOMS)
def test_every_room_is_on_the_map_and_no_other(base: str) -> None:
    assert {place.partition("/")[0] for place in named(base)} == {place.rstrip("/") for place in there(base)}


@pytest.mark.parametrize("base", ROOMS)
def test_what_a_row_names_is_there(base: str) -> None:
    for first, second in TABLES[base]:
        rooms = [place for place in PLACE.findall(first) if place.endswith("/")]
        for place in PLACE.findall(first):
            assert (ROOT / base / place).is_dir() == place.endswith("/"), place
            assert (ROOT / base / place).exists(), place
        for place in PLACE.findall(second):
            if place.endswith((".py", "/")):
                found = [ROOT / base / room / place for room in ["", *rooms]]
                assert any(each.exists() for each in found), f"{first}: {place}"


@pytest.mark.parametrize("place", sorted(place for place in PLACE.findall(PAGE) if place.count("/") > 1))
def test_paths_in_the_text_are_there(place: str) -> None:
    if not place.isupper() and "LAB" not in place:
        assert any((ROOT / base / place).exists() for base in ("", "simkube", "simkube/apiserver", "docs")), place
