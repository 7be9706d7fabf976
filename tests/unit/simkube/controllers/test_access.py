"""Controllers of quotas, summed-up roles, token secrets and certificate requests, in a whole cluster."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from simkube.apimachinery.errors import StatusError
from simkube.client.client import Obj
from tests.doubles.control_plane import Plane
from tests.unit.simkube.apiserver.test_credentials import SIGNING, approved, request_pem, signing

ROLES = "clusterroles.rbac.authorization.k8s.io"


@pytest.fixture
def plane() -> Plane:
    return Plane()


def used(plane: Plane) -> dict[str, str]:
    found: dict[str, str] = plane.client.get("resourcequotas", "q", "default")["status"]["used"]
    return found


def quota(plane: Plane, **hard: str) -> None:
    names = {name.replace("__", "/"): amount for name, amount in hard.items()}
    plane.client.create("resourcequotas", {"metadata": {"name": "q"}, "spec": {"hard": names}}, "default")
    plane.settle()


def test_what_is_there_already_is_counted(plane: Plane) -> None:
    plane.pod("a", containers=[{"name": "a", "image": "a:1", "resources": {"requests": {"cpu": "250m"}}}])
    plane.service("s")
    hard = {"pods": "5", "requests.cpu": "1", "services": "9", "count/services": "9", "count/ghosts.x": "1"}
    plane.client.create("resourcequotas", {"metadata": {"name": "q"}, "spec": {"hard": hard}}, "default")
    plane.settle()
    assert used(plane) == {"count/services": "2", "pods": "1", "requests.cpu": "250m", "services": "2"}


def test_what_goes_makes_room(plane: Plane) -> None:
    quota(plane, pods="1")
    plane.pod("a")
    with pytest.raises(StatusError, match="exceeded quota"):
        plane.pod("b")
    plane.client.delete("pods", "a", "default", gracePeriodSeconds=0)
    plane.settle()
    assert used(plane) == {"pods": "0"}
    plane.pod("b")
    plane.client.patch("pods", "b", {"status": {"phase": "Succeeded"}}, "default", subresource="status")
    plane.settle()
    assert used(plane) == {"pods": "0"}


def test_a_deployment_gets_what_the_quota_leaves_it(plane: Plane) -> None:
    quota(plane, pods="2")
    plane.deploy(replicas=3)
    plane.settle()
    assert len(plane.pods()) == 2
    assert any("exceeded quota: q" in message for message in plane.events("FailedCreate"))
    plane.client.patch("resourcequotas", "q", {"spec": {"hard": {"pods": "9"}}}, "default")
    plane.settle(30)
    assert len(plane.pods()) == 3


def rules(plane: Plane, name: str) -> list[Any]:
    return list(plane.client.get(ROLES, name).get("rules") or ())


def test_roles_are_summed_up_and_follow_their_parts(plane: Plane) -> None:
    selector = {"clusterRoleSelectors": [{"matchLabels": {"sum": "mine"}}]}
    plane.client.create(ROLES, {"metadata": {"name": "sum"}, "aggregationRule": selector, "rules": None})
    rule = {"verbs": ["get"], "apiGroups": ["x.y"], "resources": ["things"]}
    labels = {"sum": "mine", "rbac.authorization.k8s.io/aggregate-to-view": "true"}
    plane.client.create(ROLES, {"metadata": {"name": "part", "labels": labels}, "rules": [rule]})
    plane.settle()
    assert rules(plane, "sum") == [rule]
    assert all(rule in rules(plane, name) for name in ("view", "edit", "admin"))
    plane.client.delete(ROLES, "part")
    plane.settle()
    assert rules(plane, "sum") == []
    assert rule not in rules(plane, "admin")


def test_a_new_cluster_writes_no_roles(plane: Plane) -> None:
    written = {resource for resource, _, _ in plane.journal.objects("test")}
    assert not any("rbac" in resource for resource in written)


def secret(plane: Plane, account: str = "default") -> Obj:
    annotations = {"kubernetes.io/service-account.name": account}
    body = {"metadata": {"name": "t", "annotations": annotations}, "type": "kubernetes.io/service-account-token"}
    plane.client.create("secrets", body, "default")
    plane.settle()
    return plane.client.get("secrets", "t", "default")


def test_a_token_secret_is_filled_in_and_its_token_works(plane: Plane) -> None:
    made = secret(plane)
    data = {name: base64.b64decode(value).decode() for name, value in made["data"].items()}
    assert (data["ca.crt"], data["namespace"]) == ("CA", "default")
    account = plane.client.get("serviceaccounts", "default", "default")["metadata"]["uid"]
    assert made["metadata"]["annotations"]["kubernetes.io/service-account.uid"] == account
    credentials = plane.cluster.apiserver.credentials
    found = credentials.review(data["token"]).caller
    assert found is not None
    assert found.user == "system:serviceaccount:default:default"
    plane.client.delete("secrets", "t", "default")
    assert credentials.review(data["token"]).caller is None


def test_a_token_secret_goes_with_its_account(plane: Plane) -> None:
    plane.client.create("serviceaccounts", {"metadata": {"name": "app"}}, "default")
    assert secret(plane, "app")["data"]["token"]
    plane.client.delete("serviceaccounts", "app", "default")
    plane.settle()
    with pytest.raises(StatusError, match="not found"):
        plane.client.get("secrets", "t", "default")


def request(plane: Plane, **spec: Any) -> Obj:
    plane.client.create(SIGNING, signing(request_pem("jane", "devs"), **spec))
    approved(plane.cluster.apiserver)
    plane.settle()
    status: Obj = plane.client.get(SIGNING, "jane")["status"]
    return status


class Stamp:
    """An authority that signs everything with its name."""

    def of(self, serial: Any) -> Any:
        return lambda request, usages, seconds: f"{serial() > 0} {','.join(usages)} {seconds}"


@pytest.fixture
def signed(plane: Plane) -> Plane:
    from simkube.apiserver.authentication import client_certificates

    controller = next(each for each in plane.cluster.manager.controllers if "signing" in each.name)
    credentials = plane.cluster.apiserver.credentials
    controller._sign = Stamp().of(lambda: client_certificates.serial(credentials))  # type: ignore[attr-defined]
    return plane


def test_an_approved_request_is_signed(signed: Plane) -> None:
    status = request(signed, expirationSeconds=3600)
    assert base64.b64decode(status["certificate"]).decode() == "True client auth 3600"


def test_a_request_for_the_wrong_purpose_fails(signed: Plane) -> None:
    status = request(signed, usages=["server auth"])
    assert "certificate" not in status
    assert status["conditions"][-1]["reason"] == "SignerValidationFailure"


def test_a_request_to_another_signer_is_left_to_them(signed: Plane) -> None:
    assert "certificate" not in request(signed, signerName="example.com/mine")


def test_old_requests_go(signed: Plane) -> None:
    request(signed)
    signed.settle(3700)
    assert signed.client.list(SIGNING) == []
