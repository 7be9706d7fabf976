"""Whether a value fits a schema, in the words of the API server's JSON schema validator.

After ``kube-openapi/pkg/validation/validate`` and ``apiextensions-apiserver/pkg/apiserver/validation``. On an update,
what did not change is not looked at again (ratcheting). It refuses (501) an object that would take absurdly long, so
that no schema and object together can hold up the host.
"""

from __future__ import annotations

import json
from typing import Any

from simkube.apiserver.schema.custom.effort import Effort
from simkube.apiserver.schema.custom.formats import fits_format
from simkube.apiserver.schema.custom.patterns import PatternError, cost, found_in
from simkube.apiserver.validation.field import Errors
from simkube.client.client import Obj

ABSENT: Any = object()
"""No old value to compare with."""
_KINDS = ("integer", "number", "boolean", "string", "object", "array", "null")


def validate(value: Any, schema: Obj, errors: Errors, path: str = "", old: Any = ABSENT) -> None:
    """Note what is wrong with ``value``; ``old`` is what it was before, ABSENT when it is new."""
    _Validator().check(value, schema, path, old, errors)


def kind_of(value: Any) -> str:
    """The JSON type of a value as JSON schema names it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer"
    if isinstance(value, float):
        return "number"
    if isinstance(value, str):
        return "string"
    return "object" if isinstance(value, dict) else "array"


def correlated(old: Any, items: list[Any], schema: Obj) -> list[Any]:
    """For each element of a list what it was before: by its keys in a map list, ABSENT elsewhere."""
    keys = schema.get("x-kubernetes-list-map-keys")
    if schema.get("x-kubernetes-list-type") != "map" or not keys or not isinstance(old, list):
        return [ABSENT] * len(items)
    known = {key_of(item, keys): item for item in old}
    return [known.get(key_of(item, keys), ABSENT) for item in items]


def key_of(item: Any, keys: list[str]) -> str:
    """What tells an element of a map list apart."""
    given = item if isinstance(item, dict) else {}
    return json.dumps([given.get(key) for key in keys])


class _Validator:
    def __init__(self) -> None:
        self._effort = Effort()

    def check(self, value: Any, schema: Obj, path: str, old: Any, errors: Errors) -> None:
        self._effort.spend()
        if old is not ABSENT and old == value and kind_of(old) == kind_of(value):
            return
        if value is None:
            self._null(schema, path, errors)
            return
        self._type(value, schema, path, errors)
        self._combinations(value, schema, path, errors)
        if isinstance(value, str):
            if "pattern" in schema:
                self._effort.spend(cost(schema["pattern"], value))
            _string(value, schema, path, errors)
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            _number(value, schema, path, errors)
        elif isinstance(value, list):
            self._list(value, schema, path, old, errors)
        self._enumeration(value, schema, path, errors)
        if isinstance(value, dict):
            self._map(value, schema, path, old, errors)

    def _null(self, schema: Obj, path: str, errors: Errors) -> None:
        wanted = schema.get("type")
        if wanted and not schema.get("nullable"):
            errors.type_invalid(path or NIL, "null", f'{path} in body must be of type {wanted}: "null"')
        elif "enum" in schema and not schema.get("nullable"):
            self._enumeration(None, schema, path, errors)

    def _type(self, value: Any, schema: Obj, path: str, errors: Errors) -> None:
        found = kind_of(value)
        if schema.get("x-kubernetes-int-or-string"):
            if found not in ("integer", "string"):
                wanted = "integer,string"
                errors.type_invalid(path or NIL, found, f'{path} in body must be of type {wanted}: "{found}"')
            return
        wanted = str(schema.get("type") or "")
        if not wanted or wanted == found or (wanted == "number" and found == "integer"):
            return
        if wanted == "integer" and found == "number" and float(value).is_integer():
            return
        errors.type_invalid(path or NIL, found, f'{path} in body must be of type {wanted}: "{found}"')

    def _combinations(self, value: Any, schema: Obj, path: str, errors: Errors) -> None:
        if schema.get("anyOf"):
            tried = self._each(value, schema["anyOf"], path)
            if all(tried):
                errors.invalid(NIL, "", f'"{path}" must validate at least one schema (anyOf)')
                errors.found.extend(min(tried, key=lambda one: len(one.found)).found)
        if schema.get("oneOf"):
            tried = self._each(value, schema["oneOf"], path)
            fits = sum(not one for one in tried)
            if fits != 1:
                more = f"Found {fits} valid alternatives" if fits else "Found none valid"
                errors.invalid(NIL, "", f'"{path}" must validate one and only one schema (oneOf). {more}')
                if not fits:
                    errors.found.extend(min(tried, key=lambda one: len(one.found)).found)
        if schema.get("allOf"):
            tried = self._each(value, schema["allOf"], path)
            if any(tried):
                none = ". None validated" if all(tried) else ""
                errors.invalid(NIL, "", f'"{path}" must validate all the schemas (allOf){none}')
                for one in tried:
                    errors.found.extend(one.found)
        if "not" in schema and not self._each(value, [schema["not"]], path)[0]:
            errors.invalid(NIL, "", f'"{path}" must not validate the schema (not)')

    def _each(self, value: Any, schemas: list[Obj], path: str) -> list[Errors]:
        tried = []
        for schema in schemas:
            found = Errors()
            self.check(value, schema, path, ABSENT, found)
            tried.append(found)
        return tried

    def _enumeration(self, value: Any, schema: Obj, path: str, errors: Errors) -> None:
        values = schema.get("enum")
        if not values:
            return
        self._effort.spend(len(values) // 8)
        if not any(value == one and kind_of(value) == kind_of(one) for one in values):
            errors.not_supported(
                path or NIL, value, [one if isinstance(one, str) else json.dumps(one) for one in values]
            )

    def _list(self, value: list[Any], schema: Obj, path: str, old: Any, errors: Errors) -> None:
        items = schema.get("items")
        if isinstance(items, dict):
            for index, (item, before) in enumerate(zip(value, correlated(old, value, schema), strict=True)):
                self.check(item, items, f"{path}[{index}]", before, errors)
        least, most = schema.get("minItems"), schema.get("maxItems")
        if least is not None and len(value) < least:
            errors.invalid(path or NIL, len(value), f"{path} in body should have at least {least} items")
        if most is not None and len(value) > most:
            errors.too_many(path or NIL, len(value), most)

    def _map(self, value: Obj, schema: Obj, path: str, old: Any, errors: Errors) -> None:
        least, most = schema.get("minProperties"), schema.get("maxProperties")
        if least is not None and len(value) < least:
            errors.invalid(path or NIL, least, f"{path} in body should have at least {least} properties")
        if most is not None and len(value) > most:
            errors.too_many(path or NIL, len(value), most)
        before = old if isinstance(old, dict) else {}
        properties, additional = schema.get("properties") or {}, schema.get("additionalProperties")
        for key, item in value.items():
            below = properties.get(key, additional)
            where = f"{path}.{key}" if path else key
            if isinstance(below, dict):
                self.check(item, below, where, before.get(key, ABSENT), errors)
            elif below is False:
                errors.invalid(path or NIL, "", f"{where} in body is a forbidden property")
        self._effort.spend(len(schema.get("required") or ()) // 4)
        for key in schema.get("required") or ():
            if key not in value:
                errors.required(f"{path}.{key}" if path else key)


NIL = "<nil>"
"""The path of an error of the whole object, as Go writes it."""


def _string(value: str, schema: Obj, path: str, errors: Errors) -> None:
    least, most, pattern = schema.get("minLength"), schema.get("maxLength"), schema.get("pattern")
    if most is not None and len(value) > most:
        errors.too_long(path or NIL, f"may not be more than {most} bytes")
    if least is not None and len(value) < least:
        errors.invalid(path or NIL, value, f"{path} in body should be at least {least} chars long")
    try:
        if pattern and not found_in(pattern, value):
            errors.invalid(path or NIL, value, f"{path} in body should match '{pattern}'")
    except PatternError as error:
        errors.invalid(path or NIL, value, f"{path} in body should match '{pattern}', which is no pattern: {error}")
    if not fits_format(schema.get("format", ""), value):
        errors.type_invalid(
            path or NIL, value, f"{path} in body must be of type {schema['format']}: {json.dumps(value)}"
        )


def _number(value: float, schema: Obj, path: str, errors: Errors) -> None:
    factor, most, least = schema.get("multipleOf"), schema.get("maximum"), schema.get("minimum")
    if factor and not _is_multiple(value, factor):
        errors.invalid(path or NIL, value, f"{path} in body should be a multiple of {_go(factor)}")
    if most is not None:
        without = bool(schema.get("exclusiveMaximum"))
        if value > most or (without and value == most):
            bound = "less than" if without else "less than or equal to"
            errors.invalid(path or NIL, value, f"{path} in body should be {bound} {_go(most)}")
    if least is not None:
        without = bool(schema.get("exclusiveMinimum"))
        if value < least or (without and value == least):
            bound = "greater than" if without else "greater than or equal to"
            errors.invalid(path or NIL, value, f"{path} in body should be {bound} {_go(least)}")


def _is_multiple(value: float, factor: float) -> bool:
    if isinstance(value, int) and isinstance(factor, int):
        return value % factor == 0
    return (value / factor).is_integer()


def _go(number: float) -> str:
    return str(int(number)) if float(number).is_integer() and abs(number) < 1e21 else repr(number)


def blocking(errors: Errors) -> bool:
    """Whether rules cannot be evaluated because the shape of the object is wrong already."""
    reasons = ("FieldValueNotSupported", "FieldValueRequired", "FieldValueTooLong", "FieldValueTooMany")
    return any(reason in (*reasons, "FieldValueTypeInvalid") for reason, _, _ in errors.found)


def lists(value: Any, schema: Obj, path: str, errors: Errors) -> None:
    """Elements of sets and of map lists must be distinct (``schema/listtype``)."""
    if isinstance(value, dict):
        properties, additional = schema.get("properties") or {}, schema.get("additionalProperties")
        for key, item in value.items():
            below = properties.get(key, additional)
            if isinstance(below, dict) and isinstance(item, (dict, list)):
                lists(item, below, f"{path}.{key}" if path else key, errors)
    elif isinstance(value, list):
        _distinct(value, schema, path, errors)
        items = schema.get("items")
        if isinstance(items, dict):
            for index, item in enumerate(value):
                lists(item, items, f"{path}[{index}]", errors)


def _distinct(value: list[Any], schema: Obj, path: str, errors: Errors) -> None:
    kind, keys = schema.get("x-kubernetes-list-type"), schema.get("x-kubernetes-list-map-keys") or []
    if kind not in ("set", "map"):
        return
    seen: set[str] = set()
    for index, item in enumerate(value):
        shown = item
        if kind == "map":
            if not isinstance(item, dict):
                continue
            defaults = (schema.get("items") or {}).get("properties") or {}
            shown = {key: item.get(key, defaults.get(key, {}).get("default")) for key in keys}
            shown = {key: given for key, given in shown.items() if given is not None}
        text = json.dumps(shown, sort_keys=True)
        if text in seen:
            errors.duplicate(f"{path}[{index}]", shown)
        seen.add(text)
