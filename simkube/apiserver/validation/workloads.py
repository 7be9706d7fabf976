"""Deployments, replica sets, controller revisions (``pkg/apis/apps/validation``)."""

from __future__ import annotations

import re
from typing import Any

from simkube.apiserver.field import Errors
from simkube.apiserver.validation.metadata import annotation_map, labels
from simkube.apiserver.validation.pods import pod_spec
from simkube.apiserver.validation.selector import label_selector
from simkube.client import Obj
from simkube.labels import matches

_NEGATIVE = "must be greater than or equal to 0"


def _not_negative(value: Any, path: str, errors: Errors) -> None:
    if isinstance(value, int) and value < 0:
        errors.invalid(path, value, _NEGATIVE)


def deployment(obj: Obj, errors: Errors) -> None:
    """Selector and template, replicas, strategy."""
    spec = obj["spec"]
    _not_negative(spec.get("replicas"), "spec.replicas", errors)
    _selector(spec, errors)
    _template(spec, errors, only_always=True)
    _strategy(spec.get("strategy", {}), errors)
    _not_negative(spec.get("minReadySeconds"), "spec.minReadySeconds", errors)
    _not_negative(spec.get("revisionHistoryLimit"), "spec.revisionHistoryLimit", errors)
    deadline = spec.get("progressDeadlineSeconds")
    if deadline is not None:
        _not_negative(deadline, "spec.progressDeadlineSeconds", errors)
        if deadline <= spec.get("minReadySeconds", 0):
            errors.invalid("spec.progressDeadlineSeconds", deadline, "must be greater than minReadySeconds")


def deployment_update(new: Obj, old: Obj, errors: Errors) -> None:
    """The selector never changes."""
    _same_selector(new, old, errors)


def deployment_status(new: Obj, _: Obj, errors: Errors) -> None:
    """Counts are not negative and fit one another."""
    status = new.get("status", {})
    for name in ("observedGeneration", "replicas", "updatedReplicas", "readyReplicas", "availableReplicas"):
        _not_negative(status.get(name), f"status.{name}", errors)
    _at_most_replicas(status, ("updatedReplicas", "readyReplicas", "availableReplicas"), errors)


def replica_set(obj: Obj, errors: Errors) -> None:
    """Selector and template, replicas."""
    spec = obj["spec"]
    _not_negative(spec.get("replicas"), "spec.replicas", errors)
    _not_negative(spec.get("minReadySeconds"), "spec.minReadySeconds", errors)
    _selector(spec, errors)
    _template(spec, errors, only_always=True)


def replica_set_update(new: Obj, old: Obj, errors: Errors) -> None:
    """The selector never changes."""
    _same_selector(new, old, errors)


def replica_set_status(new: Obj, _: Obj, errors: Errors) -> None:
    """Counts are not negative and fit one another."""
    status = new.get("status", {})
    for name in ("replicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas", "observedGeneration"):
        _not_negative(status.get(name), f"status.{name}", errors)
    _at_most_replicas(status, ("fullyLabeledReplicas", "readyReplicas", "availableReplicas"), errors)


def _at_most_replicas(status: Obj, names: tuple[str, ...], errors: Errors) -> None:
    replicas = status.get("replicas", 0)
    for name in names:
        if status.get(name, 0) > replicas:
            errors.invalid(f"status.{name}", status[name], "cannot be greater than status.replicas")
    if status.get("availableReplicas", 0) > status.get("readyReplicas", 0):
        errors.invalid("status.availableReplicas", status["availableReplicas"], "cannot be greater than readyReplicas")


def controller_revision(obj: Obj, errors: Errors) -> None:
    """A revision has data and a number."""
    if obj.get("data") is None:
        errors.required("data", "data is mandatory")
    _not_negative(obj.get("revision"), "revision", errors)


def controller_revision_update(new: Obj, old: Obj, errors: Errors) -> None:
    """Its data never changes."""
    if new.get("data") != old.get("data"):
        errors.invalid("data", new.get("data"), "field is immutable")


def _selector(spec: Obj, errors: Errors) -> None:
    selector = spec.get("selector")
    if selector is None:
        errors.required("spec.selector")
        return
    label_selector(selector, "spec.selector", errors)
    if not selector.get("matchLabels") and not selector.get("matchExpressions"):
        errors.invalid("spec.selector", selector, "empty selector is invalid for deployment")


def _template(spec: Obj, errors: Errors, *, only_always: bool) -> None:
    template = spec.get("template", {})
    meta = template.get("metadata", {})
    found = meta.get("labels", {})
    if not matches(spec.get("selector"), found):
        errors.invalid("spec.template.metadata.labels", found or None, "`selector` does not match template `labels`")
    labels(found, "spec.template.labels", errors)
    annotation_map(meta.get("annotations", {}), "spec.template.annotations", errors)
    body = template.get("spec", {})
    pod_spec(body, "spec.template.spec", errors)
    if only_always and body.get("restartPolicy") not in (None, "Always"):
        errors.not_supported("spec.template.spec.restartPolicy", body["restartPolicy"], ("Always",))
    if only_always and body.get("activeDeadlineSeconds") is not None:
        errors.forbidden(
            "spec.template.spec.activeDeadlineSeconds", "activeDeadlineSeconds in Deployment is not Supported"
        )


def _same_selector(new: Obj, old: Obj, errors: Errors) -> None:
    if new["spec"].get("selector") != old["spec"].get("selector"):
        errors.invalid("spec.selector", new["spec"].get("selector"), "field is immutable")


def _strategy(strategy: Obj, errors: Errors) -> None:
    kind = strategy.get("type", "")
    if kind == "Recreate":
        if strategy.get("rollingUpdate") is not None:
            errors.forbidden("spec.strategy.rollingUpdate", "may not be specified when strategy `type` is 'Recreate'")
    elif kind == "RollingUpdate":
        _rolling(strategy.get("rollingUpdate") or {}, errors)
    else:
        errors.not_supported("spec.strategy.type", kind, ("Recreate", "RollingUpdate"))


def _rolling(update: Obj, errors: Errors) -> None:
    path = "spec.strategy.rollingUpdate"
    unavailable, surge = update.get("maxUnavailable", 0), update.get("maxSurge", 0)
    ok = _count(unavailable, f"{path}.maxUnavailable", errors)
    ok = _count(surge, f"{path}.maxSurge", errors) and ok
    if ok and _is_zero(unavailable) and _is_zero(surge):
        errors.invalid(f"{path}.maxUnavailable", unavailable, "may not be 0 when `maxSurge` is 0")
    if ok and isinstance(unavailable, str) and int(unavailable[:-1]) > 100:
        errors.invalid(f"{path}.maxUnavailable", unavailable, "must not be greater than 100%")


def _is_zero(value: Any) -> bool:
    return bool(value == 0 or value == "0%")


def _count(value: Any, path: str, errors: Errors) -> bool:
    """A number or a percentage."""
    if isinstance(value, str):
        if re.fullmatch(r"[0-9]+%", value):
            return True
        detail = "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', "
        errors.invalid(path, value, detail + "regex used for validation is '[0-9]+%')")
        return False
    _not_negative(value, path, errors)
    return isinstance(value, int) and value >= 0
