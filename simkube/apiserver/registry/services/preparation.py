"""What the server decides about a changed service itself (``pkg/registry/core/service``: strategy.go, storage)."""

from __future__ import annotations

from simkube.client.client import Obj


def changed_service(new: Obj, old: Obj, subresource: str, _now: str) -> None:
    """Both fields of its address are brought in step; what a service of its new type has no use for goes."""
    if not subresource:
        _bring_in_step(new["spec"], old["spec"])
        _give_up(new["spec"], old["spec"])


def _bring_in_step(new: Obj, old: Obj) -> None:
    """Who changed ``clusterIP`` alone means the first of ``clusterIPs``, who emptied it all of them
    (normalizeClusterIPs).
    """
    had, has = old.get("clusterIP", ""), new.get("clusterIP", "")
    if not had or has == had or new.get("clusterIPs") != old.get("clusterIPs"):
        return
    if has:
        new["clusterIPs"] = [has, *new.get("clusterIPs", ())[1:]]
    else:
        new.pop("clusterIPs", None)


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
