"""The certificates that TLS clients are shown: those of secrets, or the controller's own, which nobody believes."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from simkube.runtime.network.ports import Certificate
from simkube.runtime.programs.tls import NoKeyPair, of_pem


def fake() -> Certificate:
    """``Kubernetes Ingress Controller Fake Certificate``."""
    return Certificate(("ingress.local",), "")


def of_secret(secret: dict[str, Any]) -> Certificate | None:
    """What is in ``tls.crt``; None when that is no certificate. Its issuer is the last of the chain."""
    try:
        text = base64.b64decode((secret.get("data") or {}).get("tls.crt") or "", validate=True).decode("ascii")
        return of_pem(text)
    except (NoKeyPair, binascii.Error, UnicodeDecodeError):
        return None
