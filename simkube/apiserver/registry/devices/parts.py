"""What claims, classes and slices of devices have in common: names, taints, selectors, settings of drivers.

After ``pkg/apis/resource/validation``. How much an expression may cost at worst is not estimated.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any

from simkube.apimachinery.errors import not_simulated
from simkube.apiserver.cel import types as t
from simkube.apiserver.cel.checking import BINDINGS, check
from simkube.apiserver.cel.syntax import CelError, NotSimulated, parse
from simkube.apiserver.cel.types import Kind, Types
from simkube.apiserver.registry.storage.validate_sources import driver_name
from simkube.apiserver.validation.field import Errors
from simkube.apiserver.validation.metadata import dns_label, label_value, qualified_name, subdomain
from simkube.client.client import Obj

MOST = 32
"""Of requests, constraints, settings, selectors, attributes, counters."""

_MOST_TEXT = 10 * 1024
_MOST_NAME = 32
_EFFECTS = ("NoExecute", "NoSchedule", "None")
_OPERATORS = ("Equal", "Exists")
_C_IDENTIFIER = r"[A-Za-z_][A-Za-z0-9_]*"
_BAD_IDENTIFIER = (
    "a valid C identifier must start with alphabetic character or '_', followed by a string of alphanumeric "
    "characters or '_' (e.g. 'my_name',  or 'MY_NAME',  or 'MyName', regex used for validation is "
    f"'{_C_IDENTIFIER}')"
)

Check = Callable[[Any, str, Errors], None]


def each(given: Sequence[Any], most: int | None, path: str, errors: Errors, one: Check) -> bool:
    """Look at every member of a list, or only say that there are too many; whether they were looked at."""
    if most is not None and len(given) > most:
        errors.too_many(path, len(given), most)
        return False
    for index, item in enumerate(given):
        one(item, f"{path}[{index}]", errors)
    return True


def unique(given: Sequence[Any], most: int | None, path: str, errors: Errors, one: Check, key: str = "") -> None:
    """As :func:`each`, and none is there twice: by this field of its, or by itself."""
    if not each(given, most, path, errors, one):
        return
    seen: list[Any] = []
    for index, item in enumerate(given):
        name = item.get(key, "") if key else item
        if name in seen:
            errors.duplicate(f"{path}[{index}]", name)
        seen.append(name)


def label(name: str, path: str, errors: Errors) -> None:
    """The name of a request, a device, a counter."""
    for problem in dns_label(name):
        errors.invalid(path, name, problem)


def pool_name(name: str, path: str, errors: Errors) -> None:
    """The name of a driver's pool: domains, separated by slashes."""
    if not name:
        errors.required(path)
        return
    if len(name) > 253:
        errors.too_long(path, "may not be more than 253 bytes")
    for part in name.split("/"):
        for problem in subdomain(part):
            errors.invalid(path, part, problem)


def attribute_name(name: str, path: str, errors: Errors) -> None:
    """The name of an attribute or a capacity: an identifier, which may have a domain before it."""
    domain, slash, rest = name.partition("/")
    if not slash:
        _identifier(name, path, errors)
    elif "/" in rest:
        errors.invalid(path, name, "must not contain more than one slash")
    else:
        if domain:
            driver_name(domain, path, errors)
        else:
            errors.invalid(path, "", "the domain must not be empty")
        if rest:
            _identifier(rest, path, errors)
        else:
            errors.invalid(path, "", "the name must not be empty")


def full_attribute_name(name: str, path: str, errors: Errors) -> None:
    """The name of an attribute, with its domain."""
    attribute_name(name, path, errors)
    if "/" not in name:
        errors.invalid(path, name, "a fully qualified name must be a domain and a name separated by a slash")


def _identifier(name: str, path: str, errors: Errors) -> None:
    if len(name) > _MOST_NAME:
        errors.too_long(path, f"may not be more than {_MOST_NAME} bytes")
    if not re.fullmatch(_C_IDENTIFIER, name):
        errors.invalid(path, name, _BAD_IDENTIFIER)


def label_name(name: str, path: str, errors: Errors) -> None:
    """The name of a label, a taint, a condition."""
    for problem in qualified_name(name):
        errors.invalid(path, name, problem)


def taint(given: Obj, path: str, errors: Errors) -> None:
    """A taint of a device."""
    effect = given.get("effect", "")
    label_name(given.get("key", ""), f"{path}.key", errors)
    _label_value(given.get("value", ""), f"{path}.value", errors)
    if not effect:
        errors.required(f"{path}.effect")
    elif effect not in _EFFECTS:
        errors.not_supported(f"{path}.effect", effect, _EFFECTS)


def toleration(given: Obj, path: str, errors: Errors) -> None:
    """What taints of devices a request puts up with."""
    operator, effect, value = given.get("operator", ""), given.get("effect", ""), given.get("value", "")
    if given.get("key"):
        label_name(given["key"], f"{path}.key", errors)
    if operator == "Exists" and value:
        errors.invalid(f"{path}.value", value, "must be empty for operator `Exists`")
    elif operator == "Equal":
        _label_value(value, f"{path}.value", errors)
    elif not operator:
        errors.required(f"{path}.operator")
    elif operator not in _OPERATORS:
        errors.not_supported(f"{path}.operator", operator, _OPERATORS)
    if effect and effect not in _EFFECTS:
        errors.not_supported(f"{path}.effect", effect, _EFFECTS)


def _label_value(value: str, path: str, errors: Errors) -> None:
    for problem in label_value(value):
        errors.invalid(path, value, problem)


def settings(given: Obj, path: str, errors: Errors) -> None:
    """What a class or a claim tells a driver: an object that only the driver understands."""
    opaque = given.get("opaque")
    if opaque is None:
        errors.required(f"{path}.opaque")
        return
    driver_name(opaque.get("driver", ""), f"{path}.opaque.driver", errors)
    extension(opaque.get("parameters"), f"{path}.opaque.parameters", errors)


def extension(value: Any, path: str, errors: Errors) -> None:
    """An object of any form, that must be there."""
    if value is None:
        errors.required(path)
    elif len(json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()) > _MOST_TEXT:
        errors.too_long(path, f"may not be more than {_MOST_TEXT} bytes")
    elif not isinstance(value, dict):
        errors.invalid(path, "<value omitted>", "must be a valid JSON object")


def selector(given: Obj, path: str, errors: Errors) -> None:
    """Which devices are meant: an expression that is true of them (``dynamic-resource-allocation/cel``)."""
    if given.get("cel") is None:
        errors.required(f"{path}.cel")
        return
    where, text = f"{path}.cel.expression", given["cel"].get("expression", "")
    if len(text.encode()) > _MOST_TEXT:
        errors.too_long(where, f"may not be more than {_MOST_TEXT} bytes")
        return
    types = Types()
    try:
        found = check(parse(text), {"device": _device(types), BINDINGS: t.DYN}, types)
    except NotSimulated as error:
        raise not_simulated(error.message) from None
    except CelError as error:
        errors.invalid(where, text, f"compilation failed: {error.shown(text)}")
        return
    if found not in (t.BOOL, t.DYN):
        errors.invalid(where, text, f"must evaluate to bool or the unknown type, not {found}")


def _device(types: Types) -> Kind:
    named = {"attributes": t.DYN, "capacity": t.QUANTITY}
    maps = {name: t.map_of(t.STRING, t.map_of(t.STRING, kind)) for name, kind in named.items()}
    return types.of_fields({"driver": t.STRING, "allowMultipleAllocations": t.BOOL, **maps}, "kubernetes.DRADevice")
