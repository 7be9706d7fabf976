"""Volumes and claims (``ValidatePersistentVolume*`` of ``pkg/apis/core/validation``)."""

from __future__ import annotations

import difflib
import json
from typing import Any

from simkube.apimachinery import quantity
from simkube.apiserver.registry.storage.validate_sources import driver_name, source
from simkube.apiserver.validation.field import Errors
from simkube.apiserver.validation.metadata import dns_label, subdomain
from simkube.apiserver.validation.node_selector import node_selector
from simkube.apiserver.validation.selector import label_selector
from simkube.client.client import Obj

MODES = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")
_VOLUME_MODES = ("Block", "Filesystem")
_POLICIES = ("Delete", "Recycle", "Retain")
_SOURCES = (
    "hostPath",
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "glusterfs",
    "flocker",
    "nfs",
    "rbd",
    "quobyte",
    "cephfs",
    "iscsi",
    "cinder",
    "fc",
    "flexVolume",
    "azureFile",
    "vsphereVolume",
    "azureDisk",
    "photonPersistentDisk",
    "portworxVolume",
    "scaleIO",
    "local",
    "storageos",
    "csi",
)
_NAMESPACED = {"cinder": ("secretRef",), "storageos": ("secretRef",)}
_CLAIM_FROZEN = (
    "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"
)
_SOURCE_FROZEN = "spec.persistentvolumesource is immutable after creation"


def persistent_volume(obj: Obj, errors: Errors) -> None:
    """Modes, capacity, policy, one source, and where it can be used."""
    spec = obj.get("spec", {})
    _access_modes(spec, "spec", errors)
    capacity = spec.get("capacity", {})
    if not capacity:
        errors.required("spec.capacity")
    if "storage" not in capacity or len(capacity) > 1:
        errors.not_supported("spec.capacity", _quantities(capacity), ("storage",))
    for name, amount in capacity.items():
        _positive(amount, f"spec.capacity[{name}]", errors)
    policy = spec.get("persistentVolumeReclaimPolicy", "")
    if policy and policy not in _POLICIES:
        errors.not_supported("spec.persistentVolumeReclaimPolicy", policy, _POLICIES)
    _node_affinity(spec, errors)
    _one_source(spec, errors)
    if (spec.get("hostPath") or {}).get("path") == "/" and policy == "Recycle":
        errors.forbidden("spec.persistentVolumeReclaimPolicy", "may not be 'recycle' for a hostPath mount of '/'")
    _class_name(spec, "spec", errors)
    _volume_mode(spec, "spec", errors)
    attributes = spec.get("volumeAttributesClassName")
    if attributes == "":
        errors.required("spec.volumeAttributesClassName", "an empty string is disallowed")
    for problem in subdomain(attributes) if attributes else ():
        errors.invalid("spec.volumeAttributesClassName", attributes, problem)
    if attributes is not None and spec.get("csi") is None:
        errors.required("spec.csi", "has to be specified when using volumeAttributesClassName")


def _access_modes(spec: Obj, path: str, errors: Errors) -> None:
    modes = spec.get("accessModes", ())
    if not modes:
        errors.required(f"{path}.accessModes", *(("at least 1 access mode is required",) if path else ()))
    single, others = False, False
    for mode in modes:
        if mode not in MODES:
            errors.not_supported(f"{path}.accessModes", mode, MODES)
        single, others = single or mode == "ReadWriteOncePod", others or mode in MODES[:3]
    if single and others:
        errors.forbidden(f"{path}.accessModes", "may not use ReadWriteOncePod with other access modes")


def _quantities(amounts: Obj) -> Obj:
    return dict(sorted(amounts.items()))


def _positive(amount: Any, path: str, errors: Errors) -> None:
    try:
        value = quantity.parse(str(amount))
    except quantity.QuantityError:
        return  # strict decoding tells
    if value <= 0:
        errors.invalid(path, str(amount), "must be greater than zero")


def _one_source(spec: Obj, errors: Errors) -> None:
    sources = [kind for kind in _SOURCES if spec.get(kind) is not None]
    for kind in sources[1:]:
        errors.forbidden(f"spec.{kind}", "may not specify more than 1 volume type")
    if not sources:
        errors.required("spec", "must specify a volume type")
        return
    _source(spec[sources[0]], sources[0], errors)
    if sources[0] == "local" and not spec.get("nodeAffinity"):
        errors.required("spec.nodeAffinity", "Local volume requires node affinity")


def _source(given: Obj, kind: str, errors: Errors) -> None:
    source(kind, given, "spec", errors)
    for name in _NAMESPACED.get(kind, ()):
        if given.get(name) is not None and not given[name].get("namespace"):
            errors.required(f"spec.{kind}.{name}.namespace")
    if kind == "azureFile" and given.get("secretNamespace") == "":
        errors.required("spec.azureFile.secretNamespace")
    if kind == "csi":
        _csi(given, "spec.csi", errors)


def _csi(given: Obj, path: str, errors: Errors) -> None:
    driver_name(given.get("driver", ""), f"{path}.driver", errors)
    if not given.get("volumeHandle"):
        errors.required(f"{path}.volumeHandle")
    for kind in ("controllerPublish", "controllerExpand", "nodePublish", "nodeExpand"):
        secret, where = given.get(f"{kind}SecretRef"), f"{path}.{kind}SecretRef"
        if secret is None:
            continue
        for name, wrong in (("name", subdomain), ("namespace", dns_label)):
            if not secret.get(name):
                errors.required(f"{where}.{name}")
            for problem in wrong(secret[name]) if secret.get(name) else ():
                errors.invalid(f"{where}.{name}", secret[name], problem)


def _node_affinity(spec: Obj, errors: Errors) -> None:
    affinity = spec.get("nodeAffinity")
    if affinity is None:
        return
    required, path = affinity.get("required"), "spec.nodeAffinity.required"
    if required is None:
        errors.required(path, "must specify required node constraints")
        return
    node_selector(required, path, errors)


def _class_name(spec: Obj, path: str, errors: Errors) -> None:
    name = spec.get("storageClassName")
    for problem in subdomain(name) if name else ():
        errors.invalid(f"{path}.storageClassName", name, problem)


def _volume_mode(spec: Obj, path: str, errors: Errors) -> None:
    mode = spec.get("volumeMode")
    if mode is not None and mode not in _VOLUME_MODES:
        errors.not_supported(f"{path}.volumeMode", mode, _VOLUME_MODES)


def persistent_volume_update(new: Obj, old: Obj, errors: Errors) -> None:
    """Where the data is never changes, nor how it is seen."""
    now, before = new.get("spec", {}), old.get("spec", {})
    if _sources(now) != _sources(before):
        detail = f"{_SOURCE_FROZEN}\n{_diff(_sources(before), _sources(now))}"
        errors.forbidden("spec.persistentvolumesource", detail)
    if now.get("volumeMode") != before.get("volumeMode"):
        errors.invalid("volumeMode", now.get("volumeMode"), "field is immutable")
    if before.get("nodeAffinity") is not None and now.get("nodeAffinity") != before["nodeAffinity"]:
        errors.invalid("nodeAffinity", now.get("nodeAffinity"), "field is immutable")


def _sources(spec: Obj) -> Obj:
    return {kind: spec[kind] for kind in _SOURCES if kind in spec}


def persistent_volume_status(new: Obj, _: Obj, errors: Errors) -> None:
    """A stored volume has a version."""
    if not new["metadata"].get("resourceVersion"):
        errors.required("resourceVersion")


# claims


def claim(obj: Obj, errors: Errors) -> None:
    """A claim: its spec, at ``spec``."""
    claim_spec(obj.get("spec", {}), "spec", errors)


def claim_spec(spec: Obj, path: str, errors: Errors) -> None:
    """Modes, size, selector, class; of claims and of claim templates."""
    _access_modes(spec, path, errors)
    if spec.get("selector") is not None:
        label_selector(spec["selector"], f"{path}.selector", errors)
    requests = (spec.get("resources") or {}).get("requests") or {}
    if "storage" not in requests:
        errors.required(f"{path}.resources[storage]")
    else:
        _positive(requests["storage"], f"{path}.resources[storage]", errors)
    _class_name(spec, path, errors)
    _volume_mode(spec, path, errors)
    _data_source(spec, path, errors)
    name = spec.get("volumeAttributesClassName")
    for problem in subdomain(name) if name else ():
        errors.invalid(f"{path}.volumeAttributesClassName", name, problem)


def _data_source(spec: Obj, path: str, errors: Errors) -> None:
    for field in ("dataSource", "dataSourceRef"):
        if spec.get(field) is not None:
            _reference(spec[field], f"{path}.{field}", errors)
    one, other = spec.get("dataSource"), spec.get("dataSourceRef")
    namespace = (other or {}).get("namespace")
    for problem in dns_label(namespace) if namespace else ():
        errors.invalid(f"{path}.dataSourceRef.namespace", namespace, problem)
    if one is not None and namespace:
        errors.invalid(path, f"{path}.dataSource", "may not be specified when dataSourceRef.namespace is specified")
    elif one is not None and other is not None and one != {key: other[key] for key in other if key != "namespace"}:
        errors.invalid(path, f"{path}.dataSource", "must match dataSourceRef")


def _reference(source: Obj, path: str, errors: Errors) -> None:
    for name in ("name", "kind"):
        if not source.get(name):
            errors.required(f"{path}.{name}")
    group = source.get("apiGroup") or ""
    if not group and source.get("kind") != "PersistentVolumeClaim":
        detail = "must be 'PersistentVolumeClaim' when referencing the default apiGroup"
        errors.invalid(path, source.get("kind", ""), detail)
    for problem in subdomain(group) if group else ():
        errors.invalid(f"{path}.apiGroup", group, problem)


def claim_update(new: Obj, old: Obj, errors: Errors) -> None:
    """Only the size of a bound claim may change, and only to more than there is."""
    now, before = new.get("spec", {}), old.get("spec", {})
    had, wants = _size(before), _size(now)
    kept = _unfrozen(now, before, bound=(old.get("status") or {}).get("phase") == "Bound")
    if kept != before:
        errors.forbidden("spec", f"{_CLAIM_FROZEN}\n{_diff(_internal(before), _internal(kept))}")
    if wants < had and wants <= milli_of((old.get("status") or {}).get("capacity")):
        errors.forbidden("spec.resources.requests.storage", "field can not be less than status.capacity")
    if now.get("volumeMode") != before.get("volumeMode"):
        errors.invalid("spec.volumeMode", now.get("volumeMode"), "field is immutable")
    was, will = before.get("volumeAttributesClassName"), now.get("volumeAttributesClassName")
    if was and not will:
        errors.forbidden("spec.volumeAttributesClassName", "update from non-nil value to nil is forbidden")


def milli_of(amounts: Obj | None) -> int:
    """Storage in thousandths of a byte; 0 for none."""
    return quantity.milli((amounts or {}).get("storage", 0))


def _size(spec: Obj) -> int:
    return milli_of((spec.get("resources") or {}).get("requests"))


def _unfrozen(now: Obj, before: Obj, *, bound: bool) -> Obj:
    """``now`` with everything that may change taken back: the first volume name, and once bound the size."""
    kept = dict(now)
    if not before.get("volumeName"):
        _as_before(kept, before, "volumeName")
    if before.get("storageClassName") is None and now.get("storageClassName"):
        _as_before(kept, before, "storageClassName")
    if bound:
        resources = dict(now.get("resources") or {})
        had = (before.get("resources") or {}).get("requests")
        if had is not None:
            resources["requests"] = had
        kept["resources"] = resources
        _as_before(kept, before, "volumeAttributesClassName")
    return kept


def _as_before(kept: Obj, before: Obj, name: str) -> None:
    if name in before:
        kept[name] = before[name]
    else:
        kept.pop(name, None)


_CLAIM_FIELDS = (
    "accessModes",
    "selector",
    "resources",
    "volumeName",
    "storageClassName",
    "volumeMode",
    "dataSource",
    "dataSourceRef",
    "volumeAttributesClassName",
)


def _internal(spec: Obj) -> Obj:
    """A claim's spec as the API server's own type prints it."""
    found: Obj = {name[0].upper() + name[1:]: spec.get(name) for name in _CLAIM_FIELDS}
    resources = spec.get("resources") or {}
    found["Resources"] = {"Limits": resources.get("limits"), "Requests": resources.get("requests")}
    found["VolumeName"] = spec.get("volumeName", "")
    return found


def _diff(before: Obj, now: Obj) -> str:
    """A unified difference with three lines around each change, without file names (``diff.Diff``)."""
    one, other = (json.dumps(side, indent=1, ensure_ascii=False).splitlines() for side in (before, now))
    lines = list(difflib.unified_diff(one, other, n=3, lineterm=""))[2:]
    return "\n".join(lines[:60]) + "\n"


def claim_status(new: Obj, _: Obj, errors: Errors) -> None:
    """What there is, is not negative."""
    for name, amount in sorted(((new.get("status") or {}).get("capacity") or {}).items()):
        if quantity.milli(amount) < 0:
            errors.invalid(f"status.capacity[{name}]", amount, "must be greater than or equal to 0")


__all__ = [
    "claim",
    "claim_spec",
    "claim_status",
    "claim_update",
    "persistent_volume",
    "persistent_volume_status",
    "persistent_volume_update",
]
