"""How the containers of a pod look up names: ``dnsPolicy``, ``dnsConfig``, ``hostAliases``.

Source: ``pkg/kubelet/network/dns/dns.go``. The nodes' own name server (:data:`~simkube.runtime.cri.NODE_DNS`) knows
no names of the cluster; it is the one of a kind cluster's Docker network.
"""

from __future__ import annotations

from typing import Any

from simkube.client.client import Obj
from simkube.runtime.cri import CLUSTER_DNS, NODE_DNS

SERVERS, SEARCHES = 3, 32


def lookups(spec: Obj, namespace: str, domain: str) -> dict[str, Any]:
    """The ``dns_*`` fields of a sandbox's configuration."""
    policy = spec.get("dnsPolicy") or "ClusterFirst"
    servers, searches, options = [CLUSTER_DNS], [f"{namespace}.svc.{domain}", f"svc.{domain}", domain], ["ndots:5"]
    if policy == "None":
        servers, searches, options = [], [], []
    elif policy == "Default" or (policy == "ClusterFirst" and spec.get("hostNetwork")):
        servers, searches, options = [NODE_DNS], [], []
    config = spec.get("dnsConfig") or {}
    servers = list(dict.fromkeys([*servers, *(config.get("nameservers") or [])]))
    searches = list(dict.fromkeys([*searches, *(config.get("searches") or [])]))
    return {
        "dns_servers": tuple(servers[:SERVERS]),
        "dns_searches": tuple(searches[:SEARCHES]),
        "dns_options": tuple(_options(options, config.get("options") or [])),
    }


def _options(own: list[str], given: list[Obj]) -> list[str]:
    """The pod's options replace those of the same name."""
    found = dict(one.partition(":")[::2] for one in own)
    for one in given:
        found[one.get("name", "")] = str(one.get("value") or "")
    return [f"{name}:{value}" if value else name for name, value in found.items() if name]


def aliases(spec: Obj) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Addresses and names for ``/etc/hosts``; pods on the host network have the node's file, without them."""
    return tuple((one.get("ip", ""), tuple(one.get("hostnames") or [])) for one in spec.get("hostAliases") or [])


def full_name(spec: Obj, hostname: str, namespace: str, domain: str) -> str:
    """The full name of a pod with a subdomain; "" for any other."""
    subdomain = spec.get("subdomain")
    return f"{hostname}.{subdomain}.{namespace}.svc.{domain}" if subdomain and not spec.get("hostNetwork") else ""
