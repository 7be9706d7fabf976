"""Slices of a driver's devices (``pkg/apis/resource/validation``)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from simkube.apiserver.registry.devices.parts import (
    MOST,
    attribute_name,
    each,
    label,
    label_name,
    pool_name,
    taint,
    unique,
)
from simkube.apiserver.registry.devices.validate_capacity import capacity
from simkube.apiserver.registry.storage.validate_sources import driver_name
from simkube.apiserver.validation.field import Errors
from simkube.apiserver.validation.metadata import subdomain
from simkube.apiserver.validation.node_selector import node_selector
from simkube.apiserver.validation.numbers import immutable
from simkube.client.client import Obj

_MOST_DEVICES = 128
_MOST_DEVICES_WITH_MORE = 64
_MOST_TAINTS = 16
_MOST_CONDITIONS = 4
_MOST_COUNTER_SETS = 8
_MOST_CONSUMED = 2
_MOST_VALUE = 64
_PLACES = ("`nodeName`", "`nodeSelector`", "`allNodes`", "`perDeviceNodeSelection`")
_NUMBER = r"(?:0|[1-9][0-9]*)"
_BEFORE = r"(?:0|[1-9][0-9]*|[0-9]*[a-zA-Z-][0-9a-zA-Z-]*)"
_SEMVER = re.compile(
    rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}(?:-{_BEFORE}(?:\.{_BEFORE})*)?(?:\+[0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*)?"
)
_ONLY_IF = (
    "`nodeName`, `nodeSelector` and `allNodes` can only be set if `perDeviceNodeSelection` is set to true in the "
    "ResourceSlice spec"
)
_REQUIRED_IF = (
    "exactly one of `nodeName`, `nodeSelector`, or `allNodes` is required when `perDeviceNodeSelection` is set to "
    "true in the ResourceSlice spec"
)


def resource_slice(obj: Obj, errors: Errors) -> None:
    """A slice: whose devices, which pool of them, where they can be reached, and each of them."""
    spec = obj["spec"]
    driver_name(spec.get("driver", ""), "spec.driver", errors)
    _pool(spec.get("pool", {}), errors)
    _where(spec, errors)
    if spec.get("sharedCounters") is not None and spec.get("devices") is not None:
        errors.invalid("spec", "", "only one of `sharedCounters` or `devices` is allowed")
    devices, apart = spec.get("devices", ()), bool(spec.get("perDeviceNodeSelection"))
    most = _MOST_DEVICES_WITH_MORE if any(map(_has_more, devices)) else _MOST_DEVICES
    unique(devices, most, "spec.devices", errors, lambda one, path, errors: _device(one, apart, path, errors), "name")
    unique(spec.get("sharedCounters", ()), _MOST_COUNTER_SETS, "spec.sharedCounters", errors, _counter_set, "name")


def resource_slice_update(new: Obj, old: Obj, errors: Errors) -> None:
    """A slice stays its driver's, its pool's and its node's."""
    resource_slice(new, errors)
    was, now = old["spec"], new["spec"]
    immutable(now.get("pool", {}).get("name"), was.get("pool", {}).get("name"), "spec.pool.name", errors)
    immutable(now.get("driver"), was.get("driver"), "spec.driver", errors)
    immutable(now.get("nodeName"), was.get("nodeName"), "spec.nodeName", errors)


def _pool(pool: Obj, errors: Errors) -> None:
    count, generation = pool.get("resourceSliceCount", 0), pool.get("generation", 0)
    pool_name(pool.get("name", ""), "spec.pool.name", errors)
    if count <= 0:
        errors.invalid("spec.pool.resourceSliceCount", count, "must be greater than zero")
    if generation < 0:
        errors.invalid("spec.pool.generation", generation, "must be greater than or equal to zero")


def _where(spec: Obj, errors: Errors) -> None:
    """One of the ways to say which nodes reach the devices."""
    given = _places(spec, _PLACES, "spec", errors, "must be either unset or set to a non-empty string")
    terms = (spec.get("nodeSelector") or {}).get("nodeSelectorTerms", [])
    if spec.get("nodeSelector") is not None and len(terms) != 1:
        errors.invalid("spec.nodeSelector.nodeSelectorTerms", terms, "must have exactly one node selector term")
    needed = f"exactly one of {', '.join(_PLACES)} is required"
    if not given:
        errors.required("spec", needed)
    elif len(given) > 1:
        errors.invalid("spec", f"{{{', '.join(given)}}}", f"{needed}, but multiple fields are set")


def _places(given: Obj, places: Iterable[str], path: str, errors: Errors, empty: str) -> list[str]:
    """Which of these fields are set, each looked at."""
    found = []
    for shown in places:
        field = shown.strip("`")
        value = given.get(field)
        if value is None:
            continue
        if value == "":
            errors.invalid(f"{path}.{field}", value, empty)
        elif value is False:
            errors.invalid(f"{path}.{field}", value, "must be either unset or set to true")
        else:
            found.append(shown)
        if field == "nodeName" and value:
            for problem in subdomain(value):
                errors.invalid(f"{path}.{field}", value, problem)
        elif field == "nodeSelector":
            node_selector(value, f"{path}.{field}", errors)
    return found


def _has_more(device: Obj) -> bool:
    lists = ("bools", "ints", "strings", "versions")
    listed = any(name in one for one in device.get("attributes", {}).values() for name in lists)
    return bool(device.get("taints") or device.get("consumesCounters") or listed)


def _device(device: Obj, apart: bool, path: str, errors: Errors) -> None:
    label(device.get("name", ""), f"{path}.name", errors)
    attributes, capacities = device.get("attributes", {}), device.get("capacity", {})
    if len(attributes) + len(capacities) > MOST:
        detail = f"the total number of attributes and capacities must not exceed {MOST}"
        errors.invalid(path, len(attributes) + len(capacities), detail)
    for name, value in attributes.items():
        attribute_name(name, f"{path}.attributes", errors)
        _value(value, f"{path}.attributes[{name}]", errors)
    for name, value in capacities.items():
        attribute_name(name, f"{path}.capacity", errors)
        capacity(value, bool(device.get("allowMultipleAllocations")), f"{path}.capacity[{name}]", errors)
    each(device.get("taints", ()), _MOST_TAINTS, f"{path}.taints", errors, taint)
    consumed = device.get("consumesCounters", ())
    unique(consumed, _MOST_CONSUMED, f"{path}.consumesCounters", errors, _consumed, "counterSet")
    _device_places(device, apart, path, errors)
    conditions(device, path, errors)


def _device_places(device: Obj, apart: bool, path: str, errors: Errors) -> None:
    fields = _PLACES[:3]
    if not apart:
        if any(device.get(shown.strip("`")) is not None for shown in fields):
            errors.invalid(path, None, _ONLY_IF)
        return
    given = _places(device, fields, path, errors, "must not be empty")
    if not given:
        errors.required(path, _REQUIRED_IF)
    elif len(given) > 1:
        errors.invalid(path, f"{{{', '.join(given)}}}", _REQUIRED_IF)


def _value(value: Obj, path: str, errors: Errors) -> None:
    """An attribute has one value, or one list of values."""
    if "string" in value:
        _text(value["string"], f"{path}.string", errors)
    if "version" in value:
        _version(value["version"], f"{path}.version", errors)
    for name in ("bools", "ints", "strings", "versions"):
        if name in value and not value[name]:
            errors.invalid(f"{path}.{name}", value[name], "must not be empty if specified")
    each(value.get("strings", ()), None, f"{path}.strings", errors, _text)
    each(value.get("versions", ()), None, f"{path}.versions", errors, _version)
    if len(value) != 1:
        errors.invalid(path, value or "", "exactly one value must be specified")


def _text(value: Any, path: str, errors: Errors) -> None:
    if len(value.encode()) > _MOST_VALUE:
        errors.too_long(path, f"may not be more than {_MOST_VALUE} bytes")


def _version(value: Any, path: str, errors: Errors) -> None:
    if not _SEMVER.fullmatch(value):
        errors.invalid(path, value, "must be a string compatible with semver.org spec 2.0.0")
    _text(value, path, errors)


def _counter_set(given: Obj, path: str, errors: Errors) -> None:
    _counters(given, "name", path, errors)


def _consumed(given: Obj, path: str, errors: Errors) -> None:
    _counters(given, "counterSet", path, errors)


def _counters(given: Obj, field: str, path: str, errors: Errors) -> None:
    counters = given.get("counters", {})
    if given.get(field):
        label(given[field], f"{path}.{field}", errors)
    else:
        errors.required(f"{path}.{field}")
    if not counters:
        errors.required(f"{path}.counters")
    elif len(counters) > MOST:
        errors.too_many(f"{path}.counters", len(counters), MOST)
    else:
        for name in counters:
            label(name, f"{path}.counters", errors)


def conditions(given: Obj, path: str, errors: Errors) -> None:
    """What must be true of a device before a pod that was given it is bound, and what tells that it never will be."""
    wanted, failed = given.get("bindingConditions", ()), given.get("bindingFailureConditions", ())
    each(wanted, _MOST_CONDITIONS, f"{path}.bindingConditions", errors, label_name)
    each(failed, _MOST_CONDITIONS, f"{path}.bindingFailureConditions", errors, label_name)
    for index, one in enumerate(wanted):
        if one in wanted[:index]:
            errors.duplicate(f"{path}.bindingConditions[{index}]", one)
    for index, one in enumerate(failed):
        where = f"{path}.bindingFailureConditions[{index}]"
        if one in failed[:index]:
            errors.duplicate(where, one)
        if one in wanted:
            errors.invalid(where, one, "bindingFailureConditions must not overlap with bindingConditions")
    if failed and not wanted:
        detail = "bindingConditions are required to use bindingFailureConditions"
        errors.invalid(f"{path}.bindingConditions", None, detail)
    if wanted and not failed:
        detail = "bindingFailureConditions are required to use bindingConditions"
        errors.invalid(f"{path}.bindingFailureConditions", None, detail)
