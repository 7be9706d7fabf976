"""Config maps, secrets, namespaces, events, leases."""

from __future__ import annotations

import base64
from typing import Any

from simkube.apiserver.validation.field import Errors
from simkube.apiserver.validation.metadata import config_key
from simkube.client.client import Obj

_MOST_BYTES = 1024 * 1024
_FROZEN = "field is immutable when `immutable` is set"
_NEEDED = {
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
}


def config_map(obj: Obj, errors: Errors) -> None:
    """Keys, no key twice, 1 MiB in all."""
    size = 0
    binary = obj.get("binaryData", {})
    for key, value in sorted(obj.get("data", {}).items()):
        for problem in config_key(key):
            errors.invalid(f"data[{key}]", key, problem)
        if key in binary:
            errors.invalid(f"data[{key}]", key, "duplicate of key present in binaryData")
        size += len(value.encode())
    for key, value in sorted(binary.items()):
        for problem in config_key(key):
            errors.invalid(f"binaryData[{key}]", key, problem)
        size += len(base64.b64decode(value))
    if size > _MOST_BYTES:
        errors.too_long("[]", f"may not be more than {_MOST_BYTES} bytes")


def config_map_update(new: Obj, old: Obj, errors: Errors) -> None:
    """An immutable config map stays as it is."""
    _frozen(new, old, ("data", "binaryData"), errors)


def _frozen(new: Obj, old: Obj, fields: tuple[str, ...], errors: Errors) -> None:
    if not old.get("immutable"):
        return
    if not new.get("immutable"):
        errors.forbidden("immutable", _FROZEN)
    for name in fields:
        if new.get(name, {}) != old.get(name, {}):
            errors.forbidden(name, _FROZEN)


def secret(obj: Obj, errors: Errors) -> None:
    """Keys, 1 MiB in all, and what its type needs."""
    data: dict[str, Any] = obj.get("data", {})
    size = 0
    for key, value in sorted(data.items()):
        for problem in config_key(key):
            errors.invalid(f"data[{key}]", key, problem)
        size += len(base64.b64decode(value))
    if size > _MOST_BYTES:
        errors.too_long("data", f"may not be more than {_MOST_BYTES} bytes")
    kind = obj.get("type", "")
    for key in _NEEDED.get(kind, ()):
        if key not in data:
            errors.required(f"data[{key}]")
    if kind == "kubernetes.io/basic-auth" and not {"username", "password"} & set(data):
        errors.required("data[username]")
        errors.required("data[password]")
    if kind == "kubernetes.io/service-account-token":
        name = obj["metadata"].get("annotations", {}).get("kubernetes.io/service-account.name")
        if not name:
            errors.required("metadata.annotations[kubernetes.io/service-account.name]")


def secret_update(new: Obj, old: Obj, errors: Errors) -> None:
    """The type never changes; an immutable secret stays as it is."""
    if new.get("type") != old.get("type"):
        errors.invalid("type", new.get("type", ""), "field is immutable")
    _frozen(new, old, ("data",), errors)


def event(obj: Obj, errors: Errors) -> None:
    """An event lies in the namespace of what it is about; one about a cluster-scoped object in ``default``."""
    about = obj.get("involvedObject", {}).get("namespace", "")
    where = obj["metadata"].get("namespace", "")
    if about != where and not (about == "" and where in ("default", "kube-system")):
        errors.invalid("involvedObject.namespace", about, "does not match event.namespace")


def new_event(obj: Obj, errors: Errors) -> None:
    """An event that comes through ``events.k8s.io/v1``, which demands what the core group does not."""
    event(obj, errors)
    if obj.get("eventTime") is None:
        errors.required("eventTime")
    kind = obj.get("type", "")
    if kind not in ("Normal", "Warning"):
        errors.invalid("type", kind, f"has invalid value: {kind}")


def changed_event(new: Obj, _old: Obj, errors: Errors) -> None:
    """A change through ``events.k8s.io/v1``."""
    event(new, errors)


def lease(obj: Obj, errors: Errors) -> None:
    """A lease lasts a while and has changed hands a number of times."""
    spec = obj.get("spec", {})
    if spec.get("leaseDurationSeconds", 1) <= 0:
        errors.invalid("spec.leaseDurationSeconds", spec["leaseDurationSeconds"], "must be greater than 0")
    if spec.get("leaseTransitions", 0) < 0:
        errors.invalid("spec.leaseTransitions", spec["leaseTransitions"], "must be greater than or equal to 0")
