"""What a daemon set's pods are, and on which nodes there should be one.

Source: ``pkg/controller/daemon/util/daemonset_util.go``, ``NodeShouldRunDaemonPod`` in
``pkg/controller/daemon/daemon_controller.go``. Pure functions.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from simkube.apimachinery.labels import matches_node, matches_set
from simkube.client.client import Obj, copy_of
from simkube.component_helpers.owners import controller_reference
from simkube.component_helpers.tolerations import tolerates
from simkube.controllers.history import POD_LABEL
from simkube.controllers.podcontrol import from_template

API_VERSION = "apps/v1"
KIND = "DaemonSet"
GENERATION_LABEL = "pod-template-generation"
GENERATION = "deprecated.daemonset.template.generation"
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_FOREVER = {"tolerationSeconds": None}
_TOLERATED = (
    ("not-ready", "NoExecute"),
    ("unreachable", "NoExecute"),
    ("disk-pressure", "NoSchedule"),
    ("memory-pressure", "NoSchedule"),
    ("pid-pressure", "NoSchedule"),
    ("unschedulable", "NoSchedule"),
)


def reference(ds: Obj) -> Obj:
    """The owner reference of what a daemon set controls."""
    return controller_reference(ds, API_VERSION, KIND)


def hash_of(pod: Obj) -> str:
    """The hash of the revision a pod was made from."""
    return str((pod["metadata"].get("labels") or {}).get(POD_LABEL, ""))


def tolerations(spec: Obj) -> list[Obj]:
    """Those of a template, and those that let a daemon run on a node in trouble."""
    wanted = list(_TOLERATED)
    if spec.get("hostNetwork"):
        wanted.append(("network-unavailable", "NoSchedule"))
    found = list(spec.get("tolerations") or ())
    for name, effect in wanted:
        added = {"key": f"node.kubernetes.io/{name}", "operator": "Exists", "effect": effect}
        same = [at for at, each in enumerate(found) if {**each, **_FOREVER} == {**added, **_FOREVER}]
        if same:
            found[same[0]] = added
        else:
            found.append(added)
    return found


def new_pod(ds: Obj, hashed: str, node: str) -> Obj:
    """The pod of a node: the scheduler can put it nowhere else."""
    meta = ds["metadata"]
    pod = from_template(ds["spec"]["template"], meta["name"], meta["namespace"], reference(ds))
    labels = pod["metadata"].setdefault("labels", {})
    labels[POD_LABEL] = hashed
    generation = (meta.get("annotations") or {}).get(GENERATION)
    if generation is not None:
        labels[GENERATION_LABEL] = generation
    spec = pod["spec"]
    spec["tolerations"] = tolerations(spec)
    affinity = copy_of(spec.get("affinity") or {})
    field = {"key": "metadata.name", "operator": "In", "values": [node]}
    only = {"nodeSelectorTerms": [{"matchFields": [field]}]}
    affinity["nodeAffinity"] = {**(affinity.get("nodeAffinity") or {}), _REQUIRED: only}
    spec["affinity"] = affinity
    return pod


def should_run(ds: Obj, node: Obj) -> tuple[bool, bool]:
    """Whether there should be a pod on a node; and whether one that is there may go on."""
    spec, name = ds["spec"]["template"].get("spec") or {}, node["metadata"]["name"]
    labels = node["metadata"].get("labels")
    required = ((spec.get("affinity") or {}).get("nodeAffinity") or {}).get(_REQUIRED)
    fits = spec.get("nodeName") in (None, "", name) and matches_set(spec.get("nodeSelector"), labels)
    if not fits or (required is not None and not matches_node(required, labels, name)):
        return False, False
    tolerated = tolerations(spec)
    untolerated = {
        taint.get("effect")
        for taint in node["spec"].get("taints") or ()
        if not any(tolerates(each, taint) for each in tolerated)
    }
    if untolerated & {"NoSchedule", "NoExecute"}:
        return False, "NoExecute" not in untolerated
    return True, True


def target(pod: Obj) -> str:
    """The node a pod runs on or was made for; "" for none."""
    name = pod["spec"].get("nodeName")
    if name:
        return str(name)
    required = ((pod["spec"].get("affinity") or {}).get("nodeAffinity") or {}).get(_REQUIRED) or {}
    for term in required.get("nodeSelectorTerms") or ():
        for each in term.get("matchFields") or ():
            if each.get("key") == "metadata.name" and each.get("operator") == "In" and len(each["values"]) == 1:
                return str(each["values"][0])
    return ""


def by_target(pods: Iterable[Obj]) -> dict[str, list[Obj]]:
    """Pods by the node they run on or were made for, the oldest first."""
    found: dict[str, list[Obj]] = defaultdict(list)
    for pod in sorted(pods, key=lambda pod: (not pod["spec"].get("nodeName"), *_age(pod))):
        found[target(pod)].append(pod)
    return found


def _age(pod: Obj) -> tuple[str, str]:
    return pod["metadata"].get("creationTimestamp", ""), pod["metadata"]["name"]
