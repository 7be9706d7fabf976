"""Tags as compact data."""

from __future__ import annotations

import pytest

from simkube.runtime import catalogue, tags


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("latest", ["latest"]),
        ("1.{0..2}", ["1.0", "1.1", "1.2"]),
        ("{3.{1,2},4}-x", ["3.1-x", "3.2-x", "4-x"]),
        ("{08..10}", ["08", "09", "10"]),
        ("a{,-b}", ["a", "a-b"]),
    ],
)
def test_patterns_stand_for_words(pattern: str, words: list[str]) -> None:
    assert list(tags.expand(pattern)) == words


@pytest.mark.parametrize("pattern", ["1.{0..2", "{9..1}", "{0..99999999}"])
def test_bad_patterns_are_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"not closed|not a range"):
        list(tags.expand(pattern))


def test_shorter_forms_are_the_newest_and_latest_with_a_suffix_is_the_suffix() -> None:
    entry = {
        "versions": ["1.{9.{0,1},10.0}", "2.0.0"],
        "aliases": {"latest": "2.0.0", "old": "1.10.0"},
        "suffixes": {"": {}, "-slim": {"since": "1.10"}},
    }
    found = {tag: build.name for tag, build in tags.tags_of(entry).items()}
    assert found["1"] == found["1.10"] == found["old"] == "1.10.0"
    assert found["1.9"] == "1.9.1"
    assert found["latest"] == "2.0.0"
    assert found["slim"] == "2.0.0-slim"
    assert found["old-slim"] == "1.10.0-slim"
    assert "1.9-slim" not in found
    assert "latest-slim" not in found


def test_an_alias_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="the alias latest is of a version 2"):
        tags.tags_of({"versions": ["1"], "aliases": {"latest": "2"}})


def test_nearest_by_numbers_within_the_same_build_then_by_spelling() -> None:
    names = ["1.9", "1.10", "1.10.4", "2.0", "1.10-alpine", "latest"]
    assert tags.nearest("1.11", names, 2) == ["1.10", "1.10.4"]
    assert tags.nearest("1.11-alpine", names, 1) == ["1.10-alpine"]
    assert tags.nearest("lastest", names) == ["latest"]
    assert tags.nearest("zzz", names, 1) == ["latest"]


@pytest.mark.parametrize("name", sorted(catalogue.repositories()))
def test_every_repository_has_tags_that_a_reference_can_name(name: str) -> None:
    from simkube.runtime import registry
    from simkube.runtime.reference import parse

    found = catalogue.repositories()[name].tags
    assert found or name == registry.STAND_IN
    for tag in found:
        assert parse(f"{name}:{tag}").local == f"{name}:{tag}"
