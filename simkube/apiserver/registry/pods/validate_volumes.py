"""The volumes of a pod: one source each, and what that source needs (``ValidateVolumes``)."""

from __future__ import annotations

from collections.abc import Sequence

from simkube.apimachinery import quantity
from simkube.apiserver.registry.pods import validate_projections as projections
from simkube.apiserver.registry.storage.validate_sources import driver_name, source
from simkube.apiserver.registry.storage.validate_volumes import claim_spec
from simkube.apiserver.validation.field import Errors
from simkube.apiserver.validation.metadata import annotation_map, dns_label, labels, subdomain
from simkube.client.client import Obj

_ORDER = (
    *("emptyDir", "hostPath", "gitRepo", "gcePersistentDisk", "awsElasticBlockStore", "secret"),
    *("nfs", "iscsi", "glusterfs", "flocker", "persistentVolumeClaim", "rbd"),
    *("cinder", "cephfs", "quobyte", "downwardAPI", "fc", "flexVolume"),
    *("configMap", "azureFile", "vsphereVolume", "photonPersistentDisk", "portworxVolume", "azureDisk"),
    *("storageos", "projected", "scaleIO", "csi", "ephemeral", "image"),
)
"""The sources in the order in which the API server looks at them: the first counts."""
_SHOWN_TWICE = {"cephfs": "cephFS", "downwardAPI": "downwarAPI"}
"""How a source that is one too many is spelt where that is not its name."""
_PULL = ("Always", "IfNotPresent", "Never")


def volumes(given: Sequence[Obj], path: str, errors: Errors, *, pod: str = "") -> dict[str, Obj]:
    """The volumes by name; ``pod`` is the name of the pod whose they are, "" in a template.

    A volume with a mistake is none: mounts of it are told that it is not there.
    """
    found: dict[str, Obj] = {}
    for index, volume in enumerate(given):
        where, name = f"{path}[{index}]", volume.get("name", "")
        problems = Errors()
        _sources(volume, where, problems, pod)
        if not name:
            problems.required(f"{where}.name")
        for problem in dns_label(name) if name else ():
            problems.invalid(f"{where}.name", name, problem)
        if name in found:
            problems.duplicate(f"{where}.name", name)
        errors.found += problems.found
        if not problems:
            found[name] = volume
    return found


def _sources(volume: Obj, path: str, errors: Errors, pod: str) -> None:
    kinds = [kind for kind in _ORDER if volume.get(kind) is not None]
    for kind in kinds[:1]:
        _source(volume, kind, path, errors, pod)
    for kind in kinds[1:]:
        errors.forbidden(f"{path}.{_SHOWN_TWICE.get(kind, kind)}", "may not specify more than 1 volume type")
    if not kinds:
        errors.required(path, "must specify a volume type")


def _source(volume: Obj, kind: str, path: str, errors: Errors, pod: str) -> None:
    given, where, name = volume[kind], f"{path}.{kind}", volume.get("name", "")
    source(kind, given, path, errors)
    if kind == "emptyDir" and quantity.parse(str(given.get("sizeLimit") or "0")) < 0:
        errors.forbidden(f"{where}.sizeLimit", "SizeLimit field must be a valid resource quantity")
    elif kind in ("secret", "configMap"):
        field = "secretName" if kind == "secret" else "name"
        if not given.get(field):
            errors.required(f"{where}.{field}")
        projections.mode(given, "defaultMode", where, errors)
        projections.keys(given, where, errors)
    elif kind == "downwardAPI":
        projections.mode(given, "defaultMode", where, errors)
        projections.downward(given, where, errors)
    elif kind == "projected":
        projections.projected(given, where, errors)
    elif kind == "csi":
        _csi(given, where, errors)
    elif kind == "ephemeral":
        _ephemeral(given, where, errors)
        for problem in subdomain(f"{pod}-{name}") if pod and name else ():
            errors.invalid(f"{path}.name", name, f'PVC name "{pod}-{name}": {problem}')
    elif kind == "image":
        _image(given, where, errors, template=not pod)
    elif kind == "iscsi" and given.get("initiatorName") is not None and len(f"{name}:{given.get('targetPortal')}") > 64:
        detail = "Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters if "
        errors.invalid(f"{path}.name", name, f"{detail}iscsi.initiatorName is specified.")


def _csi(given: Obj, path: str, errors: Errors) -> None:
    driver_name(given.get("driver", ""), f"{path}.driver", errors)
    secret = given.get("nodePublishSecretRef")
    if secret is None:
        return
    if not secret.get("name"):
        errors.required(f"{path}.nodePublishSecretRef.name")
    for problem in subdomain(secret["name"]) if secret.get("name") else ():
        errors.invalid(f"{path}.name", secret["name"], problem)


def _ephemeral(given: Obj, path: str, errors: Errors) -> None:
    template, where = given.get("volumeClaimTemplate"), f"{path}.volumeClaimTemplate"
    if template is None:
        errors.required(where)
        return
    meta = template.get("metadata") or {}
    annotation_map(meta.get("annotations", {}), f"{where}.metadata.annotations", errors)
    labels(meta.get("labels", {}), f"{where}.metadata.labels", errors)
    for name in sorted(meta):
        if meta[name] and name not in ("annotations", "labels"):
            errors.forbidden(f"{where}.metadata.{name}", "cannot be set")
    claim_spec(template.get("spec") or {}, f"{where}.spec", errors)


def _image(given: Obj, path: str, errors: Errors, *, template: bool) -> None:
    """A template may leave the image to whoever changes its pods."""
    if not given.get("reference") and not template:
        errors.required(f"{path}.reference")
    policy = given.get("pullPolicy", "Always")
    if not policy:
        errors.required(f"{path}.pullPolicy")
    elif policy not in _PULL:
        errors.not_supported(f"{path}.pullPolicy", policy, _PULL)
