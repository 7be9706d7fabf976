"""Whether a schema is one that a definition may have: structural, bounded, and consistent in itself.

After ``apiextensions-apiserver/pkg/apis/apiextensions/validation`` and ``pkg/apiserver/schema/validation.go``. Beyond
those it refuses schemas that are too deep or too large (422), and rules that use what is not simulated (501).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from simkube.apiserver.registry.apiextensions.completeness import complete
from simkube.apiserver.registry.apiextensions.list_types import list_type, must_be
from simkube.apiserver.registry.apiextensions.rule_fields import compiled_rule, rule_fields
from simkube.apiserver.registry.customresources.rules import RULES
from simkube.apiserver.schema import strict
from simkube.apiserver.schema.canonical import of_type
from simkube.apiserver.schema.custom import values
from simkube.apiserver.schema.custom.effort import Effort
from simkube.apiserver.schema.custom.patterns import PatternError, compiled, cost
from simkube.apiserver.schema.custom.pruning import EMBEDDED, PRESERVE, prune
from simkube.apiserver.schema.schema import Type, definitions
from simkube.apiserver.validation.field import INVALID, Errors
from simkube.client.client import Obj

_PROPS = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps"
MOST_DEPTH = 50
MOST_SCHEMAS = 10_000
MOST_STEPS = 30_000
"""What all versions of a definition may cost: their schemas, patterns and rules."""
SCHEMA_STEPS = 2
_FORBIDDEN = ("$ref", "id", "additionalItems", "patternProperties", "definitions", "dependencies")
_NESTED_FORBIDDEN = (
    ("type", "must be empty to be structural"),
    ("additionalProperties", "must be undefined to be structural"),
    ("default", "must be undefined to be structural"),
    ("title", "must be empty to be structural"),
    ("description", "must be empty to be structural"),
    ("nullable", "must be false to be structural"),
    ("externalDocs", "must be undefined to be structural"),
    (PRESERVE, "must be false to be structural"),
    (EMBEDDED, "must be false to be structural"),
    ("x-kubernetes-int-or-string", "must be false to be structural"),
    ("x-kubernetes-list-map-keys", "must be empty to be structural"),
    ("x-kubernetes-list-type", "must be undefined to be structural"),
    ("x-kubernetes-map-type", "must be undefined to be structural"),
    (RULES, "must be empty to be structural"),
)
_TYPES = frozenset({"object", "array", "string", "integer", "number", "boolean"})
_SCALARS = frozenset({"string", "integer", "number", "boolean"})
_INT_OR_STRING = [{"type": "integer"}, {"type": "string"}]
_INT = "x-kubernetes-int-or-string"


def decode(schema: Obj) -> None:
    """Read the schemas below ``items`` and ``additionalProperties`` as the others are; changes ``schema`` in place.

    Their OpenAPI definitions say nothing of what they hold. What is of a wrong type stays, for :func:`check` to tell.
    """
    for name in ("items", "additionalProperties"):
        below = schema.get(name)
        if isinstance(below, dict):
            checked = strict.check_type(below, _props())
            schema[name] = below if checked.error else of_type(checked.obj, _props())
    for below in _below(schema):
        decode(below)


def _below(schema: Obj) -> Iterator[Obj]:
    properties = schema.get("properties")
    several = (schema.get(name) for name in ("allOf", "anyOf", "oneOf"))
    found = [schema.get(name) for name in ("items", "additionalProperties", "not")]
    found += list(properties.values()) if isinstance(properties, dict) else []
    found += [one for some in several if isinstance(some, list) for one in some]
    return (one for one in found if isinstance(one, dict))


@cache
def _props() -> Type:
    found = definitions().named(_PROPS)
    if found is None:
        raise RuntimeError(f"kubernetes-validate has no {_PROPS}; install the version that pyproject.toml asks for")
    return found


def check(schema: Obj, path: str, errors: Errors, effort: Effort) -> None:
    """Note what is wrong with the schema at the root of a version; ``effort`` is for all versions together."""
    _Checker(errors, effort).root(schema, path)


class _Checker:
    def __init__(self, errors: Errors, effort: Effort) -> None:
        self._errors = errors
        self._effort = effort
        self._seen = 0

    def root(self, schema: Obj, path: str) -> None:
        self._schema(schema, path, "root", 0, "")
        complete(schema, path, self._errors)
        metadata = (schema.get("properties") or {}).get("metadata")
        if isinstance(metadata, dict):
            named = set(metadata.get("properties") or ()) <= {"name", "generateName"}
            if not named or set(metadata) - {"type", "properties", "description"}:
                detail = (
                    "must not specify anything other than name and generateName, but metadata is implicitly specified"
                )
                self._errors.forbidden(f"{path}.properties[metadata]", detail)

    def _enter(self, path: str, depth: int) -> bool:
        self._seen += 1
        self._effort.spend(SCHEMA_STEPS)
        if self._seen == MOST_SCHEMAS:
            self._errors.forbidden(path, f"a definition may have {MOST_SCHEMAS} schemas here, not more")
        if depth > MOST_DEPTH:
            self._errors.forbidden(path, f"schemas may be nested {MOST_DEPTH} deep here, not deeper")
        return self._seen < MOST_SCHEMAS and depth <= MOST_DEPTH

    def _schema(self, schema: Any, path: str, level: str, depth: int, uncorrelated: str) -> None:
        """One schema of the structure. ``uncorrelated`` is the list whose elements have no old value, "" for none."""
        if not isinstance(schema, dict) or not self._enter(path, depth) or self._misshapen(schema, path, level):
            return
        self._standard(schema, path)
        self._type(schema, path, level)
        self._extensions(schema, path)
        if level == "root" or schema.get(EMBEDDED):
            self._head(schema.get("properties") or {}, path)
        list_type(schema, path, self._errors)
        self._combined(schema, path, depth)
        for key, below in sorted((schema.get("properties") or {}).items()):
            self._schema(below, f"{path}.properties[{key}]", "field", depth + 1, uncorrelated)
        items = schema.get("items")
        inner = uncorrelated or ("" if schema.get("x-kubernetes-list-type") == "map" else f"{path}.items")
        self._schema(items, f"{path}.items", "item", depth + 1, inner)
        self._additional(schema, path, level, depth, uncorrelated)
        self._default(schema, path, level)
        self._rules(schema, path, level == "root", uncorrelated)

    def _misshapen(self, schema: Obj, path: str, level: str) -> bool:
        """Whether it is no schema at all. What is a property has been read with the schema around it."""
        raw = level == "item" or path.endswith((".items", ".additionalProperties"))
        problem = strict.check_type(schema, _props()).error if raw else ""
        for name, fine in (("items", (dict, list)), ("additionalProperties", (dict, bool))):
            if not problem and name in schema and not isinstance(schema[name], fine):
                problem = f"json: cannot unmarshal into Go struct field JSONSchemaProps.{name}"
        if problem:
            self._errors.because(INVALID, path, f"Invalid value: {problem}")
        return bool(problem)

    def _standard(self, schema: Obj, path: str) -> None:
        for name in _FORBIDDEN:
            if schema.get(name):
                self._errors.forbidden(f"{path}.{name}", f"{name} is not supported")
        if schema.get("uniqueItems"):
            detail = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"
            self._errors.forbidden(f"{path}.uniqueItems", detail)
        if isinstance(schema.get("items"), list):
            self._errors.forbidden(f"{path}.items", "items must be a schema object and not an array")
        pattern = schema.get("pattern")
        if pattern:
            self._effort.spend(cost(pattern))
            try:
                compiled(pattern)
            except PatternError as error:
                detail = f"must be a valid regular expression, but isn't: error parsing regexp: {error}"
                self._errors.invalid(f"{path}.pattern", pattern, detail)

    def _type(self, schema: Obj, path: str, level: str) -> None:
        errors, kind = self._errors, schema.get("type")
        if kind == "null":
            errors.forbidden(f"{path}.type", "type cannot be set to null, use nullable as an alternative")
        elif kind and kind not in _TYPES:
            errors.not_supported(f"{path}.type", kind, sorted(_TYPES))
        if schema.get(EMBEDDED) and kind != "object":
            detail = "must be object if x-kubernetes-embedded-resource is true"
            if kind:
                errors.invalid(f"{path}.type", kind, detail)
            else:
                errors.required(f"{path}.type", detail)
        elif not kind and not schema.get(_INT) and not schema.get(PRESERVE):
            where = {"root": "at the root", "item": "for specified array items", "field": "for specified object fields"}
            errors.required(f"{path}.type", f"must not be empty {where[level]}")
        if level == "root" and kind and kind != "object":
            errors.invalid(f"{path}.type", kind, "must be object at the root")
        if kind == "array" and "items" not in schema:
            errors.required(f"{path}.items", "must be specified")

    def _head(self, properties: Obj, path: str) -> None:
        """What every object has is what it is everywhere."""
        for name, kind in (("kind", "string"), ("apiVersion", "string"), ("metadata", "object")):
            given = properties.get(name)
            if isinstance(given, dict) and given.get("type") != kind:
                where = f"{path}.properties[{name}].type"
                self._errors.invalid(where, given.get("type", ""), f"must be {kind}")

    def _extensions(self, schema: Obj, path: str) -> None:
        errors = self._errors
        if schema.get(PRESERVE) is False:
            errors.invalid(f"{path}.{PRESERVE}", False, "must be true or undefined")
        if schema.get(_INT) and schema.get(PRESERVE):
            errors.invalid(f"{path}.{PRESERVE}", True, "must be false if x-kubernetes-int-or-string is true")
        if schema.get(_INT) and schema.get(EMBEDDED):
            errors.invalid(f"{path}.{EMBEDDED}", True, "must be false if x-kubernetes-int-or-string is true")
        if schema.get(EMBEDDED) and not schema.get(PRESERVE) and not schema.get("properties"):
            detail = (
                "must not be empty if x-kubernetes-embedded-resource is true without "
                "x-kubernetes-preserve-unknown-fields"
            )
            errors.required(f"{path}.properties", detail)
        kind = schema.get("x-kubernetes-map-type")
        if kind is not None:
            if kind not in ("atomic", "granular"):
                errors.not_supported(f"{path}.x-kubernetes-map-type", kind, ("atomic", "granular"))
            must_be("object", schema, path, "x-kubernetes-map-type", errors)

    def _additional(self, schema: Obj, path: str, level: str, depth: int, uncorrelated: str) -> None:
        additional = schema.get("additionalProperties")
        if additional is None:
            return
        where = f"{path}.additionalProperties"
        if level == "root":
            self._errors.forbidden(where, "must not be used at the root")
        if schema.get("properties") and additional is not True:
            self._errors.forbidden(where, "additionalProperties and properties are mutual exclusive")
        if schema.get(EMBEDDED):
            self._errors.forbidden(where, "must not be used if x-kubernetes-embedded-resource is set")
        self._schema(additional, where, "field", depth + 1, uncorrelated)

    def _combined(self, schema: Obj, path: str, depth: int) -> None:
        for name in ("allOf", "anyOf", "oneOf"):
            given = schema.get(name) or []
            if schema.get(_INT) and name == "anyOf" and given == _INT_OR_STRING:
                continue
            for at, below in enumerate(given):
                skip = bool(schema.get(_INT) and name == "allOf" and at == 0)
                self._nested(below, f"{path}.{name}[{at}]", depth + 1, skip=skip)
        if "not" in schema:
            self._nested(schema["not"], f"{path}.not", depth + 1)

    def _nested(self, schema: Any, path: str, depth: int, *, skip: bool = False) -> None:
        """A schema that only restricts values: it may not bring structure of its own."""
        if not isinstance(schema, dict) or not self._enter(path, depth) or self._misshapen(schema, path, ""):
            return
        self._standard(schema, path)
        for name, detail in _NESTED_FORBIDDEN:
            if schema.get(name) not in (None, False, "", []):
                self._errors.forbidden(f"{path}.{name}", detail)
        inner = {
            key: given for key, given in schema.items() if not (skip and key == "anyOf" and given == _INT_OR_STRING)
        }
        self._combined(inner, path, depth)
        for key, below in sorted((schema.get("properties") or {}).items()):
            if key == "metadata":
                self._errors.forbidden(f"{path}.properties[metadata]", "must not be specified in a nested context")
            self._nested(below, f"{path}.properties[{key}]", depth + 1)
        self._nested(schema.get("items"), f"{path}.items", depth + 1)

    def _default(self, schema: Obj, path: str, level: str) -> None:
        given = schema.get("default")
        if given is None or self._errors:
            return
        where = f"{path}.default"
        if level == "root":
            self._errors.forbidden(where, "must not be set at the root")
            return
        unknown: list[str] = []
        if prune({"": given}, {"type": "object", "properties": {"": schema}}, unknown) and unknown:
            self._errors.invalid(where, given, f"must be pruned of unknown fields: {', '.join(unknown)}")
        values.validate(given, schema, self._errors, where)

    def _rules(self, schema: Obj, path: str, root: bool, uncorrelated: str) -> None:
        given = schema.get(RULES) or ()
        self._effort.spend(sum(_length(rule) for rule in given) + (len(given) and len(given) * _size(schema)))
        for at, rule in enumerate(given):
            rule_fields(rule, schema, f"{path}.{RULES}[{at}]", self._errors)
        for at, rule in enumerate(given if not self._errors else ()):
            compiled_rule(rule, schema, f"{path}.{RULES}[{at}]", self._errors, root=root, uncorrelated=uncorrelated)


def _length(rule: Any) -> int:
    texts = (rule.get("rule"), rule.get("messageExpression")) if isinstance(rule, dict) else ()
    return sum(len(str(text)) for text in texts if text)


def _size(schema: Obj) -> int:
    """How many schemas there are in it, itself included: a rule may name each."""
    return 1 + sum(map(_size, _below(schema)))
