"""What the server decides about an object's own fields when it is created or changed: status, generation, QoS.

After PrepareForCreate and PrepareForUpdate of the ``strategy.go`` files in ``pkg/registry``.
"""

from __future__ import annotations

from typing import Any

from simkube.apiserver.registry.apiextensions import definition
from simkube.apiserver.registry.apps.defaults import TEMPLATE_GENERATION
from simkube.apiserver.registry.pods.parts import PARTS, only_part, qos_class
from simkube.apiserver.registry.strategy import Strategy
from simkube.client.client import Obj

_EMPTY_STATUS: dict[str, dict[str, Any]] = {
    "deployments.apps": {},
    "replicasets.apps": {"replicas": 0},
    "statefulsets.apps": {"replicas": 0, "availableReplicas": 0},
    "daemonsets.apps": {
        "currentNumberScheduled": 0,
        "numberMisscheduled": 0,
        "desiredNumberScheduled": 0,
        "numberReady": 0,
    },
    "replicationcontrollers": {"replicas": 0},
    "validatingadmissionpolicies.admissionregistration.k8s.io": {},
    "flowschemas.flowcontrol.apiserver.k8s.io": {},
    "prioritylevelconfigurations.flowcontrol.apiserver.k8s.io": {},
    "jobs.batch": {},
    "resourceclaims.resource.k8s.io": {},
    "cronjobs.batch": {},
    "horizontalpodautoscalers.autoscaling": {"desiredReplicas": 0, "currentMetrics": None},
    "poddisruptionbudgets.policy": {
        "disruptionsAllowed": 0,
        "currentHealthy": 0,
        "desiredHealthy": 0,
        "expectedPods": 0,
    },
    "services": {"loadBalancer": {}},
    "ingresses.networking.k8s.io": {"loadBalancer": {}},
    "servicecidrs.networking.k8s.io": {},
    "namespaces": {"phase": "Active"},
    "resourcequotas": {},
    "certificatesigningrequests.certificates.k8s.io": {},
    "persistentvolumes": {"phase": "Pending"},
    "persistentvolumeclaims": {"phase": "Pending"},
    "volumeattachments.storage.k8s.io": {"attached": False},
}


def prepare_create(storage: str, kind: Strategy, obj: Obj) -> None:
    """Reset what a client may not set on a new object; changes it in place."""
    if kind.generation:
        obj["metadata"]["generation"] = 1
    if kind.drops_status:
        obj.pop("status", None)
    if storage in _EMPTY_STATUS:
        status = _EMPTY_STATUS[storage]
        obj["status"] = {key: dict(value) if isinstance(value, dict) else value for key, value in status.items()}
    if storage == "jobs.batch":
        _select_own_pods(obj)
    elif storage == "daemonsets.apps":
        obj["metadata"]["annotations"][TEMPLATE_GENERATION] = "1"
    if storage == "customresourcedefinitions.apiextensions.k8s.io":
        obj["status"] = definition.first_status(obj)
    if storage == "pods":
        if obj["spec"].get("terminationGracePeriodSeconds", 0) < 0:
            obj["spec"]["terminationGracePeriodSeconds"] = 1
        obj["status"] = {"phase": "Pending", "qosClass": qos_class(obj["spec"])}
    elif storage == "namespaces":
        finalizers = obj["spec"].setdefault("finalizers", [])
        if "kubernetes" not in finalizers:
            finalizers.append("kubernetes")


def prepare_update(storage: str, kind: Strategy, new: Obj, old: Obj, subresource: str) -> None:
    """Keep what this request may not change and count the generation; changes ``new`` in place."""
    if subresource == "status":
        _status_only(kind, new, old)
        return
    if subresource == "finalize":
        _take_back(new, old, "status")
        return
    if subresource in PARTS:
        only_part(new, old, subresource)
    if kind.keeps_status or storage == "nodes":
        _take_back(new, old, "status")
    if storage == "namespaces":
        new["spec"]["finalizers"] = list(old["spec"].get("finalizers", ()))
        if not new["spec"]["finalizers"]:
            del new["spec"]["finalizers"]
    if storage == "pods":
        new["status"] = old.get("status", {})
    if storage == "daemonsets.apps":
        _count_template(new, old)
    if storage == "customresourcedefinitions.apiextensions.k8s.io":
        definition.store_version(new)
    if storage == "services" and not subresource:
        _give_up(new["spec"], old["spec"])
    if kind.generation and (_desired(new, kind) != _desired(old, kind) or _annotated(storage, new, old)):
        new["metadata"]["generation"] = old["metadata"].get("generation", 0) + 1


def _select_own_pods(job: Obj) -> None:
    """A job marks its pods with its name and its uid, and selects them by the uid (``generateSelector``).

    Labels that were given already stay, and validation judges them. Where the job's labels are those of its template
    they stay the same ones.
    """
    meta, spec = job["metadata"], job["spec"]
    if spec.get("manualSelector"):
        return
    labels = spec["template"]["metadata"].setdefault("labels", {})
    shared = meta.get("labels", {}) == labels
    for prefix in ("", "batch.kubernetes.io/"):
        labels.setdefault(f"{prefix}job-name", meta.get("name", ""))
        labels.setdefault(f"{prefix}controller-uid", meta["uid"])
    if shared:
        meta["labels"] = dict(labels)
    selector = spec.setdefault("selector", {}).setdefault("matchLabels", {})
    selector.setdefault("batch.kubernetes.io/controller-uid", meta["uid"])


def _count_template(new: Obj, old: Obj) -> None:
    """The number of a daemon set's template: the server's alone."""
    before = old["metadata"].get("annotations", {}).get(TEMPLATE_GENERATION, "0")
    changed = new["spec"]["template"] != old["spec"]["template"]
    new["metadata"]["annotations"][TEMPLATE_GENERATION] = str(int(before) + changed) if before.isdigit() else "1"


def _annotated(storage: str, new: Obj, old: Obj) -> bool:
    """Deployments count a change of annotations too: it may be why they roll."""
    if storage != "deployments.apps":
        return False
    return bool(new["metadata"].get("annotations", {}) != old["metadata"].get("annotations", {}))


def _give_up(new: Obj, old: Obj) -> None:
    """What a service of its new type has no use for goes, when the caller left it as it was
    (dropTypeDependentFields).
    """
    kind = new.get("type")
    if kind == "ExternalName":
        for name in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy"):
            if name in new and new[name] == old.get(name):
                del new[name]
    if kind in ("ClusterIP", "ExternalName") and old.get("type") in ("NodePort", "LoadBalancer"):
        had = {port.get("nodePort") for port in old.get("ports", ())}
        for port in new.get("ports", ()):
            if port.get("nodePort") in had:
                port.pop("nodePort", None)
        if new.get("externalTrafficPolicy") == old.get("externalTrafficPolicy"):
            new.pop("externalTrafficPolicy", None)
    if kind != "LoadBalancer" and old.get("type") == "LoadBalancer":
        for name in ("allocateLoadBalancerNodePorts", "loadBalancerClass"):
            if new.get(name) == old.get(name):
                new.pop(name, None)


def _take_back(new: Obj, old: Obj, name: str) -> None:
    if name in old:
        new[name] = old[name]
    else:
        new.pop(name, None)


def _status_only(kind: Strategy, new: Obj, old: Obj) -> None:
    for name in {*new, *old} - {"metadata", "status", "kind", "apiVersion"}:
        _take_back(new, old, name)
    if kind.status_keeps_metadata:
        entries = new["metadata"].get("managedFields")
        new["metadata"] = {key: value for key, value in old["metadata"].items() if key != "managedFields"}
        if entries:
            new["metadata"]["managedFields"] = entries
    if kind.status_keeps_labels:
        _take_back(new["metadata"], old["metadata"], "labels")
    for name in ("ownerReferences", "finalizers"):
        if kind.generation:
            _take_back(new["metadata"], old["metadata"], name)


def _desired(obj: Obj, kind: Strategy) -> Obj:
    beside = ("metadata", "kind", "apiVersion") if kind.counts_status else ("metadata", "status", "kind", "apiVersion")
    return {key: value for key, value in obj.items() if key not in beside}
