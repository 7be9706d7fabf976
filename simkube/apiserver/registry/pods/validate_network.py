"""Names and addresses of a pod: DNS, host aliases, ports of the host (``validatePodDNSConfig`` and its neighbours)."""

from __future__ import annotations

import ipaddress

from simkube.apiserver.validation.field import Errors
from simkube.apiserver.validation.metadata import subdomain, underscored_subdomain
from simkube.client.client import Obj

_MOST_SERVERS = 3
_MOST_SEARCHES = 32
_LONGEST_SEARCHES = 2048


def dns_config(spec: Obj, path: str, errors: Errors) -> None:
    """Name servers and searches; some there must be where the policy is None."""
    config = spec.get("dnsConfig")
    servers = (config or {}).get("nameservers", [])
    if spec.get("dnsPolicy") == "None":
        if config is None:
            errors.required(path, "must provide `dnsConfig` when `dnsPolicy` is None")
            return
        if not servers:
            detail = "must provide at least one DNS nameserver when `dnsPolicy` is None"
            errors.required(f"{path}.nameservers", detail)
            return
    if config is None:
        return
    if len(servers) > _MOST_SERVERS:
        errors.invalid(f"{path}.nameservers", servers, f"must not have more than {_MOST_SERVERS} nameservers")
    for index, address in enumerate(servers):
        ip_address(address, f"{path}.nameservers[{index}]", errors)
    _searches(config.get("searches", []), f"{path}.searches", errors)
    for index, option in enumerate(config.get("options", ())):
        if not option.get("name"):
            errors.required(f"{path}.options[{index}]", "must not be empty")


def _searches(searches: list[str], path: str, errors: Errors) -> None:
    if len(searches) > _MOST_SEARCHES:
        errors.invalid(path, searches, f"must not have more than {_MOST_SEARCHES} search paths")
    if len(" ".join(searches)) > _LONGEST_SEARCHES:
        detail = f"must not have more than {_LONGEST_SEARCHES} characters (including spaces) in the search list"
        errors.invalid(path, searches, detail)
    for index, search in enumerate(searches):
        name = search.removesuffix(".")
        for problem in underscored_subdomain(name) if search != "." else ():
            errors.invalid(f"{path}[{index}]", name, problem)


def host_aliases(spec: Obj, path: str, errors: Errors) -> None:
    """An address and its names."""
    for index, alias in enumerate(spec.get("hostAliases", ())):
        ip_address(alias.get("ip", ""), f"{path}[{index}].ip", errors)
        for at, name in enumerate(alias.get("hostnames", ())):
            for problem in subdomain(name):
                errors.invalid(f"{path}[{index}].hostnames[{at}]", name, problem)


def ip_address(value: str, path: str, errors: Errors) -> None:
    """An address of either family."""
    try:
        ipaddress.ip_address(value)
    except ValueError:
        errors.invalid(path, value, "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)")


def host_network(spec: Obj, path: str, errors: Errors, *, is_pod: bool) -> None:
    """On the network of its node a container has its ports on the node; a template may leave that to the pod."""
    if not spec.get("hostNetwork"):
        return
    for index, container in enumerate(spec.get("containers", ())):
        for at, port in enumerate(container.get("ports", ())):
            host, own = port.get("hostPort", 0), port.get("containerPort", 0)
            if host != own and (is_pod or host):
                where = f"{path}.containers[{index}].ports[{at}].hostPort"
                errors.invalid(where, host, "must match `containerPort` when `hostNetwork` is true")
