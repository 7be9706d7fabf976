"""References of a pod to fields and resources of its own (``validateObjectFieldSelector`` and its neighbour)."""

from __future__ import annotations

import re

from simkube.apimachinery import quantity
from simkube.apiserver.validation.field import Errors
from simkube.apiserver.validation.metadata import qualified_name
from simkube.client.client import Obj

IN_VARIABLES = (
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
)
"""What a variable may refer to without a subscript."""
IN_FILES = ("metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid")
"""The same of a file."""
_LABELS = frozenset((*IN_VARIABLES, *IN_FILES, "spec.restartPolicy", "spec.schedulerName", "status.phase"))
_ALIASES = {"spec.host": "spec.nodeName"}
_SUBSCRIPTED = re.compile(r"(.+?)\['(.*)'\]", re.DOTALL)
_RESOURCES = tuple(
    f"{kind}.{resource}" for kind in ("limits", "requests") for resource in ("cpu", "ephemeral-storage", "memory")
)
_HUGE_PAGES = ("limits.hugepages-", "requests.hugepages-")
_OF_BYTES = ("1", *(f"1{suffix}" for suffix in ("k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")))
_BYTES = f"only divisor's values {', '.join(_OF_BYTES)} are supported with the {{}} resource"
_DIVISORS = {
    "cpu": (("1m", "1"), "only divisor's values 1m and 1 are supported with the cpu resource"),
    "memory": (_OF_BYTES, _BYTES.format("memory")),
    "ephemeral-storage": (_OF_BYTES, _BYTES.format("local ephemeral storage")),
    "hugepages": (_OF_BYTES, _BYTES.format("hugepages")),
}
"""By resource: the divisors there may be, and what is said of any other."""


def field_reference(given: Obj, path: str, errors: Errors, known: tuple[str, ...]) -> None:
    """A ``fieldRef``; ``known`` is what it may refer to whole, in the order in which it is told."""
    version, where = given.get("apiVersion", ""), given.get("fieldPath", "")
    if not version:
        errors.required(f"{path}.apiVersion")
        return
    if not where:
        errors.required(f"{path}.fieldPath")
        return
    problem = _unconvertible(version, where)
    if problem:
        errors.invalid(f"{path}.fieldPath", where, f"error converting fieldPath: {problem}")
        return
    found = _SUBSCRIPTED.fullmatch(where)
    if found is not None:
        key = found[2].lower() if found[1] == "metadata.annotations" else found[2]
        for each in qualified_name(key):
            errors.invalid(path, key, each)
    elif _ALIASES.get(where, where) not in known:
        errors.not_supported(f"{path}.fieldPath", where, known)


def _unconvertible(version: str, where: str) -> str:
    """Why no pod has such a field; "" when it has (``ConvertDownwardAPIFieldLabel``)."""
    if version != "v1":
        return f"unsupported pod version: {version}"
    found = _SUBSCRIPTED.fullmatch(where)
    if found is not None:
        subscriptable = found[1] in ("metadata.annotations", "metadata.labels")
        return "" if subscriptable else f"field label does not support subscript: {where}"
    return "" if _ALIASES.get(where, where) in _LABELS else f"field label not supported: {where}"


def resource_reference(given: Obj, path: str, errors: Errors, *, container: bool) -> None:
    """A ``resourceFieldRef``; ``container`` when it must say whose resource it is, as files must."""
    name = given.get("resource", "")
    if container and not given.get("containerName"):
        errors.required(f"{path}.containerName")
    elif not name:
        errors.required(f"{path}.resource")
    elif name not in _RESOURCES and not name.startswith(_HUGE_PAGES):
        errors.not_supported(f"{path}.resource", name, _RESOURCES)
    divisor = str(given.get("divisor") or "0")
    kind = "hugepages" if name.startswith(_HUGE_PAGES) else name.partition(".")[2]
    if quantity.parse(divisor) and (kind == "hugepages" or name in _RESOURCES):
        supported, otherwise = _DIVISORS[kind]
        if quantity.canonical(divisor) not in supported:
            errors.invalid(f"{path}.divisor", name, otherwise)
