"""Kubeconfigs for the two who use a cluster, each with a client certificate of its own.

The API server takes the user from the certificate's common name and the groups from its organisations
(https://kubernetes.io/docs/reference/access-authn-authz/authentication/#x509-client-certificates), so that the audit
log and managed fields tell learner and grader apart. Both are administrators of the learner's own cluster: an identity
that depended on role bindings could be locked out by a learner who deletes them.
"""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from labs.clusters.provider import ClusterError, Who

USERS: dict[Who, str] = {"learner": "learner", "grader": "kindling:grader"}
"""The user name each of them has in the cluster."""

_VALID = timedelta(days=365)


def kubeconfig(who: Who, admin: str, ca_key: bytes) -> str:
    """A kubeconfig (YAML, everything inline) for ``who``, from kind's own and the key of the cluster's CA (PEM)."""
    document = yaml.safe_load(admin)
    entry = document["clusters"][0]
    issued = x509.load_pem_x509_certificate(base64.b64decode(document["users"][0]["user"]["client-certificate-data"]))
    certificate, key = _client_certificate(USERS[who], issued, ca_key)
    user = {"client-certificate-data": _b64(certificate), "client-key-data": _b64(key)}
    context = {"cluster": entry["name"], "user": who, "namespace": "default"}
    made = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": entry["name"],
        "clusters": [entry],
        "contexts": [{"name": entry["name"], "context": context}],
        "users": [{"name": who, "user": user}],
    }
    return yaml.safe_dump(made, sort_keys=False)


def _client_certificate(user: str, issued: x509.Certificate, ca_key: bytes) -> tuple[bytes, bytes]:
    """Certificate and key (PEM) for ``user``, by the issuer of ``issued`` (the CA's own certificate may have serial
    number 0, as kubeadm once made it, which X.509 libraries refuse to read)."""
    signer = serialization.load_pem_private_key(ca_key, password=None)
    if not isinstance(signer, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise ClusterError(f"the cluster's CA key is of an unexpected kind: {type(signer).__name__}")
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    attributes = [
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, "system:masters"),
        x509.NameAttribute(NameOID.COMMON_NAME, user),
    ]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name(attributes))
        .issuer_name(issued.issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(min(now + _VALID, issued.not_valid_after_utc))
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .sign(signer, hashes.SHA256())
    )
    private = serialization.PrivateFormat.PKCS8
    pem = key.private_bytes(serialization.Encoding.PEM, private, serialization.NoEncryption())
    return certificate.public_bytes(serialization.Encoding.PEM), pem


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()
