"""IP addresses and ranges of them, as fields have them."""

from __future__ import annotations

import ipaddress

from simkube.apiserver.validation.field import Errors

BAD_CIDR = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"

_LINK_LOCAL_MULTICAST = (ipaddress.ip_network("224.0.0.0/24"), ipaddress.ip_network("ff02::/16"))


def network_of(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    """A range in CIDR notation; None when it is none. Bits behind the prefix are let pass, as in older fields."""
    try:
        return ipaddress.ip_network(text, strict=False) if "/" in text else None
    except ValueError:
        return None


def is_address(text: str) -> bool:
    """Whether it is an IP address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def not_special(text: str, path: str, errors: Errors) -> None:
    """An address that others can reach it by (``ValidateNonSpecialIP``); what is no address passes."""
    if not is_address(text):
        return
    address = ipaddress.ip_address(text)
    if address.is_unspecified:
        errors.invalid(path, text, f"may not be unspecified ({text})")
    if address.is_loopback:
        errors.invalid(path, text, "may not be in the loopback range (127.0.0.0/8, ::1/128)")
    if address.is_link_local:
        errors.invalid(path, text, "may not be in the link-local range (169.254.0.0/16, fe80::/10)")
    if any(address in each for each in _LINK_LOCAL_MULTICAST if each.version == address.version):
        errors.invalid(path, text, "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)")
