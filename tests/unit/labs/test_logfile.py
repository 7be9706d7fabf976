"""The log: for its owner, in UTC, and nobody's text in it passes for an entry."""

from __future__ import annotations

import logging
import re
import stat
from pathlib import Path

import pytest

from labs.cli.logfile import OneEntry, PrivateFile, open_log
from labs.settings import load

LAYOUT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def entry(message: str, **more: object) -> str:
    record = logging.LogRecord("kindling", logging.INFO, __file__, 1, message, (), None)
    record.__dict__.update(more)
    return OneEntry(LAYOUT).format(record)


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n", "\u2028", "\x85", "\v"])
def test_nobody_writes_an_entry_of_their_own(end: str) -> None:
    shown = entry(f"hello{end}2026-01-01T00:00:00.000Z INFO kindling.audit: forged")
    assert [line for line in shown.split("\n") if not line.startswith("    ")] == [shown.split("\n")[0]]
    assert "\r" not in shown
    assert "\u2028" not in shown


def test_control_characters_are_escaped() -> None:
    assert entry("a\x1b[31mb\x00c\u202ed").endswith(r"a\x1b[31mb\x00c\u202ed")


def test_times_are_utc() -> None:
    assert re.match(r"1970-01-01T00:00:00\.000Z INFO kindling: x$", entry("x", created=0.0, msecs=0.0))


def test_the_file_is_its_owners(tmp_path: Path) -> None:
    handler = PrivateFile(tmp_path / "kindling.log", encoding="utf-8", delay=True)
    handler.emit(logging.LogRecord("kindling", logging.INFO, __file__, 1, "x", (), None))
    handler.close()
    assert stat.S_IMODE((tmp_path / "kindling.log").stat().st_mode) == 0o600


def test_the_home_is_its_owners(tmp_path: Path) -> None:
    settings = load({"KINDLING_HOME": str(tmp_path / "home")})
    root, level = logging.getLogger(), logging.getLogger().level
    try:
        open_log(settings)
    finally:
        for handler in [one for one in root.handlers if one.name == "kindling"]:
            root.removeHandler(handler)
            handler.close()
        root.setLevel(level)
    assert stat.S_IMODE(settings.home.stat().st_mode) == 0o700
