"""IP addresses and ranges of them, as fields have them."""

from __future__ import annotations

import ipaddress

BAD_CIDR = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"


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
