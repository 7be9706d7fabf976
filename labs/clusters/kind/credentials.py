"""Kubeconfigs for the two who use a cluster, each with a client certificate of its own.

The API server takes the user from the certificate's common name and the groups from its organisations
(https://kubernetes.io/docs/reference/access-authn-authz/authentication/#x509-client-certificates), so that the audit
log and managed fields tell learner and grader apart. Both are administrators of the learner's own cluster: an identity
that depended on role bindings could be locked out by a learner who deletes them.
"""

from __future__ import annotations

import base64
from datetime import UTC, datetime

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from labs.clusters.kind.certificates import Authority, Issued, b64, issue
from labs.clusters.provider import ClusterError, Who

USERS: dict[Who, str] = {"learner": "learner", "grader": "kindling:grader"}
"""The user name each of them has in the cluster."""


def kubeconfig(who: Who, admin: str, ca_key: bytes) -> str:
    """A kubeconfig (YAML, everything inline) for ``who``, from kind's own and the key of the cluster's CA (PEM)."""
    document = yaml.safe_load(admin)
    entry = document["clusters"][0]
    issued = x509.load_pem_x509_certificate(base64.b64decode(document["users"][0]["user"]["client-certificate-data"]))
    made = _client_certificate(USERS[who], issued, ca_key)
    user = {"client-certificate-data": b64(made.certificate), "client-key-data": b64(made.key)}
    context = {"cluster": entry["name"], "user": who, "namespace": "default"}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": entry["name"],
        "clusters": [entry],
        "contexts": [{"name": entry["name"], "context": context}],
        "users": [{"name": who, "user": user}],
    }
    return yaml.safe_dump(config, sort_keys=False)


def _client_certificate(user: str, issued: x509.Certificate, ca_key: bytes) -> Issued:
    """For ``user``, by the issuer of ``issued`` (the CA's own certificate may have serial number 0, as kubeadm once
    made it, which X.509 libraries refuse to read)."""
    signer = serialization.load_pem_private_key(ca_key, password=None)
    if not isinstance(signer, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise ClusterError(f"the cluster's CA key is of an unexpected kind: {type(signer).__name__}")
    attributes = [
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, "system:masters"),
        x509.NameAttribute(NameOID.COMMON_NAME, user),
    ]
    return issue(
        x509.Name(attributes),
        x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]),
        now=datetime.now(UTC),
        authority=Authority(issued.issuer, signer, issued.not_valid_after_utc),
    )
