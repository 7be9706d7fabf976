"""YAML from strangers: read whole, with lines, or refused with the line at fault."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from labs import yamlfile
from labs.errors import Malformed


def refused(text: str) -> Malformed:
    with pytest.raises(Malformed) as raised:
        yamlfile.parse(text, "x.yaml")
    return raised.value


def test_values_and_their_lines() -> None:
    document = yamlfile.parse("a: 1\nb:\n  - x\n  - {c: d}\n", "x.yaml")[0]
    assert document.value == {"a": 1, "b": ["x", {"c": "d"}]}
    assert document.line(("a",)) == 1
    assert document.line(("b", 1)) == 4
    assert document.line(("b", 1, "c")) == 4
    assert document.line(("b", 0, "not", "there")) == 3


def test_several_documents_empty_ones_left_out() -> None:
    assert [one.value for one in yamlfile.parse("---\na: 1\n---\n---\nb: 2\n", "x")] == [{"a": 1}, {"b": 2}]


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("a: 1\nb: [1, 2\n", 3, "not YAML"),
        ("a: 1\n\tb: 2\n", 2, "not YAML"),
        ("a: 1\na: 2\n", 2, "the key 'a' is given twice"),
        ("a:\n  b: 1\n  b: 2\n", 3, "given twice"),
        ("[a]: 1\n", 1, "expected a plain key"),
        ("a: !!python/object/apply:os.system ['true']\n", 1, "not YAML"),
        ("a: &x [*x]\n", 1, "contains it"),
        ("a: *nowhere\n", 1, "not YAML"),
        ("a: 2026-99-99\n", 1, "not YAML"),
        ("\n" + "[" * 100 + "]" * 100, 2, "at most 64 levels"),
        ("{" * 100_000, 1, "at most 64 levels"),
        ("- " * 10_000, 1, "at most 64 levels"),
        ("a: \x00\n", 1, "not YAML"),
        ("x: '" + "y" * yamlfile.SIZE_LIMIT + "'", 1, "at most 1024 KiB"),
    ],
)
def test_refused_with_its_line(text: str, line: int, said: str) -> None:
    error = refused(text)
    assert said in error.expected
    assert error.line == line
    assert str(error).startswith(f"x.yaml, line {line}: ")


def test_a_parser_with_a_limit_of_its_own_changes_no_message(monkeypatch: pytest.MonkeyPatch) -> None:
    for loader in (yaml.SafeLoader, getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
        monkeypatch.setattr(yamlfile, "_Loader", loader)
        assert "at most 64 levels" in refused("[" * 2_000).expected


def test_an_alias_bomb_is_refused_before_it_grows() -> None:
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    levels += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    assert "values, aliases expanded" in refused("\n".join(levels)).expected


def test_a_merge_bomb_is_refused() -> None:
    levels = ["a0: &a0 {k0: [" + "x, " * 50_000 + "x]}"]
    levels += [f"a{n}: &a{n} {{<<: *a{n - 1}, k{n}: *a{n - 1}}}" for n in range(1, 20)]
    assert "values, aliases expanded" in refused("\n".join(levels)).expected


def test_a_file_that_is_not_text_or_not_there(tmp_path: Path) -> None:
    (tmp_path / "b").write_bytes(b"\xff\xfe\x00")
    for path, said in ((tmp_path / "b", "expected text in UTF-8"), (tmp_path / "c", "cannot be read: No such file")):
        with pytest.raises(Malformed, match=said):
            yamlfile.read(path)


def test_one_document_is_expected(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a: 1\n---\nb: 1\n")
    with pytest.raises(Malformed, match="expected one YAML document, found 2"):
        yamlfile.read(tmp_path / "a")
