"""The shape of a cluster, read from the configuration that ``kind`` reads (``kind.x-k8s.io/v1alpha4``).

What a simulated cluster takes from it: nodes with their roles and labels, and the few settings of the control plane
that change what a user sees. Settings that only concern real processes are known and passed over; any other is
refused by name with a :class:`~simkube.apimachinery.errors.HostError`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import yaml

from simkube.apimachinery.errors import HostError

CONTROL_PLANE_LABELS = {
    "node-role.kubernetes.io/control-plane": "",
    "node.kubernetes.io/exclude-from-external-load-balancers": "",
}
CONTROL_PLANE_TAINT = {"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}

_SETTINGS = {
    "default-not-ready-toleration-seconds": "not_ready_toleration",
    "default-unreachable-toleration-seconds": "unreachable_toleration",
    "node-monitor-grace-period": "node_monitor_grace_period",
}
_WITHOUT_EFFECT = {
    "node-monitor-period",  # nothing is monitored by the clock
    "node-eviction-rate",  # taints are not rationed
    "leader-elect",  # there is one of each component
    "nodeStatusUpdateFrequency",  # heartbeats are asked for
    "nodeLeaseDurationSeconds",
}


@dataclass(frozen=True, slots=True)
class Node:
    """One node: ``name`` as kind names it, ``role`` ``control-plane`` or ``worker``."""

    name: str
    role: str
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[Mapping[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Topology:
    """Nodes and settings; times are in seconds."""

    nodes: tuple[Node, ...] = ()
    not_ready_toleration: float = 300.0
    unreachable_toleration: float = 300.0
    node_monitor_grace_period: float = 50.0


def read(config: Mapping[str, Any], cluster: str) -> Topology:
    """The topology of ``config`` (a parsed kind configuration) for a cluster of that name.

    No ``nodes`` at all is one control plane, as for kind; ``nodes: []`` is none.
    """
    if config.get("kind", "Cluster") != "Cluster":
        raise HostError(f"a topology has kind Cluster, not {config.get('kind')!r}")
    entries = config.get("nodes", [{"role": "control-plane"}]) or []
    found: dict[str, float] = {}
    patches = list(config.get("kubeadmConfigPatches") or ())
    for entry in entries:
        patches += entry.get("kubeadmConfigPatches") or ()
    for name, value in _patched(patches):
        if name in _SETTINGS:
            found[_SETTINGS[name]] = seconds(value, name)
        elif name not in _WITHOUT_EFFECT:
            raise HostError(f"the setting {name} of this topology is not simulated; remove it or use a real cluster")
    return Topology(tuple(_nodes(entries, cluster)), **found)


def _nodes(entries: Iterable[Mapping[str, Any]], cluster: str) -> Iterable[Node]:
    count: dict[str, int] = {}
    roles = [entry.get("role", "control-plane") for entry in entries]
    for entry, role in zip(entries, roles, strict=True):
        if role not in ("control-plane", "worker"):
            raise HostError(f"a node's role is control-plane or worker, not {role!r}")
        count[role] = count.get(role, 0) + 1
        name = f"{cluster}-{role}{count[role] if count[role] > 1 else ''}"
        labels = dict(entry.get("labels") or {})
        if role == "worker":
            yield Node(name, role, labels)
        else:
            taints = (CONTROL_PLANE_TAINT,) if "worker" in roles else ()
            yield Node(name, role, {**CONTROL_PLANE_LABELS, **labels}, taints)


def _patched(patches: Iterable[str | Mapping[str, Any]]) -> Iterable[tuple[str, str]]:
    """Every setting in kubeadm patches as ``(name, value)``."""
    for patch in patches:
        try:
            document = _parsed(patch) if isinstance(patch, str) else patch
        except yaml.YAMLError as error:
            raise HostError(f"a kubeadm patch of this topology is not YAML: {error}") from error
        if not isinstance(document, Mapping):
            raise HostError("a kubeadm patch of this topology is not a mapping")
        for key, value in document.items():
            if key in ("kind", "apiVersion"):
                continue
            if isinstance(value, Mapping) and set(value) <= {"extraArgs"}:
                yield from _arguments(value.get("extraArgs") or {})
            else:
                yield str(key), str(value)


@lru_cache(maxsize=64)
def _parsed(patch: str) -> Any:
    """The document of a patch, which nobody changes: the clusters of a host share a few topologies."""
    return yaml.safe_load(patch)


def _arguments(given: Any) -> Iterable[tuple[str, str]]:
    """``extraArgs`` as a mapping, or (kubeadm v1beta4) as a list of name and value."""
    if isinstance(given, Mapping):
        return [(str(name), str(value)) for name, value in given.items()]
    return [(str(each["name"]), str(each["value"])) for each in given]


_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def seconds(text: str, what: str) -> float:
    """A number of seconds or a Go duration such as ``1m30s``; :class:`~simkube.apimachinery.errors.HostError` for
    anything else.
    """
    if re.fullmatch(r"[0-9]+", text):
        return float(text)
    parts = re.findall(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h)", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise HostError(f"{what} is a duration such as 16s, not {text!r}")
    return sum(float(number) * _UNITS[unit] for number, unit in parts)
