"""Certificates that kind's clusters are used with: who signed them, for whom, until when."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from labs.clusters.kind.certificates import SKEW, VALID, Authority, Issued, b64, issue
from labs.clusters.kind.credentials import USERS, kubeconfig
from labs.clusters.kind.metrics import HOST, manifests

NOW = datetime(2026, 11, 30, 8, 0, tzinfo=UTC)


def named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def read(issued: Issued) -> x509.Certificate:
    """The certificate, once its key is seen to be its own."""
    found = x509.load_pem_x509_certificate(issued.certificate)
    key = serialization.load_pem_private_key(issued.key, password=None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    assert found.public_key() == key.public_key()
    return found


def test_one_without_an_authority_is_signed_by_itself() -> None:
    found = read(issue(named("server"), x509.BasicConstraints(ca=True, path_length=0), now=NOW))
    found.verify_directly_issued_by(found)
    assert (found.not_valid_before_utc, found.not_valid_after_utc) == (NOW - SKEW, NOW + VALID)
    assert found.extensions.get_extension_for_class(x509.BasicConstraints).critical


@pytest.mark.parametrize("kind", ["rsa", "ec"])
def test_one_of_an_authority_ends_with_it(kind: str) -> None:
    key = rsa.generate_private_key(65537, 2048) if kind == "rsa" else ec.generate_private_key(ec.SECP256R1())
    until = NOW + timedelta(days=30)
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
    found = read(issue(named("ada"), usage, now=NOW, authority=Authority(named("ca"), key, until)))
    assert (found.subject, found.issuer) == (named("ada"), named("ca"))
    assert found.not_valid_after_utc == until
    assert found.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value == usage


def test_learner_and_grader_are_users_of_the_cluster() -> None:
    authority = ec.generate_private_key(ec.SECP256R1())
    theirs = issue(
        named("kubernetes-admin"),
        now=datetime.now(UTC),
        authority=Authority(named("kubernetes"), authority, datetime.now(UTC) + VALID),
    )
    admin = f"""
    clusters: [{{name: mine, cluster: {{server: "https://127.0.0.1:1"}}}}]
    users: [{{name: admin, user: {{client-certificate-data: {b64(theirs.certificate)}}}}}]
    """
    form, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    pem = authority.private_bytes(serialization.Encoding.PEM, form, plain)
    for who, user in USERS.items():
        made = yaml.safe_load(kubeconfig(who, admin, pem))["users"][0]["user"]
        found = x509.load_pem_x509_certificate(base64.b64decode(made["client-certificate-data"]))
        assert found.issuer == named("kubernetes")
        assert found.subject.rfc4514_string() == f"CN={user},O=system:masters"


def test_metrics_are_served_with_a_certificate_that_the_api_server_is_told() -> None:
    made = manifests(NOW)
    (secret,) = (one for one in made if one["kind"] == "Secret")
    (service,) = (one for one in made if one["kind"] == "APIService")
    found = x509.load_pem_x509_certificate(base64.b64decode(secret["data"]["tls.crt"]))
    assert base64.b64decode(service["spec"]["caBundle"]) == base64.b64decode(secret["data"]["tls.crt"])
    names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [HOST]
