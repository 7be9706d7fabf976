"""Where containers have their volumes: mounts, block devices (``ValidateVolumeMounts``, ``ValidateVolumeDevices``)."""

from __future__ import annotations

from collections.abc import Mapping

from simkube.apiserver.validation.field import Errors
from simkube.apiserver.validation.paths import descending
from simkube.client.client import Obj

_PROPAGATION = ("Bidirectional", "HostToContainer", "None")
_RECURSION = ("Disabled", "Enabled", "IfPossible")


def volume_mounts(container: Obj, path: str, volumes: Mapping[str, Obj], errors: Errors) -> None:
    """Of a volume that is there, at a place of its own."""
    places: set[str] = set()
    devices = {each.get("name"): each.get("devicePath") for each in container.get("volumeDevices", ())}
    for index, mount in enumerate(container.get("volumeMounts", ())):
        where = f"{path}.volumeMounts[{index}]"
        name, place = mount.get("name", ""), mount.get("mountPath", "")
        if not name:
            errors.required(f"{where}.name")
        if name not in volumes:
            errors.not_found(f"{where}.name", name)
        if not place:
            errors.required(f"{where}.mountPath")
        if place in places:
            errors.invalid(f"{where}.mountPath", place, "must be unique")
        places.add(place)
        if name in devices:
            errors.invalid(f"{where}.name", name, "must not already exist in volumeDevices")
        if place in devices.values():
            errors.invalid(f"{where}.mountPath", place, "must not already exist as a path in volumeDevices")
        for part in ("subPath", "subPathExpr") if "image" in volumes.get(name, ()) else ():
            if mount.get(part):
                errors.invalid(f"{where}.{part}", mount[part], "not allowed in image volume sources")
        _parts(mount, f"{path}.volumeMounts", where, errors)
        _kinds(mount, container, f"{path}.volumeMounts", where, errors)


def _parts(mount: Obj, path: str, where: str, errors: Errors) -> None:
    below, expression = mount.get("subPath", ""), mount.get("subPathExpr", "")
    if below:
        descending(below, f"{path}.subPath", errors)  # the API server leaves the index out here
    if expression:
        if below:
            detail = "subPathExpr and subPath are mutually exclusive"
            errors.invalid(f"{where}.subPathExpr", expression, detail)
        descending(expression, f"{path}.subPathExpr", errors)


def _kinds(mount: Obj, container: Obj, path: str, where: str, errors: Errors) -> None:
    propagation = mount.get("mountPropagation")
    if propagation is not None and propagation not in _PROPAGATION:
        errors.not_supported(f"{path}.mountPropagation", propagation, _PROPAGATION)
    elif propagation == "Bidirectional" and not container.get("securityContext", {}).get("privileged"):
        detail = "Bidirectional mount propagation is available only to privileged containers"
        errors.forbidden(f"{path}.mountPropagation", detail)
    recursive = mount.get("recursiveReadOnly")
    if recursive is None:
        return
    if recursive not in _RECURSION:
        errors.not_supported(f"{where}.recursiveReadOnly", recursive, _RECURSION)
    elif recursive != "Disabled" and not mount.get("readOnly"):
        errors.forbidden(f"{where}.recursiveReadOnly", "may only be specified when readOnly is true")
    elif recursive != "Disabled" and propagation not in (None, "None"):
        detail = "may only be specified when mountPropagation is None or not specified"
        errors.forbidden(f"{where}.recursiveReadOnly", detail)


def volume_devices(container: Obj, path: str, volumes: Mapping[str, Obj], errors: Errors) -> None:
    """Of a claim that is there, at a place of its own."""
    names: set[str] = set()
    places: set[str] = set()
    mounts = {each.get("name"): each.get("mountPath") for each in container.get("volumeMounts", ())}
    for index, device in enumerate(container.get("volumeDevices", ())):
        where = f"{path}.volumeDevices[{index}]"
        name, place = device.get("name", ""), device.get("devicePath", "")
        if not name:
            errors.required(f"{where}.name")
        if name in names:
            errors.invalid(f"{where}.name", name, "must be unique")
        if name not in volumes:
            errors.not_found(f"{where}.name", name)
        elif not {"persistentVolumeClaim", "ephemeral"} & volumes[name].keys():
            detail = "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode"
            errors.invalid(f"{where}.name", name, detail)
        if not place:
            errors.required(f"{where}.devicePath")
        if place in places:
            errors.invalid(f"{where}.devicePath", place, "must be unique")
        if ".." in place.split("/"):
            errors.invalid(f"{where}.devicePath", place, "can not contain backsteps ('..')")
        if name in mounts:
            errors.invalid(f"{where}.name", name, "must not already exist in volumeMounts")
        if place in mounts.values():
            errors.invalid(f"{where}.devicePath", place, "must not already exist as a path in volumeMounts")
        names.add(name)
        places.add(place)
