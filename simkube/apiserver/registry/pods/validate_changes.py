"""What may change in a pod that is there: next to nothing (``ValidatePodUpdate``)."""

from __future__ import annotations

from simkube.apiserver.registry.pods.internal_types import difference
from simkube.apiserver.validation.field import Errors
from simkube.client.client import Obj

_ONLY = (
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)
_CHECKED_APART = ("activeDeadlineSeconds", "tolerations", "schedulingGates")


def pod_update(new: Obj, old: Obj, errors: Errors) -> None:
    """Images, tolerations and the deadline may change; gates may go, and with them what they held open; no more."""
    now, before = new["spec"], old["spec"]
    for name in ("containers", "initContainers"):
        if len(now.get(name, ())) != len(before.get(name, ())):
            errors.forbidden(f"spec.{name}", "pod updates may not add or remove containers")
            return
    _deadline(now, before, errors)
    _tolerations(now, before, errors)
    _gates(now, before, errors)
    left = _as_before(now, before)
    if before.get("schedulingGates"):
        _directives(left, before, errors)
    if left != before:
        errors.forbidden("spec", f"{_ONLY}\n{difference(before, left, 'PodSpec')}")


def _as_before(now: Obj, before: Obj) -> Obj:
    """The new spec with what may change as it was."""
    left = {key: value for key, value in now.items() if key not in _CHECKED_APART}
    left |= {key: before[key] for key in _CHECKED_APART if key in before}
    for name in ("containers", "initContainers"):
        if name in left:
            pairs = zip(left[name], before[name], strict=True)
            left[name] = [{**container, "image": old.get("image", "")} for container, old in pairs]
    if before.get("terminationGracePeriodSeconds", 0) < 0 and now.get("terminationGracePeriodSeconds") == 1:
        left["terminationGracePeriodSeconds"] = before["terminationGracePeriodSeconds"]
    return left


def _directives(left: Obj, before: Obj, errors: Errors) -> None:
    """While gates hold a pod back, where it may go can be narrowed; ``left`` gets what was there before."""
    had, has = before.get("nodeSelector", {}), left.get("nodeSelector", {})
    if any(has.get(key) != value for key, value in had.items()):
        detail = "only additions to spec.nodeSelector are allowed (no mutations or deletions)"
        errors.invalid("spec.nodeSelector", has or None, detail)
    _put_back(left, before, "nodeSelector")
    was, is_now = _terms(before), _terms(left)
    path = "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms"
    if was and len(was) != len(is_now):
        errors.invalid(path, is_now, "no additions/deletions to non-empty NodeSelectorTerms list are allowed")
    elif was:
        for index, (one, other) in enumerate(zip(was, is_now, strict=True)):
            for name in ("matchExpressions", "matchFields"):
                kept = other.get(name, [])[: len(one.get(name, []))]
                if kept != one.get(name, []):
                    detail = "only additions are allowed (no mutations or deletions)"
                    errors.invalid(f"{path}[{index}]", other, detail)
                    break
    affinity = {**left.get("affinity", {})}
    _put_back(affinity, before.get("affinity", {}), "nodeAffinity")
    left["affinity"] = affinity
    if not affinity and "affinity" not in before:
        del left["affinity"]


def _terms(spec: Obj) -> list[Obj]:
    required = spec.get("affinity", {}).get("nodeAffinity", {}).get("requiredDuringSchedulingIgnoredDuringExecution")
    terms: list[Obj] = (required or {}).get("nodeSelectorTerms", [])
    return terms


def _put_back(left: Obj, before: Obj, name: str) -> None:
    left.pop(name, None)
    if name in before:
        left[name] = before[name]


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


def status_update(new: Obj, old: Obj, errors: Errors) -> None:
    """A pod does not leave its node, and names no other nominated node than a valid one."""
    had, has = old["spec"].get("nodeName"), new["spec"].get("nodeName")
    if had != has:
        errors.forbidden("spec.nodeName", "may not be changed directly")
