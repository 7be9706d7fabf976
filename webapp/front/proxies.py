"""Who asks and how, where a reverse proxy that is trusted says so.

``X-Forwarded-For`` is read from its end: the first address there that is no trusted proxy is the client's, whatever the
client wrote before it. From anybody else both headers are ignored.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Container, Sequence
from typing import Any

from labs.settings import Network


class Trusted(Container[str]):
    """Addresses of trusted proxies."""

    def __init__(self, networks: Sequence[Network]) -> None:
        self._networks = tuple(networks)

    def __contains__(self, address: object) -> bool:
        try:
            found = ipaddress.ip_address(str(address))
        except ValueError:
            return False
        mapped = getattr(found, "ipv4_mapped", None)
        return any((mapped or found) in network for network in self._networks)


def forwarded(scope: dict[str, Any], trusted: Container[str]) -> tuple[tuple[str, int], str]:
    """The client's address and port (0 where a proxy was asked), and ``http`` or ``https``."""
    client, scheme = scope.get("client") or ("", 0), str(scope["scheme"])
    if client[0] not in trusted:
        return client, scheme
    hops = [hop.strip() for value in _header(scope, b"x-forwarded-for") for hop in value.split(",")]
    for hop in reversed(hops):
        address = _address(hop)
        if address is None:
            break  # what stands before it was not written by a proxy of ours
        client = (address, 0)
        if address not in trusted:
            break
    said = [value.strip().lower() for value in _header(scope, b"x-forwarded-proto")]
    return client, said[-1] if said and said[-1] in ("http", "https") else scheme


def _header(scope: dict[str, Any], name: bytes) -> list[str]:
    return [value.decode("latin-1") for found, value in scope["headers"] if found == name]


def _address(text: str) -> str | None:
    """An IP address as some proxies write it, with a port or in brackets; None for anything else."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return None
