"""Classes of devices, and claims for devices (``pkg/apis/resource/validation``).

How much a driver can give is not looked at here: no driver offers any device.
"""

from __future__ import annotations

from simkube.apiserver.registry.devices.parts import (
    MOST,
    each,
    full_attribute_name,
    label,
    selector,
    settings,
    toleration,
    unique,
)
from simkube.apiserver.validation.field import Errors
from simkube.apiserver.validation.metadata import annotation_map, labels, qualified_name, subdomain
from simkube.apiserver.validation.numbers import immutable
from simkube.client.client import Obj

_MODES = ("All", "ExactCount")
_MOST_CHOICES = 8
_ONE_OF = "exactly one of `exactly` or `firstAvailable` is required"
_UNKNOWN = "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'"


def device_class(obj: Obj, errors: Errors) -> None:
    """A class of devices: which are meant, what drivers are told, the resource that stands for one."""
    spec = obj["spec"]
    each(spec.get("selectors", ()), MOST, "spec.selectors", errors, selector)
    each(spec.get("config", ()), MOST, "spec.config", errors, settings)
    resource = spec.get("extendedResourceName")
    if resource is not None and not _is_extended_resource(resource):
        errors.invalid("spec.extendedResourceName", resource, "must be a valid extended resource name")


def device_class_update(new: Obj, _old: Obj, errors: Errors) -> None:
    """A class may change as it could have been made."""
    device_class(new, errors)


def _is_extended_resource(name: str) -> bool:
    native = "/" not in name or "kubernetes.io/" in name
    return not native and not name.startswith("requests.") and not qualified_name(f"requests.{name}")


def resource_claim(obj: Obj, errors: Errors) -> None:
    """A claim: what it asks for."""
    _claim(obj["spec"]["devices"], "spec.devices", errors)


def resource_claim_update(new: Obj, old: Obj, errors: Errors) -> None:
    """What a claim asks for never changes."""
    immutable(new.get("spec"), old.get("spec"), "spec", errors)


def resource_claim_template(obj: Obj, errors: Errors) -> None:
    """A template of claims: their labels, and what they ask for."""
    meta = obj["spec"].get("metadata", {})
    annotation_map(meta.get("annotations", {}), "spec.metadata.annotations", errors)
    labels(meta.get("labels", {}), "spec.metadata.labels", errors)
    _claim(obj["spec"]["spec"]["devices"], "spec.spec.devices", errors)


def names_of(devices: Obj) -> set[str]:
    """What requests of a claim can be called elsewhere in it: by their names, and by those of their choices."""
    found = set()
    for request in devices.get("requests", ()):
        name = request.get("name", "")
        found |= {name, *(f"{name}/{one.get('name', '')}" for one in request.get("firstAvailable", ()))}
    return found


def reference(name: str, known: set[str], path: str, errors: Errors) -> None:
    """The name of a request that is there."""
    parts = name.split("/")
    if len(parts) > 2:
        errors.invalid(path, name, _UNKNOWN)
        return
    for part in parts:
        label(part, path, errors)
    if name not in known:
        errors.invalid(path, name, _UNKNOWN)


def references(names: list[str], known: set[str], path: str, errors: Errors) -> None:
    """Names of requests that are there, each once."""
    unique(names, MOST, path, errors, lambda name, where, errors: reference(name, known, where, errors))


def _claim(devices: Obj, path: str, errors: Errors) -> None:
    known = names_of(devices)

    def constraint(given: Obj, where: str, errors: Errors) -> None:
        references(given.get("requests", []), known, f"{where}.requests", errors)
        _attribute(given, where, errors)

    def config(given: Obj, where: str, errors: Errors) -> None:
        references(given.get("requests", []), known, f"{where}.requests", errors)
        settings(given, where, errors)

    unique(devices.get("requests", ()), MOST, f"{path}.requests", errors, _request, "name")
    each(devices.get("constraints", ()), MOST, f"{path}.constraints", errors, constraint)
    each(devices.get("config", ()), MOST, f"{path}.config", errors, config)


def _attribute(given: Obj, path: str, errors: Errors) -> None:
    if "matchAttribute" in given:
        full_attribute_name(given["matchAttribute"], f"{path}.matchAttribute", errors)
    elif "distinctAttribute" in given:
        full_attribute_name(given["distinctAttribute"], f"{path}.distinctAttribute", errors)
    else:
        fields = '"matchAttribute" or "distinctAttribute"'
        errors.required(path, f"exactly one of {fields} is required, but multiple fields are set")


def _request(given: Obj, path: str, errors: Errors) -> None:
    exactly, several = given.get("exactly"), given.get("firstAvailable", ())
    label(given.get("name", ""), f"{path}.name", errors)
    if exactly is not None and several:
        errors.invalid(path, None, f"{_ONE_OF}, but multiple fields are set")
    elif several:
        unique(several, _MOST_CHOICES, f"{path}.firstAvailable", errors, _choice, "name")
    elif exactly is not None:
        _wanted(exactly, f"{path}.exactly", errors)
    else:
        errors.required(path, _ONE_OF)


def _choice(given: Obj, path: str, errors: Errors) -> None:
    label(given.get("name", ""), f"{path}.name", errors)
    _wanted(given, path, errors)


def _wanted(wanted: Obj, path: str, errors: Errors) -> None:
    name = wanted.get("deviceClassName", "")
    if not name:
        errors.required(f"{path}.deviceClassName")
    for problem in subdomain(name) if name else ():
        errors.invalid(f"{path}.deviceClassName", name, problem)
    each(wanted.get("selectors", ()), MOST, f"{path}.selectors", errors, selector)
    _count(wanted, path, errors)
    each(wanted.get("tolerations", ()), None, f"{path}.tolerations", errors, toleration)


def _count(wanted: Obj, path: str, errors: Errors) -> None:
    mode, count = wanted.get("allocationMode", ""), wanted.get("count", 0)
    if mode not in _MODES:
        errors.not_supported(f"{path}.allocationMode", mode, _MODES)
    elif mode == "ExactCount" and count <= 0:
        errors.invalid(f"{path}.count", count, "must be greater than zero")
    elif mode == "All" and count:
        errors.invalid(f"{path}.count", count, "must not be specified when allocationMode is 'All'")
