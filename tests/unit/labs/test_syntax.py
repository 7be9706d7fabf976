"""Python is read by one thread at a time, whoever wants it read."""

from __future__ import annotations

import ast
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from labs import syntax

ROOT = Path(syntax.__file__).parent


@pytest.fixture
def eager() -> Iterator[None]:
    """Threads take turns as often as can be."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


@pytest.mark.usefixtures("eager")
def test_threads_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    inside, most = 0, 0
    real: Callable[..., Any] = ast.parse
    counting = threading.Lock()

    def parse(*given: Any) -> Any:
        nonlocal inside, most
        with counting:
            inside += 1
            most = max(most, inside)
        try:
            return real(*given)
        finally:
            with counting:
                inside -= 1

    monkeypatch.setattr(ast, "parse", parse)
    with ThreadPoolExecutor(8) as pool:
        trees = list(pool.map(lambda number: syntax.parse(f"[{number}] * 2", mode="eval"), range(400)))
    assert [ast.unparse(one) for one in trees[:2]] == ["[0] * 2", "[1] * 2"]
    assert most == 1


def test_nobody_reads_it_another_way() -> None:
    others = [path for path in ROOT.rglob("*.py") if path.name != "syntax.py" and "images" not in path.parts]
    assert [path.name for path in others if "ast.parse(" in path.read_text(encoding="utf-8")] == []


def test_what_is_no_python_is_said() -> None:
    with pytest.raises(SyntaxError):
        syntax.parse("def")
