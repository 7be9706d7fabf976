"""When a job fails early and when it succeeds early (``validatePodFailurePolicy``, ``validateSuccessPolicy``)."""

from __future__ import annotations

from simkube.apiserver.registry.batch.validate_indexes import IndexesError, count_indexes
from simkube.apiserver.validation.field import Errors
from simkube.apiserver.validation.metadata import qualified_name
from simkube.apiserver.validation.numbers import not_negative
from simkube.client.client import Obj

_ACTIONS = ("Count", "FailIndex", "FailJob", "Ignore")
_STATUSES = ("False", "True", "Unknown")
_MOST_RULES = 20
_MOST_VALUES = 255
_LONGEST = 64 * 1024


def _valid(values: tuple[str, ...]) -> str:
    return "valid values: [" + " ".join(f'"{each}"' for each in values) + "]"


def failure_policy(spec: Obj, path: str, errors: Errors) -> None:
    """Each rule: an action, and exit codes or conditions."""
    rules = spec["podFailurePolicy"].get("rules", ())
    if len(rules) > _MOST_RULES:
        errors.too_many(f"{path}.rules", len(rules), _MOST_RULES)
    body = spec["template"]["spec"]
    names = {each.get("name") for key in ("containers", "initContainers") for each in body.get(key, ())}
    for index, rule in enumerate(rules):
        where = f"{path}.rules[{index}]"
        action = rule.get("action", "")
        if not action:
            errors.required(f"{where}.action", _valid(_ACTIONS))
        elif action == "FailIndex" and spec.get("backoffLimitPerIndex") is None:
            errors.invalid(f"{where}.action", action, "requires the backoffLimitPerIndex to be set")
        elif action not in _ACTIONS:
            errors.not_supported(f"{where}.action", action, _ACTIONS)
        codes, conditions = rule.get("onExitCodes"), rule.get("onPodConditions", ())
        if codes is not None:
            _exit_codes(codes, f"{where}.onExitCodes", names, errors)
        _conditions(conditions, f"{where}.onPodConditions", errors)
        if codes is not None and conditions:
            errors.refused(where, "specifying both OnExitCodes and OnPodConditions is not supported")
        if codes is None and not conditions:
            errors.refused(where, "specifying one of OnExitCodes and OnPodConditions is required")


def _exit_codes(codes: Obj, path: str, names: set[str | None], errors: Errors) -> None:
    operator = codes.get("operator", "")
    if not operator:
        errors.required(f"{path}.operator", _valid(("In", "NotIn")))
    elif operator not in ("In", "NotIn"):
        errors.not_supported(f"{path}.operator", operator, ("In", "NotIn"))
    name = codes.get("containerName")
    if name is not None and name not in names:
        detail = "must be one of the container or initContainer names in the pod template"
        errors.invalid(f"{path}.containerName", name, detail)
    values = codes.get("values") or []
    if not values:
        errors.invalid(f"{path}.values", values, "at least one value is required")
    elif len(values) > _MOST_VALUES:
        errors.too_many(f"{path}.values", len(values), _MOST_VALUES)
    seen: set[int] = set()
    for index, value in enumerate(values):
        if operator == "In" and value == 0:
            errors.invalid(f"{path}.values[{index}]", value, "must not be 0 for the In operator")
        if value in seen:
            errors.duplicate(f"{path}.values[{index}]", value)
        seen.add(value)
    if values != sorted(values):
        errors.invalid(f"{path}.values", values, "must be ordered")


def _conditions(conditions: list[Obj], path: str, errors: Errors) -> None:
    if len(conditions) > _MOST_RULES:
        errors.too_many(path, len(conditions), _MOST_RULES)
    for index, pattern in enumerate(conditions):
        for problem in qualified_name(pattern.get("type", "")):
            errors.invalid(f"{path}[{index}].type", pattern.get("type", ""), problem)
        status = pattern.get("status", "")
        if not status:
            errors.required(f"{path}[{index}].status", _valid(_STATUSES))
        elif status not in _STATUSES:
            errors.not_supported(f"{path}[{index}].status", status, _STATUSES)


def success_policy(spec: Obj, path: str, errors: Errors) -> None:
    """Of indexed jobs alone; each rule names indexes, a count, or both."""
    policy = spec["successPolicy"]
    if spec.get("completionMode") != "Indexed":
        errors.invalid(path, policy, "requires indexed completion mode")
        return
    rules = policy.get("rules", ())
    if not rules:
        errors.required(f"{path}.rules", "at least one rules must be specified when the successPolicy is specified")
    if len(rules) > _MOST_RULES:
        errors.too_many(f"{path}.rules", len(rules), _MOST_RULES)
    for index, rule in enumerate(rules):
        _success_rule(rule, spec.get("completions") or 0, f"{path}.rules[{index}]", errors)


def _success_rule(rule: Obj, completions: int, path: str, errors: Errors) -> None:
    count, indexes = rule.get("succeededCount"), rule.get("succeededIndexes")
    if count is None and indexes is None:
        errors.required(path, "at least one of succeededCount or succeededIndexes must be specified")
    total = 0
    if indexes is not None:
        if len(indexes) > _LONGEST:
            errors.too_long(f"{path}.succeededIndexes", f"may not be more than {_LONGEST} bytes")
        try:
            total = count_indexes(indexes, completions)
        except IndexesError as error:
            errors.invalid(f"{path}.succeededIndexes", indexes, f"error parsing succeededIndexes: {error}")
    if count is None:
        return
    where, most = f"{path}.succeededCount", "must be less than or equal to"
    not_negative(count, where, errors)
    if count > completions:
        errors.invalid(where, count, f"{most} {completions} (the number of specified completions)")
    if indexes is not None and count > total:
        errors.invalid(where, count, f"{most} {total} (the number of indexes in the specified succeededIndexes field)")
