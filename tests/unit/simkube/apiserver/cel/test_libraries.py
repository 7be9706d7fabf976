"""The libraries of expressions, by the examples of their documentation; what has no value, and what is a mistake."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from simkube.apiserver.cel.checking import check
from simkube.apiserver.cel.errors import EvaluationError
from simkube.apiserver.cel.evaluation import Budget, BudgetError, evaluate
from simkube.apiserver.cel.library import OVERLOADS, call
from simkube.apiserver.cel.syntax import CelError, parse
from simkube.apiserver.cel.types import Types

EXAMPLES: dict[str, list[Any]] = yaml.safe_load(Path(__file__).with_name("examples.yaml").read_text())
FAILS, MISTAKES = EXAMPLES.pop("fails"), EXAMPLES.pop("mistakes")


def value(text: str, budget: Budget | None = None) -> Any:
    tree = parse(text)
    check(tree, {}, Types())
    return evaluate(tree, {}, budget or Budget())


@pytest.mark.parametrize("text", [text for group in EXAMPLES.values() for text in group])
def test_an_example_is_true(text: str) -> None:
    assert value(text) is True


@pytest.mark.parametrize(("text", "why"), FAILS)
def test_an_expression_has_no_value(text: str, why: str) -> None:
    with pytest.raises(EvaluationError, match=re.escape(why)):
        value(text)


@pytest.mark.parametrize(("text", "why"), MISTAKES)
def test_an_expression_is_a_mistake(text: str, why: str) -> None:
    with pytest.raises(CelError, match=re.escape(why)):
        value(text)


def test_all_mistakes_are_told_in_the_order_of_the_text() -> None:
    text = "x.foo(1) == 'a' + 1 &&\n  y"
    with pytest.raises(CelError) as caught:
        value(text)
    assert caught.value.shown(text).splitlines() == [
        "ERROR: <input>:1:1: undeclared reference to 'x' (in container '')",
        " | x.foo(1) == 'a' + 1 &&",
        " | ^",
        "ERROR: <input>:1:6: undeclared reference to 'foo' (in container '')",
        " | x.foo(1) == 'a' + 1 &&",
        " | .....^",
        "ERROR: <input>:1:17: found no matching overload for '_+_' applied to '(string, int)'",
        " | x.foo(1) == 'a' + 1 &&",
        " | ................^",
        "ERROR: <input>:2:3: undeclared reference to 'y' (in container '')",
        " |   y",
        " | ..^",
    ]


def test_every_function_that_is_declared_does_something() -> None:
    written = {"_&&_", "_||_", "!_", "_?_:_"}  # by the evaluation itself
    for name in OVERLOADS.keys() - written:
        for _, arguments, _ in OVERLOADS[name]:
            assert len(arguments) <= 4
        with pytest.raises(EvaluationError):
            call(name, [object()] * 7)
    assert {name for name in OVERLOADS if "." in name and name[0] != "_"} >= {"sets.contains", "ip.isCanonical"}


@pytest.mark.parametrize(
    "text",
    [
        "lists.range(99999).map(x, x).size() > 0",
        "lists.range(50000).distinct().size() > 0",
        "lists.range(2000).map(x, lists.range(2000)).flatten().size() > 0",
    ],
)
def test_what_takes_long_is_ended(text: str) -> None:
    with pytest.raises((BudgetError, EvaluationError)):
        value(text, Budget(20_000))


def test_sets_of_many_are_compared_quickly() -> None:
    many = "lists.range(90000)"
    text = f"sets.equivalent({many}, {many}.reverse()) && {many}.distinct().size() == 90000"
    began = time.monotonic()
    assert value(text, Budget(1_000_000)) is True
    assert time.monotonic() - began < 5
