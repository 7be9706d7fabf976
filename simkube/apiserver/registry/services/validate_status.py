"""What a load balancer tells of a service (``ValidateLoadBalancerStatus``), which ingresses have as well."""

from __future__ import annotations

from simkube.apiserver.validation.addresses import is_address
from simkube.apiserver.validation.field import Errors
from simkube.apiserver.validation.metadata import subdomain
from simkube.client.client import Obj

_PATH = "status.loadBalancer.ingress"
_MODES = ("Proxy", "VIP")


def service_status(new: Obj, _old: Obj, errors: Errors) -> None:
    """Only services behind a load balancer have addresses of one, and it is said how each is reached."""
    given = new.get("status", {}).get("loadBalancer", {}).get("ingress", ())
    if given and new["spec"].get("type") != "LoadBalancer":
        errors.forbidden(_PATH, "may only be used when `spec.type` is 'LoadBalancer'")
        return
    for index, each in enumerate(given):
        where, mode = f"{_PATH}[{index}]", each.get("ipMode")
        address(each, where, errors)
        if mode is None and each.get("ip"):
            errors.required(f"{where}.ipMode", "must be specified when `ip` is set")
        elif mode is not None and not each.get("ip"):
            errors.forbidden(f"{where}.ipMode", "may not be specified when `ip` is not set")
        elif mode is not None and mode not in _MODES:
            errors.not_supported(f"{where}.ipMode", mode, _MODES)
        host_name(each, where, errors)


def address(given: Obj, path: str, errors: Errors) -> None:
    """An address is one."""
    if given.get("ip") and not is_address(given["ip"]):
        errors.invalid(f"{path}.ip", given["ip"], "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)")


def host_name(given: Obj, path: str, errors: Errors) -> None:
    """A name is no address."""
    if not given.get("hostname"):
        return
    for problem in subdomain(given["hostname"]):
        errors.invalid(f"{path}.hostname", given["hostname"], problem)
    if is_address(given["hostname"]):
        errors.invalid(f"{path}.hostname", given["hostname"], "must be a DNS name, not an IP address")
