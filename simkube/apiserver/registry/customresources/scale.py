"""The Scale of a custom object: replicas and selector read from, and written to, the paths its definition names.

After ``apiextensions-apiserver/pkg/registry/customresource`` (``scaleFromCustomResource``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from simkube.apimachinery.errors import StatusError
from simkube.apiserver.validation.field import Errors
from simkube.client.client import Obj

_KEPT = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
_MOST = (1 << 31) - 1


@dataclass(frozen=True, slots=True)
class ScalePaths:
    """Where in an object the parts of a Scale are; ``selector`` is () when it has none."""

    spec: tuple[str, ...]
    status: tuple[str, ...]
    selector: tuple[str, ...]

    @staticmethod
    def of(given: Obj) -> ScalePaths:
        """From ``subresources.scale`` of a definition."""
        paths = (given.get(f"{name}Path", "") for name in ("specReplicas", "statusReplicas", "labelSelector"))
        return ScalePaths(*(tuple(path.strip(".").split(".")) if path else () for path in paths))


def get(obj: Any, path: tuple[str, ...]) -> Any:
    """The value at a path; None when there is none."""
    for name in path:
        obj = obj.get(name) if isinstance(obj, dict) else None
    return obj


def scale_of(obj: Obj, paths: ScalePaths) -> Obj:
    """The ``Scale``; 500 as the API server's when the object has no replicas."""
    replicas = get(obj, paths.spec)
    if replicas is None:
        path = "." + ".".join(paths.spec)
        raise StatusError(
            500,
            "InternalError",
            f"Internal error occurred: the spec replicas field {path!r} does not exist".replace("'", '"'),
        )
    status: Obj = {"replicas": get(obj, paths.status) or 0}
    selector = get(obj, paths.selector) if paths.selector else None
    if isinstance(selector, str) and selector:
        status["selector"] = selector
    meta = obj["metadata"]
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {key: meta[key] for key in _KEPT if key in meta},
        "spec": {"replicas": replicas} if replicas else {},
        "status": status,
    }


def scaled(obj: Obj, paths: ScalePaths, replicas: int) -> Obj:
    """The object with other replicas; shares what did not change."""
    made = dict(obj)
    below = made
    for name in paths.spec[:-1]:
        inner = below.get(name)
        below[name] = dict(inner) if isinstance(inner, dict) else {}
        below = below[name]
    below[paths.spec[-1]] = replicas
    return made


def check_scale(paths: ScalePaths, obj: Obj, errors: Errors) -> None:
    """Replicas must be numbers from 0 to those of 32 bits; a selector must be a string."""
    for path in (paths.spec, paths.status):
        value, name = get(obj, path), "." + ".".join(path)
        if value is None:
            continue
        if not isinstance(value, int) or isinstance(value, bool):
            errors.invalid(
                name[1:], value, f"{name} accessor error: {value} is of the type {_go(value)}, expected int64"
            )
        elif value < 0:
            errors.invalid(name, value, "should be a non-negative integer")
        elif value > _MOST:
            errors.invalid(name, value, f"should be less than or equal to {_MOST}")


def _go(value: Any) -> str:
    kinds = {bool: "bool", str: "string", float: "float64", list: "[]interface {}"}
    return kinds.get(type(value), "map[string]interface {}")
