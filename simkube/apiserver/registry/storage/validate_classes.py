"""Classes, CSI drivers, nodes and capacities, attachments (``pkg/apis/storage/validation``)."""

from __future__ import annotations

from simkube.apimachinery.quantity import milli
from simkube.apiserver.validation.field import Errors
from simkube.apiserver.validation.metadata import label_value, qualified_name, subdomain
from simkube.apiserver.validation.selector import label_selector
from simkube.client.client import Obj

_MOST_PARAMETERS = 512
_PARAMETER_BYTES = 256 * 1024
_MOST_METADATA = 256 * 1024
_MOST_MESSAGE = 1024
_BINDING = ("Immediate", "WaitForFirstConsumer")
_POLICIES = ("Delete", "Retain")
_GROUP_POLICIES = ("File", "None", "ReadWriteOnceWithFSType")
_LIFECYCLES = ("Ephemeral", "Persistent")


def storage_class(obj: Obj, errors: Errors) -> None:
    """Provisioner, parameters, policy, when volumes are bound, where they may be."""
    _provisioner(obj.get("provisioner", ""), "provisioner", errors)
    _parameters(obj.get("parameters", {}), errors)
    policy = obj.get("reclaimPolicy", "")
    if policy and policy not in _POLICIES:
        errors.not_supported("reclaimPolicy", policy, _POLICIES)
    mode = obj.get("volumeBindingMode")
    if mode is None:
        errors.required("volumeBindingMode")
    elif mode not in _BINDING:
        errors.not_supported("volumeBindingMode", mode, _BINDING)
    for index, term in enumerate(obj.get("allowedTopologies", ())):
        _topology(term, f"allowedTopologies[{index}]", errors)


def _provisioner(name: str, path: str, errors: Errors) -> None:
    if not name:
        errors.required(path, name)
        return
    for problem in qualified_name(name.lower()):
        errors.invalid(path, name, problem)


def _parameters(values: Obj, errors: Errors) -> None:
    if len(values) > _MOST_PARAMETERS:
        errors.too_long("parameters", f"may not have more than {_MOST_PARAMETERS} items")
        return
    if "" in values:
        errors.invalid("parameters", "", "field can not be empty.")
    if sum(len(key.encode()) + len(value.encode()) for key, value in values.items()) > _PARAMETER_BYTES:
        errors.too_long("parameters", f"may not be more than {_PARAMETER_BYTES} bytes")


def _topology(term: Obj, path: str, errors: Errors) -> None:
    seen = set()
    for index, each in enumerate(term.get("matchLabelExpressions", ())):
        where = f"{path}.matchLabelExpressions[{index}]"
        key, values = each.get("key", ""), each.get("values", ())
        for problem in qualified_name(key):
            errors.invalid(f"{where}.key", key, problem)
        if not values:
            errors.required(f"{where}.values")
        for at, value in enumerate(values):
            for problem in label_value(value):
                errors.invalid(f"{where}.values[{at}]", value, problem)
            if value in values[:at]:
                errors.duplicate(f"{where}.values[{at}]", value)
        if key in seen:
            errors.duplicate(f"{where}.key", key)
        seen.add(key)


def storage_class_update(new: Obj, old: Obj, errors: Errors) -> None:
    """What volumes were made by does not change."""
    if new.get("parameters", {}) != old.get("parameters", {}):
        errors.invalid("parameters", new.get("parameters", {}), "field is immutable")
    if new.get("provisioner") != old.get("provisioner"):
        errors.invalid("provisioner", new.get("provisioner", ""), "field is immutable")
    if new.get("reclaimPolicy") != old.get("reclaimPolicy"):
        errors.invalid("reclaimPolicy", new.get("reclaimPolicy"), "field is immutable")
    if new.get("volumeBindingMode") != old.get("volumeBindingMode"):
        errors.invalid("volumeBindingMode", new.get("volumeBindingMode"), "field is immutable")


def attributes_class(obj: Obj, errors: Errors) -> None:
    """A driver and what it is told."""
    _provisioner(obj.get("driverName", ""), "driverName", errors)
    if not obj.get("parameters"):
        errors.required("parameters", "must contain at least one key/value pair")
    _parameters(obj.get("parameters", {}), errors)


def attributes_class_update(new: Obj, old: Obj, errors: Errors) -> None:
    """It never changes."""
    for name in ("driverName", "parameters"):
        if new.get(name) != old.get(name):
            errors.invalid(name, new.get(name), "field is immutable")


def csi_driver(obj: Obj, errors: Errors) -> None:
    """Its name is that of a driver, its choices are known ones."""
    name, spec = obj["metadata"].get("name", ""), obj.get("spec", {})
    if len(name) > 63:
        errors.too_long("metadata.name", "may not be more than 63 bytes")
    for field in ("attachRequired", "podInfoOnMount", "storageCapacity"):
        if spec.get(field) is None:
            errors.required(f"spec.{field}")
    policy = spec.get("fsGroupPolicy")
    if policy is not None and policy not in _GROUP_POLICIES:
        errors.not_supported("spec.fsGroupPolicy", policy, _GROUP_POLICIES)
    for mode in spec.get("volumeLifecycleModes", ()):
        if mode not in _LIFECYCLES:
            errors.not_supported("spec.volumeLifecycleModes", mode, _LIFECYCLES)
    audiences = set()
    for index, each in enumerate(spec.get("tokenRequests", ())):
        where, audience = f"spec.tokenRequests[{index}]", each.get("audience", "")
        if audience in audiences:
            errors.duplicate(f"{where}.audience", audience)
        audiences.add(audience)
        if each.get("expirationSeconds") is not None and each["expirationSeconds"] < 600:
            detail = "may not specify a duration less than 10 minutes"
            errors.invalid(f"{where}.expirationSeconds", each["expirationSeconds"], detail)
        elif each.get("expirationSeconds", 0) > 2**32:
            detail = "may not specify a duration larger than 2^32 seconds"
            errors.invalid(f"{where}.expirationSeconds", each["expirationSeconds"], detail)


def csi_driver_update(new: Obj, old: Obj, errors: Errors) -> None:
    """How volumes are attached and last does not change."""
    now, before = new.get("spec", {}), old.get("spec", {})
    for name in ("attachRequired", "volumeLifecycleModes"):
        if now.get(name) != before.get(name):
            errors.invalid(f"spec.{name}", now.get(name), "field is immutable")


def csi_node(obj: Obj, errors: Errors) -> None:
    """Drivers: a name and an id each, none twice."""
    seen = set()
    for index, driver in enumerate(obj.get("spec", {}).get("drivers") or ()):
        where, name = f"spec.drivers[{index}]", driver.get("name", "")
        _driver_name(name, f"{where}.name", errors)
        if name in seen:
            errors.duplicate(f"{where}.name", name)
        seen.add(name)
        node_id = driver.get("nodeID", "")
        if not node_id:
            errors.required(f"{where}.nodeID", node_id)
        elif len(node_id) > 256:
            errors.invalid(f"{where}.nodeID", node_id, "must be 256 characters or less")
        count = (driver.get("allocatable") or {}).get("count")
        if count is not None and count < 0:
            errors.invalid(f"{where}.allocatable.count", count, "must be greater than or equal to 0")
        for key in driver.get("topologyKeys") or ():
            for problem in qualified_name(key):
                errors.invalid(where, key, problem)


def _driver_name(name: str, path: str, errors: Errors) -> None:
    if not name:
        errors.required(path)
        return
    if len(name) > 63:
        errors.too_long(path, "may not be more than 63 bytes")
    for problem in subdomain(name.lower()):
        errors.invalid(path, name, problem)


def csi_node_update(new: Obj, old: Obj, errors: Errors) -> None:
    """A driver that stays on the node stays as it is."""
    before = {each.get("name"): each for each in old.get("spec", {}).get("drivers") or ()}
    for index, driver in enumerate(new.get("spec", {}).get("drivers") or ()):
        was = before.get(driver.get("name"))
        if was is not None and {**was, "allocatable": None} != {**driver, "allocatable": None}:
            errors.invalid(f"spec.drivers[{index}]", driver, "field is immutable")


def csi_capacity(obj: Obj, errors: Errors) -> None:
    """A class, where, and how much."""
    name = obj.get("storageClassName", "")
    for problem in subdomain(name):
        errors.invalid("storageClassName", name, problem)
    for field in ("capacity", "maximumVolumeSize"):
        if obj.get(field) is not None and milli(obj[field]) < 0:
            errors.invalid(field, str(obj[field]), "must be greater than or equal to 0")
    if obj.get("nodeTopology") is not None:
        label_selector(obj["nodeTopology"], "nodeTopology", errors)


def csi_capacity_update(new: Obj, old: Obj, errors: Errors) -> None:
    """Of what it is the capacity does not change."""
    for field in ("nodeTopology", "storageClassName"):
        if new.get(field) != old.get(field):
            errors.invalid(field, new.get(field), "field is immutable")


def attachment(obj: Obj, errors: Errors) -> None:
    """A driver, a node, and exactly one volume."""
    spec = obj.get("spec", {})
    if not spec.get("attacher"):
        errors.required("spec.attacher", "")
    else:
        _provisioner(spec["attacher"], "spec.attacher", errors)
    source = spec.get("source", {})
    inline, name = source.get("inlineVolumeSpec"), source.get("persistentVolumeName")
    if inline is None and not name:
        errors.required("spec.source", "must specify one of inlineVolumeSpec and persistentVolumeName")
    elif inline is not None and name:
        errors.invalid("spec.source", source, "must specify exactly one of inlineVolumeSpec and persistentVolumeName")
    node = spec.get("nodeName", "")
    for problem in subdomain(node):
        errors.invalid("spec.nodeName", node, problem)


def attachment_update(new: Obj, old: Obj, errors: Errors) -> None:
    """Its spec never changes."""
    if new.get("spec") != old.get("spec"):
        errors.invalid("spec", new.get("spec"), "field is immutable")


def attachment_status(new: Obj, _old: Obj, errors: Errors) -> None:
    """What the driver tells is not too much; codes of errors are not negative."""
    status = new.get("status", {})
    told = sum(len(text.encode()) for pair in status.get("attachmentMetadata", {}).items() for text in pair)
    if told > _MOST_METADATA:
        errors.too_long("status.attachmentMetadata", f"may not be more than {_MOST_METADATA} bytes")
    for name in ("attachError", "detachError"):
        error = status.get(name) or {}
        if len(error.get("message", "").encode()) > _MOST_MESSAGE:
            errors.too_long(f"status.{name}.message", f"may not be more than {_MOST_METADATA} bytes")
        if error.get("errorCode", 0) < 0:
            detail = "must be between 0 and 2147483647, inclusive"
            errors.invalid(f"status.{name}.errorCode", error["errorCode"], detail)
