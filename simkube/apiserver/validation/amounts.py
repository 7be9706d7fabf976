"""Amounts that containers and pods ask for and are bounded by (``ValidateContainerResourceRequirements``)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from fractions import Fraction
from math import ceil

from simkube.apimachinery.quantity import canonical, parse
from simkube.apiserver.validation.field import Errors
from simkube.apiserver.validation.metadata import qualified_name
from simkube.apiserver.validation.numbers import NOT_NEGATIVE
from simkube.client.client import Obj

_STANDARD = frozenset({"cpu", "memory", "ephemeral-storage"})
_OF_PODS = ("cpu", "hugepages-", "memory")


def resources(given: Obj, path: str, errors: Errors) -> None:
    """Requests and limits: known names, amounts not below zero, requests within limits (or as they are)."""
    limits, requests = given.get("limits", {}), given.get("requests", {})
    for kind, amounts in (("limits", limits), ("requests", requests)):
        for name, amount in sorted(amounts.items()):
            where = f"{path}.{kind}[{name}]"
            _resource_name(name, where, errors)
            if parse(amount) < 0:
                errors.invalid(where, amount, NOT_NEGATIVE)
            if name not in _STANDARD and parse(amount) % 1:
                errors.invalid(where, amount, "must be an integer")
    for name, amount in sorted(requests.items()):
        whole = name not in _STANDARD
        if name not in limits:
            if whole:
                errors.required(f"{path}.limits", "Limit must be set for non overcommitable resources")
        elif whole and parse(amount) != parse(limits[name]):
            errors.invalid(f"{path}.requests", amount, f"must be equal to {name} limit of {limits[name]}")
        elif parse(amount) > parse(limits[name]):
            detail = f"must be less than or equal to {name} limit of {limits[name]}"
            errors.invalid(f"{path}.requests", amount, detail)


def _resource_name(name: str, path: str, errors: Errors) -> None:
    for problem in qualified_name(name):
        errors.invalid(path, name, problem)
    if "/" not in name and name not in _STANDARD and not name.startswith("hugepages-"):
        errors.invalid(path, name, "must be a standard resource type or fully qualified")
        errors.invalid(path, name, "must be a standard resource for containers")


def claims(given: Sequence[Obj], known: Collection[str], path: str, errors: Errors) -> None:
    """The claims of a container are among those of its pod, each once."""
    seen: set[str] = set()
    for index, claim in enumerate(given):
        name, where = claim.get("name", ""), f"{path}[{index}]"
        if not name:
            errors.required(where)
            continue
        if name in seen:
            errors.duplicate(where, name)
        seen.add(name)
        if name not in known:
            names = f": {', '.join(sorted(known))}" if known else " which is empty"
            errors.not_found(where, name, f"must be one of the names in pod.spec.resourceClaims{names}")


def of_pod(spec: Obj, path: str, errors: Errors) -> None:
    """What a pod has as a whole: at least what its containers ask for, and no container may have more."""
    given = spec.get("resources")
    if given is None:
        return
    if given.get("claims") is not None:
        errors.forbidden(f"{path}.claims", "claims cannot be set for Resources at pod-level")
    resources(given, path, errors)
    for kind in ("limits", "requests"):
        for name in sorted(given.get(kind, {})):
            if name not in ("cpu", "memory") and not name.startswith("hugepages-"):
                errors.not_supported(f"{path}.{kind}[{name}]", name, _OF_PODS)
    for name, wanted in _asked_for(spec):
        had = given.get("requests", {}).get(name, "0")
        if wanted > parse(had):
            detail = f"must be greater than or equal to aggregate container requests of {_shown(wanted)}"
            errors.invalid(f"{path}.requests[{name}]", had, detail)
    for index, container in enumerate(spec.get("containers", ())):
        for name, limit in sorted((container.get("resources") or {}).get("limits", {}).items()):
            most = given.get("limits", {}).get(name)
            if most is not None and parse(limit) > parse(most):
                where = f"{path}.containers[{index}][{name}].limits"
                errors.invalid(where, limit, f"must be less than or equal to pod limits of {most}")


def _asked_for(spec: Obj) -> Iterator[tuple[str, Fraction]]:
    """What the containers ask for together, or one init container alone while it runs (sidecars stay)."""
    running: dict[str, Fraction] = {}
    most: dict[str, Fraction] = {}
    for container in spec.get("initContainers", ()):
        stays = container.get("restartPolicy") == "Always"
        for name, amount in (container.get("resources") or {}).get("requests", {}).items():
            now = running.get(name, Fraction(0)) + parse(amount)
            most[name] = max(most.get(name, Fraction(0)), now)
            if stays:
                running[name] = now
    for container in spec.get("containers", ()):
        for name, amount in (container.get("resources") or {}).get("requests", {}).items():
            running[name] = running.get(name, Fraction(0)) + parse(amount)
    for name in sorted(running.keys() | most.keys()):
        yield name, max(running.get(name, Fraction(0)), most.get(name, Fraction(0)))


def _shown(amount: Fraction) -> str:
    return canonical(f"{ceil(amount * 1000)}m")
