"""The certificates that TLS clients are shown: those of secrets, or the controller's own, which nobody believes."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from simkube.proxy.ports import Certificate

_END = "-----END CERTIFICATE-----"


def fake() -> Certificate:
    """``Kubernetes Ingress Controller Fake Certificate``."""
    return Certificate(("ingress.local",), "")


def of_secret(secret: dict[str, Any]) -> Certificate | None:
    """What is in ``tls.crt``; None when that is no certificate. Its issuer is the last of the chain."""
    from cryptography import x509  # slow to import, and needed for secrets with certificates only

    try:
        text = base64.b64decode((secret.get("data") or {}).get("tls.crt") or "", validate=True).decode("ascii")
        certificate = x509.load_pem_x509_certificate(text.encode())
    except (ValueError, binascii.Error, UnicodeDecodeError):
        return None
    names: list[str] = []
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        names += found.get_values_for_type(x509.DNSName)
        names += [str(one) for one in found.get_values_for_type(x509.IPAddress)]
    except (x509.ExtensionNotFound, ValueError):
        names = []
    chain = [part + _END for part in text.split(_END) if "BEGIN CERTIFICATE" in part]
    return Certificate(tuple(names), chain[-1].strip() if chain else "")
