"""IP addresses and ranges of them: ``cidr("10.0.0.0/8").containsIP(ip("10.1.2.3"))`` (``cel/library/{ip,cidr}.go``).

No zones, no IPv4 addresses dressed as IPv6, no leading zeros.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Any, ClassVar

from simkube.apiserver.cel import types as t
from simkube.apiserver.cel.errors import EvaluationError
from simkube.apiserver.cel.library.model import Library, function, method, of_any, of_class
from simkube.apiserver.cel.types import Kind

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_LINK_LOCAL_MULTICAST = {4: ipaddress.ip_network("224.0.0.0/24"), 6: ipaddress.ip_network("ff02::/16")}
_BROADCAST = ipaddress.ip_address("255.255.255.255")


@dataclass(frozen=True)
class IP:
    """An address."""

    kind: ClassVar[Kind] = t.IP
    address: Address


@dataclass(frozen=True)
class CIDR:
    """An address within a network of ``bits``; two are equal when both are."""

    kind: ClassVar[Kind] = t.CIDR
    address: Address
    bits: int

    @property
    def network(self) -> Any:
        """The network."""
        return ipaddress.ip_network(f"{self.address}/{self.bits}", strict=False)


def _parsed(text: str) -> Address:
    if "%" in text:
        raise EvaluationError(f'IP address "{text}" with zone value is not allowed')
    try:
        made = ipaddress.ip_address(text)
    except ValueError:
        detail = f'ParseAddr("{text}"): unable to parse IP'
        raise EvaluationError(f'IP Address "{text}" parse error during conversion from string: {detail}') from None
    if isinstance(made, ipaddress.IPv6Address) and made.ipv4_mapped is not None:
        raise EvaluationError(f'IPv4-mapped IPv6 address "{text}" is not allowed')
    return made


def _cidr(text: str) -> CIDR:
    wrong = "network address parse error during conversion from string: "
    address, slash, bits = text.rpartition("/")
    plain = bits.isascii() and bits.isdigit() and (bits == "0" or bits[0] != "0")
    if not slash:
        raise EvaluationError(f"{wrong}netip.ParsePrefix(\"{text}\"): no '/'")
    try:
        made = _parsed(address)
    except EvaluationError as error:
        raise EvaluationError(f"{wrong}{error}") from None
    if not plain or len(bits) > 3 or int(bits) > made.max_prefixlen:
        raise EvaluationError(f'{wrong}netip.ParsePrefix("{text}"): prefix length out of range')
    return CIDR(made, int(bits))


def _can(parse: Any) -> Any:
    def fits(text: str) -> bool:
        try:
            parse(text)
        except EvaluationError:
            return False
        return True

    return fits


def _contains_ip(given: CIDR, other: IP | str) -> bool:
    address = other.address if isinstance(other, IP) else _parsed(other)
    return address in given.network


def _contains_cidr(given: CIDR, other: CIDR | str) -> bool:
    inner = other if isinstance(other, CIDR) else _cidr(other)
    return given.bits <= inner.bits and inner.address in given.network


def _is_global_unicast(given: IP) -> bool:
    address = given.address
    special = address.is_unspecified or address.is_loopback or address.is_multicast or address.is_link_local
    return not special and address != _BROADCAST


_IP, _CIDR = t.IP, t.CIDR

LIBRARY = Library(
    {
        "ip": [function(t.STRING, gives=_IP), method(_CIDR, gives=_IP)],
        "isIP": [function(t.STRING, gives=t.BOOL)],
        "ip.isCanonical": [function(t.STRING, gives=t.BOOL)],
        "family": [method(_IP, gives=t.INT)],
        **{
            name: [method(_IP, gives=t.BOOL)]
            for name in (
                *("isUnspecified", "isLoopback", "isLinkLocalMulticast", "isLinkLocalUnicast", "isGlobalUnicast"),
            )
        },
        "cidr": [function(t.STRING, gives=_CIDR)],
        "isCIDR": [function(t.STRING, gives=t.BOOL)],
        "containsIP": [method(_CIDR, t.STRING, gives=t.BOOL), method(_CIDR, _IP, gives=t.BOOL)],
        "containsCIDR": [method(_CIDR, t.STRING, gives=t.BOOL), method(_CIDR, _CIDR, gives=t.BOOL)],
        "prefixLength": [method(_CIDR, gives=t.INT)],
        "masked": [method(_CIDR, gives=_CIDR)],
        "string": [function(_IP, gives=t.STRING), function(_CIDR, gives=t.STRING)],
    },
    {
        **of_any({"cidr": _cidr, "isIP": _can(_parsed), "isCIDR": _can(_cidr)}),
        ("ip.isCanonical", None): lambda text: str(_parsed(text)) == text,
        **of_class(str, {"ip": lambda text: IP(_parsed(text))}),
        **of_class(
            IP,
            {
                "family": lambda given: given.address.version,
                "isUnspecified": lambda given: given.address.is_unspecified,
                "isLoopback": lambda given: given.address.is_loopback,
                "isLinkLocalMulticast": lambda given: given.address in _LINK_LOCAL_MULTICAST[given.address.version],
                "isLinkLocalUnicast": lambda given: given.address.is_link_local,
                "isGlobalUnicast": _is_global_unicast,
                "string": lambda given: str(given.address),
            },
        ),
        **of_class(
            CIDR,
            {
                "ip": lambda given: IP(given.address),
                "containsIP": _contains_ip,
                "containsCIDR": _contains_cidr,
                "prefixLength": lambda given: given.bits,
                "masked": lambda given: CIDR(given.network.network_address, given.bits),
                "string": lambda given: f"{given.address}/{given.bits}",
            },
        ),
    },
)
