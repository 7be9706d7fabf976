"""Deployments, replica sets, replication controllers, revisions, templates (``pkg/apis/{apps,core}/validation``)."""

from __future__ import annotations

from simkube.apimachinery.labels import matches
from simkube.apiserver.registry.pods.validation import pod_spec
from simkube.apiserver.validation.field import Errors
from simkube.apiserver.validation.metadata import annotation_map, labels
from simkube.apiserver.validation.numbers import at_most_all, immutable, is_zero, not_negative, number_or_percent
from simkube.apiserver.validation.selector import label_selector
from simkube.client.client import Obj

_MISMATCH = "`selector` does not match template `labels`"


def deployment(obj: Obj, errors: Errors) -> None:
    """Selector and template, replicas, strategy."""
    spec = obj["spec"]
    not_negative(spec.get("replicas"), "spec.replicas", errors)
    selects(spec, errors, "deployment")
    _template(spec["template"], errors)
    _strategy(spec.get("strategy", {}), errors)
    not_negative(spec.get("minReadySeconds"), "spec.minReadySeconds", errors)
    not_negative(spec.get("revisionHistoryLimit"), "spec.revisionHistoryLimit", errors)
    deadline = spec.get("progressDeadlineSeconds")
    if deadline is not None:
        not_negative(deadline, "spec.progressDeadlineSeconds", errors)
        if deadline <= spec.get("minReadySeconds", 0):
            errors.invalid("spec.progressDeadlineSeconds", deadline, "must be greater than minReadySeconds")


def deployment_update(new: Obj, old: Obj, errors: Errors) -> None:
    """The selector never changes."""
    _same_selector(new, old, errors)


def deployment_status(new: Obj, _: Obj, errors: Errors) -> None:
    """Counts are not negative and fit one another."""
    status = new.get("status", {})
    for name in ("observedGeneration", "replicas", "updatedReplicas", "readyReplicas", "availableReplicas"):
        not_negative(status.get(name), f"status.{name}", errors)
    _at_most_replicas(status, ("updatedReplicas", "readyReplicas", "availableReplicas"), errors)


def replica_set(obj: Obj, errors: Errors) -> None:
    """Selector and template, replicas."""
    spec = obj["spec"]
    not_negative(spec.get("replicas"), "spec.replicas", errors)
    not_negative(spec.get("minReadySeconds"), "spec.minReadySeconds", errors)
    selects(spec, errors, "deployment")
    _template(spec["template"], errors)


def replica_set_update(new: Obj, old: Obj, errors: Errors) -> None:
    """The selector never changes."""
    _same_selector(new, old, errors)


def replica_set_status(new: Obj, _: Obj, errors: Errors) -> None:
    """Counts are not negative and fit one another."""
    status = new.get("status", {})
    for name in ("replicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas", "observedGeneration"):
        not_negative(status.get(name), f"status.{name}", errors)
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
    elif not isinstance(obj["data"], dict):
        errors.required("data", "data must be a valid JSON object")
    not_negative(obj.get("revision"), "revision", errors)


def controller_revision_update(new: Obj, old: Obj, errors: Errors) -> None:
    """Its data never changes."""
    if new.get("data") != old.get("data"):
        errors.invalid("data", new.get("data"), "field is immutable")


def replication_controller(obj: Obj, errors: Errors) -> None:
    """Replicas, selector and template; the template may be missed out by no one."""
    spec = obj["spec"]
    not_negative(spec.get("minReadySeconds"), "spec.minReadySeconds", errors)
    selector, template = spec.get("selector", {}), spec.get("template")
    if not selector:
        errors.required("spec.selector")
    not_negative(spec.get("replicas"), "spec.replicas", errors)
    if template is None:
        errors.required("spec.template")
        return
    found = template["metadata"].get("labels", {})
    if selector and any(found.get(key) != value for key, value in selector.items()):
        errors.invalid("spec.template.metadata.labels", found or None, _MISMATCH)
    whole_template(template, "spec.template", errors)
    only_always(template["spec"], errors, "ReplicationController")


def replication_controller_status(new: Obj, old: Obj, errors: Errors) -> None:
    """Counts are not negative and fit one another."""
    replica_set_status(new, old, errors)


def template(obj: Obj, errors: Errors) -> None:
    """A pod template that is stored for itself."""
    whole_template(obj["template"], "template", errors)


def selects(spec: Obj, errors: Errors, kind: str, *, told: bool = False) -> None:
    """A workload's selector: given, well formed (unless ``told`` already), not empty, and its template's."""
    selector = spec.get("selector")
    found = spec["template"]["metadata"].get("labels", {})
    empty = selector is not None and not selector.get("matchLabels") and not selector.get("matchExpressions")
    if told:
        if selector is not None and not matches(selector, found):
            errors.invalid("spec.template.metadata.labels", found or None, _MISMATCH)
        if empty:
            errors.invalid("spec.selector", selector, f"empty selector is invalid for {kind}")
        return
    if selector is None:
        errors.required("spec.selector")
    else:
        label_selector(selector, "spec.selector", errors)
        if empty:
            errors.invalid("spec.selector", selector, f"empty selector is invalid for {kind}")
    if not empty and not matches(selector, found):
        errors.invalid("spec.template.metadata.labels", found or None, _MISMATCH)


def whole_template(template: Obj, path: str, errors: Errors) -> None:
    """A pod template: its labels, annotations and spec (``ValidatePodTemplateSpec``)."""
    template_labels(template, path, errors)
    pod_spec(template["spec"], f"{path}.spec", errors)
    if template["spec"].get("ephemeralContainers"):
        errors.forbidden(f"{path}.spec.ephemeralContainers", "ephemeral containers not allowed in pod template")


def template_labels(template: Obj, path: str, errors: Errors) -> None:
    """The labels and annotations of a template."""
    labels(template["metadata"].get("labels", {}), f"{path}.labels", errors)
    annotation_map(template["metadata"].get("annotations", {}), f"{path}.annotations", errors)


def only_always(body: Obj, errors: Errors, kind: str) -> None:
    """Pods that are kept running restart always and have no deadline."""
    path = "spec.template.spec"
    if body.get("restartPolicy") not in (None, "Always"):
        errors.not_supported(f"{path}.restartPolicy", body["restartPolicy"], ("Always",))
    if body.get("activeDeadlineSeconds") is not None:
        errors.forbidden(f"{path}.activeDeadlineSeconds", f"activeDeadlineSeconds in {kind} is not Supported")


def _template(given: Obj, errors: Errors) -> None:
    whole_template(given, "spec.template", errors)
    only_always(given["spec"], errors, "ReplicaSet")


def _same_selector(new: Obj, old: Obj, errors: Errors) -> None:
    immutable(new["spec"].get("selector"), old["spec"].get("selector"), "spec.selector", errors)


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
    number_or_percent(unavailable, f"{path}.maxUnavailable", errors)
    number_or_percent(surge, f"{path}.maxSurge", errors)
    if is_zero(unavailable) and is_zero(surge):
        errors.invalid(f"{path}.maxUnavailable", unavailable, "may not be 0 when `maxSurge` is 0")
    at_most_all(unavailable, f"{path}.maxUnavailable", errors)
