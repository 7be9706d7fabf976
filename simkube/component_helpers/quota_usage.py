"""What an object takes of a resource quota, and which quotas an object counts against.

After ``pkg/quota/v1/evaluator/core`` and ``apiserver/pkg/quota/v1/generic``. Pure: quantities in, quantities out. Every
kind counts as ``count/PLURAL.GROUP``; some have older names as well; pods, claims and services also take amounts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from simkube.apimachinery import quantity
from simkube.client.client import Obj
from simkube.component_helpers.qos import qos_class

Amounts = dict[str, str]
_ALIASES = frozenset({"configmaps", "secrets", "resourcequotas", "replicationcontrollers"})
"""Kinds that also count under their bare plural."""
_PLAIN = frozenset({"cpu", "memory", "ephemeral-storage"})
COMPUTE = frozenset(
    {*_PLAIN, *(f"{kind}.{name}" for kind in ("requests", "limits") for name in _PLAIN)}  # pods
)
_SERVICES = frozenset({"services", "services.nodeports", "services.loadbalancers"})
_CLAIMS = frozenset({"persistentvolumeclaims", "requests.storage"})
_CLASS = ".storageclass.storage.k8s.io/"


def counted(storage: str) -> str:
    """``count/deployments.apps``: the name under which a kind's objects are counted."""
    return f"count/{storage}"


def concerns(storage: str, name: str) -> bool:
    """Whether a resource of a quota is one that objects of this kind take."""
    if name == counted(storage) or (storage in _ALIASES and name == storage):
        return True
    if storage == "pods":
        return (
            name == "pods"
            or name in COMPUTE
            or _extended(name)
            or name.removeprefix("requests.").startswith("hugepages-")
        )
    if storage == "services":
        return name in _SERVICES
    if storage == "persistentvolumeclaims":
        return name in _CLAIMS or _CLASS in name
    return False


def _extended(name: str) -> bool:
    return name.startswith("requests.") and "/" in name


def of(storage: str, obj: Obj) -> Amounts:
    """What one object takes."""
    found: Amounts = {counted(storage): "1"}
    if storage in _ALIASES:
        found[storage] = "1"
    elif storage == "pods":
        if not ended(obj):
            found |= {"pods": "1", **_computed(*pod_resources(obj["spec"]))}
    elif storage == "services":
        found |= _service(obj["spec"])
    elif storage == "persistentvolumeclaims":
        found |= _claim(obj["spec"])
    return found


def ended(pod: Obj) -> bool:
    """A pod that has run to its end, or should have by now: it takes no more than its place in the list."""
    return pod.get("status", {}).get("phase") in ("Succeeded", "Failed")


def _computed(requests: Mapping[str, str], limits: Mapping[str, str]) -> Amounts:
    found: Amounts = {}
    for name, amount in requests.items():
        if name in _PLAIN or name.startswith("hugepages-"):
            found[name] = amount
            found[f"requests.{name}"] = amount
        elif "/" in name:
            found[f"requests.{name}"] = amount
    found |= {f"limits.{name}": amount for name, amount in limits.items() if name in _PLAIN}
    return found


def pod_resources(spec: Obj) -> tuple[Amounts, Amounts]:
    """Requests and limits of a whole pod: its containers and sidecars, or the neediest init container."""
    found = []
    for which in ("requests", "limits"):
        total: Amounts = {}
        most: Amounts = {}
        for container in spec.get("containers") or ():
            _add(total, (container.get("resources") or {}).get(which) or {})
        beside: Amounts = {}
        for container in spec.get("initContainers") or ():
            own = (container.get("resources") or {}).get(which) or {}
            if container.get("restartPolicy") == "Always":
                _add(total, own)
                _add(beside, own)
                _raise(most, beside)
            else:
                together = dict(beside)
                _add(together, own)
                _raise(most, together)
        _raise(total, most)
        whole = (spec.get("resources") or {}).get(which) or {}
        total |= whole
        if total:
            _add(total, spec.get("overhead") or {})
        found.append(total)
    return found[0], found[1]


def _add(total: Amounts, more: Mapping[str, str]) -> None:
    for name, amount in more.items():
        total[name] = quantity.add(total.get(name, "0"), str(amount))


def _raise(total: Amounts, least: Mapping[str, str]) -> None:
    for name, amount in least.items():
        if name not in total or quantity.parse(total[name]) < quantity.parse(amount):
            total[name] = amount


def _service(spec: Obj) -> Amounts:
    kind, ports = spec.get("type"), len(spec.get("ports") or ())
    found: Amounts = {"services": "1", "services.nodeports": "0", "services.loadbalancers": "0"}
    if kind == "NodePort":
        found["services.nodeports"] = str(ports)
    elif kind == "LoadBalancer":
        found["services.loadbalancers"] = "1"
        allocates = spec.get("allocateLoadBalancerNodePorts", True)
        given = sum(1 for port in spec.get("ports") or () if port.get("nodePort"))
        found["services.nodeports"] = str(ports if allocates else given)
    return found


def _claim(spec: Obj) -> Amounts:
    found: Amounts = {"persistentvolumeclaims": "1"}
    asked = ((spec.get("resources") or {}).get("requests") or {}).get("storage")
    name = spec.get("storageClassName")
    if asked is not None:
        found["requests.storage"] = str(asked)
    if name:
        found[f"{name}{_CLASS}persistentvolumeclaims"] = "1"
        if asked is not None:
            found[f"{name}{_CLASS}requests.storage"] = str(asked)
    return found


def lacking(pod: Obj, names: Iterable[str]) -> dict[str, list[str]]:
    """The compute resources of a quota that containers must name and do not: resource -> containers."""
    wanted = [name for name in names if name in COMPUTE or name.removeprefix("requests.").startswith("hugepages-")]
    found: dict[str, list[str]] = {}
    for container in (*(pod["spec"].get("containers") or ()), *(pod["spec"].get("initContainers") or ())):
        own = container.get("resources") or {}
        given = _computed(own.get("requests") or {}, own.get("limits") or {})
        for name in wanted:
            if name not in given:
                found.setdefault(name, []).append(container["name"])
    return found


# scopes


def selects(quota: Obj, storage: str, obj: Obj) -> bool:
    """Whether an object is in the scopes of a quota; a quota without scopes is for all."""
    spec = quota.get("spec", {})
    terms: list[Mapping[str, Any]] = [{"scopeName": each, "operator": "Exists"} for each in spec.get("scopes") or ()]
    terms += (spec.get("scopeSelector") or {}).get("matchExpressions") or ()
    if not terms:
        return True
    if storage == "persistentvolumeclaims":
        return all(_class_fits(term, obj) for term in terms)
    return storage == "pods" and all(_in_scope(term, obj) for term in terms)


def _class_fits(term: Mapping[str, Any], claim: Obj) -> bool:
    if term["scopeName"] != "VolumeAttributesClass":
        return False
    return _matches(term, claim["spec"].get("volumeAttributesClassName") or "")


def _in_scope(term: Mapping[str, Any], pod: Obj) -> bool:
    spec: Obj = pod["spec"]
    scope: str = term["scopeName"]
    if scope in ("Terminating", "NotTerminating"):
        return (spec.get("activeDeadlineSeconds") is not None) == (scope == "Terminating")
    if scope in ("BestEffort", "NotBestEffort"):
        return (qos_class(spec) == "BestEffort") == (scope == "BestEffort")
    if scope == "PriorityClass":
        return _matches(term, spec.get("priorityClassName", ""))
    return scope == "CrossNamespacePodAffinity" and _crosses(spec.get("affinity") or {})


def _matches(term: Mapping[str, Any], value: str) -> bool:
    operator, values = term.get("operator"), term.get("values") or ()
    if operator == "In":
        return value in values
    if operator == "NotIn":
        return value not in values
    return bool(value) == (operator != "DoesNotExist")


def _crosses(affinity: Obj) -> bool:
    for kind in ("podAffinity", "podAntiAffinity"):
        own = affinity.get(kind) or {}
        terms = list(own.get("requiredDuringSchedulingIgnoredDuringExecution") or ())
        weighted = own.get("preferredDuringSchedulingIgnoredDuringExecution") or ()
        terms += [each.get("podAffinityTerm") or {} for each in weighted]
        if any(term.get("namespaces") or term.get("namespaceSelector") is not None for term in terms):
            return True
    return False
