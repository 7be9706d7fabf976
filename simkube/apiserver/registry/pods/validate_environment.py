"""Variables of containers, and where their values come from (``ValidateEnv``, ``ValidateEnvFrom``)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from simkube.apiserver.registry.pods.validate_field_references import IN_VARIABLES, field_reference, resource_reference
from simkube.apiserver.validation.field import Errors
from simkube.apiserver.validation.metadata import config_key, subdomain
from simkube.client.client import Obj

_SOURCES = ("fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef")
_BAD_NAME = "a valid environment variable name must consist only of printable ASCII characters other than '='"


def variables(given: Sequence[Obj], path: str, errors: Errors) -> None:
    """``env``: a name each, and a value or one source."""
    for index, variable in enumerate(given):
        where = f"{path}[{index}]"
        if not variable.get("name"):
            errors.required(f"{where}.name")
        else:
            _name(variable["name"], f"{where}.name", errors)
        if variable.get("valueFrom") is not None:
            _source(variable["valueFrom"], variable.get("value", ""), f"{where}.valueFrom", errors)


def _name(name: str, path: str, errors: Errors) -> None:
    if not re.fullmatch(r"[ -<>-~]+", name):
        errors.invalid(path, name, _BAD_NAME)


def _source(source: Obj, value: str, path: str, errors: Errors) -> None:
    if source.get("fieldRef") is not None:
        field_reference(source["fieldRef"], f"{path}.fieldRef", errors, IN_VARIABLES)
    if source.get("resourceFieldRef") is not None:
        resource_reference(source["resourceFieldRef"], f"{path}.resourceFieldRef", errors, container=False)
    for kind in ("configMapKeyRef", "secretKeyRef"):
        if source.get(kind) is not None:
            _key(source[kind], f"{path}.{kind}", errors)
    found = [each for each in _SOURCES if source.get(each) is not None]
    if not found:
        detail = "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`"
        errors.invalid(path, "", detail)
    elif value:
        errors.invalid(path, "", "may not be specified when `value` is not empty")
    elif len(found) > 1:
        errors.invalid(path, "", "may not have more than one field specified at a time")


def _key(reference: Obj, path: str, errors: Errors) -> None:
    name, key = reference.get("name", ""), reference.get("key", "")
    for problem in subdomain(name):
        errors.invalid(f"{path}.name", name, problem)
    if not key:
        errors.required(f"{path}.key")
    for problem in config_key(key) if key else ():
        errors.invalid(f"{path}.key", key, problem)


def sources(given: Sequence[Obj], path: str, errors: Errors) -> None:
    """``envFrom``: one map each. What is wrong with their number is told of the list, as the server does."""
    for index, source in enumerate(given):
        where = f"{path}[{index}]"
        if source.get("prefix"):
            _name(source["prefix"], f"{where}.prefix", errors)
        kinds = [kind for kind in ("configMapRef", "secretRef") if source.get(kind) is not None]
        for kind in kinds:
            name = source[kind].get("name", "")
            if not name:
                errors.required(f"{where}.{kind}.name")
            # as far as a name can be the beginning of one
            for problem in subdomain(f"{name[:-1]}a" if name.endswith("-") else name) if name else ():
                errors.invalid(f"{where}.{kind}.name", name, problem)
        if not kinds:
            errors.invalid(path, "", "must specify one of: `configMapRef` or `secretRef`")
        elif len(kinds) > 1:
            errors.invalid(path, "", "may not have more than one field specified at a time")
