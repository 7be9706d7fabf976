"""Certificate signing requests (``pkg/apis/certificates/validation``): a PKCS#10 request, a signer, what it is for.

The library that reads requests is slow to import and is loaded when the first one comes.
"""

from __future__ import annotations

import base64
import re
from typing import Any

from simkube.apiserver.validation.field import Errors
from simkube.client.client import Obj

_USAGES = (
    "any",
    "cert sign",
    "client auth",
    "code signing",
    "content commitment",
    "crl sign",
    "data encipherment",
    "decipher only",
    "digital signature",
    "email protection",
    "encipher only",
    "ipsec end system",
    "ipsec tunnel",
    "ipsec user",
    "key agreement",
    "key encipherment",
    "microsoft sgc",
    "netscape sgc",
    "ocsp signing",
    "s/mime",
    "server auth",
    "signing",
    "timestamping",
)
_SIGNER = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?\.[a-z0-9]([-a-z0-9]*[a-z0-9])?/[a-z0-9]([-a-z0-9.]*[a-z0-9])?")
_LEAST = 600
MOST_REQUEST = 64 * 1024
"""Bytes of a request that are looked at; a longer one is refused."""


def read(request: str) -> Any:
    """The ``x509.CertificateSigningRequest`` in base64 of PEM, with a true signature; ValueError says what is wrong."""
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm

    raw = base64.b64decode(request, validate=True)
    if len(raw) > MOST_REQUEST:
        raise ValueError(f"a certificate request may not be more than {MOST_REQUEST} bytes")
    if not raw.lstrip().startswith(
        (b"-----BEGIN CERTIFICATE REQUEST-----", b"-----BEGIN NEW CERTIFICATE REQUEST-----")
    ):
        raise ValueError("PEM block type must be CERTIFICATE REQUEST")
    try:
        found = x509.load_pem_x509_csr(raw)
        if not found.is_signature_valid:
            raise ValueError("the signature of the request is not that of its key")
        _ = found.public_key(), found.subject, found.extensions  # read when asked for, and it may turn out wrong then
    except (UnsupportedAlgorithm, x509.DuplicateExtension, TypeError) as error:
        raise ValueError(str(error) or "unsupported key") from None
    return found


def signing_request(obj: Obj, errors: Errors) -> None:
    """The request can be read, and says for what and by whom it is to be signed."""
    spec = obj.get("spec") or {}
    try:
        read(spec.get("request", ""))
    except ValueError as error:
        errors.invalid("spec.request", spec.get("request", ""), str(error))
    usages = spec.get("usages") or []
    if not usages:
        errors.required("spec.usages")
    for index, usage in enumerate(usages):
        if usage not in _USAGES:
            errors.not_supported(f"spec.usages[{index}]", usage, _USAGES)
        if usage in usages[:index]:
            errors.duplicate(f"spec.usages[{index}]", usage)
    _signer(spec.get("signerName", ""), errors)
    seconds = spec.get("expirationSeconds")
    if seconds is not None and seconds < _LEAST:
        detail = "may not specify a duration less than 600 seconds (10 minutes)"
        errors.invalid("spec.expirationSeconds", seconds, detail)


def _signer(name: str, errors: Errors) -> None:
    if not name:
        errors.required("spec.signerName")
    elif name == "kubernetes.io/legacy-unknown":
        errors.invalid("spec.signerName", name, "the legacy signerName is not allowed via this API version")
    elif len(name) > 571 or not _SIGNER.fullmatch(name):
        detail = "must be a fully qualified domain and path of the form 'example.com/signer-name'"
        errors.invalid("spec.signerName", name, detail)


def conditions(new: Obj, _: Obj, errors: Errors) -> None:
    """Each condition is of a type, once; nothing is both approved and denied."""
    seen: dict[str, int] = {}
    for index, each in enumerate((new.get("status") or {}).get("conditions") or ()):
        path, kind, status = f"status.conditions[{index}]", each.get("type", ""), each.get("status", "")
        if not kind:
            errors.required(f"{path}.type")
        if status not in ("True", "False", "Unknown"):
            errors.required(f"{path}.status") if not status else errors.not_supported(
                f"{path}.status", status, ("True", "False", "Unknown")
            )
        elif kind in ("Approved", "Denied", "Failed") and status != "True":
            errors.not_supported(f"{path}.status", status, ("True",))
        if kind in seen:
            errors.duplicate(f"{path}.type", kind)
        other = {"Approved": "Denied", "Denied": "Approved"}.get(kind, "")
        if other in seen:
            errors.invalid(f"{path}.type", kind, "Approved and Denied conditions are mutually exclusive")
        seen[kind] = index
