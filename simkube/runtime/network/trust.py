"""Whether a server's certificate is believed, as Go's TLS client and OpenSSL decide it.

The certificates are real ones (PEM, as ``openssl`` makes them): who signed whom, until when, and for which names is
looked at with the cluster's clock. What is not simulated is TLS itself: no handshake, no cipher, no proof that the
server has the key beyond what it loaded; name constraints and revocation are not looked at.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

MOST_CERTIFICATES = 20
"""Certificates of one bundle that are looked at."""
MOST_BETWEEN = 5
"""Certificates of a server that are looked at: its own, and those between it and an authority."""
_BEGIN, _END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
_UNKNOWN = "certificate signed by unknown authority"


class NotTrusted(Exception):
    """Why not, in the words of Go's ``crypto/x509``."""


def check(chain: str, bundle: str, host: str, now: float) -> None:
    """The server's ``chain`` (PEM, its own first) against the ``bundle`` of authorities (PEM): :class:`NotTrusted`."""
    given, roots = read(chain), read(bundle)
    if not given:
        raise NotTrusted("no certificate")
    leaf, between = given[0], given[1:MOST_BETWEEN]
    _date(leaf, now)
    _name(leaf, host)
    if not _leads_to(leaf, between, roots, now):
        raise NotTrusted(_UNKNOWN)


def complaint(chain: str, bundle: str, now: float) -> str:
    """What OpenSSL says against the server's ``chain``, "" for nothing; names are not looked at."""
    given, roots = read(chain), read(bundle)
    leaf, between = given[:1], given[1:MOST_BETWEEN]
    if leaf and _leads_to(leaf[0], between, roots, now):
        if _current(leaf[0], now):
            return ""
        late = now > leaf[0].not_valid_after_utc.timestamp()
        return "certificate has expired" if late else "certificate is not yet valid"
    if any(_signed(each, each) for each in leaf):
        return "self-signed certificate"
    if any(_signed(each, each) for each in between):
        return "self-signed certificate in certificate chain"
    return "unable to get local issuer certificate"


def read(pem: str) -> list[Certificate]:
    """The certificates of a PEM text, in order; what is none is left out."""
    from cryptography import x509  # slow to import, and needed only where certificates are

    found: list[Certificate] = []
    for part in pem.split(_END)[:MOST_CERTIFICATES]:
        _, begin, body = part.partition(_BEGIN)
        if not begin:
            continue
        try:
            found.append(x509.load_pem_x509_certificate(f"{_BEGIN}{body}{_END}\n".encode()))
        except ValueError:
            continue
    return found


def _leads_to(one: Certificate, between: Sequence[Certificate], roots: Sequence[Certificate], now: float) -> bool:
    """Whether somebody in ``roots`` stands at the end of who signed whom, by way of those in ``between``."""
    if one in roots:
        return True
    issuers = [each for each in (*roots, *between) if each != one and _signed(one, each)]
    left = [each for each in between if each != one]
    return any(_current(each, now) and _authority(each) and _leads_to(each, left, roots, now) for each in issuers)


def _signed(one: Certificate, issuer: Certificate) -> bool:
    try:
        one.verify_directly_issued_by(issuer)
    except Exception:  # noqa: BLE001 - a wrong name, an unknown kind of key, a bad signature: not signed
        return False
    return True


def _authority(one: Certificate) -> bool:
    from cryptography import x509

    try:
        return one.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, ValueError):
        return one.version is x509.Version.v1


def _current(one: Certificate, now: float) -> bool:
    return one.not_valid_before_utc.timestamp() <= now <= one.not_valid_after_utc.timestamp()


def _date(one: Certificate, now: float) -> None:
    if _current(one, now):
        return
    late = now > one.not_valid_after_utc.timestamp()
    shown = _shown(datetime.fromtimestamp(int(now), UTC))
    limit = _shown(one.not_valid_after_utc if late else one.not_valid_before_utc)
    side = "after" if late else "before"
    raise NotTrusted(f"certificate has expired or is not yet valid: current time {shown} is {side} {limit}")


def _shown(when: datetime) -> str:
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")


def names_of(one: Certificate) -> tuple[list[str], list[str]]:
    """The DNS names and the addresses that a certificate is for."""
    from cryptography import x509

    try:
        found = one.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return [], []
    return found.get_values_for_type(x509.DNSName), [str(ip) for ip in found.get_values_for_type(x509.IPAddress)]


def _name(one: Certificate, host: str) -> None:
    names, addresses = names_of(one)
    try:
        ipaddress.ip_address(host)
    except ValueError:
        if any(_covers(name.lower(), host.lower()) for name in names):
            return
    else:
        if host in addresses:
            return
        if not addresses:
            raise NotTrusted(f"cannot validate certificate for {host} because it doesn't contain any IP SANs")
        raise NotTrusted(f"certificate is valid for {', '.join(addresses)}, not {host}")
    if names:
        raise NotTrusted(f"certificate is valid for {', '.join(names)}, not {host}")
    if not addresses and _common_name(one):
        raise NotTrusted("certificate relies on legacy Common Name field, use SANs instead")
    raise NotTrusted(f"certificate is not valid for any names, but wanted to match {host}")


def _covers(name: str, host: str) -> bool:
    return name == host or (name[:2] == "*." and host.partition(".")[2] == name[2:])


def _common_name(one: Certificate) -> bool:
    from cryptography.x509.oid import NameOID

    return bool(one.subject.get_attributes_for_oid(NameOID.COMMON_NAME))
