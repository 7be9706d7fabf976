"""Real certificates for simulated servers, as ``openssl`` would make them."""

from __future__ import annotations

from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

YEAR = timedelta(days=365)


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


class Authority:
    """An authority of its own; ``pem`` is its certificate. All dates are from ``now`` on."""

    def __init__(self, now: datetime) -> None:
        self._now = now
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._certificate = self._built("an authority", self._key, now + YEAR, ca=True).sign(self._key, hashes.SHA256())
        self.pem = self._certificate.public_bytes(Encoding.PEM)

    def _built(
        self, name: str, key: ec.EllipticCurvePrivateKey, until: datetime, *, ca: bool
    ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(_named(name))
            .issuer_name(_named("an authority"))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(self._now - timedelta(hours=1))
            .not_valid_after(until)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )

    def server(self, names: tuple[str, ...], until: timedelta = YEAR, called: str = "a server") -> tuple[bytes, bytes]:
        """The certificate of a server that has these names (and that common name), and its key, both PEM."""
        key = ec.generate_private_key(ec.SECP256R1())
        built = self._built(called, key, self._now + until, ca=False)
        if names:
            built = built.add_extension(x509.SubjectAlternativeName([x509.DNSName(each) for each in names]), False)
        made = built.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM)
        return made, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
