"""The language of requirements: what it says, what it leaves open, what it refuses."""

from __future__ import annotations

from typing import Any

import pytest

from labs.certify.expressions import LIMIT, BadExpression, Expression
from labs.certify.unknown import UNKNOWN

NAMES: dict[str, Any] = {
    "object": lambda name: {"web": {"spec": {"replicas": 3, "app": "web", "ports": [{"port": 80}]}}}.get(name),
    "maybe": UNKNOWN,
    "items": [1, 2, 3],
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('object("web").spec.replicas == 3', True),
        ('object("web").spec.ports[0].port == 80', True),
        ('object("web").spec.ports[1].port == 80', False),
        ('object("gone").spec.replicas == 3', False),
        ('object("gone").spec.replicas < 3', False),
        ('not object("gone")', True),
        ('object("web").spec.app < 3', False),
        ("1 < 2 < 3", True),
        ("2 in items and 4 not in items", True),
        ("all(i > 0 for i in items) and any(i == 3 for i in items)", True),
        ("all(i * j > 2 for i in items for j in items if i > 1)", False),
        ("set(i for i in items) == set([3, 2, 1])", True),
        ("len(items) == 3 and sum(items) == 6 and max(items) - min(items) == 2", True),
        ("max([1, None]) == None and min([None]) == None and sum([1, None]) == None and max([]) == None", True),
        ('number("3.5") > 3 and not number("x")', True),
        ("at_least(2, 2, 1) and not at_least(0.5, 2, 1)", True),
        ("at_most(2, 2, 4) and not at_most(5, 2, 4)", True),
        ("all(i > 0 for i in object('gone').items)", True),
        ("1 if items else 0", True),
    ],
)
def test_what_is_so(text: str, expected: bool) -> None:
    assert Expression(text).holds(NAMES) is expected


@pytest.mark.parametrize(
    "text",
    [
        "maybe",
        "maybe == 3",
        "maybe.spec.replicas == 3",
        "not maybe",
        "maybe and True",
        "maybe or False",
        "any(maybe == i for i in items)",
        "all(i > 0 for i in items if maybe)",
        "all(i > 0 for i in maybe)",
        "at_least(1.5, 2, 1)",
        "at_most(3, 2, 4)",
        "2 in [1, maybe]",
        "len([maybe]) == 1",
        "1 if maybe else 0",
        "False or unknown",
    ],
)
def test_what_cannot_be_told(text: str) -> None:
    assert Expression(text).holds(NAMES) is UNKNOWN


@pytest.mark.parametrize(
    ("text", "expected"),
    [("maybe and False", False), ("maybe or True", True), ("any(i == 1 or maybe for i in items)", True)],
)
def test_what_is_decided_all_the_same(text: str, expected: bool) -> None:
    assert Expression(text).holds(NAMES) is expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1 +", "is no expression"),
        ("x = 1", "is no expression"),
        ("nothing == 1", "there is no nothing; there are: all"),
        ("items.append(1)", "items has no append"),
        ("(lambda: 1)()", "a requirement has no Lambda"),
        ("items.__class__", "has no __class__"),
        ("object.__globals__", "has no __globals__"),
        ("len(1)", "TypeError"),
        ("2 ** 1000", "a requirement has no 2 ** 1000"),
        ("1 is 1", "a requirement compares with"),
        ("a" * (LIMIT + 1), "at most 2000 characters"),
    ],
)
def test_what_is_refused(text: str, said: str) -> None:
    with pytest.raises(BadExpression, match=said.replace("*", r"\*").replace("(", r"\(")):
        Expression(text).holds(NAMES)


def test_unknown_is_never_taken_for_an_answer() -> None:
    with pytest.raises(TypeError, match="neither true nor false"):
        bool(UNKNOWN)


def test_the_functions_that_it_calls() -> None:
    assert Expression("all(p.ready for p in pods(app='x')) and len(items) > 1").names == {"pods", "items"}
