"""Runtime classes, device classes and claims (``pkg/apis/{node,resource}/validation``)."""

from __future__ import annotations

from simkube.apiserver.registry.pods.validate_placement import tolerations
from simkube.apiserver.validation.amounts import resources
from simkube.apiserver.validation.field import Errors
from simkube.apiserver.validation.metadata import dns_label, labels, subdomain
from simkube.apiserver.validation.numbers import immutable
from simkube.client.client import Obj

_MODES = ("All", "ExactCount")
_MOST_REQUESTS = 32


def runtime_class(obj: Obj, errors: Errors) -> None:
    """A runtime class names its handler."""
    handler = obj.get("handler", "")
    for problem in dns_label(handler):
        errors.invalid("handler", handler, problem)
    resources({"limits": obj.get("overhead", {}).get("podFixed", {})}, "overhead", errors)
    labels(obj.get("scheduling", {}).get("nodeSelector", {}), "scheduling.nodeSelector", errors)
    tolerations(obj.get("scheduling", {}).get("tolerations", ()), "scheduling.tolerations", errors)


def runtime_class_update(new: Obj, old: Obj, errors: Errors) -> None:
    """The handler never changes."""
    immutable(new.get("handler"), old.get("handler"), "handler", errors)


def resource_claim(obj: Obj, errors: Errors) -> None:
    """A claim: what it asks for."""
    _claim(obj["spec"], "spec", errors)


def resource_claim_update(new: Obj, old: Obj, errors: Errors) -> None:
    """What a claim asks for never changes."""
    immutable(new.get("spec"), old.get("spec"), "spec", errors)


def resource_claim_template(obj: Obj, errors: Errors) -> None:
    """A template of claims: what they ask for."""
    _claim(obj["spec"]["spec"], "spec.spec", errors)


def _claim(spec: Obj, path: str, errors: Errors) -> None:
    requests = spec["devices"].get("requests", ())
    if len(requests) > _MOST_REQUESTS:
        errors.too_many(f"{path}.devices.requests", len(requests), _MOST_REQUESTS)
    names: set[str] = set()
    for index, request in enumerate(requests[:_MOST_REQUESTS]):
        where, name = f"{path}.devices.requests[{index}]", request.get("name", "")
        if not name:
            errors.required(f"{where}.name")
        for problem in dns_label(name) if name else ():
            errors.invalid(f"{where}.name", name, problem)
        if name in names:
            errors.duplicate(f"{where}.name", name)
        names.add(name)
        exactly, several = request.get("exactly"), request.get("firstAvailable", ())
        if exactly is None and not several:
            errors.required(where, "exactly one of `exactly` or `firstAvailable` is required")
        elif exactly is not None and several:
            errors.refused(
                where, "exactly one of `exactly` or `firstAvailable` is required, but multiple fields are set"
            )
        if exactly is not None:
            _wanted(exactly, f"{where}.exactly", errors)
        for at, wanted in enumerate(several):
            _wanted(wanted, f"{where}.firstAvailable[{at}]", errors)


def _wanted(wanted: Obj, path: str, errors: Errors) -> None:
    name, mode = wanted.get("deviceClassName", ""), wanted.get("allocationMode", "")
    if not name:
        errors.required(f"{path}.deviceClassName")
    for problem in subdomain(name) if name else ():
        errors.invalid(f"{path}.deviceClassName", name, problem)
    if mode not in _MODES:
        errors.not_supported(f"{path}.allocationMode", mode, _MODES)
    elif mode == "ExactCount" and wanted.get("count", 0) <= 0:
        errors.invalid(f"{path}.count", wanted.get("count", 0), "must be greater than zero")
    elif mode == "All" and wanted.get("count"):
        errors.invalid(f"{path}.count", wanted["count"], "must not be specified when allocationMode is 'All'")
