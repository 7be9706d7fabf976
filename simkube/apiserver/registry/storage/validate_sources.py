"""What both pods' volumes and PersistentVolumes can be: paths of nodes, shares, disks (``validate*VolumeSource``).

Most of them are not simulated beyond being stored; what is wrong with them is told all the same, so that a file that
a real server refuses is refused here.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from simkube.apiserver.validation.field import Errors
from simkube.apiserver.validation.metadata import dns_label, subdomain
from simkube.apiserver.validation.paths import descending, no_backsteps
from simkube.client.client import Obj

_HOST_PATH_TYPES = (
    "",
    "BlockDevice",
    "CharDevice",
    "Directory",
    "DirectoryOrCreate",
    "File",
    "FileOrCreate",
    "Socket",
)
_PARTITION = "must be an integer between 0 and 255, inclusive"
_RANGE = "must be between 0 and 255, inclusive"
_REQUIRED = {
    "gitRepo": ("repository",),
    "gcePersistentDisk": ("pdName",),
    "awsElasticBlockStore": ("volumeID",),
    "nfs": ("server", "path"),
    "glusterfs": ("endpoints", "path"),
    "rbd": ("monitors", "image"),
    "cephfs": ("monitors",),
    "cinder": ("volumeID",),
    "flexVolume": ("driver",),
    "azureFile": ("secretName", "shareName"),
    "azureDisk": ("diskName", "diskURI"),
    "vsphereVolume": ("volumePath",),
    "photonPersistentDisk": ("pdID",),
    "portworxVolume": ("volumeID",),
    "scaleIO": ("gateway", "system", "volumeName"),
    "iscsi": ("targetPortal", "iqn"),
    "persistentVolumeClaim": ("claimName",),
}
"""By source: the fields without which it says nothing."""
_SHOWN = {"gcePersistentDisk": "persistentDisk"}
"""What the server calls a source in the paths of its messages, where that is not its name."""
_IQN = {
    "iqn": re.compile(r"iqn\.\d{4}-\d{2}\.[0-9A-Za-z.-]+:[^,;*&$|\s]+$", re.ASCII),
    "eui": re.compile(r"^eui.[0-9A-Fa-f]{16}$"),
    "naa": re.compile(r"^naa.[0-9A-Fa-f]{32}$"),
}
_Check = Callable[[Obj, str, Errors], None]


def source(kind: str, given: Obj, path: str, errors: Errors) -> None:
    """One source, at ``path`` with its own name added; what is no source of this module passes."""
    where = f"{path}.{_SHOWN.get(kind, kind)}"
    for name in _REQUIRED.get(kind, ()):
        if not given.get(name):
            errors.required(f"{where}.{name}")
    check = _CHECKS.get(kind)
    if check is not None:
        check(given, where, errors)


def _host_path(given: Obj, path: str, errors: Errors) -> None:
    if not given.get("path"):
        errors.required(f"{path}.path")
        return
    no_backsteps(given["path"], f"{path}.path", errors)
    if given.get("type", "") not in _HOST_PATH_TYPES:
        errors.not_supported(f"{path}.type", given["type"], _HOST_PATH_TYPES)


def _local(given: Obj, path: str, errors: Errors) -> None:
    if not given.get("path"):
        errors.required(f"{path}.path")
        return
    no_backsteps(given["path"], f"{path}.path", errors)


def _git(given: Obj, path: str, errors: Errors) -> None:
    descending(given.get("directory", ""), f"{path}.directory", errors)


def _partition(given: Obj, path: str, errors: Errors) -> None:
    if not 0 <= given.get("partition", 0) <= 255:
        errors.invalid(f"{path}.partition", given["partition"], _PARTITION)


def _nfs(given: Obj, path: str, errors: Errors) -> None:
    if not given.get("path", "").startswith("/"):
        errors.invalid(f"{path}.path", given.get("path", ""), "must be an absolute path")


def _iscsi(given: Obj, path: str, errors: Errors) -> None:
    if given.get("iqn"):
        _qualified(given["iqn"], f"{path}.iqn", errors)
    _lun(given.get("lun", 0), f"{path}.lun", errors)
    if (given.get("chapAuthDiscovery") or given.get("chapAuthSession")) and given.get("secretRef") is None:
        errors.required(f"{path}.secretRef")
    if given.get("initiatorName") is not None:
        _qualified(given["initiatorName"], f"{path}.initiatorname", errors)


def _qualified(name: str, path: str, errors: Errors) -> None:
    pattern = _IQN.get(name[:3])
    if pattern is None:
        errors.invalid(path, name, "must be valid format starting with iqn, eui, or naa")
    elif not pattern.search(name):
        errors.invalid(path, name, "must be valid format")


def _lun(value: Any, path: str, errors: Errors) -> None:
    if not 0 <= value <= 255:
        errors.invalid(path, value, _RANGE)


def _fibre_channel(given: Obj, path: str, errors: Errors) -> None:
    names, wwids = given.get("targetWWNs"), given.get("wwids")
    if not names and not wwids:
        errors.required(f"{path}.targetWWNs", "must specify either targetWWNs or wwids, but not both")
    if names and wwids:
        errors.invalid(f"{path}.targetWWNs", names, "targetWWNs and wwids can not be specified simultaneously")
    if names and given.get("lun") is None:
        errors.required(f"{path}.lun", "lun is required if targetWWNs is specified")
    elif names:
        _lun(given["lun"], f"{path}.lun", errors)


def _flocker(given: Obj, path: str, errors: Errors) -> None:
    name, uuid = given.get("datasetName"), given.get("datasetUUID")
    if not name and not uuid:
        errors.required(path, "one of datasetName and datasetUUID is required")
    if name and uuid:
        errors.invalid(path, "resource", "datasetName and datasetUUID can not be specified simultaneously")
    if "/" in (name or ""):
        errors.invalid(f"{path}.datasetName", name, "must not contain '/'")


def _quobyte(given: Obj, path: str, errors: Errors) -> None:
    registry, pairs = given.get("registry", ""), "must be a host:port pair or multiple pairs separated by commas"
    if not registry:
        errors.required(f"{path}.registry", pairs)
    elif len(given.get("tenant", "")) > 64:
        errors.required(f"{path}.tenant", "must be a UUID and may not exceed a length of 64 characters")
    else:
        for pair in registry.split(","):
            if ":" not in pair:
                errors.invalid(f"{path}.registry", registry, pairs)
    if not given.get("volume"):
        errors.required(f"{path}.volume")


def _flex(given: Obj, path: str, errors: Errors) -> None:
    for key in sorted(given.get("options", {})):
        if f".{key.partition('/')[0].lower()}".endswith((".kubernetes.io", ".k8s.io")):
            errors.invalid(f"{path}.options[{key}]", key, "kubernetes.io and k8s.io namespaces are reserved")


def _azure_disk(given: Obj, path: str, errors: Errors) -> None:
    for name, values in (("cachingMode", ("None", "ReadOnly", "ReadWrite")), ("kind", _DISKS)):
        if given.get(name) is not None and given[name] not in values:
            errors.not_supported(f"{path}.{name}", given[name], values)
    kind, uri = given.get("kind"), given.get("diskURI", "")
    if kind == "Managed" and not uri.startswith("/subscriptions/"):
        form = "/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}"
        errors.not_supported(f"{path}.diskURI", uri, (form,))
    elif kind not in (None, "Managed") and not uri.startswith("https://"):
        form = "https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd"
        errors.not_supported(f"{path}.diskURI", uri, (form,))


_DISKS = ("Dedicated", "Managed", "Shared")


def _storage_os(given: Obj, path: str, errors: Errors) -> None:
    if not given.get("volumeName"):
        errors.required(f"{path}.volumeName")
    for name in ("volumeName", "volumeNamespace"):
        for problem in dns_label(given[name]) if given.get(name) else ():
            errors.invalid(f"{path}.{name}", given[name], problem)
    _secret(given, path, errors)


def _secret(given: Obj, path: str, errors: Errors) -> None:
    if given.get("secretRef") is not None and not given["secretRef"].get("name"):
        errors.required(f"{path}.secretRef.name")


def driver_name(name: str, path: str, errors: Errors) -> None:
    """The name of a CSI driver."""
    if not name:
        errors.required(path)
    if len(name) > 63:
        errors.too_long(path, "may not be more than 63 bytes")
    for problem in subdomain(name.lower()):
        errors.invalid(path, name, problem)


_CHECKS: dict[str, _Check] = {
    "hostPath": _host_path,
    "local": _local,
    "gitRepo": _git,
    "gcePersistentDisk": _partition,
    "awsElasticBlockStore": _partition,
    "nfs": _nfs,
    "iscsi": _iscsi,
    "fc": _fibre_channel,
    "flocker": _flocker,
    "quobyte": _quobyte,
    "flexVolume": _flex,
    "azureDisk": _azure_disk,
    "storageos": _storage_os,
    "cinder": _secret,
}
