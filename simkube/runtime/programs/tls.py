"""The certificate of a server that speaks TLS, read from its container's files as Go's ``tls.LoadX509KeyPair``.

Certificate and key are real ones, looked at for what they say; no byte is ever encrypted with them.
"""

from __future__ import annotations

from simkube.runtime.network.ports import Certificate
from simkube.runtime.nodes import FileError
from simkube.runtime.process import Process

_END = "-----END CERTIFICATE-----"
NO_CERTIFICATE = "tls: failed to find any PEM data in certificate input"
NO_KEY = "tls: failed to find any PEM data in key input"
NO_MATCH = "tls: private key does not match public key"


class NoKeyPair(Exception):
    """Why a server cannot start with what it was given, in the words of Go's ``crypto/tls``."""


def load(process: Process, certificate: str, key: str) -> Certificate:
    """What a server shows that was given these two files; :class:`NoKeyPair`."""
    chain, secret = _read(process, certificate), _read(process, key)
    return of_pem(chain, secret)


def of_pem(chain: str, key: str | None = None) -> Certificate:
    """What a server shows; ``key`` None: whoever has it keeps it. :class:`NoKeyPair`."""
    from cryptography import x509  # slow to import, and needed only by servers with certificates
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

    try:
        leaf = x509.load_pem_x509_certificate(chain.encode())
    except ValueError:
        raise NoKeyPair(NO_CERTIFICATE) from None
    if key is not None:
        try:
            own = load_pem_private_key(key.encode(), None).public_key()
        except (ValueError, TypeError):
            raise NoKeyPair(NO_KEY) from None
        form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        if own.public_bytes(*form) != leaf.public_key().public_bytes(*form):
            raise NoKeyPair(NO_MATCH)
    names: list[str] = []
    try:
        found = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        names += found.get_values_for_type(x509.DNSName)
        names += [str(one) for one in found.get_values_for_type(x509.IPAddress)]
    except (x509.ExtensionNotFound, ValueError):
        names = []
    parts = [part + _END for part in chain.split(_END) if "BEGIN CERTIFICATE" in part]
    called = leaf.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    common = str(called[0].value) if called else ""
    return Certificate(tuple(names), parts[-1].strip() if parts else "", chain, common)


def _read(process: Process, path: str) -> str:
    try:
        return process.container.files.read(path).decode("ascii", "replace")
    except FileError as error:
        raise NoKeyPair(f"open {path}: {error.strerror.lower()}") from None
