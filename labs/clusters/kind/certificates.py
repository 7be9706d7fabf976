"""Certificates for those who use a cluster and for servers in it, each with a key of its own.

They are valid for a year, and from five minutes ago on, for clocks that differ.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

VALID, SKEW = timedelta(days=365), timedelta(minutes=5)


@dataclass(frozen=True)
class Authority:
    """Who signs: its name and key; what it signs is valid no longer than ``until``."""

    name: x509.Name
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
    until: datetime


@dataclass(frozen=True)
class Issued:
    """A certificate and its key, both as PEM."""

    certificate: bytes
    key: bytes


def issue(
    subject: x509.Name, *extensions: x509.ExtensionType, now: datetime, authority: Authority | None = None
) -> Issued:
    """A certificate for ``subject``, signed by itself where there is no authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    signer = authority or Authority(subject, key, now + VALID)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(signer.name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - SKEW)
        .not_valid_after(min(now + VALID, signer.until))
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
    certificate = builder.sign(signer.key, hashes.SHA256())
    form, unencrypted = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    pem = serialization.Encoding.PEM
    return Issued(certificate.public_bytes(pem), key.private_bytes(pem, form, unencrypted))


def b64(data: bytes) -> str:
    """As Kubernetes' files have bytes."""
    return base64.b64encode(data).decode()
