"""Issues client certificates with the key of the host's authority, on request of a cluster's signing controller.

Standard library only until the first is asked for: the library that signs is slow to import. It refuses to issue
authorities, and takes nothing from a request but its key, its subject and its alternative names. Certificates live in
the host's time, which is what TLS checks, not in a cluster's.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

_BACKDATED = timedelta(minutes=5)
_KEY_USAGES = {"digital signature": "digital_signature", "key encipherment": "key_encipherment"}


class Signer:
    """The authority in a folder, as clusters use it; ``serial`` makes the serial numbers of one of them."""

    def __init__(self, certificate: Path, key: Path) -> None:
        self._files = certificate, key

    @cached_property
    def _authority(self) -> tuple[Any, Any]:
        from cryptography import x509
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        certificate, key = self._files
        return x509.load_pem_x509_certificate(certificate.read_bytes()), load_pem_private_key(key.read_bytes(), None)

    def of(self, serial: Callable[[], int]) -> Callable[[Any, list[str], int], str]:
        """How one cluster has its requests signed: ``(request, usages, seconds)`` -> PEM."""
        return lambda request, usages, seconds: self.sign(request, usages, seconds, serial())

    def sign(self, request: Any, usages: list[str], seconds: int, serial: int) -> str:
        """The certificate for a request (``x509.CertificateSigningRequest``), in PEM."""
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization

        authority, key = self._authority
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(request.subject)
            .issuer_name(authority.subject)
            .public_key(request.public_key())
            .serial_number(serial)
            .not_valid_before(now - _BACKDATED)
            .not_valid_after(min(now + timedelta(seconds=seconds), authority.not_valid_after_utc))
            .add_extension(_purposes(usages), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
        )
        if any(each in _KEY_USAGES for each in usages):
            builder = builder.add_extension(_usage(usages), critical=True)  # one without any would be no certificate
        for extension in request.extensions:
            if isinstance(extension.value, x509.SubjectAlternativeName):
                builder = builder.add_extension(extension.value, critical=extension.critical)
        return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def _usage(usages: list[str]) -> Any:
    from cryptography import x509

    names = (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    )
    wanted = {_KEY_USAGES[each] for each in usages if each in _KEY_USAGES}
    return x509.KeyUsage(**{name: name in wanted for name in names})


def _purposes(usages: list[str]) -> Any:
    from cryptography import x509
    from cryptography.x509.oid import ExtendedKeyUsageOID

    known = {"client auth": ExtendedKeyUsageOID.CLIENT_AUTH, "server auth": ExtendedKeyUsageOID.SERVER_AUTH}
    return x509.ExtendedKeyUsage([known[each] for each in usages if each in known])
