"""Client certificates: which cluster one was issued by, and whom it names.

All clusters of a host share the authority behind its TLS port, and TLS has checked a certificate's chain and dates
before anybody here sees it. What binds it to one cluster is its serial number: part of it is a keyed hash of the rest
under a key of the cluster that issued it. It refuses certificates of any other cluster, and ones without a name.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from typing import Any, Protocol

_RANDOM, _PROOF = 7, 12
"""Bytes of a serial number: random, then proof; 19 in all, of the 20 that X.509 allows."""


class Key(Protocol):
    """Whoever has the secret key of a cluster."""

    def key(self) -> bytes: ...


def serial(credentials: Key) -> int:
    """A serial number that only this cluster recognizes."""
    random = bytes([secrets.randbelow(127) + 1]) + secrets.token_bytes(_RANDOM - 1)
    return int.from_bytes(random + _proof(random, credentials))


def _proof(random: bytes, credentials: Key) -> bytes:
    return hmac.digest(credentials.key(), b"certificate:" + random, hashlib.sha256)[:_PROOF]


def subject(certificate: Mapping[str, Any], credentials: Key) -> tuple[str, tuple[str, ...]] | None:
    """``(user, groups)`` of a certificate in the form of ``SSLSocket.getpeercert``; None when another cluster's."""
    try:
        raw = int(certificate.get("serialNumber", ""), 16).to_bytes(_RANDOM + _PROOF)
    except (ValueError, OverflowError):
        return None
    if not hmac.compare_digest(_proof(raw[:_RANDOM], credentials), raw[_RANDOM:]):
        return None
    pairs = [pair for names in certificate.get("subject", ()) for pair in names]
    user = next((value for name, value in pairs if name == "commonName"), "")
    groups = tuple(value for name, value in pairs if name == "organizationName")
    return (user, groups) if user else None
