"""Defaults of networking.k8s.io (``pkg/apis/networking/v1/defaults.go``)."""

from __future__ import annotations

from simkube.client.client import Obj


def network_policy(obj: Obj) -> None:
    """A policy: ports are TCP; it is for ingress, and for egress when it has rules for it."""
    spec = obj.setdefault("spec", {})
    spec.setdefault("podSelector", {})
    for rule in (*spec.get("ingress", ()), *spec.get("egress", ())):
        for port in rule.get("ports", ()):
            port.setdefault("protocol", "TCP")
    if not spec.get("policyTypes"):
        spec["policyTypes"] = ["Ingress", *(["Egress"] if spec.get("egress") else [])]


def ingress(obj: Obj) -> None:
    """An ingress: the status that is always shown."""
    obj.setdefault("spec", {})
    obj.setdefault("status", {}).setdefault("loadBalancer", {})


def ingress_class(obj: Obj) -> None:
    """A class: parameters are of the whole cluster unless they say otherwise."""
    parameters = obj.setdefault("spec", {}).get("parameters")
    if parameters is not None:
        parameters.setdefault("scope", "Cluster")


def with_spec(obj: Obj) -> None:
    """An object that always has a spec: addresses and ranges of service addresses."""
    obj.setdefault("spec", {})
