"""The volumes a pod uses, seen by the scheduler: are they there, can they be had on this node, who binds them.

What the plugins VolumeRestrictions, NodeVolumeLimits, VolumeBinding and VolumeZone do. Claims whose class waits for a
consumer are bound for the chosen node: a volume that is there is reserved, else the provisioner is told the node.
Source: ``pkg/scheduler/framework/plugins/{volumerestrictions,nodevolumelimits,volumebinding,volumezone}``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from simkube.apimachinery.labels import matches
from simkube.client.client import Client, Event, Key, Obj, copy_of
from simkube.component_helpers.volumebinding import (
    BOUND_BY_CONTROLLER,
    CLAIMS,
    CLASSES,
    NO_PROVISIONER,
    SELECTED_NODE,
    VOLUMES,
    best,
    claim_names,
    class_of,
    is_fully_bound,
    is_late,
    notes,
    owns,
    reaches,
    reference,
    size,
    wanted,
)
from simkube.scheduler.nodes import NodeInfo, Nodes

_NODE_CONFLICT = "node(s) didn't match PersistentVolume's node affinity"
_BIND_CONFLICT = "node(s) didn't find available persistent volumes to bind"
_NO_SPACE = "node(s) did not have enough free storage"
_NO_VOLUME = "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)"
_ONE_POD = "node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode"
_TOO_MANY = "node(s) exceed max volume count"
_ZONE = "node(s) had no available volume zone"
_IMMEDIATE = "pod has unbound immediate PersistentVolumeClaims"
_ZONE_LABELS = (
    "topology.kubernetes.io/zone",
    "topology.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region",
)
PLUGINS = frozenset({"VolumeRestrictions", "NodeVolumeLimits", "VolumeBinding", "VolumeZone"})
_CSI = ("csinodes.storage.k8s.io", "csidrivers.storage.k8s.io", "csistoragecapacities.storage.k8s.io")


class Storage:
    """Claims, volumes and classes as they are now; ``changed`` is told the key of a claim, or None for the rest."""

    def __init__(self, client: Client, changed: Callable[[Key | None], None]) -> None:
        def claim_changed(event: Event) -> None:
            changed((event.obj["metadata"]["namespace"], event.obj["metadata"]["name"]))

        def other_changed(_: Event) -> None:
            changed(None)

        self.client = client
        self.classes = client.observe(CLASSES, other_changed)
        self.volumes = client.observe(VOLUMES, other_changed)
        self.volumes.add_index("class", lambda volume: (class_of(volume),))
        self.claims = client.observe(CLAIMS, claim_changed)
        self.nodes, self.drivers, self.capacities = (client.observe(each, other_changed) for each in _CSI)


@dataclass(slots=True)
class PodVolumes:
    """One pod's claims: ``problem`` when it can run nowhere at present, with the plugin that says so."""

    storage: Storage
    problem: tuple[str, str] | None = None
    bound: list[Obj] = field(default_factory=list)
    late: list[Obj] = field(default_factory=list)
    alone: list[Key] = field(default_factory=list)

    def refusal(self, info: NodeInfo, nodes: Nodes) -> tuple[tuple[str, ...], str, bool] | None:
        """Reasons, plugin, and whether they are final; or None."""
        if any(nodes.claim_users(key) for key in self.alone):
            return (_ONE_POD,), "VolumeRestrictions", False
        if self._too_many(info):
            return (_TOO_MANY,), "NodeVolumeLimits", False
        reasons = self._binding(info)
        if reasons:
            return reasons, "VolumeBinding", True
        if any(not self._in_zone(claim, info) for claim in self.bound):
            return (_ZONE,), "VolumeZone", True
        return None

    def _volume(self, claim: Obj) -> Obj | None:
        return self.storage.volumes.get("", claim["spec"].get("volumeName", ""))

    def _binding(self, info: NodeInfo) -> tuple[str, ...]:
        assert info.node is not None
        volumes = [self._volume(claim) for claim in self.bound]
        if any(volume is None for volume in volumes):
            return (_NO_VOLUME,)
        reasons = []
        if not all(volume is None or reaches(volume, info.node) for volume in volumes):
            reasons.append(_NODE_CONFLICT)
        if self.late:
            problem = self.choose(info)[2]
            if problem:
                reasons.append(problem)
        return tuple(reasons)

    def choose(self, info: NodeInfo) -> tuple[list[tuple[Obj, Obj]], list[Obj], str]:
        """For a node: claims with the volumes they get, claims to be provisioned, and what stands against it."""
        assert info.node is not None
        found: list[tuple[Obj, Obj]] = []
        made: list[Obj] = []
        taken: set[str] = set()
        for claim in sorted(self.late, key=wanted):
            node = notes(claim).get(SELECTED_NODE)
            if node is not None:
                if node != info.name:
                    return [], [], _BIND_CONFLICT
                made.append(claim)
                continue
            there = self.storage.volumes.indexed("class", class_of(claim))
            free = (volume for volume in there if volume["metadata"]["name"] not in taken)
            volume = best(claim, free, late=True, node=info.node)
            if volume is None:
                made.append(claim)
            else:
                taken.add(volume["metadata"]["name"])
                found.append((claim, volume))
        for claim in made:
            problem = self._provisioning(claim, info)
            if problem:
                return [], [], problem
        return found, made, ""

    def _provisioning(self, claim: Obj, info: NodeInfo) -> str:
        name = class_of(claim)
        found = self.storage.classes.get("", name)
        if found is None or found.get("provisioner") in (None, "", NO_PROVISIONER):
            return _BIND_CONFLICT
        topologies = found.get("allowedTopologies") or ()
        if topologies and not any(_in_topology(term, info) for term in topologies):
            return _BIND_CONFLICT
        driver = self.storage.drivers.get("", found["provisioner"])
        if driver is None or not driver["spec"].get("storageCapacity"):
            return ""
        enough = any(_has_room(each, name, wanted(claim), info) for each in self.storage.capacities.list())
        return "" if enough else _NO_SPACE

    def _in_zone(self, claim: Obj, info: NodeInfo) -> bool:
        volume = self._volume(claim)
        labels = (volume["metadata"].get("labels") or {}) if volume is not None else {}
        if not any(key in info.labels for key in _ZONE_LABELS):
            return True
        return all(info.labels.get(key) in labels[key].split("__") for key in _ZONE_LABELS if key in labels)

    def _too_many(self, info: NodeInfo) -> bool:
        """Whether a CSI driver of the node could not attach what comes (``CSINode``'s ``allocatable.count``)."""
        node = self.storage.nodes.get("", info.name)
        limits = {
            driver["name"]: driver["allocatable"]["count"]
            for driver in ((node or {}).get("spec") or {}).get("drivers") or ()
            if (driver.get("allocatable") or {}).get("count") is not None
        }
        if not limits:
            return False
        new = {handle for claim in self.bound if (handle := self._handle(claim))}
        there = set()
        for pod in info.pods.values():
            for _, name, _ in claim_names(pod):
                claim = self.storage.claims.get(pod["metadata"]["namespace"], name)
                if claim is not None and (handle := self._handle(claim)):
                    there.add(handle)
        return any(
            any(each[0] == driver for each in new - there) and sum(each[0] == driver for each in new | there) > limit
            for driver, limit in limits.items()
        )

    def _handle(self, claim: Obj) -> tuple[str, str] | None:
        source = ((self._volume(claim) or {}).get("spec") or {}).get("csi")
        return (source["driver"], source["volumeHandle"]) if source else None

    # binding

    def ready(self) -> bool:
        """Whether there is nothing left to bind."""
        return not self.late

    def reserve(self, info: NodeInfo) -> None:
        """Have the claims bound for this node: whoever does it is told; it is done when :meth:`ready` says so."""
        found, made, _ = self.choose(info)
        client = self.storage.client
        for claim, volume in found:
            if (volume["spec"].get("claimRef") or {}).get("uid") == claim["metadata"]["uid"]:
                continue
            new = copy_of(volume)
            if not volume["spec"].get("claimRef"):
                new["metadata"].setdefault("annotations", {})[BOUND_BY_CONTROLLER] = "yes"
            new["spec"]["claimRef"] = reference(claim)
            client.update(VOLUMES, new)
        for claim in made:
            if notes(claim).get(SELECTED_NODE) != info.name:
                new = copy_of(claim)
                new["metadata"].setdefault("annotations", {})[SELECTED_NODE] = info.name
                client.update(CLAIMS, new)

    def undone(self) -> str:
        """The name of a claim whose provisioner gave the chosen node back; "" when there is none."""
        for claim in self.late:
            meant = any(
                (volume["spec"].get("claimRef") or {}).get("uid") == claim["metadata"]["uid"]
                for volume in self.storage.volumes.indexed("class", class_of(claim))
            )
            if SELECTED_NODE not in notes(claim) and not meant:
                return str(claim["metadata"]["name"])
        return ""


def volumes_of(pod: Obj, storage: Storage) -> PodVolumes:
    """The pod's claims as they are now."""
    found = PodVolumes(storage)
    namespace = pod["metadata"]["namespace"]
    immediate = False
    for _, name, ephemeral in claim_names(pod):
        claim = storage.claims.get(namespace, name)
        problem = _problem(pod, claim, name, ephemeral)
        if problem or claim is None:
            found.problem = found.problem or (problem, "VolumeBinding")
            continue
        if "ReadWriteOncePod" in (claim["spec"].get("accessModes") or ()) and not ephemeral:
            found.alone.append((namespace, name))
        if is_fully_bound(claim):
            found.bound.append(claim)
        elif is_late(storage.classes.get("", class_of(claim))) and not claim["spec"].get("volumeName"):
            found.late.append(claim)
        else:
            immediate = True
    if immediate and found.problem is None:
        found.problem = (_IMMEDIATE, "VolumeBinding")
    return found


def _problem(pod: Obj, claim: Obj | None, name: str, ephemeral: bool) -> str:
    if claim is None:
        if ephemeral:
            return f'waiting for ephemeral volume controller to create the persistentvolumeclaim "{name}"'
        return f'persistentvolumeclaim "{name}" not found'
    if (claim.get("status") or {}).get("phase") == "Lost":
        volume = claim["spec"].get("volumeName", "")
        return f'persistentvolumeclaim "{name}" bound to non-existent persistentvolume "{volume}"'
    if "deletionTimestamp" in claim["metadata"]:
        return f'persistentvolumeclaim "{name}" is being deleted'
    if ephemeral and not owns(pod, claim):
        where, meta = claim["metadata"]["namespace"], pod["metadata"]
        return f"PVC {where}/{name} was not created for pod {meta['namespace']}/{meta['name']} (pod is not owner)"
    return ""


def _in_topology(term: Obj, info: NodeInfo) -> bool:
    return all(
        info.labels.get(each.get("key", "")) in (each.get("values") or ())
        for each in term.get("matchLabelExpressions") or ()
    )


def _has_room(capacity: Obj, name: str, amount: int, info: NodeInfo) -> bool:
    if capacity.get("storageClassName") != name or not matches(capacity.get("nodeTopology"), info.labels):
        return False
    most = capacity.get("maximumVolumeSize") or capacity.get("capacity")
    return most is not None and size({"storage": most}) >= amount
