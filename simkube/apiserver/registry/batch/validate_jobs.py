"""Jobs: counts, modes, template, generated selector, and what may change (``pkg/apis/batch/validation``)."""

from __future__ import annotations

from typing import Any

from simkube.apimachinery.labels import matches
from simkube.apiserver.registry.apps.validation import whole_template
from simkube.apiserver.registry.batch.validate_indexes import IndexesError, count_indexes
from simkube.apiserver.registry.batch.validate_job_policies import failure_policy, success_policy
from simkube.apiserver.validation.field import Errors
from simkube.apiserver.validation.metadata import dns_label, domain_path
from simkube.apiserver.validation.numbers import immutable, not_negative
from simkube.apiserver.validation.selector import label_selector
from simkube.client.client import Obj

_COUNTS = (
    "parallelism",
    "completions",
    "activeDeadlineSeconds",
    "backoffLimit",
    "ttlSecondsAfterFinished",
    "backoffLimitPerIndex",
    "maxFailedIndexes",
)
_MOST_INDEXED = 100_000
_MOST_OF_MANY = 10_000
_MANY = 100_000
_SHORTEST_NAMES = 63
_DIRECTIVES = ("nodeSelector", "tolerations", "schedulingGates")
_TERMINAL = ("Failed", "Complete", "FailureTarget")


def job(obj: Obj, errors: Errors) -> None:
    """A job: the labels that were generated, the spec, a name that its pods' host names have room for."""
    spec, meta = obj["spec"], obj["metadata"]
    _generated(obj, errors)
    _whole_spec(spec, errors)
    completions = spec.get("completions")
    if spec.get("completionMode") == "Indexed" and completions:
        host = f"{meta.get('name', '')}-{completions - 1}"
        if dns_label(host):
            detail = f"will not able to create pod with invalid DNS label: {host}"
            errors.invalid("metadata.name", meta.get("name", ""), detail)


def _whole_spec(spec: Obj, errors: Errors) -> None:
    job_spec(spec, "spec", errors)
    selector = spec.get("selector")
    if selector is None:
        errors.required("spec.selector")
    else:
        label_selector(selector, "spec.selector", errors)
    labels = spec["template"]["metadata"].get("labels", {})
    if not matches(selector, labels):
        errors.invalid("spec.template.metadata.labels", labels or None, "`selector` does not match template `labels`")


def _generated(obj: Obj, errors: Errors) -> None:
    spec, meta = obj["spec"], obj["metadata"]
    if spec.get("manualSelector") or spec.get("selector") is None:
        return
    labels = spec["template"]["metadata"].get("labels", {})
    wanted = {}
    for prefix in ("", "batch.kubernetes.io/"):
        for name, value in (("controller-uid", meta.get("uid", "")), ("job-name", meta.get("name", ""))):
            wanted[prefix + name] = value
            path = f"spec.template.metadata.labels[{prefix}{name}]"
            if prefix + name not in labels:
                errors.required(path, f"must be '{value}'")
            elif labels[prefix + name] != value:
                errors.invalid(path, labels, f"must be '{value}'")
    if not matches(spec["selector"], wanted):
        errors.invalid("spec.selector", spec["selector"], "`selector` not auto-generated")


def job_spec(spec: Obj, path: str, errors: Errors) -> None:
    """The spec of a job, or of the jobs of a cron job."""
    for name in _COUNTS:
        not_negative(spec.get(name), f"{path}.{name}", errors)
    if spec.get("maxFailedIndexes") is not None and spec.get("backoffLimitPerIndex") is None:
        errors.required(f"{path}.backoffLimitPerIndex", "when maxFailedIndexes is specified")
    manager = spec.get("managedBy")
    if manager is not None:
        domain_path(manager, f"{path}.managedBy", errors)
        if len(manager) > _SHORTEST_NAMES:
            errors.too_long(f"{path}.managedBy", f"may not be more than {_SHORTEST_NAMES} bytes")
    _mode(spec, path, errors)
    if spec.get("podFailurePolicy") is not None:
        failure_policy(spec, f"{path}.podFailurePolicy", errors)
    if spec.get("successPolicy") is not None:
        success_policy(spec, f"{path}.successPolicy", errors)
    _replacement(spec, path, errors)
    whole_template(spec["template"], f"{path}.template", errors)
    _restart(spec, f"{path}.template.spec.restartPolicy", errors)


def _mode(spec: Obj, path: str, errors: Errors) -> None:
    mode = spec.get("completionMode", "NonIndexed")
    if mode not in ("NonIndexed", "Indexed"):
        errors.not_supported(f"{path}.completionMode", mode, ("NonIndexed", "Indexed"))
    elif mode == "Indexed":
        _indexed(spec, path, errors)
    else:
        for name in ("backoffLimitPerIndex", "maxFailedIndexes"):
            if spec.get(name) is not None:
                errors.invalid(f"{path}.{name}", spec[name], "requires indexed completion mode")


def _indexed(spec: Obj, path: str, errors: Errors) -> None:
    completions, parallelism = spec.get("completions"), spec.get("parallelism")
    failed = spec.get("maxFailedIndexes")
    if completions is None:
        errors.required(f"{path}.completions", "when completion mode is Indexed")
    if parallelism is not None and parallelism > _MOST_INDEXED:
        detail = f"must be less than or equal to {_MOST_INDEXED} when completion mode is Indexed"
        errors.invalid(f"{path}.parallelism", parallelism, detail)
    if completions is not None and failed is not None and failed > completions:
        errors.invalid(f"{path}.maxFailedIndexes", failed, "must be less than or equal to completions")
    if failed is not None and failed > _MOST_INDEXED:
        errors.invalid(f"{path}.maxFailedIndexes", failed, f"must be less than or equal to {_MOST_INDEXED}")
    if completions is None or completions <= _MANY or spec.get("backoffLimitPerIndex") is None:
        return
    if failed is None:
        errors.required(f"{path}.maxFailedIndexes", f"must be specified when completions is above {_MANY}")
    for name in ("parallelism", "maxFailedIndexes"):
        if (spec.get(name) or 0) > _MOST_OF_MANY:
            detail = (
                f"must be less than or equal to {_MOST_OF_MANY} when completions are above {_MANY} and used with "
                "backoff limit per index"
            )
            errors.invalid(f"{path}.{name}", spec[name], detail)


def _replacement(spec: Obj, path: str, errors: Errors) -> None:
    policy = spec.get("podReplacementPolicy")
    supported = ("Failed",) if spec.get("podFailurePolicy") is not None else ("Failed", "TerminatingOrFailed")
    if policy is not None and policy not in supported:
        errors.not_supported(f"{path}.podReplacementPolicy", policy, supported)


def _restart(spec: Obj, path: str, errors: Errors) -> None:
    policy = spec["template"]["spec"].get("restartPolicy", "")
    if policy in ("", "Always"):
        errors.required(path, 'valid values: "OnFailure", "Never"')
    elif policy not in ("OnFailure", "Never"):
        errors.not_supported(path, policy, ("OnFailure", "Never"))
    elif spec.get("podFailurePolicy") is not None and policy != "Never":
        errors.invalid(path, policy, 'only "Never" is supported when podFailurePolicy is specified')


def job_update(new: Obj, old: Obj, errors: Errors) -> None:
    """What a job does never changes; how much at a time may; where its pods go while it is suspended."""
    now, before = new["spec"], old["spec"]
    _completions(now, before, errors)
    immutable(now.get("selector"), before.get("selector"), "spec.selector", errors)
    kept = before["template"]
    if before.get("suspend") and old.get("status", {}).get("startTime") is None:
        kept = _redirected(now["template"], kept)
    immutable(now["template"], kept, "spec.template", errors)
    for name in ("completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy", "successPolicy"):
        immutable(now.get(name), before.get(name), f"spec.{name}", errors)


def _redirected(now: Obj, before: Obj) -> Obj:
    """The old template with what may be changed of a suspended job: labels, scheduling, resources."""
    meta = {**before["metadata"], **{k: now["metadata"][k] for k in ("labels", "annotations") if k in now["metadata"]}}
    meta = {key: value for key, value in meta.items() if key in now["metadata"] or key not in ("labels", "annotations")}
    spec = {key: value for key, value in before["spec"].items() if key not in (*_DIRECTIVES, "affinity")}
    spec |= {key: now["spec"][key] for key in _DIRECTIVES if key in now["spec"]}
    spec |= _with_node_affinity(now["spec"].get("affinity"), before["spec"].get("affinity"))
    for name in ("containers", "initContainers"):
        if len(now["spec"].get(name, ())) == len(spec.get(name, ())) and name in spec:
            pairs = zip(spec[name], now["spec"][name], strict=True)
            spec[name] = [{**one, "resources": other.get("resources", {})} for one, other in pairs]
    return {**before, "metadata": meta, "spec": spec}


def _with_node_affinity(now: Any, before: Any) -> Obj:
    kept = {key: value for key, value in (before or {}).items() if key != "nodeAffinity"}
    if "nodeAffinity" in (now or {}):
        kept["nodeAffinity"] = now["nodeAffinity"]
    return {"affinity": kept} if kept or now is not None else {}


def _completions(now: Obj, before: Obj, errors: Errors) -> None:
    has, had = now.get("completions"), before.get("completions")
    if now.get("completionMode") != "Indexed":
        immutable(has, had, "spec.completions", errors)
    elif has is not None and has != had and has != now.get("parallelism"):
        errors.invalid("spec.completions", has, "can only be modified in tandem with spec.parallelism")


def job_status(new: Obj, old: Obj, errors: Errors) -> None:
    """Counters are not negative and do not fall; a job that has ended stays ended."""
    status, before = new.get("status", {}), old.get("status", {})
    for name in ("active", "succeeded", "failed", "ready", "terminating"):
        not_negative(status.get(name), f"status.{name}", errors)
    true, was = _true(status), _true(before)
    if {"Complete", "Failed"} <= true:
        errors.refused("status.conditions", "cannot set Complete=True and Failed=true conditions")
    if "Complete" in true and not status.get("completionTime"):
        errors.required("status.completionTime", "completionTime is required for Complete jobs")
    if status.get("completionTime") and "Complete" not in true:
        detail = "cannot set completionTime when there is no Complete=True condition"
        errors.invalid("status.completionTime", status["completionTime"], detail)
    if true & {"Complete", "Failed"} and not status.get("startTime"):
        errors.required("status.startTime", "startTime is required for finished job")
    if true & {"Complete", "Failed"} and status.get("active", 0) > 0:
        errors.invalid("status.active", status["active"], "active>0 is invalid for finished job")
    _done_indexes(new, errors)
    for name in _TERMINAL:
        if name in was - true:
            errors.refused("status.conditions", f"cannot disable the terminal {name}=True condition")
    for name in ("failed", "succeeded"):
        if status.get(name, 0) < before.get(name, 0):
            errors.invalid(f"status.{name}", status.get(name, 0), f"cannot decrease the {name} counter")


def _done_indexes(new: Obj, errors: Errors) -> None:
    status, spec = new.get("status", {}), new["spec"]
    text = status.get("completedIndexes", "")
    if text and spec.get("completionMode") != "Indexed":
        detail = "cannot set non-empty completedIndexes when non-indexed completion mode"
        errors.invalid("status.completedIndexes", text, detail)
    elif text and spec.get("completions") is not None:
        try:
            count_indexes(text, spec["completions"])
        except IndexesError as error:
            errors.invalid("status.completedIndexes", text, f"error parsing completedIndexes: {error}")


def _true(status: Obj) -> set[str]:
    return {each.get("type", "") for each in status.get("conditions", ()) if each.get("status") == "True"}
