"""``x-kubernetes-validations``: rules of a schema, compiled when it is first needed and evaluated on every write.

After ``apiextensions-apiserver/pkg/apiserver/schema/cel/validation.go``. Rules that name ``oldSelf`` are evaluated
only where there is an old value. On an update, a rule about what did not change is left alone (ratcheting).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from simkube.apimachinery.errors import not_simulated
from simkube.apiserver.cel import types as t
from simkube.apiserver.cel.checking import check
from simkube.apiserver.cel.evaluation import OVER, Budget, BudgetError, EvaluationError, evaluate, value_of
from simkube.apiserver.cel.syntax import CelError, Node, NotSimulated, parse
from simkube.apiserver.cel.types import Kind, Types
from simkube.apiserver.cel.values import NONE, Optional
from simkube.apiserver.schema.custom.values import ABSENT, NIL, blocking, correlated
from simkube.apiserver.validation.field import INVALID, Errors, shown
from simkube.client.client import Obj

RULES = "x-kubernetes-validations"
_BLOCKED = (
    "Invalid value: null: some validation rules were not checked because the object was invalid; correct the existing "
    "errors to complete validation"
)


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: its tree, the tree of its message (None), and whether it looks at the old value."""

    given: Obj
    tree: Node
    message: Node | None
    transition: bool


@dataclass(slots=True)
class _Place:
    """The rules at one schema, and the schemas below it that have some."""

    schema: Obj
    rules: list[Rule]
    properties: dict[str, _Place]
    each: _Place | None


def compile_rule(given: Obj, schema: Obj, *, root: bool) -> Rule:
    """A rule ready to be evaluated; :class:`CelError` when it makes no sense there."""
    types = Types()
    tree = parse(given["rule"])
    transition = "oldSelf" in set(_names(tree))
    found = check(tree, _kinds(given, types.of(schema, resource=root)), types)
    if found not in (t.BOOL, t.DYN):
        raise CelError("cel expression must evaluate to a bool", 0)
    return Rule(given, tree, compile_message(given, schema, root=root), transition)


def _kinds(given: Obj, kind: Kind) -> dict[str, Kind]:
    """The types of what a rule may name; an old value that may be missing is optional."""
    return {"self": kind, "oldSelf": t.optional_of(kind) if given.get("optionalOldSelf") else kind}


def compile_message(given: Obj, schema: Obj, *, root: bool) -> Node | None:
    """What a rule says when it is broken, where that is an expression; :class:`CelError` when it makes no sense."""
    if not given.get("messageExpression"):
        return None
    types = Types()
    tree = parse(given["messageExpression"])
    if check(tree, _kinds(given, types.of(schema, resource=root)), types) not in (t.STRING, t.DYN):
        raise CelError("messageExpression must evaluate to a string", 0)
    return tree


def _names(tree: Node) -> Iterator[str]:
    if tree.kind == "name":
        yield tree.text
    for one in tree.of:
        yield from _names(one)


class Rules:
    """The rules of a whole schema."""

    def __init__(self, schema: Obj) -> None:
        self._root = _place(schema, root=True)

    def check(self, obj: Obj, old: Any, errors: Errors) -> None:
        """Note what rules are broken; ``old`` is ABSENT for a new object."""
        if self._root is None:
            return
        if blocking(errors):
            errors.because(INVALID, NIL, _BLOCKED)
            return
        try:
            self._at(self._root, obj, old, "", errors, Budget(), root=True)
        except BudgetError:
            errors.because(INVALID, NIL, f"Invalid value: null: {OVER}")

    def _at(
        self, place: _Place, value: Any, old: Any, path: str, errors: Errors, budget: Budget, root: bool = False
    ) -> None:
        if value is None or (not root and old is not ABSENT and old == value):
            return
        if place.rules:
            self._evaluate(place, value, old, path, errors, budget, root)
        if isinstance(value, dict):
            before = old if isinstance(old, dict) else {}
            for key, item in value.items():
                below = place.properties.get(key) or (place.each if key not in place.properties else None)
                if below is not None:
                    self._at(below, item, before.get(key, ABSENT), f"{path}.{key}" if path else key, errors, budget)
        elif isinstance(value, list) and place.each is not None:
            for index, (item, before) in enumerate(zip(value, correlated(old, value, place.schema), strict=True)):
                self._at(place.each, item, before, f"{path}[{index}]", errors, budget)

    def _evaluate(
        self, place: _Place, value: Any, old: Any, path: str, errors: Errors, budget: Budget, root: bool
    ) -> None:
        try:
            names = {"self": value_of(value, place.schema, budget, resource=root)}
            if old is not ABSENT and old is not None:
                names["oldSelf"] = value_of(old, place.schema, budget, resource=root)
        except EvaluationError as error:
            errors.because(INVALID, path or NIL, f"Invalid value: {error}")
            return
        for rule in place.rules:
            given = names
            if rule.given.get("optionalOldSelf"):
                given = {**names, "oldSelf": Optional((names["oldSelf"],)) if "oldSelf" in names else NONE}
            elif rule.transition and "oldSelf" not in names:
                continue
            problem = _broken(rule, given, budget)
            if problem is not None:
                at = f"{path}{rule.given.get('fieldPath', '')}".removeprefix(".")
                _note(rule, at, value, problem, errors)


def _place(schema: Any, *, root: bool = False) -> _Place | None:
    if not isinstance(schema, dict):
        return None
    rules = [compile_rule(given, schema, root=root) for given in schema.get(RULES) or ()]
    found = ((key, _place(below)) for key, below in (schema.get("properties") or {}).items())
    properties = {key: below for key, below in found if below is not None}
    each = _place(schema.get("items")) or _place(schema.get("additionalProperties"))
    if not rules and not properties and each is None:
        return None
    return _Place(schema, rules, properties, each)


def _broken(rule: Rule, names: dict[str, Any], budget: Budget) -> str | None:
    """What to say of a rule that does not hold; None when it does."""
    said = str(rule.given.get("message") or "").strip()
    usual = said or f"failed rule: {' '.join(rule.given['rule'].split())}"
    try:
        if evaluate(rule.tree, names, budget) is True:
            return None
    except EvaluationError as error:
        if str(error) == "no such overload":
            why = "call arguments did not match a supported operator, function or macro signature for rule"
            return f"'{error}': {why}: {said or rule.given['rule']}"
        return f"{error} evaluating rule: {said or rule.given['rule']}"
    if rule.message is None:
        return usual
    try:
        made = evaluate(rule.message, names, budget)
    except EvaluationError:
        return usual
    fine = isinstance(made, str) and made.strip() and "\n" not in made.strip() and len(made) <= 5 * 1024
    return made.strip() if fine else usual


_PREFIX = {
    "FieldValueInvalid": "Invalid value",
    "FieldValueForbidden": "Forbidden",
    "FieldValueRequired": "Required value",
    "FieldValueDuplicate": "Duplicate value",
}


def _note(rule: Rule, path: str, value: Any, problem: str, errors: Errors) -> None:
    reason = rule.given.get("reason") or "FieldValueInvalid"
    prefix = _PREFIX.get(reason, "Invalid value")
    if reason in ("FieldValueInvalid", "FieldValueDuplicate") and not isinstance(value, (dict, list)):
        prefix += f": {shown(value)}"
    errors.because(reason, path or NIL, f"{prefix}: {problem}")


def refuse(error: NotSimulated) -> Exception:
    """501 for a rule that uses what is not here."""
    return not_simulated(error.message)
