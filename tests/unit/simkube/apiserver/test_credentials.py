"""Tokens of service accounts, certificates and their serial numbers, signing requests, and the audit."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from simkube.apimachinery.errors import StatusError
from simkube.apiserver.audit.log import MOST_REQUESTS, Audit
from simkube.apiserver.authentication import client_certificates
from simkube.apiserver.authorization.attributes import Attributes
from simkube.apiserver.server import APIServer
from simkube.client.client import Caller, copy_of
from simkube.clock.clock import Clock
from simkube.etcd.journal import Journal
from simkube.etcd.store import Store
from simkube.host import authority
from simkube.host.signer import Signer

ADMIN = Caller("learner", ("system:masters",), "tester")
SIGNING = "certificatesigningrequests.certificates.k8s.io"


@pytest.fixture
def clock() -> Clock:
    return Clock(1_700_000_000.0)


@pytest.fixture
def server(clock: Clock) -> APIServer:
    made = APIServer(Store(Journal(), "c"), clock)
    made.seed()
    made.create(ADMIN, "namespaces", {"metadata": {"name": "default"}})
    made.create(ADMIN, "serviceaccounts", {"metadata": {"name": "app"}}, "default")
    return made


def token(server: APIServer, **spec: Any) -> str:
    made = server.create(ADMIN, "serviceaccounts", {"spec": spec}, "default", name="app", subresource="token")
    return str(made["status"]["token"])


def refused(call: Any, *args: Any, **kwargs: Any) -> StatusError:
    with pytest.raises(StatusError) as caught:
        call(*args, **kwargs)
    return caught.value


def pod(server: APIServer) -> dict[str, Any]:
    spec = {"serviceAccountName": "app", "containers": [{"name": "a", "image": "a:1"}]}
    return server.create(ADMIN, "pods", {"metadata": {"name": "web"}, "spec": spec}, "default")


def test_a_token_is_its_accounts_until_it_expires(server: APIServer, clock: Clock) -> None:
    given = token(server)
    found = server.credentials.review(given)
    assert found.caller is not None
    assert found.caller.user == "system:serviceaccount:default:app"
    assert "system:serviceaccounts:default" in found.caller.groups
    assert server.credentials.review(given[:-2] + "xx").caller is None
    clock.advance(3601)
    assert "expired" in server.credentials.review(given).error


def test_a_token_ends_with_its_account(server: APIServer) -> None:
    given = token(server)
    server.delete(ADMIN, "serviceaccounts", "app", "default")
    server.create(ADMIN, "serviceaccounts", {"metadata": {"name": "app"}}, "default")
    assert "invalidated" in server.credentials.review(given).error


def test_a_token_is_for_its_audiences(server: APIServer) -> None:
    given = token(server, audiences=["vault"])
    assert server.credentials.review(given).caller is None
    assert server.credentials.review(given, ["vault", "x"]).audiences == ("vault",)


def test_a_pods_token_names_it_and_ends_with_it(server: APIServer) -> None:
    meta = pod(server)["metadata"]
    ref = {"kind": "Pod", "apiVersion": "v1", "name": "web", "uid": meta["uid"]}
    given = token(server, boundObjectRef=ref, expirationSeconds=3607)
    caller = server.credentials.review(given).caller
    assert caller is not None
    assert ("authentication.kubernetes.io/pod-name", ("web",)) in caller.extra
    server.clock.advance(7200)  # a token that a kubelet asks for lives on, for those who do not read it again
    assert server.credentials.review(given).caller is not None
    server.delete(ADMIN, "pods", "web", "default", options={"gracePeriodSeconds": 0})
    assert server.credentials.review(given).caller is None


def test_a_token_binds_to_what_is_there(server: APIServer) -> None:
    ref = {"kind": "Pod", "apiVersion": "v1", "name": "ghost"}
    assert refused(token, server, boundObjectRef=ref).code == 404
    assert refused(token, server, boundObjectRef={"kind": "Robot", "apiVersion": "v1", "name": "r"}).code == 400
    assert refused(token, server, expirationSeconds=5).code == 422
    pod(server)
    wrong = {"kind": "Pod", "apiVersion": "v1", "name": "web", "uid": "other"}
    assert refused(token, server, boundObjectRef=wrong).code == 409


@pytest.mark.parametrize("bad", ["", "a.b.c", "ü.ö.ä", "....", "a.b." + "c" * 5000])
def test_what_is_no_token_is_nobodys(server: APIServer, bad: str) -> None:
    assert server.credentials.review(bad).caller is None


def test_no_token_chooses_its_algorithm(server: APIServer) -> None:
    given = token(server)
    _, claims, signature = given.split(".")
    for header in ({"alg": "none"}, {"alg": "HS512", "kid": "x"}, {"alg": "RS256", "jku": "https://evil.example"}, {}):
        head = base64.urlsafe_b64encode(json.dumps(header).encode()).decode().rstrip("=")
        for forged in (f"{head}.{claims}.{signature}", f"{head}.{claims}."):
            assert server.credentials.review(forged).caller is None, header
    assert server.credentials.review(given).caller is not None


def test_tokens_of_another_cluster_are_nobodys(server: APIServer, clock: Clock) -> None:
    other = APIServer(Store(Journal(), "d"), clock)
    assert other.credentials.review(token(server)).caller is None


# certificates


def certificate(serial: int, user: str = "jane", *groups: str) -> dict[str, Any]:
    names = [(("commonName", user),), *((("organizationName", group),) for group in groups)]
    return {"serialNumber": f"{serial:X}", "subject": tuple(names)}


def test_a_certificate_opens_the_cluster_that_issued_it(server: APIServer, clock: Clock) -> None:
    other = APIServer(Store(Journal(), "d"), clock)
    serial = client_certificates.serial(server.credentials)
    shown = certificate(serial, "jane", "devs")
    assert client_certificates.subject(shown, server.credentials) == ("jane", ("devs",))
    assert client_certificates.subject(shown, other.credentials) is None
    assert client_certificates.subject(certificate(serial + 1), server.credentials) is None
    assert client_certificates.subject({"serialNumber": "zz"}, server.credentials) is None
    assert client_certificates.subject(certificate(serial, ""), server.credentials) is None
    assert serial.bit_length() <= 159


def request_pem(user: str = "jane", *groups: str) -> str:
    names = [x509.NameAttribute(NameOID.COMMON_NAME, user)]
    names += [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(names))
    made = builder.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    return base64.b64encode(made.public_bytes(serialization.Encoding.PEM)).decode()


def signing(request: str, **spec: Any) -> dict[str, Any]:
    given = {"request": request, "signerName": "kubernetes.io/kube-apiserver-client", "usages": ["client auth"]}
    return {"metadata": {"name": "jane"}, "spec": {**given, **spec}}


def test_a_request_carries_who_made_it(server: APIServer) -> None:
    made = server.create(Caller("bob", ("devs",)), SIGNING, signing(request_pem(), username="eve"))
    assert (made["spec"]["username"], made["spec"]["groups"]) == ("bob", ["devs"])
    assert made["status"] == {}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (signing("bm9uc2Vuc2U="), "PEM block type must be CERTIFICATE REQUEST"),
        (signing("%%%"), "spec.request"),
        (signing(base64.b64encode(b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n").decode()), "spec.request"),
        (signing(request_pem(), usages=[]), "spec.usages: Required value"),
        (signing(request_pem(), usages=["fly"]), "Unsupported value"),
        (signing(request_pem(), signerName="x"), "must be a fully qualified domain and path"),
        (signing(request_pem(), expirationSeconds=60), "may not specify a duration less than 600 seconds"),
        (signing(request_pem("jane", "system:masters")), "system:masters group is not allowed"),
    ],
)
def test_requests_are_validated(server: APIServer, body: dict[str, Any], words: str) -> None:
    assert words in refused(server.create, ADMIN, SIGNING, body).message


def approved(server: APIServer, name: str = "jane", kind: str = "Approved", who: Caller = ADMIN) -> dict[str, Any]:
    body = copy_of(server.get(ADMIN, SIGNING, name))
    body["status"]["conditions"] = [*body["status"].get("conditions", ()), {"type": kind, "status": "True"}]
    return server.update(who, SIGNING, body, subresource="approval")


def test_approving_takes_the_right_to(server: APIServer) -> None:
    server.create(ADMIN, SIGNING, signing(request_pem()))
    error = refused(approved, server, who=Caller("bob"))
    assert (
        'user not permitted to approve requests with signerName "kubernetes.io/kube-apiserver-client"' in error.message
    )
    done = approved(server)
    assert done["status"]["conditions"][0]["lastTransitionTime"]
    assert "mutually exclusive" in refused(approved, server, kind="Denied").message


def test_a_plain_update_decides_nothing(server: APIServer) -> None:
    server.create(ADMIN, SIGNING, signing(request_pem()))
    body = copy_of(server.get(ADMIN, SIGNING, "jane"))
    body["metadata"]["labels"] = {"a": "b"}
    body["spec"]["usages"] = ["server auth"]
    body["status"] = {"conditions": [{"type": "Approved", "status": "True"}], "certificate": "eA=="}
    changed = server.update(ADMIN, SIGNING, body)
    assert changed["metadata"]["labels"] == {"a": "b"}
    assert changed["spec"]["usages"] == ["client auth"]
    assert changed["status"] == {}


def test_the_authority_signs_the_key_and_the_name_alone(server: APIServer, tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("ca.crt", "ca.key", "tls.crt", "tls.key")]
    authority.make(*files)
    sign = Signer(files[0], files[1]).of(lambda: client_certificates.serial(server.credentials))
    from simkube.apiserver.registry.certificates.validation import read

    made = x509.load_pem_x509_certificate(sign(read(request_pem("jane", "devs")), ["client auth"], 600).encode())
    made.verify_directly_issued_by(x509.load_pem_x509_certificate(files[0].read_bytes()))
    assert made.subject.rfc4514_string() == "O=devs,CN=jane"
    assert not made.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    shown = certificate(made.serial_number, "jane", "devs")
    assert client_certificates.subject(shown, server.credentials) == ("jane", ("devs",))


# audit


def test_the_audit_says_who_what_when_and_how_it_ended(server: APIServer) -> None:
    server.create(Caller("bob", ("devs",), "kubectl"), "configmaps", {"metadata": {"name": "a"}}, "default")
    refused(server.get, ADMIN, "configmaps", "ghost", "default")
    refused(server.delete, ADMIN, "configmaps", "ghost", "default")
    last = server.audit.events(components=True)[-2:]
    assert last[0]["user"] == {"username": "bob", "groups": ["devs"]}
    assert last[0]["verb"] == "create"
    assert last[0]["objectRef"]["resource"] == "configmaps"
    assert last[0]["responseStatus"] == {"code": 201}
    assert last[1]["responseStatus"] == {"code": 404, "reason": "NotFound"}
    assert server.audit.events() == []


def test_the_audit_is_bounded_and_numbered() -> None:
    log = Audit()
    for _ in range(MOST_REQUESTS + 50):
        log.request(0.0, ADMIN, "", Attributes("get", path="/" + "x" * 5000), 200)
    events = log.events(most=10_000)
    assert len(events) == MOST_REQUESTS
    assert events[-1]["number"] == MOST_REQUESTS + 50
    assert len(events[0]["requestURI"]) <= 256
    assert events[0]["time"] == "1970-01-01T00:00:00.000000Z"
    assert log.events(after=events[-1]["number"]) == []
