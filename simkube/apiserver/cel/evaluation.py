"""The value of an expression for given names, within a budget of steps.

``&&`` and ``||`` decide as soon as either side does, even when the other has no value. What costs more than a step is
charged for: elements gone through, text looked at or made.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import Any

from simkube.apiserver.cel import library
from simkube.apiserver.cel.errors import EvaluationError
from simkube.apiserver.cel.library import regex
from simkube.apiserver.cel.library.lists import sorted_by
from simkube.apiserver.cel.library.optionals import at_field
from simkube.apiserver.cel.syntax import OF_OPTIONALS, TWO_VARIABLES, Node
from simkube.apiserver.cel.times import Duration, duration, timestamp
from simkube.apiserver.cel.types import Kind, escaped
from simkube.apiserver.cel.values import NONE, AssociativeList, Optional
from simkube.client.client import Obj

MOST_STEPS = 15_000
"""Steps (a microsecond each) that the rules of one object may take in all, and as many the policies for one request."""


OVER = "validation failed due to running out of cost budget, no further validation rules will be run"


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
            raise BudgetError(OVER)


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
        if tree.dotted in names:
            return names[tree.dotted]
        return _field(evaluate(tree.of[0], names, budget), tree.text)
    if kind == "maybe":
        return at_field(evaluate(tree.of[0], names, budget), tree.text)
    if kind == "has":
        return at_field(evaluate(tree.of[0], names, budget), tree.text).there
    if kind == "list":
        return [item for at, one in enumerate(tree.of) for item in _items(one, at in tree.optional, names, budget)]
    if kind == "map":
        return _map(tree, names, budget)
    return _macro(tree, names, budget) if kind == "macro" else _call(tree, names, budget)


def _items(tree: Node, optional: bool, names: dict[str, Any], budget: Budget) -> tuple[Any, ...]:
    """The one element of a literal, or none where it is optional and has no value."""
    found = evaluate(tree, names, budget)
    if not optional:
        return (found,)
    if not isinstance(found, Optional):
        raise EvaluationError("no such overload")
    return found.items


def _map(tree: Node, names: dict[str, Any], budget: Budget) -> dict[Any, Any]:
    made: dict[Any, Any] = {}
    for at, (one, other) in enumerate(zip(tree.of[::2], tree.of[1::2], strict=True)):
        key = evaluate(one, names, budget)
        for item in _items(other, at in tree.optional, names, budget):
            _insert(made, key, item)
    return made


def _insert(made: dict[Any, Any], key: Any, item: Any) -> None:
    if not isinstance(key, (str, int, float, bool)):
        raise EvaluationError(f"unsupported key type: {key}")
    if key in made:
        raise EvaluationError(f"insert failed: key {key} already exists")
    made[key] = item


def _field(target: Any, name: str) -> Any:
    if isinstance(target, Optional):
        return at_field(target, name)
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
    if name in regex.NAMES:
        budget.spend(2 * regex.cost_of(arguments))
    made = library.call(name, arguments)
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
    if tree.text == "bind":
        return evaluate(tree.of[1], {**names, tree.names[0]: over}, budget)
    if tree.text in OF_OPTIONALS:
        return _of_optional(tree, over, names, budget)
    rounds = _rounds(over, names, tree.names)
    if tree.text in TWO_VARIABLES:
        return _transformed(tree, rounds, budget)
    if tree.text in ("all", "exists"):
        return _logic(((tree.of[1], inner) for inner in rounds), budget, decisive=tree.text == "exists")
    if tree.text == "exists_one":
        return sum(_bool(evaluate(tree.of[1], inner, budget)) for inner in rounds) == 1
    if tree.text == "sortBy":
        return sorted_by(list(over), [evaluate(tree.of[1], inner, budget) for inner in rounds])
    test, made = (None, tree.of[1]) if len(tree.of) == 2 else (tree.of[1], tree.of[2])
    if tree.text == "filter":
        return [inner[tree.names[0]] for inner in rounds if _bool(evaluate(tree.of[1], inner, budget))]
    return [evaluate(made, inner, budget) for inner in rounds if test is None or _bool(evaluate(test, inner, budget))]


def _of_optional(tree: Node, over: Any, names: dict[str, Any], budget: Budget) -> Any:
    if not isinstance(over, Optional):
        raise EvaluationError("no such overload")
    if not over.there:
        return NONE
    made = evaluate(tree.of[1], {**names, tree.names[0]: over.items[0]}, budget)
    return Optional((made,)) if tree.text == "optMap" else made


def _transformed(tree: Node, rounds: Iterable[dict[str, Any]], budget: Budget) -> Any:
    """A list or map made of another, by what is behind both variables."""
    test, made = (None, tree.of[1]) if len(tree.of) == 2 else (tree.of[1], tree.of[2])
    kept = [inner for inner in rounds if test is None or _bool(evaluate(test, inner, budget))]
    if tree.text == "transformList":
        return [evaluate(made, inner, budget) for inner in kept]
    found: dict[Any, Any] = {}
    for inner in kept:
        value = evaluate(made, inner, budget)
        if tree.text == "transformMap":
            _insert(found, inner[tree.names[0]], value)
        elif isinstance(value, dict):
            for key, item in value.items():
                _insert(found, key, item)
        else:
            raise EvaluationError("no such overload")
    return found


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
