"""Which definitions are taken, and which are not."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from simkube.apimachinery.errors import StatusError
from simkube.apiserver.registry.apiextensions import definition
from simkube.apiserver.registry.apiextensions.structural import MOST_DEPTH
from simkube.apiserver.schema.custom.pruning import prune
from simkube.apiserver.validation.field import Errors
from simkube.client.client import Obj
from tests.unit.simkube.apiserver.custom.test_kinds import definition as valid

ROOT = "spec.validation.openAPIV3Schema"


def problems(obj: Obj) -> list[str]:
    errors = Errors()
    made = copy.deepcopy(obj)
    definition.defaults(made)
    definition.validate(made, errors)
    return [f"{path}: {message}" for _, path, message in errors.found]


def with_spec(**properties: Any) -> Obj:
    obj = valid()
    schema = {"type": "object", "properties": {"spec": {"type": "object", "properties": properties}}}
    obj["spec"]["versions"][0]["schema"]["openAPIV3Schema"] = schema
    return obj


def test_a_good_one_is_taken() -> None:
    assert problems(valid()) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"group": "sea"}, "should be a domain with at least one dot"),
        ({"scope": "Global"}, 'Unsupported value: "Global": supported values: "Cluster", "Namespaced"'),
        ({"versions": []}, "must have exactly one version marked as storage version"),
        ({"preserveUnknownFields": True}, "must be false"),
        ({"names": {"plural": "Boats", "kind": "Boat"}}, "a DNS-1035 label must consist of lower case"),
        ({"names": {"plural": "boats", "kind": "Boat", "listKind": "Boat"}}, "kind and listKind may not be the same"),
        ({"conversion": {"strategy": "Magic"}}, 'supported values: "None", "Webhook"'),
        ({"group": "x.k8s.io"}, "protected groups must have approval annotation"),
    ],
)
def test_the_parts_of_a_definition(change: Obj, message: str) -> None:
    obj = valid()
    obj["spec"].update(change)
    assert any(message in one for one in problems(obj)), problems(obj)


@pytest.mark.parametrize(
    ("field", "message"),
    [
        (
            {},
            f"{ROOT}.properties[spec].properties[a].type: Required value: must not be empty for specified object",
        ),
        ({"type": "array"}, "items: Required value: must be specified"),
        ({"type": "string", "pattern": "("}, "must be a valid regular expression"),
        ({"type": "object", "$ref": "#/x"}, "$ref is not supported"),
        ({"type": "array", "items": {"type": "string"}, "uniqueItems": True}, "runtime complexity becomes quadratic"),
        (
            {"type": "object", "properties": {"x": {"type": "string"}}, "additionalProperties": False},
            "additionalProperties and properties are mutual exclusive",
        ),
        (
            {"type": "object", "properties": {"x": {"type": "string"}}, "additionalProperties": {"type": "string"}},
            "additionalProperties and properties are mutual exclusive",
        ),
        ({"type": "object", "x-kubernetes-preserve-unknown-fields": False}, "must be true or undefined"),
        (
            {"x-kubernetes-map-type": "atomic", "x-kubernetes-preserve-unknown-fields": True},
            "type: Required value: must be",
        ),
        (
            {"type": "array", "items": {"type": "object"}, "x-kubernetes-list-type": "set"},
            "items.x-kubernetes-map-type: Invalid value: null: must be atomic as item of a list",
        ),
        (
            {"type": "array", "items": {"type": "string", "nullable": True}, "x-kubernetes-list-type": "set"},
            "items.nullable: Forbidden: cannot be nullable when x-kubernetes-list-type is set",
        ),
        (
            {
                "type": "array",
                "items": {"type": "object", "required": ["k"], "properties": {"k": {"type": "array", "items": {}}}},
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["k", "l", "k"],
            },
            'x-kubernetes-list-map-keys: Invalid value: ["k","l","k"]: entries must all be names of item properties',
        ),
        (
            {
                "type": "object",
                "x-kubernetes-embedded-resource": True,
                "properties": {"kind": {"type": "integer"}, "metadata": {"type": "string"}},
            },
            'properties[kind].type: Invalid value: "integer": must be string',
        ),
        ({"type": "string", "x-kubernetes-validations": [{"rule": "true", "message": " "}]}, "must be non-empty if"),
        ({"type": "string", "x-kubernetes-validations": [{"rule": "true", "message": "a\nb"}]}, "contain line breaks"),
        ({"type": "string", "x-kubernetes-validations": [{"rule": "true ||\ntrue"}]}, "if rule contains line breaks"),
        (
            {"type": "string", "x-kubernetes-validations": [{"rule": "true", "reason": "Because"}]},
            '"FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired"',
        ),
        (
            {"type": "object", "x-kubernetes-validations": [{"rule": "true", "fieldPath": ".nothing"}]},
            "fieldPath must be a valid path",
        ),
        (
            {"type": "string", "x-kubernetes-validations": [{"rule": "true", "messageExpression": "1"}]},
            "messageExpression compilation failed",
        ),
        (
            {"type": "string", "x-kubernetes-validations": [{"rule": "true", "optionalOldSelf": False}]},
            "may not be set if oldSelf is not used in rule",
        ),
        ({"type": "string", "anyOf": [{"type": "string"}]}, "must be empty to be structural"),
        ({"type": "integer", "default": "x"}, 'must be of type integer: "string"'),
        ({"type": "object", "default": {"y": 1}}, "must be pruned of unknown fields"),
        (
            {"type": "array", "items": {"type": "object"}, "x-kubernetes-list-type": "map"},
            "must not be empty if x-kubernetes-list-type is map",
        ),
        (
            {
                "type": "array",
                "items": {"type": "object", "properties": {"k": {"type": "string"}}},
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["k"],
            },
            "so it must have a default or be a required property",
        ),
        (
            {"type": "object", "x-kubernetes-embedded-resource": True},
            "must not be empty if x-kubernetes-embedded-resource",
        ),
        ({"type": "string", "x-kubernetes-validations": [{"rule": "self.foo == 1"}]}, "compilation failed"),
        ({"type": "string", "x-kubernetes-validations": [{"rule": "self"}]}, "must evaluate to a bool"),
        (
            {"type": "array", "items": {"type": "string", "x-kubernetes-validations": [{"rule": "self == oldSelf"}]}},
            "oldSelf cannot be used on the uncorrelatable portion",
        ),
    ],
)
def test_schemas_must_be_structural(field: Obj, message: str) -> None:
    assert any(message in one for one in problems(with_spec(a=field))), problems(with_spec(a=field))


@pytest.mark.parametrize(
    "field",
    [
        {"type": "object", "properties": {"x": {"type": "string"}}, "additionalProperties": True},
        {"type": "object", "additionalProperties": False},
        {
            "type": "object",
            "properties": {"x": {"type": "object", "properties": {"y": {"type": "string"}}}},
            "x-kubernetes-validations": [{"rule": "true", "fieldPath": ".x['y']", "reason": "FieldValueRequired"}],
        },
    ],
)
def test_schemas_that_are_taken(field: Obj) -> None:
    assert problems(with_spec(a=field)) == []


@pytest.mark.parametrize(
    "field",
    [
        {"type": "string", "x-kubernetes-validations": [{"rule": "isImage(self)"}]},
        {"type": "object", "x-kubernetes-validations": [{"rule": "Status{code: 1}.code == 1"}]},
    ],
)
def test_rules_beyond_this_are_refused_by_name(field: Obj) -> None:
    with pytest.raises(StatusError) as caught:
        problems(with_spec(a=field))
    assert caught.value.code == 501
    assert "not simulated" in caught.value.message


def test_what_is_restricted_must_be_there() -> None:
    obj = with_spec(a={"type": "string"})
    schema = obj["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    schema["anyOf"] = [{"properties": {"spec": {"properties": {"b": {"minLength": 1}}}}}]
    where = "properties[spec].properties[b]"
    assert problems(obj) == [
        f"{ROOT}.{where}: Required value: because it is defined in {ROOT}.anyOf[0].{where}",
    ]


def test_what_lies_below_anything_is_emptied() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": True}
    unknown: list[str] = []
    found = prune({"a": "1", "b": "2", "c": {"d": 1}, "e": [{"f": 1}, 2]}, schema, unknown)
    assert found == {"a": "1", "b": "2", "c": {}, "e": [{}, 2]}
    assert unknown == ["c.d", "e[0].f"]


def test_depth_and_size_are_bounded() -> None:
    deep: Obj = {"type": "string"}
    for _ in range(MOST_DEPTH + 5):
        deep = {"type": "object", "properties": {"a": deep}}
    assert any("not deeper" in one for one in problems(with_spec(a=deep)))
    wide = {f"a{number}": {"type": "string"} for number in range(11_000)}
    assert any("not more" in one for one in problems(with_spec(**wide)))


def test_what_may_not_change() -> None:
    old = valid()
    old["status"] = {"conditions": [{"type": "Established", "status": "True"}], "storedVersions": ["v1"]}
    new = copy.deepcopy(old)
    new["spec"]["scope"] = "Cluster"
    new["spec"]["versions"][0]["name"] = "v2"
    errors = Errors()
    definition.validate_update(new, old, errors)
    paths = {path for _, path, _ in errors.found}
    assert paths == {"spec.scope", "status.storedVersions[0]"}
