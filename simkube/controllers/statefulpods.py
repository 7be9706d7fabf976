"""What a stateful set's pods are: their ordinals, names, claims and revisions.

Source: ``pkg/controller/statefulset/stateful_set_utils.go``. Pure functions.
"""

from __future__ import annotations

import re

from simkube.client.client import Obj, copy_of
from simkube.component_helpers import pods as podstate
from simkube.component_helpers.owners import controller_reference
from simkube.controllers.history import POD_LABEL
from simkube.controllers.podcontrol import from_template

API_VERSION = "apps/v1"
KIND = "StatefulSet"
NAME_LABEL = "statefulset.kubernetes.io/pod-name"
INDEX_LABEL = "apps.kubernetes.io/pod-index"
_NAME = re.compile(r"(.*)-([0-9]{1,10})", re.ASCII)


def parent_and_ordinal(pod: Obj) -> tuple[str, int]:
    """``db-0`` is the first of ``db``; ``("", -1)`` when the name is not of that form."""
    found = _NAME.fullmatch(pod["metadata"]["name"])
    return (found[1], int(found[2])) if found else ("", -1)


def ordinal(pod: Obj) -> int:
    """The number at the end of its name."""
    return parent_and_ordinal(pod)[1]


def start(sts: Obj) -> int:
    """The first ordinal."""
    return int((sts["spec"].get("ordinals") or {}).get("start", 0))


def wanted(sts: Obj) -> range:
    """All ordinals there should be."""
    return range(start(sts), start(sts) + int(sts["spec"].get("replicas", 1)))


def reference(sts: Obj) -> Obj:
    """The owner reference of what a stateful set controls."""
    return controller_reference(sts, API_VERSION, KIND)


def revision_of(pod: Obj) -> str:
    """The name of the controller revision a pod was made from."""
    return str((pod["metadata"].get("labels") or {}).get(POD_LABEL, ""))


def new_pod(sts: Obj, template: Obj, revision: str, number: int) -> Obj:
    """The pod of an ordinal: its name, its labels, its host name and its claims."""
    meta = sts["metadata"]
    pod = from_template(template, meta["name"], meta["namespace"], reference(sts))
    name = f"{meta['name']}-{number}"
    pod["metadata"]["name"] = name
    labels = pod["metadata"].setdefault("labels", {})
    labels.update({NAME_LABEL: name, INDEX_LABEL: str(number), POD_LABEL: revision})
    pod["spec"]["hostname"] = name
    if sts["spec"].get("serviceName"):
        pod["spec"]["subdomain"] = sts["spec"]["serviceName"]
    volumes = claimed_volumes(sts, number)
    if volumes:
        taken = {volume["name"] for volume in volumes}
        pod["spec"]["volumes"] = [
            *volumes,
            *(each for each in pod["spec"].get("volumes") or () if each["name"] not in taken),
        ]
    return pod


def claim_name(sts: Obj, template: Obj, number: int) -> str:
    """``data-db-0``: the claim of a template for an ordinal."""
    return f"{template['metadata']['name']}-{sts['metadata']['name']}-{number}"


def claimed_volumes(sts: Obj, number: int) -> list[Obj]:
    """The volumes that an ordinal's claims are mounted as."""
    return [
        {"name": each["metadata"]["name"], "persistentVolumeClaim": {"claimName": claim_name(sts, each, number)}}
        for each in sts["spec"].get("volumeClaimTemplates") or ()
    ]


def new_claims(sts: Obj, number: int) -> list[Obj]:
    """The claims of an ordinal, as they are made when they are missing."""
    found = []
    for template in sts["spec"].get("volumeClaimTemplates") or ():
        given = template["metadata"]
        labels = {**(given.get("labels") or {}), **((sts["spec"].get("selector") or {}).get("matchLabels") or {})}
        meta: Obj = {"name": claim_name(sts, template, number), "namespace": sts["metadata"]["namespace"]}
        if labels:
            meta["labels"] = labels
        for part in ("annotations", "finalizers"):
            if given.get(part):
                meta[part] = copy_of({part: given[part]})[part]
        claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": meta}
        found.append({**claim, "spec": copy_of(template["spec"])})
    return found


def has_identity(pod: Obj) -> bool:
    """Whether its labels still say who it is."""
    labels = pod["metadata"].get("labels") or {}
    return bool(labels.get(NAME_LABEL) == pod["metadata"]["name"])


def is_healthy(pod: Obj | None, wait: int, now: float) -> bool:
    """Whether it runs, is ready for ``wait`` seconds and is not on its way out."""
    return pod is not None and "deletionTimestamp" not in pod["metadata"] and is_available(pod, wait, now)


def is_available(pod: Obj, wait: int, now: float) -> bool:
    """Running, and ready for ``wait`` seconds."""
    return podstate.phase(pod) == "Running" and podstate.is_available(pod, wait, now)


def counts(sts: Obj, pods: list[Obj], current: str, update: str, now: float) -> Obj:
    """The numbers in the status."""
    wait = sts["spec"].get("minReadySeconds", 0)
    ready = [pod for pod in pods if podstate.phase(pod) == "Running" and podstate.is_ready(pod)]
    staying = [revision_of(pod) for pod in pods if "deletionTimestamp" not in pod["metadata"]]
    return {
        "replicas": len(pods),
        "readyReplicas": len(ready),
        "availableReplicas": sum(is_available(pod, wait, now) for pod in ready),
        "currentReplicas": staying.count(current),
        "updatedReplicas": staying.count(update),
    }
