"""The rules of a definition as it is written: their fields, and whether they make sense where they are.

After ``ValidateCustomResourceDefinitionOpenAPISchema``. It refuses (501) rules that use what is not simulated.
"""

from __future__ import annotations

import re
from typing import Any

from simkube.apimachinery.errors import not_simulated
from simkube.apiserver.cel.syntax import CelError, NotSimulated
from simkube.apiserver.registry.customresources.rules import compile_message, compile_rule
from simkube.apiserver.validation.field import Errors
from simkube.client.client import Obj

_REASONS = ("FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired")
_BREAKS = re.compile(r"[\n\r]")
_STEP = re.compile(r"""\.([a-zA-Z_][a-zA-Z0-9_-]*)|\['((?:[^'\\]|\\.)*)'\]""")


def rule_fields(rule: Obj, schema: Obj, path: str, errors: Errors) -> None:
    """A rule, what it says when it is broken, why and of which field."""
    text, message = str(rule.get("rule") or "").strip(), str(rule.get("message") or "")
    if not text:
        errors.required(f"{path}.rule", "rule is not specified")
    elif message and not message.strip():
        errors.invalid(f"{path}.message", message, "message must be non-empty if specified")
    elif _BREAKS.search(message.strip()):
        errors.invalid(f"{path}.message", message, "message must not contain line breaks")
    elif _BREAKS.search(text) and not message.strip():
        errors.required(f"{path}.message", "message must be specified if rule contains line breaks")
    expression = str(rule.get("messageExpression") or "")
    if expression and not expression.strip():
        errors.required(f"{path}.messageExpression", "messageExpression must be non-empty if specified")
    reason = rule.get("reason")
    if reason is not None and reason not in _REASONS:
        errors.not_supported(f"{path}.reason", reason, _REASONS)
    _field_path(str(rule.get("fieldPath") or ""), schema, f"{path}.fieldPath", errors)


def _field_path(given: str, schema: Obj, path: str, errors: Errors) -> None:
    if not given:
        return
    if not given.strip():
        errors.invalid(path, given, "fieldPath must be non-empty if specified")
    if _BREAKS.search(given):
        errors.invalid(path, given, "fieldPath must not contain line breaks")
    if not _leads_somewhere(given, schema):
        errors.invalid(path, given, "fieldPath must be a valid path")


def _leads_somewhere(given: str, schema: Any) -> bool:
    at = 0
    while at < len(given):
        match = _STEP.match(given, at)
        if match is None or not isinstance(schema, dict):
            return False
        name, additional = match[1] or re.sub(r"\\(.)", r"\1", match[2]), schema.get("additionalProperties")
        known = (schema.get("properties") or {}).get(name)
        schema = known if known is not None else additional if isinstance(additional, dict) else None
        if schema is None:
            return False
        at = match.end()
    return True


def compiled_rule(given: Obj, schema: Obj, path: str, errors: Errors, *, root: bool, uncorrelated: str) -> None:
    """Note what is wrong with the expressions of a rule; ``uncorrelated`` is the part without old values, or ""."""
    try:
        rule = compile_rule({**given, "messageExpression": ""}, schema, root=root)
    except NotSimulated as error:
        raise not_simulated(f"{error.message} ({path})") from None
    except CelError as error:
        errors.invalid(f"{path}.rule", _shown(given), f"compilation failed: {error.shown(given['rule'])}")
        return
    try:
        compile_message(given, schema, root=root)
    except NotSimulated as error:
        raise not_simulated(f"{error.message} ({path})") from None
    except CelError as error:
        text = error.shown(given["messageExpression"])
        errors.invalid(f"{path}.messageExpression", _shown(given), f"messageExpression compilation failed: {text}")
    if rule.transition and uncorrelated:
        detail = f"oldSelf cannot be used on the uncorrelatable portion of the schema within {uncorrelated}"
        errors.invalid(f"{path}.rule", given["rule"], detail)
    elif not rule.transition and given.get("optionalOldSelf") is not None:
        detail = "may not be set if oldSelf is not used in rule"
        errors.invalid(f"{path}.optionalOldSelf", given["optionalOldSelf"], detail)


def _shown(given: Obj) -> Obj:
    """A rule as Go's JSON shows the internal type."""
    names = ("rule", "message", "messageExpression", "reason", "fieldPath", "optionalOldSelf")
    empty: Obj = {"reason": None, "optionalOldSelf": None}
    return {name[0].upper() + name[1:]: given.get(name, empty.get(name, "")) for name in names}
