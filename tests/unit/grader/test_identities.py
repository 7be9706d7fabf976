"""Asking as somebody else: how they say who they are, and what becomes of their calls."""

from __future__ import annotations

import json
from typing import Any

import pytest

from grader.connection import Connection
from grader.errors import CheckFailed, ClusterUnreachable, Missing
from grader.evidence import Evidence
from grader.identities import Identities
from tests.doubles.clock import SteppedClock

FORBIDDEN = {"kind": "Status", "reason": "Forbidden", "message": 'pods is forbidden: User "anna" cannot list resource'}


class Asked:
    """An API server that keeps who asked for what, and answers as it is told."""

    def __init__(self, scripted: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.requests: list[tuple[str, str, Any]] = []
        self.headers: list[list[tuple[str, str]]] = []
        self.answer: tuple[int, Any] = (200, {"kind": "PodList", "items": []})
        monkeypatch.setattr(scripted, "handle", self.handle)
        handler = scripted._server.RequestHandlerClass
        usual = handler.answer

        def kept(this: Any) -> None:
            self.headers.append(this.headers.items())
            usual(this)

        for method in ("GET", "POST", "DELETE", "PATCH"):
            monkeypatch.setattr(handler, f"do_{method}", kept)

    def handle(self, method: str, target: str, body: Any) -> tuple[int, Any]:
        self.requests.append((method, target, body))
        if target.endswith("/token"):
            return 201, {"status": {"token": "a-token"}}
        if target.endswith("/subjectaccessreviews"):
            return 201, {"status": {"allowed": body["spec"].get("resourceAttributes", {}).get("verb") != "delete"}}
        return self.answer

    def header(self, name: str) -> list[str]:
        return [value for key, value in self.headers[-1] if key.lower() == name.lower()]


@pytest.fixture
def asked(scripted: Any, monkeypatch: pytest.MonkeyPatch) -> Asked:
    return Asked(scripted, monkeypatch)


@pytest.fixture
def evidence() -> Evidence:
    return Evidence(SteppedClock())


@pytest.fixture
def identities(scripted: Any, evidence: Evidence) -> Any:
    made = Identities(Connection(scripted.kubeconfig, patience=0.0), "shop", evidence)
    yield made
    made.close()


def test_a_user_is_impersonated_with_each_group(asked: Asked, identities: Identities) -> None:
    assert identities.as_("anna", ["dev", "a, b"]).call("GET", "/api/v1/pods").ok
    assert asked.header("Impersonate-User") == ["anna"]
    assert asked.header("Impersonate-Group") == ["a, b", "dev"]
    assert asked.header("Authorization") == ["Bearer secret"]


def test_a_service_account_acts_with_a_token_of_its_own(asked: Asked, identities: Identities) -> None:
    for robot in (identities.service_account("robot"), identities.as_("system:serviceaccount:shop:robot")):
        assert robot.name == "system:serviceaccount:shop:robot"
        robot.call("GET", "/api/v1/pods")
        assert asked.header("Authorization") == ["Bearer a-token"]
        assert asked.header("Impersonate-User") == []
    tokens = [target for _, target, _ in asked.requests if target.endswith("/token")]
    assert tokens == ["/api/v1/namespaces/shop/serviceaccounts/robot/token"]


def test_nobody_and_the_holder_of_a_token(asked: Asked, identities: Identities) -> None:
    identities.anonymous().call("GET", "/api/v1/pods")
    assert asked.header("Authorization") == []
    identities.holder_of("found").call("GET", "/api/v1/pods")
    assert asked.header("Authorization") == ["Bearer found"]


def test_the_graders_own_rights_are_not_lent(asked: Asked, identities: Identities) -> None:
    """Neither a certificate nor a token of the grader's goes with who has their own."""
    identities.service_account("robot").call("GET", "/api/v1/pods")
    assert "secret" not in str(asked.headers[-1])


def test_a_service_account_that_is_not_there(
    scripted: Any, monkeypatch: pytest.MonkeyPatch, identities: Identities
) -> None:
    details = {"kind": "serviceaccounts", "name": "robot"}
    monkeypatch.setattr(scripted, "handle", lambda *_: (404, {"reason": "NotFound", "details": details}))
    with pytest.raises(Missing, match="404 NotFound"):
        identities.service_account("robot")


@pytest.mark.parametrize("status", [200, 201, 401, 403, 404, 409, 422])
def test_every_status_is_an_answer(asked: Asked, identities: Identities, status: int) -> None:
    asked.answer = (status, FORBIDDEN)
    reply = identities.as_("anna").call("GET", "/api/v1/pods")
    assert (reply.status, reply.ok) == (status, status < 400)
    assert reply.reason == ("" if status < 400 else "Forbidden")


def test_a_server_without_an_answer_is_ungradable_but_not_a_rule_that_fails(
    asked: Asked, identities: Identities
) -> None:
    anna = identities.as_("anna")
    asked.answer = (503, {"message": "etcdserver: no leader"})
    with pytest.raises(ClusterUnreachable):
        anna.call("GET", "/api/v1/pods")
    asked.answer = (500, {"message": 'Internal error occurred: failed calling webhook "x": refused'})
    assert anna.call("GET", "/api/v1/pods").status == 500


def test_what_would_change_something_is_a_dry_run(asked: Asked, identities: Identities) -> None:
    anna = identities.as_("anna")
    anna.call("POST", "/api/v1/namespaces/shop/pods", {})
    anna.call("PATCH", "/api/v1/pods?fieldManager=x", {}, patch="strategic-merge-patch")
    anna.call("DELETE", "/api/v1/pods", dry_run=False)
    targets = [target for _, target, _ in asked.requests]
    assert targets == [
        "/api/v1/namespaces/shop/pods?dryRun=All",
        "/api/v1/pods?fieldManager=x&dryRun=All",
        "/api/v1/pods",
    ]


def test_a_patch_says_of_which_kind_it_is(asked: Asked, identities: Identities) -> None:
    identities.as_("anna").call("PATCH", "/api/v1/pods", {}, patch="json-patch")
    assert asked.header("Content-Type") == ["application/json-patch+json"]


def test_expecting_a_status(asked: Asked, identities: Identities) -> None:
    asked.answer = (403, FORBIDDEN)
    anna = identities.as_("anna")
    assert anna.expect({403, 404}, "GET", "/api/v1/pods").status == 403
    with pytest.raises(CheckFailed) as raised:
        anna.expect(200, "GET", "/api/v1/pods")
    said = str(raised.value)
    assert "Expected: GET /api/v1/pods as anna to be answered 200\n" in said
    assert "Observed: 403 Forbidden, \"pods is forbidden: User 'anna' cannot list resource\"\n" in said


@pytest.mark.parametrize(
    ("resource", "given", "attributes"),
    [
        ("pods", {}, {"resource": "pods", "namespace": "shop"}),
        ("pods/exec", {"name": "a"}, {"resource": "pods", "subresource": "exec", "name": "a", "namespace": "shop"}),
        ("deployments.apps", {"namespace": "x"}, {"resource": "deployments", "group": "apps", "namespace": "x"}),
        (
            "deployments.apps/scale",
            {"namespace": ""},
            {"resource": "deployments", "group": "apps", "subresource": "scale"},
        ),
    ],
)
def test_an_access_review_asks_for_all_that_they_are(
    asked: Asked, identities: Identities, resource: str, given: dict[str, Any], attributes: dict[str, str]
) -> None:
    assert identities.service_account("robot").may("get", resource, given.pop("name", ""), **given)
    method, target, body = asked.requests[-1]
    assert (method, target) == ("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews")
    assert body["spec"]["resourceAttributes"] == {"verb": "get", **attributes}
    assert body["spec"]["user"] == "system:serviceaccount:shop:robot"
    assert set(body["spec"]["groups"]) == {
        "system:serviceaccounts",
        "system:serviceaccounts:shop",
        "system:authenticated",
    }


def test_a_path_is_no_resource(asked: Asked, identities: Identities) -> None:
    identities.as_("anna").may("get", "/metrics")
    assert asked.requests[-1][2]["spec"]["nonResourceAttributes"] == {"verb": "get", "path": "/metrics"}


def test_must_and_must_not_say_how_to_look(asked: Asked, identities: Identities) -> None:
    anna = identities.as_("anna", ["dev"])
    anna.must("get", "pods")
    anna.must_not("delete", "pods")
    with pytest.raises(CheckFailed, match="kubectl auth can-i delete pods web --as anna --namespace shop"):
        anna.must("delete", "pods", "web")
    with pytest.raises(CheckFailed, match="that anna may not get secrets in all namespaces\nObserved: they may"):
        anna.must_not("get", "secrets", namespace="")


def test_all_of_it_is_kept(asked: Asked, identities: Identities, evidence: Evidence) -> None:
    anna = identities.as_("anna")
    for verb in ("get", "list", "watch", "create", "delete", "patch"):
        anna.may(verb, "pods")
    asked.answer = (403, FORBIDDEN)
    anna.call("GET", "/api/v1/pods")
    assert [(one["what"], one["url"]) for one in evidence.entries] == [
        *(("access review", f"{verb} pods") for verb in ("get", "list", "watch", "create", "delete", "patch")),
        ("call", "/api/v1/pods"),
    ]
    assert evidence.entries[-1]["status"] == 403
    assert "secret" not in json.dumps(evidence.entries)
