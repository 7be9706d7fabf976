"""Revisions of a deployment: which replica set has which template, under which hash and number.

``kubectl rollout history`` and ``undo`` read what is kept here as annotations. Sources:
``pkg/controller/deployment/util/deployment_util.go``, ``pkg/controller/controller_utils.go`` (ComputeHash). Kubernetes
hashes the memory layout of a Go struct; here it is the template's canonical JSON, so hashes look alike but differ.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from simkube.client.client import Obj, copy_of
from simkube.controllers.rollout import DESIRED, MAXIMUM, by_age, max_surge, replicas

HASH_LABEL = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"
HISTORY = "deployment.kubernetes.io/revision-history"
_NOT_COPIED = {
    "kubectl.kubernetes.io/last-applied-configuration",
    REVISION,
    HISTORY,
    DESIRED,
    MAXIMUM,
    "deprecated.deployment.rollback.to",
}
_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
_HISTORY_LENGTH = 2000


def template_hash(template: Obj, collisions: int | None) -> str:
    """FNV-1a of the template and the number of collisions so far, written without vowels."""
    data = json.dumps(template, sort_keys=True, separators=(",", ":")).encode()
    if collisions is not None:
        data += collisions.to_bytes(8, "little")
    value = 0x811C9DC5
    for byte in data:
        value = ((value ^ byte) * 0x01000193) & 0xFFFFFFFF
    return without_vowels(value)


def without_vowels(value: int) -> str:
    """A number in digits that cannot make a word (``SafeEncodeString``)."""
    return "".join(_ALPHABET[ord(digit) % len(_ALPHABET)] for digit in str(value))


def same_template(left: Obj, right: Obj) -> bool:
    """Whether two pod templates are the same but for the hash label."""
    return _without_hash(left) == _without_hash(right)


def _without_hash(template: Obj) -> Obj:
    meta = {key: value for key, value in (template.get("metadata") or {}).items() if value is not None}
    labels = {key: value for key, value in (meta.get("labels") or {}).items() if key != HASH_LABEL}
    return {**template, "metadata": {**meta, "labels": labels}}


def find_new(deployment: Obj, sets: Sequence[Obj]) -> Obj | None:
    """The oldest replica set that has the deployment's template."""
    template = deployment["spec"]["template"]
    return next((rs for rs in by_age(sets) if same_template(rs["spec"]["template"], template)), None)


def revision(obj: Obj) -> int:
    """The revision noted on a deployment or replica set; 0 for none."""
    try:
        return int((obj["metadata"].get("annotations") or {}).get(REVISION, 0))
    except ValueError:
        return 0


def annotated(deployment: Obj, rs: Obj, number: int, *, exists: bool) -> Obj | None:
    """A copy of the new replica set with the annotations it must have; None when it has them already.

    The deployment's own annotations are copied (``kubernetes.io/change-cause``); a replica set that is used again keeps
    its earlier numbers as history.
    """
    had = rs["metadata"].get("annotations") or {}
    copied = deployment["metadata"].get("annotations") or {}
    annotations = {**had, **{key: value for key, value in copied.items() if key not in _NOT_COPIED}}
    old = revision(rs)
    if old < number:
        annotations[REVISION] = str(number)
        if REVISION in had:
            annotations[HISTORY] = _history(had.get(HISTORY, ""), had[REVISION])
    if not exists:
        annotations.update(size_annotations(deployment))
    if annotations == had:
        return None
    changed = copy_of(rs)
    changed["metadata"]["annotations"] = annotations
    return changed


def _history(history: str, old: str) -> str:
    numbers = [number for number in history.split(",") if number] + [old]
    while len(",".join(numbers)) > _HISTORY_LENGTH:
        numbers.pop(0)
    return ",".join(numbers)


def size_annotations(deployment: Obj) -> dict[str, str]:
    """What a replica set notes about its deployment's size, for proportional scaling."""
    wanted = replicas(deployment)
    return {DESIRED: str(wanted), MAXIMUM: str(wanted + max_surge(deployment))}


def is_scaling(deployment: Obj, sets: Sequence[Obj]) -> bool:
    """Whether the deployment's size is no longer what its active replica sets noted."""
    wanted = str(replicas(deployment))
    noted = ((rs["metadata"].get("annotations") or {}).get(DESIRED) for rs in sets if replicas(rs) > 0)
    return any(size is not None and size != wanted for size in noted)


def new_replica_set(deployment: Obj, owner: Obj, hashed: str) -> Obj:
    """The replica set of the deployment's template, still with 0 replicas."""
    meta, spec = deployment["metadata"], deployment["spec"]
    template = copy_of(spec["template"])
    template.setdefault("metadata", {}).setdefault("labels", {})[HASH_LABEL] = hashed
    selector = copy_of(spec["selector"])
    selector.setdefault("matchLabels", {})[HASH_LABEL] = hashed
    rs_spec: Obj = {"replicas": 0, "selector": selector, "template": template}
    if spec.get("minReadySeconds"):
        rs_spec["minReadySeconds"] = spec["minReadySeconds"]
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": f"{meta['name']}-{hashed}",
            "namespace": meta["namespace"],
            "ownerReferences": [owner],
            "labels": dict(template["metadata"]["labels"]),
        },
        "spec": rs_spec,
    }
