"""The addresses of services: cluster IPs and their families, and how these may change.

After ``ValidateServiceClusterIPsRelatedFields`` and what ``ValidateServiceUpdate`` asks of them. Which addresses there
are to be had is not looked at here. This cluster has one family of addresses, IPv4.
"""

from __future__ import annotations

import ipaddress

from simkube.apiserver.validation.addresses import is_address, not_special
from simkube.apiserver.validation.field import Errors
from simkube.client.client import Obj

_IPS = "spec.clusterIPs"
_FAMILIES = ("IPv4", "IPv6")
_POLICIES = ("PreferDualStack", "RequireDualStack", "SingleStack")
_BAD = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"


def cluster_ips(spec: Obj) -> list[str]:
    """All of a service's cluster IPs; who gave only the one, gave that."""
    given: list[str] = spec.get("clusterIPs") or ([spec["clusterIP"]] if spec.get("clusterIP") else [])
    return given


def is_headless(spec: Obj) -> bool:
    """Whether a service has no address, and says so."""
    return cluster_ips(spec) == ["None"]


def addresses(spec: Obj, errors: Errors) -> None:
    """Cluster IPs and families of any service that is no mere name."""
    ips = cluster_ips(spec)
    if spec.get("clusterIP") and ips[0] != spec["clusterIP"]:
        errors.invalid(_IPS, ips, "first value must match `clusterIP`")
    elif not spec.get("clusterIP") and ips:
        errors.invalid(_IPS, ips, "must be empty when `clusterIP` is not specified")
    _families(spec, errors)
    wrong = False
    for index, address in enumerate(ips):
        if index == 0 and address == "None":
            if len(ips) > 1:
                wrong = True
                errors.invalid(_IPS, ips, "'None' must be the first and only value")
        elif not is_address(address):
            wrong = True
            errors.invalid(f"{_IPS}[{index}]", address, _BAD)
    if len(ips) > 2:
        errors.invalid(_IPS, ips, "may only hold up to 2 values")
    if not wrong and ips != ["None"]:
        _match(ips, spec.get("ipFamilies", ()), errors)


def _families(spec: Obj, errors: Errors) -> None:
    policy, seen = spec.get("ipFamilyPolicy"), set()
    for index, family in enumerate(spec.get("ipFamilies", ())):
        path = f"spec.ipFamilies[{index}]"
        if family not in _FAMILIES:
            errors.not_supported(path, family, _FAMILIES)
        elif family in seen:
            errors.duplicate(path, family)
        elif family == "IPv6":
            errors.invalid(path, family, "not configured on this cluster")
        seen.add(family)
    if policy is not None and policy not in _POLICIES:
        errors.not_supported("spec.ipFamilyPolicy", policy, _POLICIES)
    elif policy == "RequireDualStack":
        errors.invalid("spec.ipFamilyPolicy", policy, "this cluster is not configured for dual-stack services")


def _match(ips: list[str], families: list[str], errors: Errors) -> None:
    """Addresses are of different families, and of those that the service names."""
    have = [f"IPv{ipaddress.ip_address(ip).version}" for ip in ips]
    if len(ips) > 1 and len(set(have)) == 1:
        errors.invalid(_IPS, ips, "may specify no more than one IP for each IP family")
    for index, (ip, has, wanted) in enumerate(zip(ips, have, families, strict=False)):
        if wanted in _FAMILIES and has != wanted:
            detail = f"expected an {wanted} value as indicated by `ipFamilies[{index}]`"
            errors.invalid(f"{_IPS}[{index}]", ip, detail)


def external_ips(spec: Obj, errors: Errors) -> None:
    """Addresses that somebody else brings to the nodes: none of those that have a meaning of their own."""
    for index, address in enumerate(spec.get("externalIPs", ())):
        path = f"spec.externalIPs[{index}]"
        if is_address(address):
            not_special(address, path, errors)
        else:
            errors.invalid(path, address, _BAD)


def changed(new: Obj, old: Obj, errors: Errors) -> None:
    """The first address and its family stay while there are any; who leaves them out means those that there were."""
    if "ExternalName" in (new.get("type"), old.get("type")):
        return
    had, has = cluster_ips(old), cluster_ips(new)
    if had and has and had[0] != has[0]:
        errors.invalid(f"{_IPS}[0]", has, "may not change once set")
    before, now = old.get("ipFamilies"), new.get("ipFamilies")
    if before and now and before[0] != now[0] and not is_headless(new) and not is_headless(old):
        errors.invalid("spec.ipFamilies[0]", now, "may not change once set")
