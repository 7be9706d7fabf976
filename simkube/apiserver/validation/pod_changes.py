"""What may change in a pod that is there: next to nothing (``ValidatePodUpdate``)."""

from __future__ import annotations

from typing import Any

from simkube.apiserver.field import Errors
from simkube.client import Obj

_ONLY = (
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)
_CHECKED_APART = ("activeDeadlineSeconds", "tolerations", "schedulingGates")


def pod_update(new: Obj, old: Obj, errors: Errors) -> None:
    """Images, tolerations and the deadline may change; metadata may; the rest may not."""
    now, before = new["spec"], old["spec"]
    for name in ("containers", "initContainers"):
        if len(now.get(name, ())) != len(before.get(name, ())):
            errors.forbidden(f"spec.{name}", "pod updates may not add or remove containers")
            return
    _deadline(now, before, errors)
    _tolerations(now, before, errors)
    _gates(now, before, errors)
    if _rest(now) != _rest(before):
        errors.forbidden("spec", f"{_ONLY}\n{_difference(before, now)}")


def _rest(spec: Obj) -> Obj:
    rest = {key: value for key, value in spec.items() if key not in _CHECKED_APART}
    for name in ("containers", "initContainers"):
        if name in rest:
            rest[name] = [{**container, "image": ""} for container in rest[name]]
    return rest


def _deadline(now: Obj, before: Obj, errors: Errors) -> None:
    path, had, has = "spec.activeDeadlineSeconds", before.get("activeDeadlineSeconds"), now.get("activeDeadlineSeconds")
    if had is None or has == had:
        return
    if has is None:
        errors.invalid(path, None, "must not update from a positive integer to nil value")
    elif has > had:
        errors.invalid(path, has, "must be less than or equal to previous value")


def _tolerations(now: Obj, before: Obj, errors: Errors) -> None:
    left = [dict(each, tolerationSeconds=None) for each in now.get("tolerations", ())]
    for each in before.get("tolerations", ()):
        if dict(each, tolerationSeconds=None) not in left:
            detail = "existing toleration can not be modified except its tolerationSeconds"
            errors.forbidden("spec.tolerations", detail)
            return


def _gates(now: Obj, before: Obj, errors: Errors) -> None:
    had = [each["name"] for each in before.get("schedulingGates") or ()]
    for each in now.get("schedulingGates") or ():
        if each["name"] not in had:
            detail = f"only deletion is allowed, but found new scheduling gate '{each['name']}'"
            errors.forbidden("spec.schedulingGates", detail)


def _difference(before: Any, now: Any) -> str:
    """Which field changed and how: a real API server prints a difference of its internal structs here."""
    lines: list[str] = []
    _compare(_rest(before), _rest(now), "spec", lines)
    return "\n".join(lines[:20])


def _compare(before: Any, now: Any, path: str, lines: list[str]) -> None:
    if before == now:
        return
    if isinstance(before, dict) and isinstance(now, dict):
        for key in sorted(before.keys() | now.keys()):
            _compare(before.get(key), now.get(key), f"{path}.{key}", lines)
    elif isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        for index, (one, other) in enumerate(zip(before, now, strict=True)):
            _compare(one, other, f"{path}[{index}]", lines)
    else:
        lines += [f"- {path}: {before}", f"+ {path}: {now}"]


def status_update(new: Obj, old: Obj, errors: Errors) -> None:
    """A pod does not leave its node, and names no other nominated node than a valid one."""
    had, has = old["spec"].get("nodeName"), new["spec"].get("nodeName")
    if had != has:
        errors.forbidden("spec.nodeName", "may not be changed directly")
