"""What a definition of a learner's describes may cost: whatever it is, it is refused before anybody has to wait."""

from __future__ import annotations

from typing import Any

import pytest

from simkube.apimachinery.errors import StatusError
from simkube.apiserver.cel.evaluation import Budget, BudgetError, evaluate
from simkube.apiserver.cel.syntax import parse
from simkube.apiserver.registry.apiextensions import definition
from simkube.apiserver.schema.custom.patterns import PatternError, compiled, cost
from simkube.apiserver.schema.custom.pruning import default
from simkube.apiserver.schema.custom.values import validate
from simkube.apiserver.validation.field import Errors
from simkube.client.client import Obj
from tests.unit.simkube.apiserver.custom.test_definitions import with_spec

LONG = "^(" + "(a|b)?" * 200 + "[ab]{0,200})$"
TOO_LARGE = "(\\pL\\pN){50}"
WIDE: Obj = {"type": "object", "properties": {f"f{n}": {"type": "string", "default": "x"} for n in range(5000)}}
COSTLY: dict[str, tuple[Any, Obj]] = {
    "long texts and long patterns": (["ab" * 300] * 3500, {"items": {"type": "string", "pattern": LONG}}),
    "a text and a pattern as long as may be": ("x" * 30_000, {"type": "string", "pattern": "x" * 30_000}),
    "alternatives": ([{}] * 1300, {"items": {"anyOf": [{"required": [f"r{n}"]} for n in range(2000)]}}),
    "required fields": ([{}] * 3900, {"items": {"type": "object", "required": [f"r{n}" for n in range(3000)]}}),
    "values to choose from": ([""] * 3900, {"items": {"type": "string", "enum": [f"r{n}" for n in range(3000)]}}),
}
FINE: dict[str, tuple[Any, Obj]] = {
    "short texts": (["web-1"] * 3500, {"items": {"type": "string", "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"}}),
    "a certificate": ("-" * 60_000, {"type": "string", "pattern": "^[-A-Za-z0-9+/=]*$"}),
    "a list of things": ([{"f1": "y"}] * 1500, {"items": {"type": "object", "properties": {"f1": {"type": "string"}}}}),
}


@pytest.mark.parametrize(("value", "schema"), COSTLY.values(), ids=COSTLY)
def test_an_object_that_is_dear_to_validate_is_refused(value: Any, schema: Obj) -> None:
    with pytest.raises(StatusError) as caught:
        validate(value, schema, Errors())
    assert caught.value.code == 501


@pytest.mark.parametrize(("value", "schema"), FINE.values(), ids=FINE)
def test_an_object_as_large_as_may_be_is_validated(value: Any, schema: Obj) -> None:
    errors = Errors()
    validate(value, schema, errors)
    assert errors.found == []


def test_defaults_do_not_multiply() -> None:
    with pytest.raises(StatusError) as caught:
        default([{} for _ in range(3900)], {"type": "array", "items": WIDE})
    assert caught.value.code == 501
    assert len(default({}, WIDE)) == 5000


def test_a_pattern_that_is_too_large_is_looked_at_once() -> None:
    with pytest.raises(PatternError, match="too large"):
        compiled(TOO_LARGE)
    assert cost(TOO_LARGE) > cost("a" * 100) > cost("a")
    assert cost("[a-z]+", "a" * 10_000) > cost("[a-z]+", "a")


@pytest.mark.parametrize(
    "properties",
    [
        {f"f{n}": {"type": "string", "pattern": f"{TOO_LARGE}{n}"} for n in range(100)},
        {"many": {**WIDE, "x-kubernetes-validations": [{"rule": "has(self.f1)"}] * 100}},
        {"long": {"type": "string", "x-kubernetes-validations": [{"rule": "self != 'aaaaaaaaaaaaaaaa'"}] * 3000}},
    ],
    ids=["patterns too large", "rules of many fields", "many rules"],
)
def test_a_definition_that_is_dear_to_look_at_is_refused(properties: Obj) -> None:
    obj = with_spec(**properties)
    definition.defaults(obj)
    with pytest.raises(StatusError, match="definition of this size") as caught:
        definition.validate(obj, Errors())
    assert caught.value.code == 501


def test_versions_share_what_a_definition_may_cost() -> None:
    """As many schemas in one version are fine."""
    fields = {f"f{n}": {"type": "string"} for n in range(6000)}
    obj = with_spec(**fields)
    definition.defaults(obj)
    definition.validate(obj, Errors())
    first = obj["spec"]["versions"][0]
    schema = with_spec(**fields, more={"type": "string"})["spec"]["versions"][0]["schema"]
    obj["spec"]["versions"] = [first, *({**first, "name": f"v{n}", "storage": False, "schema": schema} for n in (2, 3))]
    with pytest.raises(StatusError, match="definition of this size"):
        definition.validate(obj, Errors())


@pytest.mark.parametrize("method", ["self.matches(other)", "self.find(other) == ''", "self.findAll(other) == []"])
def test_expressions_pay_for_patterns_and_texts(method: str) -> None:
    names = {"self": "x" * 20_000, "other": "x" * 20_000}
    with pytest.raises(BudgetError, match="cost budget"):
        evaluate(parse(method), names, Budget())
    assert evaluate(parse("self.matches(other)"), {"self": "web-1", "other": "^[a-z0-9-]+$"}, Budget()) is True
