"""The starting state of a cluster, and the way back to it.

A baseline is every object that somebody put there (not those that controllers derive from others) as it was before the
lab's own objects were added. :func:`restore` compares the cluster with it, undoes each difference, and goes on until
there is none: an object that was added goes, one that was changed or removed comes back, whatever its kind,
cluster-scoped ones included. What it cannot prove it reports, and the provider then makes the cluster anew.

It does not look inside nodes: files that a pod wrote to a node's own disk stay.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Any

from labs.clusters.dynamic_client import APIError, DynamicClient, Key, Obj, Resource, key_of

SYSTEM_NAMESPACES = frozenset({"kube-system", "kube-public", "kube-node-lease", "local-path-storage"})

_DERIVED = frozenset(
    {
        "Event",
        "Lease",
        "Endpoints",
        "EndpointSlice",
        "ControllerRevision",
        "CertificateSigningRequest",
        "ComponentStatus",
        "CSINode",
        "CSIStorageCapacity",
        "VolumeAttachment",
        "NodeMetrics",
        "PodMetrics",
        "IPAddress",
        "StorageVersion",
        "FlowSchema",
        "PriorityLevelConfiguration",
        "ServiceCIDR",
    }
)
"""Kinds that the control plane writes for itself, again and again."""

_FIRST = ("ValidatingWebhookConfiguration", "MutatingWebhookConfiguration", "ValidatingAdmissionPolicyBinding")
"""Kinds that can stop everything else from being undone: they are dealt with before the rest."""

_SERVER_SET = (
    "uid",
    "resourceVersion",
    "creationTimestamp",
    "generation",
    "managedFields",
    "selfLink",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
)

_VOLATILE_ANNOTATIONS = (
    "deployment.kubernetes.io/revision",
    "control-plane.alpha.kubernetes.io/leader",
    "node.alpha.kubernetes.io/ttl",
    "deprecated.daemonset.template.generation",
)


class _Index:
    """The objects of a cluster that count, by key, with the resource each is served under."""

    def __init__(self, objects: DynamicClient) -> None:
        self.resources: dict[str, Resource] = {}
        self.found: dict[Key, Obj] = {}
        self.derived: list[tuple[Resource, Obj]] = []
        for resource in objects.resources():
            if resource.kind in _DERIVED or "delete" not in resource.verbs:
                continue
            self.resources[f"{resource.api_version}/{resource.kind}"] = resource
            for obj in objects.all_of(resource):
                if _is_derived(obj):
                    self.derived.append((resource, obj))
                else:
                    self.found[key_of(obj)] = obj

    def uids(self) -> set[str]:
        """Of everything there is."""
        return {obj["metadata"]["uid"] for obj in [*self.found.values(), *(obj for _, obj in self.derived)]}


def take(objects: DynamicClient) -> list[Obj]:
    """The baseline of the cluster as it is now: JSON objects without what the API server sets."""
    return [_clean(obj) for obj in _Index(objects).found.values()]


def restore(objects: DynamicClient, baseline: Iterable[Obj], seconds: float) -> list[str]:
    """Bring the cluster back to ``baseline``; [] when proven, else what still differs after ``seconds``."""
    wanted = {key_of(obj): obj for obj in baseline}
    deadline = time.monotonic() + seconds
    before = _Index(objects).uids()
    while True:
        left = list(_undo(objects, wanted, before))
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.25)  # the control plane needs a moment to finish deletions


def _undo(objects: DynamicClient, wanted: dict[Key, Obj], before: set[str]) -> Iterator[str]:
    """One pass: name each difference, and have it undone."""
    now = _Index(objects)
    order = sorted(now.found.items(), key=lambda item: (item[0][0].rpartition("/")[2] not in _FIRST, item[0]))
    for key, obj in order:
        resource = now.resources[key[0]]
        if key not in wanted:
            yield f"{_name(key)} is still there"
            _remove(objects, resource, obj)
        elif _comparable(obj) != _comparable(wanted[key]):
            yield f"{_name(key)} is not as it was"
            _put_back(objects, resource, obj, wanted[key])
    for key, obj in wanted.items():
        if key not in now.found:
            yield f"{_name(key)} is missing"
            if key[0] in now.resources:
                _attempt(objects.create, now.resources[key[0]], obj)
    there = now.uids()
    for resource, obj in now.derived:
        meta = obj["metadata"]
        orphan = any(owner["uid"] not in there for owner in meta.get("ownerReferences") or [])
        used = resource.kind == "Pod" and meta["namespace"] not in SYSTEM_NAMESPACES and meta["uid"] in before
        if orphan or used or "deletionTimestamp" in meta:
            yield f"{_name(key_of(obj))} is still there"
            _remove(objects, resource, obj)


def _remove(objects: DynamicClient, resource: Resource, obj: Obj) -> None:
    meta = obj["metadata"]
    namespace = meta.get("namespace", "")
    if meta.get("finalizers"):
        patch = {"metadata": {"finalizers": None}}
        path = resource.path(namespace, meta["name"])
        _attempt(objects.request, "PATCH", path, patch, content_type="application/merge-patch+json")
    if resource.kind == "Pod" or "deletionTimestamp" not in meta:
        _attempt(objects.delete, resource, namespace, meta["name"], now=resource.kind == "Pod")


def _put_back(objects: DynamicClient, resource: Resource, live: Obj, wanted: Obj) -> None:
    """Replace; where a field cannot be changed, delete (the next pass creates it again)."""
    meta = {**wanted["metadata"], "resourceVersion": live["metadata"]["resourceVersion"]}
    body: Obj = {**wanted, "metadata": meta}
    if "status" in live:
        body["status"] = live["status"]
    try:
        objects.replace(resource, body)
    except APIError as error:
        if error.status == 422:
            _remove(objects, resource, live)
        elif error.status == 0:
            raise


def _attempt(call: Any, *arguments: Any, **options: Any) -> None:
    """A refusal shows as a difference in the next pass; only a server that does not answer ends the work."""
    try:
        call(*arguments, **options)
    except APIError as error:
        if error.status == 0:
            raise


def _is_derived(obj: Obj) -> bool:
    """Whether a controller made it from something else, and would make it again."""
    meta = obj["metadata"]
    if any(owner.get("controller") or owner["kind"] == "Node" for owner in meta.get("ownerReferences") or []):
        return True
    if obj["kind"] == "Secret" and obj.get("type") == "kubernetes.io/service-account-token":
        return "kubernetes.io/service-account.uid" in (meta.get("annotations") or {})
    return bool(obj["kind"] == "ConfigMap" and meta["name"] == "kube-root-ca.crt")


def _clean(obj: Obj) -> Obj:
    meta = {name: value for name, value in obj["metadata"].items() if name not in _SERVER_SET}
    return {**{name: value for name, value in obj.items() if name != "status"}, "metadata": meta}


def _comparable(obj: Obj) -> Obj:
    """What must be equal: without what the control plane keeps changing by itself."""
    kept = _clean(obj)
    meta = kept["metadata"]
    annotations = {k: v for k, v in (meta.get("annotations") or {}).items() if k not in _VOLATILE_ANNOTATIONS}
    kept["metadata"] = {**meta, "annotations": annotations, "labels": meta.get("labels") or {}}
    kept["metadata"].pop("ownerReferences", None)
    if obj["kind"] == "ServiceAccount":
        kept.pop("secrets", None)
    if obj["kind"] == "Node":
        taints = (kept.get("spec") or {}).get("taints") or []
        lasting = [t for t in taints if not t["key"].startswith("node.kubernetes.io/")]
        kept["spec"] = {**(kept.get("spec") or {}), "taints": lasting}
    return kept


def _name(key: Key) -> str:
    kind = key[0].rpartition("/")[2].lower()
    return f"{kind} {key[1]}/{key[2]}" if key[1] else f"{kind} {key[2]}"
