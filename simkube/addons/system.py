"""The pods by which a kind cluster does its own work: CoreDNS, kube-proxy, kindnet, the provisioner of volumes.

They are ordinary objects, run by the cluster's own controllers and kubelets from then on; what somebody deletes of them
comes back if a controller brings it back, or what it was for ends. A cluster that nobody has looked at has none of them
yet, and its components do the work by themselves: they are made (:func:`furnish`) when the first request comes in from
outside, so that idle clusters stay small. Sources: kubeadm's phases/addons, kind's pkg/build/nodeimage.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from simkube.apimachinery.errors import StatusError
from simkube.client.client import Client, Obj, copy_of
from simkube.kubelet.node import VERSION
from simkube.runtime.network.agents import ANYWHERE, Agents

log = logging.getLogger(__name__)

FURNISHED = "furnished"
"""The key of the side store under which it is noted that a cluster has them."""
NAMESPACES = ("kube-system", "local-path-storage")
_FOLDER = Path(__file__).parent / "manifests"
_FILES = ("kubeadm", "kindnet", "kube-proxy", "coredns", "local-path-storage")
_PLURALS = {
    "ClusterRole": "clusterroles.rbac.authorization.k8s.io",
    "ClusterRoleBinding": "clusterrolebindings.rbac.authorization.k8s.io",
    "ConfigMap": "configmaps",
    "DaemonSet": "daemonsets.apps",
    "Deployment": "deployments.apps",
    "Namespace": "namespaces",
    "Role": "roles.rbac.authorization.k8s.io",
    "RoleBinding": "rolebindings.rbac.authorization.k8s.io",
    "ServiceAccount": "serviceaccounts",
}
_APART = frozenset({"nodes", "leases", "selfsubjectreviews", "selfsubjectaccessreviews", "selfsubjectrulesreviews"})
"""Resources of requests that nothing of them can be seen in; asked for before a cluster is used."""
_ON_NODES, _ONCE = ("kube-proxy", "kindnet"), ("coredns", "local-path-provisioner")


@cache
def manifests() -> tuple[Obj, ...]:
    """The objects in order, with ``${plane}``, ``${cluster}`` and ``${version}`` in their texts."""
    found: list[Obj] = []
    for name in _FILES:
        text = (_FOLDER / f"{name}.yaml").read_text("utf-8")
        found += yaml.load_all(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return tuple(found)


def images() -> tuple[str, ...]:
    """What the nodes of a kind cluster have on their disks from the beginning."""
    facts = {"version": VERSION}
    return tuple(
        dict.fromkeys(
            _filled(container["image"], facts)
            for obj in manifests()
            for container in (obj.get("spec", {}).get("template", {}).get("spec", {}).get("containers") or ())
        )
    )


def furnish(client: Client, *, cluster: str, plane: str) -> None:
    """Make the objects; those whose names are taken stay as they are. ``plane`` is the control plane's node."""
    facts = {"cluster": cluster, "plane": plane, "version": VERSION}
    for obj in manifests():
        made = _filled(obj, facts)
        try:
            client.create(_PLURALS[obj["kind"]], made, made["metadata"].get("namespace", ""))
        except StatusError as error:  # somebody's policy, or a full cluster: the request that came must not suffer
            if error.reason != "AlreadyExists":
                log.warning("%s %s was not made: %s", obj["kind"], made["metadata"]["name"], error)
    try:
        service = copy_of(client.get("services", "kube-dns", "kube-system"))
        if not service["spec"].get("selector"):
            service["spec"]["selector"] = {"k8s-app": "kube-dns"}
            client.update("services", service)
    except StatusError as error:
        log.warning("the Service kube-dns has no pods: %s", error)


def shown_by(path: str) -> bool:
    """Whether a request for ``path`` could show any of them, or make something that lives beside them."""
    parts = path.strip("/").split("/")
    resource = {"api": 2, "apis": 3}.get(parts[0])
    if resource is None or len(parts) <= resource:
        return False  # versions, discovery, schemas, health
    if parts[resource] == "namespaces" and parts[resource + 2 :] == ["serviceaccounts"]:
        return parts[resource + 1] in NAMESPACES  # whoever waits for a cluster asks for the default account
    return parts[resource] not in _APART


def house(agents: Agents, nodes: Iterable[str]) -> None:
    """From now on nothing is done but by these pods."""
    for program in _ONCE:
        agents.house(program, ANYWHERE)
    for node in nodes:
        for program in _ON_NODES:
            agents.house(program, node)


def _filled(value: Any, facts: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        for name, fact in facts.items():
            value = value.replace(f"${{{name}}}", fact)
        return value
    if isinstance(value, dict):
        return {key: _filled(each, facts) for key, each in value.items()}
    return [_filled(each, facts) for each in value] if isinstance(value, list) else value
