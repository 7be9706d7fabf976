"""What a change in the cluster may mean for pods that fitted nowhere: the plugins that may answer differently.

Source: the plugins' ``EventsToRegister`` and queueing hints, ``pkg/scheduler/eventhandlers.go``. A hint that is not
sure asks for another try: one too many costs time, one too few leaves a pod Pending for ever.
"""

from __future__ import annotations

from collections.abc import Callable

from simkube.client.client import Obj
from simkube.scheduler.affinity import selects
from simkube.scheduler.nodes import Nodes, requests, required_terms
from simkube.scheduler.queue import EVERY, Change
from simkube.scheduler.volumes import PLUGINS as VOLUME_PLUGINS

_NODE_PARTS = (
    ("taints", frozenset({"TaintToleration", "PodTopologySpread"})),
    ("unschedulable", frozenset({"NodeUnschedulable", "TaintToleration"})),
)
_BY_LABELS = frozenset({"NodeAffinity", "PodTopologySpread", "InterPodAffinity", "VolumeBinding", "VolumeZone"})
_BY_RESOURCES = frozenset({"NodeResourcesFit"})
_BESIDE = frozenset({"InterPodAffinity", "PodTopologySpread"})
"""The plugins that look at the pods of all nodes."""

NODE_GONE = Change(_BESIDE)
NAMESPACE_LABELS = Change(frozenset({"InterPodAffinity"}))
STORAGE = Change(VOLUME_PLUGINS)
WITHOUT_POD = Change(_BESIDE | {"NodeResourcesFit", "NodePorts", "VolumeRestrictions", "NodeVolumeLimits"})
"""A pod is gone from a node, or one that was promised a place there wants it no more."""


def node_change(old: Obj | None, new: Obj) -> Change | None:
    """What a node that came or changed may mean; None for nothing."""
    if old is None:
        return Change(frozenset({EVERY}))
    found: frozenset[str] = frozenset()
    for part, plugins in _NODE_PARTS:
        if old["spec"].get(part) != new["spec"].get(part):
            found |= plugins
    if old["metadata"].get("labels") != new["metadata"].get("labels"):
        found |= _BY_LABELS
    if (old.get("status") or {}).get("allocatable") != (new.get("status") or {}).get("allocatable"):
        found |= _BY_RESOURCES
    return Change(found) if found else None


def pod_came(pod: Obj, nodes: Nodes) -> tuple[Change, ...]:
    """What a pod that is on a node now may mean: company for those that want to be near it, another balance."""
    return (
        Change(frozenset({"InterPodAffinity"}), _drawn_to(pod, nodes)),
        Change(frozenset({"PodTopologySpread"}), _of_namespace(pod["metadata"]["namespace"])),
    )


def pod_changed(old: Obj, new: Obj) -> tuple[Change, ...]:
    """What another set of labels, another size or the end that was asked for of a pod on a node may mean."""
    found: list[Change] = []
    labels = old["metadata"].get("labels") != new["metadata"].get("labels")
    if labels or ("deletionTimestamp" in new["metadata"] and "deletionTimestamp" not in old["metadata"]):
        found.append(Change(_BESIDE))
    before, after = requests(old), requests(new)
    if any(after.get(name, 0) < amount for name, amount in before.items()):
        found.append(Change(_BY_RESOURCES))
    return tuple(found)


def _drawn_to(pod: Obj, nodes: Nodes) -> Callable[[Obj], bool]:
    return lambda waiting: any(selects(term, waiting, pod, nodes) for term in required_terms(waiting, "podAffinity"))


def _of_namespace(name: str) -> Callable[[Obj], bool]:
    return lambda waiting: bool(waiting["metadata"]["namespace"] == name)
