"""The value of an expression for given names, within a budget of steps.

``&&`` and ``||`` decide as soon as either side does, even when the other has no value. What costs more than a step is
charged for: elements gone through, text looked at or made.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import Any

from simkube.apiserver.cel.functions import FUNCTIONS, AssociativeList, EvaluationError
from simkube.apiserver.cel.syntax import Node
from simkube.apiserver.cel.times import Duration, duration, timestamp
from simkube.apiserver.cel.types import Kind, escaped
from simkube.client.client import Obj

MOST_STEPS = 100_000
"""Steps that the rules of one object may take in all."""


class BudgetError(Exception):
    """The rules take too long."""


class Budget:
    """Steps that are left."""

    def __init__(self, steps: int = MOST_STEPS) -> None:
        self.left = steps

    def spend(self, steps: int = 1) -> None:
        """Use some; :class:`BudgetError` when there are none left."""
        self.left -= steps
        if self.left < 0:
            raise BudgetError


class Missing(EvaluationError):
    """A field or key that is not there."""


def evaluate(tree: Node, names: dict[str, Any], budget: Budget) -> Any:
    """The value; :class:`EvaluationError` when it has none."""
    budget.spend()
    kind = tree.kind
    if kind == "literal":
        return tree.value
    if kind == "name":
        return names[tree.text] if tree.text in names else Kind(tree.text)
    if kind == "select":
        return _field(evaluate(tree.of[0], names, budget), tree.text)
    if kind == "has":
        return tree.text in evaluate(tree.of[0], names, budget)
    if kind == "list":
        return [evaluate(one, names, budget) for one in tree.of]
    if kind == "map":
        given = [evaluate(one, names, budget) for one in tree.of]
        return dict(zip(given[::2], given[1::2], strict=True))
    return _macro(tree, names, budget) if kind == "macro" else _call(tree, names, budget)


def _field(target: Any, name: str) -> Any:
    if not isinstance(target, dict):
        raise EvaluationError("no such overload")
    if name not in target:
        raise Missing(f"no such key: {name}")
    return target[name]


def _call(tree: Node, names: dict[str, Any], budget: Budget) -> Any:
    name, of = tree.text, tree.of
    if name in ("_&&_", "_||_"):
        return _logic(((one, names) for one in of), budget, decisive=name == "_||_")
    if name == "!_":
        return not _bool(evaluate(of[0], names, budget))
    if name == "_?_:_":
        return evaluate(of[1] if _bool(evaluate(of[0], names, budget)) else of[2], names, budget)
    arguments = [evaluate(one, names, budget) for one in of]
    budget.spend(sum(_weight(one) for one in arguments))
    try:
        made = FUNCTIONS[name](*arguments)
    except (TypeError, AttributeError):
        raise EvaluationError("no such overload") from None
    budget.spend(_weight(made))
    return made


def _weight(value: Any) -> int:
    if isinstance(value, (str, bytes)):
        return len(value) // 50
    return len(value) // 5 if isinstance(value, (list, dict)) else 0


def _bool(value: Any) -> bool:
    if not isinstance(value, bool):
        raise EvaluationError("no such overload")
    return value


def _logic(asked: Iterable[tuple[Node, dict[str, Any]]], budget: Budget, *, decisive: bool) -> bool:
    """Whether one of the answers is decisive; an error counts only if none is, as in CEL."""
    failure: EvaluationError | None = None
    for one, names in asked:
        try:
            if _bool(evaluate(one, names, budget)) == decisive:
                return decisive
        except EvaluationError as error:
            failure = failure or error
    if failure is not None:
        raise failure
    return not decisive


def _macro(tree: Node, names: dict[str, Any], budget: Budget) -> Any:
    over = evaluate(tree.of[0], names, budget)
    rounds = _rounds(over, names, tree.names)
    if tree.text in ("all", "exists"):
        return _logic(((tree.of[1], inner) for inner in rounds), budget, decisive=tree.text == "exists")
    if tree.text == "exists_one":
        return sum(_bool(evaluate(tree.of[1], inner, budget)) for inner in rounds) == 1
    test, made = (None, tree.of[1]) if len(tree.of) == 2 else (tree.of[1], tree.of[2])
    if tree.text == "filter":
        return [inner[tree.names[0]] for inner in rounds if _bool(evaluate(tree.of[1], inner, budget))]
    return [evaluate(made, inner, budget) for inner in rounds if test is None or _bool(evaluate(test, inner, budget))]


def _rounds(over: Any, names: dict[str, Any], variables: tuple[str, ...]) -> Iterable[dict[str, Any]]:
    if not isinstance(over, (list, dict)):
        raise EvaluationError("no such overload")
    for at, item in enumerate(over):
        if len(variables) == 1:
            yield {**names, variables[0]: item}
        else:
            first, second = (item, over[item]) if isinstance(over, dict) else (at, item)
            yield {**names, variables[0]: first, variables[1]: second}


def value_of(value: Any, schema: Any, budget: Budget, *, resource: bool = False) -> Any:
    """A JSON value as expressions see it through its schema."""
    budget.spend()
    if not isinstance(schema, dict) or value is None:
        return value
    if isinstance(value, dict):
        return _object(value, schema, budget, resource or bool(schema.get("x-kubernetes-embedded-resource")))
    if isinstance(value, list):
        items = [value_of(item, schema.get("items"), budget) for item in value]
        kind = schema.get("x-kubernetes-list-type")
        keys = tuple(schema.get("x-kubernetes-list-map-keys") or ())
        return AssociativeList(items, tuple(escaped(key) or key for key in keys)) if kind in ("set", "map") else items
    if schema.get("type") == "number" and isinstance(value, int):
        return float(value)
    if schema.get("type") == "integer" and isinstance(value, float):
        return int(value)
    return (
        _text(value, schema.get("format", "")) if isinstance(value, str) and schema.get("type") == "string" else value
    )


def _object(value: Obj, schema: Obj, budget: Budget, resource: bool) -> Obj:
    properties, additional = schema.get("properties") or {}, schema.get("additionalProperties")
    made: Obj = {}
    for key, item in value.items():
        if key in properties:
            name = escaped(key)
            if name is not None and (item is not None or properties[key].get("nullable")):
                made[name] = value_of(item, properties[key], budget)
        elif additional:
            made[key] = value_of(item, additional, budget)
        elif resource and key in ("apiVersion", "kind"):
            made[key] = item
        elif resource and key == "metadata" and isinstance(item, dict):
            made[key] = {name: item[name] for name in ("name", "generateName") if name in item}
        elif not schema.get("type"):
            made[key] = item
    if resource and "metadata" in properties and isinstance(value.get("metadata"), dict):
        made["metadata"] = {n: value["metadata"][n] for n in ("name", "generateName") if n in value["metadata"]}
    return made


def _text(value: str, format: str) -> Any:
    if format in ("date-time", "datetime"):
        return timestamp(value)
    if format == "date":
        return timestamp(f"{value}T00:00:00Z")
    if format == "duration":
        return duration(value)
    if format == "byte":
        return base64.b64decode(value)
    return value


__all__ = ["Budget", "BudgetError", "Duration", "EvaluationError", "Missing", "evaluate", "value_of"]
