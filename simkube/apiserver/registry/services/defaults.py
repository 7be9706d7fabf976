"""Defaults of services (``SetDefaults_Service``); addresses and node ports are allocated elsewhere."""

from __future__ import annotations

from simkube.client.client import Obj

_THREE_HOURS = 10800


def service(obj: Obj) -> None:
    """A service: its type, the protocol and target of each port, affinity and traffic policies."""
    spec = obj.setdefault("spec", {})
    spec.setdefault("sessionAffinity", "None")
    spec.setdefault("type", "ClusterIP")
    if spec["sessionAffinity"] == "ClientIP":
        config = spec.setdefault("sessionAffinityConfig", {}).setdefault("clientIP", {})
        config.setdefault("timeoutSeconds", _THREE_HOURS)
    for port in spec.get("ports", ()):
        port.setdefault("protocol", "TCP")
        if not port.get("targetPort") and "port" in port:
            port["targetPort"] = port["port"]
    if spec["type"] in ("NodePort", "LoadBalancer") or (spec["type"] == "ClusterIP" and spec.get("externalIPs")):
        spec.setdefault("externalTrafficPolicy", "Cluster")
    if spec["type"] == "LoadBalancer":
        spec.setdefault("allocateLoadBalancerNodePorts", True)
    if spec["type"] in ("ClusterIP", "NodePort", "LoadBalancer"):
        spec.setdefault("internalTrafficPolicy", "Cluster")
    balancer = obj.setdefault("status", {}).setdefault("loadBalancer", {})
    for address in balancer.get("ingress", ()) if spec["type"] == "LoadBalancer" else ():
        if address.get("ip"):
            address.setdefault("ipMode", "VIP")


def endpoints(obj: Obj) -> None:
    """Endpoints: ports are TCP."""
    for subset in obj.get("subsets", ()):
        for port in subset.get("ports", ()):
            port.setdefault("protocol", "TCP")


def endpoint_slice(obj: Obj) -> None:
    """A slice: ports are TCP and have a name, be it empty; both lists are always there, null or not."""
    for port in obj.get("ports") or ():
        port.setdefault("name", "")
        port.setdefault("protocol", "TCP")
    for endpoint in obj.get("endpoints") or ():
        endpoint.setdefault("conditions", {})
    obj.setdefault("endpoints", None)
    obj.setdefault("ports", None)
