"""What the status of a claim says: which devices it got, and who uses them (``pkg/apis/resource/validation``)."""

from __future__ import annotations

import re
from collections.abc import Callable

from simkube.apiserver.registry.devices.parts import (
    MOST,
    each,
    extension,
    label,
    pool_name,
    settings,
    toleration,
    unique,
)
from simkube.apiserver.registry.devices.validate_claims import names_of, reference, references
from simkube.apiserver.registry.devices.validate_slices import conditions as binding_conditions
from simkube.apiserver.registry.storage.validate_sources import driver_name
from simkube.apiserver.validation.conditions import conditions
from simkube.apiserver.validation.field import INVALID, Errors
from simkube.apiserver.validation.node_selector import node_selector
from simkube.apiserver.validation.numbers import immutable
from simkube.client.client import Obj

_MOST_USERS = 256
_MOST_CONDITIONS = 8
_SOURCES = ("FromClaim", "FromClass")
_UUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_BAD_UUID = (
    "uid must be in RFC 4122 normalized form, `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx` with lowercase hexadecimal "
    "characters"
)


def resource_claim_status(new: Obj, old: Obj, errors: Errors) -> None:
    """Users of devices there are, devices that were given, and devices that stay what they are."""
    status, before = new.get("status", {}), old.get("status", {})
    given, known = status.get("allocation"), names_of(new["spec"]["devices"])
    users = status.get("reservedFor", ())
    got = {_device(one) for one in (given or {}).get("devices", {}).get("results", ())}
    unique(users, _MOST_USERS, "status.reservedFor", errors, _user, "uid")
    each(status.get("devices", ()), None, "status.devices", errors, _told(got))
    if users and given is None:
        errors.forbidden("status.reservedFor", "may not be specified when `allocated` is not set")
    elif "deletionTimestamp" in new["metadata"] and any(one not in before.get("reservedFor", ()) for one in users):
        detail = "new entries may not be added while `deallocationRequested` or `deletionTimestamp` are set"
        errors.forbidden("status.reservedFor", detail)
    if given is not None and before.get("allocation") is not None:
        immutable(given, before["allocation"], "status.allocation", errors)
    elif given is not None:
        _allocation(given, known, "status.allocation", errors)


def _user(given: Obj, path: str, errors: Errors) -> None:
    for name in ("resource", "name", "uid"):
        if not given.get(name):
            errors.required(f"{path}.{name}")


def _device(given: Obj) -> str:
    parts = [given.get(name, "") for name in ("driver", "pool", "device")]
    return "/".join([*parts, given["shareID"]] if given.get("shareID") else parts)


def _named(given: Obj, path: str, errors: Errors) -> None:
    driver_name(given.get("driver", ""), f"{path}.driver", errors)
    pool_name(given.get("pool", ""), f"{path}.pool", errors)
    label(given.get("device", ""), f"{path}.device", errors)


def _share(given: Obj, path: str, errors: Errors) -> None:
    if given.get("shareID") is not None and not re.fullmatch(_UUID, given["shareID"]):
        errors.invalid(f"{path}.shareID", given["shareID"], _BAD_UUID)


def _told(got: set[str]) -> Callable[[Obj, str, Errors], None]:
    """How to look at what a driver tells of a device of these."""

    def look(given: Obj, path: str, errors: Errors) -> None:
        _named(given, path, errors)
        _share(given, path, errors)
        if _device(given) not in got:
            detail = f"Invalid value: {_device(given)}: must be an allocated device in the claim"
            errors.because(INVALID, path, detail)
        found = given.get("conditions", ())
        if len(found) > _MOST_CONDITIONS:
            errors.too_many(f"{path}.conditions", len(found), _MOST_CONDITIONS)
        conditions(found, f"{path}.conditions", errors)
        if given.get("data") is not None:
            extension(given["data"], f"{path}.data", errors)

    return look


def _allocation(given: Obj, known: set[str], path: str, errors: Errors) -> None:
    def result(one: Obj, where: str, errors: Errors) -> None:
        reference(one.get("request", ""), known, f"{where}.request", errors)
        _named(one, where, errors)
        binding_conditions(one, where, errors)
        each(one.get("tolerations", ()), None, f"{where}.tolerations", errors, toleration)
        _share(one, where, errors)

    def config(one: Obj, where: str, errors: Errors) -> None:
        source = one.get("source", "")
        if not source:
            errors.required(f"{where}.source")
        elif source not in _SOURCES:
            errors.not_supported(f"{where}.source", source, _SOURCES)
        references(one.get("requests", []), known, f"{where}.requests", errors)
        settings(one, where, errors)

    devices = given.get("devices", {})
    each(devices.get("results", ()), MOST, f"{path}.devices.results", errors, result)
    each(devices.get("config", ()), 2 * MOST, f"{path}.devices.config", errors, config)
    if given.get("nodeSelector") is not None:
        node_selector(given["nodeSelector"], f"{path}.nodeSelector", errors)
