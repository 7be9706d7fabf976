"""Expressions: what they are worth, what is a mistake, and that none takes long."""

from __future__ import annotations

import time
from typing import Any

import pytest

from simkube.apimachinery.errors import StatusError
from simkube.apiserver.cel.checking import check
from simkube.apiserver.cel.evaluation import Budget, BudgetError, EvaluationError, evaluate
from simkube.apiserver.cel.syntax import CelError, NotSimulated, parse
from simkube.apiserver.cel.types import Types
from simkube.apiserver.registry.customresources.rules import Rules
from simkube.apiserver.schema.custom.values import ABSENT, validate
from simkube.apiserver.validation.field import Errors
from simkube.client.client import Obj


def value(text: str) -> Any:
    tree = parse(text)
    check(tree, {}, Types())
    return evaluate(tree, {}, Budget())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 + 2 * 3 == 7", True),
        ("-7 / 2", -3),
        ("-7 % 3", -1),
        ("1.5 + 2.5", 4.0),
        ("2 < 2.5", True),
        ("'a' + 'b' == \"ab\"", True),
        ("r'\\d' == '\\\\d'", True),
        ("!true || 1 / 0 == 1 || true", True),
        ("false && 1 / 0 == 1", False),
        ("true ? 'x' : 'y'", "x"),
        ("[1, 2, 3].all(x, x > 0)", True),
        ("[1, 2, 3].exists(x, x == 2)", True),
        ("[1, 2, 2].exists_one(x, x == 2)", False),
        ("[1, 2, 3].filter(x, x > 1).map(x, x * 2)", [4, 6]),
        ("[1, 2, 3].map(x, x > 1, x)", [2, 3]),
        ("{'a': 1}.all(k, k == 'a')", True),
        ("{'a': 1}['a'] == 1 && 'a' in {'a': 1}", True),
        ("2 in [1, 2]", True),
        ("size('häh') == 3 && 'abc'.size() == 3", True),
        ("'kindling'.matches('^k.*g$')", True),
        ("'abc'.startsWith('a') && 'abc'.endsWith('c') && 'abc'.contains('b')", True),
        ("'a,b'.split(',')", ["a", "b"]),
        ("['a', 'b'].join('-')", "a-b"),
        ("'AbC'.lowerAscii()", "abc"),
        ("'hello'.substring(1, 3)", "el"),
        ("'hello'.indexOf('l') + 'hello'.lastIndexOf('l')", 5),
        ("'a1b2'.findAll('[0-9]')", ["1", "2"]),
        ("[3, 1].isSorted()", False),
        ("[3, 1].sum() == 4 && [3, 1].min() == 1 && [3, 1].max() == 3", True),
        ("duration('1h30m') == duration('90m')", True),
        ("timestamp('2026-01-02T03:04:05Z').getFullYear()", 2026),
        ("timestamp('2026-01-02T00:00:00Z') - timestamp('2026-01-01T00:00:00Z') == duration('24h')", True),
        ("int('42') + int(1.9)", 43),
        ("string(3) + string(1.0) + string(true)", "31true"),
        ("type(1) == int", True),
        ("1u + 2u == 3u", True),
        ("dyn(1) == dyn('1')", False),
        ("[[1], [2]] == [[1], [2]]", True),
        ("null == null", True),
    ],
)
def test_values(text: str, expected: Any) -> None:
    found = value(text)
    assert found == expected
    assert found.__class__ is expected.__class__


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("1 / 0", "division by zero"),
        ("9223372036854775807 + 1", "integer overflow"),
        ("[1][2]", "index out of bounds: 2"),
        ("{'a': 1}.b", "no such key: b"),
        ("int('x')", "invalid syntax"),
    ],
)
def test_expressions_without_a_value(text: str, why: str) -> None:
    with pytest.raises(EvaluationError, match=why):
        value(text)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("1 +", "Syntax error"),
        ("'a' + 1", r"found no matching overload for '_\+_' applied to '\(string, int\)'"),
        ("x", r"undeclared reference to 'x' \(in container ''\)"),
        ("foo(1)", r"undeclared reference to 'foo'"),
        ("1 == 'a'", "found no matching overload"),
        ("1.map(x, x)", "cannot be range of a comprehension"),
        ("[1].all(x, x)", "expected type 'bool' but found 'int'"),
        ("has(1)", r"invalid argument to has\(\) macro"),
        ("'a' ? 1 : 2", "found no matching overload"),
        ("@", "token recognition error"),
    ],
)
def test_mistakes(text: str, why: str) -> None:
    with pytest.raises(CelError, match=why):
        value(text)


SCHEMA: Obj = {
    "type": "object",
    "properties": {
        "spec": {
            "type": "object",
            "x-kubernetes-validations": [
                {"rule": "self.least <= self.most", "messageExpression": "'least is ' + string(self.least)"},
            ],
            "properties": {
                "least": {"type": "integer"},
                "most": {"type": "integer"},
                "name": {
                    "type": "string",
                    "x-kubernetes-validations": [{"rule": "self == oldSelf", "message": "a name stays"}],
                },
                "set": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
                "when": {
                    "type": "string",
                    "format": "date-time",
                    "x-kubernetes-validations": [{"rule": "self > timestamp('2026-01-01T00:00:00Z')"}],
                },
            },
        }
    },
}


def broken(new: Obj, old: Any = ABSENT) -> list[tuple[str, str, str]]:
    errors = Errors()
    Rules(SCHEMA).check({"spec": new}, ABSENT if old is ABSENT else {"spec": old}, errors)
    return errors.found


def test_rules_of_a_schema() -> None:
    assert broken({"least": 1, "most": 2}) == []
    assert broken({"least": 3, "most": 2}) == [("FieldValueInvalid", "spec", "Invalid value: least is 3")]
    old = {"least": 1, "most": 2, "name": "a"}
    assert broken({**old, "name": "b"}, old) == [("FieldValueInvalid", "spec.name", 'Invalid value: "b": a name stays')]
    assert broken({"least": 3, "most": 2, "name": "b"}, {"least": 3, "most": 2, "name": "b"}) == []
    assert broken({"least": 1})[0][2] == "Invalid value: no such key: most evaluating rule: self.least <= self.most"
    early = {"least": 1, "most": 1, "when": "2025-01-01T00:00:00Z"}
    assert broken(early)[0][1] == "spec.when"


def test_sets_are_equal_in_any_order() -> None:
    schema = {**SCHEMA["properties"]["spec"], "x-kubernetes-validations": [{"rule": "self.set == oldSelf.set"}]}
    rules, errors = Rules(schema), Errors()
    rules.check({"set": ["a", "b"]}, {"set": ["b", "a"]}, errors)
    assert errors.found == []
    rules.check({"set": ["a", "c"]}, {"set": ["b", "a"]}, errors)
    assert len(errors.found) == 1


@pytest.mark.parametrize("text", ["1" + " + 1" * 1000, "(" * 500 + "1" + ")" * 500, "-" * 900 + "1", "x" + ".a" * 900])
def test_long_rules_are_refused_by_name(text: str) -> None:
    with pytest.raises(NotSimulated):
        value(text)


def test_no_rule_takes_long() -> None:
    numbers = "[0,1,2,3,4,5,6,7,8,9]"
    text = f"{numbers}.all(a, {numbers}.all(b, {numbers}.all(c, {numbers}.all(d, {numbers}.all(e, a+b+c+d+e >= 0)))))"
    with pytest.raises(BudgetError):
        value(text)
    began = time.perf_counter()
    assert value("('a' + 'a' + 'a' + 'a' + 'a' + 'a' + 'a').matches('(a*)*b')") is False
    assert time.perf_counter() - began < 1


def test_no_object_and_schema_take_long() -> None:
    schema = {"type": "array", "items": {"type": "integer", "anyOf": [{"maximum": number} for number in range(200)]}}
    with pytest.raises(StatusError) as caught:
        validate([1000] * 1_000, schema, Errors())
    assert caught.value.code == 501


def test_an_old_value_may_be_missing() -> None:
    """With ``optionalOldSelf`` a rule about old values holds for new objects too."""
    rule = {"rule": "oldSelf.orValue('') != '' || self == 'new'", "optionalOldSelf": True, "message": "begin as new"}
    schema: Obj = {
        "type": "object",
        "properties": {"phase": {"type": "string", "x-kubernetes-validations": [rule]}},
    }

    def found(new: str, old: Any = ABSENT) -> list[str]:
        errors = Errors()
        before = ABSENT if old is ABSENT else {"phase": old}
        Rules(schema).check({"phase": new}, before, errors)
        return [message for _, _, message in errors.found]

    assert found("new") == []
    assert found("old") == ['Invalid value: "old": begin as new']
    assert found("other", "new") == []
    assert found("other", "") == ['Invalid value: "other": begin as new']


def test_quantities_and_addresses_of_a_schema() -> None:
    schema: Obj = {
        "type": "object",
        "properties": {
            "size": {
                "x-kubernetes-int-or-string": True,
                "x-kubernetes-validations": [
                    {"rule": "type(self) == int || quantity(self).isLessThan(quantity('1Gi'))", "message": "too large"}
                ],
            },
            "network": {
                "type": "string",
                "x-kubernetes-validations": [
                    {
                        "rule": "isCIDR(self) && cidr('10.0.0.0/8').containsCIDR(self)",
                        "messageExpression": "'%s is not in 10.0.0.0/8'.format([self])",
                    }
                ],
            },
        },
    }

    def found(obj: Obj) -> list[str]:
        errors = Errors()
        Rules(schema).check(obj, ABSENT, errors)
        return [message for _, _, message in errors.found]

    assert found({"size": "512Mi", "network": "10.1.0.0/16"}) == []
    assert found({"size": 5}) == []
    assert found({"size": "2Gi"}) == ['Invalid value: "2Gi": too large']
    assert found({"network": "192.168.0.0/16"}) == [
        'Invalid value: "192.168.0.0/16": 192.168.0.0/16 is not in 10.0.0.0/8'
    ]
