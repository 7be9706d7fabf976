"""Stateful sets and daemon sets (``ValidateStatefulSetSpec``, ``ValidateDaemonSetSpec``)."""

from __future__ import annotations

from simkube.apiserver.registry.apps.validation import only_always, selects, template_labels, whole_template
from simkube.apiserver.registry.storage.validate_volumes import claim_spec
from simkube.apiserver.validation.field import Errors
from simkube.apiserver.validation.metadata import dns_label
from simkube.apiserver.validation.numbers import at_most_all, immutable, is_zero, not_negative, number_or_percent
from simkube.apiserver.validation.selector import label_selector
from simkube.client.client import Obj

_MAY_CHANGE = (
    "replicas",
    "template",
    "updateStrategy",
    "minReadySeconds",
    "ordinals",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
)
_FROZEN = (
    "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', "
    "'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"
)
_STATEFUL_COUNTS = (
    "replicas",
    "readyReplicas",
    "currentReplicas",
    "updatedReplicas",
    "availableReplicas",
    "observedGeneration",
    "collisionCount",
)
_DAEMON_COUNTS = (
    "currentNumberScheduled",
    "numberMisscheduled",
    "desiredNumberScheduled",
    "numberReady",
    "observedGeneration",
    "updatedNumberScheduled",
    "numberAvailable",
    "numberUnavailable",
    "collisionCount",
)


def stateful_set(obj: Obj, errors: Errors) -> None:
    """Order, strategy, claims, counts, selector and template."""
    _stateful(obj["spec"], errors, new=True)


def stateful_set_update(new: Obj, old: Obj, errors: Errors) -> None:
    """Most of its spec never changes."""
    names = (new["spec"].keys() | old["spec"].keys()) - set(_MAY_CHANGE)
    if any(new["spec"].get(name) != old["spec"].get(name) for name in names):
        errors.forbidden("spec", _FROZEN)


def _stateful(spec: Obj, errors: Errors, *, new: bool) -> None:
    order = spec.get("podManagementPolicy", "")
    if not order:
        errors.required("spec.podManagementPolicy")
    elif order not in ("OrderedReady", "Parallel"):
        errors.invalid("spec.podManagementPolicy", order, "must be 'OrderedReady' or 'Parallel'")
    _stateful_strategy(spec.get("updateStrategy", {}), errors)
    for name in ("whenDeleted", "whenScaled"):
        policy = spec.get("persistentVolumeClaimRetentionPolicy", {}).get(name, "")
        if policy not in ("Retain", "Delete"):
            path = f"spec.persistentVolumeClaimRetentionPolicy.{name}"
            errors.not_supported(path, policy, ("Retain", "Delete"))
    for index, claim in enumerate(spec.get("volumeClaimTemplates", ())):
        claim_spec(claim["spec"], f"spec.volumeClaimTemplates[{index}].spec", errors)
    not_negative(spec.get("replicas"), "spec.replicas", errors)
    not_negative(spec.get("minReadySeconds"), "spec.minReadySeconds", errors)
    not_negative(spec.get("ordinals", {}).get("start"), "spec.ordinals.start", errors)
    service = spec.get("serviceName", "")
    for problem in dns_label(service) if service and new else ():
        errors.invalid("spec.serviceName", service, problem)
    selects(spec, errors, "statefulset")
    _stateful_template(spec, errors)


def _stateful_strategy(strategy: Obj, errors: Errors) -> None:
    kind, path = strategy.get("type", ""), "spec.updateStrategy"
    update = strategy.get("rollingUpdate")
    if kind == "OnDelete":
        if update is not None:
            errors.invalid(f"{path}.rollingUpdate", update, "only allowed for updateStrategy 'RollingUpdate'")
    elif kind == "RollingUpdate":
        given = update or {}
        not_negative(given.get("partition"), f"{path}.rollingUpdate.partition", errors)
        most = given.get("maxUnavailable")
        if most is not None:
            where = f"{path}.rollingUpdate.maxUnavailable"
            number_or_percent(most, where, errors)
            if is_zero(most):
                errors.invalid(where, most, "cannot be 0")
            at_most_all(most, where, errors)
    elif kind:
        errors.invalid(path, strategy, "must be 'RollingUpdate' or 'OnDelete'")
    else:
        errors.required(path)


def _stateful_template(spec: Obj, errors: Errors) -> None:
    """The template with the volumes that its claims become, and without the names that its pods are given."""
    template = spec["template"]
    claims = [claim.get("metadata", {}).get("name", "") for claim in spec.get("volumeClaimTemplates", ())]
    body = {key: value for key, value in template["spec"].items() if key not in ("subdomain", "hostname")}
    if claims:
        made = [{"name": name, "persistentVolumeClaim": {"claimName": name}} for name in dict.fromkeys(claims)]
        body["volumes"] = [*made, *(each for each in body.get("volumes", ()) if each.get("name") not in claims)]
    whole_template({**template, "spec": body}, "spec.template", errors)
    template_labels(template, "spec.template", errors)
    only_always(template["spec"], errors, "StatefulSet")


def stateful_set_status(new: Obj, old: Obj, errors: Errors) -> None:
    """Counts are not negative and fit one another."""
    status = new.get("status", {})
    for name in _STATEFUL_COUNTS:
        not_negative(status.get(name), f"status.{name}", errors)
    for name in ("readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas"):
        if status.get(name, 0) > status.get("replicas", 0):
            errors.invalid(f"status.{name}", status[name], "cannot be greater than status.replicas")
    available = status.get("availableReplicas", 0)
    if available > status.get("readyReplicas", 0):
        errors.invalid("status.availableReplicas", available, "cannot be greater than status.readyReplicas")
    _collisions(new, old, errors)


def _collisions(new: Obj, old: Obj, errors: Errors) -> None:
    count = new.get("status", {}).get("collisionCount") or 0
    if count < (old.get("status", {}).get("collisionCount") or 0):
        errors.invalid("status.collisionCount", count, "cannot be decremented")


def daemon_set(obj: Obj, errors: Errors) -> None:
    """Selector and template, counts, strategy."""
    spec = obj["spec"]
    if spec.get("selector") is None:
        errors.required("spec.selector")
    else:
        label_selector(spec["selector"], "spec.selector", errors)
    selects(spec, errors, "daemonset", told=True)
    whole_template(spec["template"], "spec.template", errors)
    only_always(spec["template"]["spec"], errors, "DaemonSet")
    not_negative(spec.get("minReadySeconds"), "spec.minReadySeconds", errors)
    _daemon_strategy(spec.get("updateStrategy", {}), errors)
    not_negative(spec.get("revisionHistoryLimit"), "spec.revisionHistoryLimit", errors)


def daemon_set_update(new: Obj, old: Obj, errors: Errors) -> None:
    """The selector never changes."""
    immutable(new["spec"].get("selector"), old["spec"].get("selector"), "spec.selector", errors)


def _daemon_strategy(strategy: Obj, errors: Errors) -> None:
    kind, path = strategy.get("type", ""), "spec.updateStrategy"
    if kind == "OnDelete":
        return
    if kind != "RollingUpdate":
        errors.not_supported(path, strategy, ("RollingUpdate", "OnDelete"))
        return
    update, where = strategy.get("rollingUpdate", {}), f"{path}.rollingUpdate"
    unavailable, surge = update.get("maxUnavailable", 0), update.get("maxSurge", 0)
    number_or_percent(unavailable, f"{where}.maxUnavailable", errors)
    number_or_percent(surge, f"{where}.maxSurge", errors)
    at_most_all(unavailable, f"{where}.maxUnavailable", errors)
    at_most_all(surge, f"{where}.maxSurge", errors)
    if not is_zero(unavailable) and not is_zero(surge):
        errors.invalid(f"{where}.maxSurge", surge, "may not be set when maxUnavailable is non-zero")
    elif is_zero(unavailable) and is_zero(surge):
        errors.required(f"{where}.maxUnavailable", "cannot be 0 when maxSurge is 0")


def daemon_set_status(new: Obj, old: Obj, errors: Errors) -> None:
    """Counts are not negative."""
    for name in _DAEMON_COUNTS:
        not_negative(new.get("status", {}).get(name), f"status.{name}", errors)
    _collisions(new, old, errors)
