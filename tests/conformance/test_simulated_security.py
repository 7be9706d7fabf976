"""Who may do what, with real clients: roles, certificates, tokens, quotas, pod security; one cluster at a time."""

from __future__ import annotations

import base64
import json
import re
import uuid
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from simkube.host.launcher import HostClient
from tests.conformance.conftest import Runner, kubectls, learners, which


@pytest.fixture(scope="module")
def host(host: HostClient) -> HostClient:
    """With two clusters."""
    for name in ("a", "b"):
        host.create(name, {"nodes": [{"role": "control-plane"}]})
    return host


@pytest.fixture(params=kubectls(), ids=which)
def kubectl(request: pytest.FixtureRequest, host: HostClient, tmp_path: Path) -> Runner:
    """In a namespace of the test's own; other people's kubeconfigs go into ``tmp_path``."""
    return Runner(request.param, learners(host, "a", tmp_path)).elsewhere()


def config_of(host: HostClient, cluster: str, user: dict[str, Any]) -> str:
    """A kubeconfig for somebody else than the learner."""
    found = json.loads(host.kubeconfig(cluster) or "null")
    found["users"] = [{"name": "somebody", "user": user}]
    found["contexts"][0]["context"]["user"] = "somebody"
    return json.dumps(found)


def test_roles_give_rights_and_take_them(kubectl: Runner) -> None:
    me = ("--as", "mia", "--as-group", "devs")
    denied = kubectl("get", "pods", *me, fails=True)
    assert 'User "mia" cannot list resource "pods" in API group ""' in denied
    kubectl("create", "role", "reader", "--verb=get,list,watch", "--resource=pods,pods/log")
    kubectl("create", "rolebinding", "reader", "--role=reader", "--group=devs")
    assert "No resources found" in kubectl("get", "pods", *me)
    assert kubectl("auth", "can-i", "list", "pods", *me).strip() == "yes"
    assert kubectl("auth", "can-i", "delete", "pods", *me, fails=True).strip().endswith("no")
    assert re.search(r"pods/log +\[\] +\[\] +\[get list watch\]", kubectl("auth", "can-i", "--list", *me))
    assert "devs" in kubectl("get", "rolebindings", "-o", "wide")
    assert "devs" in kubectl("auth", "whoami", *me)
    kubectl("delete", "rolebinding", "reader")
    assert "Forbidden" in kubectl("get", "pods", *me, fails=True)


def test_nobody_gives_more_than_they_have(kubectl: Runner) -> None:
    kubectl("create", "rolebinding", "edit", "--clusterrole=admin", "--user=ada")
    ada = ("--as", "ada")
    kubectl("create", "role", "pods", "--verb=get", "--resource=pods", *ada)
    greedy = kubectl("create", "role", "nodes", "--verb=get", "--resource=nodes", *ada, fails=True)
    assert "is attempting to grant RBAC permissions not currently held" in greedy
    assert '{APIGroups:[""], Resources:["nodes"], Verbs:["get"]}' in greedy
    bound = kubectl("create", "rolebinding", "all", "--clusterrole=cluster-admin", "--user=ada", *ada, fails=True)
    assert "not currently held" in bound
    namespace = kubectl("get", "role", "pods", "-o", "jsonpath={.metadata.namespace}")
    manifest = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": "pods", "namespace": namespace},
        "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}],
    }
    assert "reconciled" in kubectl("auth", "reconcile", "-f", "-", given=json.dumps(manifest))
    assert "list" in kubectl("get", "role", "pods", "-o", "yaml")
    assert "escalate" in kubectl("describe", "clusterrole", "system:controller:clusterrole-aggregation-controller")


def request_of(user: str, group: str = "devs") -> tuple[str, ec.EllipticCurvePrivateKey]:
    """The manifest of a signing request, and the key it is for."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = [x509.NameAttribute(NameOID.COMMON_NAME, user), x509.NameAttribute(NameOID.ORGANIZATION_NAME, group)]
    made = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(subject)).sign(key, hashes.SHA256())
    request = base64.b64encode(made.public_bytes(serialization.Encoding.PEM)).decode()
    spec = {"request": request, "signerName": "kubernetes.io/kube-apiserver-client", "usages": ["client auth"]}
    manifest = {"apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest", "metadata": {"name": user}}
    return json.dumps({**manifest, "spec": spec}), key


def certificate_of(kubectl: Runner, user: str) -> dict[str, str]:
    """What a kubeconfig says of a user with a certificate that the cluster has issued."""
    manifest, key = request_of(user)
    kubectl("apply", "-f", "-", given=manifest)
    assert "Pending" in kubectl("get", "csr", user)
    assert "approved" in kubectl("certificate", "approve", user)
    kubectl("wait", "csr", user, "--for=jsonpath={.status.certificate}", "--timeout=10s")
    assert "Approved,Issued" in kubectl("get", "csr", user)
    issued = kubectl("get", "csr", user, "-o", "jsonpath={.status.certificate}")
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return {"client-certificate-data": issued, "client-key-data": base64.b64encode(secret).decode()}


def test_a_certificate_opens_its_own_cluster_only(kubectl: Runner, host: HostClient, tmp_path: Path) -> None:
    user = f"jane-{uuid.uuid4().hex[:6]}"
    shown = certificate_of(kubectl, user)
    (tmp_path / "jane").write_text(config_of(host, "a", dict(shown)))
    (tmp_path / "stranger").write_text(config_of(host, "b", dict(shown)))
    assert user in kubectl("auth", "whoami", config="jane")
    assert "devs" in kubectl("auth", "whoami", config="jane")
    assert "Forbidden" in kubectl("get", "pods", config="jane", fails=True)
    kubectl("create", "rolebinding", "jane", "--clusterrole=view", f"--user={user}")
    kubectl("get", "pods", config="jane")
    assert "Forbidden" in kubectl("get", "secrets", config="jane", fails=True)
    other = kubectl("get", "pods", config="stranger", fails=True)
    assert "provide credentials" in other or "Unauthorized" in other


def test_a_denied_request_is_not_signed_and_nobody_becomes_a_master(kubectl: Runner) -> None:
    user = f"eve-{uuid.uuid4().hex[:6]}"
    masters = kubectl("apply", "-f", "-", given=request_of(user, "system:masters")[0], fails=True)
    assert "system:masters group is not allowed" in masters
    kubectl("apply", "-f", "-", given=request_of(user)[0])
    assert "denied" in kubectl("certificate", "deny", user)
    assert "Denied" in kubectl("get", "csr", user)
    assert kubectl("get", "csr", user, "-o", "jsonpath={.status.certificate}") == ""


def test_tokens_of_service_accounts(kubectl: Runner, host: HostClient, tmp_path: Path) -> None:
    kubectl("create", "serviceaccount", "app")
    namespace = kubectl("get", "sa", "app", "-o", "jsonpath={.metadata.namespace}")
    token = kubectl("create", "token", "app", "--duration=20m").strip()
    (tmp_path / "app").write_text(config_of(host, "a", {"token": token}))
    assert f"system:serviceaccount:{namespace}:app" in kubectl("auth", "whoami", config="app")
    kubectl("create", "rolebinding", "app", "--clusterrole=view", f"--serviceaccount={namespace}:app")
    kubectl("get", "configmaps", config="app")
    kubectl("delete", "serviceaccount", "app")
    kubectl("get", "configmaps", config="app", fails=True)
    (tmp_path / "nobody").write_text(config_of(host, "a", {"token": "x.y.z"}))
    kubectl("get", "pods", config="nobody", fails=True)


def test_quotas_ranges_and_pod_security(kubectl: Runner) -> None:
    kubectl("create", "quota", "small", "--hard=pods=1,count/configmaps=5")
    kubectl("wait", "quota", "small", "--for=jsonpath={.status.used.pods}=0", "--timeout=10s")
    kubectl("run", "one", "--image=nginx")
    assert "exceeded quota: small, requested: pods=1, used: pods=1, limited: pods=1" in kubectl(
        "run", "two", "--image=nginx", fails=True
    )
    assert re.search(r"pods +1 +1", kubectl("describe", "quota", "small"))
    namespace = kubectl("get", "pod", "one", "-o", "jsonpath={.metadata.namespace}")
    enforce = "pod-security.kubernetes.io/enforce=restricted"
    dry = kubectl("label", "ns", namespace, enforce, "--dry-run=server")
    assert "Warning: existing pods in namespace" in dry
    kubectl("delete", "pod", "one", "--grace-period=0", "--force")
    kubectl("delete", "quota", "small")
    kubectl("label", "ns", namespace, enforce)
    assert 'violates PodSecurity "restricted:latest"' in kubectl("run", "three", "--image=nginx", fails=True)
    ranged = {"limits": [{"type": "Container", "default": {"cpu": "200m"}, "max": {"cpu": "1"}}]}
    manifest = {"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "sizes"}, "spec": ranged}
    kubectl("apply", "-f", "-", given=json.dumps(manifest))
    assert re.search(r"Container +cpu +- +1 +200m +200m", kubectl("describe", "limitrange", "sizes"))


def test_the_host_knows_who_did_what(kubectl: Runner, host: HostClient) -> None:
    before = host.audit("a", most=100_000)["last"]
    kubectl("create", "configmap", "kept", "--from-literal=a=b", "--as=zoe", fails=True)
    kubectl("create", "configmap", "kept", "--from-literal=a=b")
    found = [
        each for each in host.audit("a", before)["events"] if each.get("objectRef", {}).get("resource") == "configmaps"
    ]
    made = [(each["user"]["username"], each["verb"], each["responseStatus"]["code"]) for each in found]
    assert ("zoe", "create", 403) in made
    assert made[-1] == ("kubernetes-admin", "create", 201)
    assert next(each for each in found if each["user"]["username"] == "zoe")["impersonatedBy"] == "kubernetes-admin"
    assert "kept" not in kubectl("get", "--raw", "/host/clusters/a/audit", fails=True)
